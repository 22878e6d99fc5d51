//! A text without blanks at its ends.

use flow_plan::{Function, Value};

use crate::args::Args;
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "trim",
    subject: Subject::Text,
    form: Form::Call(Function::Trim),
    params: &[Param::new("text", &[Kind::Text])],
    items: &[],
    gives: Gives::Text,
    may_fail: false,
    keeps_personal: true,
    brief: "the text without blanks at its ends",
    docs: "Blanks are spaces, tabs and line ends.",
    examples: &[Example("trim(\"  Ada \\n\")", "\"Ada\""), Example("trim(\"two words\")", "\"two words\"")],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    Some(Value::text(args.text(0)?.trim()))
}
