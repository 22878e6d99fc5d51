//! What has to hold when a story is over, whatever happened in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use flow_plan::{Effect, Flow, Instr, Missed, Rate, Rule, StartKind, Value, WhileRunning};
use flow_runtime::engine::Engine;
use flow_runtime::event::Via;
use flow_runtime::journal::{Entry, Outcome, Start, What};
use flow_runtime::run::{Death, Run, Status, Step, StepStatus, apply, replay, to_json};
use flow_runtime::store::{EventQuery, RunHead, RunQuery, Store};
use jiff::{SignedDuration, Timestamp};

use super::flows::UNDERTAKER;
use super::services::{Asked, Verdict};
use super::story::{Config, Sent, Story, Wrong};

/// A run with all that is known of it.
struct Told {
    head: RunHead,
    flow: Arc<Flow>,
    journal: Vec<Entry>,
    run: Run,
    /// The name of the customer.
    name: String,
}

impl Told {
    fn id(&self) -> &str {
        &self.head.id
    }

    fn start(&self) -> &Start {
        self.run.start.as_deref().unwrap()
    }

    /// When it began, where it did.
    fn began(&self) -> Option<Timestamp> {
        if self.start().held.is_none() {
            return self.run.started_at;
        }
        self.journal.iter().find(|entry| matches!(entry.what, What::Woken)).map(|entry| entry.at)
    }
}

fn wrong<T>(what: impl Into<Wrong>) -> Result<T, Wrong> {
    Err(what.into())
}

fn text<E: std::fmt::Display>(error: E) -> Wrong {
    error.to_string()
}

impl Story {
    /// Checks everything that was promised.
    pub(super) fn check(&self, engine: &Engine, store: &dyn Store) -> Result<(), Wrong> {
        let told = self.runs_are_their_journals(engine, store)?;
        let asked = self.services.asked();
        self.nothing_is_lost(store, &told)?;
        for run in &told {
            ended(run)?;
            waited(run)?;
            obeyed(run, &self.touched, self.clock.back())?;
            self.unknown_is_reported(run)?;
        }
        self.deaths_are_announced(store, &told)?;
        if !self.jumps {
            self.awaited_events_came(store, &told)?;
            limits_hold(&told, &self.touched)?;
            self.clock_starts(&told)?;
        }
        self.made_once(&told, &asked)?;
        self.old_is_not_acted_on(&told, &asked)?;
        order_is_kept(&told, &asked, &self.touched, self.jumps, &|one, other| self.came_together(one, other))
    }

    /// Tells whether the second of two came before the first was answered: through the inbox the one may overtake the other
    /// on their way in.
    fn came_together(&self, one: &Told, other: &Told) -> bool {
        let sent = |run: &Told| self.events.get(&run.head.event_id);
        let (Some(one), Some(other)) = (sent(one), sent(other)) else { return false };
        self.has_inbox() && one.answered_at.is_none_or(|answered| other.offered_at.is_none_or(|offered| offered <= answered))
    }

    /// R3: the heads, the API and the journals say the same.
    fn runs_are_their_journals(&self, engine: &Engine, store: &dyn Store) -> Result<Vec<Told>, Wrong> {
        let plans: BTreeMap<&str, &Arc<Flow>> =
            self.flows.iter().flat_map(|flow| &flow.versions).map(|flow| (flow.hash.as_str(), flow)).collect();
        let heads = store.runs(&RunQuery { limit: usize::MAX, ..RunQuery::default() }).map_err(text)?;
        let mut told = Vec::with_capacity(heads.len());
        for head in heads.into_iter().rev() {
            let Some(flow) = plans.get(head.plan.as_str()) else { return wrong(format!("{} has an unknown plan", head.id)) };
            let journal = store.journal(&head.id).map_err(text)?;
            let run = replay(flow, &journal);
            let of_head = (head.status, &head.reason, head.ended_at, head.wake_at, head.entries, head.waits.held, head.death);
            let of_run = (run.status, &run.reason, run.ended_at, run.wake_at(), run.entries, run.is_held(), run.death);
            if of_head != of_run {
                return wrong(format!("the head of {} is {of_head:?}, its journal says {of_run:?}", head.id));
            }
            let shown = engine.run(&head.id, true).map_err(text)?.unwrap_or_default();
            // The API adds where it came from.
            let of_journal = to_json(flow, &run, true);
            if of_journal.as_object().unwrap().iter().any(|(name, value)| shown.get(name) != Some(value)) {
                return wrong(format!("{} is shown otherwise than its journal says: {shown}", head.id));
            }
            let written = serde_json::to_vec(&journal).map_err(text)?;
            let read: Vec<Entry> = serde_json::from_slice(&written).map_err(text)?;
            if replay(flow, &read) != run {
                return wrong(format!("the journal of {} says something else when it is read again", head.id));
            }
            let name = run.start.as_ref().and_then(|start| start.slots.get(2)).map(Value::to_string).unwrap_or_default();
            told.push(Told { head, flow: Arc::clone(flow), journal, run, name });
        }
        Ok(told)
    }

