//! What the sandbox was asked and what it sent: for live displays, and for tests afterwards.

use std::collections::VecDeque;
use std::sync::Mutex;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::http::Request;
use crate::lock::lock;

/// How many calls the log of one service keeps.
const MOST_CALLS: usize = 10_000;
/// The longest body that the log keeps, in bytes.
const LONGEST_BODY: usize = 32 * 1024;
/// How far a slow reader of the activity may fall behind before it loses some.
const BACKLOG: usize = 4_096;

/// Which way a request went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Someone called the emulated API.
    Call,
    /// The emulator delivered a webhook.
    Webhook,
}

/// One request to the sandbox, or one attempt to deliver a webhook.
#[derive(Debug, Clone)]
pub struct Activity {
    /// When, by the sandbox's clock.
    pub at: Timestamp,
    /// `stripe` or `kustomer`.
    pub service: &'static str,
    /// Which way it went.
    pub direction: Direction,
    /// The HTTP method.
    pub method: String,
    /// The path of the call, or the address a webhook went to.
    pub path: String,
    /// The HTTP status; `None` where no answer was given or got.
    pub status: Option<u16>,
    /// One line for a person.
    pub summary: String,
}

/// What is known of a call after it was answered.
#[derive(Debug, Default)]
pub(crate) struct Call {
    pub(crate) body: Value,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) replayed: bool,
    /// The identifier of what the call made.
    pub(crate) created: Option<String>,
    pub(crate) fault: Option<String>,
    pub(crate) summary: String,
}

/// The calls of one service, and the stream all services share.
#[derive(Debug)]
pub(crate) struct Log {
    service: &'static str,
    calls: Mutex<VecDeque<Value>>,
    stream: broadcast::Sender<Activity>,
}

impl Log {
    pub(crate) fn new(service: &'static str, stream: broadcast::Sender<Activity>) -> Log {
        Log { service, calls: Mutex::default(), stream }
    }

    /// Records a call, whose answer had `status` or never left.
    pub(crate) fn call(&self, at: Timestamp, request: &Request, status: Option<u16>, call: Call) {
        let query: Vec<Value> = request.query_pairs().into_iter().map(|(name, value)| json!([name, value])).collect();
        let entry = json!({
            "seq": request.id,
            "at": format!("{at:.3}"),
            "method": request.method,
            "path": request.path,
            "query": query,
            "body": if request.body.len() > LONGEST_BODY { json!(format!("({} bytes)", request.body.len())) } else { call.body },
            "idempotency_key": call.idempotency_key,
            "status": status,
            "replayed": call.replayed,
            "created": call.created,
            "fault": call.fault,
        });
        let mut calls = lock(&self.calls);
        if calls.len() == MOST_CALLS {
            calls.pop_front();
        }
        calls.push_back(entry);
        drop(calls);
        // Nobody listening is no error.
        let _ = self.stream.send(Activity {
            at,
            service: self.service,
            direction: Direction::Call,
            method: request.method.clone(),
            path: request.path.clone(),
            status,
            summary: call.summary,
        });
    }

    /// Returns the calls, oldest first.
    pub(crate) fn calls(&self) -> Vec<Value> {
        lock(&self.calls).iter().cloned().collect()
    }

    pub(crate) fn clear(&self) {
        lock(&self.calls).clear();
    }
}

/// Makes the stream that all services share.
pub(crate) fn stream() -> broadcast::Sender<Activity> {
    broadcast::channel(BACKLOG).0
}
