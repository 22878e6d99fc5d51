//! Missing values where one is needed (E302, E307) and comparisons that may not be possible (E303), with their fixes.

use flow_grammar::span::Span;
use flow_grammar::syntax::{self, BinaryOp, ClauseKind, ExprKind, Start};
use flow_plan::ty::{TextKind, Type};

use super::check::{Checker, Setting};
use super::fact::{Place, Root};
use super::typed::Typed;
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Edit, Fix};

/// Why a value must be there.
#[derive(Debug)]
pub(super) enum Need<'t> {
    /// It stands in a text.
    Text,
    /// A required input.
    Input(&'t str),
    /// A required field of an object.
    Field(&'t str),
    /// The list of a `for`.
    List,
    /// A key of a limit: what tells events apart.
    Key,
    /// What a `wait until` waits for.
    Wait,
    /// A result that is always there.
    Return,
}

impl Need<'_> {
    fn help(&self) -> String {
        match self {
            Need::Text => "a text has no hole: everything in it must have a value".to_owned(),
            Need::Input(name) | Need::Field(name) => format!("`{name}` must always have a value"),
            Need::List => "a loop needs a list".to_owned(),
            Need::Key => "events without it would share one limit, although they have nothing to do with each other".to_owned(),
            Need::Wait => "the run would not know for what it waits".to_owned(),
            Need::Return => "the result is declared as always there".to_owned(),
        }
    }
}

/// Why a comparison may not be possible.
#[derive(Debug, Clone)]
pub(super) struct Partial<'a> {
    /// The comparison.
    pub(super) span: Span,
    pub(super) text: String,
    /// The side that is not sure.
    pub(super) place: Option<Place<'a>>,
    /// The other side, where it can be missing as well.
    pub(super) beside: Option<Place<'a>>,
    /// The side can be missing; otherwise its currency may be another.
    pub(super) missing: bool,
    pub(super) failed: Option<Span>,
    /// The same comparison the other way round: `amount <= 100 USD`.
    pub(super) flipped: Option<String>,
}