    /// R1, R2, R8: each event that was answered is there, and started what its flows ask for, once, in one version.
    fn nothing_is_lost(&self, store: &dyn Store, told: &[Told]) -> Result<(), Wrong> {
        let mut by_event: BTreeMap<(&str, &str), Vec<&Told>> = BTreeMap::new();
        for run in told {
            by_event.entry((run.head.event_id.as_str(), run.head.flow.as_str())).or_default().push(run);
        }
        if let Some(((event, flow), runs)) = by_event.iter().find(|(_, runs)| runs.len() > 1) {
            return wrong(format!("{event} started {flow} {} times", runs.len()));
        }
        for (id, sent) in &self.events {
            if sent.taken_by.is_none() {
                return wrong(format!("{id} was never taken in"));
            }
            let seqs = store.event_seqs(id).map_err(text)?;
            let Some((_, seq)) = seqs.iter().find(|(connection, _)| connection == "svc") else {
                return wrong(format!("{id} was answered with 200, and is lost"));
            };
            let dropped: BTreeSet<String> = store.drops(*seq).map_err(text)?.into_iter().map(|(flow, _)| flow).collect();
            let mut reasons = Vec::new();
            for number in sent.offered_under.iter().collect::<BTreeSet<_>>() {
                match self.started_as_configured(&self.configs[*number], (id, sent), &by_event, &dropped) {
                    Ok(()) => {
                        reasons.clear();
                        break;
                    }
                    Err(reason) => reasons.push(reason),
                }
            }
            if !reasons.is_empty() {
                return wrong(reasons.join("; or "));
            }
        }
        Ok(())
    }

    fn started_as_configured(
        &self,
        config: &Config,
        (id, sent): (&str, &Sent),
        by_event: &BTreeMap<(&str, &str), Vec<&Told>>,
        dropped: &BTreeSet<String>,
    ) -> Result<(), Wrong> {
        for (flow, version) in self.flows.iter().zip(&config.live) {
            if flow.by_clock() || flow.id == UNDERTAKER {
                continue;
            }
            let plan = flow.any();
            let passes = plan.filter.is_none() || sent.name != "c";
            let matches = version.is_some() && sent.kind == "happened" && passes;
            let asks = matches && !config.paused.contains(&flow.id);
            let run = by_event.get(&(id, flow.id.as_str())).and_then(|runs| runs.first());
            let is_dropped = dropped.contains(&flow.id);
            match (run, asks) {
                // That a pause kept it from the flow is kept with it.
                (None, false) if is_dropped == (matches && !asks) => {}
                // What does not fit has no keys, so no limit holds it back.
                (None, true) if is_dropped && !plan.limits.is_empty() && sent.fits => {}
                (Some(run), true) if !is_dropped => {
                    let expected = version.map(|version| flow.versions[version].hash.as_str());
                    if expected != Some(run.head.plan.as_str()) {
                        return wrong(format!("{id} started another version of {} than was live", flow.id));
                    }
                    if !sent.fits && run.head.death != Some(Death::Misfit) {
                        return wrong(format!("{id} does not fit, and {} is {:?}", run.id(), run.head.status));
                    }
                }
                (run, asks) => {
                    let found = run.map(|run| run.id());
                    return wrong(format!("{id} and {}: asked for {asks}, found {found:?}, dropped {is_dropped}", flow.id));
                }
            }
        }
        Ok(())
    }

