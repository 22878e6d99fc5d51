//! A list in order.

use flow_plan::Each;

use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "sort",
    subject: Subject::List,
    form: Form::ForEach(Each::Sort),
    params: &[Param::new("list", &[Kind::List]), Param::maybe("value", &[Kind::About])],
    items: &[Kind::Single],
    gives: Gives::Items,
    may_fail: false,
    keeps_personal: true,
    brief: "the items in order, the least first",
    docs: "Texts are ordered by their letters, without regard to capitals. `sort(list, it.amount)` orders by something of each item; an item without it comes last. Items that are equal stay in their order.",
    examples: &[
        Example("sort([3, 1, 2])", "[1, 2, 3]"),
        Example("sort([\"b\", \"A\", \"c\"])", "[\"A\", \"b\", \"c\"]"),
        Example("map(sort([{ n: 2, of: \"b\" }, { n: 1, of: \"a\" }], it.n), it.of)", "[\"a\", \"b\"]"),
    ],
};
