//! What a flow is to the others: what starts it, what it surely does, what that causes, and what bounds it.

use std::cell::Cell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use flow_grammar::span::Span;
use flow_grammar::syntax::{self, Block, ClauseKind, StepKind};
use flow_plan as plan;
use flow_plan::{Condition, Effect, Expr, FieldShape, Instr, StartKind};

use super::key::Key;
use super::solve::{Dnf, Reader};
use crate::catalog::{Connections, Connector};

/// A sound flow, as far as the checks over all flows have to know it.
#[derive(Debug)]
pub struct Summary {
    /// Its name.
    pub(super) name: Option<Arc<str>>,
    /// Its name, or the first line of one without.
    pub(super) head: Span,
    /// `when …`.
    pub(super) when: Span,
    pub(super) starts: Vec<Start>,
    pub(super) acts: Vec<Act>,
    /// The fields that its conditions are about.
    pub(super) fields: Vec<(Key, FieldShape)>,
    /// A limit keeps it from starting for every event that matches.
    pub(super) is_bounded: bool,
    /// Not every event that matches counts for itself: `3 times within 1 hour`.
    pub(super) has_window: bool,
    /// `once per …`.
    pub(super) once: Option<Span>,
    /// Connections and sources of the events that it awaits.
    pub(super) listens: Vec<(String, Listens)>,
    /// A hash that is the same for flows that say the same, and seldom for others.
    pub(crate) alike: u64,
}

/// What of a connection a flow listens to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Listens {
    /// A source of events.
    Source(String),
    /// A state.
    State(String),
}

/// One of the events that start a flow.
#[derive(Debug)]
pub(super) struct Start {
    /// `connection.trigger`.
    pub(super) event: String,
    /// Which of them.
    pub(super) when: Dnf,
}

/// An action that a flow performs.
#[derive(Debug)]
pub(super) struct Act {
    /// Operation, connection and arguments; `None` where the arguments are not known.
    pub(super) key: Option<Key>,
    /// `connection.action`, as the flow writes it.
    pub(super) name: String,
    /// The events that it causes, each as [`Start::event`] has it.
    pub(super) causes: Vec<String>,
    /// When it is performed, given that the flow started.
    pub(super) when: Dnf,
    /// A branch decides whether it is performed.
    pub(super) in_branch: bool,
    /// A wait stands before it.
    pub(super) after_wait: bool,
    /// The call.
    pub(super) span: Span,
}

/// What starts a flow, as a name. Where an option says which types of events are meant, each choice is another event.
fn event_of(trigger: &plan::TriggerUse) -> String {
    let name = format!("{}.{}", trigger.connection, trigger.name);
    match trigger.types.as_slice() {
        [only] if trigger.options.values().any(|value| value.as_text() == Some(only.as_str())) => format!("{name}(\"{only}\")"),
        _ => name,
    }
}

/// What a call causes, as [`event_of`] names it. Of a trigger with several types of events it is not known which one comes.
fn caused(connector: &Connector, call: &plan::Call) -> Vec<String> {
    let name = |trigger: &str| format!("{}.{trigger}", call.connection);
    let Some(operation) = call.name.rsplit('.').next().and_then(|name| connector.operations.get(name)) else {
        return Vec::new();
    };
    let mut causes: Vec<String> = operation.emits.iter().map(|trigger| name(trigger)).collect();
    for hears in connector.triggers.values().filter(|trigger| trigger.types_of.is_some()) {
        let of_trigger = operation.emits.iter().filter_map(|trigger| connector.triggers.get(trigger)).filter_map(|trigger| {
            match trigger.types.as_slice() {
                [only] if trigger.source == hears.source => Some(only),
                _ => None,
            }
        });
        let types = operation.emits_types.iter().chain(of_trigger);
        causes.extend(types.map(|kind| format!("{}(\"{kind}\")", name(&hears.name))));
    }
    causes
}

