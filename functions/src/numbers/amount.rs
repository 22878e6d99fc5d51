//! The number of an amount.

use flow_plan::{Function, Value};

use crate::args::Args;
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "amount",
    subject: Subject::Number,
    form: Form::Call(Function::Amount),
    params: &[Param::new("money", &[Kind::Money])],
    items: &[],
    gives: Gives::Number,
    may_fail: false,
    keeps_personal: true,
    brief: "how much money it is, without its currency",
    docs: "In whole units: 120.5 for 120.50 USD, never cents. A number cannot be told from one in another currency any more, so compare the money itself where you can.",
    examples: &[Example("amount(120.50 USD)", "120.5"), Example("amount(5_000 JPY)", "5000")],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    Some(Value::Number(args.money(0)?.amount.normalize()))
}
