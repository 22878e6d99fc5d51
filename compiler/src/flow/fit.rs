//! Whether a value fits the place that it is put in, and what to say where it does not.

use std::borrow::Cow;

use flow_grammar::syntax;
use flow_plan as plan;
use flow_plan::ty::{TextKind, Type};
use flow_plan::{Money, Value};
use rust_decimal::Decimal;

use super::amount::Amount;
use super::check::{Checker, listed};
use super::expr::function::is_text_literal;
use super::secret;
use super::typed::Typed;
use crate::code::Code;
use crate::suggest::nearest;

/// The place that a value is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target<'t> {
    /// An input of an operation, or an option of a trigger.
    Input(&'t str),
    /// A field of an object.
    Field(&'t str),
    /// An item of a list.
    Item,
    /// What stands behind `else`.
    Default,
    /// The value of a function.
    Function(&'t str),
    /// What a composite operation gives back.
    Return,
    /// A pattern of a `match`.
    Pattern,
}

impl Target<'_> {
    fn words(&self) -> String {
        match self {
            Target::Input(name) => format!("for `{name}`"),
            Target::Field(name) => format!("for `{name}`"),
            Target::Item => "like the items before".to_owned(),
            Target::Default => "like the value before `else`".to_owned(),
            Target::Function(name) => format!("for `{name}(…)`"),
            Target::Return => "as the result".to_owned(),
            Target::Pattern => "to compare with".to_owned(),
        }
    }
}

/// How a value fits.
enum Fit {
    Yes,
    /// As this constant.
    As(Value),
    No,
}

impl<'a> Checker<'a> {
    /// Returns the value as the type that its place wants, reporting where it does not fit. Whether it may be missing is
    /// not looked at.
    pub(super) fn expect(&mut self, mut value: Typed<'a>, want: &Type, expr: &syntax::Expr, target: &Target<'_>) -> Typed<'a> {
        if self.money_in_json(&value, want, expr, target) {
            return Typed::unknown();
        }
        match self.fit(&value, want) {
            Fit::Yes => {
                if let (Type::Enum { members, open }, Some(Value::Text(text))) = (want, value.as_const()) {
                    let text = text.clone();
                    if !self.check_enum_text(expr, &text, members, *open) {
                        return Typed::unknown();
                    }
                } else if let (Type::Text(kind), Some(Value::Text(text))) = (want, value.as_const()) {
                    let text = text.clone();
                    if !self.check_semantic(expr, &text, kind) {
                        return Typed::unknown();
                    }
                } else if let (Type::Int(Some((low, high))), Some(Value::Number(number))) = (want, value.as_const())
                    && !(low..=high).contains(&number)
                {
                    let nearest = if number < low { low } else { high };
                    let diagnostic = self
                        .diagnostic(
                            Code::E301,
                            expr.span,
                            format!("a number from {low} to {high} is expected {}", target.words()),
                        )
                        .label(format!("found {number}"))
                        .fix(format!("`{nearest}`"), expr.span, nearest.to_string(), false);
                    self.report(diagnostic);
                    return Typed::unknown();
                }
                value
            }
            Fit::As(constant) => {
                value.expr = plan::Expr::Const(constant);
                value.ty = Cow::Owned(want.clone());
                value
            }
            Fit::No if self.is_item_of(&value, want, target) => {
                // One is a list of one: `to: email`.
                let missing = matches!(value.ty.as_ref(), Type::Optional(_));
                value.expr = plan::Expr::List(vec![value.expr]);
                value.ty = Cow::Owned(if missing { want.clone().optional() } else { want.clone() });
                value
            }
            Fit::No => {
                self.mismatch_type(&value, want, expr, target);
                Typed::unknown()
            }
        }
    }

    /// Tells whether an input that takes a list is given one item of it.
    fn is_item_of(&self, value: &Typed<'_>, want: &Type, target: &Target<'_>) -> bool {
        let Type::List(item) = want.required() else { return false };
        let item =
            if matches!(value.ty.as_ref(), Type::Optional(_)) { item.as_ref().clone().optional() } else { item.as_ref().clone() };
        matches!(target, Target::Input(_)) && matches!(self.fit(value, &item), Fit::Yes)
    }

    fn fit(&self, value: &Typed<'_>, want: &Type) -> Fit {
        let yes = |fits: bool| if fits { Fit::Yes } else { Fit::No };
        match (value.ty.as_ref(), want) {
            (Type::Optional(inner), want) if fits(inner, want) => Fit::Yes,
            (Type::Text(TextKind::Plain), Type::Text(kind)) if *kind != TextKind::Plain => {
                yes(matches!(value.as_const(), Some(Value::Text(_))))
            }
            (Type::Text(TextKind::Plain), Type::Enum { .. }) => yes(matches!(value.as_const(), Some(Value::Text(_)))),
            (Type::Int(_) | Type::Number, Type::Money) => match (value.as_const(), self.settings.currency) {
                (Some(Value::Number(amount)), Some(currency)) if amount.normalize().scale() <= u32::from(currency.decimals()) => {
                    self.frozen.currency.set(true);
                    Fit::As(Value::Money(Money { amount: *amount, currency }))
                }
                _ => Fit::No,
            },
            (Type::Number, Type::Int(_)) => match value.as_const() {
                Some(Value::Number(number)) => yes(number.is_integer()),
                _ => Fit::No,
            },
            (Type::List(_), Type::List(_)) if is_empty_list(value) => Fit::Yes,
            (from, want) => yes(fits(from, want)),
        }
    }

    /// Checks a text against the members of an enum; `false` where it is none and that was reported.
    pub(super) fn check_enum_text(&mut self, expr: &syntax::Expr, text: &str, members: &[String], open: bool) -> bool {
        if members.iter().any(|member| member == text) || secret::looks_live(text) {
            return true;
        }
        let found = nearest(text, members.iter().map(String::as_str));
        let code = if open { Code::W314 } else { Code::E304 };
        if open && found.is_none() {
            return true;
        }
        let mut diagnostic = self.diagnostic(code, expr.span, format!("\"{text}\" is not one of the values that this can have"));
        diagnostic = match found {
            Some(found) if open => diagnostic
                .label("it would never be equal")
                .help(format!("did you mean \"{found}\"? The service may have values that are not known here, but this one looks like a slip"))
                .fix(format!("`\"{found}\"`"), expr.span, format!("\"{found}\""), false),
            Some(found) => diagnostic
                .label(format!("one of {}", listed(members, "or")))
                .help(format!("did you mean \"{found}\"?"))
                .fix(format!("`\"{found}\"`"), expr.span, format!("\"{found}\""), true),
            None => diagnostic.label(format!("one of {}", listed(members, "or"))),
        };
        self.report(diagnostic);
        open
    }

    /// An enum member without its quotes.
    pub(super) fn bare_member(&mut self, expr: &syntax::Expr, name: &syntax::Ident, want: &Type) -> Typed<'a> {
        let Type::Enum { members, .. } = want else { return Typed::unknown() };
        let found = if members.contains(&name.text) {
            Some(name.text.as_str())
        } else {
            nearest(&name.text, members.iter().map(String::as_str))
        };
        match found {
            Some(found) => {
                let diagnostic = self
                    .diagnostic(Code::E304, expr.span, format!("`{}` needs quotes here", name.text))
                    .label("bare words are names of fields and steps")
                    .help(format!("values are written as texts: \"{found}\""))
                    .fix(format!("`\"{found}\"`"), expr.span, format!("\"{found}\""), true);
                self.report(diagnostic);
                Typed::unknown()
            }
            None => self.value(expr),
        }
    }

    /// A text for a place with a meaning: an obvious slip is told, and `false` returned.
    fn check_semantic(&mut self, expr: &syntax::Expr, text: &str, kind: &TextKind) -> bool {
        if secret::looks_live(text) {
            return true;
        }
        let (fine, what, example) = match kind {
            TextKind::Email => {
                let fine = text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && host.contains('.'))
                    && !text.contains(char::is_whitespace);
                (fine, "an e-mail address", "\"ada@example.com\"")
            }
            TextKind::Url => {
                (text.starts_with("https://") || text.starts_with("http://"), "a web address", "\"https://example.com\"")
            }
            TextKind::Phone => (text.chars().filter(char::is_ascii_digit).count() >= 3, "a telephone number", "\"+33123456789\""),
            TextKind::Country => (text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic()), "a country", "\"FR\""),
            TextKind::Plain | TextKind::Locale | TextKind::Id(..) | TextKind::Secret => return true,
        };
        if !fine {
            let diagnostic = self
                .diagnostic(Code::E301, expr.span, format!("\"{text}\" is not {what}"))
                .label(format!("expected {what}, for example {example}"));
            self.report(diagnostic);
        }
        fine
    }

    /// Reports that a value does not fit, where only words tell what would.
    pub(super) fn mismatch(&mut self, value: &Typed<'a>, want: &str, expr: &syntax::Expr, target: &Target<'_>) {
        let diagnostic = self
            .diagnostic(Code::E301, expr.span, format!("expected {want} {}, found {}", target.words(), value.type_name()))
            .label(value.type_name());
        self.report(diagnostic);
    }

    /// The call that leads from a text with a meaning to a record: `kustomer.find_or_create_customer(email: …)`.
    fn resolving_call(&self, from: &TextKind, connector: &str, record: &str, value: &str) -> Option<String> {
        let owner = self.catalog.connectors.get(connector)?;
        let resolver = owner.resolvers.iter().find(|resolver| resolver.record == record)?;
        let action = owner.operations.get(&resolver.action)?;
        let input = action.inputs.iter().find(|input| *input.ty.required() == Type::Text(from.clone()))?;
        let connection = self.connections.of_connector(connector).next()?;
        Some(format!("{connection}.{}({}: {value})", action.name, input.name))
    }

    fn mismatch_type(&mut self, value: &Typed<'a>, want: &Type, expr: &syntax::Expr, target: &Target<'_>) {
        if value.is_unknown() {
            return;
        }
        let text = self.text_of(expr);
        let mut diagnostic = self
            .diagnostic(
                Code::E301,
                expr.span,
                format!("expected {} {}, found {}", words(want), target.words(), value.type_name()),
            )
            .label(value.type_name());
        let at = expr.span;
        diagnostic = match (value.ty.as_ref(), want) {
            (Type::Record(_), Type::Text(TextKind::Id(..))) => {
                match self.record(&value.ty).and_then(|record| record.fields.iter().find(|f| f.ty.required() == want)) {
                    Some(field) => diagnostic.help("give its id").fix(
                        format!("`{text}.{}`", field.name),
                        at.after(),
                        format!(".{}", field.name),
                        !value.optional,
                    ),
                    None => diagnostic,
                }
            }
            (Type::Text(TextKind::Id(c, r)), Type::Text(TextKind::Id(wc, wr))) => diagnostic.help(format!(
                "ids of {c} and {wc} are different things: this names a {r} of {c}, and a {wr} of {wc} is needed; look it up first"
            )),
            (Type::Text(from), Type::Text(TextKind::Id(connector, record))) => {
                match self.resolving_call(from, connector, record, &text) {
                    Some(call) => {
                        let name = super::step_name(record);
                        diagnostic.help(format!(
                            "look the {name} up in a step before: `{call} as {name}`, and give `{name}.id` here"
                        ))
                    }
                    None => diagnostic.help(format!("this is not the id of a {record} of {connector}")),
                }
            }
            (_, Type::List(item)) if fits(&value.ty, item) => {
                diagnostic.help("a list of one").fix(format!("`[{text}]`"), at, format!("[{text}]"), true)
            }
            (
                Type::Int(_) | Type::Number | Type::Money | Type::Bool | Type::Date | Type::Time | Type::DateTime | Type::Duration,
                Type::Text(TextKind::Plain),
            ) => {
                let inner = if matches!(value.as_const(), Some(Value::Number(_) | Value::Bool(_) | Value::Money(_))) {
                    format!("\"{text}\"")
                } else {
                    format!("\"{{{text}}}\"")
                };
                diagnostic.help("put it into a text").fix(format!("`{inner}`"), at, inner, !value.optional)
            }
            (Type::Int(_) | Type::Number, Type::Money) => match value.as_const() {
                Some(Value::Number(number)) => {
                    let currency = self.settings.currency.map_or_else(|| "USD".to_owned(), |currency| currency.to_string());
                    if self.settings.currency.is_some() {
                        diagnostic.help(format!("{currency} does not have so many decimals"))
                    } else {
                        diagnostic.help("say in which currency, or set `currency` in flow.toml").fix(
                            format!("`{number} {currency}`"),
                            at.after(),
                            format!(" {currency}"),
                            false,
                        )
                    }
                }
                _ => diagnostic
                    .help(format!("a number has no currency: use a money field, or say it with `money({text}, \"usd\")`, where it is so many whole units")),
            },
            (Type::Text(_), Type::Money) if is_text_literal(expr, value) => {
                let plain = value.as_const().map(ToString::to_string).unwrap_or_default();
                match Amount::read(&plain) {
                    Some(amount) => {
                        let own = self.settings.currency.map_or_else(|| "USD".to_owned(), |currency| currency.to_string());
                        let safe = amount.currency.is_some() && !amount.by_sign;
                        let text = format!("{} {}", amount.number, amount.currency.unwrap_or(own));
                        diagnostic.help("amounts are written without quotes, with their currency").fix(format!("`{text}`"), at, text, safe)
                    }
                    None => diagnostic.help("amounts are written as `100 USD`"),
                }
            }
            (Type::Money, Type::Int(_) | Type::Number) => match expr.kind.as_ref() {
                syntax::ExprKind::Money(number, _) => {
                    let number = number.span.text(self.frame.source).to_owned();
                    diagnostic.help("this is a number, and no money").fix(format!("`{number}`"), at, number, false)
                }
                _ => {
                    let number = format!("amount({text})");
                    let form = if *want == Type::Number { number } else { format!("round({number})") };
                    diagnostic
                        .help(format!("the number of an amount is `amount({text})`, in whole units"))
                        .fix(format!("`{form}`"), at, form, false)
                }
            },
            (Type::Text(_), Type::Int(_) | Type::Number | Type::Bool | Type::Time | Type::Date)
                if is_text_literal(expr, value) =>
            {
                let plain = value.as_const().map(ToString::to_string).unwrap_or_default();
                if literal_of(&plain, want) {
                    diagnostic.help("without quotes").fix(format!("`{plain}`"), at, plain, true)
                } else {
                    diagnostic
                }
            }
            _ => diagnostic,
        };
        self.report(diagnostic);
    }
}