/// Makes the summary of a flow.
pub(crate) fn summary(flow: &plan::Flow, node: &syntax::Flow, source: &str, connections: &Connections) -> Summary {
    let fields = |slot: u16| flow.reads.get(usize::from(slot));
    let reader = Reader::new(&fields);
    let filter = flow.filter.as_ref().map(|filter| reader.condition(filter));
    let mut starts = Vec::with_capacity(flow.triggers.len());
    let mut listens = Vec::with_capacity(flow.triggers.len());
    for trigger in &flow.triggers {
        listens.extend(listened(trigger));
        if trigger.kind != StartKind::Event {
            continue;
        }
        let mut when = filter.clone().unwrap_or_else(Dnf::always);
        if let Some(guard) = &trigger.guard {
            when = when.and(&reader.expr(guard, true));
        }
        // The slots of the flow are not those of these events.
        if !trigger.reads.is_empty() && when != Dnf::always() {
            when.exact = false;
        }
        starts.push(Start { event: event_of(trigger), when });
    }
    let is_one_call = matches!(node.body.steps.as_slice(), [only] if matches!(only.kind, StepKind::Call(_)));
    let places = (!is_one_call).then(|| Places::of(flow, &node.body));
    let mut walk = Walk { flow, node, connections, reader, places, acts: Vec::new(), context: Vec::new() };
    let end = flow.program.instrs.len();
    walk.range(0, end, At { when: Dnf::always(), in_branch: false, after_wait: false });
    for instr in &flow.program.instrs {
        if let Instr::WaitFor(wait) = instr {
            listens.extend(listened(&wait.trigger));
        }
    }
    let Walk { acts, reader, .. } = walk;
    let mut alike = DefaultHasher::new();
    if let Some(filter) = &flow.filter {
        feed_condition(&reader, filter, &mut alike);
    }
    starts.iter().for_each(|start| start.event.hash(&mut alike));
    acts.iter().for_each(|act| (act.key, &act.name).hash(&mut alike));
    let limits = &flow.limits;
    let (head, when) = spans(node, source);
    let mut summary = Summary {
        name: flow.name.as_deref().map(Arc::from),
        head,
        when,
        starts,
        acts,
        fields: Vec::new(),
        is_bounded: limits.window.is_some()
            || limits.once_per.is_some()
            || limits.at_most.iter().any(|limit| limit.otherwise != plan::Otherwise::Queue)
            || matches!(limits.while_running, Some(plan::WhileRunning::Skip | plan::WhileRunning::Restart)),
        has_window: limits.window.is_some(),
        once: limits.once_per.as_ref().and_then(|_| {
            node.clauses.iter().find_map(|clause| matches!(clause.kind, ClauseKind::OncePer(_)).then_some(clause.span))
        }),
        listens,
        alike: alike.finish(),
    };
    summary.fields = claimed(&summary, flow);
    summary
}

fn feed_condition(reader: &Reader<'_>, condition: &Condition, to: &mut DefaultHasher) {
    std::mem::discriminant(condition).hash(to);
    match condition {
        Condition::All(parts) | Condition::Any(parts) => parts.iter().for_each(|part| feed_condition(reader, part, to)),
        Condition::Not(inner) => feed_condition(reader, inner, to),
        Condition::Test { expr, .. } => reader.known_keys().feed(expr, to),
    }
}

/// The fields that the conditions are about.
fn claimed(summary: &Summary, flow: &plan::Flow) -> Vec<(Key, FieldShape)> {
    let mut found: Vec<(Key, FieldShape)> = Vec::new();
    let conditions = summary.starts.iter().map(|start| &start.when).chain(summary.acts.iter().map(|act| &act.when));
    for claim in conditions.flat_map(|when| &when.cubes).flat_map(|cube| &cube.claims) {
        if let super::solve::Leaf::Field(slot) = claim.leaf
            && !found.iter().any(|(key, _)| *key == claim.key)
            && let Some(field) = flow.reads.get(usize::from(slot))
        {
            found.push((claim.key, field.clone()));
        }
    }
    found
}

fn listened(trigger: &plan::TriggerUse) -> Option<(String, Listens)> {
    match &trigger.kind {
        StartKind::Event => Some((trigger.connection.clone(), Listens::Source(trigger.source.clone()))),
        StartKind::Schedule(_) => None,
        StartKind::Absence(absence) => {
            Some((absence.awaited.connection.clone(), Listens::Source(absence.awaited.source.clone())))
        }
        StartKind::State(state) => Some((trigger.connection.clone(), Listens::State(state.state.clone()))),
    }
}

fn spans(node: &syntax::Flow, source: &str) -> (Span, Span) {
    let when = match &node.start {
        syntax::Start::When(when) => when.span,
        syntax::Start::Every(every) => every.span,
    };
    let head = node.name.as_ref().map_or_else(
        || {
            let whole = when.to(node.span);
            let whole = Span { start: when.start, end: whole.end };
            let len = whole.text(source).lines().next().map_or(0, |line| line.trim_end().len());
            Span::new(when.start as usize, when.start as usize + len)
        },
        |name| name.span,
    );
    (head, when)
}

/// What holds at a step.
#[derive(Clone)]
struct At {
    when: Dnf,
    in_branch: bool,
    after_wait: bool,
}

/// So many branches may lie in each other.
const MOST_BRANCHES: usize = 128;

