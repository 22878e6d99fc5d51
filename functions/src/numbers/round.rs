//! A number with fewer decimals.

use super::rounding;
use flow_plan::{Function, Value};
use rust_decimal::RoundingStrategy;

use crate::args::Args;
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "round",
    subject: Subject::Number,
    form: Form::Call(Function::Round),
    params: &[Param::new("value", &[Kind::Number, Kind::Money]), Param::maybe("digits", &[Kind::Whole])],
    items: &[],
    gives: Gives::Rounded,
    may_fail: false,
    keeps_personal: true,
    brief: "the nearest number with so many decimals",
    docs: "A number that lies in the very middle goes to the even neighbour, as banks do it, so that many rounded amounts come to what they should. `digits` are the decimals that stay, none where it is left out; with money, those of its currency. With a negative one, tens or hundreds are rounded: `-2` gives whole hundreds.",
    examples: &[
        Example("round(2.345, 2)", "2.34"),
        Example("round(2.5)", "2"),
        Example("round(3.5)", "4"),
        Example("round(9.99 USD * 0.19)", "1.90 USD"),
        Example("round(1250, -2)", "1200"),
    ],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    rounding::to(args, RoundingStrategy::MidpointNearestEven)
}
