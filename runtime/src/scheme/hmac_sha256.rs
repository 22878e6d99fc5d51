//! `hmac_sha256`: an HMAC-SHA256 in a header, in hex or base64, with or without a prefix.
//!
//! It is over the body alone, or over a text that also holds the time of a second header: `v0:{timestamp}:{body}`. Where no
//! time is signed, an old delivery can be sent again, and only the event's id tells it from a new one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flow_plan::{Env, Expr, Value};
use hyper::HeaderMap;
use jiff::Timestamp;
use subtle::ConstantTimeEq;

use super::{BASE64_LENGTH, HEX_LENGTH, Key, Params, SchemeError, SignatureError, Verified, key, mac, single, unix_seconds};

/// The scheme with its parameters: `header`, `secret`, `encoding` (`hex`, `base64`), `prefix`, `timestamp` (a header),
/// `signed` (what is signed), `tolerance`.
#[derive(Clone)]
pub struct HmacSha256 {
    header: String,
    key: Key,
    base64: bool,
    prefix: String,
    timestamp: Option<String>,
    signed: Vec<Part>,
    tolerance: i64,
}

/// A part of what is signed.
#[derive(Clone)]
enum Part {
    Text(String),
    Timestamp,
    Body,
}

impl std::fmt::Debug for HmacSha256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HmacSha256")
    }
}

impl HmacSha256 {
    pub(super) fn new(params: &Params<'_>) -> Result<Self, SchemeError> {
        let base64 = match params.text("encoding")?.as_deref() {
            None | Some("hex") => false,
            Some("base64") => true,
            Some(_) => return Err(SchemeError::Parameter("encoding")),
        };
        let key = key(params.secret()?.expose().as_bytes())?;
        let timestamp = params.header_of("timestamp")?;
        let signed = match params.expr("signed") {
            Some(expr) => parts(expr).ok_or(SchemeError::Parameter("signed"))?,
            // As most services do it.
            None if timestamp.is_some() => vec![Part::Timestamp, Part::Text(".".to_owned()), Part::Body],
            None => vec![Part::Body],
        };
        let has = |wanted: fn(&Part) -> bool| signed.iter().any(wanted);
        // A body that is not signed would be anybody's, and a time that is not signed says nothing.
        if !has(|part| matches!(part, Part::Body)) || timestamp.is_some() != has(|part| matches!(part, Part::Timestamp)) {
            return Err(SchemeError::Parameter("signed"));
        }
        let prefix = params.text("prefix")?.unwrap_or_default();
        Ok(Self { header: params.header(None)?, key, base64, prefix, timestamp, signed, tolerance: params.tolerance()? })
    }

    pub(super) fn precheck(&self, headers: &HeaderMap, now: Timestamp) -> Result<(), SignatureError> {
        let expected = if self.base64 { BASE64_LENGTH } else { HEX_LENGTH };
        if self.given(headers)?.len() != expected {
            return Err(SignatureError::Mismatch);
        }
        self.signed_at(headers).and_then(|signed_at| self.fresh(signed_at, now))
    }

    fn given<'a>(&self, headers: &'a HeaderMap) -> Result<&'a str, SignatureError> {
        single(headers, &self.header)?.strip_prefix(&self.prefix).ok_or(SignatureError::Malformed)
    }

    fn signed_at<'a>(&self, headers: &'a HeaderMap) -> Result<Option<(&'a str, i64)>, SignatureError> {
        let Some(header) = &self.timestamp else { return Ok(None) };
        let text = single(headers, header)?;
        Ok(Some((text, unix_seconds(text)?)))
    }

    fn fresh(&self, signed_at: Option<(&str, i64)>, now: Timestamp) -> Result<(), SignatureError> {
        match signed_at {
            Some((_, at)) if now.as_second().abs_diff(at) > self.tolerance.unsigned_abs() => Err(SignatureError::Stale),
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn verify(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<Verified, SignatureError> {
        let given = self.given(headers)?;
        let signed_at = self.signed_at(headers)?;
        let time = signed_at.map_or("", |(text, _)| text);
        let signed: Vec<&[u8]> = self
            .signed
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.as_bytes(),
                Part::Timestamp => time.as_bytes(),
                Part::Body => body,
            })
            .collect();
        let mac = mac(&self.key, &signed);
        let expected = if self.base64 { STANDARD.encode(mac) } else { hex::encode(mac) };
        if !bool::from(given.as_bytes().ct_eq(expected.as_bytes())) {
            return Err(SignatureError::Mismatch);
        }
        self.fresh(signed_at, now)?;
        Ok(Verified { id: None, signed_at: signed_at.and_then(|(_, at)| Timestamp::from_second(at).ok()) })
    }
}

/// Reads `"v0:{timestamp}:{body}"`.
fn parts(expr: &Expr) -> Option<Vec<Part>> {
    Some(match expr {
        Expr::Text(all) => all.iter().map(parts).collect::<Option<Vec<_>>>()?.into_iter().flatten().collect(),
        Expr::Const(Value::Text(text)) => vec![Part::Text(text.to_string())],
        Expr::Env(Env::SentAt) => vec![Part::Timestamp],
        Expr::Env(Env::SentBody) => vec![Part::Body],
        _ => return None,
    })
}
