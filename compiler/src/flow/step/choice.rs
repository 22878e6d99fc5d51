//! `match`.

use std::collections::HashSet;

use flow_grammar::syntax::{Arm, Expr, ExprKind, Step};
use flow_plan as plan;
use flow_plan::Value;
use flow_plan::ty::Type;

use super::super::check::{Checker, Setting, listed};
use super::super::fact::Fact;
use super::super::fit::Target;
use super::super::typed::Typed;
use super::Count;
use crate::code::Code;
use crate::diagnostic::{Edit, Fix};

/// What is left behind an arm is known behind so many arms: longer tables are looked up, and nobody asks them in turn.
const MOST_KNOWN: usize = 64;

/// The values that earlier arms take.
#[derive(Debug, Default)]
struct Seen {
    all: Vec<Value>,
    texts: HashSet<String>,
}

impl Seen {
    /// Notes a value; `false` where it was noted already.
    fn is_new(&mut self, value: &Value) -> bool {
        let new = match value.as_text() {
            Some(text) => self.texts.insert(text.to_owned()),
            None => !self.all.contains(value),
        };
        if new {
            self.all.push(value.clone());
        }
        new
    }
}

impl<'a> Checker<'a> {
    pub(super) fn match_step(&mut self, step: &Step, subject: &Expr, arms: &[Arm]) -> bool {
        let path = self.next_path();
        let setting = std::mem::replace(&mut self.setting, Setting::Steps);
        let value = self.value(subject);
        self.setting = setting;
        if !matches!(
            value.ty.as_ref(),
            Type::Unknown | Type::Text(_) | Type::Enum { .. } | Type::Bool | Type::Int(_) | Type::Number | Type::Json
        ) {
            let text = self.text_of(subject);
            let diagnostic = self
                .diagnostic(Code::E301, subject.span, format!("`{text}` cannot be matched with values"))
                .label(value.type_name())
                .help("texts, numbers and truths can; compare anything else with `if`");
            self.report(diagnostic);
        }
        let simple = matches!(value.expr, plan::Expr::Event(_) | plan::Expr::Local(_) | plan::Expr::Const(_));
        let tested = if simple {
            value.expr.clone()
        } else {
            let local = self.build.local();
            self.note_local(local, &value.expr);
            self.build.set(local, value.expr.clone());
            plan::Expr::Local(local)
        };
        // Inside an arm the event is of the triggers that it names.
        let by_trigger = matches!(value.expr, plan::Expr::Env(plan::Env::TriggerName));
        let end = self.build.label();
        let before = self.known.clone();
        let mut seen = Seen::default();
        let mut has_else = false;
        // An arm for a value that is a slip was meant for one of those that would be said to have none.
        let mut unread = false;
        let mut effect_within = false;
        let mut all_end = true;
        let mut count: Option<Count> = None;
        let mut outline = Vec::new();
        for (at, arm) in arms.iter().enumerate() {
            if has_else {
                self.unreachable_arm(arm, "`else` takes everything that is left");
                continue;
            }
            let next = self.build.label();
            let mark = self.facts.mark();
            let mut arm_triggers = None;
            let (around, mut rest) = (self.known.clone(), None);
            if arm.patterns.is_empty() {
                has_else = true;
                if by_trigger {
                    arm_triggers = Some(!self.triggers_named(&seen.all));
                }
            } else {
                let before = seen.all.len();
                let choices = self.patterns(&value, arm, &mut seen);
                unread |= choices.len() < arm.patterns.len();
                if by_trigger {
                    arm_triggers = Some(self.triggers_named(seen.all.get(before..).unwrap_or_default()));
                }
                let test = match <[plan::Expr; 1]>::try_from(choices) {
                    Ok([only]) => plan::Expr::Equal(Box::new(tested.clone()), Box::new(only)),
                    Err(several) => plan::Expr::OneOf(Box::new(tested.clone()), several),
                };
                let (taken, left) = (self.holds_where(&test, true), self.holds_where(&test, false));
                if self.is_excluded(&taken) && !self.is_silent(arm.span) {
                    self.unreachable_arm(arm, "`where` and the conditions around it leave out these values");
                }
                rest = Some(left);
                self.build.unless(test, next);
                self.know(&taken);
                if let Some(place) = &value.place {
                    self.facts.learn_present(place.clone());
                }
            }
            self.facts.learn(arm_triggers.map(Fact::Trigger));
            let effect_before = self.effect_before;
            let done = self.block(&arm.body, format!("{path}.arm_{}.", at + 1));
            effect_within |= std::mem::replace(&mut self.effect_before, effect_before);
            self.facts.reset(mark);
            self.known = around;
            if let Some(rest) = rest.filter(|_| at < MOST_KNOWN) {
                self.know(&rest);
            }
            if !done.ends {
                self.build.jump(end);
            }
            self.build.here(next);
            all_end &= done.ends;
            count = Some(count.map_or(done.count, |before| before.or(done.count)));
            if self.is_verdict_only() {
                continue;
            }
            let head = if arm.patterns.is_empty() {
                "else".to_owned()
            } else {
                arm.patterns.iter().map(|pattern| self.text_of(pattern)).collect::<Vec<_>>().join(" | ")
            };
            outline.push(plan::Outline {
                path: format!("{path}.arm_{}", at + 1),
                kind: "arm".to_owned(),
                text: head,
                call: None,
                effect: None,
                steps: done.outline,
            });
        }
        self.effect_before |= effect_within;
        self.known = before;
        self.build.here(end);
        if !value.is_unknown() && !unread {
            self.check_covered(step, subject, &value, &seen.all, has_else, arms);
        }
        let text = self.heading(step, subject.span);
        self.note(&path, "match", text, outline);
        let count = count.unwrap_or_default();
        self.steps.count = self.steps.count.then(if has_else { count } else { count.or(Count::default()) });
        all_end && (has_else || covers_all(&value, &seen.all)) && !arms.is_empty()
    }

