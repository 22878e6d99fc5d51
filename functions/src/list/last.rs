//! The last item.

use flow_plan::{Each, Function, Value};

use crate::args::Args;
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "last",
    subject: Subject::List,
    form: Form::Of(Function::Last, Each::Filter),
    params: &[Param::new("list", &[Kind::List]), Param::maybe("condition", &[Kind::Condition])],
    items: &[],
    gives: Gives::Item,
    may_fail: true,
    keeps_personal: true,
    brief: "the last item of a list, or the last for which the condition holds",
    docs: "There may be none. In the condition, `it` is the item.",
    examples: &[Example("last([\"a\", \"b\"])", "\"b\""), Example("last([5, 15, 25], it < 20)", "15")],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    args.list(0)?.last().cloned()
}
