//! The year of a date.

use flow_plan::{Function, Value};
use rust_decimal::Decimal;

use crate::args::Args;
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "year",
    subject: Subject::Time,
    form: Form::Call(Function::Year),
    params: &[Param::new("at", &[Kind::Instant, Kind::Date]), Param::zone()],
    items: &[],
    gives: Gives::Whole,
    may_fail: false,
    keeps_personal: false,
    brief: "the year of an instant or date",
    docs: "The clocks are those of `in`, or of the project's `timezone`. A date needs no zone.",
    examples: &[Example("year(2026-11-26)", "2026"), Example("year(2026-12-31 20:00, in: \"Asia/Tokyo\")", "2027")],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    Some(Value::Number(Decimal::from(args.date(0, 1)?.year())))
}
