//! The parts of a payload that the daemon itself needs: id, event type, time.

use bytes::Bytes;
use flow_plan::{Codes, Env, Envelope, Expr, JsonPath, Refusal, Shape, Value};
use jiff::Timestamp;
use rust_decimal::Decimal;
use sha2::{Digest, Sha256};

use crate::decode::decode;
use crate::eval::{Scope, holds};
use crate::live::LiveConnection;
use crate::scan::{PathSet, ScanError, Scanned};
use crate::secret::Secret;

/// An envelope with its paths prepared.
#[derive(Debug, Clone)]
pub struct EnvelopeReader {
    envelope: Envelope,
    paths: PathSet,
    id: Option<usize>,
    event_type: Option<usize>,
    code: Option<usize>,
    at: Option<usize>,
    /// What identifies a payload that has no id of its own, where the connector says so.
    parts: Vec<usize>,
}

/// What an envelope says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// The event's id; never empty.
    pub id: String,
    /// The event type, where it has one.
    pub event_type: Option<String>,
    /// When it happened, where it says so.
    pub at: Option<Timestamp>,
}

/// Why a payload is not taken. Both texts are for the sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misread {
    /// It is not as the connector says.
    Malformed(&'static str),
    /// The connector refuses payloads of this kind.
    Refused(String),
    /// The connector leaves payloads of this kind out: the sender has done nothing wrong. The id is that of the event.
    Ignored {
        /// What it would be known by.
        id: String,
        /// Why.
        because: String,
    },
}

/// An id becomes a key in the store.
const LONGEST_ID: usize = 512;

impl EnvelopeReader {
    /// Prepares an envelope. `identity` stands for the id where the envelope has none.
    pub fn new(envelope: &Envelope, identity: &[JsonPath]) -> Self {
        let mut paths = PathSet::default();
        let id = envelope.id.as_ref().map(|path| paths.insert(path));
        let event_type = envelope.event_type.as_ref().map(|path| paths.insert(path));
        let code = envelope.codes.as_ref().map(|codes| paths.insert(&codes.path));
        let at = envelope.at.as_ref().map(|(path, _)| paths.insert(path));
        let parts = identity.iter().map(|path| paths.insert(path)).collect();
        for refusal in &envelope.refuse {
            refusal.when.walk(&mut |expr| {
                if let Expr::Answer(path) = expr {
                    paths.insert(path);
                }
            });
        }
        Self { envelope: envelope.clone(), paths, id, event_type, code, at, parts }
    }

    /// Lets payloads be refused by what a secret of the connection begins with. The secrets are asked now and not kept.
    #[must_use]
    pub fn for_connection(mut self, connection: &LiveConnection) -> Self {
        for refusal in &mut self.envelope.refuse {
            settle(&mut refusal.when, connection);
        }
        self
    }

