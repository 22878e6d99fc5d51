//! What happened in a simulation, for people: written only when somebody wants to read it.

use std::sync::{Arc, Mutex};

use flow_runtime::world::Clock;

use super::clock::SimClock;

/// The lines.
pub(super) struct Trace {
    clock: Arc<SimClock>,
    lines: Option<Mutex<Vec<String>>>,
    /// They are told at once too, for what does not come to an end: `FLOW_SIM_TELL`.
    told: bool,
}

impl Trace {
    pub(super) fn new(clock: &Arc<SimClock>, wanted: bool) -> Arc<Self> {
        Arc::new(Self {
            clock: Arc::clone(clock),
            lines: wanted.then(Mutex::default),
            told: wanted && std::env::var_os("FLOW_SIM_TELL").is_some(),
        })
    }

    pub(super) fn say(&self, line: impl FnOnce() -> String) {
        if let Some(lines) = &self.lines {
            let line = format!("{} {}", self.clock.now().strftime("%d %H:%M:%S%.3f"), line());
            if self.told {
                eprintln!("{line}");
            }
            lines.lock().unwrap().push(line);
        }
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.as_ref().map(|lines| lines.lock().unwrap().clone()).unwrap_or_default()
    }
}
