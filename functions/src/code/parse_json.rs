//! What a JSON text says.

use flow_plan::{Function, Value};

use crate::args::Args;
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "parse_json",
    subject: Subject::Code,
    form: Form::Call(Function::ParseJson),
    params: &[Param::new("text", &[Kind::Text])],
    items: &[],
    gives: Gives::Json,
    may_fail: true,
    keeps_personal: true,
    brief: "what a JSON text says",
    docs: "Its parts are reached with `.` and `[…]`. It is missing where the text is no JSON.",
    examples: &[Example("parse_json(\"\\{\\\"a\\\": [1, 2]\\}\").a[1]", "2"), Example("parse_json(\"no\")", "missing")],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    serde_json::from_str(args.text(0)?).ok().map(|json| Value::from_json(&json))
}