    /// R4: what may have happened and cannot be repeated is dead, with that reason.
    fn unknown_is_reported(&self, told: &Told) -> Result<(), Wrong> {
        let run = &told.run;
        for step in &run.steps {
            let Some(effect) = effect_of(told, step) else { continue };
            let unknown = step.attempts.iter().any(|attempt| attempt.unknown);
            if !matches!(effect, Effect::Once) || !unknown {
                continue;
            }
            match step.status {
                StepStatus::Cancelled => continue,
                StepStatus::Failed => {}
                _ if self.forced.contains(told.id()) => continue,
                status => return wrong(format!("{}: a `once` step of unknown outcome is {status:?}", told.id())),
            }
            let is_last = run.steps.last().is_some_and(|last| std::ptr::eq(last, step));
            if run.status == Status::Dead && is_last {
                let reason = run.reason.as_deref().unwrap_or_default();
                let known = matches!(run.death, Some(Death::Unknown | Death::Crashed));
                if !known || run.death == Some(Death::Unknown) && !says_unknown(reason) {
                    return wrong(format!("{} died of an unknown outcome, and says `{reason}` ({:?})", told.id(), run.death));
                }
            }
        }
        Ok(())
    }

    /// Each death is an event that has started the flow that listens; of many in a row those behind the first are one.
    fn deaths_are_announced(&self, store: &dyn Store, told: &[Told]) -> Result<(), Wrong> {
        let mut untold: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for run in told.iter().filter(|run| run.start().event.via != Via::Engine) {
            let mut fold = Run::default();
            for (number, entry) in run.journal.iter().enumerate() {
                let before = fold.status;
                apply(&run.flow, &mut fold, entry);
                if fold.status != Status::Dead || before == Status::Dead {
                    continue;
                }
                let id = format!("{}:{}:dead", run.id(), number + 1);
                let Some((_, seq)) = store.event_seqs(&id).map_err(text)?.pop() else {
                    untold.entry(run.head.flow.as_str()).or_default().push(id);
                    continue;
                };
                let started = store.runs_of_event(seq).map_err(text)?;
                if started.len() != 1 {
                    return wrong(format!("the death {id} started {started:?}"));
                }
            }
        }
        if untold.is_empty() {
            return Ok(());
        }
        let query = EventQuery { connection: Some("flow".to_owned()), limit: usize::MAX, ..EventQuery::default() };
        let mut together: BTreeMap<String, usize> = BTreeMap::new();
        for event in store.events(&query).map_err(text)? {
            let payload: serde_json::Value = serde_json::from_slice(&event.payload).map_err(text)?;
            let field = |name: &str| payload["data"][name].as_str().unwrap_or_default().to_owned();
            let runs = payload["data"]["runs"].as_u64().and_then(|runs| usize::try_from(runs).ok());
            *together.entry(field("flow")).or_default() += runs.unwrap_or_default();
        }
        for (flow, deaths) in untold {
            if together.get(flow).copied().unwrap_or_default() != deaths.len() {
                return wrong(format!("deaths of {flow} were not announced: {deaths:?}, together {together:?}"));
            }
        }
        Ok(())
    }

    /// R4: how often each effect was made, as the services know it.
    fn made_once(&self, told: &[Told], asked: &[Asked]) -> Result<(), Wrong> {
        let mut places: BTreeMap<&str, String> = BTreeMap::new();
        for run in told {
            for entry in &run.journal {
                if let What::Begun(begun) = &entry.what {
                    places.insert(begun.key.as_str(), format!("{} {} {:?}", run.id(), begun.path, begun.loops));
                }
            }
        }
        let mut effects: BTreeMap<&str, u32> = BTreeMap::new();
        let mut unclear: BTreeSet<&str> = BTreeSet::new();
        for one in asked.iter().filter(|one| !matches!(one.name.as_str(), "read" | "find" | "set")) {
            let Some(place) = places.get(one.key.as_str()) else {
                return wrong(format!("`{}` was asked for {} without a step in a journal", one.name, one.run));
            };
            if self.forced.contains(&one.run) || one.name == "brief" && self.jumps {
                continue;
            }
            let is_once = matches!(one.name.as_str(), "once" | "danger");
            if is_once && unclear.contains(place.as_str()) {
                return wrong(format!("`{}` was sent again for {place}, whose outcome was unknown", one.name));
            }
            if is_once && matches!(one.verdict, Verdict::Unclear | Verdict::Done) {
                unclear.insert(place);
            }
            let count = effects.entry(place).or_default();
            *count += u32::from(one.effect);
            if *count > 1 {
                return wrong(format!("the effect of `{}` was made twice for {place}", one.name));
            }
        }
        // What the engine takes for not done was not done.
        for run in told.iter().filter(|run| !self.forced.contains(run.id())) {
            for step in &run.run.steps {
                let place = format!("{} {} {:?}", run.id(), step.path, step.loops);
                let made = effects.get(place.as_str()).copied().unwrap_or_default() > 0;
                let known = step.status == StepStatus::Done || step.attempts.iter().any(|attempt| attempt.unknown);
                // Cancelled under way, by hand.
                let known = known || step.status == StepStatus::Cancelled;
                let other = run.run.steps.iter().filter(|other| other.path == step.path && other.loops == step.loops).count();
                if made && !known && other == 1 {
                    return wrong(format!("{place} had its effect, and its journal says that it had none"));
                }
                if step.status == StepStatus::Done && !made && matches!(effect_of(run, step), Some(effect) if !reads(effect)) {
                    let sets = effect_of(run, step).is_some_and(|effect| matches!(effect, Effect::Set));
                    if !sets && !self.jumps {
                        return wrong(format!("{place} is done, and had no effect"));
                    }
                }
            }
        }
        Ok(())
    }

