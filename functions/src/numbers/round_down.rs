//! The next smaller number with fewer decimals.

use super::rounding;
use flow_plan::{Function, Value};
use rust_decimal::RoundingStrategy;

use crate::args::Args;
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "round_down",
    subject: Subject::Number,
    form: Form::Call(Function::RoundDown),
    params: &[Param::new("value", &[Kind::Number, Kind::Money]), Param::maybe("digits", &[Kind::Whole])],
    items: &[],
    gives: Gives::Rounded,
    may_fail: false,
    keeps_personal: true,
    brief: "the next smaller number with so many decimals",
    docs: "What fits already stays. `digits` are the decimals that stay, none where it is left out; with money, those of its currency. With a negative one, tens or hundreds are rounded: `-2` gives whole hundreds.",
    examples: &[Example("round_down(2.9)", "2"), Example("round_down(-2.1)", "-3"), Example("round_down(1999, -3)", "1000")],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    rounding::to(args, RoundingStrategy::ToNegativeInfinity)
}
