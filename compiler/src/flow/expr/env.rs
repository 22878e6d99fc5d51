//! `env`: what flow.toml says of the project and of its connections, and never a secret.

use flow_grammar::syntax::{Expr, ExprKind, Ident};
use flow_plan::Value;
use flow_plan::ty::{TextKind, Type};

use super::super::check::{Checker, listed};
use super::super::typed::{Typed, split};
use crate::code::Code;
use crate::suggest::nearest;

/// The settings of the project that a flow can read.
const SETTINGS: &[&str] = &["timezone", "currency", "public_url"];

/// Returns the connection of `env.CONNECTION`.
pub(super) fn connection_of(base: &Expr) -> Option<&Ident> {
    let ExprKind::Field(root, connection) = base.kind.as_ref() else { return None };
    matches!(root.kind.as_ref(), ExprKind::Name(root) if root.text == "env").then_some(connection)
}

impl<'a> Checker<'a> {
    /// `env.timezone`: a setting of the project. It is known before anything runs, so it is a constant of the plan.
    pub(super) fn env_setting(&mut self, expr: &Expr, name: &Ident) -> Typed<'a> {
        let (value, ty) = match name.text.as_str() {
            "timezone" => {
                self.frozen.timezone.set(true);
                (self.settings.timezone.clone(), Type::text())
            }
            "currency" => {
                self.frozen.currency.set(true);
                (self.settings.currency.map(|currency| currency.code().to_owned()), Type::text())
            }
            "public_url" => (self.settings.public_url.clone(), Type::Text(TextKind::Url)),
            _ => {
                self.unknown_env(expr, name);
                return Typed::unknown();
            }
        };
        match value {
            Some(value) => Typed::constant(Value::text(value), ty),
            None => {
                let place = if name.text == "public_url" { "under `[server]` in flow.toml" } else { "at the top of flow.toml" };
                let diagnostic = self
                    .diagnostic(Code::E201, expr.span, format!("flow.toml does not say what `{}` is", name.text))
                    .help(format!("set `{} = \"…\"` {place}", name.text));
                self.report(diagnostic);
                Typed::unknown()
            }
        }
    }

    fn unknown_env(&mut self, expr: &Expr, name: &Ident) {
        if let Some((connection, connector)) = self.connection(&name.text) {
            let names: Vec<String> =
                connector.settings.iter().map(|setting| format!("env.{connection}.{}", setting.name)).collect();
            let diagnostic = self.diagnostic(Code::E201, expr.span, format!("which setting of `{connection}`?"));
            let diagnostic = diagnostic.help(match names.as_slice() {
                [] => format!("{} has no settings but secrets", connector.title),
                names => format!("there is {}", listed(names, "and")),
            });
            self.report(diagnostic);
            return;
        }
        let mut diagnostic = self
            .diagnostic(Code::E201, name.span, format!("flow.toml has no setting `{}` that a flow can read", name.text))
            .help(format!(
                "there is {}, and `env.CONNECTION.SETTING`; variables of the environment are read by flow.toml alone",
                listed(&SETTINGS.iter().map(|name| format!("env.{name}")).collect::<Vec<_>>(), "and")
            ));
        if let Some(found) = nearest(&name.text, SETTINGS.iter().copied()) {
            diagnostic = diagnostic.fix(format!("`{found}`"), name.span, found, true);
        }
        self.report(diagnostic);
    }

    /// `env.front_door.device`: a setting of a connection.
    pub(super) fn env_of_connection(&mut self, expr: &Expr, connection_name: &Ident, name: &Ident) -> Typed<'a> {
        let Some((connection, connector)) = self.connection(&connection_name.text) else {
            self.unknown_connection(connection_name);
            return Typed::unknown();
        };
        self.uses(connection);
        if connector.secrets.iter().any(|secret| secret.name == name.text) {
            let diagnostic = self
                .diagnostic(Code::E803, expr.span, format!("`{}` is a secret of `{connection}`: no flow can read it", name.text))
                .label("a secret goes to its own service and nowhere else");
            self.report(diagnostic);
            return Typed::unknown();
        }
        let Some(setting) = connector.settings.iter().find(|setting| setting.name == name.text) else {
            let names: Vec<&str> = connector.settings.iter().map(|setting| setting.name.as_str()).collect();
            let mut diagnostic =
                self.diagnostic(Code::E201, name.span, format!("{} has no setting `{}`", connector.title, name.text));
            if let Some(found) = nearest(&name.text, names.iter().copied()) {
                diagnostic = diagnostic.fix(format!("`{found}`"), name.span, found, true);
            } else if !names.is_empty() {
                diagnostic = diagnostic.help(format!("it has {}", listed(&names, "and")));
            }
            self.report(diagnostic);
            return Typed::unknown();
        };
        let given = self.settings.connections.as_ref().and_then(|all| all.get(connection)?.values.get(&setting.name).cloned());
        let (ty, optional) = split(&setting.ty);
        match given.or_else(|| setting.default.clone()) {
            Some(value) => Typed::constant(value, ty.clone()),
            None if optional => Typed::constant(Value::Missing, ty.clone()).optional(true),
            None => {
                let diagnostic = self
                    .diagnostic(
                        Code::E201,
                        expr.span,
                        format!("flow.toml does not say what `{}` of `{connection}` is", name.text),
                    )
                    .help(format!("set `{} = …` under `[connections.{connection}]`", name.text));
                self.report(diagnostic);
                Typed::unknown()
            }
        }
    }
}
