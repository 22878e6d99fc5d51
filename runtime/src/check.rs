//! Whether a connection works: the harmless requests that its connector names are made, and what comes is said in words.
//!
//! For whoever sets a connection up, beside or before any daemon: nothing is counted or remembered here.

use std::collections::BTreeSet;
use std::time::Duration;

use flow_plan::{Body, Env, Expr, Operation, PathPart, SEND, Value};
use jiff::{SignedDuration, Timestamp};

use crate::answer::{self, Outcome};
use crate::eval::Scope;
use crate::live::LiveConnection;
use crate::request::{self, RequestError};
use crate::world::{HttpAnswer, TransportError, World};

/// A check is answered within.
const TIMEOUT: Duration = Duration::from_secs(30);
const MAX_ANSWER: usize = 1024 * 1024;
/// What is shown of what a check tells.
const LONGEST_TOLD: usize = 120;
/// Clocks that differ by more are said so: signatures with a time are refused from about there on.
const CLOCK_OFF: SignedDuration = SignedDuration::from_mins(2);

/// What one check came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// What was asked: `GET /v1/account`.
    pub asked: String,
    /// What came.
    pub finding: Finding,
    /// How far this machine's clock is ahead of the service's, where they differ by more than two minutes.
    pub clock_ahead: Option<SignedDuration>,
}

/// What a check finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The credentials work. What the connector shows of the answer, where it shows something.
    Works(Option<String>),
    /// It was not asked, since these secrets or settings are not there.
    Lacks(Vec<String>),
    /// There is nothing to ask: the connection does without this secret, and has another for another way.
    Other(String),
    /// The service does not take the credentials.
    Refused(String),
    /// The service knows the credentials, and has no more calls for them at the moment.
    Busy(String),
    /// The service answered otherwise than its connector says.
    Odd(String),
    /// The request cannot be made as things are configured.
    Unmade(String),
    /// The service could not be reached, or did not answer.
    Silent(String),
}

impl Finding {
    /// Tells whether the connection can be used as far as the check knows.
    pub fn is_well(&self) -> bool {
        matches!(self, Self::Works(_) | Self::Lacks(_) | Self::Other(_))
    }

    /// A word for programs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Works(_) => "works",
            Self::Lacks(_) | Self::Other(_) => "not_asked",
            Self::Refused(_) => "refused",
            Self::Busy(_) => "busy",
            Self::Odd(_) => "odd",
            Self::Unmade(_) => "unmade",
            Self::Silent(_) => "silent",
        }
    }
}

/// Makes the checks of a connection, one after the other. Empty where its connector names none.
pub async fn check(connection: &LiveConnection, world: &World) -> Vec<Checked> {
    let mut found = Vec::new();
    for operation in connection.plan.checks.iter() {
        found.push(one(operation, connection, world).await);
    }
    found
}

async fn one(operation: &Operation, connection: &LiveConnection, world: &World) -> Checked {
    let asked = shown(operation, connection);
    let done = |finding, clock_ahead| Checked { asked: asked.clone(), finding, clock_ahead };
    let mut lacking: Vec<String> =
        secrets(operation, connection).into_iter().filter(|name| !connection.secrets.contains_key(name)).collect();
    if let Some(other) = lacking.iter().find(|name| has_another(connection, name)) {
        return done(Finding::Other(other.clone()), None);
    }
    // What a connection can do without is left out of the request.
    let optional = |name: &String| connection.plan.secrets.iter().any(|secret| secret.name == *name && secret.optional);
    lacking.retain(|name| !optional(name));
    lacking.extend(way_lacks(operation, connection));
    if !lacking.is_empty() {
        return done(Finding::Lacks(lacking), None);
    }
    let scope = CheckScope { now: world.clock.now() };
    let request = match request::build(operation, connection, &scope) {
        Ok(request) => request,
        Err(RequestError::MissingPathValue) => {
            return done(Finding::Unmade("a setting that stands in the address is missing".to_owned()), None);
        }
        Err(error) => return done(Finding::Unmade(error.to_string()), None),
    };
    let answer = match world.transport.send(request, TIMEOUT, MAX_ANSWER).await {
        Ok(answer) => answer,
        Err(TransportError::Refused(reason)) => return done(Finding::Unmade(reason), None),
        Err(TransportError::Broken(reason)) => return done(Finding::Refused(reason), None),
        Err(error) => return done(Finding::Silent(error.to_string()), None),
    };
    let clock_ahead = clock_ahead(&answer, world.clock.now());
    let finding = match answer::read(operation, connection, &answer, &scope) {
        Outcome::Done(value) => Finding::Works(told(operation.answer.at.is_root(), &value)),
        Outcome::NotDone { error, .. } if answer.status == 429 => Finding::Busy(error),
        Outcome::NotDone { error, .. } | Outcome::Unknown { error, .. } => Finding::Silent(error),
        Outcome::Broken { error, .. } => {
            let quota = connection.plan.api.quota.as_ref().is_some_and(|quota| quota.spent_on.contains(&answer.status));
            if quota && answer.status != 401 {
                Finding::Refused(format!("{error}: the key is wrong, or its calls are used up"))
            } else {
                Finding::Refused(error)
            }
        }
        Outcome::Refused { error, .. } if matches!(answer.status, 401 | 403) => Finding::Refused(error),
        Outcome::Refused { error, .. } => Finding::Odd(error),
    };
    done(finding, clock_ahead)
}

