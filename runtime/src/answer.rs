//! What an answer means: done, not done, unknown, refused, or a broken connection.
//!
//! The classes are those of `reliability.md`, "Retry classes". Whether an unknown outcome may be tried again is not
//! decided here: that is for the effect's class.

use std::time::Duration;

use flow_plan::{Answer, Effect, Env, JsonPath, Operation, Shape, Value};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::decode::decode;
use crate::eval::{Required, Scope, holds, path_get};
use crate::live::LiveConnection;
use crate::request::setting;
use crate::secret::{Least, Traces};
use crate::world::HttpAnswer;

/// What an answer means.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It is done, with this result.
    Done(Value),
    /// It is not done and may be tried again, whatever the effect's class.
    NotDone {
        /// The status.
        status: Option<u16>,
        /// What went wrong, for people.
        error: String,
        /// The service asks to wait so long.
        retry_after: Option<Duration>,
    },
    /// Whether it is done is unknown.
    Unknown {
        /// The status.
        status: Option<u16>,
        /// What went wrong, for people.
        error: String,
    },
    /// The service will not do it: trying again does not help.
    Refused {
        /// The status.
        status: Option<u16>,
        /// What went wrong, for people.
        error: String,
    },
    /// The connection is broken: its runs wait until somebody mends it.
    Broken {
        /// The status.
        status: Option<u16>,
        /// What went wrong, for people.
        error: String,
    },
}

/// What a status alone means, where nothing in the body has a say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StatusClass {
    Success,
    NotDone,
    Unknown,
    Refused,
    Broken,
}

/// Returns the class of a status. `retry_on` are the statuses that the connector calls "not done".
pub(crate) fn classify(connection: &LiveConnection, retry_on: &[u16], answer: &HttpAnswer) -> StatusClass {
    let status = answer.status;
    let api = &connection.plan.api;
    match status {
        200..=299 => StatusClass::Success,
        401 => StatusClass::Broken,
        _ if api.broken_on.contains(&status) => StatusClass::Broken,
        _ if api.quota.as_ref().is_some_and(|quota| quota.spent_on.contains(&status)) => StatusClass::Broken,
        425 | 429 => StatusClass::NotDone,
        503 if answer.header("retry-after").is_some() => StatusClass::NotDone,
        _ if retry_on.contains(&status) => StatusClass::NotDone,
        // 501 and 505 say that nothing was tried. Other statuses from 500 on are made by proxies (520 to 529) and say
        // nothing about what happened behind them.
        501 | 505 => StatusClass::Refused,
        408 | 500..=599 => StatusClass::Unknown,
        _ => StatusClass::Refused,
    }
}

/// Returns what an answer means for an operation. `scope` is that of the request: what the operation was given, and what
/// the run knows. The result holds none of the connection's secrets.
pub fn read(op: &Operation, connection: &LiveConnection, answer: &HttpAnswer, scope: &dyn Scope) -> Outcome {
    let status = Some(answer.status);
    if answer.status != 401 && op.answer.none_on.contains(&answer.status) {
        return Outcome::Done(Value::Missing);
    }
    let mut retry_on = Vec::new();
    if !matches!(op.effect, Effect::Once) {
        retry_on.extend(connection.plan.api.retry_on.iter().chain(&op.retry_on));
    }
    let error = || error_text(connection, answer);
    match classify(connection, &retry_on, answer) {
        StatusClass::Success => match result(op, connection, answer, scope) {
            Ok(Value::Missing) => Outcome::Done(Value::Missing),
            Ok(value) => Outcome::Done(without_secrets(&Traces::of(connection.secrets.values()), value)),
            Err(Unfit::Refused) => Outcome::Refused { status, error: error() },
            Err(Unfit::Because(reason)) => {
                let error = clean(connection, &format!("the answer does not fit: {reason}"));
                Outcome::Refused { status, error: format!("{error}{}", request_id(connection, answer)) }
            }
        },
        StatusClass::NotDone => Outcome::NotDone { status, error: error(), retry_after: asked_wait(answer) },
        StatusClass::Unknown => Outcome::Unknown { status, error: error() },
        // Many a service answers so when it has done what it was asked.
        StatusClass::Refused if is_redirect(answer.status) && !matches!(op.effect, Effect::Read | Effect::Set) => {
            Outcome::Unknown { status, error: error() }
        }
        StatusClass::Refused => Outcome::Refused { status, error: error() },
        StatusClass::Broken => Outcome::Broken { status, error: error() },
    }
}

/// Why a success gives no result.
enum Unfit {
    /// The service said no with a status of success.
    Refused,
    /// The body is not as the connector says.
    Because(String),
}

fn is_redirect(status: u16) -> bool {
    (300..=399).contains(&status)
}

