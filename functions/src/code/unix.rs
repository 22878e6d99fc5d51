//! An instant in seconds.

use flow_plan::{Function, Value};
use rust_decimal::Decimal;

use crate::args::Args;
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "unix",
    subject: Subject::Code,
    form: Form::Call(Function::Unix),
    params: &[Param::new("at", &[Kind::Instant])],
    items: &[],
    gives: Gives::Whole,
    may_fail: false,
    keeps_personal: false,
    brief: "an instant in whole seconds since 1970",
    docs: "",
    examples: &[Example("unix(2026-11-26 20:00)", "1795719600")],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    Some(Value::Number(Decimal::from(args.instant(0)?.as_millisecond().div_euclid(1000))))
}
