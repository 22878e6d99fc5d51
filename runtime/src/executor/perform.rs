//! One turn: the intent, the request, the result.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use flow_plan::{Call, Effect as EffectClass, Env, Operation, Value};
use jiff::Timestamp;

use super::confirm;
use super::job::{Job, load};
use super::queue::Turn;
use super::{STORE_PAUSE, awaited, jitter, once_more, pages, sought, stale, take_turns};
use crate::alarm::Line;
use crate::answer;
use crate::connection::{Asked, Cause, Heard, Hold, Target};
use crate::engine::{Shared, UnderWay, locked};
use crate::eval::Scope;
use crate::journal::{Outcome, What};
use crate::live::LiveConnection;
use crate::request::{self, RequestError};
use crate::run::{Effect, Run, Status, Step, operation, shorten};
use crate::store::StoreError;
use crate::world::{HttpAnswer, HttpRequest, ServiceCall, ServiceStep, TransportError};

/// While the store refuses, a step that has a result to write waits; the longest wait between two tries.
const LONGEST_STORE_PAUSE: Duration = Duration::from_secs(30);

/// Performs what a run has to do at one connection, and puts it where it goes on.
pub(super) async fn turn(shared: &Arc<Shared>, turn: Turn) {
    let Turn { mut job, lane, hold, mut sends, tries } = turn;
    let mut written = true;
    let mut tried = false;
    // Until what it touched is written.
    let mut under_way = None;
    loop {
        begin(shared, &mut job, &lane).await;
        if !wants(shared, &job, &lane) {
            break;
        }
        let now = shared.world.clock.now();
        if let Some(hold) = &hold {
            job.record(now, withheld(&job, hold, now));
            break;
        }
        if let Some(what) = stale::forbids(shared, &job, shared.look()) {
            job.record(now, what);
            break;
        }
        job.record(now, What::Intent);
        job.counts = std::mem::take(&mut sends.counts);
        written = write(shared, &mut job).await;
        let Some(Effect::Send { find }) = job.run.pending().first().cloned().filter(|_| written) else { break };
        let looked = shared.look();
        let (outcome, ms) = match stale::too_late(shared, &job, looked).or_else(|| stale::key_is_old(shared, &job, looked)) {
            Some(error) => {
                shared.queue().was_not_sent(&lane, sends.probe, &[], now);
                (Outcome::NotDone { status: None, error, retry_after_ms: None }, 0)
            }
            None => {
                under_way =
                    job.run.call(&job.flow).and_then(|call| operation(&job.flow, call)).and_then(|of| UnderWay::of(shared, of));
                let attempted = attempt(shared, &job, find).await;
                let heard = heard(shared, &lane.connection, &attempted.0);
                let asked = Asked { step: true, probe: sends.probe };
                shared.queue().heard(&lane, &heard, asked, shared.world.clock.now());
                attempted
            }
        };
        tried = true;
        let jitter = jitter(shared);
        if let (Some(call), Outcome::Done { .. }) = (job.run.call(&job.flow).filter(|call| call.dangerous), &outcome) {
            let (flow, run) = (&job.flow.id, job.run.id());
            let event = job.run.start.as_ref().map(|start| start.event.id.as_str());
            tracing::warn!(flow, run, event, call = call.name, "a dangerous step was performed");
        }
        job.record(shared.world.clock.now(), What::Ended { ms, outcome, jitter });
        if stale::key_counts(&job) {
            // A start has to notice that the clock is behind this.
            shared.note_now().await;
        }
        // The result goes into the store with the next step's intent where that follows at once.
        let goes_on = wants_or_begins(shared, &job, &lane) && !shared.is_stopping();
        if !goes_on {
            break;
        }
        match shared.queue().keep_turn(&lane, shared.world.clock.now()) {
            Some(next) => (sends, tried) = (next, false),
            None => break,
        }
    }
    if written {
        rest(shared, &mut job).await;
        written = write(shared, &mut job).await;
    }
    drop(under_way);
    {
        let mut queue = shared.queue();
        if !tried && hold.is_none() && !lane.connection.is_empty() {
            let unwritten = if job.counts.is_empty() { sends.counts } else { std::mem::take(&mut job.counts) };
            queue.was_not_sent(&lane, sends.probe, &unwritten, shared.world.clock.now());
        }
        queue.end_turn(&lane, tries);
    }
    put_back(shared, job, written);
}

