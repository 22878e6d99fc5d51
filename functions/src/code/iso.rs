//! An instant as other systems read it.

use flow_plan::{Function, Value};
use jiff::Timestamp;

use crate::args::Args;
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "iso",
    subject: Subject::Code,
    form: Form::Call(Function::Iso),
    params: &[Param::new("at", &[Kind::Instant])],
    items: &[],
    gives: Gives::Text,
    may_fail: false,
    keeps_personal: true,
    brief: "an instant as text, in UTC: \"2026-11-22T12:00:00.000Z\"",
    docs: "The form of RFC 3339 and ISO 8601, with milliseconds.",
    examples: &[Example("iso(2026-11-26 20:00)", "\"2026-11-26T19:00:00.000Z\"")],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    Some(Value::text(rfc3339(args.instant(0)?)))
}

/// Returns an instant in RFC 3339, in UTC with milliseconds: `2026-11-22T12:00:00.000Z`.
pub fn rfc3339(at: Timestamp) -> String {
    // Milliseconds are cut, not rounded, so that an instant never shows as one that has not come yet.
    let at = Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at);
    format!("{at:.3}")
}
