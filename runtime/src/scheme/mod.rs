//! Webhook verification by named schemes, over the raw bytes and in constant time.
//!
//! A scheme knows no service. Its key is prepared once per plan, so that a request costs the HMAC of its body.

mod hmac_sha256;
mod standard_webhooks;
mod stripe_signature;
mod token;

use flow_plan::{Value, Webhook};
use hmac::{Hmac, KeyInit, Mac};
use hyper::HeaderMap;
use jiff::Timestamp;
use sha2::Sha256;

use crate::eval::{Scope, eval};
use crate::live::LiveConnection;
use crate::request::secret_of;
use crate::secret::Secret;

use hmac_sha256::Digest;
pub use hmac_sha256::HmacSha256;
pub use standard_webhooks::StandardWebhooks;
pub use stripe_signature::StripeSignature;
pub use token::Token;

/// A keyed HMAC, ready to be cloned for a body.
type Key = Hmac<Sha256>;

/// A scheme with its parameters and its key.
#[derive(Clone)]
pub enum Verifier {
    /// `stripe_signature`.
    StripeSignature(StripeSignature),
    /// `hmac_sha1`, `hmac_sha256`, `hmac_sha512`.
    HmacSha256(Box<HmacSha256>),
    /// `standard_webhooks`.
    StandardWebhooks(StandardWebhooks),
    /// `token`.
    Token(Token),
    /// Nothing is verified: flow.toml says so, and so does each flow that is started by it.
    None,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Verifier::StripeSignature(_) => "stripe_signature",
            Verifier::HmacSha256(_) => "hmac_sha256",
            Verifier::StandardWebhooks(_) => "standard_webhooks",
            Verifier::Token(_) => "token",
            Verifier::None => "none",
        })
    }
}

/// What a signature says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// The id that the scheme signs, where it has one.
    pub id: Option<String>,
    /// The instant that the scheme signs, where it has one.
    pub signed_at: Option<Timestamp>,
}

/// Why a webhook is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// A header is not there.
    #[error("the signature is missing")]
    Missing,
    /// A header is not as the scheme says, or is there twice.
    #[error("the signature header is malformed")]
    Malformed,
    /// No signature belongs to this body and this secret.
    #[error("the signature does not match")]
    Mismatch,
    /// The signed instant is too far away.
    #[error("the signature is too old or too far in the future")]
    Stale,
}

/// Why a source cannot verify anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemeError {
    /// The secret is not configured.
    #[error("the secret of the webhook is not configured")]
    NoSecret,
    /// The secret is not of the form that the scheme needs.
    #[error("the secret of the webhook is not of the form that `{0}` needs")]
    BadSecret(&'static str),
    /// The connector names a scheme that this version does not have.
    #[error("the scheme `{0}` is not known")]
    Unknown(String),
    /// A parameter is missing or has no meaning.
    #[error("the parameter `{0}` of the scheme is missing or not valid")]
    Parameter(&'static str),
}

impl Verifier {
    /// Prepares the scheme that a webhook names.
    ///
    /// # Errors
    /// Where it is not known, or its secret or a parameter is missing.
    pub fn new(webhook: &Webhook, connection: &LiveConnection) -> Result<Self, SchemeError> {
        Self::with_secret(webhook, connection, None)
    }

    /// Prepares the scheme with a secret that the daemon has obtained itself, where there is one.
    ///
    /// # Errors
    /// As [`Verifier::new`].
    pub fn with_secret(webhook: &Webhook, connection: &LiveConnection, secret: Option<&Secret>) -> Result<Self, SchemeError> {
        let params = Params { webhook, connection, obtained: secret };
        let chosen;
        let scheme = match webhook.scheme.as_str() {
            "chosen" => {
                chosen = params.text("by")?.ok_or(SchemeError::Parameter("by"))?;
                chosen.as_str()
            }
            scheme => scheme,
        };
        match scheme {
            "token" => Token::new(&params).map(Verifier::Token),
            "none" => Ok(Verifier::None),
            "stripe_signature" => StripeSignature::new(&params).map(Verifier::StripeSignature),
            "basic" => Token::basic(&params).map(Verifier::Token),
            "hmac_sha1" => HmacSha256::new(Digest::Sha1, &params).map(Box::new).map(Verifier::HmacSha256),
            "hmac_sha256" => HmacSha256::new(Digest::Sha256, &params).map(Box::new).map(Verifier::HmacSha256),
            "hmac_sha512" => HmacSha256::new(Digest::Sha512, &params).map(Box::new).map(Verifier::HmacSha256),
            "standard_webhooks" => StandardWebhooks::new(&params).map(Verifier::StandardWebhooks),
            other => Err(SchemeError::Unknown(other.to_owned())),
        }
    }

    /// Returns the header and the parameter of the address that hold a secret, which nobody else is to see.
    pub(crate) fn secret_places(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Verifier::Token(scheme) => scheme.places(),
            Verifier::StripeSignature(_) | Verifier::HmacSha256(_) | Verifier::StandardWebhooks(_) | Verifier::None => {
                (None, None)
            }
        }
    }

    /// Tells whether what the sender proves depends on the body: a signature, not a secret that is repeated.
    pub(crate) fn is_over_the_body(&self) -> bool {
        match self {
            Verifier::StripeSignature(_) | Verifier::HmacSha256(_) | Verifier::StandardWebhooks(_) => true,
            Verifier::Token(_) | Verifier::None => false,
        }
    }

    /// Says whether a body that belongs to these headers can be verified at all, before any of it is read. What passes
    /// here is not verified.
    ///
    /// # Errors
    /// Where no body can make the headers good: they are missing, malformed or stale.
    pub fn precheck(&self, headers: &HeaderMap, query: &str, now: Timestamp) -> Result<(), SignatureError> {
        match self {
            Verifier::Token(scheme) => scheme.verify(headers, query).map(drop),
            Verifier::None => Ok(()),
            Verifier::StripeSignature(scheme) => scheme.precheck(headers, now),
            Verifier::HmacSha256(scheme) => scheme.precheck(headers, now),
            Verifier::StandardWebhooks(scheme) => scheme.precheck(headers, now),
        }
    }

    /// Verifies a body.
    ///
    /// # Errors
    /// Where the signature is missing, malformed, wrong or stale: the body must not be read.
    pub fn verify(&self, headers: &HeaderMap, query: &str, body: &[u8], now: Timestamp) -> Result<Verified, SignatureError> {
        match self {
            Verifier::Token(scheme) => scheme.verify(headers, query),
            Verifier::None => Ok(Verified::default()),
            Verifier::StripeSignature(scheme) => scheme.verify(headers, body, now),
            Verifier::HmacSha256(scheme) => scheme.verify(headers, body, now),
            Verifier::StandardWebhooks(scheme) => scheme.verify(headers, body, now),
        }
    }
}

