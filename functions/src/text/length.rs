//! How long something is.

use flow_plan::{Function, Value};
use rust_decimal::Decimal;

use crate::args::Args;
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "length",
    subject: Subject::Text,
    form: Form::Call(Function::Length),
    params: &[Param::new("value", &[Kind::Text, Kind::List, Kind::Map])],
    items: &[],
    gives: Gives::Whole,
    may_fail: false,
    keeps_personal: false,
    brief: "how many characters a text has, or items a list",
    docs: "A letter with an accent is one character, and so is an emoji of one part.",
    examples: &[Example("length(\"né\")", "2"), Example("length([\"a\", \"b\", \"c\"])", "3"), Example("length(\"\")", "0")],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    let length = match args.value(0)? {
        Value::Text(text) => text.chars().count(),
        Value::List(items) => items.len(),
        Value::Record(fields) => fields.len(),
        _ => return None,
    };
    Some(Value::Number(Decimal::from(length)))
}
