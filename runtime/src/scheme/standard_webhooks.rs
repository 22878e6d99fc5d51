//! `standard_webhooks`: id, time and body signed together, as <https://www.standardwebhooks.com> says.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use hyper::HeaderMap;
use jiff::Timestamp;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{BASE64_LENGTH, Key, Params, SchemeError, SignatureError, Verified, key, mac, single, unix_seconds};

/// Secrets are copied by hand, at times without their padding.
const SECRET: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// In bytes. A shorter one could be guessed, and the specification has none.
const SHORTEST_KEY: usize = 24;
/// An id becomes a key in the store.
const LONGEST_ID: usize = 256;

/// The scheme with its parameters: `secret`, `tolerance` (both ways).
#[derive(Clone)]
pub struct StandardWebhooks {
    key: Key,
    tolerance: i64,
}

impl std::fmt::Debug for StandardWebhooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StandardWebhooks")
    }
}

impl StandardWebhooks {
    pub(super) fn new(params: &Params<'_>) -> Result<Self, SchemeError> {
        let secret = params.secret()?.expose();
        let encoded = secret.trim();
        let encoded = encoded.strip_prefix("whsec_").unwrap_or(encoded);
        let decoded = SECRET.decode(encoded).map(Zeroizing::new).map_err(|_| SchemeError::BadSecret("standard_webhooks"))?;
        if decoded.len() < SHORTEST_KEY {
            return Err(SchemeError::BadSecret("standard_webhooks"));
        }
        Ok(Self { key: key(&decoded)?, tolerance: params.tolerance()? })
    }

    pub(super) fn precheck(&self, headers: &HeaderMap, now: Timestamp) -> Result<(), SignatureError> {
        let head = Head::read(headers)?;
        let fits = |signature: &str| signature.strip_prefix("v1,").is_some_and(|candidate| candidate.len() == BASE64_LENGTH);
        if !head.signatures.split(' ').any(fits) {
            return Err(SignatureError::Mismatch);
        }
        if self.is_stale(head.signed_at, now) { Err(SignatureError::Stale) } else { Ok(()) }
    }

    fn is_stale(&self, signed_at: i64, now: Timestamp) -> bool {
        now.as_second().abs_diff(signed_at) > self.tolerance.unsigned_abs()
    }

    pub(super) fn verify(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<Verified, SignatureError> {
        let Head { id, timestamp, signatures, signed_at } = Head::read(headers)?;
        let expected = STANDARD.encode(mac(&self.key, &[id.as_bytes(), b".", timestamp.as_bytes(), b".", body]));
        let mut matches = subtle::Choice::from(0);
        for signature in signatures.split(' ') {
            if let Some(candidate) = signature.strip_prefix("v1,") {
                matches |= candidate.as_bytes().ct_eq(expected.as_bytes());
            }
        }
        if !bool::from(matches) {
            return Err(SignatureError::Mismatch);
        }
        if self.is_stale(signed_at, now) {
            return Err(SignatureError::Stale);
        }
        Ok(Verified { id: Some(id.to_owned()), signed_at: Timestamp::from_second(signed_at).ok() })
    }
}

/// The headers, before anything is compared.
struct Head<'a> {
    id: &'a str,
    timestamp: &'a str,
    signatures: &'a str,
    signed_at: i64,
}

impl<'a> Head<'a> {
    fn read(headers: &'a HeaderMap) -> Result<Self, SignatureError> {
        let id = single(headers, "webhook-id")?;
        let timestamp = single(headers, "webhook-timestamp")?;
        let signatures = single(headers, "webhook-signature")?;
        let signed_at = unix_seconds(timestamp)?;
        if id.is_empty() || id.len() > LONGEST_ID {
            return Err(SignatureError::Malformed);
        }
        Ok(Self { id, timestamp, signatures, signed_at })
    }
}
