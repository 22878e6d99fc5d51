//! A part of a text or list.

use flow_plan::{Function, Value};

use crate::args::{Args, bounded, bounded_list};
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "slice",
    subject: Subject::Text,
    form: Form::Call(Function::Slice),
    params: &[
        Param::new("value", &[Kind::Text, Kind::List]),
        Param::new("from", &[Kind::Whole]),
        Param::maybe("to", &[Kind::Whole]),
    ],
    items: &[],
    gives: Gives::Same,
    may_fail: false,
    keeps_personal: true,
    brief: "a part of a text or list: from `from` on, up to before `to`",
    docs: "It counts from 0. A negative place counts from the end: `slice(text, -4)` is the last four characters. Beyond the end there is nothing, so the part may be shorter, or empty.",
    examples: &[
        Example("slice(\"2026-11-26\", 0, 4)", "\"2026\""),
        Example("slice(\"4242424242421234\", -4)", "\"1234\""),
        Example("slice([\"a\", \"b\", \"c\", \"d\"], 1, 3)", "[\"b\", \"c\"]"),
        Example("slice(\"abc\", 5)", "\"\""),
    ],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    let (from, to) = (args.whole(1)?, args.whole_or(2, i64::MAX)?);
    match args.value(0)? {
        Value::Text(text) => {
            let (from, to) = places(text.chars().count(), from, to);
            bounded(text.chars().skip(from).take(to.saturating_sub(from)).collect::<String>())
        }
        Value::List(items) => {
            let (from, to) = places(items.len(), from, to);
            bounded_list(items.get(from..to.max(from)).unwrap_or_default().iter().cloned())
        }
        _ => None,
    }
}

/// Returns two places as places from the beginning, neither beyond the end.
fn places(length: usize, from: i64, to: i64) -> (usize, usize) {
    let place = |at: i64| match usize::try_from(at.unsigned_abs()) {
        Ok(distance) if at < 0 => length.saturating_sub(distance),
        Ok(distance) => distance.min(length),
        Err(_) if at < 0 => 0,
        Err(_) => length,
    };
    (place(from), place(to))
}