    /// R5.
    fn old_is_not_acted_on(&self, told: &[Told], asked: &[Asked]) -> Result<(), Wrong> {
        let runs: BTreeMap<&str, &Told> = told.iter().map(|run| (run.id(), run)).collect();
        for one in asked {
            let Some(run) = runs.get(one.run.as_str()) else { return wrong(format!("{} asked, and is no run", one.run)) };
            let event = &run.start().event;
            if let Some(bound) = run.flow.limits.fresh_ms {
                let since = event.occurred_at.map_or(event.received_at, |at| at.min(event.received_at));
                let age = one.at.duration_since(since).as_millis();
                if age > i128::from(bound) {
                    return wrong(format!(
                        "`{}` of {} was performed {age} ms after its event, where {bound} are allowed",
                        one.name, one.run
                    ));
                }
            }
            if one.name == "danger" && one.latest.duration_since(one.at) > SignedDuration::from_secs(2) {
                return wrong(format!("a dangerous step of {} was performed while the clock was behind", one.run));
            }
            let taken_by = self.events.get(&one.event).and_then(|sent| sent.taken_by);
            if one.name == "danger" && taken_by.is_some_and(|taken_by| one.process > taken_by) {
                return wrong(format!("a dangerous step of {} was performed after a restart", one.run));
            }
        }
        Ok(())
    }

