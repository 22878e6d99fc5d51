//! The mean of items.

use super::sum;
use flow_plan::{Each, Function, Money, Value};
use rust_decimal::{Decimal, RoundingStrategy};

use crate::args::Args;
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "average",
    subject: Subject::List,
    form: Form::Of(Function::Average, Each::Map),
    params: &[Param::new("list", &[Kind::List]), Param::maybe("value", &[Kind::About])],
    items: &[Kind::Number, Kind::Money],
    gives: Gives::Average,
    may_fail: true,
    keeps_personal: true,
    brief: "the mean of numbers, or of amounts of one currency",
    docs: "There is none of an empty list. Of money it has the decimals of its currency, rounded half to even. `average(list, it.amount)` asks something of each item first; what is missing does not count.",
    examples: &[
        Example("average([1, 2, 6])", "3"),
        Example("average([10 USD, 5.01 USD])", "7.50 USD"),
        Example("average([])", "missing"),
    ],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    let count = Decimal::from(args.list(0)?.len());
    match sum::money(args).or_else(|| sum::numbers(args))? {
        Value::Number(sum) => sum.checked_div(count).map(Value::Number),
        Value::Money(sum) => {
            let decimals = u32::from(sum.currency.decimals());
            let amount = sum.amount.checked_div(count)?.round_dp_with_strategy(decimals, RoundingStrategy::MidpointNearestEven);
            Some(Value::Money(Money { amount, currency: sum.currency }))
        }
        _ => None,
    }
}
