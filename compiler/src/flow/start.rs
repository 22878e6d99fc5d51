//! What starts a flow: `when` with its alternatives, and `every`.

use std::collections::BTreeMap;

use flow_grammar::span::Span;
use flow_grammar::syntax::{self, Clause, ClauseKind, Start, TriggerPattern, TriggerRef, When};
use flow_plan as plan;

use super::check::Checker;
use super::event::{Bare, MOST_TRIGGERS, Source};
use super::fact::Fact;
use super::state::StateUse;
use crate::code::Code;
use crate::diagnostic::{Edit, Fix};

/// What a flow starts with.
#[derive(Debug, Default)]
pub(super) struct Started {
    /// The triggers; none where there is a mistake.
    pub(super) triggers: Vec<plan::TriggerUse>,
}

/// An alternative that was found.
enum Found<'a, 'n> {
    Event(&'n TriggerRef, Source<'a>),
    State(StateUse<'a>),
}

impl<'a> Checker<'a> {
    /// Checks what starts the flow; the event is known from here on.
    pub(super) fn start(&mut self, node: &'a syntax::Flow) -> Started {
        self.starts.unknown = true;
        match &node.start {
            Start::When(when) => match when.alternatives.as_slice() {
                [TriggerPattern::Absence(reference)] => self.absence(node, reference),
                _ => self.alternatives(node, when),
            },
            Start::Every(every) => {
                self.starts.unknown = false;
                self.starts.bare = Some(Bare::Clock);
                let id = self.flow_id(node);
                Started { triggers: self.every(every, id).into_iter().collect() }
            }
        }
    }

    /// The id of the flow: its name, or its file and a hash of its normalised text.
    pub(super) fn flow_id(&self, node: &syntax::Flow) -> String {
        match &node.name {
            Some(name) => name.text.clone(),
            None if self.settings.tells_apart_only() => String::new(),
            None => super::nameless_id(self.file, node),
        }
    }

    /// `when a or b`.
    fn alternatives(&mut self, node: &'a syntax::Flow, when: &'a When) -> Started {
        let mut all = Vec::new();
        let mut sound = true;
        for pattern in &when.alternatives {
            let found = match pattern {
                TriggerPattern::Event(reference) => self.trigger(reference).and_then(|source| {
                    let found = match &source.trigger.state {
                        Some(state) => Found::State(self.state_trigger(reference, source, state)?),
                        None => Found::Event(reference, source),
                    };
                    Some((reference.span, found))
                }),
                TriggerPattern::State(state) => self.state(state).map(|used| (state.span, Found::State(used))),
                TriggerPattern::Absence(reference) => {
                    self.trigger(reference);
                    self.absence_among_others(when, reference);
                    None
                }
            };
            match found {
                Some(found) => all.push(found),
                None => sound = false,
            }
        }
        if !sound {
            return Started::default();
        }
        if all.len() > MOST_TRIGGERS {
            let diagnostic = self
                .diagnostic(Code::E309, when.span, format!("a flow has at most {MOST_TRIGGERS} triggers"))
                .label(format!("these are {}", all.len()))
                .help("write a second flow for the others");
            self.report(diagnostic);
            return Started::default();
        }
        self.starts.sources = all
            .iter()
            .map(|(_, found)| match found {
                Found::Event(_, source) => *source,
                Found::State(used) => used.source,
            })
            .collect();
        self.starts.unknown = false;
        let id = self.flow_id(node);
        let mut started = Started::default();
        let mut places: Vec<Span> = Vec::new();
        let mut states = 0_u32;
        for (at, (span, found)) in all.into_iter().enumerate() {
            let mark = self.facts.mark();
            self.facts.learn([Fact::Trigger(1 << at)]);
            let used = match found {
                Found::Event(reference, source) => {
                    let options = self.options(reference, source);
                    self.own_condition(span, source, options)
                }
                Found::State(used) => {
                    // Each has its own type: what starts the flow is one of them, and not merely the flow.
                    let name = if states == 0 { id.clone() } else { format!("{id}#{states}") };
                    states += 1;
                    used.into_trigger(name)
                }
            };
            self.facts.reset(mark);
            let same = |other: &plan::TriggerUse| {
                other.connection == used.connection && other.identity() == used.identity() && same_kind(&other.kind, &used.kind)
            };
            if let Some(first) = started.triggers.iter().position(same) {
                self.twice(when, places.get(first).copied().unwrap_or(span), span);
                continue;
            }
            places.push(span);
            started.triggers.push(used);
        }
        started
    }

