//! A text in small letters.

use flow_plan::{Function, Value};

use crate::args::{Args, bounded};
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "lower",
    subject: Subject::Text,
    form: Form::Call(Function::Lower),
    params: &[Param::new("text", &[Kind::Text])],
    items: &[],
    gives: Gives::Text,
    may_fail: false,
    keeps_personal: true,
    brief: "the text in small letters",
    docs: "Of every alphabet, not only of a to z.",
    examples: &[Example("lower(\"Ada@Example.COM\")", "\"ada@example.com\""), Example("lower(\"ÉCOLE\")", "\"école\"")],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    bounded(args.text(0)?.to_lowercase())
}