impl<'a> Checker<'a> {
    /// Reports a value that can be missing where one is needed, and returns it as one that is there.
    pub(super) fn need(&mut self, mut value: Typed<'a>, expr: &syntax::Expr, why: &Need<'_>) -> Typed<'a> {
        if !value.optional || value.is_unknown() {
            value.optional = false;
            return value;
        }
        let diagnostic = self.missing(&value, expr, why);
        self.report(diagnostic);
        value.optional = false;
        value.failed = None;
        value
    }

    /// Makes the diagnostic for a value that can be missing where one is needed.
    pub(super) fn missing(&self, value: &Typed<'a>, expr: &syntax::Expr, why: &Need<'_>) -> Diagnostic {
        let text = self.text_of(expr);
        if let Some(call) = value.failed {
            return self.after_failure(&text, value, expr, call);
        }
        // What is calculated has no place of its own: the sum of two amounts is there where they have one currency.
        let is_sum =
            *value.ty == Type::Money && matches!(expr.kind.as_ref(), ExprKind::Binary(BinaryOp::Add | BinaryOp::Subtract, ..));
        let label = if is_sum {
            format!("{}  - amounts of different currencies have no sum", value.type_name())
        } else if value.docs.is_empty() {
            value.type_name()
        } else {
            format!("{}  - {}", value.type_name(), value.docs)
        };
        let mut diagnostic =
            self.diagnostic(Code::E302, expr.span, format!("`{text}` can be missing here")).label(label).help(why.help());
        if let Some(place) = &value.place
            && let Some(fix) = self.present_in_where(place)
        {
            diagnostic.fixes.push(fix);
        }
        let nested = is_operand(expr);
        // `0 USD` is a default in a text, but no amount to give to anybody.
        let is_amount = *value.ty == Type::Money && matches!(why, Need::Input(_));
        if let Some(default) = example(value.ty.as_ref()).filter(|_| !is_amount && !matches!(why, Need::Key)) {
            let (open, close) = if nested { ("(", ")") } else { ("", "") };
            diagnostic.fixes.push(Fix {
                title: format!("`{text} else {default}`  (uses a default)"),
                edits: wrap(expr.span, open, &format!(" else {default}{close}")),
                safe: false,
            });
        }
        if self.setting == Setting::Steps {
            diagnostic.fixes.push(Fix {
                title: format!("`require {text}`  (keeps those events in the dead letters)"),
                edits: if nested { wrap(expr.span, "require (", ")") } else { wrap(expr.span, "require ", "") },
                safe: false,
            });
        }
        diagnostic.fixes.truncate(3);
        diagnostic
    }

    /// A result used where its call may have failed.
    fn after_failure(&self, text: &str, value: &Typed<'a>, expr: &syntax::Expr, call: Span) -> Diagnostic {
        let mut diagnostic = self
            .diagnostic(Code::E307, expr.span, format!("`{text}` is not there where its step failed"))
            .label("the run comes here in both cases")
            .also(call, "this step may fail, and `on error` goes on")
            .help("give a default, ask with `if … is present`, or end the `on error` with `stop`");
        if let Some(default) = example(value.ty.as_ref()) {
            diagnostic = diagnostic.fix(format!("`{text} else {default}`"), expr.span.after(), format!(" else {default}"), false);
        }
        diagnostic
    }

    /// Returns the fix that lets only events start the flow where the place has a value.
    pub(super) fn present_in_where(&self, place: &Place<'_>) -> Option<Fix> {
        if matches!(place.root, Root::Binding(_) | Root::Awaited) {
            return None;
        }
        // In `where` no step's name hides a field.
        let text = match place.root {
            Root::Event => {
                let first = place.path.split(['.', '[']).next().unwrap_or_default();
                let hidden =
                    self.bare_connection(first).is_some() || super::expr::is_builtin(first) || super::check::is_reserved(first);
                if hidden { format!("event.{}", place.path) } else { place.path.to_string() }
            }
            Root::Raw | Root::Binding(_) | Root::Awaited => format!("raw.{}", place.path),
        };
        // Who asks for it below wants those events.
        if self.node?.span.text(self.frame.source).contains(&format!("{text} is missing")) {
            return None;
        }
        self.extend_where(&format!("{text} is present"), "skips those events")
    }

    /// Returns the flow's `where`.
    fn filter_node(&self) -> Option<&'a syntax::Expr> {
        self.node?.clauses.iter().find_map(|clause| match &clause.kind {
            ClauseKind::Where(condition) => Some(condition),
            _ => None,
        })
    }

    /// Returns the fix that adds a test to the flow's `where`.
    pub(super) fn extend_where(&self, test: &str, effect: &str) -> Option<Fix> {
        let node = self.node?;
        let (edits, title) = match self.filter_node() {
            Some(condition) => {
                let (open, close) = if is_loose(condition) { ("(", ")") } else { ("", "") };
                (wrap(condition.span, open, &format!("{close} and {test}")), format!("add `and {test}` to `where`  ({effect})"))
            }
            None => {
                let Start::When(when) = &node.start else { return None };
                let edit = Edit { span: when.span.after(), text: format!(" where {test}") };
                (vec![edit], format!("`where {test}`  ({effect})"))
            }
        };
        Some(Fix { title, edits, safe: false })
    }

    /// Reports a comparison that may not be possible, in a place where that decides wrongly.
    pub(super) fn partial(&mut self, partial: &Partial<'a>, why: &str, extra: Option<Fix>) {
        if let Some(call) = partial.failed {
            let diagnostic = self
                .diagnostic(Code::E307, partial.span, format!("`{}` needs a result that may not be there", partial.text))
                .also(call, "this step may fail, and `on error` goes on")
                .help("give a default with `else`, or ask first with `is present`");
            self.report(diagnostic);
            return;
        }
        let subject = partial.place.as_ref().map(|place| self.spell(place));
        let named = subject.clone().unwrap_or_else(|| partial.text.clone());
        let (message, label) = if partial.missing && subject.is_none() {
            (format!("`{}` cannot be decided where something in it is missing", partial.text), "neither true nor false then")
        } else if partial.missing {
            (format!("`{}` cannot be decided where `{named}` is missing", partial.text), "neither true nor false then")
        } else {
            (format!("`{}` cannot be decided for another currency", partial.text), "neither true nor false then")
        };
        let mut diagnostic = self.diagnostic(Code::E303, partial.span, message).label(label).help(why.to_owned());
        diagnostic.fixes.extend(extra);
        if partial.missing
            && let Some(place) = &partial.place
        {
            if self.setting == Setting::Steps {
                diagnostic.fixes.extend(self.present_in_where(place));
            } else if let (Some(subject), Some(condition), None) = (&subject, self.filter_node(), &self.awaited)
                // Within a function over a list the question stands there, not before the whole condition.
                && !matches!(place.root, Root::Binding(_))
            {
                // What is said first is known behind it.
                let (open, close) = if is_loose(condition) { ("(", ")") } else { ("", "") };
                let beside = partial.beside.as_ref().map(|place| format!(" and {} is present", self.spell(place)));
                let first = format!("{subject} is present{}", beside.unwrap_or_default());
                diagnostic.fixes.push(Fix {
                    title: format!("ask first: `{first} and …`  (skips those events)"),
                    edits: wrap(condition.span, &format!("{first} and {open}"), close),
                    safe: false,
                });
            }
        }
        if !partial.missing {
            diagnostic.fixes.push(Fix {
                title: "give a limit for each currency: `any(100 USD, 90 EUR)`, and compare both ways round".to_owned(),
                edits: Vec::new(),
                safe: false,
            });
        }
        if diagnostic.fixes.is_empty()
            && let Some(flipped) = &partial.flipped
        {
            diagnostic = diagnostic.advise(format!("ask the other way round as well: `if {flipped} {{ … }}`"));
        }
        diagnostic.fixes.truncate(3);
        self.report(diagnostic);
    }
}

