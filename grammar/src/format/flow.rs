//! Flows: the head, the clauses in their order, and `do`.

use super::Printer;
use super::literal::{count, duration, name, number, path, rate, time};
use crate::span::Span;
use crate::syntax::{
    AtTime, Clause, ClauseKind, Every, EveryKind, Expr, Flow, OnDay, Start, StateOp, StatePattern, TriggerPattern, TriggerRef,
};

/// The place of a clause in the canonical order.
pub(crate) fn rank(clause: &ClauseKind) -> u8 {
    match clause {
        ClauseKind::Where(_) => 0,
        ClauseKind::Window { .. } => 1,
        ClauseKind::Within(_) => 2,
        ClauseKind::Fresh(_) => 3,
        ClauseKind::AtMost { .. } | ClauseKind::OncePer(_) | ClauseKind::OneAtATime(_) | ClauseKind::Throttle { .. } => 4,
        ClauseKind::WhileRunning(_) => 5,
        ClauseKind::Missed { .. } => 6,
        ClauseKind::OnClockChange(_) => 7,
        ClauseKind::AcrossGaps(_) => 8,
        ClauseKind::Expect { .. } => 9,
        ClauseKind::Unverified => 10,
    }
}

/// A clause with the part of the source that its comments come from.
struct Placed<'c> {
    clause: &'c Clause,
    /// Where the part begins.
    from: u32,
    /// Where it ends, with the comment behind the clause on its line.
    to: u32,
}

