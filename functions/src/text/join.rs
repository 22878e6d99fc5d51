//! The items of a list in one text.

use std::fmt::Write;

use flow_plan::{Function, Value};

use crate::MOST_TEXT;
use crate::args::{Args, bounded};
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "join",
    subject: Subject::Text,
    form: Form::Call(Function::Join),
    params: &[Param::new("list", &[Kind::List]), Param::maybe("with", &[Kind::Text])],
    items: &[Kind::Single],
    gives: Gives::Text,
    may_fail: false,
    keeps_personal: true,
    brief: "the items of the list in one text, with `with` between them",
    docs: "Without `with`, a comma and a blank stand between them. Numbers, money and times stand as they do in a text.",
    examples: &[
        Example("join([\"red\", \"green\"], \" and \")", "\"red and green\""),
        Example("join([1, 2, 3])", "\"1, 2, 3\""),
        Example("join([\"a\"], \"-\")", "\"a\""),
    ],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    let items = args.list(0)?;
    let with = if args.value(1).is_some() { args.text(1)? } else { ", " };
    let mut out = String::new();
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push_str(with);
        }
        match item {
            Value::Text(text) => out.push_str(text),
            // Writing into a text cannot fail.
            item => drop(write!(out, "{item}")),
        }
        if out.len() > MOST_TEXT {
            return None;
        }
    }
    bounded(out)
}
