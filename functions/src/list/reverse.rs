//! A list the other way round.

use flow_plan::{Function, Value};

use crate::args::{Args, bounded_list};
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "reverse",
    subject: Subject::List,
    form: Form::Call(Function::Reverse),
    params: &[Param::new("list", &[Kind::List])],
    items: &[],
    gives: Gives::Items,
    may_fail: false,
    keeps_personal: true,
    brief: "the items in the opposite order",
    docs: "`reverse(sort(list))` has the greatest first.",
    examples: &[Example("reverse([1, 2, 3])", "[3, 2, 1]")],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    bounded_list(args.list(0)?.iter().rev().cloned())
}
