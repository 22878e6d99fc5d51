//! Settings, secrets, and how requests are made.

use std::collections::BTreeMap;

use flow_grammar::span::Span;
use flow_grammar::syntax::{self, Ident, MemberKind, NumberLit, Rate, SourceLineKind};
use flow_plan::ty::Type;
use flow_plan::{self as plan, Currency, Expr, Value};

use super::wire::{Place, Scope};
use super::{Cx, docs_line};
use crate::catalog;
use crate::code::Code;

/// How a scheme of `auth` is called: its name, and what each argument is.
const AUTH: &[(&str, &[&str])] = &[
    ("bearer", &["token"]),
    ("basic", &["user", "password"]),
    ("header", &["name", "value"]),
    ("query", &["name", "value"]),
    ("md5_sorted", &["key", "name", "fields"]),
    // One of the first four, by a setting.
    ("chosen", &["by", "secret", "name", "user"]),
];

impl<'a> Cx<'a> {
    /// Declares everything but records, events and operations: the API of the connector, and further ones by name.
    pub(super) fn declare_apis(&mut self) -> (plan::Api, BTreeMap<String, plan::Api>) {
        let node = self.node;
        for member in &node.members {
            match &member.kind {
                MemberKind::Secret { name, optional, hint, hex_digits, starts_with } => {
                    self.declare_secret(name, *optional, hint.as_ref(), (hex_digits.as_ref(), starts_with), &member.docs);
                }
                MemberKind::Setting { name, ty, default } => self.declare_setting(name, ty, default.as_ref(), &member.docs),
                MemberKind::Exponents(table) => self.exponents = self.exponents(table),
                _ => {}
            }
        }
        let api = self.declare_api(&node.members);
        let mut apis = BTreeMap::new();
        for member in &node.members {
            if let MemberKind::Api { name, members } = &member.kind {
                let further = self.declare_api(members);
                for member in members.iter().filter(|member| matches!(member.kind, MemberKind::LimitAtOnce(_))) {
                    let diagnostic = self.mistake(member.span, "so many requests at once are a matter of the whole connection");
                    self.push(
                        diagnostic.help("put this line among the members of the connector; `limit 10 per second` may stand here"),
                    );
                }
                if !members.iter().any(|member| matches!(member.kind, MemberKind::Base(..))) {
                    let diagnostic = self.mistake(name.span, format!("`{}` does not say where it is", name.text));
                    self.push(diagnostic.help("add a line such as `base \"https://api.example.com\"`"));
                }
                apis.insert(name.text.clone(), further);
            }
        }
        (api, apis)
    }

    fn declare_api(&mut self, members: &'a [syntax::Member]) -> plan::Api {
        let node = self.node;
        let mut api = plan::Api {
            base: Expr::Const(Value::Missing),
            auth: None,
            headers: Vec::new(),
            error_text: Vec::new(),
            help_on: Vec::new(),
            retry_on: Vec::new(),
            retry_by: None,
            broken_on: Vec::new(),
            limit: None,
            quota: None,
            broken_when: None,
            wait_at: None,
            spends: None,
            one_of: Vec::new(),
            via: None,
            at_once: None,
        };
        let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
        for member in members {
            let single = match &member.kind {
                MemberKind::Base(_, None) => "base",
                MemberKind::Auth(_) => "auth",
                MemberKind::Via(_) => "via",
                MemberKind::Limit(..) => "limit",
                MemberKind::LimitAtOnce(_) => "limit at once",
                MemberKind::Quota { .. } => "quota",
                MemberKind::ErrorText(_) => "error text",
                MemberKind::BrokenWhen(_) => "broken when",
                MemberKind::WaitAt(_) => "retry after",
                MemberKind::RetryBy(_) => "retry by",
                MemberKind::Spends(_) => "spends",
                MemberKind::Exponents(_) => "exponents",
                MemberKind::Docs(_) => "docs",
                _ => "",
            };
            if !single.is_empty() {
                if let Some(first) = seen.get(single) {
                    let twice = self.diagnostic(Code::E202, member.span, format!("there are two `{single}` lines"));
                    self.push(twice.also(*first, "the first one"));
                    continue;
                }
                seen.insert(single, member.span);
            }
            self.declare_api_line(&mut api, member);
        }
        if !std::ptr::eq(members, node.members.as_slice()) {
            return api;
        }
        let has_addresses = node.members.iter().any(|member| {
            matches!(&member.kind, MemberKind::Operation(syntax::Operation { body: syntax::OperationBody::Http(http), .. })
                if http.request.address.is_some())
        });
        // What asks nothing needs no address.
        let asks = node.members.iter().any(|member| match &member.kind {
            MemberKind::Operation(operation) => match &operation.body {
                // A whole address stands behind no base.
                syntax::OperationBody::Http(http) => http.request.address.is_none() && http.request.method.text != plan::SEND,
                syntax::OperationBody::Steps(_) => false,
            },
            MemberKind::Auth(_) => !has_addresses,
            MemberKind::Check(check) => check.request.address.is_none(),
            MemberKind::State(_) => true,
            MemberKind::Source(source) => asks(source),
            MemberKind::Trigger(trigger) => trigger.own_source.as_ref().is_some_and(asks),
            _ => false,
        }) || node.members.is_empty();
        if asks && !seen.contains_key("base") {
            let diagnostic = self.mistake(node.name.span, format!("`{}` does not say where its API is", node.name.text));
            self.push(diagnostic.help("add a line such as `base \"https://api.example.com\"`"));
        }
        api
    }