/// What becomes of a step to whose connection nothing is sent now. A connection that does not answer is waited for no longer
/// than the step may be tried.
fn withheld(job: &Job, hold: &Hold, now: Timestamp) -> What {
    let error = hold.reason.clone();
    match hold.cause {
        Cause::Broken => What::Parked { error },
        Cause::Silent => match job.run.tried_until(&job.flow) {
            Some(until) if until <= now => What::WaitedInVain { error },
            until => What::Withheld(super::lane::withheld(hold, until)),
        },
        Cause::Spent | Cause::Paused => What::Withheld(super::lane::withheld(hold, Some(hold.until))),
    }
}

/// Freezes the inputs of the steps that begin, as long as they are of this lane, and the waits.
async fn begin(shared: &Shared, job: &mut Job, lane: &Target) {
    loop {
        rest(shared, job).await;
        match job.run.pending().first().cloned() {
            Some(Effect::Begin(begun)) if is_of(shared, job, lane) => {
                job.record(shared.world.clock.now(), What::Begun(begun));
            }
            _ => return,
        }
    }
}

/// Records that a wait begins, where one does.
pub(super) async fn rest(shared: &Shared, job: &mut Job) {
    if let Some(Effect::BeginWait(mut waits)) = job.run.pending().first().cloned() {
        if let Some(awaits) = &mut waits.awaits
            && job.run.wait_for(&job.flow).is_some_and(|wait| wait.from_now)
        {
            awaits.after = last_answered(shared).await;
        }
        job.record(shared.world.clock.now(), What::Waits(waits));
    }
}

/// Returns the number of the last event that was answered by now: it has one when the store has sorted it in.
async fn last_answered(shared: &Shared) -> u64 {
    loop {
        match shared.store.caught_up().await {
            // Nothing of the run can be written before either.
            Err(error) if error.is_retryable() && !shared.is_stopping() => {
                let until = shared.world.clock.now().checked_add(STORE_PAUSE).unwrap_or(Timestamp::MAX);
                shared.world.clock.sleep_until(until).await;
            }
            Ok(()) | Err(_) => return shared.last_event(),
        }
    }
}

/// Writes what a run has recorded outside of a turn, and puts it where it goes on.
pub(super) async fn carry_on(shared: &Arc<Shared>, mut job: Job) {
    rest(shared, &mut job).await;
    let written = write(shared, &mut job).await;
    put_back(shared, job, written);
}

/// Tells whether a run wants to speak with what this lane is for.
fn is_of(shared: &Shared, job: &Job, lane: &Target) -> bool {
    job.connection() == lane.connection && job.target(Some(&shared.current().live)) == *lane
}

fn wants(shared: &Shared, job: &Job, lane: &Target) -> bool {
    matches!(job.run.pending().first(), Some(Effect::Intend)) && is_of(shared, job, lane)
}

fn wants_or_begins(shared: &Shared, job: &Job, lane: &Target) -> bool {
    matches!(job.run.pending().first(), Some(Effect::Intend | Effect::Begin(_))) && is_of(shared, job, lane)
}

/// Puts a run where it goes on: its lane, the parked ones, or nowhere but the store.
pub(super) fn put_back(shared: &Arc<Shared>, job: Job, written: bool) {
    let run = job.run.id().to_owned();
    // Its end may have given its turn to another one.
    take_turns(shared, shared.world.clock.now());
    if !written {
        // What could not be written is as if it had not been: the store says where the run stands.
        shared.rescan.store(true, Ordering::SeqCst);
        return shared.queue().release(&run);
    }
    match job.run.pending().first() {
        Some(Effect::Begin(_) | Effect::Intend) if !shared.is_stopping() => shared.queue().push(job),
        Some(Effect::Park) => {
            let mut queue = shared.queue();
            queue.park(&job, shared.world.clock.now());
            queue.release(&run);
        }
        Some(Effect::Wake { .. } | Effect::Rest) if job.run.awaits(&job.flow).is_some() && !shared.is_stopping() => {
            awaited::start_seeking(shared, job);
        }
        Some(Effect::End) => {
            announce(shared, &job);
            shared.queue().release(&run);
        }
        _ => shared.queue().release(&run),
    }
}

