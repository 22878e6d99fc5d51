//! Lists, objects, defaults and `require`.

use std::borrow::Cow;

use flow_grammar::span::Span;
use flow_grammar::syntax::{self, ExprKind, ObjectField};
use flow_plan as plan;
use flow_plan::Value;
use flow_plan::ty::{RecordType, TextKind, Type};

use super::super::check::{Checker, Setting};
use super::super::fit::Target;
use super::super::typed::{Typed, split};
use crate::code::Code;
use crate::diagnostic::Diagnostic;

impl<'a> Checker<'a> {
    /// Checks an expression whose place wants a type; literals take its parts, so that each mistake has its place.
    pub(in crate::flow) fn value_for(&mut self, expr: &syntax::Expr, want: &Type, target: &Target<'_>) -> Typed<'a> {
        let (want, _) = split(want);
        match (expr.kind.as_ref(), want) {
            (ExprKind::Paren(inner), _) => self.value_for(inner, want, target),
            (ExprKind::Else(value, default), _) => self.default(value, default, Some((want, target)), false),
            (ExprKind::List(items), Type::List(item)) => self.list(items, Some((item, target))),
            // What JSON holds beside each other need not be of one type.
            (ExprKind::List(items), Type::Json) => self.list(items, Some((want, target))),
            (ExprKind::Object(fields), Type::Record(_) | Type::Map(_) | Type::Json) => self.object(fields, Some((want, target))),
            (ExprKind::Name(name), Type::Enum { .. })
                if self.binding(&name.text).is_none() && self.bare_field(&name.text).is_none() =>
            {
                self.bare_member(expr, name, want)
            }
            (ExprKind::Name(name), Type::Text(_) | Type::Bool) if self.is_unknown_word(name) => {
                let fix = self.word_as(name, want, "");
                self.unknown_name(name, fix);
                Typed::unknown()
            }
            (ExprKind::Name(name), Type::Int(Some((low, high)))) if self.is_unknown_word(name) => {
                let diagnostic = self
                    .diagnostic(Code::E301, expr.span, format!("a number from {low} to {high} is expected here, not a word"))
                    .label(format!("there is no `{}` here", name.text));
                self.report(diagnostic);
                Typed::unknown()
            }
            _ => {
                let value = self.value(expr);
                self.expect(value, want, expr, target)
            }
        }
    }

    pub(super) fn list(&mut self, items: &[syntax::Expr], want: Option<(&Type, &Target<'_>)>) -> Typed<'a> {
        let mut parts = Vec::with_capacity(items.len());
        let mut ty: Option<Cow<'a, Type>> = want.map(|(ty, _)| Cow::Owned(ty.clone()));
        let mut personal = false;
        for item in items {
            let value = match (&ty, want) {
                (Some(_), Some((inner, target))) => self.value_for(item, inner, target),
                (Some(first), None) => {
                    let first = first.clone();
                    let value = self.value(item);
                    if matches!((first.as_ref(), value.ty.as_ref()), (Type::Int(_), Type::Number)) {
                        // `[1, 2.5]` is a list of numbers.
                        ty = Some(Cow::Owned(Type::Number));
                        value
                    } else {
                        self.expect(value, &first, item, &Target::Item)
                    }
                }
                (None, _) => self.value(item),
            };
            // A list leaves out what is missing.
            personal |= value.personal || self.holds_personal(&value.ty);
            ty.get_or_insert_with(|| match value.ty.as_ref() {
                // The bounds of one item are not those of the others.
                Type::Int(_) => Cow::Owned(Type::Int(None)),
                _ => value.ty.clone(),
            });
            parts.push(value.expr);
        }
        let expr = match constants(&parts) {
            Some(values) => plan::Expr::Const(Value::List(values.into())),
            None => plan::Expr::List(parts),
        };
        let ty = ty.map_or(Type::Unknown, Cow::into_owned);
        Typed::new(expr, Type::List(Box::new(ty))).personal(personal)
    }

    pub(super) fn object(&mut self, fields: &[ObjectField], want: Option<(&Type, &Target<'_>)>) -> Typed<'a> {
        let mut parts: Vec<(String, plan::Expr)> = Vec::with_capacity(fields.len());
        let mut types = Vec::with_capacity(fields.len());
        let mut personal = false;
        let declared = want.and_then(|(ty, _)| self.declared_fields(ty));
        for field in fields {
            let key = &field.key;
            if parts.iter().any(|(name, _)| *name == key.text) {
                let diagnostic = self.diagnostic(Code::E205, key.span, format!("`{}` is there twice", key.text));
                self.report(diagnostic);
                continue;
            }
            let shorthand;
            let value = match &field.value {
                Some(value) => value,
                None => {
                    shorthand = syntax::Expr { span: key.span, kind: Box::new(ExprKind::Name(key.clone())) };
                    &shorthand
                }
            };
            if let Some(mark) = field.optional {
                let diagnostic = self.no_type_here(mark);
                self.report(diagnostic);
            }
            let before = self.diagnostics.len();
            let typed = match (&declared, want) {
                (Some(declared), _) => match declared.iter().find(|(name, _)| *name == key.text) {
                    Some((name, ty)) => {
                        let (inner, optional) = split(ty);
                        let typed = self.value_for(value, inner, &Target::Field(name));
                        if optional { typed } else { self.need(typed, value, &super::super::mend::Need::Field(name)) }
                    }
                    None => {
                        self.unknown_key(key, declared);
                        self.value(value)
                    }
                },
                (None, Some((Type::Map(inner), target))) => self.value_for(value, inner, target),
                (None, Some((Type::Json, target))) => self.value_for(value, &Type::Json, target),
                (None, _) => self.value(value),
            };
            if field.value.is_none() {
                self.name_in_fixes(key, before);
            }
            personal |= typed.personal || self.holds_personal(&typed.ty);
            types.push((key.text.clone(), if typed.optional { typed.ty.into_owned().optional() } else { typed.ty.into_owned() }));
            parts.push((key.text.clone(), typed.expr));
        }
        if let Some(declared) = &declared {
            self.check_complete(fields, declared);
        }
        let ty = match want {
            Some((ty @ (Type::Record(_) | Type::Map(_)), _)) => ty.clone(),
            _ => Type::Record(RecordType { connector: String::new(), name: String::new(), fields: types }),
        };
        Typed::new(plan::Expr::Record(parts), ty).personal(personal)
    }

    /// `?` behind a value.
    pub(in crate::flow) fn no_type_here(&self, mark: Span) -> Diagnostic {
        self.diagnostic(Code::E108, mark, "`?` stands behind a type, and this is a value")
            .label("not a form of Flow")
            .help("a value that can be missing is given as it is, and left out where there is none")
            .fix("take it out", mark, "", true)
    }

    /// In `{ amount }` the name is the value too: what mends the value leaves the name where it is.
    fn name_in_fixes(&mut self, key: &syntax::Ident, reported: usize) {
        let mends_the_value = |code| matches!(code, Code::E301 | Code::E302 | Code::E304 | Code::E316);
        for diagnostic in self.diagnostics.iter_mut().skip(reported).filter(|one| mends_the_value(one.code)) {
            for edit in diagnostic.fixes.iter_mut().flat_map(|fix| &mut fix.edits) {
                if edit.span == key.span.after() {
                    edit.text = format!(": {}{}", key.text, edit.text);
                } else if edit.span.start == key.span.start && edit.span.end <= key.span.end {
                    edit.text = format!("{}: {}", key.text, edit.text);
                }
            }
        }
    }

    pub(in crate::flow) fn declared_fields(&self, ty: &Type) -> Option<Vec<(String, Type)>> {
        match ty {
            Type::Record(record) if record.name.is_empty() => Some(record.fields.clone()),
            Type::Record(_) => {
                let record = self.record(ty)?;
                Some(record.fields.iter().map(|field| (field.name.clone(), field.ty.clone())).collect())
            }
            _ => None,
        }
    }

    fn unknown_key(&mut self, key: &syntax::Ident, declared: &[(String, Type)]) {
        let mut diagnostic = self.diagnostic(Code::E204, key.span, format!("there is no `{}` here", key.text));
        if let Some(found) = crate::suggest::nearest(&key.text, declared.iter().map(|(name, _)| name.as_str())) {
            diagnostic = diagnostic.help(format!("did you mean `{found}`?")).fix(format!("`{found}`"), key.span, found, true);
        } else {
            let names: Vec<&String> = declared.iter().map(|(name, _)| name).collect();
            diagnostic = diagnostic.help(format!("there are {}", super::super::check::listed(&names, "and")));
        }
        self.report(diagnostic);
    }

    fn check_complete(&mut self, fields: &[ObjectField], declared: &[(String, Type)]) {
        for (name, ty) in declared {
            if !ty.can_be_missing()
                && !fields.iter().any(|field| field.key.text == *name)
                && let (Some(first), Some(last)) = (fields.first(), fields.last())
            {
                let diagnostic = self
                    .diagnostic(Code::E401, first.span.to(last.span), format!("`{name}` is missing here"))
                    .help(format!("it is {ty}, and must always have a value"));
                self.report(diagnostic);
            }
        }
    }

    /// `a else b`.
    pub(super) fn default(
        &mut self,
        value: &syntax::Expr,
        default: &syntax::Expr,
        want: Option<(&Type, &Target<'_>)>,
        shown: bool,
    ) -> Typed<'a> {
        let mut left = match want {
            Some((ty, target)) => self.value_for(value, ty, target),
            None => self.value(value),
        };
        let mark = self.facts.mark();
        let right = match want {
            Some((ty @ Type::Json, _)) => self.value_for(default, ty, &Target::Default),
            Some((ty, target)) => self.value_for(default, ty, target),
            None => {
                let right = self.value(default);
                let text =
                    |ty: &Type| matches!(ty, Type::Text(kind) if *kind != TextKind::Secret) || matches!(ty, Type::Enum { .. });
                if shown || text(&left.ty) && text(&right.ty) {
                    // "a guest" is no address, but a text like one.
                    if left.ty != right.ty {
                        left.ty = Cow::Owned(Type::text());
                    }
                    right
                } else {
                    let ty = left.ty.clone();
                    self.expect(right, &ty, default, &Target::Default)
                }
            }
        };
        self.facts.reset(mark);
        if !left.optional {
            return left;
        }
        left.expr = plan::Expr::Else(Box::new(left.expr), Box::new(right.expr));
        left.optional = right.optional;
        left.failed = right.failed;
        left.personal |= right.personal;
        left.place = None;
        left.currency_at = None;
        left.currencies = None;
        left
    }

    /// `require a`.
    pub(super) fn require_value(&mut self, expr: &syntax::Expr, inner: &syntax::Expr) -> Typed<'a> {
        let value = self.value(inner);
        if self.setting == Setting::Condition {
            let text = self.text_of(inner);
            let diagnostic = self
                .diagnostic(Code::E308, expr.span, "a condition cannot require anything")
                .label("an event without it just does not match")
                .help("a condition only says which events are meant; `require` stands in the steps")
                .fix(format!("`{text}`"), expr.span, text, false);
            self.report(diagnostic);
        }
        self.required(value, inner)
    }

    /// Makes the run end where the value is missing; all that follows knows that it is there.
    pub(in crate::flow) fn required(&mut self, mut value: Typed<'a>, inner: &syntax::Expr) -> Typed<'a> {
        // Also where it is known to be there: what a flow says does not depend on what is said elsewhere.
        if !value.optional && !value.narrowed {
            return value;
        }
        let what = value.place.as_ref().map_or_else(
            || self.text_of(inner),
            |place| {
                if place.path.is_empty() { self.spell(place) } else { self.spell(place).trim_start_matches("event.").to_owned() }
            },
        );
        value.expr = plan::Expr::Require { value: Box::new(value.expr), what };
        value.optional = false;
        value.failed = None;
        if let Some(place) = value.place.clone() {
            self.facts.learn_present(place);
        }
        value
    }

    pub(super) fn tuple(&mut self, expr: &syntax::Expr, items: &[syntax::Expr]) -> Typed<'a> {
        if self.frame.is_guard {
            let parts = items.iter().map(|item| self.value(item).expr).collect();
            return Typed::new(plan::Expr::List(parts), Type::List(Box::new(Type::Unknown)));
        }
        let diagnostic = self
            .diagnostic(Code::E301, expr.span, "several values in brackets are no value")
            .help("a list is written `[a, b]`")
            .fix(
                "make it a list",
                expr.span,
                format!("[{}]", items.iter().map(|item| self.text_of(item)).collect::<Vec<_>>().join(", ")),
                false,
            );
        self.report(diagnostic);
        Typed::unknown()
    }
}

/// Returns the values where all are constants.
fn constants(parts: &[plan::Expr]) -> Option<Vec<Value>> {
    parts
        .iter()
        .map(|part| match part {
            plan::Expr::Const(value) if !value.is_missing() => Some(value.clone()),
            _ => None,
        })
        .collect()
}
