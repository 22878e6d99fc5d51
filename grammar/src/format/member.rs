//! Types, records and fields.

use super::Printer;
use super::expr::{Brackets, Spanned};
use super::http::code_rows;
use super::literal::{before_colon, enum_word, name, number, wire};
use crate::span::Span;
use crate::syntax::{Attribute, FromPath, Ident, NumberLit, Record, RecordField, TypeExpr, TypeKind};

impl Spanned for RecordField {
    fn span(&self) -> Span {
        self.span
    }
}

impl Printer<'_> {
    pub(super) fn ty(&mut self, ty: &TypeExpr) {
        self.ty_parts(ty, false);
    }

    /// Writes a type; with `lines`, each of several places of money on a line of its own.
    fn ty_parts(&mut self, ty: &TypeExpr, lines: bool) {
        self.inline_comments(ty.span.start);
        let mark = if ty.optional { "?" } else { "" };
        match &ty.kind {
            TypeKind::Named { name: ident, args, words, money_from, exponents, range } => {
                self.write(&name(ident));
                for (at, arg) in args.iter().enumerate() {
                    self.write(if at == 0 { "<" } else { ", " });
                    self.ty(arg);
                }
                if !args.is_empty() {
                    self.write(">");
                }
                self.write(mark);
                for word in words {
                    self.write(&format!(" {}", word.text));
                }
                for (at, (amount, currency)) in money_from.iter().enumerate() {
                    let lines = lines && money_from.len() > 1;
                    self.indent_if(lines, |p| {
                        if !lines {
                            p.inline_comments(amount.span.start);
                        }
                        p.part(lines, amount.span.start);
                        let word = if at == 0 { "from" } else { "else" };
                        p.write(&format!("{word} ({}, {})", wire(amount), wire(currency)));
                    });
                }
                if !exponents.is_empty() {
                    self.write(&format!(" {}", table(exponents)));
                }
                if let Some((low, high)) = range {
                    self.write(&format!(" {}..{}", number(low), number(high)));
                }
            }
            TypeKind::Enum(words) => {
                for (at, word) in words.iter().enumerate() {
                    self.inline_comments(word.span.start);
                    if at > 0 {
                        self.write(" | ");
                    }
                    // One word alone would be the name of a type.
                    let text = enum_word(word);
                    let alone = words.len() == 1 && !text.starts_with('"');
                    self.write(&if alone { format!("\"{text}\"") } else { text });
                }
                self.write(mark);
            }
            TypeKind::Record(fields) => {
                self.list(ty.span, Brackets::Brace, fields, |p, field| p.record_field(field));
                self.write(mark);
            }
        }
        self.inline_comments(ty.span.end);
    }

    pub(super) fn inputs(&mut self, span: Span, inputs: &[RecordField]) {
        self.list(span, Brackets::Paren, inputs, |p, input| p.record_field(input));
    }

    /// Writes a field: its type, where it comes from, its default, its attributes.
    pub(super) fn record_field(&mut self, field: &RecordField) {
        self.inline_comments(field.span.start);
        self.docs(&field.docs);
        let several = field.from.len() > 1
            || matches!(&field.ty.kind, TypeKind::Named { money_from, .. } if money_from.len() > 1)
            || !field.codes.is_empty()
            || field.otherwise.is_some();
        self.group(field.span, |p| p.field_parts(field, false), |p| p.field_parts(field, several));
        self.inline_comments(field.span.end);
    }

    fn field_parts(&mut self, field: &RecordField, lines: bool) {
        self.write(&format!("{}: ", before_colon(&field.name)));
        match &field.ty.kind {
            // Members with numbers are a table, which may be long.
            TypeKind::Enum(words) if !field.codes.is_empty() => {
                self.indented(|p| {
                    for (at, word) in words.iter().enumerate() {
                        p.inline_comments(word.span.start);
                        p.filled(&format!("{}{}", if at > 0 { " | " } else { "" }, enum_word(word)));
                    }
                });
                self.write(if field.ty.optional { "?" } else { "" });
                self.inline_comments(field.ty.span.end);
            }
            _ => self.ty_parts(&field.ty, lines),
        }
        self.indent_if(lines, |p| {
            for (at, path) in field.from.iter().enumerate() {
                p.part(lines, path.path.span.start);
                p.source_path(at, path);
            }
            if let Some((first, _)) = field.codes.first() {
                p.part(lines, first.span.start);
                p.write("codes {");
                p.indented(|p| {
                    for row in code_rows(&field.codes) {
                        p.filled(&format!(" {row}"));
                    }
                });
                p.write(" }");
            }
            if let Some(otherwise) = &field.otherwise {
                p.part(lines, otherwise.span.start);
                p.write(&format!("otherwise {}", name(otherwise)));
            }
            if let Some(default) = &field.default {
                p.inline_comments(default.span.start);
                p.write(" = ");
                p.expr(default);
            }
            for (at, attribute) in field.attributes.iter().enumerate() {
                if at == 0 {
                    p.part(lines, attribute.span.start);
                } else {
                    p.inline_comments(attribute.span.start);
                    p.write(" ");
                }
                p.attribute(attribute);
            }
        });
    }

    fn source_path(&mut self, at: usize, path: &FromPath) {
        self.inline_comments(path.path.span.start);
        self.write(if at == 0 { "from " } else { "else " });
        if path.of_event {
            self.write("event ");
        }
        self.write(&wire(&path.path));
        if let Some(condition) = &path.when {
            self.inline_comments(condition.span.start);
            self.write(" when ");
            self.expr(condition);
        }
    }

    pub(super) fn attribute(&mut self, attribute: &Attribute) {
        self.write(&format!("@{}", name(&attribute.name)));
        if !attribute.args.is_empty() {
            self.args(attribute.span, &attribute.args);
        }
    }

    /// Writes fields and summaries in the order of the source.
    pub(super) fn record(&mut self, span: Span, record: &Record) {
        self.write(&format!("record {} {{", name(&record.name)));
        if record.fields.is_empty() && record.summaries.is_empty() && !self.has_comments(span) {
            self.write("}");
            return;
        }
        self.indented(|p| {
            let mut summaries = record.summaries.iter().peekable();
            for field in &record.fields {
                while let Some(summary) = summaries.next_if(|summary| summary.span.start < field.span.start) {
                    p.summary(summary);
                }
                p.line_for(field.span.start, true);
                p.record_field(field);
            }
            for summary in summaries {
                p.summary(summary);
            }
            p.line_for_close(span.end);
        });
        self.newline();
        self.write("}");
    }

    fn summary(&mut self, summary: &crate::syntax::TextLit) {
        self.line_for(summary.span.start, true);
        self.write("summary ");
        self.text(summary);
    }
}

/// `exponents { isk: 2, ugx: 2 }`.
pub(super) fn table(rows: &[(Ident, NumberLit)]) -> String {
    let rows: Vec<String> = rows.iter().map(|(key, value)| format!("{}: {}", name(key), number(value))).collect();
    format!("exponents {{ {} }}", rows.join(", "))
}
