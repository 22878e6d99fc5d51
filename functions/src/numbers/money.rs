//! Money out of a number and a currency.

use flow_plan::{Currency, Function, Money, Value};

use crate::args::Args;
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "money",
    subject: Subject::Number,
    form: Form::Call(Function::Money),
    params: &[Param::new("number", &[Kind::Number]), Param::new("currency", &[Kind::Text])],
    items: &[],
    gives: Gives::Money,
    may_fail: true,
    keeps_personal: true,
    brief: "an amount of money: so many whole units of the currency",
    docs: "For services that send both apart. It is missing where the text is no currency of ISO 4217. An amount that you know is written `100 USD`.",
    examples: &[Example("money(12.5, \"usd\")", "12.50 USD"), Example("money(1, \"apples\")", "missing")],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    let currency = Currency::parse(args.text(1)?).filter(Currency::is_listed)?;
    Some(Value::Money(Money { amount: args.number(0)?, currency }))
}
