//! The stored events, given one after the other to the edited flows in a daemon that is none.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flow_plan::Value;
use jiff::{SignedDuration, Timestamp};

use super::answers::Answers;
use super::compare::compare;
use super::recorded::{self, RecordedCall};
use super::report::{self, Report};
use super::subject::{Subject, pair};
use super::tally::{Example, Kind, Side, Tally};
use super::{BacktestError, BacktestQuery, Edited, Progress};
use crate::engine::{Engine, EngineOptions, flood_of};
use crate::event::{AcceptError, Incoming, Via};
use crate::key;
use crate::live::{Live, LiveConnection};
use crate::matcher::Matcher;
use crate::replay::{first_since, listens};
use crate::run::{Death, Status};
use crate::sim::{self, VirtualClock};
use crate::store::{MemoryStore, RunHead, RunQuery, Store, StoreError, StoredEvent};
use crate::why::failing;

/// So many stored events are read at once.
const PAGE: usize = 128;
/// In virtual time: runs that ended are looked for so often, and kept for twice as long.
const SWEEP: SignedDuration = SignedDuration::from_hours(6);
const KEPT: Duration = Duration::from_secs(12 * 3600);
/// Where runs wait for events, those since their own have to be there.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 86_400);

pub(super) struct Simulation<'q> {
    /// The daemon whose store has the events.
    engine: &'q Engine,
    query: &'q BacktestQuery,
    flows: Vec<(Subject, Tally)>,
    removed: Vec<(String, u64)>,
    /// Which events the edited flows want; the others are counted, and not given to the simulation.
    matcher: Matcher,
    settings: BTreeMap<String, BTreeMap<String, Value>>,
    clock: Arc<VirtualClock>,
    store: Arc<MemoryStore>,
    answers: Arc<Answers>,
    simulated: Engine,
    /// So many runs of the simulation have been taken note of.
    known_runs: u64,
    open: Vec<Open>,
    swept_at: Timestamp,
    /// The ids of the events that the simulation's own clock has made.
    clocked: HashSet<String>,
    looked_at: u64,
}

/// A run of the simulation that has not been compared.
struct Open {
    flow: usize,
    run: String,
    event: String,
    connection: String,
    received_at: Timestamp,
    live: Option<RunHead>,
}

impl<'q> Simulation<'q> {
    pub(super) fn new(engine: &'q Engine, query: &'q BacktestQuery, edited: Edited) -> Result<Self, BacktestError> {
        let Edited { flows, connections } = edited;
        if flows.is_empty() {
            return Err(BacktestError::NoFlows);
        }
        let (mut subjects, mut removed) = pair(&query.file, &flows, &engine.live().flows);
        if let Some(only) = &query.flow {
            subjects.retain(|subject| subject.id() == only);
            removed.clear();
            if subjects.is_empty() {
                return Err(BacktestError::NoFlow(only.clone()));
            }
        }
        let settings = connections.iter().map(|(name, plan)| (name.clone(), plan.settings.clone())).collect();
        let connections = connections.into_iter().map(|(name, mut plan)| {
            // Steps take no time.
            let api = Arc::make_mut(&mut plan.api);
            (api.limit, api.quota) = (None, None);
            (name, Arc::new(LiveConnection::bare(plan)))
        });
        let flows = subjects.iter().filter(|subject| !subject.is_blind).map(|subject| Arc::clone(&subject.edited)).collect();
        let live = Live { flows, connections: connections.collect(), ..Live::default() };
        let matcher = Matcher::build(&live, None);
        let clock = Arc::new(VirtualClock::new(query.since));
        let answers = Arc::new(Answers::new(engine, Arc::clone(&clock)));
        let store = Arc::new(MemoryStore::at_once());
        let retain = if subjects.iter().any(Subject::waits_for_events) { FOR_EVER } else { KEPT };
        let options = EngineOptions { retain, flood: 0, ..EngineOptions::default() };
        let world = sim::world(&clock, Arc::clone(&answers) as _);
        let simulated = Engine::start(Arc::clone(&store) as _, live, world, options)?;
        Ok(Self {
            engine,
            query,
            flows: subjects.into_iter().map(|subject| (subject, Tally::default())).collect(),
            removed: removed.into_iter().map(|flow| (flow.id.clone(), 0)).collect(),
            matcher,
            settings,
            clock,
            store,
            answers,
            simulated,
            known_runs: 0,
            open: Vec::new(),
            swept_at: query.since,
            clocked: HashSet::new(),
            looked_at: 0,
        })
    }