fn result(op: &Operation, connection: &LiveConnection, answer: &HttpAnswer, scope: &dyn Scope) -> Result<Value, Unfit> {
    let rule: &Answer = &op.answer;
    // What confirms an action gives its result: the answer itself says no more than "accepted".
    let shape = rule.shape.as_ref().filter(|_| !op.confirm.as_ref().is_some_and(|confirm| confirm.gives_result));
    let unread = shape.is_none() && rule.none_when.is_none() && rule.first.is_none() && rule.refused_when.is_none();
    if unread {
        return Ok(Value::Missing);
    }
    let body = json_body(answer).map_err(Unfit::Because)?;
    let holds = |expr, value| {
        holds(expr, &AnswerScope { value, connection, inner: scope }).map_err(|error| Unfit::Because(error.to_string()))
    };
    if let Some(condition) = &rule.refused_when
        && holds(condition, &body)?
    {
        return Err(Unfit::Refused);
    }
    if let Some(condition) = &rule.none_when
        && holds(condition, &body)?
    {
        return Ok(Value::Missing);
    }
    let mut found = path_get(&body, &rule.at);
    if let Some(condition) = &rule.first {
        found = match found {
            Value::List(items) => {
                let mut first = Value::Missing;
                for item in items.iter() {
                    if holds(condition, item)? {
                        first = item.clone();
                        break;
                    }
                }
                first
            }
            Value::Missing => Value::Missing,
            _ => return Err(Unfit::Because(format!("a list is expected at `{}`", rule.at))),
        };
    }
    let value = match (shape, found) {
        (None, _) => Ok(Value::Missing),
        (Some(_), Value::Missing) if rule.optional => Ok(Value::Missing),
        // "Accepted" at times has no body, and a record of which nothing is required needs none.
        (Some(Shape::Record(fields)), Value::Missing) if rule.at.is_root() && fields.iter().all(|field| field.optional) => {
            Ok(Value::record([]))
        }
        (Some(_), Value::Missing) if rule.at.is_root() => Err(Unfit::Because("it is empty".to_owned())),
        (Some(_), Value::Missing) => Err(Unfit::Because(format!("`{}` is missing", rule.at))),
        (Some(shape), found) => decode(shape, &found).map_err(|misfit| Unfit::Because(misfit.to_string())),
    }?;
    if let Some(input) = rule.item_of.filter(|_| !value.is_missing())
        && !matches!(scope.input(input), Value::List(items) if items.contains(&value))
    {
        return Err(Unfit::Because("it is none of the texts that were to choose from".to_owned()));
    }
    Ok(value)
}

/// The paths of an answer, beside what the request could read. No secret is compared with what a service sends.
struct AnswerScope<'a> {
    value: &'a Value,
    connection: &'a LiveConnection,
    inner: &'a dyn Scope,
}

impl Scope for AnswerScope<'_> {
    fn event(&self, slot: u16) -> Value {
        self.inner.event(slot)
    }

    fn local(&self, local: u16) -> Value {
        self.inner.local(local)
    }

    fn input(&self, input: u16) -> Value {
        self.inner.input(input)
    }

    fn env(&self, env: &Env) -> Value {
        match env {
            Env::Setting(name) => setting(self.connection, name),
            Env::Secret(_) => Value::Missing,
            other => self.inner.env(other),
        }
    }

    fn raw(&self, path: &JsonPath) -> Value {
        self.inner.raw(path)
    }

    fn answer(&self, path: &JsonPath) -> Value {
        path_get(self.value, path)
    }
}

/// Tells whether a condition holds over a part of an answer.
pub(crate) fn holds_in(
    condition: &flow_plan::Expr,
    value: &Value,
    connection: &LiveConnection,
    scope: &dyn Scope,
) -> Result<bool, Required> {
    holds(condition, &AnswerScope { value, connection, inner: scope })
}

/// An empty body is a missing value.
fn json_body(answer: &HttpAnswer) -> Result<Value, String> {
    if answer.body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Missing);
    }
    let json: serde_json::Value = crate::json::read(&answer.body).map_err(|_| "it is not JSON".to_owned())?;
    Ok(Value::from_json(&json))
}

/// What of a service's own words is shown.
const MAX_ERROR: usize = 400;
/// Error bodies beyond are not read for their text.
const MAX_ERROR_BODY: usize = 256 * 1024;