    /// R6: who waited for an event until its bound had no such event.
    fn awaited_events_came(&self, store: &dyn Store, told: &[Told]) -> Result<(), Wrong> {
        let query = EventQuery { connection: Some("svc".to_owned()), limit: usize::MAX, ..EventQuery::default() };
        let events = store.events(&query).map_err(text)?;
        for run in told {
            let mut waits = None;
            for entry in &run.journal {
                match &entry.what {
                    What::Waits(begun) => waits = Some(begun),
                    What::Woken => {
                        let Some(begun) = waits.take() else { continue };
                        let (Some(awaits), Some(until)) = (&begun.awaits, begun.until) else { continue };
                        let is_it = |id: &str| {
                            self.events.get(id).is_some_and(|sent| sent.kind == "other" && sent.name == run.name && sent.fits)
                        };
                        let mut missed = events
                            .iter()
                            .filter(|event| is_it(&event.id) && event.seq > awaits.after && event.received_at < until);
                        if let Some(event) = missed.next() {
                            return wrong(format!("{} did not hear of {} that it waited for", run.id(), event.id));
                        }
                    }
                    What::Came(came) => {
                        let Some(begun) = waits.take() else { continue };
                        let event = events.iter().find(|event| event.seq == came.seq);
                        let late = event.zip(begun.until).is_some_and(|(event, until)| event.received_at > until);
                        let fits = self.events.get(&came.id).is_some_and(|sent| sent.kind == "other" && sent.name == run.name);
                        let early = begun.awaits.as_ref().is_some_and(|awaits| came.seq <= awaits.after);
                        if late || !fits || early {
                            return wrong(format!("{} went on for {}, which is not what it waited for", run.id(), came.id));
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// R6: instants of schedules fire once each, and all of them where the flow says so.
    fn clock_starts(&self, told: &[Told]) -> Result<(), Wrong> {
        for flow in self.flows.iter().filter(|flow| flow.by_clock()) {
            let mut at: Vec<Timestamp> =
                told.iter().filter(|run| run.head.flow == flow.id).filter_map(|run| run.start().event.occurred_at).collect();
            at.sort_unstable();
            if at.windows(2).any(|pair| pair[0] == pair[1]) {
                return wrong(format!("{} fired twice at an instant: {at:?}", flow.id));
            }
            match &flow.any().triggers[0].kind {
                StartKind::Schedule(schedule) => {
                    let Rule::Interval(every) = &schedule.rule else { continue };
                    let every = SignedDuration::from_millis(every.millis);
                    let apart = |pair: &[Timestamp]| pair[1].duration_since(pair[0]);
                    if schedule.missed == Missed::All && at.windows(2).any(|pair| apart(pair) != every) {
                        return wrong(format!("{} left out an instant: {at:?}", flow.id));
                    }
                    if at.windows(2).any(|pair| apart(pair).as_millis() % every.as_millis() != 0) {
                        return wrong(format!("{} lost its beat: {at:?}", flow.id));
                    }
                    // At the end half an hour went by in which nothing was in its way: the beat may begin a moment into it.
                    if at.len() < 2 {
                        return wrong(format!("{} fired no more: {at:?}", flow.id));
                    }
                }
                StartKind::Absence(_) if at.is_empty() => return wrong(format!("{} heard no silence", flow.id)),
                StartKind::Absence(_) | StartKind::Event | StartKind::State(_) => {}
            }
        }
        Ok(())
    }
}

fn effect_of<'t>(told: &'t Told, step: &Step) -> Option<&'t Effect> {
    match told.flow.program.instrs.get(step.at as usize) {
        Some(Instr::Call(call)) => told.flow.operations.get(call.operation as usize).map(|operation| &operation.effect),
        _ => None,
    }
}

fn reads(effect: &Effect) -> bool {
    matches!(effect, Effect::Read)
}

fn says_unknown(reason: &str) -> bool {
    reason.contains("unknown") || reason.contains("does not fit") || reason.contains("redirects are not followed")
}

/// Nothing is stuck: at the end of all days nothing is under way.
fn ended(told: &Told) -> Result<(), Wrong> {
    if told.run.status.is_active() {
        let (status, reason) = (told.run.status, &told.run.reason);
        return wrong(format!("{} of {} is still {status:?}: {reason:?}, {:?}", told.id(), told.head.flow, told.run.pending()));
    }
    Ok(())
}

/// R6: no wait is over before its time.
fn waited(told: &Told) -> Result<(), Wrong> {
    let mut until = None;
    for entry in &told.journal {
        match &entry.what {
            What::Waits(waits) => until = waits.until,
            What::Woken if until.take().is_some_and(|until| entry.at < until) => {
                return wrong(format!("{} did not wait long enough", told.id()));
            }
            What::Came(_) => until = None,
            _ => {}
        }
    }
    Ok(())
}

/// What a service asked for is obeyed: nothing is sent again before `Retry-After`. A clock that was set back shows that time
/// earlier, by no more than it was set back in all.
fn obeyed(told: &Told, touched: &BTreeSet<String>, back: SignedDuration) -> Result<(), Wrong> {
    let mut not_before: Option<Timestamp> = None;
    for entry in &told.journal {
        match &entry.what {
            What::Ended { outcome: Outcome::NotDone { retry_after_ms: Some(wait), .. }, .. } => {
                not_before = Some(entry.at + SignedDuration::from_millis(i64::try_from(*wait).unwrap()) - back);
            }
            What::Begun(_) => not_before = None,
            What::Intent if !touched.contains(told.id()) && not_before.take().is_some_and(|not_before| entry.at < not_before) => {
                return wrong(format!("{} did not wait as long as the service asked it to", told.id()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Limits of starts.
fn limits_hold(told: &[Told], touched: &BTreeSet<String>) -> Result<(), Wrong> {
    let mut by_flow: BTreeMap<&str, Vec<&Told>> = BTreeMap::new();
    for run in told {
        by_flow.entry(run.head.flow.as_str()).or_default().push(run);
    }
    for (flow, runs) in by_flow {
        let limits = &runs[0].flow.limits;
        let fits: Vec<&&Told> = runs.iter().filter(|run| run.head.death != Some(Death::Misfit)).collect();
        if limits.once_per.is_some() {
            let mut names = BTreeSet::new();
            if let Some(run) = fits.iter().find(|run| !names.insert(&run.name)) {
                return wrong(format!("{flow} started twice for {}: {}", run.name, run.id()));
            }
        }
        let at_most = limits.at_most.iter().map(|limit| (limit.count, &limit.every, !limit.per.is_empty()));
        let throttle = limits.throttle.iter().map(|limit| (limit.count, &limit.every, !limit.per.is_empty()));
        for (count, every, per_name) in at_most.chain(throttle) {
            let Rate::Sliding(millis) = every else { continue };
            for name in super::flows::NAMES {
                let counts = |run: &&&&Told| !per_name || run.name == name;
                let mut at: Vec<Timestamp> = fits.iter().filter(counts).filter_map(|run| run.began()).collect();
                at.sort_unstable();
                let close = |pair: &[Timestamp]| pair[pair.len() - 1].duration_since(pair[0]).as_millis() < i128::from(*millis);
                if at.windows(count as usize + 1).any(close) {
                    return wrong(format!("{flow} started more often for {name} than its limit allows: {at:?}"));
                }
            }
        }
        if limits.while_running == Some(WhileRunning::Skip) {
            alone(&fits, limits.one_at_a_time.is_some(), touched)?;
        }
    }
    Ok(())
}

/// No run begins while another of its turn is under way.
fn alone(runs: &[&&Told], per_name: bool, touched: &BTreeSet<String>) -> Result<(), Wrong> {
    let mut last: BTreeMap<&str, &Told> = BTreeMap::new();
    for run in runs.iter().filter(|run| !touched.contains(run.id())) {
        let Some(began) = run.began() else { continue };
        let key = if per_name { run.name.as_str() } else { "" };
        if let Some(before) = last.insert(key, run)
            && before.run.ended_at.is_none_or(|ended| ended > began)
        {
            return wrong(format!("{} began while {} was under way", run.id(), before.id()));
        }
    }
    Ok(())
}

/// R9: one at a time, in the order of arrival.
fn order_is_kept(
    told: &[Told],
    asked: &[Asked],
    touched: &BTreeSet<String>,
    jumps: bool,
    together: &dyn Fn(&Told, &Told) -> bool,
) -> Result<(), Wrong> {
    let mut by_turn: BTreeMap<(&str, &str), Vec<&Told>> = BTreeMap::new();
    for run in told {
        let limits = &run.flow.limits;
        let queues = matches!(limits.while_running, None | Some(WhileRunning::Queue));
        let has_turns = limits.one_at_a_time.is_some() || limits.while_running == Some(WhileRunning::Queue);
        if !queues || !has_turns || run.head.death == Some(Death::Misfit) || touched.contains(run.id()) {
            continue;
        }
        let key = match &limits.one_at_a_time {
            Some(per) if !per.is_empty() => run.name.as_str(),
            _ => "",
        };
        by_turn.entry((run.head.flow.as_str(), key)).or_default().push(run);
    }
    for runs in by_turn.into_values() {
        let mut ends: Vec<(usize, &Told)> = Vec::new();
        for run in &runs {
            let mut places = asked.iter().enumerate().filter(|(_, one)| one.run == run.id()).map(|(place, _)| place);
            let Some(first) = places.next() else { continue };
            if let Some((_, other)) = ends.iter().find(|(end, other)| first < *end && !together(other, run)) {
                return wrong(format!("{} was performed before {} had ended, which came first", run.id(), other.id()));
            }
            ends.push((places.next_back().unwrap_or(first), run));
        }
        // By the clock too, where it only went forth.
        for pair in runs.windows(2).filter(|pair| !jumps && !together(pair[0], pair[1])) {
            let began = pair[1].began();
            let ended = pair[0].run.ended_at;
            let overlap = began.zip(ended).is_some_and(|(began, ended)| ended > began);
            if overlap && pair[1].run.steps.iter().any(|step| ended.is_some_and(|ended| step.began_at < ended)) {
                return wrong(format!("{} began before {} had ended", pair[1].id(), pair[0].id()));
            }
        }
    }
    Ok(())
}
