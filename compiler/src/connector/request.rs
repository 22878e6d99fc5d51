//! Requests: path, query, headers, body.

use flow_grammar::span::Span;
use flow_grammar::syntax::{self, TextPart};
use flow_plan::ty::Type;
use flow_plan::{Body, Encoding, Expr, PathPart, QueryField, Request, Value};

use super::Cx;
use super::wire::Scope;
use crate::code::Code;

/// The methods that an input can choose.
const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];

impl Cx<'_> {
    /// Declares a request.
    pub(super) fn request(&mut self, node: &syntax::Request, scope: &Scope<'_>) -> Request {
        if node.method.text == flow_plan::SEND {
            self.check_send(node);
            let body = node.bodies.first().and_then(|body| self.body(node, body, scope));
            return Request { method: node.method.text.clone(), body, ..Request::default() };
        }
        let mut query = Vec::new();
        let path = match &node.address {
            Some(_) => Vec::new(),
            None => self.address(&node.path, &mut query, scope),
        };
        let address = node.address.as_ref().and_then(|address| self.whole_address(address, scope));
        let chosen_method = self.chosen_method(node, scope);
        for field in &node.query {
            self.check_no_type(&field.field);
            let value = match &field.field.value {
                Some(value) => self.wire_value(value, scope),
                None => self.wire_value(&named(&field.field.key), scope),
            };
            let chunk = field.chunk.as_ref().map(|chunk| self.count(chunk));
            query.push(QueryField { name: field.field.key.text.clone(), value, chunk });
        }
        let headers = node
            .headers
            .iter()
            .map(|(name, value)| (self.plain(name, "the name of a header"), self.wire_value(value, scope)))
            .collect();
        let mut bodies: Vec<Body> = node.bodies.iter().filter_map(|body| self.body(node, body, scope)).collect();
        let more = |cx: &mut Self, name: &Option<syntax::Ident>| name.as_ref().map(|name| cx.wire_value(&named(name), scope));
        let more_query = more(self, &node.more_query);
        let more_headers = more(self, &node.more_headers);
        let via = node.via.as_ref().and_then(|via| self.via(via));
        let body = (!bodies.is_empty()).then(|| bodies.remove(0));
        Request {
            method: node.method.text.clone(),
            via,
            path,
            query,
            headers,
            body,
            address,
            chosen_method,
            more_query,
            more_headers,
            other_bodies: bodies,
        }
    }

    /// `at url`: an address that an input, a setting or a secret has.
    fn whole_address(&mut self, node: &syntax::Address, scope: &Scope<'_>) -> Option<Expr> {
        let typed = self.wire(&node.url, scope);
        if matches!(typed.ty, Type::Optional(_)) {
            let name = node.url.span.text(self.source);
            let diagnostic =
                self.diagnostic(Code::E302, node.url.span, format!("`{name}` can be missing, and a request goes somewhere"));
            self.push(diagnostic.help("take the `?` out of its type, or give it a default"));
            return None;
        }
        if !matches!(typed.ty, Type::Text(_) | Type::Unknown) {
            self.push(self.diagnostic(Code::E301, node.url.span, format!("an address is a text, found {}", typed.ty)));
            return None;
        }
        Some(typed.expr)
    }

    /// `SEND method at url`: the method is one of the members of an enum.
    fn chosen_method(&mut self, node: &syntax::Request, scope: &Scope<'_>) -> Option<Expr> {
        let given = node.address.as_ref().and_then(|address| address.method.as_ref());
        match (node.method.text == "SEND", given) {
            (true, Some(name)) => {
                let typed = self.wire(&named(name), scope);
                let known = match &typed.ty {
                    Type::Enum { members, open: false } => members.iter().all(|member| METHODS.contains(&member.as_str())),
                    Type::Unknown => true,
                    _ => false,
                };
                if !known {
                    let diagnostic = self.diagnostic(Code::E301, name.span, format!("`{}` is no method", name.text));
                    self.push(diagnostic.help("give it a type that lists them: `method: GET | POST | PUT`"));
                }
                Some(typed.expr)
            }
            (true, None) => {
                let diagnostic = self.mistake(node.method.span, "with what method?");
                self.push(diagnostic.help("write `SEND method at url`, where `method` is an input that lists them"));
                None
            }
            (false, Some(name)) => {
                let diagnostic = self.mistake(name.span, format!("the method is {} already", node.method.text));
                self.push(diagnostic.fix("`SEND`", node.method.span, "SEND", false));
                None
            }
            (false, None) => None,
        }
    }

    /// The API that a request goes to.
    fn via(&mut self, name: &syntax::Ident) -> Option<String> {
        if !self.api_names.contains(name.text.as_str()) {
            let known: Vec<&str> = self.api_names.iter().copied().collect();
            self.unknown(name.span, format!("there is no API `{}`", name.text), &name.text, known);
            return None;
        }
        Some(name.text.clone())
    }

    fn body(&mut self, request: &syntax::Request, node: &syntax::Body, scope: &Scope<'_>) -> Option<Body> {
        if matches!(request.method.text.as_str(), "GET" | "HEAD") {
            let diagnostic = self.mistake(node.encoding.span, format!("{} has no body", request.method.text));
            self.push(diagnostic.fix("send it in the address", node.encoding.span, "query", false));
            return None;
        }
        let encoding = match node.encoding.text.as_str() {
            "json" => Encoding::Json,
            "form" => Encoding::Form,
            "text" => Encoding::Text,
            other => {
                self.unknown(node.encoding.span, format!("there is no encoding `{other}`"), other, ["json", "form", "text"]);
                Encoding::Json
            }
        };
        if let (Some(nulls), false) = (&node.nulls, matches!(encoding, Encoding::Json)) {
            let diagnostic = self.mistake(nulls.span, "only JSON knows `null`");
            self.push(diagnostic.help("leave it out, or send the body as `json`"));
        }
        let nulls = node.nulls.as_ref().map(|nulls| self.wire_value(nulls, scope));
        Some(Body { encoding, value: self.wire_value(&node.value, scope), nulls })
    }

    /// `"/orders/:id"`: the form of other tools, which would be sent as it stands.
    fn colon_in_path(&mut self, text: &syntax::TextLit) {
        let written = text.span.text(self.source);
        let Some((before, rest)) = written.split_once("/:") else { return };
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if name.is_empty() {
            return;
        }
        let start = text.span.start as usize + before.len() + 1;
        let span = Span::new(start, start + 1 + name.len());
        let diagnostic = self
            .mistake(span, format!("`:{name}` would be sent as it stands"))
            .label("a value in a path is written in braces")
            .help(format!("write `{{{name}}}`"))
            .fix(format!("`{{{name}}}`"), span, format!("{{{name}}}"), true);
        self.push(diagnostic);
    }

    /// The path; what stands behind `?` goes to the query.
    fn address(&mut self, text: &syntax::TextLit, query: &mut Vec<QueryField>, scope: &Scope<'_>) -> Vec<PathPart> {
        self.colon_in_path(text);
        if !matches!(text.parts.first(), Some(TextPart::Text(begin)) if begin.starts_with('/')) {
            let diagnostic = self.mistake(text.span, "a path begins with `/`");
            self.push(diagnostic.help("it stands behind the `base` of the connector"));
        }
        let mut path = Vec::new();
        let mut fields: Option<Vec<(String, Vec<Expr>)>> = None;
        for part in &text.parts {
            match (part, &mut fields) {
                (TextPart::Text(literal), None) => {
                    let (before, behind) = literal.split_once('?').map_or((literal.as_str(), None), |(a, b)| (a, Some(b)));
                    if !before.is_empty() {
                        path.push(PathPart::Literal(before.to_owned()));
                    }
                    if let Some(behind) = behind {
                        let mut pairs = Vec::new();
                        read_query(behind, &mut pairs);
                        fields = Some(pairs);
                    }
                }
                (TextPart::Text(literal), Some(pairs)) => read_query(literal, pairs),
                (TextPart::Expr(expr), None) => path.push(self.path_value(expr, scope)),
                (TextPart::Expr(expr), Some(pairs)) => {
                    let value = self.wire_value(expr, scope);
                    if let Some((_, parts)) = pairs.last_mut() {
                        parts.push(value);
                    }
                }
            }
        }
        for (name, mut parts) in fields.into_iter().flatten() {
            let value = match (parts.pop(), parts.is_empty()) {
                (Some(only), true) => only,
                (Some(last), false) => {
                    parts.push(last);
                    Expr::Text(parts)
                }
                (None, _) => Expr::Const(Value::text("")),
            };
            query.push(QueryField { name, value, chunk: None });
        }
        path
    }

    fn path_value(&mut self, expr: &syntax::Expr, scope: &Scope<'_>) -> PathPart {
        let typed = self.wire(expr, scope);
        if matches!(typed.ty, flow_plan::ty::Type::Optional(_)) {
            let name = expr.span.text(self.source);
            let diagnostic = self.diagnostic(Code::E302, expr.span, format!("`{name}` can be missing, and the address needs it"));
            self.push(diagnostic.help("take the `?` out of its type, or give it a default"));
        }
        PathPart::Value(self.as_sent(expr, typed, scope).expr)
    }
}

/// Adds the pairs of `a=1&b=` to what is there; a text that goes on continues the last value.
fn read_query(literal: &str, pairs: &mut Vec<(String, Vec<Expr>)>) {
    for (at, piece) in literal.split('&').enumerate() {
        if at == 0
            && let Some((_, parts)) = pairs.last_mut()
        {
            if !piece.is_empty() {
                parts.push(Expr::Const(Value::text(piece)));
            }
            continue;
        }
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        if name.is_empty() {
            continue;
        }
        let parts = if value.is_empty() { Vec::new() } else { vec![Expr::Const(Value::text(value))] };
        pairs.push((name.to_owned(), parts));
    }
}

/// `{ email }` means `{ email: email }`.
fn named(key: &syntax::Ident) -> syntax::Expr {
    syntax::Expr { span: key.span, kind: Box::new(syntax::ExprKind::Name(key.clone())) }
}
