//! The day of a date.

use flow_plan::{Function, Value};
use rust_decimal::Decimal;

use crate::args::Args;
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "day",
    subject: Subject::Time,
    form: Form::Call(Function::Day),
    params: &[Param::new("at", &[Kind::Instant, Kind::Date]), Param::zone()],
    items: &[],
    gives: Gives::Whole,
    may_fail: false,
    keeps_personal: false,
    brief: "the day of the month of an instant or date, from 1 to 31",
    docs: "The clocks are those of `in`, or of the project's `timezone`. A date needs no zone.",
    examples: &[Example("day(2026-11-26)", "26"), Example("day(2026-11-26 20:00, in: \"Asia/Tokyo\")", "27")],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    Some(Value::Number(Decimal::from(args.date(0, 1)?.day())))
}