/// Counts a run that has ended, and says so where it died.
pub(super) fn announce(shared: &Shared, job: &Job) {
    let counters = &shared.counters;
    let counter = match job.run.status {
        Status::Done => &counters.done,
        Status::Stopped => &counters.stopped,
        Status::Dead => &counters.dead,
        // Counted where it was asked for.
        Status::Cancelled | Status::Running | Status::Waiting | Status::Parked => return,
    };
    counter.fetch_add(1, Ordering::Relaxed);
    let (run, flow, reason) = (job.run.id(), job.flow.id.as_str(), job.run.reason.as_deref().unwrap_or(""));
    match job.run.status {
        Status::Dead => {
            let line = locked(&shared.said).line(flow, shared.world.clock.now());
            match line {
                Line::Says { unsaid: 0 } => tracing::error!(flow, run, reason, "run died; it is kept and can be retried"),
                Line::Says { unsaid } => {
                    tracing::error!(flow, run, reason, unsaid, "run died; it is kept and can be retried, as are those not said");
                }
                Line::Last => tracing::error!(
                    flow,
                    run,
                    reason,
                    "run died; it is kept and can be retried. Those of the next minutes are kept too and not said one by one"
                ),
                Line::Silent => tracing::debug!(flow, run, reason, "run died"),
            }
        }
        _ => match &job.run.handled {
            Some(handled) => tracing::warn!(flow, run, failure = handled, "run ended after its flow handled a failure"),
            None => tracing::debug!(flow, run, status = job.run.status.as_str(), "run ended"),
        },
    }
}

/// Writes what a run has recorded, however long the store refuses. `false` where it cannot be written: the engine stops,
/// or the store is gone.
async fn write(shared: &Shared, job: &mut Job) -> bool {
    let mut pause = Duration::from_secs(1);
    let mut failed = false;
    loop {
        match job.write(shared).await {
            Ok(()) => return true,
            Err(StoreError::Conflict) => {
                if std::mem::take(&mut failed) {
                    // It was written although that was said to have failed: nobody was told of what follows from it.
                    shared.offers.store(true, Ordering::SeqCst);
                    shared.rescan.store(true, Ordering::SeqCst);
                }
                if let Err(error) = reload(shared, job) {
                    tracing::error!(run = job.run.id(), %error, "a run cannot be read again");
                    return false;
                }
            }
            Err(error) if error.is_retryable() && !shared.is_stopping() => {
                failed = true;
                let until = shared.world.clock.now().checked_add(pause).unwrap_or(Timestamp::MAX);
                shared.world.clock.sleep_until(until).await;
                pause = pause.saturating_mul(2).min(LONGEST_STORE_PAUSE);
            }
            Err(error) => {
                tracing::error!(run = job.run.id(), %error, "a run cannot be written");
                return false;
            }
        }
    }
}

/// Somebody changed the run meanwhile: what counts is the store's version, with the answer that came since.
fn reload(shared: &Shared, job: &mut Job) -> Result<(), StoreError> {
    let head = shared.store.run(job.run.id())?.ok_or_else(|| StoreError::Corrupted("the run is gone".to_owned()))?;
    let mut fresh = load(shared, &head)?;
    if let Some(entry) = job.unwritten().iter().find(|entry| matches!(entry.what, What::Ended { .. })) {
        // A write that failed may have reached the disk all the same. Recorded once more the answer would be that of the
        // step behind, which has not been performed.
        let before = (job.run.entries as usize).saturating_sub(job.unwritten().len());
        let is_written = shared.store.journal(job.run.id())?.iter().skip(before).any(|known| known == entry);
        if !is_written {
            fresh.record(entry.at, entry.what.clone());
        }
    }
    fresh.counts = std::mem::take(&mut job.counts);
    *job = fresh;
    Ok(())
}

/// Makes a run dead whose turn panicked.
pub(super) async fn bury(shared: &Shared, run: &str, message: &str) {
    let buried = async {
        let Some(head) = shared.store.run(run)? else { return Ok(()) };
        let mut job = load(shared, &head)?;
        job.record(shared.world.clock.now(), What::Crashed { message: message.to_owned() });
        if write(shared, &mut job).await {
            announce(shared, &job);
        }
        Ok::<(), StoreError>(())
    };
    if let Err(error) = buried.await {
        tracing::error!(run, %error, "a run that panicked could not be marked");
    }
}

/// Sends the request of the current step and reads its answer. Returns it with the time it took in milliseconds.
async fn attempt(shared: &Arc<Shared>, job: &Job, find: bool) -> (Outcome, u64) {
    let began = shared.world.clock.now();
    let outcome = send(shared, job, find, began).await;
    let took = shared.world.clock.now().as_millisecond().saturating_sub(began.as_millisecond());
    shared.counters.attempts.fetch_add(1, Ordering::Relaxed);
    if let Some(error) = outcome.error() {
        shared.counters.failures.fetch_add(1, Ordering::Relaxed);
        let call = job.run.call(&job.flow).map_or("", |call| &call.name);
        tracing::debug!(run = job.run.id(), call, status = outcome.status(), error, "attempt failed");
    }
    (outcome, u64::try_from(took).unwrap_or(0))
}

