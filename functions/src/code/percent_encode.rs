//! A text for an address.

use flow_plan::{Function, Value};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::args::{Args, bounded};
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "percent_encode",
    subject: Subject::Code,
    form: Form::Call(Function::PercentEncode),
    params: &[Param::new("text", &[Kind::Text])],
    items: &[],
    gives: Gives::Text,
    may_fail: false,
    keeps_personal: true,
    brief: "the text as a part of a web address",
    docs: "Letters, digits and `- . _ ~` stay, all else becomes `%` and two digits. Connectors encode what they put into addresses themselves: this is for links in your own texts.",
    examples: &[Example("percent_encode(\"a b&c\")", "\"a%20b%26c\""), Example("percent_encode(\"né\")", "\"n%C3%A9\"")],
};

/// What RFC 3986 lets stand anywhere.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    bounded(utf8_percent_encode(args.text(0)?, RESERVED).to_string())
}