impl Printer<'_> {
    pub(crate) fn flow(&mut self, flow: &Flow) {
        self.docs(&flow.docs);
        let short = flow.name.is_none() && !flow.body.braces && flow.body.steps.len() == 1 && flow.on_error.is_none();
        if short && !self.has_comments(flow.span) {
            let text = self.flat(|p| p.flow_line(flow));
            if self.fits(&text) {
                self.write(&text);
                self.skip_to(flow.span.end);
                return;
            }
        }
        match &flow.name {
            Some(ident) => {
                self.write(&format!("flow {}", name(ident)));
                if let Some(title) = &flow.title {
                    self.inline_comments(title.span.start);
                    self.write(" ");
                    self.text(title);
                }
                self.indented(|p| {
                    p.line_for(start_span(&flow.start).start, false);
                    p.flow_lines(flow);
                });
            }
            None => self.flow_lines(flow),
        }
    }

    fn flow_line(&mut self, flow: &Flow) {
        self.start(&flow.start);
        let mut clauses: Vec<&Clause> = flow.clauses.iter().collect();
        clauses.sort_by_key(|clause| rank(&clause.kind));
        for clause in clauses {
            self.write(" ");
            self.clause(clause);
        }
        self.write(" do ");
        self.block(&flow.body);
    }

    fn flow_lines(&mut self, flow: &Flow) {
        let start = start_span(&flow.start);
        self.start(&flow.start);
        let mut from = start.end;
        from = from.max(self.line_comment_end(from));
        self.inline_comments(from);
        let mut placed = Vec::new();
        for clause in &flow.clauses {
            let to = self.line_comment_end(clause.span.end).max(clause.span.end);
            placed.push(Placed { clause, from, to });
            from = to;
        }
        placed.sort_by_key(|placed| rank(&placed.clause.kind));
        for (at, placed) in placed.into_iter().enumerate() {
            self.at(placed.from);
            let begin = placed.clause.span.start;
            // `when no … within 6 hours` is one thought.
            let belongs = at == 0 && matches!(placed.clause.kind, ClauseKind::Within(_));
            if belongs && !self.has_comments(Span { start: placed.from.min(begin), end: begin }) {
                self.skip_to(begin);
                self.write(" ");
            } else {
                self.line_for(begin, false);
            }
            self.clause(placed.clause);
            self.inline_comments(placed.to);
        }
        self.at(from);
        self.line_for(flow.do_span.start, false);
        self.write("do ");
        self.skip_to(flow.do_span.end);
        self.block(&flow.body);
        if let Some(block) = &flow.on_error {
            self.line_for(block.span.start, false);
            self.write("on error ");
            self.broken_block(block);
        }
    }

    fn start(&mut self, start: &Start) {
        match start {
            Start::When(when) => {
                self.inline_comments(when.span.start);
                let flat = !self.has_comments(when.span) && {
                    let text = self.flat(|p| p.patterns(&when.alternatives, false));
                    self.fits(&format!("when {text}"))
                };
                self.write("when ");
                self.patterns(&when.alternatives, !flat && !self.is_flat());
            }
            Start::Every(every) => self.every(every),
        }
    }

    fn patterns(&mut self, patterns: &[TriggerPattern], broken: bool) {
        for (at, pattern) in patterns.iter().enumerate() {
            if at == 0 {
                self.pattern(pattern);
            } else if broken {
                self.indented(|p| {
                    p.line_for(pattern_span(pattern).start, false);
                    p.write("or ");
                    p.pattern(pattern);
                });
            } else {
                self.write(" or ");
                self.pattern(pattern);
            }
        }
    }

    pub(super) fn pattern(&mut self, pattern: &TriggerPattern) {
        self.inline_comments(pattern_span(pattern).start);
        match pattern {
            TriggerPattern::Event(trigger) => self.trigger_ref(trigger),
            TriggerPattern::Absence(trigger) => {
                self.write("no ");
                self.trigger_ref(trigger);
            }
            TriggerPattern::State(state) => self.state_pattern(state),
        }
    }

    pub(super) fn trigger_ref(&mut self, trigger: &TriggerRef) {
        self.inline_comments(trigger.span.start);
        self.write(&path(&trigger.path));
        if trigger.has_parens || !trigger.args.is_empty() {
            self.args(trigger.span, &trigger.args);
        }
    }

    pub(super) fn state_pattern(&mut self, state: &StatePattern) {
        let op = match state.op {
            StateOp::Is => "is",
            StateOp::Becomes => "becomes",
            StateOp::RisesAbove => "rises above",
            StateOp::DropsBelow => "drops below",
            StateOp::Changes => "changes",
        };
        self.write(&format!("{} {op}", path(&state.path)));
        if let Some(value) = &state.value {
            self.write(" ");
            self.expr(value);
        }
        if let Some(lasting) = &state.lasting {
            self.inline_comments(lasting.span.start);
            self.write(&format!(" for {}", duration(lasting)));
        }
    }

    fn every(&mut self, every: &Every) {
        self.inline_comments(every.span.start);
        match &every.kind {
            EveryKind::Interval(interval) => self.write(&format!("every {}", duration(interval))),
            EveryKind::Cron(pattern) => {
                self.write("every cron ");
                self.text(pattern);
            }
            EveryKind::Calendar { units, on, at } => {
                let units: Vec<String> = units.iter().map(name).collect();
                self.write(&format!("every {}", units.join(", ")));
                if !on.is_empty() {
                    let days: Vec<String> = on.iter().map(on_day).collect();
                    self.write(&format!(" on {}", days.join(", ")));
                }
                if !at.is_empty() {
                    let times: Vec<String> = at.iter().map(at_time).collect();
                    self.write(&format!(" at {}", times.join(", ")));
                }
            }
        }
        if let Some(zone) = &every.zone {
            self.inline_comments(zone.span.start);
            self.write(" in ");
            self.text(zone);
        }
        self.inline_comments(every.span.end);
    }

    fn clause(&mut self, clause: &Clause) {
        self.inline_comments(clause.span.start);
        match &clause.kind {
            ClauseKind::Where(condition) => {
                self.write("where ");
                self.condition(condition);
            }
            ClauseKind::Window { count: many, within, per } => {
                self.write(&format!("{} times within {}", number(many), duration(within)));
                self.per(per);
            }
            ClauseKind::Within(within) => self.write(&format!("within {}", duration(within))),
            ClauseKind::Fresh(within) => self.write(&format!("fresh within {}", duration(within))),
            ClauseKind::AtMost { count: many, per, every, otherwise } => {
                self.write(&format!("at most {}", count(many)));
                self.per(per);
                self.write(&format!(" per {}", rate(every)));
                if let Some(word) = otherwise {
                    self.write(&format!(" otherwise {}", name(word)));
                }
            }
            ClauseKind::OncePer(keys) => {
                self.write("once");
                self.per(keys);
            }
            ClauseKind::OneAtATime(keys) => {
                self.write("one at a time");
                self.per(keys);
            }
            ClauseKind::Throttle { count: many, every, per } => {
                self.write(&format!("throttle to {}", number(many)));
                self.per(per);
                self.write(&format!(" per {}", rate(every)));
            }
            ClauseKind::WhileRunning(word) => self.write(&format!("while running {}", name(word))),
            ClauseKind::Missed { policy, within } => {
                self.write(&format!("missed {}", name(policy)));
                if let Some(within) = within {
                    self.write(&format!(" within {}", duration(within)));
                }
            }
            ClauseKind::OnClockChange(word) => self.write(&format!("on clock change {}", name(word))),
            ClauseKind::AcrossGaps(word) => self.write(&format!("across gaps {}", name(word))),
            ClauseKind::Expect { count: many, every } => {
                self.write(&format!("expect at least {} per {}", number(many), rate(every)));
            }
            ClauseKind::Unverified => self.write("unverified"),
        }
        self.inline_comments(clause.span.end);
    }

    fn per(&mut self, keys: &[Expr]) {
        for (at, key) in keys.iter().enumerate() {
            self.write(if at == 0 { " per " } else { ", " });
            self.expr(key);
        }
    }
}

fn on_day(day: &OnDay) -> String {
    let words: Vec<&str> = day.words.iter().map(|word| word.text.as_str()).collect();
    words.join(" ")
}

fn at_time(at: &AtTime) -> String {
    match at {
        AtTime::Clock(lit) => time(lit),
        AtTime::Sun { event, offset, .. } => match offset {
            Some((after, lit)) => format!("{} {} {}", name(event), if *after { "+" } else { "-" }, duration(lit)),
            None => name(event),
        },
    }
}

fn start_span(start: &Start) -> Span {
    match start {
        Start::When(when) => when.span,
        Start::Every(every) => every.span,
    }
}

fn pattern_span(pattern: &TriggerPattern) -> Span {
    match pattern {
        TriggerPattern::Event(trigger) | TriggerPattern::Absence(trigger) => trigger.span,
        TriggerPattern::State(state) => state.span,
    }
}
