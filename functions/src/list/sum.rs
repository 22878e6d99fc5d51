//! What items come to.

use flow_plan::{Each, Function, Money, Value};
use rust_decimal::Decimal;

use crate::args::Args;
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "sum",
    subject: Subject::List,
    form: Form::Of(Function::Sum, Each::Map),
    params: &[Param::new("list", &[Kind::List]), Param::maybe("value", &[Kind::About])],
    items: &[Kind::Number, Kind::Money],
    gives: Gives::Sum,
    may_fail: false,
    keeps_personal: true,
    brief: "what numbers or amounts of money come to",
    docs: "No numbers come to 0. No amounts come to nothing, since they would have no currency, and neither do amounts of two currencies: then the sum is missing. `sum(list, it.amount)` asks something of each item first; what is missing does not count.",
    examples: &[
        Example("sum([1, 2.5, 3])", "6.5"),
        Example("sum([{ total: 10 USD }, { total: 5.5 USD }], it.total)", "15.50 USD"),
        Example("sum([10 USD, 10 EUR])", "missing"),
    ],
};

/// The sum of numbers; of none it is 0.
pub(crate) fn numbers(args: Args<'_>) -> Option<Value> {
    let mut sum = Decimal::ZERO;
    for item in args.list(0)?.iter() {
        let Value::Number(number) = item else { return None };
        sum = sum.checked_add(*number)?;
    }
    Some(Value::Number(sum))
}

/// The sum of amounts of one currency.
pub(crate) fn money(args: Args<'_>) -> Option<Value> {
    let items = args.list(0)?;
    let Value::Money(Money { currency, .. }) = items.first()? else { return None };
    let mut sum = Decimal::ZERO;
    for item in items.iter() {
        let Value::Money(money) = item else { return None };
        if money.currency != *currency {
            return None;
        }
        sum = sum.checked_add(money.amount)?;
    }
    Some(Value::Money(Money { amount: sum, currency: *currency }))
}
