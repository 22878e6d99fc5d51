//! What an answer means: done, not done, unknown, refused, or a broken connection.
//!
//! The classes are those of `reliability.md`, "Retry classes". Whether an unknown outcome may be tried again is not
//! decided here: that is for the effect's class.

use std::time::Duration;

use flow_plan::{Answer, AnswerForm, Api, Effect, Env, JsonPath, Operation, Segment, Shape, Value};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::decode::decode;
use crate::eval::{Nothing, Required, Scope, eval, holds, path_get};
use crate::listing::{self, Wanted};
use crate::live::LiveConnection;
use crate::request::setting;
use crate::secret::{Least, Traces};
use crate::world::HttpAnswer;

mod first;

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
        /// The service says that trying again does not help.
        last: bool,
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

/// Returns the class of an answer of one of a connection's APIs to a request that changes nothing.
pub(crate) fn classify(connection: &LiveConnection, api: &Api, answer: &HttpAnswer) -> StatusClass {
    let class = class_of(connection, api, &api.retry_on, answer);
    match advised(api, answer) {
        // What changes nothing is not asked again for its outcome alone.
        Some(false) if class == StatusClass::Unknown => StatusClass::Refused,
        advice => advised_class(class, advice, true),
    }
}

/// Returns what the service itself says of trying again, where its connector names the header.
fn advised(api: &Api, answer: &HttpAnswer) -> Option<bool> {
    match answer.header(api.retry_by.as_ref()?)?.trim() {
        word if word.eq_ignore_ascii_case("true") => Some(true),
        word if word.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// Its word goes before what the status means. Where it says that a refusal may be tried again, nobody knows what became of the
/// first attempt: `repeatable` tells whether that is a reason to make another one.
fn advised_class(class: StatusClass, advice: Option<bool>, repeatable: bool) -> StatusClass {
    match (class, advice) {
        (StatusClass::Refused, Some(true)) if repeatable => StatusClass::Unknown,
        (StatusClass::NotDone, Some(false)) => StatusClass::Refused,
        (class, _) => class,
    }
}

fn class_of(connection: &LiveConnection, api: &Api, retry_on: &[u16], answer: &HttpAnswer) -> StatusClass {
    let status = answer.status;
    match status {
        _ if says_broken(connection, answer) => StatusClass::Broken,
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

/// Bodies beyond are not asked whether the credentials work.
const MAX_SAID: usize = 64 * 1024;

/// Tells whether the body says that the credentials do not work.
fn says_broken(connection: &LiveConnection, answer: &HttpAnswer) -> bool {
    let Some(when) = connection.plan.api.broken_when.as_ref().filter(|_| answer.body.len() <= MAX_SAID) else { return false };
    let Ok(body) = json_body(answer) else { return false };
    holds(when, &AnswerScope { value: &body, connection, inner: &Nothing }).unwrap_or(false)
}

/// Returns what an answer means for an operation. `scope` is that of the request: what the operation was given, and what
/// the run knows. The result holds none of the connection's secrets.
pub fn read(op: &Operation, connection: &LiveConnection, answer: &HttpAnswer, scope: &dyn Scope) -> Outcome {
    read_fully(op, connection, answer, scope).0
}

/// Returns the same, and where a success does not fit, why: for whoever asks once more.
pub(crate) fn read_fully(
    op: &Operation,
    connection: &LiveConnection,
    answer: &HttpAnswer,
    scope: &dyn Scope,
) -> (Outcome, Option<String>) {
    let status = Some(answer.status);
    if answer.status != 401 && op.answer.none_on.contains(&answer.status) {
        return (Outcome::Done(Value::Missing), None);
    }
    let api = connection.plan.api_of(&op.request);
    let mut retry_on = Vec::new();
    if !matches!(op.effect, Effect::Once) {
        retry_on.extend(api.retry_on.iter().chain(&op.retry_on));
    }
    let error = || error_text_of(connection, api, answer);
    let class = match done_on(op, connection, answer.status, scope) {
        Some(true) => StatusClass::Success,
        Some(false) if (200..=299).contains(&answer.status) => {
            return (Outcome::Refused { status, error: format!("{}, which was not expected", error()) }, None);
        }
        Some(false) | None => {
            let class = class_of(connection, api, &retry_on, answer);
            advised_class(class, advised(api, answer), !matches!(op.effect, Effect::Once))
        }
    };
    let outcome = match class {
        StatusClass::Success => match result(op, connection, answer, scope) {
            Ok(Value::Missing) => Outcome::Done(Value::Missing),
            Ok(value) => Outcome::Done(without_secrets(&Traces::of(connection.secrets.values()), value)),
            Err(Unfit::Refused(None)) => Outcome::Refused { status, error: refusal(connection, api, answer) },
            Err(Unfit::Refused(Some(because))) => {
                Outcome::Refused { status, error: format!("{because}{}", request_id(connection, answer)) }
            }
            Err(Unfit::Because(reason)) => {
                let error = clean(connection, &format!("the answer does not fit: {reason}"));
                let outcome = Outcome::Refused { status, error: format!("{error}{}", request_id(connection, answer)) };
                return (outcome, Some(clean(connection, &reason)));
            }
        },
        StatusClass::NotDone => Outcome::NotDone { status, error: error(), retry_after: wait(connection, answer) },
        StatusClass::Unknown => Outcome::Unknown { status, error: error(), last: advised(api, answer) == Some(false) },
        // Many a service answers so when it has done what it was asked.
        StatusClass::Refused if is_redirect(answer.status) && !matches!(op.effect, Effect::Read | Effect::Set) => {
            Outcome::Unknown { status, error: error(), last: false }
        }
        StatusClass::Refused => Outcome::Refused { status, error: error() },
        StatusClass::Broken => Outcome::Broken { status, error: error() },
    };
    (outcome, None)
}

/// Returns the error of a success that is none: its status alone would read as if all were well.
fn refusal(connection: &LiveConnection, api: &Api, answer: &HttpAnswer) -> String {
    let error = error_text_of(connection, api, answer);
    let body = std::str::from_utf8(&answer.body).unwrap_or_default().trim();
    if said(api, answer).is_some() || body.is_empty() {
        return error;
    }
    // Secrets are taken out of the whole: a part of one might be no longer known.
    let words = clean(connection, body).split_whitespace().collect::<Vec<_>>().join(" ");
    let shown: String = words.chars().take(MAX_REFUSAL).collect();
    format!("{error}, and its body says no: {shown}")
}

/// Tells whether the operation counts a status as success, where it has a list of its own.
fn done_on(op: &Operation, connection: &LiveConnection, status: u16, scope: &dyn Scope) -> Option<bool> {
    let scope = AnswerScope { value: &Value::Missing, connection, inner: scope };
    match eval(op.answer.done_on.as_ref()?, &scope) {
        Ok(Value::List(statuses)) if !statuses.is_empty() => Some(statuses.contains(&Value::Number(status.into()))),
        Ok(_) | Err(_) => None,
    }
}

/// Why a success gives no result.
enum Unfit {
    /// The service said no with a status of success; the connector may say in which words.
    Refused(Option<String>),
    /// The body is not as the connector says.
    Because(String),
}

fn nothing_at(place: &JsonPath) -> Unfit {
    Unfit::Because(if place.is_root() { "it is empty".to_owned() } else { format!("`{place}` is missing") })
}

fn is_redirect(status: u16) -> bool {
    (300..=399).contains(&status)
}

fn result(op: &Operation, connection: &LiveConnection, answer: &HttpAnswer, scope: &dyn Scope) -> Result<Value, Unfit> {
    let rule: &Answer = &op.answer;
    // What confirms an action gives its result: the answer itself says no more than "accepted".
    let shape = rule.shape.as_ref().filter(|_| !op.confirm.as_ref().is_some_and(|confirm| confirm.gives_result));
    let asked = rule.none_when.is_some() || rule.first.is_some() || rule.refused_when.is_some() || !rule.refused.is_empty();
    if shape.is_none() && !asked {
        return Ok(Value::Missing);
    }
    let body = match &rule.form {
        AnswerForm::Json | AnswerForm::JsonIn(_) => json_body(answer).map_err(Unfit::Because)?,
        AnswerForm::Text => text_body(answer),
        AnswerForm::Whole => whole(answer, scope),
    };
    let holds = |expr, value| {
        holds(expr, &AnswerScope { value, connection, inner: scope }).map_err(|error| Unfit::Because(error.to_string()))
    };
    if let Some(condition) = &rule.refused_when
        && holds(condition, &body)?
    {
        return Err(Unfit::Refused(None));
    }
    for refusal in &rule.refused {
        if holds(&refusal.when, &body)? {
            return Err(Unfit::Refused(Some(refusal.because.clone())));
        }
    }
    if let Some(condition) = &rule.none_when
        && holds(condition, &body)?
    {
        return Ok(Value::Missing);
    }
    let inner = match &rule.form {
        AnswerForm::JsonIn(path) => Some(inner_json(&body, path).map_err(Unfit::Because)?),
        AnswerForm::Json | AnswerForm::Text | AnswerForm::Whole => None,
    };
    let looked = inner.as_ref().unwrap_or(&body);
    // Whoever only asks must not take an answer that tells nothing for "there is none": that would be acted on.
    let is_json = matches!(rule.form, AnswerForm::Json | AnswerForm::JsonIn(_));
    if is_json && matches!(op.effect, Effect::Read) && shape.is_some() {
        tells_something(rule, looked, connection)?;
    }
    let mut found = path_get(looked, &rule.at);
    if let Some(condition) = &rule.first {
        found = match found {
            Value::List(items) => {
                let scope = |value| AnswerScope { value, connection, inner: scope };
                first::that_holds(condition, &items, shape, scope).map_err(Unfit::Because)?
            }
            Value::Missing => Value::Missing,
            _ => return Err(Unfit::Because(format!("a list is expected at `{}`", rule.at))),
        };
    }
    if let (Some(listing), Value::List(items)) = (&op.listing, &found) {
        let wanted = Wanted::of(listing, scope).map_err(|error| Unfit::Because(error.to_string()))?;
        found = Value::List(listing::list(listing, items, wanted).into());
    }
    let value = match (shape, found) {
        (None, _) => Ok(Value::Missing),
        (Some(_), Value::Missing) if rule.optional => Ok(Value::Missing),
        // "Accepted" at times has no body, and a record of which nothing is required needs none.
        (Some(shape @ Shape::Record(fields)), Value::Missing)
            if rule.at.is_root() && fields.iter().all(|field| field.optional || field.default.is_some()) =>
        {
            decode(shape, &Value::record([])).map_err(|misfit| Unfit::Because(misfit.to_string()))
        }
        // So has a word.
        (Some(Shape::Record(fields)), Value::Text(_))
            if rule.form == AnswerForm::Text && rule.at.is_root() && fields.iter().all(|field| field.optional) =>
        {
            Ok(Value::record([]))
        }
        (Some(_), Value::Missing) => Err(nothing_at(&rule.at)),
        (Some(shape), found) => match decode(shape, &found) {
            // An address or an id that is the empty text.
            Ok(Value::Missing) if !rule.optional && !matches!(shape, Shape::Json) => Err(nothing_at(&rule.at)),
            decoded => decoded.map_err(|misfit| Unfit::Because(misfit.to_string())),
        },
    }?;
    if let Some(input) = rule.item_of.filter(|_| !value.is_missing())
        && !matches!(scope.input(input), Value::List(items) if items.contains(&value))
    {
        return Err(Unfit::Because("it is none of the texts that were to choose from".to_owned()));
    }
    if let (Some(input), Value::Text(text)) = (rule.longest, &value)
        && let Value::Number(most) = scope.input(input)
        && Decimal::from(text.chars().count()) > most
    {
        return Err(Unfit::Because(format!("it has {} characters, and at most {most} were asked for", text.chars().count())));
    }
    Ok(value)
}

/// Whether an answer says anything at all: there is a body, of the form in which the connector looks for the result, and it is no
/// error with a status of success.
fn tells_something(rule: &Answer, body: &Value, connection: &LiveConnection) -> Result<(), Unfit> {
    if body.is_missing() {
        return Err(Unfit::Because("it is empty".to_owned()));
    }
    let begins = rule.at.0.first();
    let fits = match (begins, body) {
        (None, _) | (Some(Segment::Key(_)), Value::Record(_)) => true,
        (Some(Segment::Index(_)), Value::List(_)) => true,
        (Some(_), _) => false,
    };
    if !fits {
        return Err(Unfit::Because(format!("there is nothing that could have `{}`", rule.at)));
    }
    if begins.is_none() || !path_get(body, &rule.at).is_missing() {
        return Ok(());
    }
    // Where a list is to be looked through, no list is no answer.
    if rule.first.is_some() {
        return Err(Unfit::Because(format!("a list is expected at `{}`", rule.at)));
    }
    // A text at the top may say that all is well; an object of errors does not.
    let says_no = |path: &JsonPath| path.0.len() > 1 && !path_get(body, path).is_missing();
    if connection.plan.api.error_text.iter().any(says_no) { Err(Unfit::Refused(None)) } else { Ok(()) }
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

/// JSON where it is JSON, else the text; what is no text is nothing.
fn text_body(answer: &HttpAnswer) -> Value {
    match (json_body(answer), std::str::from_utf8(&answer.body)) {
        (Ok(value), _) => value,
        (Err(_), Ok(text)) => Value::text(text),
        (Err(_), Err(_)) => Value::Missing,
    }
}

/// Headers that are credentials: a result goes into the journal.
const SECRET_HEADERS: &[&str] =
    &["authorization", "cookie", "proxy-authenticate", "set-cookie", "set-cookie2", "www-authenticate"];

/// The answer as a record: its status, its headers, its body, and the key that the request carried.
fn whole(answer: &HttpAnswer, scope: &dyn Scope) -> Value {
    let headers = answer.headers.iter().filter(|(name, _)| !SECRET_HEADERS.contains(&name.as_str()));
    let headers = Value::record(headers.map(|(name, value)| (name.as_str().into(), Value::text(value.as_str()))));
    Value::record([
        ("status".into(), Value::Number(answer.status.into())),
        ("headers".into(), headers),
        ("body".into(), text_body(answer)),
        ("key".into(), scope.env(&Env::RunKey)),
    ])
}

/// The JSON inside of a text. Some put it between fences as if it were shown to people.
fn inner_json(body: &Value, path: &JsonPath) -> Result<Value, String> {
    let text = match path_get(body, path) {
        Value::Text(text) => text,
        Value::Missing => return Err(format!("`{path}` is missing")),
        _ => return Err(format!("a text is expected at `{path}`")),
    };
    let text = text.trim();
    let bare = text.strip_prefix("```json").or_else(|| text.strip_prefix("```")).and_then(|text| text.strip_suffix("```"));
    let json: serde_json::Value =
        crate::json::read(bare.unwrap_or(text).trim().as_bytes()).map_err(|_| "the text is not JSON".to_owned())?;
    Ok(Value::from_json(&json))
}

/// What an answer has cost, in tokens. A success that does not say so is taken for one for four bytes, sent and answered; what was
/// refused costs nothing unless it says so.
pub(crate) fn spent(place: &JsonPath, sent_bytes: usize, answer: &HttpAnswer) -> Option<u64> {
    let body = json_body(answer).unwrap_or(Value::Missing);
    match path_get(&body, place) {
        Value::Number(tokens) if !tokens.is_sign_negative() => tokens.trunc().to_u64().or(Some(u64::MAX)),
        _ if (200..300).contains(&answer.status) => u64::try_from((sent_bytes + answer.body.len()) / 4).ok(),
        _ => None,
    }
}

/// What of a service's own words is shown.
const MAX_ERROR: usize = 400;
/// What is shown of a body that says no without words.
const MAX_REFUSAL: usize = 120;
/// So many errors of a list are shown.
const MOST_ERRORS: usize = 5;
/// Error bodies beyond are not read for their text.
const MAX_ERROR_BODY: usize = 256 * 1024;

/// Returns an answer's error for people: status, the service's own text, its request id. It holds no control characters
/// and none of the connection's secrets.
pub(crate) fn error_text(connection: &LiveConnection, answer: &HttpAnswer) -> String {
    error_text_of(connection, &connection.plan.api, answer)
}

/// A text for people; of a list of them the first few.
fn words(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) if !text.trim().is_empty() => Some(text.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::List(items) => {
            let mut all: Vec<String> = items.iter().filter(|item| !matches!(item, Value::List(_))).filter_map(words).collect();
            let more = all.len().saturating_sub(MOST_ERRORS);
            all.truncate(MOST_ERRORS);
            if more > 0 {
                all.push(format!("and {more} more"));
            }
            (!all.is_empty()).then(|| all.join("; "))
        }
        _ => None,
    }
}

/// The service's own words for what went wrong.
fn said(api: &Api, answer: &HttpAnswer) -> Option<String> {
    let text = match json_body(answer) {
        _ if answer.body.len() > MAX_ERROR_BODY => Value::Missing,
        Ok(json) => json,
        // Some answer with a word; pages are for people in browsers.
        Err(_) => match std::str::from_utf8(&answer.body) {
            Ok(text) if !text.trim_start().starts_with('<') => Value::text(text),
            Ok(_) | Err(_) => Value::Missing,
        },
    };
    api.error_text.iter().find_map(|path| words(&path_get(&text, path)))
}

pub(crate) fn error_text_of(connection: &LiveConnection, api: &Api, answer: &HttpAnswer) -> String {
    let text = said(api, answer);
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
    if let Some((_, help)) = api.help_on.iter().find(|(statuses, _)| statuses.contains(&answer.status)) {
        error.push_str(" – ");
        error.push_str(help);
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
pub(crate) fn is_control(c: char) -> bool {
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

/// Returns how long the service asks to wait: by its headers, else where the connector says that the body has it.
pub(crate) fn wait(connection: &LiveConnection, answer: &HttpAnswer) -> Option<Duration> {
    let said = || {
        let path = connection.plan.api.wait_at.as_ref().filter(|_| answer.body.len() <= MAX_SAID)?;
        let Value::Number(seconds) = path_get(&json_body(answer).ok()?, path) else { return None };
        let millis = seconds.checked_mul(Decimal::ONE_THOUSAND)?.ceil().to_u64()?;
        Some(Duration::from_millis(millis))
    };
    // A header counts whole seconds, a body at times fractions of them: both are kept.
    asked_wait(answer).into_iter().chain(said()).max()
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
