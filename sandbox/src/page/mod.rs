//! The sandbox's page: what the services hold, live, with buttons that make things happen.
//!
//! One address of its own, on this machine only. Everything that it needs is in the program. It can do what the control
//! endpoints can, so it answers to itself alone: not under another name (`Host`), not to other pages (`Origin`, and a token
//! that only the page has), and it can be put into no frame.

mod act;
mod panel;
mod serve;
mod view;

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};

use crate::activity::{Activity, Direction};
use crate::emulator::Emulator;
use crate::lock::lock;

/// How many of the latest requests and deliveries are shown.
const SHOWN: usize = 60;
/// How long a page is let wait for something new. What time alone changes, such as a lock that turns, is seen by then.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// What the page is about.
pub(crate) struct Page {
    address: SocketAddr,
    /// What a request that changes something has to bring along.
    token: String,
    services: Vec<(&'static str, String, Arc<dyn Emulator>)>,
    latest: Mutex<VecDeque<Value>>,
    /// Counts what happened.
    version: watch::Sender<u64>,
}

impl Page {
    /// Makes a page about these services: name, address, emulator.
    pub(crate) fn new(address: SocketAddr, services: Vec<(&'static str, String, Arc<dyn Emulator>)>) -> Page {
        Page { address, token: token(), services, latest: Mutex::default(), version: watch::Sender::new(1) }
    }

    /// Serves until it is dropped.
    pub(crate) async fn run(self: Arc<Self>, listener: TcpListener, stream: broadcast::Receiver<Activity>) {
        tokio::join!(self.follow(stream), serve::serve(listener, Arc::clone(&self)));
    }

    /// Keeps the latest of what happens.
    async fn follow(&self, mut stream: broadcast::Receiver<Activity>) {
        loop {
            match stream.recv().await {
                Ok(activity) => {
                    self.keep(shown(&activity));
                }
                // So much happened at once that some of it is not shown.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }

    fn keep(&self, one: Value) {
        let mut latest = lock(&self.latest);
        if latest.len() == SHOWN {
            latest.pop_front();
        }
        latest.push_back(one);
        drop(latest);
        self.version.send_modify(|version| *version += 1);
    }

    fn emulator(&self, service: &str) -> Option<&dyn Emulator> {
        self.services.iter().find(|(name, ..)| *name == service).map(|(.., emulator)| &**emulator)
    }

    /// What does not change: the services and what can be made to happen in them.
    fn panels(&self) -> Value {
        let panels = self.services.iter().map(|(name, address, _)| panel::described(name, address));
        json!({ "services": panels.collect::<Vec<_>>(), "faults": act::faults() })
    }

    /// What the services hold, with its version.
    fn state(&self) -> Value {
        let version = *self.version.borrow();
        let services: serde_json::Map<String, Value> = self
            .services
            .iter()
            .map(|(name, _, emulator)| ((*name).to_owned(), view::of(panel::tables(name), &emulator.snapshot())))
            .collect();
        let latest: Vec<Value> = lock(&self.latest).iter().rev().cloned().collect();
        json!({ "version": version, "services": services, "latest": latest })
    }

    /// As [`Page::state`], once it differs from what a page has: its version, and the mark of what it showed. `None` where
    /// nothing did for a while.
    async fn news(&self, since: u64, mark: &str) -> Option<Value> {
        let mut version = self.version.subscribe();
        if *version.borrow_and_update() == since {
            // Many things happen at once: they are shown together.
            let waited = tokio::time::timeout(PATIENCE, version.changed()).await;
            if waited.is_ok() {
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
        }
        let mut state = self.state();
        let now = mark_of(&state);
        if now == mark && state["version"] == since {
            return None;
        }
        state["mark"] = json!(now);
        Some(state)
    }
}

/// Two states with one mark look the same.
fn mark_of(state: &Value) -> String {
    let mut hasher = std::hash::DefaultHasher::new();
    state["services"].to_string().hash(&mut hasher);
    format!("{:x}", hasher.finish())
}

/// A text that nobody can guess: the standard library seeds its hashers with random numbers of the system.
fn token() -> String {
    (0..3).map(|part: u8| format!("{:016x}", RandomState::new().hash_one((part, std::time::Instant::now())))).collect()
}

fn shown(activity: &Activity) -> Value {
    json!({
        "at": activity.at.strftime("%H:%M:%S").to_string(),
        "service": activity.service,
        "how": match activity.direction {
            Direction::Call => "was asked",
            Direction::Webhook => "sent",
        },
        "what": format!("{} {}", activity.method, activity.path),
        "status": activity.status,
        "summary": activity.summary,
    })
}
