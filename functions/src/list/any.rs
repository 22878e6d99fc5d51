//! Whether one item is so.

use flow_plan::Each;

use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "any",
    subject: Subject::List,
    form: Form::ForEach(Each::Any),
    params: &[Param::new("list", &[Kind::List]), Param::new("condition", &[Kind::Condition])],
    items: &[],
    gives: Gives::Bool,
    may_fail: false,
    keeps_personal: false,
    brief: "whether the condition holds for one of the items at least",
    docs: "Of an empty list it holds for none. In the condition, `it` is the item. (`amount > any(100 USD, 90 EUR)`, with amounts, is another thing: one limit per currency.)",
    examples: &[
        Example("any([1, 5, 20], it > 10)", "true"),
        Example("any([{ status: \"ok\" }, { status: \"failed\" }], it.status is \"failed\")", "true"),
        Example("any([1, 2], it > 10)", "false"),
    ],
};
