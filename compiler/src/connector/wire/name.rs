//! What a name means in a connector.

use flow_grammar::syntax::{self, ExprKind, Ident};
use flow_plan::ty::Type;
use flow_plan::{Env, Expr};

use super::{Place, Scope, Typed};
use crate::connector::Cx;

/// What a run offers to the request of a step.
const RUN: &[(&str, Env)] = &[("key", Env::RunKey), ("id", Env::RunId), ("flow", Env::RunFlow), ("event_at", Env::EventAt)];

impl Cx<'_> {
    /// A bare name: an input, a setting, a secret, or what the surroundings know.
    pub(super) fn name(&mut self, name: &Ident, scope: &Scope<'_>) -> Typed {
        let text = name.text.as_str();
        if let Some(field) = self.read_field(text, scope) {
            return field;
        }
        if let Some(at) = scope.inputs.iter().position(|input| input.name == text) {
            let input = &scope.inputs[at];
            let ty = if input.default.is_some() { input.ty.required().clone() } else { input.ty.clone() };
            return Typed::new(Expr::Input(u16::try_from(at).unwrap_or(u16::MAX)), ty);
        }
        if scope.settings
            && let Some(setting) = self.settings.iter().find(|setting| setting.name == text)
        {
            let ty = if setting.default.is_some() { setting.ty.required().clone() } else { setting.ty.clone() };
            return Typed::new(Expr::Env(Env::Setting(text.to_owned())), ty);
        }
        if let Some(found) = self.secret(name, scope) {
            return found;
        }
        if scope.place.reads_answer() && text == "body" {
            return Typed::new(Expr::Answer(flow_plan::JsonPath::default()), Type::Json);
        }
        if let Some((_, env, ty)) = surroundings(scope.place).into_iter().find(|(known, ..)| *known == text) {
            return Typed::new(Expr::Env(env), ty);
        }
        self.unknown_name(name, scope);
        Typed::unknown()
    }

    fn secret(&mut self, name: &Ident, scope: &Scope<'_>) -> Option<Typed> {
        let secret = self.secrets.iter_mut().find(|secret| secret.name == name.text)?;
        match scope.place {
            Place::Header | Place::Request | Place::Sign | Place::Register | Place::Poll(_) => secret.for_requests = true,
            Place::Webhook => secret.for_webhooks = true,
            Place::Refuse => {
                let diagnostic = self.mistake(name.span, format!("the secret `{}` is not to be looked at", name.text));
                self.push(diagnostic.help(format!("ask what it begins with: `{} starts with \"live_\"`", name.text)));
                return Some(Typed::unknown());
            }
            // Whether it is needed is for the service to say.
            Place::Via => {}
            Place::Base | Place::Find | Place::Answer | Place::Constant | Place::Confirm | Place::State | Place::Told => {
                let diagnostic = self.mistake(name.span, format!("the secret `{}` may not stand here", name.text));
                self.push(diagnostic.help("secrets belong into `auth`, headers, requests and the check of webhooks"));
                return Some(Typed::unknown());
            }
        }
        let ty = Type::Text(flow_plan::ty::TextKind::Secret);
        let ty = if secret.optional && scope.place != Place::Header { ty.optional() } else { ty };
        Some(Typed::new(Expr::Env(Env::Secret(name.text.clone())), ty))
    }

    fn unknown_name(&mut self, name: &Ident, scope: &Scope<'_>) {
        let mut known: Vec<String> = scope.inputs.iter().map(|input| input.name.clone()).collect();
        known.extend(scope.read.into_iter().flat_map(|read| self.fields_of(read)).map(|(name, _)| name));
        if scope.settings {
            known.extend(self.settings.iter().map(|setting| setting.name.clone()));
        }
        let secret = matches!(
            scope.place,
            Place::Header | Place::Request | Place::Sign | Place::Register | Place::Webhook | Place::Poll(_) | Place::Via
        );
        if secret {
            known.extend(self.secrets.iter().map(|secret| secret.name.clone()));
        }
        known.extend(surroundings(scope.place).into_iter().map(|(name, ..)| name.to_owned()));
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let diagnostic = self.diagnostic(crate::code::Code::E201, name.span, format!("nothing here is named `{}`", name.text));
        let mut diagnostic = self.suggest(diagnostic, name.span, &name.text, &known);
        if diagnostic.fixes.is_empty() && scope.place.reads_answer() {
            diagnostic = diagnostic.fix("a place in the answer is quoted", name.span, format!("\"{}\"", name.text), false);
        } else if diagnostic.fixes.is_empty() && scope.place == Place::Constant {
            diagnostic = diagnostic.fix("a text is quoted", name.span, format!("\"{}\"", name.text), false);
        }
        self.push(diagnostic);
    }

    /// `run.key`, or a field of an input.
    pub(super) fn field_of(&mut self, node: &syntax::Expr, record: &syntax::Expr, field: &Ident, scope: &Scope<'_>) -> Typed {
        if let ExprKind::Name(name) = &*record.kind
            && name.text == "run"
            && !scope.inputs.iter().any(|input| input.name == "run")
        {
            return self.of_run(node, field, scope);
        }
        // A setting that an input or a field hides.
        if let ExprKind::Name(name) = &*record.kind
            && name.text == "settings"
            && !scope.inputs.iter().any(|input| input.name == "settings")
            && let Some(setting) = self.settings.iter().find(|setting| setting.name == field.text)
        {
            let ty = if setting.default.is_some() { setting.ty.required().clone() } else { setting.ty.clone() };
            return Typed::new(Expr::Env(Env::Setting(field.text.clone())), ty);
        }
        let typed = self.wire(record, scope);
        let ty = match typed.ty.required() {
            Type::Unknown => Type::Unknown,
            Type::Json => Type::Json,
            Type::Map(inner) => inner.as_ref().clone().optional(),
            Type::Record(of) if of.name.is_empty() => match of.fields.iter().find(|(name, _)| *name == field.text) {
                Some((_, ty)) if typed.ty.can_be_missing() => ty.clone().optional(),
                Some((_, ty)) => ty.clone(),
                None => {
                    let known: Vec<&str> = of.fields.iter().map(|(name, _)| name.as_str()).collect();
                    self.unknown(field.span, format!("there is no field `{}`", field.text), &field.text, known);
                    return Typed::unknown();
                }
            },
            Type::Record(of) => {
                let declared = self.records.get(&of.name).and_then(Option::as_ref);
                match declared.and_then(|record| record.field(&field.text)) {
                    Some(found) => found.ty.clone(),
                    None => {
                        let known: Vec<String> =
                            declared.into_iter().flat_map(|record| &record.fields).map(|field| field.name.clone()).collect();
                        let known = known.iter().map(String::as_str);
                        self.unknown(field.span, format!("there is no field `{}`", field.text), &field.text, known);
                        return Typed::unknown();
                    }
                }
            }
            other => {
                let message = format!("{other} has no fields");
                self.push(self.mistake(field.span, message));
                return Typed::unknown();
            }
        };
        Typed::new(Expr::Field(Box::new(typed.expr), field.text.clone()), ty)
    }

    /// What there is to register: the address of the connection's webhook, and a key that names the attempt.
    fn of_registration(&mut self, field: &Ident) -> Typed {
        match field.text.as_str() {
            "public_url" => Typed::new(Expr::Env(Env::PublicUrl), Type::Text(flow_plan::ty::TextKind::Url)),
            "key" => Typed::new(Expr::Env(Env::RunKey), Type::text()),
            "instance" => Typed::new(Expr::Env(Env::Instance), Type::text()),
            other => {
                self.unknown(field.span, format!("`run` has no `{other}` here"), other, ["public_url", "key", "instance"]);
                Typed::unknown()
            }
        }
    }

    /// A field of what a query read.
    fn read_field(&self, name: &str, scope: &Scope<'_>) -> Option<Typed> {
        let read = scope.read?;
        let (_, ty) = self.fields_of(read).into_iter().find(|(known, _)| known == name)?;
        let ty = if read.can_be_missing() { ty.optional() } else { ty };
        Some(Typed::new(Expr::Field(Box::new(Expr::Local(0)), name.to_owned()), ty))
    }

    /// The fields of a record type.
    pub(in crate::connector) fn fields_of(&self, ty: &Type) -> Vec<(String, Type)> {
        let Type::Record(of) = ty.required() else { return Vec::new() };
        if of.name.is_empty() {
            return of.fields.clone();
        }
        let declared = self.records.get(&of.name).and_then(Option::as_ref);
        declared.into_iter().flat_map(|record| &record.fields).map(|field| (field.name.clone(), field.ty.clone())).collect()
    }

    fn of_run(&mut self, node: &syntax::Expr, field: &Ident, scope: &Scope<'_>) -> Typed {
        if scope.registers {
            return self.of_registration(field);
        }
        if !matches!(scope.place, Place::Request | Place::Sign | Place::Find) {
            let diagnostic = self.mistake(node.span, "there is no run here");
            self.push(diagnostic.help("`run` is what performs a step: it is there in the request of an operation"));
            return Typed::unknown();
        }
        match RUN.iter().find(|(name, _)| *name == field.text) {
            Some((_, Env::EventAt)) => Typed::new(Expr::Env(Env::EventAt), Type::DateTime),
            Some((_, env)) => Typed::new(Expr::Env(env.clone()), Type::text()),
            None => {
                let known = RUN.iter().map(|(name, _)| *name);
                self.unknown(field.span, format!("`run` has no `{}`", field.text), &field.text, known);
                Typed::unknown()
            }
        }
    }
}

