//! Services with a state of their own that fail in every way that the fault model has, and remember what was asked of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use flow_runtime::world::{BoxFuture, Clock, HttpAnswer, HttpRequest, Transport, TransportError};
use jiff::{SignedDuration, Timestamp};

use super::clock::SimClock;
use super::dice::Dice;
use super::power::{Point, Power};
use super::trace::Trace;

/// How long the service remembers the keys of `brief`, whose flows say so.
pub(super) const BRIEF: SignedDuration = SignedDuration::from_mins(10);
/// How long it remembers other keys.
const WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// What came of a request, as the service knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Surely not done, and the answer says so.
    NotDone,
    /// Refused, and the answer says so.
    Refused,
    /// Done, and the answer says so.
    Done,
    /// The answer does not say, or did not arrive.
    Unclear,
}

/// A request.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) name: String,
    pub(super) key: String,
    pub(super) run: String,
    pub(super) event: String,
    /// As the clock showed.
    pub(super) at: Timestamp,
    /// The latest instant that it has shown the process.
    pub(super) latest: Timestamp,
    /// Of which process.
    pub(super) process: u32,
    pub(super) effect: bool,
    pub(super) verdict: Verdict,
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    NotConnected,
    /// No answer within the time, or the connection breaks; the effect happened before, or not, or much later.
    Silence {
        slow: bool,
        effect: bool,
        late: bool,
    },
    Status {
        status: u16,
        effect: bool,
    },
    RetryAfter {
        status: u16,
        seconds: u64,
    },
    /// A success that does not fit its record, or is no JSON.
    Nonsense {
        kind: u64,
    },
    Panic,
}

/// All services of a simulation.
pub(super) struct Services {
    state: Mutex<State>,
    clock: Arc<SimClock>,
    power: Arc<Power>,
    trace: Arc<Trace>,
}

struct State {
    dice: Dice,
    /// How many of a hundred requests meet with a fault.
    faults: u64,
    slow: u64,
    process: u32,
    asked: Vec<Asked>,
    /// By name and key: when, and the answer.
    known: BTreeMap<(String, String), (Timestamp, u64)>,
    made: u64,
    /// Effects that are on their way.
    late: Vec<(Timestamp, usize)>,
    /// Credentials do not work until then.
    broken_until: Option<Timestamp>,
    /// Nobody answers until then.
    down_until: Option<Timestamp>,
    conflicts: bool,
    panics: bool,
}

impl Services {
    pub(super) fn new(seed: u64, clock: &Arc<SimClock>, power: &Arc<Power>, trace: &Arc<Trace>) -> Arc<Self> {
        let mut dice = Dice::new(seed, 3);
        let state = State {
            faults: *dice.pick(&[0, 10, 25, 25, 50]),
            slow: *dice.pick(&[0, 10, 40]),
            conflicts: dice.percent(50),
            panics: dice.percent(5),
            dice,
            process: 0,
            asked: Vec::new(),
            known: BTreeMap::new(),
            made: 0,
            late: Vec::new(),
            broken_until: None,
            down_until: None,
        };
        let (clock, power, trace) = (Arc::clone(clock), Arc::clone(power), Arc::clone(trace));
        Arc::new(Self { state: Mutex::new(state), clock, power, trace })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn next_process(&self) {
        self.state().process += 1;
    }

    /// The credentials do not work for so long.
    pub(super) fn breaks_for(&self, time: SignedDuration) {
        self.state().broken_until = Some(self.clock.steady() + time);
    }

    /// Nobody answers for so long.
    pub(super) fn is_down_for(&self, time: SignedDuration) {
        self.state().down_until = Some(self.clock.steady() + time);
    }

    /// From here on everything works.
    pub(super) fn heal(&self) {
        let mut state = self.state();
        state.faults = 0;
        state.broken_until = None;
        state.down_until = None;
    }

    /// Returns all that was asked, in its order.
    pub(super) fn asked(&self) -> Vec<Asked> {
        let mut state = self.state();
        state.arrive(Timestamp::MAX);
        state.asked.clone()
    }
}

impl State {
    /// Draws what happens to a request.
    fn fault(&mut self, name: &str, now: Timestamp) -> Fault {
        if self.down_until.is_some_and(|until| now < until) {
            let silent = self.dice.percent(30);
            return if silent { Fault::Silence { slow: true, effect: false, late: false } } else { Fault::NotConnected };
        }
        if self.broken_until.is_some_and(|until| now < until) {
            return Fault::Status { status: 401, effect: false };
        }
        if !self.dice.percent(self.faults) {
            return Fault::None;
        }
        let effect = self.dice.percent(50);
        match self.dice.below(22) {
            0..3 => Fault::NotConnected,
            3..9 => {
                let late = !effect && !matches!(name, "findable" | "find" | "read") && self.dice.percent(40);
                Fault::Silence { slow: self.dice.percent(50), effect, late }
            }
            9..12 => Fault::Status { status: *self.dice.pick(&[500, 502, 503, 504, 408, 520]), effect },
            12..15 => {
                let (status, seconds) = (*self.dice.pick(&[429, 503]), self.dice.within(1, 90));
                Fault::RetryAfter { status, seconds }
            }
            15..17 => Fault::Status { status: *self.dice.pick(&[429, 425]), effect: false },
            17 => Fault::Status { status: *self.dice.pick(&[400, 403, 422, 501]), effect: false },
            18 => Fault::Status { status: 401, effect: false },
            19 => Fault::Nonsense { kind: self.dice.below(4) },
            20 if self.panics => Fault::Panic,
            _ => Fault::Status { status: *self.dice.pick(&[302, 409]), effect: false },
        }
    }

