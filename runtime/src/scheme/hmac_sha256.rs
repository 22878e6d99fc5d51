//! `hmac_sha1`, `hmac_sha256`, `hmac_sha512`: an HMAC in a header, in hex or base64, with or without a prefix.
//!
//! It is over the body alone, or over a text that also holds the time of a second header: `v0:{timestamp}:{body}`. Where no
//! time is signed, an old delivery can be sent again, and only the event's id tells it from a new one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flow_plan::{Env, Expr, Value};
use hmac::{Hmac, KeyInit, Mac};
use hyper::HeaderMap;
use jiff::Timestamp;
use sha1::Sha1;
use sha2::Sha512;
use subtle::ConstantTimeEq;

use super::{Key, Params, SchemeError, SignatureError, Verified, single, unix_seconds};

/// The scheme with its parameters: `header`, `secret`, `encoding` (`hex`, `base64`), `prefix`, `timestamp` (a header),
/// `signed` (what is signed), `tolerance`.
#[derive(Clone)]
pub struct HmacSha256 {
    header: String,
    key: AnyKey,
    base64: bool,
    prefix: String,
    timestamp: Option<String>,
    signed: Vec<Part>,
    tolerance: i64,
}

/// A keyed HMAC of one of the digests.
#[derive(Clone)]
enum AnyKey {
    Sha1(Hmac<Sha1>),
    Sha256(Key),
    Sha512(Hmac<Sha512>),
}

impl AnyKey {
    fn new(digest: Digest, secret: &[u8]) -> Result<Self, SchemeError> {
        let no_secret = |_| SchemeError::NoSecret;
        Ok(match digest {
            Digest::Sha1 => AnyKey::Sha1(Hmac::<Sha1>::new_from_slice(secret).map_err(no_secret)?),
            Digest::Sha256 => AnyKey::Sha256(Key::new_from_slice(secret).map_err(no_secret)?),
            Digest::Sha512 => AnyKey::Sha512(Hmac::<Sha512>::new_from_slice(secret).map_err(no_secret)?),
        })
    }

    /// The bytes of an HMAC.
    fn length(&self) -> usize {
        match self {
            AnyKey::Sha1(_) => 20,
            AnyKey::Sha256(_) => 32,
            AnyKey::Sha512(_) => 64,
        }
    }

    /// Returns the HMAC over the parts, one after the other.
    fn mac(&self, parts: &[&[u8]]) -> Vec<u8> {
        fn of<M: Mac + Clone>(key: &M, parts: &[&[u8]]) -> Vec<u8> {
            let mut mac = key.clone();
            parts.iter().for_each(|part| mac.update(part));
            mac.finalize().into_bytes().to_vec()
        }
        match self {
            AnyKey::Sha1(key) => of(key, parts),
            AnyKey::Sha256(key) => of(key, parts),
            AnyKey::Sha512(key) => of(key, parts),
        }
    }
}

/// The digest of an HMAC.
#[derive(Debug, Clone, Copy)]
pub(super) enum Digest {
    Sha1,
    Sha256,
    Sha512,
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
    pub(super) fn new(digest: Digest, params: &Params<'_>) -> Result<Self, SchemeError> {
        let base64 = match params.text("encoding")?.as_deref() {
            None | Some("hex") => false,
            Some("base64") => true,
            Some(_) => return Err(SchemeError::Parameter("encoding")),
        };
        let key = AnyKey::new(digest, params.secret()?.expose().as_bytes())?;
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
        let length = self.key.length();
        let expected = if self.base64 { length.div_ceil(3) * 4 } else { length * 2 };
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
        let mac = self.key.mac(&signed);
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
