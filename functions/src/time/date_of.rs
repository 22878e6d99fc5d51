//! The date of an instant.

use flow_plan::{Function, Value};

use crate::args::Args;
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "date_of",
    subject: Subject::Time,
    form: Form::Call(Function::DateOf),
    params: &[Param::new("at", &[Kind::Instant]), Param::zone()],
    items: &[],
    gives: Gives::Date,
    may_fail: false,
    keeps_personal: true,
    brief: "the date that an instant has on the calendars of a place",
    docs: "At the same instant it may be the 26th in Paris and the 27th in Tokyo. The clocks are those of `in`, or of the project's `timezone`.",
    examples: &[
        Example("date_of(2026-11-26 20:00, in: \"Europe/Paris\")", "2026-11-26"),
        Example("date_of(2026-11-26 20:00, in: \"Asia/Tokyo\")", "2026-11-27"),
    ],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    Some(Value::Date(args.local(0, 1)?.date()))
}
