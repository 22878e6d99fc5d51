//! The emulated services in this process: they keep their state while daemons come and go.

use flow_sandbox::{Options, Sandbox};
use serde_json::Value;

use super::http;

/// Running emulators.
pub(crate) struct Emulators {
    sandbox: Sandbox,
    // Behind the sandbox, since its tasks run here.
    _runtime: tokio::runtime::Runtime,
}

impl Emulators {
    /// Starts them.
    pub(crate) fn start() -> Self {
        Self::start_with(Options::default())
    }

    /// Starts them with a clock that goes so many seconds ahead of ours, or behind it.
    pub(crate) fn ahead_by(seconds: i64) -> Self {
        let by = jiff::SignedDuration::from_secs(seconds);
        let clock = std::sync::Arc::new(move || jiff::Timestamp::now().checked_add(by).unwrap());
        Self::start_with(Options { clock, ..Options::default() })
    }

    fn start_with(options: Options) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let sandbox = runtime.block_on(Sandbox::start(options)).unwrap();
        Self { sandbox, _runtime: runtime }
    }

    /// The `base_url` of a connector.
    pub(crate) fn base_url(&self, connector: &str) -> String {
        self.sandbox.base_url(connector).unwrap()
    }

    /// The lines of flow.toml with which a connection is let in, but for its table.
    pub(crate) fn settings(&self, connector: &str) -> String {
        let mut lines = format!("base_url = \"{}\"\n", self.base_url(connector));
        for (name, value) in Sandbox::secrets(connector) {
            lines.push_str(&format!("{name} = \"{value}\"\n"));
        }
        lines
    }

    /// Makes something happen.
    pub(crate) fn happen(&self, connector: &str, event: &Value) {
        self.control(connector, "POST", "events", event);
    }

    /// Sends webhooks to this address.
    pub(crate) fn deliver_to(&self, connector: &str, url: &str) {
        self.control(connector, "PUT", "webhook_target", &serde_json::json!({ "url": url }));
    }

    /// Adds a fault.
    pub(crate) fn fault(&self, connector: &str, rule: &Value) {
        self.control(connector, "POST", "faults", rule);
    }

    /// Takes all faults back.
    pub(crate) fn well_again(&self, connector: &str) {
        self.control(connector, "DELETE", "faults", &Value::Null);
    }

    /// What an emulator holds.
    pub(crate) fn state(&self, connector: &str) -> Value {
        self.control(connector, "GET", "state", &Value::Null)
    }

    /// Asks a control endpoint.
    pub(crate) fn control(&self, connector: &str, method: &str, what: &str, body: &Value) -> Value {
        let base = self.base_url(connector);
        // Without the path that a base may have.
        let host = base.match_indices('/').nth(2).map_or(base.as_str(), |(at, _)| &base[..at]);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer =
            http::send(host, method, &format!("/_sandbox/{what}"), &[("content-type", "application/json")], body.as_bytes());
        assert!(matches!(answer.status, 200 | 204), "{body}: {}", answer.body);
        if answer.status == 204 { Value::Null } else { answer.json() }
    }
}
