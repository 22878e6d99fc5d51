//! A list without repetitions.

use std::collections::HashSet;
use std::fmt::Write;

use flow_plan::{Function, Value};

use crate::args::{Args, bounded_list};
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "unique",
    subject: Subject::List,
    form: Form::Call(Function::Unique),
    params: &[Param::new("list", &[Kind::List])],
    items: &[],
    gives: Gives::Items,
    may_fail: false,
    keeps_personal: true,
    brief: "the items without those that were there before",
    docs: "The first of equal ones stays where it is.",
    examples: &[Example("unique([\"a\", \"b\", \"a\"])", "[\"a\", \"b\"]"), Example("count(unique([1, 1.0, 2]))", "2")],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    let mut seen = HashSet::new();
    bounded_list(
        args.list(0)?
            .iter()
            .filter(|item| {
                let mut key = String::new();
                write_key(item, &mut key);
                seen.insert(key)
            })
            .cloned(),
    )
}

/// Writes what equal values have in common, and no others.
fn write_key(value: &Value, key: &mut String) {
    // Writing into a text cannot fail.
    let _ = match value {
        Value::Missing => write!(key, "-"),
        Value::Bool(value) => write!(key, "b{value}"),
        Value::Number(number) => write!(key, "n{}", number.normalize()),
        Value::Text(text) => write!(key, "t{}:{text}", text.len()),
        Value::Money(money) => write!(key, "m{}{}", money.amount.normalize(), money.currency),
        Value::Date(date) => write!(key, "d{date}"),
        Value::Time(time) => write!(key, "h{time}"),
        Value::Instant(at) => write!(key, "i{at}"),
        Value::Duration(by) => write!(key, "p{},{},{}", by.months, by.days, by.millis),
        Value::List(items) => {
            key.push('[');
            items.iter().for_each(|item| write_key(item, key));
            write!(key, "]")
        }
        Value::Record(fields) => {
            key.push('{');
            for (name, value) in fields.iter() {
                let _ = write!(key, "{}:{name}", name.len());
                write_key(value, key);
            }
            write!(key, "}}")
        }
    };
}