fn literal_of(text: &str, want: &Type) -> bool {
    match want {
        Type::Int(_) => text.parse::<i64>().is_ok(),
        Type::Number => text.parse::<Decimal>().is_ok(),
        Type::Bool => matches!(text, "true" | "false"),
        _ => false,
    }
}

fn is_empty_list(value: &Typed<'_>) -> bool {
    match &value.expr {
        plan::Expr::List(items) => items.is_empty(),
        plan::Expr::Const(Value::List(items)) => items.is_empty(),
        _ => false,
    }
}

/// Tells whether every value of the one type is one of the other.
pub(super) fn fits(from: &Type, to: &Type) -> bool {
    match (from, to) {
        (Type::Unknown | Type::Json, _) | (_, Type::Unknown | Type::Json) => true,
        (from, Type::Optional(to)) => fits(from.required(), to),
        (Type::Text(TextKind::Secret), Type::Text(to)) => *to == TextKind::Secret,
        (Type::Text(_), Type::Text(TextKind::Plain)) => true,
        (Type::Text(from), Type::Text(to)) => from == to,
        (Type::Enum { .. }, Type::Text(TextKind::Plain)) => true,
        (Type::Enum { members: from, open: wide }, Type::Enum { members: to, open }) => {
            *open || (!wide && from.iter().all(|member| to.contains(member)))
        }
        (Type::Int(_), Type::Int(_) | Type::Number) | (Type::Number, Type::Number) => true,
        (Type::List(from), Type::List(to)) | (Type::Map(from), Type::Map(to)) => fits(from, to),
        (Type::Record(from), Type::Record(to)) => {
            if to.name.is_empty() {
                to.fields.iter().all(|(name, ty)| match from.fields.iter().find(|(known, _)| known == name) {
                    Some((_, found)) => fits(found, ty),
                    None => ty.can_be_missing(),
                })
            } else {
                from.connector == to.connector && from.name == to.name
            }
        }
        (Type::Record(from), Type::Map(to)) => from.name.is_empty() && from.fields.iter().all(|(_, ty)| fits(ty.required(), to)),
        (from, to) => from == to,
    }
}

/// A type in words, with an article where it helps.
pub(super) fn words(ty: &Type) -> String {
    match ty {
        Type::Text(TextKind::Email) => "an email".to_owned(),
        Type::Int(_) => "a whole number".to_owned(),
        Type::Number => "a number".to_owned(),
        Type::Bool => "`true` or `false`".to_owned(),
        other => other.to_string(),
    }
}