    fn declare_api_line(&mut self, api: &mut plan::Api, member: &'a syntax::Member) {
        match &member.kind {
            MemberKind::Base(text, None) => api.base = self.base(text),
            MemberKind::Base(text, Some(when)) => self.base_when(api, text, when),
            MemberKind::Refused { unless, condition } => {
                let when = self.condition(condition, &Scope::new(Place::Answer, &[]));
                let when = if *unless { Expr::Not(Box::new(when)) } else { when };
                self.refused_when = Some(super::operation::or(self.refused_when.take(), when));
            }
            MemberKind::Auth(call) => api.auth = self.auth(call),
            MemberKind::Via(call) => api.via = self.way(call),
            MemberKind::Header(name, value) => {
                let name = self.plain(name, "the name of a header");
                let value = self.wire_value(value, &Scope::new(Place::Header, &[]));
                api.headers.push((name, value));
            }
            MemberKind::LimitAtOnce(count) => api.at_once = Some(self.count(count)),
            MemberKind::Limit(count, rate) => api.limit = Some(self.limit(count, rate)),
            MemberKind::Quota { count, every, shared_by, spent_on } => {
                api.quota = Some(self.quota(count, every, shared_by.as_ref(), spent_on));
            }
            MemberKind::RetryOn(statuses) => api.retry_on.extend(self.statuses(statuses)),
            MemberKind::RetryBy(header) => api.retry_by = Some(self.plain(header, "the name of a header").to_ascii_lowercase()),
            MemberKind::BrokenOn(statuses) => api.broken_on.extend(self.statuses(statuses)),
            MemberKind::BrokenWhen(when) => api.broken_when = Some(self.condition(when, &Scope::new(Place::Answer, &[]))),
            MemberKind::WaitAt(path) => api.wait_at = Some(self.path(path)),
            MemberKind::Spends(path) => api.spends = Some(self.path(path)),
            MemberKind::OneOf(names) => {
                let group = self.needed_secrets(names);
                api.one_of.push(group);
            }
            MemberKind::HelpOn(statuses, text) => {
                let text = self.plain(text, "a hint");
                api.help_on.push((self.statuses(statuses), text));
            }
            MemberKind::ErrorText(paths) => {
                for path in paths {
                    let text = self.plain(path, "a path");
                    let path = syntax::WirePath { span: path.span, text, quoted: true };
                    api.error_text.push(self.path(&path));
                }
            }
            MemberKind::State(_)
            | MemberKind::Api { .. }
            | MemberKind::Docs(_)
            | MemberKind::Secret { .. }
            | MemberKind::Setting { .. }
            | MemberKind::Exponents(_)
            | MemberKind::Record(_)
            | MemberKind::Source(_)
            | MemberKind::Trigger(_)
            | MemberKind::Operation(_)
            | MemberKind::Check(_)
            | MemberKind::CheckVia
            | MemberKind::Resolver { .. }
            | MemberKind::Bad => {}
        }
    }

    /// Where the service documents its API.
    pub(super) fn docs_url(&mut self) -> Option<String> {
        let node = self.node;
        let text = node.members.iter().find_map(|member| match &member.kind {
            MemberKind::Docs(text) => Some(text),
            _ => None,
        })?;
        Some(self.plain(text, "an address"))
    }

