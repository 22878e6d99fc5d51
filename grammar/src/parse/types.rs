//! Types, records and their fields.

use super::{Builder, Node, Parts};
use crate::diagnose;
use crate::grammar::Rule;
use crate::span::Span;
use crate::syntax::{Attribute, FromPath, Ident, NumberLit, Record, RecordField, TextLit, TypeExpr, TypeKind, WirePath};

impl<'s> Builder<'s> {
    pub(super) fn take_type(&mut self, parts: &mut Parts<'s>) -> TypeExpr {
        match parts.take(Rule::r#type) {
            Some(node) => self.ty(node),
            None => TypeExpr { span: Span::default(), optional: false, kind: TypeKind::Enum(Vec::new()) },
        }
    }

    pub(super) fn ty(&mut self, node: Node<'s>) -> TypeExpr {
        let span = self.span(&node);
        let mut parts = Parts::of(node);
        let mut optional = false;
        let kind = match parts.next() {
            Some(node) if node.as_rule() == Rule::record_type => TypeKind::Record(self.record_fields(node)),
            Some(node) if node.as_rule() == Rule::enum_type => TypeKind::Enum(self.enum_words(node)),
            Some(node) => self.named_type(node, &mut optional),
            None => TypeKind::Enum(Vec::new()),
        };
        optional |= parts.take(Rule::optional).is_some();
        TypeExpr { span, optional, kind }
    }

    fn enum_words(&mut self, node: Node<'s>) -> Vec<Ident> {
        node.into_inner()
            .map(|word| {
                if word.as_rule() == Rule::key_text {
                    Ident { text: self.plain_text(&word), span: self.span(&word) }
                } else {
                    self.ident(&word)
                }
            })
            .collect()
    }

    fn named_type(&mut self, node: Node<'s>, optional: &mut bool) -> TypeKind {
        let mut parts = Parts::of(node);
        let name = self.take_ident(&mut parts);
        let mut args = Vec::new();
        let mut words = Vec::new();
        let mut money_from = Vec::new();
        let mut exponents = Vec::new();
        let mut range = None;
        while let Some(part) = parts.next() {
            match part.as_rule() {
                Rule::optional => *optional = true,
                Rule::type_word => words.push(self.ident(&part)),
                Rule::type_args => {
                    for arg in part.into_inner().filter(|arg| arg.as_rule() == Rule::r#type) {
                        args.push(self.ty(arg));
                    }
                }
                Rule::money_from => {
                    let mut inner = Parts::of(part);
                    while inner.peek().is_some() {
                        let amount = self.take_wire(&mut inner);
                        money_from.push((amount, self.take_wire(&mut inner)));
                        inner.take(Rule::rparen);
                    }
                }
                Rule::exponents => {
                    exponents = self.exponents(&mut Parts::of(part));
                }
                Rule::range => {
                    let mut inner = Parts::of(part);
                    let from = self.take_number(&mut inner);
                    range = Some((from, self.take_number(&mut inner)));
                }
                _ => {}
            }
        }
        TypeKind::Named { name, args, words, money_from, exponents, range }
    }

    /// `isk: 2, ugx: 2`.
    pub(super) fn exponents(&mut self, parts: &mut Parts<'s>) -> Vec<(Ident, NumberLit)> {
        let mut table = Vec::new();
        parts.take(Rule::lbrace);
        while parts.peek() == Some(Rule::name) {
            let currency = self.take_ident(parts);
            parts.take(Rule::colon);
            table.push((currency, self.take_number(parts)));
        }
        table
    }

    pub(super) fn take_wire(&mut self, parts: &mut Parts<'s>) -> WirePath {
        match parts.find(Rule::wire) {
            Some(node) => self.wire(node),
            None => WirePath { span: Span::default(), text: String::new(), quoted: true },
        }
    }

    pub(super) fn wire(&mut self, node: Node<'s>) -> WirePath {
        let span = self.span(&node);
        let mut parts = Parts::of(node);
        if let Some(text) = parts.take(Rule::key_text) {
            return WirePath { span, text: self.plain_text(&text), quoted: true };
        }
        let names: Vec<String> = self.take_path(&mut parts).into_iter().map(|name| name.text).collect();
        WirePath { span, text: names.join("."), quoted: false }
    }

