//! `stripe_signature`: `t=1795000000,v1=<hex>`, an HMAC-SHA256 over `t`, a full stop and the body.
//!
//! Several `v1` are normal while a secret is changed: one match suffices. All other versions are ignored, so that nobody
//! can choose a weaker one. An instant in the future is accepted, as by the service's own libraries.

use hyper::HeaderMap;
use jiff::Timestamp;
use subtle::ConstantTimeEq;

use super::{HEX_LENGTH, Key, Params, SchemeError, SignatureError, Verified, key, mac, single, unix_seconds};

/// The scheme with its parameters: `header`, `secret`, `tolerance`.
#[derive(Clone)]
pub struct StripeSignature {
    header: String,
    key: Key,
    tolerance: i64,
}

impl std::fmt::Debug for StripeSignature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StripeSignature")
    }
}

impl StripeSignature {
    pub(super) fn new(params: &Params<'_>) -> Result<Self, SchemeError> {
        // The key is the whole secret, its prefix included, as bytes.
        let key = key(params.secret()?.expose().as_bytes())?;
        Ok(Self { header: params.header(Some("stripe-signature"))?, key, tolerance: params.tolerance()? })
    }

    pub(super) fn precheck(&self, headers: &HeaderMap, now: Timestamp) -> Result<(), SignatureError> {
        let (signed_at, candidates) = self.read(headers)?;
        if !candidates.iter().any(|candidate| candidate.len() == HEX_LENGTH) {
            return Err(SignatureError::Mismatch);
        }
        if self.is_stale(signed_at, now) { Err(SignatureError::Stale) } else { Ok(()) }
    }

    fn is_stale(&self, signed_at: i64, now: Timestamp) -> bool {
        now.as_second().saturating_sub(signed_at) > self.tolerance
    }

    /// Returns the signed second and the signatures of the one version that counts.
    fn read<'a>(&self, headers: &'a HeaderMap) -> Result<(i64, Vec<&'a str>), SignatureError> {
        let header = single(headers, &self.header)?;
        let mut signed_at = None;
        let mut candidates = Vec::new();
        for item in header.split(',') {
            let (name, value) = item.split_once('=').unwrap_or((item, ""));
            match name {
                "t" if signed_at.is_some() => return Err(SignatureError::Malformed),
                "t" => signed_at = Some(unix_seconds(value)?),
                "v1" => candidates.push(value),
                _ => {}
            }
        }
        Ok((signed_at.ok_or(SignatureError::Malformed)?, candidates))
    }

    pub(super) fn verify(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<Verified, SignatureError> {
        let (signed_at, candidates) = self.read(headers)?;
        let expected = hex::encode(mac(&self.key, &[signed_at.to_string().as_bytes(), b".", body]));
        let mut matches = subtle::Choice::from(0);
        for candidate in candidates {
            // Equal in constant time for equal lengths; the length itself is no secret.
            matches |= candidate.as_bytes().ct_eq(expected.as_bytes());
        }
        if !bool::from(matches) {
            return Err(SignatureError::Mismatch);
        }
        if self.is_stale(signed_at, now) {
            return Err(SignatureError::Stale);
        }
        Ok(Verified { id: None, signed_at: Timestamp::from_second(signed_at).ok() })
    }
}
