//! How many items there are.

use flow_plan::Each;

use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "count",
    subject: Subject::List,
    form: Form::ForEach(Each::Count),
    params: &[Param::new("list", &[Kind::List]), Param::maybe("condition", &[Kind::Condition])],
    items: &[],
    gives: Gives::Whole,
    may_fail: false,
    keeps_personal: false,
    brief: "for how many of the items the condition holds",
    docs: "Without a condition, how many items there are. In the condition, `it` is the item.",
    examples: &[
        Example("count([5, 15, 25], it > 10)", "2"),
        Example("count([\"a\", \"b\"])", "2"),
        Example("count([{ paid: true }, { paid: false }], it.paid)", "1"),
    ],
};