/// What is shown of a result: where the connector names a place in the answer, what stands there.
fn told(whole: bool, value: &Value) -> Option<String> {
    let text = match value {
        Value::Text(_) | Value::Number(_) | Value::Bool(_) if !whole => value.to_string(),
        _ => return None,
    };
    let short: String = text.chars().filter(|c| !c.is_control()).take(LONGEST_TOLD).collect();
    (!short.is_empty()).then_some(short)
}

/// Tells whether a connection needs one of several secrets, this is one of them, and it has another.
fn has_another(connection: &LiveConnection, name: &str) -> bool {
    let groups = connection.plan.api.one_of.iter().filter(|group| group.iter().any(|member| member == name));
    groups.flatten().any(|member| connection.secrets.contains_key(member))
}

/// Which setting says where the way leads, where that is a matter of settings and is not there.
fn way_lacks(operation: &Operation, connection: &LiveConnection) -> Option<String> {
    let host = connection.plan.api.via.as_ref().filter(|_| operation.request.method == SEND)?.params.get("host")?;
    match host {
        Expr::Env(Env::Setting(name)) if request::setting(connection, name).is_missing() => Some(name.clone()),
        _ => None,
    }
}

/// `GET /v1/account`, with settings and the like as `…`; a whole address may be a secret.
fn shown(operation: &Operation, connection: &LiveConnection) -> String {
    if operation.request.method == SEND {
        let via = connection.plan.api.via.as_ref();
        let host = match via.and_then(|via| via.params.get("host")) {
            Some(Expr::Env(Env::Setting(name))) => request::setting(connection, name),
            _ => Value::Missing,
        };
        let scheme = via.map(|via| via.scheme.to_ascii_uppercase()).unwrap_or_default();
        return match host {
            Value::Text(host) => format!("{scheme} {host}"),
            _ => scheme,
        };
    }
    if operation.request.address.is_some() {
        return format!("{} …", operation.request.method);
    }
    let path = operation.request.path.iter().map(|part| match part {
        PathPart::Literal(text) => text.as_str(),
        PathPart::Value(_) => "…",
    });
    format!("{} {}", operation.request.method, path.collect::<String>())
}

/// The names of the secrets that a check needs.
fn secrets(operation: &Operation, connection: &LiveConnection) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let request = &operation.request;
    if request.method == SEND {
        // What goes another way than HTTP says itself what it lacks.
        return found;
    }
    let mut note = |expr: &Expr| {
        expr.walk(&mut |part| {
            if let Expr::Env(Env::Secret(name)) = part {
                found.insert(name.clone());
            }
        });
    };
    request.address.iter().for_each(&mut note);
    let api = connection.plan.api_of(request);
    api.auth.iter().flat_map(|auth| &auth.args).for_each(&mut note);
    api.headers.iter().chain(&request.headers).for_each(|(_, value)| note(value));
    request.query.iter().for_each(|field| note(&field.value));
    for part in &request.path {
        if let PathPart::Value(value) = part {
            note(value);
        }
    }
    if let Some(Body { value, .. }) = &request.body {
        note(value);
    }
    operation.sign.iter().for_each(|signature| note(&signature.value));
    found
}

fn clock_ahead(answer: &HttpAnswer, now: Timestamp) -> Option<SignedDuration> {
    let theirs = answer::http_date(answer.header("date")?)?;
    let ahead = now.duration_since(theirs);
    (ahead.abs() > CLOCK_OFF).then_some(ahead)
}

/// A check knows the time, and nothing of any run.
struct CheckScope {
    now: Timestamp,
}

impl Scope for CheckScope {
    fn env(&self, env: &Env) -> Value {
        match env {
            Env::Now | Env::SentAt => Value::Instant(self.now),
            _ => Value::Missing,
        }
    }
}