    pub(super) fn record(&mut self, parts: &mut Parts<'s>) -> Record {
        let name = self.take_ident(parts);
        let mut fields = Vec::new();
        let mut summaries: Vec<TextLit> = Vec::new();
        let mut lines = diagnose::Lines::new(Rule::only_fields, name.span);
        while let Some(part) = parts.next() {
            let at = self.span(&part);
            match part.as_rule() {
                Rule::lbrace => lines.open(at),
                Rule::unclosed => lines.unclosed(at),
                Rule::bad => {
                    lines.bad(at);
                }
                Rule::summary => {
                    lines.good(at, self.source, &mut self.errors);
                    summaries.push(self.take_text(&mut Parts::of(part)));
                }
                Rule::record_field => {
                    lines.good(at, self.source, &mut self.errors);
                    fields.push(self.record_field(part));
                }
                _ => {}
            }
        }
        lines.finish(self.source, &mut self.errors);
        Record { name, fields, summaries }
    }

    pub(super) fn take_inputs(&mut self, parts: &mut Parts<'s>) -> Vec<RecordField> {
        match parts.take(Rule::inputs) {
            Some(node) => self.record_fields(node),
            None => Vec::new(),
        }
    }

    pub(super) fn record_fields(&mut self, node: Node<'s>) -> Vec<RecordField> {
        node.into_inner().filter(|field| field.as_rule() == Rule::record_field).map(|field| self.record_field(field)).collect()
    }

    fn record_field(&mut self, node: Node<'s>) -> RecordField {
        let span = self.span(&node);
        let docs = self.docs(span.start);
        let mut parts = Parts::of(node);
        let name = match parts.take(Rule::arg_word) {
            Some(word) => self.ident(&word),
            None => self.take_ident(&mut parts),
        };
        parts.take(Rule::colon);
        let ty = self.take_type(&mut parts);
        let mut from = Vec::new();
        let mut codes = Vec::new();
        let mut otherwise = None;
        let mut default = None;
        let mut attributes = Vec::new();
        while let Some(part) = parts.next() {
            let at = self.span(&part);
            match part.as_rule() {
                Rule::from_paths => {
                    if !from.is_empty() {
                        self.errors.push(diagnose::twice(self.source, at));
                    }
                    for path in part.into_inner() {
                        from.push(self.source_path(path));
                    }
                }
                Rule::field_codes => {
                    if !std::mem::replace(&mut codes, self.code_rows(&mut Parts::of(part))).is_empty() {
                        self.errors.push(diagnose::twice(self.source, at));
                    }
                }
                Rule::otherwise_member => {
                    if otherwise.replace(self.take_ident(&mut Parts::of(part))).is_some() {
                        self.errors.push(diagnose::twice(self.source, at));
                    }
                }
                Rule::default => {
                    let mut inner = Parts::of(part);
                    inner.take(Rule::assign);
                    if default.replace(self.take_expr(&mut inner)).is_some() {
                        self.errors.push(diagnose::twice(self.source, at));
                    }
                }
                _ => attributes.push(self.attribute(part)),
            }
        }
        RecordField { span, docs, name, ty, from, codes, otherwise, default, attributes }
    }

    fn source_path(&mut self, node: Node<'s>) -> FromPath {
        let mut parts = Parts::of(node);
        let of_event = parts.take(Rule::of_event).is_some();
        let path = self.take_wire(&mut parts);
        let when = parts.peek().map(|_| self.take_expr(&mut parts));
        FromPath { path, of_event, when }
    }

    pub(super) fn attribute(&mut self, node: Node<'s>) -> Attribute {
        let span = self.span(&node);
        let mut parts = Parts::of(node);
        let name = self.take_ident(&mut parts);
        let (args, _) = self.take_args(&mut parts);
        Attribute { span, name, args }
    }
}
