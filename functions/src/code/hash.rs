//! A fingerprint of a text.

use flow_plan::{Function, Value};
use sha2::{Digest, Sha256};

use crate::args::Args;
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "hash",
    subject: Subject::Code,
    form: Form::Call(Function::Hash),
    params: &[Param::new("text", &[Kind::Text])],
    items: &[],
    gives: Gives::Text,
    may_fail: false,
    keeps_personal: true,
    brief: "the SHA-256 of a text, in hex",
    docs: "The same text always gives the same 64 digits. A hash of personal data counts as personal: whoever has a list of addresses can find out whose it is.",
    examples: &[Example("hash(\"\")", "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"")],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    Some(Value::text(hex::encode(Sha256::digest(args.text(0)?.as_bytes()))))
}
