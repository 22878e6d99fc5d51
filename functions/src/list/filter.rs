//! Some items of a list.

use flow_plan::Each;

use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "filter",
    subject: Subject::List,
    form: Form::ForEach(Each::Filter),
    params: &[Param::new("list", &[Kind::List]), Param::new("condition", &[Kind::Condition])],
    items: &[],
    gives: Gives::Items,
    may_fail: false,
    keeps_personal: true,
    brief: "the items for which the condition holds",
    docs: "They stay in their order. In the condition, `it` is the item. An item of which it is not known is left out.",
    examples: &[
        Example("filter([5, 15, 25], it > 10)", "[15, 25]"),
        Example("filter([\"a@x.com\", \"b@y.com\"], it ends with \"@y.com\")", "[\"b@y.com\"]"),
    ],
};
