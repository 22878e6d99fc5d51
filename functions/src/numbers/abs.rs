//! A number without its sign.

use flow_plan::{Duration, Function, Money, Value};

use crate::args::Args;
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "abs",
    subject: Subject::Number,
    form: Form::Call(Function::Abs),
    params: &[Param::new("value", &[Kind::Number, Kind::Money, Kind::Duration])],
    items: &[],
    gives: Gives::Same,
    may_fail: false,
    keeps_personal: true,
    brief: "a number, money or duration without its sign",
    docs: "",
    examples: &[Example("abs(-5)", "5"), Example("abs(10 USD - 30 USD)", "20 USD"), Example("abs(3)", "3")],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    Some(match args.value(0)? {
        Value::Number(number) => Value::Number(number.abs()),
        Value::Money(money) => Value::Money(Money { amount: money.amount.abs(), currency: money.currency }),
        Value::Duration(by) => Value::Duration(Duration {
            months: by.months.checked_abs()?,
            days: by.days.checked_abs()?,
            millis: by.millis.checked_abs()?,
        }),
        _ => return None,
    })
}
