//! `sign` and `confirm`: what an attempt computes, and how it is known that what was accepted has happened.

use flow_grammar::span::Span;
use flow_grammar::syntax::{self, Ident, ObjectField, OperationLine, OperationLineKind};
use flow_plan::ty::Type;
use flow_plan::{Confirm, Encoding, Expr, Request, SignPlace, Signature, Value};

use super::Cx;
use super::types::WireType;
use super::wire::{Place, Scope};
use crate::catalog;
use crate::code::Code;
use crate::suggest::nearest;

/// Where a signature can be set.
const PLACES: [&str; 4] = ["json", "form", "query", "header"];

/// How long it is asked at most whether something has happened: a run waits for it with all that it holds.
const LONGEST_CONFIRM_MS: u64 = 600_000;

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
            self.check_no_type(field);
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
        line: &OperationLine,
        inputs: &[catalog::Input],
        output: Option<&WireType>,
    ) -> Option<Confirm> {
        let OperationLineKind::Confirm { query: call, every, up_to, mark, condition } = &line.kind else { return None };
        if !node.action {
            let diagnostic = self.mistake(line.span, "a query changes nothing, so there is nothing to confirm");
            self.push(diagnostic.help("make it an `action`, or leave this line out"));
            return None;
        }
        let (query, operation) = self.one_query(call, "tell whether it has happened")?;
        let args = self.query_args(call, &query, &Scope::new(Place::Find, inputs));
        let every_ms = self.millis(every);
        let longest = self.longest(up_to, inputs);
        let up_to_ms = longest.as_ref().map_or(LONGEST_CONFIRM_MS, |(ms, _)| *ms);
        if every_ms > up_to_ms {
            let diagnostic = self.mistake(every.span, "the first read would come after the time is up");
            self.push(diagnostic.help("`every 3 s up to 15 s` reads five times"));
        }
        let when = self.condition(condition, &Scope::reading(Place::Confirm, inputs, &query.output));
        let gives_result = output.is_some_and(|output| output.ty.required() == query.output.required());
        let by_input = longest?.1;
        let fields = output.filter(|_| gives_result).map(|output| self.record_fields(&output.ty)).unwrap_or_default();
        if let Some(mark) = mark {
            self.check_mark(mark, &fields);
        }
        if by_input.is_some() {
            self.check_unasked(up_to.span, mark.as_ref(), &fields);
        }
        let query = operation.as_ref().clone();
        let mark = mark.as_ref().map(|mark| mark.text.clone());
        Some(Confirm { query, args: args?, every_ms, up_to_ms, when, gives_result, up_to: by_input, mark })
    }

    /// How long it is asked whether something has happened: in milliseconds, or by an input, up to as many.
    fn longest(&mut self, up_to: &syntax::Expr, inputs: &[catalog::Input]) -> Option<(u64, Option<Expr>)> {
        let typed = self.wire(up_to, &Scope::new(Place::Find, inputs));
        match (&typed.expr, typed.ty.required()) {
            (Expr::Const(Value::Duration(time)), _) => {
                let ms = u64::try_from(time.approximate_millis()).unwrap_or(0);
                if ms > LONGEST_CONFIRM_MS {
                    self.push(self.mistake(up_to.span, "a confirmation is waited for at most 10 minutes"));
                }
                Some((ms.min(LONGEST_CONFIRM_MS), None))
            }
            (_, Type::Duration) => Some((LONGEST_CONFIRM_MS, Some(typed.expr))),
            (_, Type::Unknown) => None,
            (_, other) => {
                let message = format!("a length of time is expected, found {other}");
                self.push(self.diagnostic(Code::E301, up_to.span, message));
                None
            }
        }
    }

    /// `as confirmed`: the field says that it was, and is missing where nobody asked.
    fn check_mark(&mut self, mark: &Ident, fields: &[catalog::Field]) {
        let Some(field) = fields.iter().find(|field| field.name == mark.text) else {
            let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
            self.unknown(mark.span, format!("the result has no field `{}`", mark.text), &mark.text, names);
            return;
        };
        if field.ty != Type::Bool.optional() {
            let diagnostic = self.mistake(mark.span, format!("`{}` is {}", mark.text, field.ty));
            self.push(diagnostic.help("what says whether it was confirmed is `bool?`: missing where nobody asked"));
        }
    }

    /// Where an input says how long, it may be nothing: then nothing is read.
    fn check_unasked(&mut self, span: Span, mark: Option<&Ident>, fields: &[catalog::Field]) {
        let mut others = fields.iter().filter(|field| mark.is_none_or(|mark| field.name != mark.text));
        let needed = others.find(|field| !field.ty.can_be_missing() && field.shape.default.is_none());
        if let Some(needed) = needed {
            let diagnostic = self.mistake(span, format!("`{}` is not known where nobody asks", needed.name));
            self.push(diagnostic.help(format!("let it be missing, `{}: {}?`, or give it a default", needed.name, needed.ty)));
        }
    }

    /// The fields of a record.
    fn record_fields(&self, ty: &Type) -> Vec<catalog::Field> {
        let Type::Record(of) = ty.required() else { return Vec::new() };
        self.records.get(&of.name).and_then(Option::as_ref).map(|record| record.fields.clone()).unwrap_or_default()
    }
}
