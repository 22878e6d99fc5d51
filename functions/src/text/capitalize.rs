//! A text with a capital at its beginning.

use flow_plan::{Function, Value};

use crate::args::{Args, bounded};
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "capitalize",
    subject: Subject::Text,
    form: Form::Call(Function::Capitalize),
    params: &[Param::new("text", &[Kind::Text])],
    items: &[],
    gives: Gives::Text,
    may_fail: false,
    keeps_personal: true,
    brief: "the text with its first letter in capitals",
    docs: "The other letters stay as they are.",
    examples: &[Example("capitalize(\"card declined\")", "\"Card declined\""), Example("capitalize(\"\")", "\"\"")],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    let text = args.text(0)?;
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => bounded(first.to_uppercase().chain(letters).collect::<String>()),
        None => bounded(text),
    }
}