/// The parameters of a scheme.
pub(crate) struct Params<'a> {
    webhook: &'a Webhook,
    connection: &'a LiveConnection,
    obtained: Option<&'a Secret>,
}

impl Scope for Params<'_> {
    fn env(&self, env: &flow_plan::Env) -> Value {
        match env {
            flow_plan::Env::Setting(name) => self.connection.plan.settings.get(name).cloned().unwrap_or_default(),
            _ => Value::Missing,
        }
    }
}

impl<'a> Params<'a> {
    fn secret(&self) -> Result<&'a Secret, SchemeError> {
        let expr = self.webhook.params.get("secret").ok_or(SchemeError::Parameter("secret"))?;
        self.obtained
            .or_else(|| secret_of(expr, self.connection))
            // With nothing but blanks everybody would be who they say.
            .filter(|secret| !secret.expose().trim().is_empty())
            .ok_or(SchemeError::NoSecret)
    }

    fn value(&self, name: &str) -> Value {
        self.webhook.params.get(name).and_then(|expr| eval(expr, self).ok()).unwrap_or_default()
    }

    fn text(&self, name: &'static str) -> Result<Option<String>, SchemeError> {
        match self.value(name) {
            Value::Missing => Ok(None),
            Value::Text(text) => Ok(Some(text.to_string())),
            _ => Err(SchemeError::Parameter(name)),
        }
    }

    fn expr(&self, name: &str) -> Option<&'a flow_plan::Expr> {
        self.webhook.params.get(name)
    }

    /// Returns the name of a header that a parameter names.
    fn header_of(&self, param: &'static str) -> Result<Option<String>, SchemeError> {
        let Some(name) = self.text(param)? else { return Ok(None) };
        let name = name.to_ascii_lowercase();
        hyper::header::HeaderName::from_bytes(name.as_bytes()).map_err(|_| SchemeError::Parameter(param))?;
        Ok(Some(name))
    }

    fn header(&self, default: Option<&str>) -> Result<String, SchemeError> {
        let name = self.text("header")?.or_else(|| default.map(str::to_owned)).ok_or(SchemeError::Parameter("header"))?;
        let name = name.to_ascii_lowercase();
        hyper::header::HeaderName::from_bytes(name.as_bytes()).map_err(|_| SchemeError::Parameter("header"))?;
        Ok(name)
    }

    /// Returns the tolerance in seconds: a duration or a number of seconds, never 0, since that would be none.
    fn tolerance(&self) -> Result<i64, SchemeError> {
        let seconds = match self.value("tolerance") {
            Value::Missing => return Ok(DEFAULT_TOLERANCE),
            Value::Duration(duration) => duration.approximate_millis() / 1000,
            Value::Number(seconds) => i64::try_from(seconds).unwrap_or(0),
            _ => 0,
        };
        if (1..=LONGEST_TOLERANCE).contains(&seconds) { Ok(seconds) } else { Err(SchemeError::Parameter("tolerance")) }
    }
}

/// The length of an HMAC-SHA256 in hex.
const HEX_LENGTH: usize = 64;
/// The length of an HMAC-SHA256 in base64.
const BASE64_LENGTH: usize = 44;

/// Five minutes, as the schemes say.
const DEFAULT_TOLERANCE: i64 = 300;
/// A day: beyond, freshness means nothing.
const LONGEST_TOLERANCE: i64 = 86_400;

fn key(bytes: &[u8]) -> Result<Key, SchemeError> {
    Key::new_from_slice(bytes).map_err(|_| SchemeError::NoSecret)
}

/// Returns the HMAC over the parts, one after the other.
fn mac(key: &Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = key.clone();
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Returns the one header of this name; a doubled one is malformed.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, SignatureError> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or(SignatureError::Missing)?;
    if values.next().is_some() {
        return Err(SignatureError::Malformed);
    }
    value.to_str().map_err(|_| SignatureError::Malformed)
}

/// Parses Unix seconds: digits only, no sign, no blank.
fn unix_seconds(text: &str) -> Result<i64, SignatureError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(SignatureError::Malformed);
    }
    text.parse().map_err(|_| SignatureError::Malformed)
}
