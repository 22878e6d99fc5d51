//! Sources, requests and the lines of operations.

use super::Printer;
use super::connector::{idents, numbers};
use super::expr::{Brackets, Spanned};
use super::literal::{duration, key, name, number, path, wire};
use crate::span::Span;
use crate::syntax::{
    AnswerForm, Codes, DoneOn, EffectLine, Expr, HttpOperation, Ident, NumberLit, OperationLine, OperationLineKind, Order,
    Registered, Request, RequestField, Source, SourceLine, SourceLineKind, TextLit, WirePath,
};

/// A part of `registered`.
enum Part<'a> {
    Path(&'a WirePath),
    Condition(&'a Expr),
}

/// A body on one line has at most this many lines behind its request.
const SHORT_LINES: usize = 2;

/// `locked: 1, 6`, `unlocked: 2`.
pub(super) fn code_rows(table: &[(Ident, Vec<NumberLit>)]) -> Vec<String> {
    table.iter().map(|(word, codes)| format!("{}: {}", name(word), numbers(codes))).collect()
}

impl Spanned for RequestField {
    fn span(&self) -> Span {
        self.field.span
    }
}

impl Printer<'_> {
    pub(super) fn source_lines(&mut self, span: Span, source: &Source) {
        self.write("{");
        self.indented(|p| {
            for line in &source.lines {
                p.line_for(line.span.start, true);
                p.source_line(line);
                p.inline_comments(line.span.end);
            }
            p.line_for_close(span.end);
        });
        self.newline();
        self.write("}");
    }

    /// `{ poll GET "/x" every 5 minutes items "data" }`.
    pub(super) fn short_source(&mut self, source: &Source) {
        self.write("{");
        for line in &source.lines {
            self.write(" ");
            self.source_line(line);
        }
        self.write(" }");
    }

    fn source_line(&mut self, line: &SourceLine) {
        let simple = |word: &str, path| format!("{word} {}", wire(path));
        match &line.kind {
            SourceLineKind::Webhook { whole, verify } => {
                self.write(if *whole { "webhook whole verify " } else { "webhook verify " });
                self.call(verify);
            }
            SourceLineKind::Register { request, secret_at, id_at } => {
                let secret = secret_at.as_ref().map(|path| (path.span.start, format!("secret at {}", wire(path))));
                let id = id_at.as_ref().map(|path| (path.span.start, format!("id at {}", wire(path))));
                let behind: Vec<(u32, String)> = secret.into_iter().chain(id).collect();
                self.request_line(line.span, "register", request, &behind);
            }
            SourceLineKind::Unregister(request) => self.request_line(line.span, "unregister", request, &[]),
            SourceLineKind::Update(request) => self.request_line(line.span, "update", request, &[]),
            SourceLineKind::Registered(registered) => self.registered(line.span, registered),
            SourceLineKind::Poll { request, every, within_quota, when_changes } => {
                let mut behind = Vec::new();
                if let Some(every) = every {
                    let within = if *within_quota { " within quota" } else { "" };
                    behind.push((every.span.start, format!("every {}{within}", duration(every))));
                }
                if let Some(first) = when_changes.first() {
                    behind.push((first.span.start, format!("when {} changes", path(when_changes))));
                }
                self.request_line(line.span, "poll", request, &behind);
            }
            SourceLineKind::Listen { by, pattern, clears, every } => {
                self.write(&format!("listen {}", name(by)));
                for (word, text) in [(" as ", pattern), (" clears ", clears)] {
                    if let Some(text) = text {
                        self.inline_comments(text.span.start);
                        self.write(word);
                        self.text(text);
                    }
                }
                if let Some(every) = every {
                    self.inline_comments(every.span.start);
                    self.write(&format!(" every {}", duration(every)));
                }
            }
            SourceLineKind::Items(path) => self.write(&simple("items", path)),
            SourceLineKind::Pages { param, from, of, more } => self.pages(param, from, of.as_ref(), more.as_ref()),
            SourceLineKind::Cursor(path, more) => {
                self.write(&simple("cursor", path));
                if let Some(more) = more {
                    self.write(&format!(" + {}", number(more)));
                }
            }
            SourceLineKind::Order(order) => self.order(order),
            SourceLineKind::Seen(paths) => {
                let texts: Vec<String> = paths.iter().map(wire).collect();
                match texts.as_slice() {
                    [one] => self.write(&format!("seen {one}")),
                    _ => self.write(&format!("seen ({})", texts.join(", "))),
                }
            }
            SourceLineKind::History(time) => self.write(&format!("history {}", duration(time))),
            SourceLineKind::First(word) => self.write(&format!("first {}", name(word))),
            SourceLineKind::Type(path) => self.write(&simple("type", path)),
            SourceLineKind::Id { path, else_body } => {
                self.write(&simple("id", path));
                if *else_body {
                    self.write(" else body");
                }
            }
            SourceLineKind::At(path, scheme) => {
                self.write(&simple("at", path));
                if let Some(scheme) = scheme {
                    self.write(&format!(" {}", name(scheme)));
                }
            }
            SourceLineKind::Object(path) => self.write(&simple("object", path)),
            SourceLineKind::Refuse { quietly, when, because } => {
                self.write(if *quietly { "ignore when " } else { "refuse when " });
                self.expr(when);
                if let Some(reason) = because {
                    self.inline_comments(reason.span.start);
                    self.write(" because ");
                    self.text(reason);
                }
            }
            SourceLineKind::Codes(codes) => self.codes(codes),
            SourceLineKind::Along(fields) => {
                self.write("with ");
                self.expr(fields);
            }
            SourceLineKind::Told(told) => {
                self.write("otherwise ");
                self.expr(&told.value);
                let rows: Vec<String> =
                    told.table.iter().map(|(word, members)| format!("{}: {}", name(word), idents(members))).collect();
                self.write(&format!(" {{ {} }} at ", rows.join(" ")));
                self.inline_comments(told.at.span.start);
                self.expr(&told.at);
            }
        }
    }

    fn pages(&mut self, param: &Ident, from: &Expr, of: Option<&NumberLit>, more: Option<&WirePath>) {
        self.write(&format!("pages {} ", name(param)));
        self.expr(from);
        if let Some(of) = of {
            self.inline_comments(of.span.start);
            self.write(&format!(" of {}", number(of)));
        }
        if let Some(more) = more {
            self.inline_comments(more.span.start);
            self.write(&format!(" while {}", wire(more)));
        }
    }

    fn order(&mut self, order: &Order) {
        self.write(&format!("order {} by {}", name(&order.first), wire(&order.by)));
        if let Some(scheme) = &order.scheme {
            self.write(&format!(" {}", name(scheme)));
        }
        if let Some(then) = &order.then {
            self.inline_comments(then.span.start);
            self.write(&format!(" then {}", wire(then)));
        }
    }

    fn codes(&mut self, codes: &Codes) {
        self.write(&format!("codes {} {{ {} }}", wire(&codes.path), code_rows(&codes.table).join(" ")));
        if let Some(word) = &codes.collapse {
            self.inline_comments(word.span.start);
            self.write(&format!(" collapse {}", name(word)));
            if !codes.among.is_empty() {
                self.write(&format!(" of {}", idents(&codes.among)));
            }
        }
    }

    /// How what is registered is read: a part on each line, since there are many.
    fn registered(&mut self, span: Span, registered: &Registered) {
        let paths = [
            ("list at", &registered.list_at),
            ("id at", &registered.id_at),
            ("url at", &registered.url_at),
            ("events at", &registered.events_at),
        ];
        let conditions = [
            ("where", &registered.ours),
            ("update unless", &registered.update_unless),
            ("replace unless", &registered.replace_unless),
        ];
        let write = |p: &mut Printer<'_>, lines: bool| {
            p.write("registered ");
            p.request_parts(&registered.request, lines);
            p.indent_if(lines, |p| {
                // In the order of the text, so that comments stay where they are.
                let mut parts: Vec<(u32, &str, Part<'_>)> = Vec::new();
                parts.extend(
                    paths.iter().filter_map(|(word, path)| path.as_ref().map(|path| (path.span.start, *word, Part::Path(path)))),
                );
                parts.extend(conditions.iter().filter_map(|(word, condition)| {
                    condition.as_ref().map(|condition| (condition.span.start, *word, Part::Condition(condition)))
                }));
                parts.sort_by_key(|(start, ..)| *start);
                for (start, word, part) in parts {
                    p.part(lines, start);
                    p.write(&format!("{word} "));
                    match part {
                        Part::Path(path) => p.write(&wire(path)),
                        Part::Condition(condition) => p.condition(condition),
                    }
                }
            });
        };
        self.group(span, |p| write(p, false), |p| write(p, true));
    }

    /// A request with a word before it and parts behind it, on one line or each on its own.
    fn request_line(&mut self, span: Span, word: &str, request: &Request, behind: &[(u32, String)]) {
        let write = |p: &mut Printer<'_>, lines: bool| {
            p.write(&format!("{word} "));
            p.request_parts(request, lines);
            p.indent_if(lines, |p| {
                for (start, text) in behind {
                    p.part(lines, *start);
                    p.write(text);
                }
            });
        };
        self.group(span, |p| write(p, false), |p| write(p, true));
    }

    /// A request on one line, or each of its parts on a line of its own.
    pub(super) fn request(&mut self, request: &Request) {
        self.group(request.span, |p| p.request_parts(request, false), |p| p.request_parts(request, true));
    }

    fn request_parts(&mut self, request: &Request, lines: bool) {
        if let ("send", Some(body)) = (request.method.text.as_str(), request.bodies.first()) {
            self.write("send ");
            self.inline_comments(body.value.span.start);
            return self.expr(&body.value);
        }
        self.write(&format!("{} ", request.method.text));
        if let Some(address) = &request.address {
            if let Some(method) = &address.method {
                self.write(&format!("{} ", name(method)));
            }
            self.inline_comments(address.url.span.start);
            self.write("at ");
            self.expr(&address.url);
        } else {
            self.inline_comments(request.path.span.start);
            self.text(&request.path);
        }
        if let Some(via) = &request.via {
            self.inline_comments(via.span.start);
            self.write(&format!(" via {}", name(via)));
        }
        self.indent_if(lines, |p| {
            if !request.query.is_empty() {
                let span = p.around(&request.query);
                p.part(lines, span.start);
                p.write("query ");
                p.list(span, Brackets::Brace, &request.query, |p, field| p.request_field(field));
            }
            if let Some(fields) = &request.more_query {
                p.part(lines, fields.span.start);
                p.write(&format!("query {}", name(fields)));
            }
            for body in &request.bodies {
                p.part(lines, body.encoding.span.start);
                p.write(&format!("{} ", body.encoding.text));
                p.expr(&body.value);
                if let Some(nulls) = &body.nulls {
                    p.inline_comments(nulls.span.start);
                    p.write(" null ");
                    p.expr(nulls);
                }
            }
            for (header, value) in &request.headers {
                p.part(lines, header.span.start);
                p.write("header ");
                p.text(header);
                p.write(" ");
                p.expr(value);
            }
            if let Some(fields) = &request.more_headers {
                p.part(lines, fields.span.start);
                p.write(&format!("headers {}", name(fields)));
            }
        });
    }

    fn request_field(&mut self, field: &RequestField) {
        self.field(&field.field);
        if let Some(chunk) = &field.chunk {
            self.inline_comments(chunk.span.start);
            self.write(&format!(" chunk {}", number(chunk)));
        }
    }

    pub(super) fn http_lines(&mut self, span: Span, http: &HttpOperation) {
        self.write("{");
        self.indented(|p| {
            p.line_for(http.request.span.start, true);
            p.request(&http.request);
            for line in &http.lines {
                p.line_for(line.span.start, true);
                p.operation_line(line);
                p.inline_comments(line.span.end);
            }
            p.line_for_close(span.end);
        });
        self.newline();
        self.write("}");
    }

    /// `{ GET "/x" at "data" }`, as part of a line.
    pub(super) fn short_http(&mut self, http: &HttpOperation) {
        if http.lines.len() > SHORT_LINES {
            self.newline();
            return;
        }
        self.write("{ ");
        self.request(&http.request);
        for line in &http.lines {
            self.write(" ");
            self.operation_line(line);
        }
        self.write(" }");
    }

    fn operation_line(&mut self, line: &OperationLine) {
        match &line.kind {
            OperationLineKind::At(path) => self.write(&format!("at {}", wire(path))),
            OperationLineKind::NoneOn(statuses) => self.write(&format!("none on {}", numbers(statuses))),
            OperationLineKind::NoneWhen(condition) => {
                self.write("none when ");
                self.condition(condition);
            }
            OperationLineKind::First(condition) => {
                self.write("first");
                if let Some(condition) = condition {
                    self.write(" where ");
                    self.condition(condition);
                }
            }
            OperationLineKind::RefusedWhen(condition, because) => self.refusal("refused when ", condition, because.as_ref()),
            OperationLineKind::RefusedUnless(condition, because) => {
                self.refusal("refused unless ", condition, because.as_ref());
            }
            OperationLineKind::Refuse { when, because } => self.refusal("refuse when ", when, because.as_ref()),
            OperationLineKind::Effect(effect) => self.effect(effect),
            OperationLineKind::Sign(fields) => {
                self.write("sign ");
                self.object(line.span, fields);
            }
            OperationLineKind::Confirm { query, every, up_to, mark, condition } => {
                self.write("confirm ");
                self.call(query);
                self.inline_comments(every.span.start);
                self.write(&format!(" every {}", duration(every)));
                self.inline_comments(up_to.span.start);
                self.write(" up to ");
                self.expr(up_to);
                if let Some(mark) = mark {
                    self.inline_comments(mark.span.start);
                    self.write(&format!(" as {}", name(mark)));
                }
                self.write(" where ");
                self.condition(condition);
            }
            OperationLineKind::Emits(nodes) => {
                let names: Vec<String> = nodes.iter().map(|node| key(&node.name, node.quoted)).collect();
                self.write(&format!("emits {}", names.join(", ")));
            }
            OperationLineKind::RetryOn(statuses) => self.write(&format!("retry on {}", numbers(statuses))),
            OperationLineKind::RetryAfter(pauses) => {
                let pauses: Vec<String> = pauses.iter().map(duration).collect();
                self.write(&format!("retry after {}", pauses.join(", ")));
            }
            OperationLineKind::OneOf(names) => self.write(&format!("one of ({})", idents(names))),
            OperationLineKind::Pages { param, from, of, more } => self.pages(param, from, of.as_ref(), more.as_ref()),
            OperationLineKind::Order(order) => self.order(order),
            OperationLineKind::Codes(codes) => self.codes(codes),
            OperationLineKind::Only(kind) => {
                self.write("only ");
                self.text(kind);
            }
            OperationLineKind::Since(since) => {
                self.write("since ");
                self.expr(since);
            }
            OperationLineKind::UpTo(most) => {
                self.write("up to ");
                self.expr(most);
            }
            OperationLineKind::Answer(form) => match form {
                AnswerForm::Text => self.write("answer text"),
                AnswerForm::Whole => self.write("answer whole"),
                AnswerForm::JsonIn(path) => self.write(&format!("answer json in {}", wire(path))),
            },
            OperationLineKind::DoneOn(DoneOn::Statuses(statuses)) => self.write(&format!("done on {}", numbers(statuses))),
            OperationLineKind::DoneOn(DoneOn::Input(input)) => self.write(&format!("done on {}", name(input))),
            OperationLineKind::Timeout(time) => {
                self.write("timeout ");
                self.expr(time);
            }
            OperationLineKind::BodyUpTo(count) => self.write(&format!("body up to {} bytes", number(count))),
            OperationLineKind::OnceMore => self.write("once more"),
            OperationLineKind::RetryNever => self.write("retry never"),
            OperationLineKind::WarnUnless { names, because } => {
                self.write(&format!("warn unless one of ({})", idents(names)));
                self.inline_comments(because.span.start);
                self.write(" because ");
                self.text(because);
            }
        }
    }

    fn refusal(&mut self, words: &str, condition: &Expr, because: Option<&TextLit>) {
        self.write(words);
        self.condition(condition);
        if let Some(because) = because {
            self.inline_comments(because.span.start);
            self.write(" because ");
            self.text(because);
        }
    }

    fn effect(&mut self, effect: &EffectLine) {
        match effect {
            EffectLine::Read => self.write("effect read"),
            EffectLine::Set => self.write("effect set"),
            EffectLine::Once => self.write("effect once"),
            EffectLine::Keyed { header, window } => {
                self.write("effect keyed header ");
                self.text(header);
                self.inline_comments(window.span.start);
                self.write(&format!(" for {}", duration(window)));
            }
            EffectLine::Findable { query, find_on } => {
                self.write("effect findable by ");
                self.call(query);
                if !find_on.is_empty() {
                    self.write(&format!(" on {} find", numbers(find_on)));
                }
            }
        }
    }
}
