//! Stored events offered once more to a flow: what would become of each.
//!
//! Nothing here writes. What a flow makes of an event is asked of its matcher alone, with the event's own time as `now`;
//! how old the event is counts from the present, and so do the limits, which decide when the run is to begin.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use flow_functions::rfc3339;
use flow_plan::Flow;
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::engine::{DEEPEST, about};
use crate::key;
use crate::limit;
use crate::live::Live;
use crate::matcher::{MatchedStart, Matcher};
use crate::store::{RunHead, Store, StoreError, StoredEvent, kept_by_pause};
use crate::why::{Clause, failing};

/// Which events, to which flow, and how.
#[derive(Debug, Clone, Default)]
pub struct ReplayQuery {
    /// The flow.
    pub flow: String,
    /// Received since.
    pub since: Option<Timestamp>,
    /// Received before. Events that come while the replay goes on are none of it, whatever this says.
    pub until: Option<Timestamp>,
    /// Only the events with this id.
    pub event: Option<String>,
    /// Start it again for events that have started it, or were kept from it by its limits.
    pub again: bool,
    /// Only say what would become of them.
    pub dry_run: bool,
    /// Where to go on.
    pub from: Option<ReplayPlace>,
}

/// Where a replay goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayPlace {
    /// The number of the next event.
    pub event: u64,
    /// When the replay began.
    pub began_at: Timestamp,
}

impl ReplayPlace {
    /// Reads a place as it is written: `1234@1795694400000`.
    pub fn parse(text: &str) -> Option<Self> {
        let (event, began) = text.split_once('@')?;
        Some(Self { event: event.parse().ok()?, began_at: Timestamp::from_millisecond(began.parse().ok()?).ok()? })
    }
}

impl std::fmt::Display for ReplayPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.event, self.began_at.as_millisecond())
    }
}

/// A part of a replay.
#[derive(Debug, Clone)]
pub struct ReplayBite {
    /// When the replay began.
    pub began_at: Timestamp,
    /// How many stored events were looked at.
    pub looked_at: u64,
    /// Those that the flow listens to, oldest first.
    pub events: Vec<ReplayedEvent>,
    /// Where to go on; `None` at the end.
    pub next: Option<ReplayPlace>,
    /// Runs wait for their turn: nothing was done, so that what comes in now does not wait behind old events.
    pub busy: bool,
    /// When the oldest event in the store was received.
    pub stored_since: Option<Timestamp>,
}

/// What became of an event, or would.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayedEvent {
    /// Its number.
    pub seq: u64,
    /// The service's own id.
    pub id: String,
    /// The connection.
    pub connection: String,
    /// When it was received.
    pub received_at: Timestamp,
    /// What becomes of it.
    pub verdict: Verdict,
    /// Why, for people; empty where the verdict says all.
    pub reason: String,
    /// The clause that decides.
    pub clause: Option<Clause>,
    /// The run: the one that is started, or the one that it has started already.
    pub run: Option<String>,
    /// How often it has started the flow before.
    pub before: u32,
    /// Flows that are no more and that it has started: one of them may be this flow under the name of before.
    pub under_other_names: Vec<String>,
}

/// What becomes of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It starts the flow.
    Starts,
    /// It started the flow.
    Started,
    /// The condition does not hold.
    Condition,
    /// It has started the flow.
    Already,
    /// The run that it has started is under way.
    Running,
    /// A limit of the flow keeps it from starting, then or now.
    Limited,
    /// The flow wants fresh events.
    Stale,
    /// The flow has a step that is never made for an old event.
    Dangerous,
    /// The payload does not fit.
    Misfit,
    /// It is none that starts the flow.
    Other,
}

impl Verdict {
    /// Returns the word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Starts => "starts",
            Verdict::Started => "started",
            Verdict::Condition => "condition",
            Verdict::Already => "already_started",
            Verdict::Running => "running",
            Verdict::Limited => "limited",
            Verdict::Stale => "stale",
            Verdict::Dangerous => "dangerous",
            Verdict::Misfit => "misfit",
            Verdict::Other => "other",
        }
    }
}

impl ReplayBite {
    /// Returns the JSON of the API.
    pub fn to_json(&self, query: &ReplayQuery) -> Json {
        json!({
            "flow": query.flow,
            "again": query.again,
            "dry_run": query.dry_run,
            "began_at": rfc3339(self.began_at),
            "since": query.since.map(rfc3339),
            "until": query.until.map(rfc3339),
            "looked_at": self.looked_at,
            "events": self.events.iter().map(ReplayedEvent::to_json).collect::<Vec<_>>(),
            "next": self.next.map(|next| next.to_string()),
            "busy": self.busy,
            "stored_since": self.stored_since.map(rfc3339),
        })
    }
}

