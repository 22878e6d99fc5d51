//! Connections: one configured account or device of a connector.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Env, Expr, JsonPath, Operation, Request, Source, StateSource, Value, Via};

/// A connection with what its connector says about the service, which all connections of one connector share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    /// Its name in flows.
    pub name: String,
    /// The connector.
    pub connector: String,
    /// How requests are made.
    pub api: Arc<Api>,
    /// Further APIs of the service, by the name that requests go by: [`crate::Request::via`].
    #[serde(default, skip_serializing_if = "none_further")]
    pub apis: Arc<BTreeMap<String, Api>>,
    /// Its settings that are no secrets, defaults included.
    pub settings: BTreeMap<String, Value>,
    /// The settings that the connector knows.
    pub setting_decls: Arc<[SettingDecl]>,
    /// The secrets that the connector knows.
    pub secrets: Arc<[SecretDecl]>,
    /// Its sources of events.
    pub sources: Vec<Arc<Source>>,
    /// Its states.
    #[serde(default)]
    pub states: Vec<Arc<StateSource>>,
    /// Harmless requests that tell whether the credentials work.
    #[serde(default, skip_serializing_if = "no_checks")]
    pub checks: Arc<[Operation]>,
}

fn none_further(apis: &Arc<BTreeMap<String, Api>>) -> bool {
    apis.is_empty()
}

fn no_checks(checks: &Arc<[Operation]>) -> bool {
    checks.is_empty()
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
#[derive(Debug, Clone, PartialEq, Default, Eq, Serialize, Deserialize)]
pub struct SecretDecl {
    /// Its name.
    pub name: String,
    /// Where to get it.
    pub hint: Option<String>,
    /// Requests need it (it stands in `auth`, in a header or in an operation).
    pub for_requests: bool,
    /// Webhooks need it.
    pub for_webhooks: bool,
    /// How many hexadecimal digits each of this kind has, where it is made of those alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hex_digits: Option<u32>,
    /// What those of this kind begin with; empty where anything may be one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub starts_with: Vec<String>,
    /// A connection can do without it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// How requests to a service are made.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Api {
    /// The base address, a text over settings.
    pub base: Expr,
    /// How requests are authorised.
    pub auth: Option<Auth>,
    /// Headers of every request.
    pub headers: Vec<(String, Expr)>,
    /// Where an error body has its text; first present wins.
    pub error_text: Vec<JsonPath>,
    /// What an error of these statuses may come from, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub help_on: Vec<(Vec<u16>, String)>,
    /// Statuses that mean "not done, try again" (not for `once`).
    pub retry_on: Vec<u16>,
    /// The header, in lower case, in which an error says `true` or `false`: whether trying again may help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_by: Option<String>,
    /// Statuses that mean "the connection is broken"; 401 is always one.
    pub broken_on: Vec<u16>,
    /// The service's own limit.
    pub limit: Option<RateLimit>,
    /// How many requests a key has over a long time.
    #[serde(default)]
    pub quota: Option<Quota>,
    /// Answers that mean "the connection is broken", over their bodies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken_when: Option<Expr>,
    /// Where an answer says how many seconds to wait, where no header does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_at: Option<JsonPath>,
    /// Where an answer says what it cost, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spends: Option<JsonPath>,
    /// Groups of secrets of which a connection needs one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub one_of: Vec<Vec<String>>,
    /// The way to the service where it is none over HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
    /// So many requests at once, where there are bounds to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_once: Option<u32>,
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
    /// Statuses that say that it is used up, though they may say as well that the key is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spent_on: Vec<u16>,
}

/// The setting by which a connection says what its own plan of the service includes.
const OWN_QUOTA: &str = "monthly_quota";
/// The same for a day.
const OWN_DAILY_QUOTA: &str = "daily_calls";
/// The setting by which a connection bounds what its answers may cost in a day.
const DAILY_TOKENS: &str = "daily_tokens";
/// A month of a quota, in milliseconds: 30 days.
pub const QUOTA_MONTH_MS: u64 = 30 * 86_400_000;

/// A day of a quota, in milliseconds.
const QUOTA_DAY_MS: u64 = 86_400_000;

impl Connection {
    /// Returns the API that a request goes to: one of its further ones, else its first.
    pub fn api_of(&self, request: &Request) -> &Api {
        request.via.as_ref().and_then(|via| self.apis.get(via)).unwrap_or(&self.api)
    }

    /// Returns the secrets without which a request cannot be made.
    pub fn secrets_of(&self, request: &Request) -> BTreeSet<&str> {
        let api = self.api_of(request);
        let mut names = BTreeSet::new();
        // What goes another way than HTTP says itself what it lacks.
        if request.method == crate::SEND {
            return names;
        }
        let mut note = |expr: &'_ Expr| names.extend(self.secrets_in(expr));
        api.auth.iter().flat_map(|auth| &auth.args).for_each(&mut note);
        api.headers.iter().chain(&request.headers).for_each(|(_, value)| note(value));
        request.query.iter().for_each(|field| note(&field.value));
        request.body.iter().chain(&request.other_bodies).for_each(|body| note(&body.value));
        request.address.iter().for_each(&mut note);
        names
    }

    /// Returns the secrets without which a value cannot be computed.
    pub fn secrets_in(&self, expr: &Expr) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        expr.walk(&mut |part| {
            if let Expr::Env(Env::Secret(name)) = part
                && let Some(known) = self.secrets.iter().find(|secret| secret.name == *name && !secret.optional)
            {
                names.insert(known.name.as_str());
            }
        });
        names
    }

    /// Returns what answers may cost in a day, where that is bounded.
    pub fn daily_tokens(&self) -> Option<u32> {
        match self.settings.get(DAILY_TOKENS) {
            Some(Value::Number(count)) => u32::try_from(*count).ok(),
            _ => None,
        }
    }

    /// Returns how many calls the connection has: what its own setting `monthly_quota` or `daily_calls` says, else what its
    /// connector says.
    pub fn quota(&self) -> Option<Quota> {
        Quota::of(self.api.quota.as_ref(), &self.settings)
    }
}

impl Quota {
    /// Returns how many calls a connection has that has these settings, of a connector that says this.
    pub fn of(declared: Option<&Self>, settings: &BTreeMap<String, Value>) -> Option<Self> {
        let monthly = settings.get(OWN_QUOTA).map(|count| (count, QUOTA_MONTH_MS));
        let daily = || settings.get(OWN_DAILY_QUOTA).map(|count| (count, QUOTA_DAY_MS));
        match monthly.or_else(daily) {
            Some((Value::Number(count), per_ms)) => Some(Self {
                count: u32::try_from(*count).ok()?,
                per_ms,
                shared_by: declared.and_then(|quota| quota.shared_by.clone()),
                spent_on: declared.map(|quota| quota.spent_on.clone()).unwrap_or_default(),
            }),
            _ => declared.cloned(),
        }
    }

    /// Tells whether it allows less than another one over the same time.
    pub fn is_below(&self, other: &Self) -> bool {
        u128::from(self.count) * u128::from(other.per_ms) < u128::from(other.count) * u128::from(self.per_ms)
    }
}

/// So many requests in a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// How many.
    pub count: u32,
    /// In how many milliseconds.
    pub per_ms: u64,
}