/// What is known at a place without being declared.
fn surroundings(place: Place) -> Vec<(&'static str, Env, Type)> {
    match place {
        Place::Request => vec![
            ("sent_at", Env::SentAt, Type::DateTime),
            ("now", Env::Now, Type::DateTime),
            ("mistake", Env::Mistake, Type::text().optional()),
        ],
        Place::Sign => {
            let fields = || Type::Map(Box::new(Type::text()));
            vec![
                ("sent_at", Env::SentAt, Type::DateTime),
                ("now", Env::Now, Type::DateTime),
                ("body", Env::SentBody, Type::text()),
                ("form", Env::SentForm, fields()),
                ("query", Env::SentQuery, fields()),
            ]
        }
        Place::Header => vec![("sent_at", Env::SentAt, Type::DateTime)],
        Place::Confirm | Place::Find => vec![("sent_at", Env::SentAt, Type::DateTime)],
        Place::Told => vec![("connection", Env::Connection, Type::text())],
        Place::Register => {
            vec![("sent_at", Env::SentAt, Type::DateTime), ("live_types", Env::LiveTypes, Type::List(Box::new(Type::text())))]
        }
        Place::Poll(_) => vec![
            ("watermark", Env::Watermark, Type::DateTime),
            ("cursor", Env::Cursor, Type::text().optional()),
            ("live_types", Env::LiveTypes, Type::List(Box::new(Type::text()))),
            ("sent_at", Env::SentAt, Type::DateTime),
        ],
        Place::Webhook => vec![("timestamp", Env::SentAt, Type::text()), ("body", Env::SentBody, Type::text())],
        Place::Base | Place::Answer | Place::Refuse | Place::Constant | Place::State | Place::Via => Vec::new(),
    }
}
