//! Whether every item is so.

use flow_plan::Each;

use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "all",
    subject: Subject::List,
    form: Form::ForEach(Each::All),
    params: &[Param::new("list", &[Kind::List]), Param::new("condition", &[Kind::Condition])],
    items: &[],
    gives: Gives::Bool,
    may_fail: false,
    keeps_personal: false,
    brief: "whether the condition holds for each of the items",
    docs: "Of an empty list it holds. In the condition, `it` is the item.",
    examples: &[Example("all([1, 5, 20], it > 0)", "true"), Example("all([\"a\", \"bb\"], length(it) is 1)", "false")],
};
