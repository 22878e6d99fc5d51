//! flow.toml: read with spans, checked key by key against what the project and its connectors know.
//!
//! Reading is in two steps, since a connection may be of a connector that lies beside the flows: [`read`] needs nothing,
//! [`check`] needs the catalog.

mod check;
mod read;
mod setting;
mod shown;
mod units;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use flow_grammar::span::Span;
use flow_plan::{Allowed, Value};

pub use check::check;
pub use read::read;
pub use setting::parse_setting;
pub use shown::{begins_as_secret, is_secret, shown};
pub use units::{parse_duration, parse_size};

use crate::settings::Settings;

/// What flow.toml says. Where it says nothing, the defaults of the contract.
#[derive(Debug, Clone)]
pub struct Config {
    /// What the compiler needs of it.
    pub settings: Settings,
    /// `[server] listen`.
    pub server_listen: SocketAddr,
    /// `[server] max_body`, in bytes.
    pub max_body: usize,
    /// `[admin] listen`.
    pub admin_listen: SocketAddr,
    /// `[admin] token`.
    pub admin_token: Option<SecretRef>,
    /// `[store] path`, as written.
    pub store_path: Option<String>,
    /// `[store] retain`, in milliseconds.
    pub retain_ms: u64,
    /// `[run] concurrency`.
    pub concurrency: usize,
    /// `[run] drain`: how long a stop waits for what runs, in milliseconds.
    pub drain_ms: u64,
    /// `[run] flood`: a flow that starts so often in an hour is paused; 0 for none.
    pub flood: u32,
    /// `[http] allow`: where requests may go although it is not on the internet.
    pub http_allow: Vec<Allowed>,
    /// The connections, by name.
    pub connections: BTreeMap<String, ConnectionConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            server_listen: SocketAddr::from(([127, 0, 0, 1], 7400)),
            max_body: 1024 * 1024,
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 7401)),
            admin_token: None,
            store_path: None,
            retain_ms: 30 * 86_400_000,
            concurrency: 64,
            drain_ms: 20_000,
            flood: 1_000,
            http_allow: Vec::new(),
            connections: BTreeMap::new(),
        }
    }
}

impl Config {
    /// Tells whether a secret is written out in flow.toml.
    pub fn has_literal_secrets(&self) -> bool {
        let of_connections = self.connections.values().flat_map(|connection| connection.secrets.values());
        let mut references = of_connections.map(|(_, reference)| reference).chain(&self.admin_token);
        references.any(|reference| matches!(reference, SecretRef::Literal(_)))
    }
}

/// A connection of flow.toml.
#[derive(Debug, Clone, Default)]
pub struct ConnectionConfig {
    /// Where its table is.
    pub span: Span,
    /// The connector: `connector`, else the connection's name.
    pub connector: String,
    /// Where the connector is named.
    pub connector_span: Span,
    /// `base_url`.
    pub base_url: Option<String>,
    /// `poll`, in milliseconds.
    pub poll_ms: Option<u64>,
    /// `poll = false`: webhooks only.
    pub polls: bool,
    /// `concurrency`.
    pub at_once: Option<u32>,
    /// Secrets by reference.
    pub secrets: BTreeMap<String, (Span, SecretRef)>,
    /// Everything else: settings, and secrets that were written out.
    pub values: BTreeMap<String, Given>,
}

/// A value of a setting.
#[derive(Debug, Clone)]
pub struct Given {
    /// Where the key is.
    pub key_span: Span,
    /// Where the value is.
    pub span: Span,
    /// The value.
    pub value: Value,
}

/// Where a secret comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// `{ env = "NAME" }`.
    Env(String),
    /// `{ file = "path" }`, relative to flow.toml.
    File(String),
    /// `{ credential = "name" }`: a file in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// Written out: only with `--allow-literal-secrets`.
    Literal(String),
}

impl std::fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SecretRef::Env(name) => write!(f, "Env({name})"),
            SecretRef::File(path) => write!(f, "File({path})"),
            SecretRef::Credential(name) => write!(f, "Credential({name})"),
            SecretRef::Literal(_) => f.write_str("Literal"),
        }
    }
}
