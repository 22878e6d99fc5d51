//! Connections: one configured account or device of a connector.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Expr, JsonPath, Source, StateSource, Value};

/// A connection with what its connector says about the service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    /// Its name in flows.
    pub name: String,
    /// The connector.
    pub connector: String,
    /// How requests are made.
    pub api: Api,
    /// Its settings that are no secrets, defaults included.
    pub settings: BTreeMap<String, Value>,
    /// The settings that the connector knows.
    pub setting_decls: Vec<SettingDecl>,
    /// The secrets that the connector knows.
    pub secrets: Vec<SecretDecl>,
    /// Its sources of events.
    pub sources: Vec<Source>,
    /// Its states.
    #[serde(default)]
    pub states: Vec<StateSource>,
}

/// A setting of a connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingDecl {
    /// Its name.
    pub name: String,
    /// It has a default or may be left out.
    pub optional: bool,
    /// It is needed to make a request to the connector's own base (so not where `base_url` is set).
    pub in_base: bool,
}

/// A secret of a connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretDecl {
    /// Its name.
    pub name: String,
    /// Where to get it.
    pub hint: Option<String>,
    /// Requests need it (it stands in `auth`, in a header or in an operation).
    pub for_requests: bool,
    /// Webhooks need it.
    pub for_webhooks: bool,
}

/// How requests to a service are made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Api {
    /// The base address, a text over settings.
    pub base: Expr,
    /// How requests are authorised.
    pub auth: Option<Auth>,
    /// Headers of every request.
    pub headers: Vec<(String, Expr)>,
    /// Where an error body has its text; first present wins.
    pub error_text: Vec<JsonPath>,
    /// Statuses that mean "not done, try again" (not for `once`).
    pub retry_on: Vec<u16>,
    /// Statuses that mean "the connection is broken"; 401 is always one.
    pub broken_on: Vec<u16>,
    /// The service's own limit.
    pub limit: Option<RateLimit>,
    /// How many requests a key has over a long time.
    #[serde(default)]
    pub quota: Option<Quota>,
}

/// How requests are authorised: a named scheme over secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Auth {
    /// `bearer`, `basic`, `header`.
    pub scheme: String,
    /// Its arguments.
    pub args: Vec<Expr>,
}

/// So many requests over a long time: what a plan of the service includes. [`RateLimit`] is how fast they may come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// How many.
    pub count: u32,
    /// In how many milliseconds; a month has 30 days.
    pub per_ms: u64,
    /// The secret whose quota it is: connections that have the same one share it. `None` counts each connection alone.
    pub shared_by: Option<String>,
}

/// So many requests in a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// How many.
    pub count: u32,
    /// In how many milliseconds.
    pub per_ms: u64,
}
