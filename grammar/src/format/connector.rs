//! Connectors.

use super::Printer;
use super::literal::{duration, name, number, path, rate, wire};
use super::member::table;
use crate::span::Span;
use crate::syntax::{Connector, Member, MemberKind, NumberLit, Operation, OperationBody, StateDecl, Trigger};

impl Printer<'_> {
    pub(crate) fn connector(&mut self, connector: &Connector) {
        self.docs(&connector.docs);
        self.write(&format!("connector {}", name(&connector.name)));
        if let Some(title) = &connector.title {
            self.inline_comments(title.span.start);
            self.write(" ");
            self.text(title);
        }
        self.write(" {");
        if connector.members.is_empty() && !self.has_comments(connector.span) {
            self.write("}");
            return;
        }
        self.indented(|p| {
            for member in &connector.members {
                p.line_for(member.span.start, true);
                p.docs(&member.docs);
                p.member(member);
                p.inline_comments(member.span.end);
            }
            p.line_for_close(connector.span.end);
        });
        self.newline();
        self.write("}");
    }

    fn member(&mut self, member: &Member) {
        match &member.kind {
            MemberKind::Docs(text) => {
                self.write("docs ");
                self.text(text);
            }
            MemberKind::Secret { name: ident, optional, hint, hex_digits, starts_with } => {
                self.write(&format!("secret {}{}", name(ident), if *optional { ": text?" } else { "" }));
                if let Some(hint) = hint {
                    self.inline_comments(hint.span.start);
                    self.write(" ");
                    self.text(hint);
                }
                if let Some(count) = hex_digits {
                    self.inline_comments(count.span.start);
                    self.write(&format!(" of {} hex digits", number(count)));
                }
                for (at, text) in starts_with.iter().enumerate() {
                    self.inline_comments(text.span.start);
                    self.write(if at == 0 { " starts with " } else { ", " });
                    self.text(text);
                }
            }
            MemberKind::Setting { name: ident, ty, default } => {
                self.write(&format!("setting {}: ", name(ident)));
                self.ty(ty);
                if let Some(default) = default {
                    self.inline_comments(default.span.start);
                    self.write(" = ");
                    self.expr(default);
                }
            }
            MemberKind::Base(text, when) => {
                self.write("base ");
                self.text(text);
                if let Some(when) = when {
                    self.inline_comments(when.span.start);
                    self.write(" when ");
                    self.condition(when);
                }
            }
            MemberKind::Refused { unless, condition } => {
                self.write(if *unless { "refused unless " } else { "refused when " });
                self.condition(condition);
            }
            MemberKind::Api { name: ident, members } => {
                self.write(&format!("api {} {{", name(ident)));
                self.indented(|p| {
                    for inner in members {
                        p.line_for(inner.span.start, true);
                        p.docs(&inner.docs);
                        p.member(inner);
                        p.inline_comments(inner.span.end);
                    }
                    p.line_for_close(member.span.end);
                });
                self.newline();
                self.write("}");
            }
            MemberKind::Auth(call) => {
                self.write("auth ");
                self.call(call);
            }
            MemberKind::Via(call) => {
                self.write("via ");
                self.call(call);
            }
            MemberKind::Header(header, value) => {
                self.write("header ");
                self.text(header);
                self.inline_comments(value.span.start);
                self.write(" ");
                self.expr(value);
            }
            MemberKind::LimitAtOnce(count) => self.write(&format!("limit {} at once", number(count))),
            MemberKind::Limit(count, every) => self.write(&format!("limit {} per {}", number(count), rate(every))),
            MemberKind::Quota { count, every, shared_by, spent_on } => {
                self.write(&format!("quota {} per {}", number(count), rate(every)));
                if let Some(secret) = shared_by {
                    self.write(&format!(" shared by {}", name(secret)));
                }
                if !spent_on.is_empty() {
                    self.write(&format!(" spent on {}", numbers(spent_on)));
                }
            }
            MemberKind::RetryOn(statuses) => self.write(&format!("retry on {}", numbers(statuses))),
            MemberKind::RetryBy(header) => {
                self.write("retry by header ");
                self.text(header);
            }
            MemberKind::BrokenOn(statuses) => self.write(&format!("broken on {}", numbers(statuses))),
            MemberKind::BrokenWhen(condition) => {
                self.write("broken when ");
                self.condition(condition);
            }
            MemberKind::Spends(path) => self.write(&format!("spends {}", wire(path))),
            MemberKind::WaitAt(path) => self.write(&format!("retry after {}", wire(path))),
            MemberKind::OneOf(names) => self.write(&format!("one of ({})", idents(names))),
            MemberKind::ErrorText(texts) => {
                self.write("error text ");
                for (at, text) in texts.iter().enumerate() {
                    if at > 0 {
                        self.inline_comments(text.span.start);
                        self.write(" else ");
                    }
                    self.text(text);
                }
            }
            MemberKind::HelpOn(statuses, text) => {
                self.write(&format!("help on {} ", numbers(statuses)));
                self.text(text);
            }
            MemberKind::Exponents(rows) => self.write(&table(rows)),
            MemberKind::CheckVia => self.write("check via"),
            MemberKind::Check(http) => {
                self.group(
                    member.span,
                    |p| {
                        p.write("check ");
                        p.short_http(http);
                    },
                    |p| {
                        p.write("check ");
                        p.http_lines(member.span, http);
                    },
                );
            }
            MemberKind::Record(record) => self.record(member.span, record),
            MemberKind::Source(source) => {
                self.write("source ");
                if let Some(ident) = &source.name {
                    self.write(&format!("{} ", name(ident)));
                }
                self.source_lines(member.span, source);
            }
            MemberKind::Trigger(trigger) => {
                self.group(member.span, |p| p.trigger(member.span, trigger, false), |p| p.trigger(member.span, trigger, true));
            }
            MemberKind::State(state) => self.state(state),
            MemberKind::Operation(operation) => self.operation(member.span, operation),
            MemberKind::Resolver { record, from, action } => {
                self.write(&format!("resolver {} from {} = {}", name(record), name(from), name(action)));
            }
            MemberKind::Bad => self.write(member.span.text(self.source_text()).trim()),
        }
    }

    fn trigger(&mut self, span: Span, trigger: &Trigger, lines: bool) {
        self.write(&format!("trigger {}", name(&trigger.name)));
        if !trigger.options.is_empty() {
            let options = self.around(&trigger.options);
            self.inputs(options, &trigger.options);
        }
        if let Some(record) = &trigger.record {
            self.write(": ");
            self.ty(record);
        }
        if let Some(state) = &trigger.state {
            self.inline_comments(state.span.start);
            self.write(" from state ");
            self.state_pattern(state);
        }
        if let Some(source) = &trigger.source {
            self.inline_comments(source.span.start);
            self.write(&format!(" from {}", name(source)));
            if let Some(option) = &trigger.types_of {
                self.inline_comments(option.span.start);
                self.write(&format!(" of {}", name(option)));
            }
            for (at, event) in trigger.types.iter().enumerate() {
                self.write(if at > 0 { ", " } else { " " });
                self.inline_comments(event.span.start);
                self.text(event);
            }
        }
        self.indent_if(lines, |p| {
            if let Some(condition) = &trigger.condition {
                p.part(lines, condition.span.start);
                p.write("where ");
                p.condition(condition);
            }
            if let Some(key) = &trigger.dedupe {
                p.part(lines, key.span.start);
                p.write("dedupe by ");
                p.expr(key);
            }
            if let Some(example) = &trigger.example {
                p.part(lines, example.span.start);
                p.write("example ");
                p.text(example);
            }
            for summary in &trigger.summaries {
                p.part(lines, summary.span.start);
                p.write("summary ");
                p.text(summary);
            }
        });
        if let Some(source) = &trigger.own_source {
            self.write(" ");
            if self.is_flat() {
                self.short_source(source);
            } else {
                self.source_lines(span, source);
            }
        }
    }

    fn state(&mut self, state: &StateDecl) {
        self.write(&format!("state {}: ", name(&state.name)));
        self.ty(&state.ty);
        if let Some(from) = &state.from {
            self.inline_comments(from.span.start);
            self.write(" from query ");
            self.expr(from);
        }
        if let Some(every) = &state.every {
            self.inline_comments(every.span.start);
            let within = if state.within_quota { " within quota" } else { "" };
            self.write(&format!(" every {}{within}", duration(every)));
        }
    }

    fn operation(&mut self, span: Span, operation: &Operation) {
        self.group(
            span,
            |p| {
                p.operation_head(operation);
                match &operation.body {
                    OperationBody::Http(http) => p.short_http(http),
                    OperationBody::Steps(_) => p.newline(),
                }
            },
            |p| {
                p.with_reserve(2, |p| p.operation_head(operation));
                match &operation.body {
                    OperationBody::Http(http) => p.http_lines(span, http),
                    OperationBody::Steps(block) => p.broken_block(block),
                }
            },
        );
    }

    fn operation_head(&mut self, operation: &Operation) {
        let word = if operation.action { "action" } else { "query" };
        let start = format!("{word} {}", name(&operation.name));
        let output = self.flat(|p| p.operation_output(operation));
        self.write(&start);
        if !operation.inputs.is_empty() {
            let inputs = self.around(&operation.inputs);
            let flat = self.flat(|p| p.inputs(inputs, &operation.inputs));
            if self.is_flat() || !self.has_comments(inputs) && self.fits(&format!("{flat} {output}")) {
                self.write(&flat);
                self.skip_to(inputs.end);
            } else {
                self.write("(");
                self.broken_list(inputs, &operation.inputs, |p, input| p.record_field(input));
                self.write(")");
                self.skip_to(inputs.end);
            }
        }
        self.operation_output(operation);
        self.write(" ");
    }

    fn operation_output(&mut self, operation: &Operation) {
        if let Some(output) = &operation.output {
            self.write(" -> ");
            self.ty(output);
        }
        for attribute in &operation.attributes {
            self.inline_comments(attribute.span.start);
            self.write(" ");
            self.attribute(attribute);
        }
    }
}

/// `409, 423`, as statuses are written.
pub(super) fn numbers(numbers: &[NumberLit]) -> String {
    let texts: Vec<String> = numbers.iter().map(number).collect();
    texts.join(", ")
}

/// `a, b`.
pub(super) fn idents(idents: &[crate::syntax::Ident]) -> String {
    let texts: Vec<String> = idents.iter().map(|ident| path(std::slice::from_ref(ident))).collect();
    texts.join(", ")
}