/// Returns an answer's error for people: status, the service's own text, its request id. It holds no control characters
/// and none of the connection's secrets.
pub(crate) fn error_text(connection: &LiveConnection, answer: &HttpAnswer) -> String {
    let text = if answer.body.len() <= MAX_ERROR_BODY { json_body(answer).unwrap_or_default() } else { Value::Missing };
    let text = connection.plan.api.error_text.iter().find_map(|path| match path_get(&text, path) {
        Value::Text(text) if !text.trim().is_empty() => Some(text.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    });
    let mut error = answer.status.to_string();
    if is_redirect(answer.status) {
        error.push_str(" (redirects are not followed)");
    }
    match text {
        Some(text) => {
            error.push_str(": ");
            error.push_str(&clean(connection, &text));
        }
        None => {
            if let Some(reason) = hyper::StatusCode::from_u16(answer.status).ok().and_then(|status| status.canonical_reason()) {
                error.push(' ');
                error.push_str(reason);
            }
        }
    }
    error + &request_id(connection, answer)
}

fn request_id(connection: &LiveConnection, answer: &HttpAnswer) -> String {
    let id = answer.header("request-id").or_else(|| answer.header("x-request-id"));
    id.map(|id| format!(" (request {})", clean(connection, &id.chars().take(80).collect::<String>()))).unwrap_or_default()
}

/// Takes out control characters and secrets, and cuts what is too long.
fn clean(connection: &LiveConnection, text: &str) -> String {
    let mut text: String = text.chars().take(MAX_ERROR * 4).map(|c| if is_control(c) { ' ' } else { c }).collect();
    if let Some(cleaned) = Traces::of(connection.secrets.values()).without(&text, Least::Few) {
        text = cleaned;
    }
    if text.chars().count() > MAX_ERROR {
        text = text.chars().take(MAX_ERROR).chain(std::iter::once('…')).collect();
    }
    text.trim().to_owned()
}

/// A result goes into the journal, where no secret stands.
fn without_secrets(traces: &Traces, value: Value) -> Value {
    let replaced = |text: &str| traces.without(text, Least::Many);
    match &value {
        Value::Text(text) => replaced(text).map_or(value, Value::text),
        Value::List(items) => {
            Value::List(items.iter().map(|item| without_secrets(traces, item.clone())).collect::<Vec<_>>().into())
        }
        Value::Record(fields) => Value::record(fields.iter().map(|(name, field)| {
            let name = replaced(name).map_or_else(|| name.clone(), Into::into);
            (name, without_secrets(traces, field.clone()))
        })),
        _ => value,
    }
}

/// Control characters, and those that end lines or turn the direction of a text.
fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A poll takes no service's word for more.
const LONGEST_WAIT: Duration = Duration::from_hours(24 * 7);
/// A wait in seconds that no number here can hold.
const ENDLESS: Duration = Duration::MAX;
/// Above, a number of `x-ratelimit-reset` is an instant; below, seconds from now.
const UNIX_SECONDS_FROM: u64 = 1_000_000_000;

/// Returns how long the service asks a poll to wait: at most a week, since nobody would notice a source that is silent.
pub(crate) fn retry_after(answer: &HttpAnswer) -> Option<Duration> {
    asked_wait(answer).filter(|wait| *wait != ENDLESS).map(|wait| wait.min(LONGEST_WAIT))
}

/// Returns how long the service asks to wait: `Retry-After` in seconds or as a date, else `x-ratelimit-reset`.
///
/// Instants are read against the answer's own `Date`, so that no clock of ours has a say; without one they are no hint.
fn asked_wait(answer: &HttpAnswer) -> Option<Duration> {
    if let Some(text) = answer.header("retry-after").map(str::trim) {
        if let Ok(seconds) = text.parse::<Decimal>() {
            if seconds.is_sign_negative() {
                return None;
            }
            let millis = seconds.checked_mul(Decimal::ONE_THOUSAND).and_then(|millis| millis.ceil().to_u64());
            return Some(millis.map_or(ENDLESS, Duration::from_millis));
        }
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(ENDLESS);
        }
        return until(http_date(text)?, answer);
    }
    let reset: u64 = answer.header("x-ratelimit-reset")?.trim().parse().ok()?;
    if reset < UNIX_SECONDS_FROM {
        return Some(Duration::from_secs(reset));
    }
    until(Timestamp::from_second(i64::try_from(reset).ok()?).ok()?, answer)
}

/// Returns the service's own time of the answer.
pub(crate) fn answered_at(answer: &HttpAnswer) -> Option<Timestamp> {
    http_date(answer.header("date")?)
}

fn until(at: Timestamp, answer: &HttpAnswer) -> Option<Duration> {
    let wait = at.duration_since(answered_at(answer)?);
    Some(Duration::try_from(wait).unwrap_or(Duration::ZERO))
}

/// The preferred form of RFC 9110, section 5.6.7, is one of RFC 2822.
pub(crate) fn http_date(text: &str) -> Option<Timestamp> {
    DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text).ok()
}
