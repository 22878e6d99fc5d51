//! The parts of a text.

use flow_plan::{Function, Value};

use crate::args::{Args, bounded_list};
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "split",
    subject: Subject::Text,
    form: Form::Call(Function::Split),
    params: &[Param::new("text", &[Kind::Text]), Param::new("by", &[Kind::Text])],
    items: &[],
    gives: Gives::Texts,
    may_fail: false,
    keeps_personal: true,
    brief: "the parts of the text between every `by`",
    docs: "Parts may be empty, and a text without a `by` is one part. `split(text, by: \"\\n\")` gives its lines.",
    examples: &[
        Example("split(\"red,green,blue\", \",\")", "[\"red\", \"green\", \"blue\"]"),
        Example("split(\"ada@example.com\", \"@\")[1]", "\"example.com\""),
        Example("split(\"a,,b\", \",\")", "[\"a\", \"\", \"b\"]"),
    ],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    let (text, by) = (args.text(0)?, args.text(1)?);
    if by.is_empty() {
        return bounded_list([Value::text(text)]);
    }
    bounded_list(text.split(by).map(Value::text))
}
