//! The greatest of several values.

use std::cmp::Ordering;

use super::extreme;
use flow_plan::{Each, Function, Value};

use crate::args::Args;
use crate::spec::{Example, Form, Given, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "max",
    subject: Subject::List,
    form: Form::Of(Function::Max, Each::Map),
    params: &[
        Param {
            name: "list",
            takes: &[Kind::List, Kind::Number, Kind::Money, Kind::Date, Kind::Time, Kind::Instant, Kind::Duration],
            given: Given::More,
        },
        Param::maybe("value", &[Kind::About]),
    ],
    items: &[Kind::Number, Kind::Money, Kind::Date, Kind::Time, Kind::Instant, Kind::Duration],
    gives: Gives::Item,
    may_fail: true,
    keeps_personal: true,
    brief: "the greatest of a list, or of several values",
    docs: "Of numbers, amounts of one currency, dates, times and durations. There is none of an empty list, and none where two currencies meet. `max(a, b)` takes values in the place of a list. `max(list, it.amount)` asks something of each item first; what is missing does not count.",
    examples: &[Example("max([3, 1, 2])", "3"), Example("max(0, -5)", "0"), Example("max([])", "missing")],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    extreme::of(args, Ordering::Greater)
}
