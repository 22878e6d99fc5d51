//! The currency of money.

use flow_plan::{Function, Value};

use crate::args::Args;
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "currency",
    subject: Subject::Number,
    form: Form::Call(Function::CurrencyCode),
    params: &[Param::new("money", &[Kind::Money])],
    items: &[],
    gives: Gives::Text,
    may_fail: false,
    keeps_personal: true,
    brief: "the code of a currency in small letters: \"usd\"",
    docs: "",
    examples: &[Example("currency(120.50 USD)", "\"usd\""), Example("upper(currency(1 EUR))", "\"EUR\"")],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    Some(Value::text(args.money(0)?.currency.code().to_lowercase()))
}
