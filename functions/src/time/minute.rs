//! The minute of a time of day.

use flow_plan::{Function, Value};
use rust_decimal::Decimal;

use crate::args::Args;
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "minute",
    subject: Subject::Time,
    form: Form::Call(Function::Minute),
    params: &[Param::new("at", &[Kind::Instant, Kind::Time]), Param::zone()],
    items: &[],
    gives: Gives::Whole,
    may_fail: false,
    keeps_personal: false,
    brief: "the minute of an instant or time of day, from 0 to 59",
    docs: "The clocks are those of `in`, or of the project's `timezone`. A time of day needs no zone.",
    examples: &[Example("minute(18:45)", "45")],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    Some(Value::Number(Decimal::from(args.time(0, 1)?.minute())))
}
