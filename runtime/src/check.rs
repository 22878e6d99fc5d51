//! Whether a connection works: the harmless requests that its connector names are made, and what comes is said in words.
//!
//! For whoever sets a connection up, beside or before any daemon: nothing is counted or remembered here.

use std::collections::BTreeSet;
use std::time::Duration;

use flow_plan::{Body, Env, Expr, Operation, PathPart, Value};
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
    /// It was not asked, since these secrets are not there.
    Lacks(Vec<String>),
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
        matches!(self, Self::Works(_) | Self::Lacks(_))
    }

    /// A word for programs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Works(_) => "works",
            Self::Lacks(_) => "not_asked",
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
    let asked = shown(operation);
    let lacking: Vec<String> =
        secrets(operation, connection).into_iter().filter(|name| !connection.secrets.contains_key(name)).collect();
    let done = |finding, clock_ahead| Checked { asked: asked.clone(), finding, clock_ahead };
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

/// `GET /v1/account`, with settings and the like as `…`.
fn shown(operation: &Operation) -> String {
    let path = operation.request.path.iter().map(|part| match part {
        PathPart::Literal(text) => text.as_str(),
        PathPart::Value(_) => "…",
    });
    format!("{} {}", operation.request.method, path.collect::<String>())
}

/// The names of the secrets that a check needs.
fn secrets(operation: &Operation, connection: &LiveConnection) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut note = |expr: &Expr| {
        expr.walk(&mut |part| {
            if let Expr::Env(Env::Secret(name)) = part {
                found.insert(name.clone());
            }
        });
    };
    let request = &operation.request;
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
