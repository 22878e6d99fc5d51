//! `hmac_sha256`: an HMAC-SHA256 of the body in a header, in lower-case hex or base64, with or without a prefix.
//!
//! It signs no time and no id: an old delivery can be sent again, and only the event's id tells it from a new one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use subtle::ConstantTimeEq;

use super::{BASE64_LENGTH, HEX_LENGTH, Key, Params, SchemeError, SignatureError, Verified, key, mac, single};

/// The scheme with its parameters: `header`, `secret`, `encoding` (`hex`, `base64`), `prefix`.
#[derive(Clone)]
pub struct HmacSha256 {
    header: String,
    key: Key,
    base64: bool,
    prefix: String,
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
        Ok(Self { header: params.header(None)?, key, base64, prefix: params.text("prefix")?.unwrap_or_default() })
    }

    pub(super) fn precheck(&self, headers: &HeaderMap) -> Result<(), SignatureError> {
        let expected = if self.base64 { BASE64_LENGTH } else { HEX_LENGTH };
        if self.given(headers)?.len() == expected { Ok(()) } else { Err(SignatureError::Mismatch) }
    }

    fn given<'a>(&self, headers: &'a HeaderMap) -> Result<&'a str, SignatureError> {
        single(headers, &self.header)?.strip_prefix(&self.prefix).ok_or(SignatureError::Malformed)
    }

    pub(super) fn verify(&self, headers: &HeaderMap, body: &[u8]) -> Result<Verified, SignatureError> {
        let given = self.given(headers)?;
        let mac = mac(&self.key, &[body]);
        let expected = if self.base64 { STANDARD.encode(mac) } else { hex::encode(mac) };
        if bool::from(given.as_bytes().ct_eq(expected.as_bytes())) {
            Ok(Verified::default())
        } else {
            Err(SignatureError::Mismatch)
        }
    }
}
