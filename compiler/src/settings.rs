//! What flow.toml says to the compiler.

use std::collections::BTreeMap;
use std::sync::Arc;

use flow_grammar::span::Span;
use flow_plan::{Currency, Value};

/// The project's settings, as far as the compiler needs them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Settings {
    /// The name of flow.toml, for what is wrong there; `None` without one.
    pub file: Option<Arc<str>>,
    /// `timezone`: an IANA name.
    pub timezone: Option<String>,
    /// `currency` for money literals without one.
    pub currency: Option<Currency>,
    /// `location`: latitude and longitude.
    pub location: Option<(f64, f64)>,
    /// The day on which the sources are checked, for what is said of coming days; `None` where nobody will look. The compiler
    /// itself has no clock.
    pub today: Option<jiff::civil::Date>,
    /// `public_url` of the server.
    pub public_url: Option<String>,
    /// The connections of flow.toml by name. `None` without a flow.toml: each connector is there under its own name.
    pub connections: Option<BTreeMap<String, ConnectionSettings>>,
    /// Leave out what nobody will look at: advice, and the flows written out.
    pub quick: bool,
    /// Keep nothing but what is wrong: neither trees nor plans.
    pub verdict_only: bool,
    /// Look for errors only over all flows together: what runs needs no warnings.
    pub errors_only: bool,
    /// `--strict`: nothing is filled in from a field that can be missing (E302 instead of a `require`).
    pub strict: bool,
    /// Keep what is filled in, for flow.lock.
    pub freeze: bool,
}

impl Settings {
    /// Tells whether the ids of flows without a name serve to find those that stand there twice, and for nothing else.
    pub(crate) fn tells_apart_only(&self) -> bool {
        self.verdict_only && !self.freeze
    }
}

/// A connection of flow.toml.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConnectionSettings {
    /// The connector.
    pub connector: String,
    /// Settings that are no secrets.
    pub values: BTreeMap<String, Value>,
    /// Where each secret comes from, as a text that is equal for equal sources; never the secret.
    pub secrets: BTreeMap<String, String>,
    /// `poll`, in milliseconds.
    pub poll_ms: Option<u64>,
    /// `expose`: the connection by which it appears in Home Assistant.
    pub expose: Option<String>,
    /// `poll = false`: nothing is read by itself.
    pub never_polls: bool,
    /// `concurrency`: so many requests at once, at most.
    pub at_once: Option<u32>,
    /// `base_url` is an address of this machine: what answers there is not the service itself.
    pub stands_in: bool,
    /// Where it stands in flow.toml.
    pub span: Span,
}
