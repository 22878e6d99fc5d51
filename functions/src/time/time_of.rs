//! The time of day of an instant.

use flow_plan::{Function, Value};

use crate::args::Args;
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "time_of",
    subject: Subject::Time,
    form: Form::Call(Function::TimeOf),
    params: &[Param::new("at", &[Kind::Instant]), Param::zone()],
    items: &[],
    gives: Gives::Time,
    may_fail: false,
    keeps_personal: true,
    brief: "the time that an instant has on the clocks of a place",
    docs: "The clocks are those of `in`, or of the project's `timezone`.",
    examples: &[
        Example("time_of(2026-11-26 20:00, in: \"Asia/Tokyo\")", "04:00"),
        Example("time_of(2026-11-26 20:00, in: \"Europe/Paris\") in 18:00..22:00", "true"),
    ],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    Some(Value::Time(args.local(0, 1)?.time()))
}
