//! One text in the place of another.

use flow_plan::{Function, Value};

use crate::MOST_TEXT;
use crate::args::{Args, bounded};
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "replace",
    subject: Subject::Text,
    form: Form::Call(Function::Replace),
    params: &[Param::new("text", &[Kind::Text]), Param::new("find", &[Kind::Text]), Param::new("with", &[Kind::Text])],
    items: &[],
    gives: Gives::Text,
    may_fail: false,
    keeps_personal: true,
    brief: "the text with every `find` in it replaced by `with`",
    docs: "It looks for the very letters, capitals and all; there are no wildcards. An empty `with` takes them out, and an empty `find` finds nothing.",
    examples: &[
        Example("replace(\"2026/11/26\", \"/\", \"-\")", "\"2026-11-26\""),
        Example("replace(\"+33 1 23 45\", \" \", \"\")", "\"+3312345\""),
        Example("replace(\"abc\", \"x\", \"y\")", "\"abc\""),
    ],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    let (text, find, with) = (args.text(0)?, args.text(1)?, args.text(2)?);
    if find.is_empty() {
        return Some(Value::text(text));
    }
    // How long it gets is known before it is made.
    let grows = text.matches(find).count().checked_mul(with.len().saturating_sub(find.len()))?;
    if text.len().checked_add(grows)? > MOST_TEXT {
        return None;
    }
    bounded(text.replace(find, with))
}
