//! A text in Base64.

use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;
use flow_plan::{Function, Value};

use crate::args::{Args, bounded};
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "base64",
    subject: Subject::Code,
    form: Form::Call(Function::Base64),
    params: &[Param::new("text", &[Kind::Text])],
    items: &[],
    gives: Gives::Text,
    may_fail: false,
    keeps_personal: true,
    brief: "the bytes of a text in Base64",
    docs: "",
    examples: &[Example("base64(\"flow\")", "\"Zmxvdw==\"")],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    bounded(STANDARD.encode(args.text(0)?))
}