async fn send(shared: &Arc<Shared>, job: &Job, find: bool, sent_at: Timestamp) -> Outcome {
    let refused = |error: String| Outcome::Refused { status: None, error };
    let (Some(call), Some(step)) = (job.run.call(&job.flow), job.run.current()) else {
        return refused("the plan has no such step".to_owned());
    };
    let Some(action) = operation(&job.flow, call) else { return refused("the plan has no such operation".to_owned()) };
    if let Some(services) = &shared.world.services {
        if let Some(error) = request::not_given(action, &step.inputs) {
            return refused(error.to_string());
        }
        return services.perform(service_call(job, call, step, find)).await;
    }
    let current = shared.current();
    let Some(connection) = current.live.connections.get(&call.connection) else {
        return Outcome::Broken { status: None, error: format!("connection `{}` is not configured", call.connection) };
    };
    let scope = AttemptScope { job, inputs: &step.inputs, key: &step.key, now: step.began_at, sent_at };
    let by = match &action.effect {
        EffectClass::Findable { by, .. } if find => Some(by),
        _ => None,
    };
    let step_scope = scope;
    let began = sought::began(step, sent_at);
    let found;
    let (performed, scope): (&Operation, _) = match by {
        Some(by) => {
            found = match sought::args(by, &step_scope, began) {
                Ok(args) => args,
                Err(required) => return refused(required.to_string()),
            };
            (&by.query, AttemptScope { inputs: &found, ..scope })
        }
        None => (action, scope),
    };
    let request = match request::build(performed, connection, &scope) {
        Ok(request) => HttpRequest { guard: stale::guard(shared, job), ..request },
        Err(
            error @ (RequestError::NoCredentials(_)
            | RequestError::Base { .. }
            | RequestError::UnknownScheme(_)
            | RequestError::ConnectionHeader { .. }
            | RequestError::Signature(_)),
        ) => {
            // A matter of flow.toml: the run waits until it is mended.
            return Outcome::Broken { status: None, error: error.to_string() };
        }
        Err(error) => return refused(error.to_string()),
    };
    let options = &shared.options;
    let timeout = request::timeout(performed, connection, &scope, options.timeout);
    let sent_bytes = request.body.len();
    match shared.world.transport.send(request, timeout, options.max_answer).await {
        Ok(answer) => {
            spend(shared, connection, performed, sent_bytes, &answer);
            let theirs = by.map(|by| sought::args_of_theirs(by, &step_scope, began, &answer, shared.world.clock.now()));
            let theirs = match theirs.transpose() {
                Ok(args) => args,
                Err(required) => return refused(required.to_string()),
            };
            let scope = AttemptScope { inputs: theirs.as_deref().unwrap_or(scope.inputs), ..scope };
            let answer = match pages::all(shared, connection, performed, &scope, answer).await {
                Ok(answer) => answer,
                Err(outcome) => return outcome,
            };
            let (read, mistake) = answer::read_fully(performed, connection, &answer, &scope);
            let mut read = outcome(read, answer.status);
            if let Some(mistake) = mistake.filter(|_| performed.peculiar.once_more) {
                read = once_more::ask(shared, connection, performed, &scope, &mistake, read).await;
            }
            if let (Outcome::Done { status, value }, Some(confirm), false) = (&read, &performed.confirm, find) {
                let answered_at = answer::answered_at(&answer);
                let accepted = confirm::Accepted { status: *status, value: value.clone(), answered_at };
                read = confirm::confirm(shared, connection, performed, confirm, &scope, accepted).await;
            }
            let mut personal = Personal::default();
            personal.add(action, &step.inputs, Some(call));
            personal.add(performed, scope.inputs, None);
            shorten_error(read, personal)
        }
        Err(error @ (TransportError::NotConnected(_) | TransportError::Later(_))) => {
            Outcome::NotDone { status: None, error: error.to_string(), retry_after_ms: None }
        }
        Err(error @ TransportError::NoAnswer(_)) => Outcome::Unknown { status: None, error: error.to_string(), last: false },
        Err(error @ TransportError::Broken(_)) => Outcome::Broken { status: None, error: error.to_string() },
        Err(error @ TransportError::Refused(_)) => refused(error.to_string()),
    }
}

