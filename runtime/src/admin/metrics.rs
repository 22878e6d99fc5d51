//! `/metrics` in the text format of Prometheus.

use std::fmt::{Display, Write};

use super::State;
use crate::engine::ConnectionState;

/// Returns the page.
pub(super) fn page(state: &State) -> String {
    let mut page = Page(String::new());
    let stats = state.engine.stats();
    let (accepted, duplicates, refused) = state.counters.read();
    let now = state.world.clock.now();
    let live = state.engine.live();

    page.family("flow_webhooks_total", "counter", "Webhooks answered with 200.");
    page.sample("flow_webhooks_total", &[("duplicate", "false")], accepted);
    page.sample("flow_webhooks_total", &[("duplicate", "true")], duplicates);
    page.family("flow_webhooks_refused_total", "counter", "Webhooks refused, by the code of the error.");
    for (code, count) in refused {
        page.sample("flow_webhooks_refused_total", &[("code", code)], count);
    }
    page.single("flow_events_accepted_total", "counter", "Events taken in, by webhook and poll.", stats.events);
    page.single("flow_events_duplicate_total", "counter", "Events that were known already.", stats.duplicates);
    page.single("flow_runs_started_total", "counter", "Runs started.", stats.runs_started);
    page.family("flow_runs_ended_total", "counter", "Runs that ended, by status.");
    for (status, count) in [
        ("done", stats.runs_done),
        ("stopped", stats.runs_stopped),
        ("dead", stats.runs_dead),
        ("cancelled", stats.runs_cancelled),
    ] {
        page.sample("flow_runs_ended_total", &[("status", status)], count);
    }
    page.single("flow_attempts_total", "counter", "Requests sent for steps.", stats.attempts);
    page.single("flow_attempts_failed_total", "counter", "Attempts without success.", stats.failures);
    page.single("flow_panics_total", "counter", "Panics contained: bugs of flowd.", stats.panics);
    page.single("flow_queue_depth", "gauge", "Runs that wait for their turn.", stats.queued);
    page.single("flow_steps_in_flight", "gauge", "Steps that are performed.", stats.in_flight);
    page.single("flow_runs_active", "gauge", "Runs in the store that have not ended.", stats.active);
    page.single("flow_runs_dead", "gauge", "Dead runs in the store.", stats.dead);
    page.single("flow_flows_live", "gauge", "Flows that are live.", live.flows.len());
    page.single("flow_files_broken", "gauge", "Files whose newest version does not compile.", live.broken.len());

    page.family("flow_alarms", "gauge", "Alarms that are active, by kind.");
    for (kind, count) in super::alarms::by_kind(state) {
        page.sample("flow_alarms", &[("kind", kind)], count);
    }
    let paused = live.flows.iter().filter(|flow| state.engine.paused_since(&flow.id).is_some()).count();
    page.single("flow_flows_paused", "gauge", "Live flows that are paused, by hand or by themselves.", paused);
    page.single("flow_events_misfit_total", "counter", "Events of which something did not fit.", stats.misfits);

    let polls = state.polls.status();
    page.family("flow_poll_lag_seconds", "gauge", "Time since a source was last polled with success.");
    for ((connection, source), status) in &polls {
        if let Some(polled_at) = status.polled_at {
            let lag = now.duration_since(polled_at).as_secs_f64().max(0.0);
            page.sample("flow_poll_lag_seconds", &[("connection", connection), ("source", source)], lag);
        }
    }
    page.family("flow_poll_failing", "gauge", "1 where the last poll of a source failed.");
    for ((connection, source), status) in &polls {
        let failing = u8::from(status.error.is_some());
        page.sample("flow_poll_failing", &[("connection", connection), ("source", source)], failing);
    }
    page.family("flow_connection_broken", "gauge", "1 where the credentials of a connection do not work.");
    let states = state.engine.connections();
    for name in live.connections.keys() {
        let by_steps = states.iter().any(|state| &state.name == name && state.broken().is_some());
        let by_polls = polls.iter().any(|((of, _), status)| of == name && status.broken);
        page.sample("flow_connection_broken", &[("connection", name)], u8::from(by_steps || by_polls));
    }
    page.connections(&states);
    page.family("flow_build_info", "gauge", "The version.");
    page.sample("flow_build_info", &[("version", &state.version)], 1);
    page.single("flow_start_time_seconds", "gauge", "When the daemon started.", state.started_at.as_second());
    page.0
}

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing into a text cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// What bounds the requests to each connection.
    fn connections(&mut self, states: &[ConnectionState]) {
        type Value = fn(&ConnectionState) -> Option<u64>;
        let families: [(&str, &str, Value); 8] = [
            (
                "flow_connection_open",
                "1 where a connection does not answer: nothing but a probe now and then is sent.",
                |state| Some(state.silent().is_some().into()),
            ),
            ("flow_connection_paused", "1 where the service asked for fewer requests, and none is sent.", |state| {
                Some(state.paused_until.is_some().into())
            }),
            ("flow_connection_queued", "Runs that wait for their turn at a connection.", |state| Some(state.queued as u64)),
            ("flow_connection_in_flight", "Steps that are performed at a connection.", |state| Some(state.in_flight as u64)),
            ("flow_connection_parked", "Runs that wait until a connection works, or has calls left.", |state| {
                Some(state.parked as u64)
            }),
            ("flow_quota_calls", "Calls that the key of a connection has until the quota is counted anew.", |state| {
                Some(state.quota.as_ref()?.count.into())
            }),
            ("flow_quota_calls_used", "Calls of the quota that are used, by all connections with the same key.", |state| {
                Some(state.quota.as_ref()?.used)
            }),
            ("flow_quota_spent", "1 where the quota of a connection is used up.", |state| {
                Some(state.quota.as_ref()?.is_spent().into())
            }),
        ];
        for (name, help, value) in families {
            self.family(name, "gauge", help);
            for state in states {
                if let Some(value) = value(state) {
                    self.sample(name, &[("connection", &state.name)], value);
                }
            }
        }
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{}{label}=\"{text}\"", if at == 0 { '{' } else { ',' });
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}