    /// The same trigger a second time.
    fn twice(&mut self, when: &When, first: Span, second: Span) {
        let text = second.text(self.frame.source);
        let mut diagnostic = self
            .diagnostic(Code::E112, second, format!("`{text}` starts this flow already"))
            .label("this one comes again")
            .also(first, "the first time");
        // From the end of the alternative before, so that its `or` goes as well.
        let before = when.alternatives.iter().map(pattern_span).take_while(|span| span.start < second.start).last();
        if let Some(before) = before {
            let span = Span { start: before.end, end: second.end };
            diagnostic.fixes.push(Fix {
                title: "without it".to_owned(),
                edits: vec![Edit { span, text: String::new() }],
                safe: true,
            });
        }
        self.report(diagnostic);
    }

    /// `when no x within D`.
    fn absence(&mut self, node: &'a syntax::Flow, reference: &'a TriggerRef) -> Started {
        let within = node.clauses.iter().find_map(|clause| match clause {
            Clause { kind: ClauseKind::Within(within), .. } => Some(within),
            _ => None,
        });
        let source = self.trigger(reference).filter(|source| self.is_event(reference, *source));
        if within.is_none() {
            let diagnostic = self
                .diagnostic(Code::E102, reference.span, "for how long does it have to be silent?")
                .label("that an event did not come is known after a time only")
                .help("say how long: the flow starts once for each silence, when it is that long")
                .fix("`within 6 hours`", self.behind_where(node, reference.span), " within 6 hours", false);
            self.report(diagnostic);
        }
        let Some(source) = source else { return Started::default() };
        self.starts.sources = vec![source];
        self.starts.unknown = false;
        let options = self.options(reference, source);
        let awaited = self.own_condition(reference.span, source, options);
        let Some(within) = within.and_then(|within| self.project_span(within)) else { return Started::default() };
        let used = plan::TriggerUse {
            connection: awaited.connection.clone(),
            name: awaited.name.clone(),
            source: "absence".to_owned(),
            types: vec![self.flow_id(node)],
            options: BTreeMap::new(),
            guard: None,
            dedupe: None,
            kind: plan::StartKind::Absence(Box::new(plan::Absence { awaited, filter: None, within })),
            reads: Vec::new(),
        };
        Started { triggers: vec![used] }
    }

    /// Behind the `where`, or where it would stand.
    fn behind_where(&self, node: &syntax::Flow, start: Span) -> Span {
        let last = node.clauses.iter().filter(|clause| matches!(clause.kind, ClauseKind::Where(_))).map(|clause| clause.span);
        last.max_by_key(|span| span.end).unwrap_or(start).after()
    }

    fn absence_among_others(&mut self, when: &When, reference: &TriggerRef) {
        let diagnostic = self
            .diagnostic(Code::E112, reference.span, "an event that does not come stands alone behind `when`")
            .label("`within` and `where` would be about this one, and not about the others")
            .also(when.span, "these are several")
            .help("write a second flow: `when no …` with the same steps");
        self.report(diagnostic);
    }

    /// What has been awaited, and did not come, has no fields: from here on the event is that of the silence. Returns the
    /// filter that is left to the flow itself.
    pub(super) fn after_filter(&mut self, started: &mut Started, filter: Option<plan::Condition>) -> Option<plan::Condition> {
        let [plan::TriggerUse { kind: plan::StartKind::Absence(absence), .. }] = started.triggers.as_mut_slice() else {
            return filter;
        };
        absence.filter = filter;
        self.facts.reset(0);
        self.starts.bare = Some(Bare::Absence);
        None
    }

    /// Fills in how each trigger reads the slots.
    pub(super) fn set_reads(&self, triggers: &mut [plan::TriggerUse]) -> Vec<plan::FieldShape> {
        let shapes = self.read_shapes();
        for (at, used) in triggers.iter_mut().enumerate() {
            used.reads = match used.kind {
                plan::StartKind::Event | plan::StartKind::State(_) => self.shapes_for(at, &shapes),
                // Its own event has nothing to read.
                plan::StartKind::Absence(_) | plan::StartKind::Schedule(_) => vec![None; shapes.len()],
            };
        }
        shapes
    }
}

fn same_kind(left: &plan::StartKind, right: &plan::StartKind) -> bool {
    match (left, right) {
        (plan::StartKind::State(left), plan::StartKind::State(right)) => {
            left.op == right.op && left.value == right.value && left.lasting == right.lasting
        }
        (left, right) => std::mem::discriminant(left) == std::mem::discriminant(right),
    }
}

/// Where a pattern stands.
pub(super) fn pattern_span(pattern: &TriggerPattern) -> Span {
    match pattern {
        TriggerPattern::Event(trigger) | TriggerPattern::Absence(trigger) => trigger.span,
        TriggerPattern::State(state) => state.span,
    }
}