impl ReplayedEvent {
    fn to_json(&self) -> Json {
        json!({
            "event": self.id,
            "seq": self.seq,
            "connection": self.connection,
            "received_at": rfc3339(self.received_at),
            "verdict": self.verdict.as_str(),
            "reason": self.reason,
            "before": self.before,
            "clause": self.clause,
            "run": self.run,
            "under_other_names": self.under_other_names,
        })
    }
}

/// An event that was looked at, and what it starts.
pub(crate) struct Examined {
    pub(crate) event: ReplayedEvent,
    pub(crate) stored: StoredEvent,
    /// What it starts, and the number of the replay.
    pub(crate) start: Option<(MatchedStart, u32)>,
}

/// Looks at events for one flow.
pub(crate) struct Examiner<'a> {
    pub(crate) store: &'a dyn Store,
    pub(crate) live: &'a Live,
    flow: Arc<Flow>,
    matcher: Matcher,
    again: bool,
    began_at: Timestamp,
    now: Timestamp,
    /// The runs that this part of the replay starts.
    starting: HashSet<String>,
}

impl<'a> Examiner<'a> {
    pub(crate) fn new(
        store: &'a dyn Store,
        live: &'a Live,
        flow: &Arc<Flow>,
        again: bool,
        began_at: Timestamp,
        now: Timestamp,
    ) -> Self {
        // Of this flow alone, so that no more of a payload is read than it needs.
        let alone = Live { flows: vec![Arc::clone(flow)], connections: live.connections.clone(), ..Live::default() };
        let matcher = Matcher::build(&alone, None);
        Self { store, live, flow: Arc::clone(flow), matcher, again, began_at, now, starting: HashSet::new() }
    }

    /// Returns what becomes of an event; `None` where the flow does not listen to its kind.
    pub(crate) fn examine(&mut self, stored: StoredEvent) -> Result<Option<Examined>, StoreError> {
        if !listens(&self.flow, &stored) {
            return Ok(None);
        }
        let (mut runs, mut others) = (Vec::new(), BTreeSet::new());
        for id in self.store.runs_of_event(stored.seq)? {
            match self.store.run(&id)? {
                Some(run) if run.flow == self.flow.id => runs.push(run),
                Some(run) => drop(others.insert(run.flow)),
                None => {}
            }
        }
        let (mut told, start) = self.told(&stored, &runs)?;
        if let Some((start, number)) = &start {
            let run = key::run_id(&self.flow.id, &stored.connection, &start.identity, &start.key, *number);
            if self.starting.insert(run.clone()) {
                told.run = Some(run);
            } else {
                told = Told { run: Some(run), ..Told::of(Verdict::Already, SAME_KEY) };
            }
        }
        let before = start.as_ref().map_or(0, |(_, number)| *number);
        let start = start.filter(|_| told.verdict == Verdict::Starts);
        let Told { verdict, reason, clause, run } = told;
        others.retain(|other| start.is_some() && !self.live.flows.iter().any(|flow| flow.id == *other));
        let event = ReplayedEvent {
            seq: stored.seq,
            id: stored.id.clone(),
            connection: stored.connection.clone(),
            received_at: stored.received_at,
            verdict,
            reason,
            clause,
            run,
            before,
            under_other_names: others.into_iter().collect(),
        };
        Ok(Some(Examined { event, stored, start }))
    }

    fn told(&self, event: &StoredEvent, runs: &[RunHead]) -> Result<(Told, Option<(MatchedStart, u32)>), StoreError> {
        let no = |told: Told| Ok((told, None));
        if let Some(run) = runs.first().filter(|_| !self.again) {
            return no(Told::of(Verdict::Already, "").by(run));
        }
        let start = match self.matched(event) {
            Ok(start) => start,
            Err(told) => return no(*told),
        };
        if !self.again
            && let Some((_, reason)) = self.store.drops(event.seq)?.into_iter().find(|(flow, _)| *flow == self.flow.id)
            && !kept_by_pause(&reason)
        {
            return no(Told::of(Verdict::Limited, reason));
        }
        if let Some(reason) = limit::not_fresh(&self.flow.limits, &event.head(), self.now) {
            return no(Told::of(Verdict::Stale, reason));
        }
        if let Some(call) = self.flow.dangerous() {
            let reason = format!("`{}` is dangerous, and a replay never makes it", call.name);
            return no(Told::of(Verdict::Dangerous, reason));
        }
        if let Some(run) = runs.iter().find(|run| run.status.is_active()) {
            return no(Told::of(Verdict::Running, "").by(run));
        }
        // One that was begun again by this replay before it was broken off.
        if let Some(run) = runs.iter().find(|run| run.replay.is_some() && run.started_at >= self.began_at) {
            return no(Told::of(Verdict::Already, "by this replay").by(run));
        }
        let mut number = runs.iter().map(|run| run.replay.unwrap_or(0).saturating_add(1)).max().unwrap_or(0);
        loop {
            let id = key::run_id(&self.flow.id, &event.connection, &start.identity, &start.key, number);
            match self.store.run(&id)? {
                None => break,
                Some(run) if !self.again => return no(Told::of(Verdict::Already, SAME_KEY).by(&run)),
                Some(_) => number = number.saturating_add(1),
            }
        }
        Ok((Told::of(Verdict::Starts, ""), Some((start, number))))
    }