    pub(super) async fn perform(&mut self, gone: &AtomicBool, progress: &Progress) -> Result<Report, BacktestError> {
        let shared = &self.engine.shared;
        let store = Arc::clone(&shared.store);
        let stored_since = store.events_from(0, 1)?.first().map(|event| event.received_at);
        let last = shared.last_event();
        let mut from = first_since(&*store, self.query.since, last)?;
        loop {
            let page = store.events_from(from, PAGE)?;
            // What comes while this goes on is none of it.
            let page: Vec<StoredEvent> = page.into_iter().filter(|event| event.seq <= last).collect();
            let Some(end) = page.last().map(|event| event.seq) else { break };
            for event in &page {
                if gone.load(Ordering::SeqCst) || self.engine.shared.is_stopping() {
                    return Err(BacktestError::BrokenOff);
                }
                if (self.query.since..self.query.until).contains(&event.received_at) {
                    self.looked_at += 1;
                    progress.looked_at(self.looked_at);
                    self.take(event).await?;
                }
            }
            from = end.saturating_add(1);
            // Whoever serves what comes in goes first.
            std::thread::yield_now();
        }
        self.go_to(self.query.until).await?;
        self.sweep(true).await?;
        self.note_floods();
        let head = report::Head {
            file: &self.query.file,
            since: self.query.since,
            until: self.query.until,
            stored_since,
            events: self.looked_at,
            removed: std::mem::take(&mut self.removed),
        };
        Ok(report::report(&head, &self.flows))
    }

    /// Says which flows would start more often than flowd lets a flow start.
    fn note_floods(&mut self) {
        for (subject, tally) in &mut self.flows {
            let Some(most) = flood_of(&self.engine.shared, &subject.edited) else { continue };
            if tally.busiest_hour > most as usize {
                let busiest = tally.busiest_hour;
                subject.notes.push(format!("it would start {busiest} times within an hour: flowd pauses a flow at {most}"));
            }
        }
    }

    pub(super) async fn stop(&self) {
        self.simulated.stop(Duration::ZERO).await;
    }

    /// Lets virtual time pass.
    async fn go_to(&mut self, until: Timestamp) -> Result<(), BacktestError> {
        while self.clock.instant() < until {
            let sweep_at = self.swept_at.checked_add(SWEEP).unwrap_or(Timestamp::MAX);
            if !sim::pass(&self.simulated, &self.clock, until.min(sweep_at)).await {
                return Err(BacktestError::Endless);
            }
            self.note_runs(None)?;
            if self.clock.instant() >= sweep_at {
                self.sweep(false).await?;
            }
        }
        Ok(())
    }

    /// Looks at a stored event: what the live flows did with it, and what the edited ones do.
    async fn take(&mut self, event: &StoredEvent) -> Result<(), BacktestError> {
        let listens_to =
            |subject: &Subject| listens(&subject.edited, event) || subject.live.as_ref().is_some_and(|live| listens(live, event));
        let concerned: Vec<usize> =
            self.flows.iter().enumerate().filter(|(_, (subject, _))| listens_to(subject)).map(|(at, _)| at).collect();
        let awaited = self.flows.iter().any(|(subject, _)| subject.waits_for(event));
        let given = event.via != Via::Clock && (self.starts_something(event) || awaited);
        if concerned.is_empty() && !given && self.removed.is_empty() {
            return Ok(());
        }
        let mut ran: Vec<RunHead> = Vec::new();
        for id in self.engine.shared.store.runs_of_event(event.seq)? {
            ran.extend(self.engine.shared.store.run(&id)?);
        }
        ran.sort_by_key(|head| head.seq);
        for (flow, count) in &mut self.removed {
            *count += ran.iter().filter(|head| head.flow == *flow).count() as u64;
        }
        let by_clock = event.via == Via::Clock;
        if given || by_clock && !concerned.is_empty() {
            self.go_to(event.received_at).await?;
        }
        let started = if given { self.give(event, &ran).await? } else { HashSet::new() };
        for at in concerned {
            let Some((subject, tally)) = self.flows.get_mut(at) else { continue };
            tally.events += u64::from(!by_clock);
            let live = ran.iter().rev().find(|head| head.flow == subject.id()).cloned();
            // What the clock made in both was counted when it was made.
            if started.contains(&at) || by_clock && self.clocked.contains(&event.id) {
                continue;
            }
            if let Some(live) = live {
                self.only_live(at, event, &live)?;
            }
        }
        Ok(())
    }