/// Walks over a program as far as its structure is clear, and collects what it performs.
struct Walk<'f> {
    flow: &'f plan::Flow,
    node: &'f syntax::Flow,
    connections: &'f Connections,
    reader: Reader<'f>,
    /// `None` where the only step is the call.
    places: Option<Places<'f>>,
    acts: Vec<Act>,
    /// The branches around, hashed.
    context: Vec<Key>,
}

impl Walk<'_> {
    /// Walks over a range and returns what holds behind it; `None` where the run has ended, or where the rest is not clear.
    fn range(&mut self, from: usize, to: usize, mut at: At) -> Option<At> {
        let flow = self.flow;
        let mut place = from;
        // Arms that end the run lie behind each other, and each leaves something for the next.
        let mut passed = 0;
        while place < to {
            match flow.program.instrs.get(place)? {
                Instr::Set { local, value } => {
                    let key = self.reader.keys().of(value);
                    self.define(*local, key);
                }
                Instr::Require(value) => self.require(value, &mut at.when),
                Instr::Call(call) => {
                    self.call(call, &at);
                    if call.on_error.is_some() {
                        // The handler stands behind the jump over it.
                        if let Some(Instr::Jump(behind)) = flow.program.instrs.get(place + 1) {
                            place = *behind as usize;
                            continue;
                        }
                    }
                }
                Instr::Unless { condition, to: otherwise } => {
                    let otherwise = *otherwise as usize;
                    passed += 1;
                    if otherwise <= place || otherwise > to || passed > MOST_BRANCHES {
                        return None;
                    }
                    let (end, next) = match flow.program.instrs.get(otherwise - 1)? {
                        Instr::Jump(next) if *next as usize >= otherwise && *next as usize <= to && otherwise - 1 > place => {
                            (otherwise - 1, *next as usize)
                        }
                        _ => (otherwise, otherwise),
                    };
                    at = self.branch(condition, (place + 1, end), (otherwise, next), &at)?;
                    place = next;
                    continue;
                }
                Instr::Each { list, into, .. } => {
                    let key = self.reader.keys().of(list);
                    self.define(*into, key);
                }
                Instr::Next { end, .. } => {
                    let end = *end as usize;
                    // A round can end the run; what it performs depends on the list.
                    let body = flow.program.instrs.get(place..end)?;
                    if end <= place || body.iter().any(|instr| matches!(instr, Instr::Stop { .. } | Instr::Finish)) {
                        return None;
                    }
                    place = end;
                    continue;
                }
                Instr::Wait(_) => at.after_wait = true,
                // Behind a `return` nothing is reached up to where it goes.
                Instr::Jump(next) if *next as usize > place && *next as usize <= to => {
                    place = *next as usize;
                    continue;
                }
                Instr::WaitFor(_) | Instr::Jump(_) | Instr::Stop { .. } | Instr::Finish => return None,
            }
            place += 1;
        }
        Some(at)
    }

    fn branch(&mut self, condition: &Expr, then: (usize, usize), other: (usize, usize), at: &At) -> Option<At> {
        let key = self.reader.keys().of(condition);
        let [yes, no] = [true, false].map(|holds| self.reader.expr(condition, holds));
        let inside = |when: &Dnf| At { when: at.when.and(when), in_branch: true, ..*at };
        // The arms of a long `match` lie in each other: what stands so deep is not looked at.
        if self.context.len() >= MOST_BRANCHES {
            return None;
        }
        self.context.push(key);
        let after_then = if yes.is_never() { None } else { self.range(then.0, then.1, inside(&yes)) };
        self.context.pop();
        self.context.push(!key);
        let after_other = if other.0 < other.1 { self.range(other.0, other.1, inside(&no)) } else { Some(inside(&no)) };
        self.context.pop();
        match (after_then, after_other) {
            (Some(a), Some(b)) => Some(At { after_wait: a.after_wait || b.after_wait, ..at.clone() }),
            (Some(only), None) | (None, Some(only)) => Some(only),
            (None, None) => None,
        }
    }

    /// Takes in what a value needs that must not be missing.
    fn require(&self, value: &Expr, when: &mut Dnf) {
        let mut found: Option<Dnf> = None;
        value.walk(&mut |part| {
            if let Expr::Require { value, .. } = part {
                let present = self.reader.expr(&Expr::IsPresent(value.clone()), true);
                found = Some(found.take().map_or_else(|| present.clone(), |found| found.and(&present)));
            }
        });
        if let Some(found) = found {
            *when = when.and(&found);
        }
    }

    fn call(&mut self, call: &plan::Call, at: &At) {
        let Some(operation) = self.flow.operations.get(call.operation as usize) else { return };
        let (key, known) = self.key(call, operation);
        if let Some(result) = call.result {
            self.define(result, key);
        }
        if matches!(operation.effect, Effect::Read) {
            return;
        }
        let mut when = at.when.clone();
        for arg in &call.args {
            self.require(&arg.value, &mut when);
        }
        self.acts.push(Act {
            key: known.then_some(key),
            span: self.places.as_ref().map_or(self.node.body.span, |places| places.span(call, &self.node.body)),
            name: format!("{}.{}", call.connection, Written::of(call).action),
            causes: self.connections.get(&call.connection).map_or_else(Vec::new, |connector| caused(connector, call)),
            when,
            in_branch: at.in_branch,
            after_wait: at.after_wait,
        });
    }

    /// The key of a call, and whether all of its arguments are known.
    fn key(&mut self, call: &plan::Call, operation: &plan::Operation) -> (Key, bool) {
        let mut hasher = DefaultHasher::new();
        (&call.connection, &operation.name).hash(&mut hasher);
        let known = Cell::new(true);
        for arg in &call.args {
            self.reader.keys().feed(&arg.value, &mut hasher);
            arg.value.walk(&mut |part| {
                let varies =
                    matches!(part, Expr::Env(plan::Env::RunFlow | plan::Env::RunId | plan::Env::RunKey | plan::Env::Error));
                let vague = matches!(part, Expr::Local(local) if !self.reader.keys().knows(*local));
                known.set(known.get() && !varies && !vague);
            });
        }
        (hasher.finish(), known.get())
    }

    /// Says what a local is, after all that it was before: two flows that come to it in the same way have the same.
    fn define(&mut self, local: u16, key: Key) {
        let mut hasher = DefaultHasher::new();
        (self.reader.keys().defined(local), &self.context, key).hash(&mut hasher);
        let key = hasher.finish();
        self.reader.keys().define(local, key);
    }
}