    /// Effects that were on their way arrive.
    fn arrive(&mut self, now: Timestamp) {
        let (due, later) = std::mem::take(&mut self.late).into_iter().partition(|(at, _)| *at <= now);
        self.late = later;
        let due: Vec<(Timestamp, usize)> = due;
        for (at, number) in due {
            self.perform(number, at);
        }
    }

    /// Does what a request asks for; returns the answer's body.
    fn perform(&mut self, number: usize, now: Timestamp) -> HttpAnswer {
        let (name, key) = (self.asked[number].name.clone(), self.asked[number].key.clone());
        let body = |made: u64| format!(r#"{{"data":{{"id":"{name}-{made}"}}}}"#);
        let by = (name.clone(), key);
        match name.as_str() {
            "read" => return answer(200, &body(0)),
            "find" => {
                let found = self.known.get(&("findable".to_owned(), by.1));
                return found.map_or_else(|| answer(404, "{}"), |(_, made)| answer(200, &body(*made)));
            }
            "keyed" | "brief" => {
                let window = if name == "brief" { BRIEF } else { WINDOW };
                if let Some((at, made)) = self.known.get(&by)
                    && now.duration_since(*at) <= window
                {
                    return answer(200, &body(*made));
                }
            }
            "findable" if self.conflicts && self.known.contains_key(&by) => return answer(409, r#"{"error":"it is there"}"#),
            _ => {}
        }
        self.made += 1;
        self.known.insert(by, (now, self.made));
        self.asked[number].effect = true;
        answer(200, &body(self.made))
    }
}

fn answer(status: u16, body: &str) -> HttpAnswer {
    HttpAnswer { status, headers: Vec::new(), body: Bytes::copy_from_slice(body.as_bytes()) }
}

fn header(request: &HttpRequest, wanted: &str) -> String {
    let found = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    found.map(|(_, value)| value.clone()).unwrap_or_default()
}

impl Services {
    /// Notes a request, and draws what happens to it: its number, the fault, and how long it is under way there and back.
    fn begin(&self, request: &HttpRequest) -> (usize, Fault, u64, u64) {
        let rest = request.url.rsplit('/').next().unwrap_or_default();
        let name = rest.split('?').next().unwrap_or_default().to_owned();
        let key = Some(header(request, "idempotency-key")).filter(|key| !key.is_empty());
        let steady = self.clock.steady();
        let mut state = self.state();
        state.arrive(steady);
        let fault = state.fault(&name, steady);
        let asked = Asked {
            key: key.unwrap_or_else(|| header(request, "x-key")),
            run: header(request, "x-run"),
            event: header(request, "x-event"),
            at: self.clock.now(),
            latest: self.clock.latest(),
            process: state.process,
            effect: false,
            // As long as nothing else is known.
            verdict: if fault == Fault::NotConnected { Verdict::NotDone } else { Verdict::Unclear },
            name,
        };
        let slow = state.slow;
        let mut way = || if state.dice.percent(slow) { state.dice.within(1, 8_000) } else { 0 };
        let (there, back) = (way(), way());
        self.trace
            .say(|| format!("asked {} {} {} of {}: {fault:?}, {there}/{back} ms", asked.name, asked.key, asked.run, asked.event));
        state.asked.push(asked);
        (state.asked.len() - 1, fault, there, back)
    }

    async fn wait(&self, ms: u64) {
        if ms > 0 {
            self.clock.sleep_until(self.clock.now() + Duration::from_millis(ms)).await;
        }
    }

    /// A request arrives when it does, though the process stands still meanwhile.
    fn perform(&self, number: usize, arrives: Timestamp) -> HttpAnswer {
        self.state().perform(number, arrives)
    }

    fn verdict(&self, number: usize, verdict: Verdict) {
        self.state().asked[number].verdict = verdict;
    }
}

impl Transport for Services {
    fn send(&self, request: HttpRequest, timeout: Duration, _: usize) -> BoxFuture<'_, Result<HttpAnswer, TransportError>> {
        Box::pin(async move {
            let (number, fault, there, back) = self.begin(&request);
            if self.power.passes(Point::Request) {
                std::future::pending::<()>().await;
            }
            let arrives = self.clock.steady() + Duration::from_millis(there);
            self.wait(there).await;
            let result = match fault {
                Fault::None => {
                    let answer = self.perform(number, arrives);
                    let verdict = match answer.status {
                        409 => Verdict::Refused,
                        _ => Verdict::Done,
                    };
                    // Only once it has arrived.
                    (Ok(answer), verdict)
                }
                Fault::NotConnected => (Err(TransportError::NotConnected("refused".to_owned())), Verdict::NotDone),
                Fault::Silence { slow, effect, late } => {
                    if effect {
                        drop(self.perform(number, arrives));
                    }
                    if late {
                        let at = self.clock.steady() + Duration::from_secs(self.state().dice.within(1, 120));
                        self.state().late.push((at, number));
                    }
                    if slow {
                        self.clock.sleep_until(self.clock.now() + timeout).await;
                    }
                    (Err(TransportError::NoAnswer("the connection was lost".to_owned())), Verdict::Unclear)
                }
                Fault::Status { status, effect } => {
                    if effect {
                        drop(self.perform(number, arrives));
                    }
                    let verdict = match status {
                        401 | 425 | 429 => Verdict::NotDone,
                        302 => Verdict::Unclear,
                        400..=499 if status != 408 => Verdict::Refused,
                        501 => Verdict::Refused,
                        _ => Verdict::Unclear,
                    };
                    (Ok(answer(status, r#"{"error":"no"}"#)), verdict)
                }
                Fault::RetryAfter { status, seconds } => {
                    let mut answer = answer(status, "{}");
                    answer.headers.push(("retry-after".to_owned(), seconds.to_string()));
                    (Ok(answer), Verdict::NotDone)
                }
                Fault::Nonsense { kind } => {
                    drop(self.perform(number, arrives));
                    let deep;
                    let body = match kind {
                        0 => r#"{"data":{"id":[1]}}"#,
                        1 => r#"{"data":{"id":"cut o"#,
                        2 => {
                            deep = "[".repeat(50_000);
                            &deep
                        }
                        _ => r#"{"data":[1e999999999,"\u0000"]}"#,
                    };
                    (Ok(answer(200, body)), Verdict::Unclear)
                }
                Fault::Panic => panic!("a bug in a step"),
            };
            if self.state().asked[number].effect && self.power.passes(Point::Effect) {
                std::future::pending::<()>().await;
            }
            self.wait(back).await;
            self.verdict(number, result.1);
            result.0
        })
    }
}
