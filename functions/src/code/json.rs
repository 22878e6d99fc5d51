//! A value in JSON.

use flow_plan::{Function, Value};

use crate::args::{Args, bounded};
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "json",
    subject: Subject::Code,
    form: Form::Call(Function::Json),
    params: &[Param::new("value", &[Kind::Anything])],
    items: &[],
    gives: Gives::Text,
    may_fail: false,
    keeps_personal: true,
    brief: "the value as a JSON text",
    docs: "Money is written with its amount and currency, times as in RFC 3339.",
    examples: &[
        Example("json({ a: 1, b: [\"x\"] })", "\"\\{\\\"a\\\":1,\\\"b\\\":[\\\"x\\\"]\\}\""),
        Example("json(12.50 USD)", "\"\\{\\\"amount\\\":\\\"12.50\\\",\\\"currency\\\":\\\"USD\\\"\\}\""),
    ],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    bounded(args.value(0)?.to_json().to_string())
}
