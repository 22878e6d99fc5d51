//! `for … in … up to N`.

use flow_grammar::syntax::{Block, Expr, ExprKind, Ident, NumberLit, Step};
use flow_plan as plan;
use flow_plan::ty::Type;
use flow_plan::{Instr, Value};

use super::super::check::Checker;
use super::super::mend::Need;
use super::super::typed::{Typed, split};
use super::Count;
use crate::code::Code;

/// The most rounds of one loop, and of loops within loops together; also the most calls of a run.
pub(in crate::flow) const MOST: u32 = 10_000;

impl<'a> Checker<'a> {
    pub(super) fn for_step(&mut self, step: &Step, var: &Ident, list: &Expr, up_to: Option<&NumberLit>, body: &Block) -> bool {
        let path = self.next_path();
        self.check_name(var, None);
        let calls = self.steps.outline.len();
        let typed = self.with_queries(&path, |this| this.value(list));
        let asked = self.steps.outline.split_off(calls.min(self.steps.outline.len()));
        let mut is_list = true;
        let item = match typed.ty.as_ref() {
            Type::List(item) => item.as_ref().clone(),
            Type::Unknown => Type::Unknown,
            Type::Json => Type::Json,
            _ => {
                let text = self.text_of(list);
                let diagnostic = self
                    .diagnostic(Code::E301, list.span, format!("`{text}` is no list"))
                    .label(typed.type_name())
                    .help("`for` goes through a list, item by item");
                self.report(diagnostic);
                is_list = false;
                Type::Unknown
            }
        };
        let typed = if is_list { self.need(typed, list, &Need::List) } else { typed };
        let known = match list.kind.as_ref() {
            ExprKind::List(items) => u32::try_from(items.len()).ok(),
            _ => match typed.as_const() {
                Some(Value::List(items)) => u32::try_from(items.len()).ok(),
                _ => None,
            },
        };
        let bound = match (up_to, known) {
            (Some(number), _) => self.whole(number, "the bound of a loop", 1, MOST),
            (None, Some(known)) => Some(known),
            (None, None) if !is_list => None,
            (None, None) => {
                let text = self.text_of(list);
                let diagnostic = self
                    .diagnostic(Code::E309, list.span, "this loop has no bound")
                    .label("nobody knows how long the list will be")
                    .help("say how many items at most: the rest is left out")
                    .fix(format!("`for {} in {text} up to 20`", var.text), list.span.after(), " up to 20", false);
                self.report(diagnostic);
                None
            }
        };
        let bound = bound.unwrap_or(1);
        let rounds_here = u64::from(known.map_or(bound, |known| known.min(bound)));
        let (into, counter, local) = (self.build.local(), self.build.local(), self.build.local());
        let (again, end) = (self.build.label(), self.build.label());
        let personal = typed.personal;
        self.note_local(into, &typed.expr);
        self.note_item(local, &typed.expr);
        self.build.push(Instr::Each { list: typed.expr, into, counter, up_to: bound });
        self.build.here(again);
        self.build.take_next(into, counter, local, end);

        let bindings = self.bindings.len();
        let (ty, optional) = split(&item);
        let mut value = Typed::new(plan::Expr::Local(local), ty.clone());
        // A list holds no missing items, except JSON, of which nothing is known.
        value.optional = optional && *ty != Type::Json;
        value.personal = personal;
        self.bind(var.text.clone(), var.span, value);
        self.loops.push(counter);
        let outer_rounds = self.steps.rounds;
        self.steps.rounds = outer_rounds.max(1).saturating_mul(rounds_here);
        let (rounds_in_all, found) = (self.steps.rounds, self.steps.too_many.take());
        self.comes_around(body);
        let done = self.block(body, format!("{path}.each."));
        self.steps.rounds = outer_rounds;
        self.loops.pop();
        self.bindings.truncate(bindings);
        self.build.jump(again);
        self.build.here(end);

        let (_, most) = done.count.through.unwrap_or_default();
        let calls_here = most.saturating_mul(rounds_here);
        let inner = self.steps.too_many.take();
        let rounds_in_all = inner.map_or(rounds_in_all, |(rounds, ..)| rounds.max(rounds_in_all));
        self.steps.too_many = found.or_else(|| {
            let too_many = rounds_in_all.max(calls_here) > u64::from(MOST);
            (inner.is_some() || too_many).then(|| (rounds_in_all, calls_here, up_to.map_or(list.span, |number| number.span)))
        });
        let rounds = Count { through: Some((0, calls_here)), ended: None };
        let ended = done.count.ended.map(|(_, last)| (0, last.saturating_add(calls_here)));
        self.steps.count = self.steps.count.then(Count { through: rounds.through, ended });
        let text = self.heading(step, up_to.map_or(list.span, |number| number.span));
        let steps = asked.into_iter().chain(done.outline).collect();
        self.note(&path, "for", text, steps);
        false
    }
}
