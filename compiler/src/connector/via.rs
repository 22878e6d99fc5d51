//! Ways to a service other than HTTP: what the schemes behind `via` take, send and listen to.

use std::collections::BTreeMap;

use flow_grammar::span::Span;
use flow_grammar::syntax::{self, DurationLit, ExprKind, Ident};
use flow_plan::{Expr, HEARD, JsonPath, Listen, Segment, Value, Via};

use super::Cx;
use super::wire::{Place, Scope};
use crate::catalog;

/// A scheme.
struct Scheme {
    name: &'static str,
    /// Its parameters, those that it needs marked.
    params: &'static [(&'static str, bool)],
    /// What `send` takes, what it needs marked; empty where it sends nothing.
    sends: &'static [(&'static str, bool)],
    listens: bool,
    /// It can be opened and closed again, which tells whether the credentials work.
    greets: bool,
}

const SCHEMES: &[Scheme] = &[
    Scheme { name: "feed", params: &[], sends: &[], listens: true, greets: false },
    Scheme { name: "files", params: &[], sends: &[], listens: true, greets: false },
    Scheme {
        name: "log",
        params: &[],
        sends: &[("text", true), ("level", false), ("flow", false), ("run", false)],
        listens: false,
        greets: false,
    },
    Scheme {
        name: "mqtt",
        params: &[
            ("host", true),
            ("port", false),
            ("tls", false),
            ("ca_file", false),
            ("username", false),
            ("password", false),
            ("client_id", false),
            ("qos", false),
            ("queued", false),
            ("status", false),
        ],
        sends: &[("topic", true), ("payload", true), ("qos", false), ("retain", false)],
        listens: true,
        greets: true,
    },
    Scheme {
        name: "smtp",
        params: &[
            ("host", true),
            ("port", false),
            ("security", false),
            ("ca_file", false),
            ("username", false),
            ("password", false),
        ],
        sends: &[
            ("from", true),
            ("to", true),
            ("cc", false),
            ("bcc", false),
            ("reply_to", false),
            ("subject", true),
            ("text", false),
            ("html", false),
            ("attachments", false),
            ("key", true),
        ],
        listens: false,
        greets: true,
    },
];

fn scheme(name: &str) -> Option<&'static Scheme> {
    SCHEMES.iter().find(|scheme| scheme.name == name)
}

/// Where a payload says for whom it was heard.
pub(crate) fn heard() -> JsonPath {
    JsonPath(vec![Segment::Key(HEARD.to_owned())])
}

impl<'a> Cx<'a> {
    /// Declares the way to the service.
    pub(super) fn way(&mut self, call: &syntax::Call) -> Option<Via> {
        let name = call.path.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join(".");
        let Some(scheme) = scheme(&name) else {
            let span = call.path.first().map_or(call.span, |first| first.span);
            self.unknown(span, format!("there is no way `{name}` to a service"), &name, SCHEMES.iter().map(|scheme| scheme.name));
            return None;
        };
        let mut params: BTreeMap<String, Expr> = BTreeMap::new();
        let before = self.diagnostics.len();
        for arg in &call.args {
            let Some(param) = &arg.name else {
                let diagnostic = self.mistake(arg.span, format!("the parameters of `{name}` have names"));
                self.push(diagnostic.help("write `host: host, port: port`"));
                continue;
            };
            if !scheme.params.iter().any(|(known, _)| *known == param.text) {
                let known = scheme.params.iter().map(|(known, _)| *known);
                self.unknown(param.span, format!("`{name}` has no parameter `{}`", param.text), &param.text, known);
                continue;
            }
            let value = self.wire_value(&arg.value, &Scope::new(Place::Via, &[]));
            if let Expr::Env(flow_plan::Env::Setting(used)) = &value {
                self.settings.iter_mut().filter(|setting| setting.name == *used).for_each(|setting| setting.in_base = true);
            }
            params.insert(param.text.clone(), value);
        }
        let given = |param: &str| params.contains_key(param);
        let lacking: Vec<&str> =
            scheme.params.iter().filter(|(param, needed)| *needed && !given(param)).map(|(p, _)| *p).collect();
        // A parameter with a slip in its name is one mistake, not two.
        if !lacking.is_empty() && self.diagnostics.len() == before {
            self.push(self.mistake(call.span, format!("`{name}` also needs {}", super::listed(&lacking))));
        }
        Some(Via { scheme: name, params })
    }

