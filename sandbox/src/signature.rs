//! Signatures of outgoing webhooks.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How a webhook proves where it comes from.
#[derive(Debug, Clone)]
pub(crate) enum Signer {
    /// `Stripe-Signature`: time and body, keyed with the whole secret, `whsec_` included.
    Stripe { secret: String },
    /// `X-CIO-Signature`: version, time and body.
    Customerio { key: String },
    /// `X-Kustomer-Webhook-Signature`: the body alone, keyed with the webhook's token.
    Kustomer { token: String, event: String },
}

impl Signer {
    /// Returns the headers for one attempt at the Unix second `now`.
    pub(crate) fn headers(&self, now: i64, body: &[u8]) -> Vec<(&'static str, String)> {
        match self {
            Signer::Stripe { secret } => {
                let signature = hmac_sha256(secret, &[now.to_string().as_bytes(), b".", body]);
                vec![("user-agent", "Stripe/1.0 (sandbox)".to_owned()), ("stripe-signature", format!("t={now},v1={signature}"))]
            }
            Signer::Customerio { key } => {
                let now = now.to_string();
                let signature = hmac_sha256(key, &[b"v0:", now.as_bytes(), b":", body]);
                vec![("user-agent", "Customer.io (sandbox)".to_owned()), ("x-cio-timestamp", now), ("x-cio-signature", signature)]
            }
            Signer::Kustomer { token, event } => vec![
                ("user-agent", "Kustomer (sandbox)".to_owned()),
                ("x-kustomer-webhook-event", event.clone()),
                ("x-kustomer-webhook-signature", hmac_sha256(token, &[body])),
            ],
        }
    }
}

/// Returns HMAC-SHA256 over the parts, in lower-case hex.
fn hmac_sha256(key: &str, parts: &[&[u8]]) -> String {
    // HMAC takes keys of any length: RFC 2104, section 2.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) else {
        return String::new();
    };
    for part in parts {
        mac.update(part);
    }
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_agrees_with_rfc_4231_case_2() {
        assert_eq!(
            hmac_sha256("Jefe", &[b"what do ya want ", b"for nothing?"]),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