    /// `one of (token, webhook_url)`: secrets of which a connection needs one.
    fn needed_secrets(&mut self, names: &[Ident]) -> Vec<String> {
        let known: Vec<(String, bool)> = self.secrets.iter().map(|secret| (secret.name.clone(), secret.optional)).collect();
        for name in names {
            match known.iter().find(|(known, _)| *known == name.text) {
                None => {
                    let message = format!("`{}` is no secret of this connector", name.text);
                    self.unknown(name.span, message, &name.text, known.iter().map(|(name, _)| name.as_str()));
                }
                Some((_, true)) => {}
                Some((_, false)) => {
                    let diagnostic = self.mistake(name.span, format!("`{}` must be given anyway", name.text));
                    self.push(diagnostic.help(format!("write `secret {}: text?`, or leave it out here", name.text)));
                }
            }
        }
        names.iter().map(|name| name.text.clone()).collect()
    }

    fn declare_secret(
        &mut self,
        name: &Ident,
        optional: bool,
        hint: Option<&syntax::TextLit>,
        (hex_digits, starts_with): (Option<&syntax::NumberLit>, &[syntax::TextLit]),
        docs: &syntax::Docs,
    ) {
        let hex_digits = hex_digits.map(|count| self.count(count));
        let hint = hint.map(|hint| self.plain(hint, "a hint"));
        let starts_with = starts_with.iter().map(|text| self.plain(text, "the beginning of a secret")).collect();
        let docs = docs_line(docs);
        let hint = match (docs.is_empty(), hint) {
            (true, hint) => hint,
            (false, None) => Some(docs),
            (false, Some(hint)) => Some(format!("{docs} {hint}")),
        };
        if !self.secrets.iter().any(|secret| secret.name == name.text) {
            self.secrets.push(plan::SecretDecl {
                name: name.text.clone(),
                hint,
                for_requests: false,
                for_webhooks: false,
                hex_digits,
                starts_with,
                optional,
            });
        }
    }

    fn declare_setting(&mut self, name: &Ident, ty: &syntax::TypeExpr, default: Option<&syntax::Expr>, docs: &syntax::Docs) {
        let ty = self.plain_type(ty);
        let default = default.and_then(|default| self.constant(default, &ty));
        if !self.settings.iter().any(|setting| setting.name == name.text) {
            let in_base = false;
            self.settings.push(catalog::Setting { name: name.text.clone(), docs: docs_line(docs), ty, default, in_base });
        }
    }

    fn base(&mut self, text: &syntax::TextLit) -> Expr {
        let begins = matches!(text.parts.first(), Some(syntax::TextPart::Text(begin)) if begin.starts_with("https://") || begin.starts_with("http://"));
        if !begins {
            let diagnostic = self.mistake(text.span, "the base of an API is a whole address");
            self.push(diagnostic.help("begin it with `https://`"));
        }
        let mut parts = Vec::new();
        for (at, part) in text.parts.iter().enumerate() {
            match part {
                // Paths begin with the slash.
                syntax::TextPart::Text(piece) if at + 1 == text.parts.len() => {
                    parts.push(Expr::Const(Value::text(piece.trim_end_matches('/'))));
                }
                syntax::TextPart::Text(piece) => parts.push(Expr::Const(Value::text(piece.as_str()))),
                syntax::TextPart::Expr(expr) => {
                    let typed = self.wire(expr, &Scope::new(Place::Base, &[]));
                    if let Expr::Env(plan::Env::Setting(name)) = &typed.expr {
                        for setting in self.settings.iter_mut().filter(|setting| setting.name == *name) {
                            setting.in_base = true;
                        }
                    }
                    if matches!(typed.ty, Type::Optional(_)) {
                        let diagnostic =
                            self.diagnostic(Code::E302, expr.span, "this setting can be missing, and every request needs it");
                        self.push(diagnostic.help("take the `?` out of its type, or give it a default"));
                    }
                    parts.push(typed.expr);
                }
            }
        }
        match (parts.pop(), parts.is_empty()) {
            (Some(only), true) => only,
            (Some(last), false) => {
                parts.push(last);
                Expr::Text(parts)
            }
            (None, _) => Expr::Const(Value::text("")),
        }
    }