    /// Tells whether an event starts an edited flow, or ends a silence, and notes which runs it starts.
    fn starts_something(&self, event: &StoredEvent) -> bool {
        let group = self.matcher.group_of(&event.connection, &event.source, event.event_type.as_deref());
        let Some(payload) = group.and_then(|group| group.read(&event.payload).ok()) else { return false };
        let no_settings = BTreeMap::new();
        let settings = self.settings.get(&event.connection).unwrap_or(&no_settings);
        let head = event.head();
        let mut starts = false;
        for start in payload.starts(&head, settings, None, &|_| false) {
            for matched in &start.flows {
                starts = true;
                let run = key::run_id(&matched.flow.id, &event.connection, &start.identity, &start.key, 0);
                self.answers.expect(run, event.seq);
            }
        }
        starts || !payload.watched(&head, settings).is_empty()
    }

    /// Gives an event to the simulation. Returns which flows it starts there.
    async fn give(&mut self, event: &StoredEvent, ran: &[RunHead]) -> Result<HashSet<usize>, BacktestError> {
        let sources = self.simulated.live();
        let source = sources
            .connections
            .get(&event.connection)
            .and_then(|live| live.plan.sources.iter().find(|source| source.name == event.source));
        let is_of_type =
            |types: &[String]| types.is_empty() || event.event_type.as_ref().is_some_and(|name| types.contains(name));
        let all = source.map_or(0, |source| source.triggers.values().filter(|types| is_of_type(types)).count());
        let incoming = Incoming {
            id: event.id.clone(),
            source: event.source.clone(),
            event_type: event.event_type.clone(),
            occurred_at: event.occurred_at,
            signed_at: event.signed_at,
            payload: event.payload.clone(),
            via: event.via,
            origin: event.origin,
            depth: event.depth,
            // The address of the webhook had narrowed it.
            only_trigger: event.triggers.first().filter(|_| event.triggers.len() == 1 && all > 1).cloned(),
        };
        match self.simulated.accept(&event.connection, vec![incoming], None).await {
            Ok(_) => {}
            // No JSON: no flow can have wanted it.
            Err(AcceptError::Malformed(_)) => return Ok(HashSet::new()),
            Err(error) => return Err(BacktestError::Failed(error.to_string())),
        }
        sim::settle(&self.simulated).await;
        let started = self.note_runs(Some((event, ran)))?;
        // Most have ended at once.
        let new = self.open.len().saturating_sub(started.len());
        self.close(new).await?;
        if let Some(error) = self.answers.trouble() {
            return Err(error.into());
        }
        Ok(started)
    }

    /// Takes note of runs that the simulation has started since. Returns their flows.
    fn note_runs(&mut self, by: Option<(&StoredEvent, &[RunHead])>) -> Result<HashSet<usize>, BacktestError> {
        let mut flows = HashSet::new();
        let runs = self.simulated.stats_of_runs();
        let new = usize::try_from(runs.saturating_sub(self.known_runs)).unwrap_or(usize::MAX);
        self.known_runs = runs;
        if new == 0 {
            return Ok(flows);
        }
        let heads = self.store.runs(&RunQuery { limit: new, ..RunQuery::default() })?;
        for head in heads.into_iter().rev() {
            let Some(at) = self.flows.iter().position(|(subject, _)| subject.id() == head.flow) else { continue };
            let given = by.filter(|(event, _)| event.id == head.event_id && event.connection == head.connection);
            let ran = match given {
                Some((_, ran)) => ran.to_vec(),
                None => self.runs_by_clock(&head)?,
            };
            let live = ran.iter().rev().find(|run| run.flow == head.flow).cloned();
            flows.insert(at);
            let received_at = given.map_or(head.started_at, |(event, _)| event.received_at);
            let side = match (&live, given) {
                (Some(_), _) => None,
                (None, Some((event, _))) => Some(self.live_side(at, event)?),
                (None, None) => Some(Side::because("the clock did not start it then")),
            };
            if given.is_none() {
                self.clocked.insert(head.event_id.clone());
            }
            let Some((_, tally)) = self.flows.get_mut(at) else { continue };
            tally.by_clock += u64::from(given.is_none());
            tally.starts(head.started_at);
            match side {
                None => tally.both += 1,
                Some(side) => {
                    tally.because(Kind::OnlyEdited, &side);
                    tally.count(Kind::OnlyEdited, self.query.examples, || Example {
                        event: head.event_id.clone(),
                        connection: head.connection.clone(),
                        received_at,
                        run: None,
                        live: side,
                        edited: Side::started(""),
                        calls: Vec::new(),
                    });
                }
            }
            let (event, connection) = (head.event_id, head.connection);
            self.open.push(Open { flow: at, run: head.id, event, connection, received_at, live });
        }
        Ok(flows)
    }

