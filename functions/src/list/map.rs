//! Something of each item.

use flow_plan::Each;

use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "map",
    subject: Subject::List,
    form: Form::ForEach(Each::Map),
    params: &[Param::new("list", &[Kind::List]), Param::new("value", &[Kind::About])],
    items: &[],
    gives: Gives::Asked,
    may_fail: false,
    keeps_personal: true,
    brief: "what the expression gives for each of the items",
    docs: "In the expression, `it` is the item. What is missing is left out.",
    examples: &[
        Example("map([{ name: \"Ada\" }, { name: \"Bo\" }], it.name)", "[\"Ada\", \"Bo\"]"),
        Example("map([1, 2, 3], it * 10)", "[10, 20, 30]"),
        Example("join(map([\"a\", \"b\"], upper(it)), \"+\")", "\"A+B\""),
    ],
};
