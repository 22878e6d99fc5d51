//! A text in capitals.

use flow_plan::{Function, Value};

use crate::args::{Args, bounded};
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "upper",
    subject: Subject::Text,
    form: Form::Call(Function::Upper),
    params: &[Param::new("text", &[Kind::Text])],
    items: &[],
    gives: Gives::Text,
    may_fail: false,
    keeps_personal: true,
    brief: "the text in capitals",
    docs: "Of every alphabet, not only of a to z.",
    examples: &[Example("upper(\"usd\")", "\"USD\""), Example("upper(\"straße\")", "\"STRASSE\"")],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    bounded(args.text(0)?.to_uppercase())
}