    /// The patterns of an arm, each of which no earlier one takes.
    fn patterns(&mut self, subject: &Typed<'a>, arm: &Arm, seen: &mut Seen) -> Vec<plan::Expr> {
        let mut choices = Vec::with_capacity(arm.patterns.len());
        for pattern in &arm.patterns {
            let typed = match (subject.ty.as_ref(), pattern.kind.as_ref()) {
                (Type::Json | Type::Unknown, _) => self.value(pattern),
                (ty @ Type::Enum { .. }, ExprKind::Name(name)) if self.binding(&name.text).is_none() => {
                    let ty = ty.clone();
                    self.bare_member(pattern, name, &ty)
                }
                (ty, _) => {
                    let ty = ty.clone();
                    self.value_for(pattern, &ty, &Target::Pattern)
                }
            };
            if typed.is_unknown() {
                continue;
            }
            match typed.as_const() {
                Some(value) if !seen.is_new(value) => {
                    let text = self.text_of(pattern);
                    let diagnostic = self
                        .diagnostic(Code::W707, pattern.span, format!("`{text}` is taken by an earlier arm"))
                        .label("never reached");
                    self.report(diagnostic);
                }
                Some(_) => {}
                None => {
                    let diagnostic = self
                        .diagnostic(Code::E301, pattern.span, "a plain value is expected before `=>`")
                        .help("for example `\"fraudulent\" => …`; conditions stand in an `if`");
                    self.report(diagnostic);
                }
            }
            choices.push(typed.expr);
        }
        choices
    }

    fn unreachable_arm(&mut self, arm: &Arm, why: &str) {
        let diagnostic = self.diagnostic(Code::W707, arm.span, "this arm is never reached").label(why);
        self.report(diagnostic);
    }

    /// Reports values that no arm takes, and an `else` that takes none.
    fn check_covered(&mut self, step: &Step, subject: &Expr, value: &Typed<'a>, seen: &[Value], has_else: bool, arms: &[Arm]) {
        let left: Option<Vec<String>> = match value.ty.as_ref() {
            Type::Enum { members, open: false } => Some(
                members
                    .iter()
                    .filter(|member| !seen.iter().any(|value| value.as_text() == Some(member)))
                    .map(|member| format!("\"{member}\""))
                    .collect(),
            ),
            Type::Bool => Some(
                [true, false]
                    .into_iter()
                    .filter(|truth| !seen.contains(&Value::Bool(*truth)))
                    .map(|truth| truth.to_string())
                    .collect(),
            ),
            _ => None,
        };
        if has_else {
            if left.as_ref().is_some_and(Vec::is_empty)
                && !value.optional
                && let Some(arm) = arms.iter().find(|arm| arm.patterns.is_empty())
            {
                self.unreachable_arm(arm, "the arms before it take every value");
            }
            return;
        }
        let text = self.text_of(subject);
        let end = flow_grammar::span::Span { start: step.span.end.saturating_sub(1), end: step.span.end.saturating_sub(1) };
        let mut diagnostic = self.diagnostic(Code::E305, subject.span, format!("not every `{text}` has an arm"));
        let new_arms = match &left {
            Some(left) if left.is_empty() && !value.optional => return,
            Some(left) if left.is_empty() => {
                diagnostic = diagnostic.label("it can be missing").help("say what happens then");
                Vec::new()
            }
            Some(left) => {
                let and = if value.optional { ", and it can be missing" } else { "" };
                diagnostic = diagnostic.label(format!("there is no arm for {}{and}", listed(left, "and").replace('`', "")));
                if value.optional { Vec::new() } else { left.clone() }
            }
            None => {
                let help = if matches!(value.ty.as_ref(), Type::Enum { .. }) {
                    "the service may send values that are not known here: an `else` takes them"
                } else {
                    "there are endlessly many values: an `else` takes the others"
                };
                diagnostic = diagnostic.help(help);
                Vec::new()
            }
        };
        if !new_arms.is_empty() {
            let arms: String = new_arms.iter().map(|arm| format!("{arm} => stop ")).collect();
            diagnostic.fixes.push(Fix {
                title: format!("an arm for each: `{}`", arms.trim_end()),
                edits: vec![Edit { span: end, text: format!(" {arms}") }],
                safe: false,
            });
        }
        diagnostic.fixes.push(Fix {
            title: "`else => stop`".to_owned(),
            edits: vec![Edit { span: end, text: " else => stop ".to_owned() }],
            safe: false,
        });
        self.report(diagnostic);
    }
}

/// Tells whether the arms take every value without an `else`.
fn covers_all(value: &Typed<'_>, seen: &[Value]) -> bool {
    if value.optional {
        return false;
    }
    match value.ty.as_ref() {
        Type::Enum { members, open: false } => {
            members.iter().all(|member| seen.iter().any(|value| value.as_text() == Some(member)))
        }
        Type::Bool => seen.contains(&Value::Bool(true)) && seen.contains(&Value::Bool(false)),
        _ => false,
    }
}