    /// Reads a payload. `signed_id` is the id that the signature covers, for payloads without one.
    ///
    /// # Errors
    /// Where it is not as the connector says, or is refused by it.
    pub fn read(&self, payload: &Bytes, signed_id: Option<String>) -> Result<Read, Misread> {
        if payload.trim_ascii_start().first() != Some(&b'{') {
            return Err(Misread::Malformed("the body is not a JSON object"));
        }
        let found = self.paths.scan(payload).map_err(|error| match error {
            ScanError::Encoding => Misread::Malformed("the body is not UTF-8"),
            ScanError::Depth => Misread::Malformed("the JSON is nested too deeply"),
            ScanError::Syntax { .. } => Misread::Malformed("the body is not valid JSON"),
        })?;
        // A `require` cannot stand here; were it to fail, the payload is taken.
        let applies =
            |refusal: &&Refusal| holds(&refusal.when, &FoundScope { paths: &self.paths, found: &found }).unwrap_or(false);
        let refused = self.envelope.refuse.iter().find(applies);
        if let Some(refusal) = refused.filter(|refusal| !refusal.quietly) {
            return Err(Misread::Refused(refusal.because.clone()));
        }
        let at = match (&self.envelope.at, self.at.map(|at| found.value(at))) {
            (Some((_, format)), Some(value)) if !value.is_missing() => match decode(&Shape::Instant(*format), &value) {
                Ok(Value::Instant(at)) => Some(at),
                _ => return Err(Misread::Malformed("the time of the event is not valid")),
            },
            _ => None,
        };
        let text = |leaf: usize| found.raw(leaf).map(scalar).filter(|text| !text.is_empty());
        let event_type = match (&self.envelope.codes, self.code) {
            (Some(codes), Some(leaf)) => Some(type_of(codes, &found.value(leaf))?),
            _ => self.event_type.and_then(text),
        };
        let id = match (self.id, signed_id) {
            (Some(leaf), _) => match found.raw(leaf).map(str::as_bytes) {
                Some([b'{' | b'[' | b't' | b'f', ..]) => {
                    return Err(Misread::Malformed("the event's id is neither a text nor a number"));
                }
                _ => match text(leaf) {
                    Some(id) => id,
                    None if self.envelope.id_else_body => of_body(payload),
                    None => return Err(Misread::Malformed("the event has no id")),
                },
            },
            (None, Some(id)) => id,
            (None, None) if self.parts.is_empty() => of_body(payload),
            (None, None) => {
                let parts: Vec<String> = self.parts.iter().map(|leaf| text(*leaf).unwrap_or_default()).collect();
                if parts.iter().all(String::is_empty) {
                    return Err(Misread::Malformed("the event has no id"));
                }
                parts.join(":")
            }
        };
        if id.len() > LONGEST_ID {
            return Err(Misread::Malformed("the event's id is too long"));
        }
        if let Some(refusal) = refused {
            return Err(Misread::Ignored { id, because: refusal.because.clone() });
        }
        Ok(Read { id, event_type, at })
    }
}

/// Puts the answer where a condition asks what a secret begins with. One that is not configured begins with nothing.
fn settle(condition: &mut Expr, connection: &LiveConnection) {
    match condition {
        Expr::Not(inner) => settle(inner, connection),
        Expr::And(parts) | Expr::Or(parts) => parts.iter_mut().for_each(|part| settle(part, connection)),
        Expr::StartsWith(text, with) => {
            if let (Expr::Env(Env::Secret(name)), Expr::Const(with)) = (text.as_ref(), with.as_ref()) {
                let secret = connection.secrets.get(name).map(Secret::expose);
                let begins = secret.zip(with.as_text()).is_some_and(|(secret, with)| secret.starts_with(with));
                *condition = Expr::Const(Value::Bool(begins));
            }
        }
        _ => {}
    }
}

/// What a payload without an id is known by.
fn of_body(payload: &Bytes) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(payload)))
}

/// The type that a number stands for; others are no events.
fn type_of(codes: &Codes, value: &Value) -> Result<String, Misread> {
    let Value::Number(code) = value else { return Err(Misread::Malformed("the event has no code")) };
    let known = |known: &i64| Decimal::from(*known) == *code;
    let found = codes.types.iter().find(|(_, numbers)| numbers.iter().any(known));
    found.map(|(name, _)| name.clone()).ok_or_else(|| Misread::Refused("its code stands for nothing here".to_owned()))
}

/// Texts as they are, numbers as they were written; null is no text.
fn scalar(json: &str) -> String {
    match json.as_bytes().first() {
        Some(b'"') => crate::json::read(json.as_bytes()).unwrap_or_default(),
        Some(b'n') | None => String::new(),
        Some(_) => json.to_owned(),
    }
}

/// What was found at the paths of a payload.
struct FoundScope<'a> {
    paths: &'a PathSet,
    found: &'a Scanned<'a>,
}

impl Scope for FoundScope<'_> {
    fn answer(&self, path: &JsonPath) -> Value {
        self.paths.leaf(path).map_or(Value::Missing, |leaf| self.found.value(leaf))
    }
}