/// Tells whether `and` beside the expression would take a part of it.
fn is_loose(expr: &syntax::Expr) -> bool {
    matches!(expr.kind.as_ref(), ExprKind::Binary(BinaryOp::Or, ..) | ExprKind::Else(..))
}

/// Returns the edits that put something before and behind.
pub(super) fn wrap(span: Span, before: &str, behind: &str) -> Vec<Edit> {
    let start = Span { start: span.start, end: span.start };
    let mut edits = Vec::with_capacity(2);
    if !before.is_empty() {
        edits.push(Edit { span: start, text: before.to_owned() });
    }
    if !behind.is_empty() {
        edits.push(Edit { span: span.after(), text: behind.to_owned() });
    }
    edits
}

/// Tells whether `else` behind the expression would belong to a part of it.
fn is_operand(expr: &syntax::Expr) -> bool {
    matches!(expr.kind.as_ref(), ExprKind::Binary(..) | ExprKind::Not(_) | ExprKind::Negate(_) | ExprKind::Is { .. })
}

/// A default that shows its form.
pub(super) fn example(ty: &Type) -> Option<String> {
    Some(match ty {
        Type::Text(TextKind::Email) => "\"billing@example.com\"".to_owned(),
        Type::Text(TextKind::Plain) => "\"unknown\"".to_owned(),
        Type::Text(TextKind::Url) => "\"https://example.com\"".to_owned(),
        Type::Text(TextKind::Country) => "\"US\"".to_owned(),
        Type::Text(TextKind::Phone | TextKind::Locale | TextKind::Id(..) | TextKind::Secret) => return None,
        Type::Bool => "false".to_owned(),
        Type::Int(None) | Type::Number => "0".to_owned(),
        Type::Int(Some((low, _))) => low.to_string(),
        Type::Money => "0 USD".to_owned(),
        Type::Enum { members, .. } => format!("\"{}\"", members.first()?),
        Type::List(_) => "[]".to_owned(),
        Type::Json => "\"unknown\"".to_owned(),
        Type::Date
        | Type::Time
        | Type::DateTime
        | Type::Duration
        | Type::Map(_)
        | Type::Record(_)
        | Type::Optional(_)
        | Type::Unknown
        | Type::Nothing => return None,
    })
}
