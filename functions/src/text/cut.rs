//! A text of a bounded length.

use flow_plan::{Function, Value};

use crate::args::Args;
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "cut",
    subject: Subject::Text,
    form: Form::Call(Function::CutCharacters),
    params: &[Param::new("text", &[Kind::Text]), Param::new("most", &[Kind::Whole])],
    items: &[],
    gives: Gives::Text,
    may_fail: false,
    keeps_personal: true,
    brief: "the text, or as much of its beginning as has `most` characters",
    docs: "For services that take only so many characters. `cut(text, 21 bytes)` counts the bytes of UTF-8 instead, and never cuts through a character.",
    examples: &[
        Example("cut(\"Payment failed\", 7)", "\"Payment\""),
        Example("cut(\"short\", 100)", "\"short\""),
        Example("cut(\"né\", 2 bytes)", "\"n\""),
    ],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    let text = args.text(0)?;
    // A negative bound leaves nothing.
    let most = usize::try_from(args.whole(1)?.max(0)).ok()?;
    let end = text.char_indices().nth(most).map_or(text.len(), |(at, _)| at);
    text.get(..end).map(Value::text)
}