/// Counts what an answer has cost, as it says; where it does not, as its length and that of the request make one expect.
pub(super) fn spend(shared: &Shared, connection: &LiveConnection, operation: &Operation, sent_bytes: usize, answer: &HttpAnswer) {
    let Some(place) = &connection.plan.api_of(&operation.request).spends else { return };
    if let Some(tokens) = answer::spent(place, sent_bytes, answer) {
        shared.queue().spend(&connection.plan.name, tokens, shared.world.clock.now());
    }
}

/// The step at hand for the seam above HTTP.
fn service_call(job: &Job, call: &Call, step: &Step, find: bool) -> ServiceCall {
    ServiceCall {
        connection: call.connection.clone(),
        name: call.name.clone(),
        operation: Arc::clone(&job.flow.operations[call.operation as usize]),
        inputs: step.inputs.clone(),
        step: Some(ServiceStep {
            run: job.run.id().to_owned(),
            flow: Arc::clone(&job.flow),
            path: step.path.clone(),
            loops: step.loops.clone(),
            key: step.key.clone(),
            find,
            given: job.run.given(&job.flow, &step.path),
        }),
    }
}

pub(crate) fn outcome(read: answer::Outcome, http: u16) -> Outcome {
    match read {
        answer::Outcome::Done(value) => Outcome::Done { status: Some(http), value },
        answer::Outcome::NotDone { status, error, retry_after } => {
            let retry_after_ms = retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
            Outcome::NotDone { status, error, retry_after_ms }
        }
        answer::Outcome::Unknown { status, error, last } => Outcome::Unknown { status, error, last },
        answer::Outcome::Refused { status, error } => Outcome::Refused { status, error },
        answer::Outcome::Broken { status, error } => Outcome::Broken { status, error },
    }
}

/// What of a step's inputs is personal: a service that repeats it in an error puts it into no journal and no log.
#[derive(Default)]
struct Personal(Vec<String>);

/// Shorter texts say too little, and would mangle others.
const SHORTEST_PERSONAL: usize = 3;
/// So would shorter numbers: a status is one.
const SHORTEST_NUMBER: usize = 5;

impl Personal {
    /// `call` says which values are personal whatever the operation says of its inputs.
    fn add(&mut self, operation: &Operation, inputs: &[Value], call: Option<&Call>) {
        for (at, input) in inputs.iter().enumerate() {
            let declared = operation.inputs.get(at).is_some_and(|input| input.personal);
            let given = call.and_then(|call| call.args.get(at)).is_some_and(|arg| arg.personal);
            if declared || given {
                self.collect(input);
            }
        }
    }

    fn collect(&mut self, value: &Value) {
        let shortest = if matches!(value, Value::Number(_)) { SHORTEST_NUMBER } else { SHORTEST_PERSONAL };
        match value {
            Value::Text(_) | Value::Number(_) | Value::Date(_) => {
                let text = value.to_string().trim().to_owned();
                if text.chars().count() >= shortest {
                    self.0.push(text);
                }
            }
            Value::List(items) => items.iter().for_each(|item| self.collect(item)),
            Value::Record(fields) => fields.values().for_each(|field| self.collect(field)),
            _ => {}
        }
    }

    fn shorten_in(mut self, error: &str) -> String {
        // One may hold another.
        self.0.sort_by_key(|text| std::cmp::Reverse(text.len()));
        let mut error = self.shorten_cut(error).unwrap_or_else(|| error.to_owned());
        for text in &self.0 {
            error = replace_any_case(&error, text, &shown(text));
        }
        error
    }

    /// Shortens what is left of a value where a long error was cut off.
    fn shorten_cut(&self, error: &str) -> Option<String> {
        let cut = error.rfind('…')?;
        let before = error[..cut].to_ascii_lowercase();
        let left = |text: &String| {
            let lengths: Vec<usize> = text.char_indices().map(|(at, _)| at).skip(SHORTEST_PERSONAL).collect();
            let lower = text.to_ascii_lowercase();
            let length = lengths.into_iter().rev().find(|length| before.ends_with(&lower[..*length]))?;
            Some((length, shown(text)))
        };
        let (length, shown) = self.0.iter().filter_map(left).max_by_key(|(length, _)| *length)?;
        Some(format!("{}{shown}{}", &error[..cut - length], &error[cut..]))
    }
}

fn shown(text: &str) -> String {
    shorten(&Value::text(text)).to_string()
}