    /// Returns what the event starts by the condition of the flow, or why it starts nothing.
    fn matched(&self, event: &StoredEvent) -> Result<MatchedStart, Box<Told>> {
        let no = |verdict, reason: String| Err(Box::new(Told::of(verdict, reason)));
        if event.depth > DEEPEST {
            return no(Verdict::Other, "too many flows caused it one after the other".to_owned());
        }
        if about(event.via, &event.payload).is_some_and(|flow| flow == self.flow.id) {
            return no(Verdict::Other, "it is about the flow itself".to_owned());
        }
        let head = event.head();
        let no_settings = BTreeMap::new();
        let settings = self.live.connections.get(&event.connection).map_or(&no_settings, |live| &live.plan.settings);
        let group = self.matcher.group_of(&event.connection, &event.source, event.event_type.as_deref());
        let Some(group) = group else { return no(Verdict::Other, "the flow does not listen to it".to_owned()) };
        let payload = group.read(&event.payload).map_err(|error| Box::new(Told::of(Verdict::Misfit, error.to_string())))?;
        let names: Vec<&String> = self.flow.triggers.iter().map(|used| &used.name).collect();
        // The address of a webhook may have narrowed it to one trigger.
        for name in names.iter().filter(|name| event.triggers.contains(name)) {
            let starts = payload.starts(&head, settings, Some(name), &|_| false);
            for mut start in starts {
                if let Some(found) = start.flows.first_mut() {
                    return match found.misfit.take() {
                        Some(misfit) => no(Verdict::Misfit, misfit),
                        None => Ok(start),
                    };
                }
            }
        }
        let mut told = Told::of(Verdict::Other, "it was not taken in as a trigger of the flow");
        payload.each_listener(&head, settings, &mut |flow, used, view, guard| {
            if event.triggers.contains(&used.name) && told.clause.is_none() {
                match failing(flow, view).filter(|_| guard == Some(true)) {
                    Some(clause) => told = Told { clause: Some(clause), ..Told::of(Verdict::Condition, "") },
                    None => told.reason = format!("trigger {} does not count it", used.name),
                }
            }
        });
        Err(Box::new(told))
    }
}

const SAME_KEY: &str = "by another event with the same key";

struct Told {
    verdict: Verdict,
    reason: String,
    clause: Option<Clause>,
    run: Option<String>,
}

impl Told {
    fn of(verdict: Verdict, reason: impl Into<String>) -> Self {
        Self { verdict, reason: reason.into(), clause: None, run: None }
    }

    fn by(self, run: &RunHead) -> Self {
        Self { run: Some(run.id.clone()), ..self }
    }
}

/// Tells whether a flow listens to an event of this kind, whatever it holds.
pub(crate) fn listens(flow: &Flow, event: &StoredEvent) -> bool {
    flow.triggers.iter().any(|used| {
        let is_of_type = used.types.is_empty() || event.event_type.as_ref().is_some_and(|name| used.types.contains(name));
        used.connection == event.connection && used.source == event.source && is_of_type
    })
}

/// Returns the number of the first event that was received since an instant. Clocks are set back now and then: what was
/// received out of order within an hour is found too, and who asks leaves out what is older.
pub(crate) fn first_since(store: &dyn Store, since: Timestamp, last: u64) -> Result<u64, StoreError> {
    let since = since.checked_sub(jiff::SignedDuration::from_hours(1)).unwrap_or(Timestamp::MIN);
    let (mut low, mut high) = (0, last.saturating_add(1));
    while low < high {
        let middle = low + (high - low) / 2;
        match store.events_from(middle, 1)?.first() {
            Some(event) if event.received_at < since => low = event.seq.saturating_add(1),
            Some(_) | None => high = middle,
        }
    }
    Ok(low)
}