/// Where the calls of a flow stand in its text.
///
/// Calls that the compiler fills in take a number too, so that the number of a step does not say which step of the text it
/// is; but the calls of one action come in the order of the text.
struct Places<'f> {
    /// Of the steps that perform actions, how many of the same action come before.
    numbers: HashMap<Written<'f>, usize>,
    /// The calls in the text, by connection and action.
    calls: HashMap<(&'f str, &'f str), Vec<Span>>,
}

impl<'f> Places<'f> {
    fn of(flow: &'f plan::Flow, body: &'f Block) -> Self {
        let mut counts: HashMap<(&str, &str), usize> = HashMap::new();
        let mut numbers = HashMap::new();
        for instr in &flow.program.instrs {
            let Instr::Call(call) = instr else { continue };
            let written = Written::of(call);
            if written.step.contains("on_error") {
                continue;
            }
            if let Entry::Vacant(new) = numbers.entry(written) {
                let before = counts.entry((written.connection, written.action)).or_default();
                new.insert(*before);
                *before += 1;
            }
        }
        let mut calls = HashMap::new();
        in_block(body, &mut calls);
        Self { numbers, calls }
    }

    /// Returns where a call stands; the whole block where it was filled in.
    fn span(&self, call: &plan::Call, body: &Block) -> Span {
        let written = Written::of(call);
        let number = self.numbers.get(&written);
        let found = number.and_then(|number| self.calls.get(&(written.connection, written.action))?.get(*number));
        found.copied().unwrap_or(body.span)
    }
}

/// The step of a call, and how the flow writes it: a request of a composite action stands there under the action's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Written<'f> {
    step: &'f str,
    connection: &'f str,
    action: &'f str,
}

impl<'f> Written<'f> {
    fn of(call: &'f plan::Call) -> Self {
        let (step, action) = step_and_action(call);
        Self { step, connection: &call.connection, action }
    }
}

fn step_and_action(call: &plan::Call) -> (&str, &str) {
    let is_place = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_digit())
            || matches!(part, "then" | "else" | "each" | "on_error")
            || part.starts_with("arm_")
    };
    let mut end = 0;
    for part in call.path.split('.') {
        if !is_place(part) {
            let step = call.path.get(..end).unwrap_or_default();
            return (step.trim_end_matches('.'), part);
        }
        end += part.len() + 1;
    }
    (&call.path, call.name.rsplit('.').next().unwrap_or_default())
}

/// The calls in a block, in the order of the text. Those of error handlers are not among them.
fn in_block<'f>(block: &'f Block, into: &mut HashMap<(&'f str, &'f str), Vec<Span>>) {
    for step in &block.steps {
        if let StepKind::Call(node) = &step.kind {
            if let [connection, action] = node.call.path.as_slice() {
                into.entry((connection.text.as_str(), action.text.as_str())).or_default().push(node.call.span);
            }
        } else {
            step.kind.blocks().into_iter().for_each(|block| in_block(block, into));
        }
    }
}
