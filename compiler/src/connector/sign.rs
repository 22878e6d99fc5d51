//! `sign` and `confirm`: what an attempt computes, and how it is known that what was accepted has happened.

use flow_grammar::span::Span;
use flow_grammar::syntax::{self, DurationLit, ObjectField};
use flow_plan::{Confirm, Encoding, Request, SignPlace, Signature};

use super::Cx;
use super::types::WireType;
use super::wire::{Place, Scope};
use crate::catalog;
use crate::suggest::nearest;

/// Where a signature can be set.
const PLACES: [&str; 4] = ["json", "form", "query", "header"];

impl Cx<'_> {
    /// Declares what a request is signed with.
    pub(super) fn sign(&mut self, fields: &[ObjectField], request: &Request, inputs: &[catalog::Input]) -> Vec<Signature> {
        let scope = Scope::new(Place::Sign, inputs);
        let mut signatures = Vec::new();
        for field in fields {
            let Some(place) = self.sign_place(field, request) else { continue };
            if signatures.iter().any(|known: &Signature| known.place == place) {
                self.push(self.mistake(field.key.span, format!("`{}` is signed twice", field.key.text)));
                continue;
            }
            let Some(value) = &field.value else {
                let diagnostic = self.mistake(field.span, "what is computed here?");
                self.push(diagnostic.help("write `json.sign: hex(…)`"));
                continue;
            };
            let value = self.wire_value(value, &scope);
            signatures.push(Signature { place, value });
        }
        signatures
    }

    fn sign_place(&mut self, field: &ObjectField, request: &Request) -> Option<SignPlace> {
        let text = field.key.text.as_str();
        let (word, rest) = text.split_once('.').unwrap_or((text, ""));
        let encoding = request.body.as_ref().map(|body| body.encoding);
        let place = match word {
            _ if rest.is_empty() => None,
            "json" => Some(SignPlace::Json(rest.split('.').map(str::to_owned).collect())),
            "form" => Some(SignPlace::Form(rest.to_owned())),
            "query" => Some(SignPlace::Query(rest.to_owned())),
            "header" => Some(SignPlace::Header(rest.to_owned())),
            _ => None,
        };
        let Some(place) = place else {
            let diagnostic = self.mistake(field.key.span, format!("`{text}` is no place in a request"));
            let near = nearest(word, PLACES).filter(|_| !rest.is_empty());
            self.push(match near {
                Some(near) => {
                    diagnostic.fix(format!("did you mean `{near}.{rest}`?"), field.key.span, format!("{near}.{rest}"), false)
                }
                None => diagnostic.help("a signature goes to `json.NAME`, `form.NAME`, `query.NAME` or `\"header.NAME\"`"),
            });
            return None;
        };
        let (fits, sent) = match &place {
            SignPlace::Json(_) => (matches!(encoding, Some(Encoding::Json)), "json"),
            SignPlace::Form(_) => (matches!(encoding, Some(Encoding::Form)), "form"),
            SignPlace::Query(_) | SignPlace::Header(_) => (true, ""),
        };
        if !fits {
            let diagnostic = self.mistake(field.key.span, format!("this request carries no `{sent}` body"));
            self.push(diagnostic.help(format!("give it one with `{sent} {{ … }}`, or sign its `query` or a header")));
            return None;
        }
        Some(place)
    }

    /// Declares how an action is confirmed.
    pub(super) fn confirm(
        &mut self,
        node: &syntax::Operation,
        span: Span,
        line: (&syntax::Call, &DurationLit, &DurationLit, &syntax::Expr),
        inputs: &[catalog::Input],
        output: Option<&WireType>,
    ) -> Option<Confirm> {
        let (call, every, up_to, condition) = line;
        if !node.action {
            let diagnostic = self.mistake(span, "a query changes nothing, so there is nothing to confirm");
            self.push(diagnostic.help("make it an `action`, or leave this line out"));
            return None;
        }
        let (query, operation) = self.one_query(call, "tell whether it has happened")?;
        let args = self.query_args(call, &query, &Scope::new(Place::Find, inputs));
        let (every_ms, up_to_ms) = (self.millis(every), self.millis(up_to));
        if every_ms > up_to_ms {
            let diagnostic = self.mistake(every.span, "the first read would come after the time is up");
            self.push(diagnostic.help("`every 3 s up to 15 s` reads five times"));
        }
        let when = self.condition(condition, &Scope::reading(Place::Confirm, inputs, &query.output));
        let gives_result = output.is_some_and(|output| output.ty.required() == query.output.required());
        Some(Confirm { query: operation.as_ref().clone(), args: args?, every_ms, up_to_ms, when, gives_result })
    }
}