    /// Returns the runs of the live flows by the same instant or silence.
    fn runs_by_clock(&self, head: &RunHead) -> Result<Vec<RunHead>, StoreError> {
        let store = &self.engine.shared.store;
        let mut ran = Vec::new();
        for (_, seq) in store.event_seqs(&head.event_id)?.into_iter().filter(|(connection, _)| *connection == head.connection) {
            for id in store.runs_of_event(seq)? {
                ran.extend(store.run(&id)?);
            }
        }
        Ok(ran)
    }

    fn only_live(&mut self, at: usize, event: &StoredEvent, live: &RunHead) -> Result<(), BacktestError> {
        let edited = self.edited_side(at, event)?;
        let recorded = recorded::calls(self.engine, live)?;
        let until = self.query.until;
        let Some((_, tally)) = self.flows.get_mut(at) else { return Ok(()) };
        count_calls(tally, &recorded, until);
        tally.ends.entry(live.status.as_str()).or_default().0 += 1;
        tally.because(Kind::OnlyLive, &edited);
        tally.count(Kind::OnlyLive, self.query.examples, || Example {
            event: event.id.clone(),
            connection: event.connection.clone(),
            received_at: event.received_at,
            run: Some(live.id.clone()),
            live: Side::started(""),
            edited,
            calls: compare(&recorded, until, &[], true),
        });
        Ok(())
    }

    /// Why the live flow did not start.
    fn live_side(&self, at: usize, event: &StoredEvent) -> Result<Side, StoreError> {
        let Some(live) = self.flows.get(at).and_then(|(subject, _)| subject.live.as_ref()) else {
            return Ok(Side::because("the flow is new"));
        };
        let dropped = self.engine.shared.store.drops(event.seq)?;
        if let Some((_, reason)) = dropped.into_iter().find(|(flow, _)| *flow == live.id) {
            return Ok(Side::because(reason));
        }
        let current = self.engine.shared.current();
        let no_settings = BTreeMap::new();
        let settings = current.live.connections.get(&event.connection).map_or(&no_settings, |live| &live.plan.settings);
        if let Some(side) = explained(&current.matcher, settings, &live.id, event) {
            return Ok(side);
        }
        let why = self.engine.why(event, Some(&live.id), false)?;
        Ok(Side::because(why.into_iter().next().map(|why| why.reason).unwrap_or_default()))
    }

    /// Why the edited flow does not start.
    fn edited_side(&self, at: usize, event: &StoredEvent) -> Result<Side, StoreError> {
        let Some((subject, _)) = self.flows.get(at) else { return Ok(Side::default()) };
        if subject.is_blind {
            return Ok(Side::because("it cannot be tried"));
        }
        for (_, seq) in self.store.event_seqs(&event.id)?.into_iter().filter(|(connection, _)| *connection == event.connection) {
            if let Some((_, reason)) = self.store.drops(seq)?.into_iter().find(|(flow, _)| flow == subject.id()) {
                return Ok(Side::because(reason));
            }
        }
        let no_settings = BTreeMap::new();
        let settings = self.settings.get(&event.connection).unwrap_or(&no_settings);
        let side = explained(&self.matcher, settings, subject.id(), event);
        Ok(side.unwrap_or_else(|| match event.via {
            Via::Clock => Side::because("the clock does not start it then"),
            Via::Webhook | Via::Poll | Via::Engine => Side::because("it is none that starts the flow"),
        }))
    }