/// Replaces a text however its ASCII letters are written: services change them.
fn replace_any_case(within: &str, text: &str, by: &str) -> String {
    // As long as the originals, byte by byte.
    let (lower, text) = (within.to_ascii_lowercase(), text.to_ascii_lowercase());
    let mut replaced = String::with_capacity(within.len());
    let mut from = 0;
    for (found, _) in lower.match_indices(&text) {
        replaced.push_str(&within[from..found]);
        replaced.push_str(by);
        from = found + text.len();
    }
    replaced.push_str(&within[from..]);
    replaced
}

fn shorten_error(outcome: Outcome, personal: Personal) -> Outcome {
    let short = |error: String| personal.shorten_in(&error);
    match outcome {
        Outcome::Done { .. } => outcome,
        Outcome::NotDone { status, error, retry_after_ms } => Outcome::NotDone { status, error: short(error), retry_after_ms },
        Outcome::Unknown { status, error, last } => Outcome::Unknown { status, error: short(error), last },
        Outcome::Refused { status, error } => Outcome::Refused { status, error: short(error) },
        Outcome::Broken { status, error } => Outcome::Broken { status, error: short(error) },
    }
}

/// Returns what an attempt says of what it went to.
fn heard(shared: &Shared, connection: &str, outcome: &Outcome) -> Heard {
    match outcome {
        Outcome::Done { .. } | Outcome::Refused { status: Some(_), .. } => Heard::Works,
        Outcome::NotDone { status: Some(status), retry_after_ms, error } => {
            let wait = retry_after_ms.map(Duration::from_millis);
            match status {
                500.. => Heard::Silence { error: error.clone(), wait },
                429 => Heard::Slower(wait),
                _ if wait.is_some() => Heard::Slower(wait),
                _ => Heard::Works,
            }
        }
        Outcome::NotDone { status: None, error, .. } => Heard::Unreached(error.clone()),
        // An action whose state was not confirmed was answered all the same.
        Outcome::Unknown { status: Some(200..=299), .. } => Heard::Works,
        // So was a request that the service did not like, and says to make again.
        Outcome::Unknown { status: Some(status @ 400..=499), .. } if *status != 408 => Heard::Works,
        Outcome::Unknown { error, .. } => Heard::Silence { error: error.clone(), wait: None },
        // Nothing was sent, so nothing was learnt.
        Outcome::Refused { status: None, .. } => Heard::Nothing,
        Outcome::Broken { status, error } => {
            // Where there is no such connection, nothing can be asked of it.
            let status = status.filter(|_| shared.current().live.connections.contains_key(connection));
            Heard::Refusal { status, error: error.clone() }
        }
    }
}

/// What a request can read: the frozen inputs and what the run knows. Settings and secrets are the connection's matter.
#[derive(Clone, Copy)]
pub(super) struct AttemptScope<'a> {
    pub(super) job: &'a Job,
    pub(super) inputs: &'a [Value],
    pub(super) key: &'a str,
    pub(super) now: Timestamp,
    pub(super) sent_at: Timestamp,
}

impl Scope for AttemptScope<'_> {
    fn input(&self, input: u16) -> Value {
        self.inputs.get(usize::from(input)).cloned().unwrap_or_default()
    }

    fn env(&self, env: &Env) -> Value {
        let run: &Run = &self.job.run;
        let Some(start) = run.start.as_deref() else { return Value::Missing };
        match env {
            Env::RunKey => Value::text(self.key),
            Env::RunId => Value::text(run.id()),
            Env::RunFlow => Value::text(self.job.flow.name.as_deref().unwrap_or(&self.job.flow.id)),
            Env::Now => Value::Instant(self.now),
            Env::SentAt => Value::Instant(self.sent_at),
            Env::TriggerName => Value::text(start.trigger.as_str()),
            Env::Origin => Value::text(start.event.origin.as_str()),
            Env::EventId => Value::text(start.event.id.as_str()),
            Env::EventAt => Value::Instant(start.event.occurred_at.unwrap_or(start.event.received_at)),
            Env::ReceivedAt => Value::Instant(start.event.received_at),
            Env::EventType => start.event.event_type.as_deref().map_or(Value::Missing, Value::text),
            // The connection's, the poll's, or a handler's, which froze it into the inputs.
            Env::Setting(_)
            | Env::Connection
            | Env::Secret(_)
            | Env::SentBody
            | Env::SentForm
            | Env::SentQuery
            | Env::PublicUrl
            | Env::LiveTypes
            | Env::Instance
            | Env::Watermark
            | Env::Cursor
            | Env::Error
            | Env::Mistake => Value::Missing,
        }
    }
}