    /// Another base where a condition over settings holds. The default stands before it.
    fn base_when(&mut self, api: &mut plan::Api, text: &syntax::TextLit, when: &syntax::Expr) {
        if matches!(api.base, Expr::Const(Value::Missing)) {
            let diagnostic = self.mistake(text.span, "where is it otherwise?");
            self.push(diagnostic.help("put a `base \"https://…\"` without `when` before this one"));
            return;
        }
        let when = self.condition(when, &Scope::new(Place::Base, &[]));
        let other = self.base(text);
        let default = std::mem::replace(&mut api.base, Expr::Const(Value::Missing));
        api.base = Expr::Else(Box::new(super::wire::where_true(when, other)), Box::new(default));
    }

    fn auth(&mut self, call: &syntax::Call) -> Option<plan::Auth> {
        let scheme = call.path.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join(".");
        let Some((_, wanted)) = AUTH.iter().find(|(name, _)| *name == scheme) else {
            let known = AUTH.iter().map(|(name, _)| *name);
            let span = call.path.first().map_or(call.span, |first| first.span);
            self.unknown(span, format!("`{scheme}` is no way to authorise requests"), &scheme, known);
            return None;
        };
        // The password of `basic` may be left out: some services take a key as the user. So may the fields that go along with
        // a signature.
        let least = match scheme.as_str() {
            "basic" | "md5_sorted" => wanted.len() - 1,
            "chosen" => 2,
            _ => wanted.len(),
        };
        if call.args.len() < least || call.args.len() > wanted.len() {
            let diagnostic = self.mistake(call.span, format!("`{scheme}` takes {}", super::listed(wanted)));
            self.push(diagnostic);
            return None;
        }
        let scope = Scope::new(Place::Header, &[]);
        let args: Vec<Expr> = call.args.iter().map(|arg| self.wire_value(&arg.value, &scope)).collect();
        if scheme == "md5_sorted"
            && let (Some(fields), Some(arg)) = (args.get(2), call.args.get(2))
            && !matches!(fields, Expr::Record(_))
        {
            let diagnostic = self.mistake(arg.span, "the fields that go along with the signature are expected here");
            self.push(diagnostic.help("write `{ accessID: access_id, timestamp: unix(sent_at) }`"));
            return None;
        }
        Some(plan::Auth { scheme, args })
    }

    fn limit(&mut self, count: &NumberLit, rate: &Rate) -> plan::RateLimit {
        plan::RateLimit { count: self.count(count), per_ms: self.rate_millis(rate) }
    }

    fn quota(&mut self, count: &NumberLit, every: &Rate, shared_by: Option<&Ident>, spent_on: &[NumberLit]) -> plan::Quota {
        let known = shared_by.is_none_or(|secret| self.secrets.iter().any(|known| known.name == secret.text));
        if let (Some(secret), false) = (shared_by, known) {
            let names: Vec<String> = self.secrets.iter().map(|known| known.name.clone()).collect();
            let message = format!("`{}` is no secret of this connector", secret.text);
            self.unknown(secret.span, message, &secret.text, names.iter().map(String::as_str));
        }
        let shared_by = shared_by.filter(|_| known).map(|secret| secret.text.clone());
        let spent_on = self.statuses(spent_on);
        plan::Quota { count: self.count(count), per_ms: self.rate_millis(every), shared_by, spent_on }
    }

    /// A table of currencies and their decimals on the wire.
    pub(super) fn exponents(&mut self, table: &[(Ident, NumberLit)]) -> BTreeMap<Currency, u8> {
        let mut exponents = BTreeMap::new();
        for (code, decimals) in table {
            let Some(currency) = Currency::parse(&code.text).filter(Currency::is_listed) else {
                self.push(self.mistake(code.span, format!("`{}` is no currency of ISO 4217", code.text)));
                continue;
            };
            match decimals.digits.parse() {
                Ok(decimals) if decimals <= 6 => drop(exponents.insert(currency, decimals)),
                _ => self.push(self.mistake(decimals.span, "a currency has 0 to 6 decimals")),
            }
        }
        exponents
    }
}

/// Tells whether a source makes requests.
fn asks(source: &syntax::Source) -> bool {
    let requests = |line: &syntax::SourceLine| matches!(line.kind, SourceLineKind::Poll { .. } | SourceLineKind::Register { .. });
    source.lines.iter().any(requests)
}