    /// Compares the runs from `from` on that have ended.
    async fn close(&mut self, from: usize) -> Result<(), BacktestError> {
        let mut at = from;
        while let Some(open) = self.open.get(at) {
            let head = self.store.run(&open.run)?;
            if head.as_ref().is_some_and(|head| head.status.is_active()) {
                at += 1;
                continue;
            }
            let open = self.open.swap_remove(at);
            self.finish(&open, head.as_ref())?;
            // One that is dead would be kept for a person to decide.
            if let Some(head) = head.filter(|head| head.status == Status::Dead) {
                self.simulated.cancel(&head.id).await?;
            }
        }
        Ok(())
    }

    /// Compares all runs that have ended; at the end, all.
    async fn sweep(&mut self, is_end: bool) -> Result<(), BacktestError> {
        self.close(0).await?;
        self.swept_at = self.clock.instant();
        if is_end {
            for open in std::mem::take(&mut self.open) {
                let head = self.store.run(&open.run)?;
                self.finish(&open, head.as_ref())?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, open: &Open, head: Option<&RunHead>) -> Result<(), BacktestError> {
        let answered = self.answers.take(&open.run);
        let recorded = match &open.live {
            Some(live) => recorded::calls(self.engine, live)?,
            None => Vec::new(),
        };
        let until = self.query.until;
        let Some((_, tally)) = self.flows.get_mut(open.flow) else { return Ok(()) };
        count_calls(tally, &recorded, until);
        for call in answered.calls.iter().filter(|call| !call.reads) {
            tally.calls.entry(call.name.clone()).or_default().1 += 1;
        }
        if let Some(live) = &open.live {
            tally.ends.entry(live.status.as_str()).or_default().0 += 1;
        }
        let end = match (&answered.lacks, head) {
            (Some(_), _) => "unknown",
            (None, Some(head)) => head.status.as_str(),
            (None, None) => Status::Done.as_str(),
        };
        tally.ends.entry(end).or_default().1 += 1;
        tally.assumed += u64::from(answered.assumes);
        let differences = compare(&recorded, until, &answered.calls, answered.lacks.is_none());
        let example = |reason: String, calls| Example {
            event: open.event.clone(),
            connection: open.connection.clone(),
            received_at: open.received_at,
            run: open.live.as_ref().map(|live| live.id.clone()),
            live: match &open.live {
                Some(_) => Side::started(""),
                None => Side::default(),
            },
            edited: Side::started(reason),
            calls,
        };
        let most = self.query.examples;
        if let Some(lacks) = &answered.lacks {
            tally.count(Kind::NeedsAnswers, most, || {
                example(format!("`{lacks}` needs an answer that was not recorded"), Vec::new())
            });
        }
        if let Some(head) = head.filter(|head| head.death == Some(Death::Misfit)) {
            tally.count(Kind::Misfit, most, || example(head.reason.clone().unwrap_or_default(), Vec::new()));
        }
        match (&open.live, differences.is_empty()) {
            (Some(_), false) => tally.count(Kind::OtherCalls, most, || example(String::new(), differences)),
            (Some(_), true) if answered.lacks.is_none() => tally.same_calls += 1,
            // What one alone starts is told as that, with its calls.
            (None, false) => tally.add_calls(Kind::OnlyEdited, &open.event, differences),
            (Some(_) | None, true) => {}
        }
        Ok(())
    }
}

fn count_calls(tally: &mut Tally, recorded: &[RecordedCall], until: Timestamp) {
    for call in recorded.iter().filter(|call| !call.reads && call.began_at < until) {
        tally.calls.entry(call.name.clone()).or_default().0 += 1;
    }
}

/// Returns the clause by which the condition of a flow fails for an event, or why it cannot be told.
fn explained(matcher: &Matcher, settings: &BTreeMap<String, Value>, flow: &str, event: &StoredEvent) -> Option<Side> {
    let group = matcher.group_of(&event.connection, &event.source, event.event_type.as_deref())?;
    let payload = match group.read(&event.payload) {
        Ok(payload) => payload,
        Err(error) => return Some(Side::because(error.to_string())),
    };
    let mut side = None;
    payload.each_listener(&event.head(), settings, &mut |of, used, view, guard| {
        if of.id == flow && side.is_none() {
            side = match (failing(of, view), guard) {
                (Some(clause), _) => Some(Side::fails(clause)),
                (None, Some(false)) => Some(Side::because(format!("trigger {} does not count it", used.name))),
                (None, _) => None,
            };
        }
    });
    side
}