    /// Checks what is sent against what the scheme takes.
    pub(super) fn check_send(&mut self, request: &syntax::Request) {
        let Some(scheme) = self.scheme_of(request.method.span, "send", |scheme| !scheme.sends.is_empty()) else { return };
        let Some(fields) = request.bodies.first().and_then(|body| match &*body.value.kind {
            ExprKind::Object(fields) => Some(fields),
            _ => None,
        }) else {
            return;
        };
        for field in fields {
            if !scheme.sends.iter().any(|(known, _)| *known == field.key.text) {
                let known = scheme.sends.iter().map(|(known, _)| *known);
                let message = format!("`{}` sends no `{}`", scheme.name, field.key.text);
                self.unknown(field.key.span, message, &field.key.text, known);
                return;
            }
        }
        let given = |name: &str| fields.iter().any(|field| field.key.text == name);
        let lacking: Vec<&str> = scheme.sends.iter().filter(|(name, needed)| *needed && !given(name)).map(|(n, _)| *n).collect();
        if !lacking.is_empty() {
            self.push(self.mistake(request.span, format!("`{}` also needs {}", scheme.name, super::listed(&lacking))));
        }
    }

    /// Checks that the way can be gone without anything to send.
    pub(super) fn greeted(&mut self, span: Span) -> Option<()> {
        self.scheme_of(span, "check", |scheme| scheme.greets).map(drop)
    }

    /// Declares what a source listens to.
    pub(super) fn listen(
        &mut self,
        by: &Ident,
        [pattern, clears]: [&Option<syntax::TextLit>; 2],
        every: Option<&DurationLit>,
        triggers: &BTreeMap<String, Vec<String>>,
        all: &BTreeMap<String, catalog::Trigger>,
    ) -> Option<Listen> {
        self.scheme_of(by.span, "listen to", |scheme| scheme.listens)?;
        for name in triggers.keys() {
            let option = all.get(name).and_then(|trigger| trigger.options.iter().find(|option| option.name == by.text));
            if !option.is_some_and(catalog::Input::is_required) {
                let diagnostic = self.mistake(by.span, format!("`{name}` has no option `{}` that must be given", by.text));
                self.push(diagnostic.help(format!("declare it: `trigger {name}({}: text)`", by.text)));
            }
        }
        let mut over_settings = |text: &Option<syntax::TextLit>| {
            let text = text.as_ref()?;
            let expr = syntax::Expr { span: text.span, kind: Box::new(ExprKind::Text(text.clone())) };
            Some(self.wire_value(&expr, &Scope::new(Place::Via, &[])))
        };
        let (pattern, clears) = (over_settings(pattern), over_settings(clears));
        Some(Listen { by: by.text.clone(), pattern, clears, every_ms: every.map(|every| self.millis(every)) })
    }

    fn scheme_of(&mut self, span: Span, what: &str, can: impl Fn(&Scheme) -> bool) -> Option<&'static Scheme> {
        let declared = self.node.members.iter().find_map(|member| match &member.kind {
            syntax::MemberKind::Via(call) => call.path.first(),
            _ => None,
        });
        let Some(name) = declared else {
            let diagnostic = self.mistake(span, format!("there is nothing here to {what}"));
            let known: Vec<&str> = SCHEMES.iter().filter(|scheme| can(scheme)).map(|scheme| scheme.name).collect();
            self.push(diagnostic.help(format!("say by which way: `via {}(…)`; there is {}", known[0], super::listed(&known))));
            return None;
        };
        let scheme = scheme(&name.text)?;
        if !can(scheme) {
            self.push(self.mistake(span, format!("there is nothing to {what} by `{}`", scheme.name)));
            return None;
        }
        Some(scheme)
    }
}

/// The condition that an event was heard for this value of the option.
pub(crate) fn heard_for(value: &Value) -> Expr {
    Expr::InList(Box::new(Expr::Const(Value::text(value.to_string()))), Box::new(Expr::Raw(heard())))
}
