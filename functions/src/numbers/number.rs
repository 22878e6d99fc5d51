//! The number that a text shows.

use flow_plan::{Function, Value, parse_decimal};

use crate::args::Args;
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "number",
    subject: Subject::Number,
    form: Form::Call(Function::Number),
    params: &[Param::new("text", &[Kind::Text])],
    items: &[],
    gives: Gives::Number,
    may_fail: true,
    keeps_personal: true,
    brief: "the number that a text shows",
    docs: "Digits with a sign and a decimal point, blanks around them aside. Commas and blanks inside mean different things in different places, so that a text with one is no number: the result is missing then. Take them out with `replace`.",
    examples: &[
        Example("number(\"12.50\")", "12.5"),
        Example("number(\" -3 \")", "-3"),
        Example("number(\"12 apples\")", "missing"),
        Example("number(replace(\"1,234\", \",\", \"\"))", "1234"),
    ],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    let text = args.text(0)?.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let plain = digits.starts_with(|c: char| c.is_ascii_digit()) && digits.ends_with(|c: char| c.is_ascii_digit());
    if !plain || !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    parse_decimal(text.strip_prefix('+').unwrap_or(text)).map(Value::Number)
}
