//! `token`: a fixed secret that the sender repeats, in a header or as a parameter of the address.
//!
//! It proves who sends and nothing else: whoever reads one delivery can send others.

use hyper::HeaderMap;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Params, SchemeError, SignatureError, Verified, single};
use crate::secret::Secret;

/// The scheme with its parameters: `secret`, `header` (`authorization`, unless said otherwise) or `query`.
#[derive(Clone)]
pub struct Token {
    secret: Secret,
    place: Place,
    /// It stands as the password of this user, in the form of HTTP's basic authentication.
    user: Option<String>,
}

#[derive(Clone)]
enum Place {
    Header(String),
    Query(String),
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    pub(super) fn new(params: &Params<'_>) -> Result<Self, SchemeError> {
        let place = match (params.text("query")?, params.header_of("header")?) {
            (Some(query), None) => Place::Query(query),
            (None, header) => Place::Header(header.unwrap_or_else(|| "authorization".to_owned())),
            (Some(_), Some(_)) => return Err(SchemeError::Parameter("query")),
        };
        Ok(Self { secret: params.secret()?.clone(), place, user: None })
    }

    /// The secret is the password of a user: `Authorization: Basic …`.
    pub(super) fn basic(params: &Params<'_>) -> Result<Self, SchemeError> {
        let user = params.text("user")?.unwrap_or_default();
        // A colon would end it.
        if user.contains(':') {
            return Err(SchemeError::Parameter("user"));
        }
        Ok(Self { secret: params.secret()?.clone(), place: Place::Header("authorization".to_owned()), user: Some(user) })
    }

    pub(super) fn places(&self) -> (Option<&str>, Option<&str>) {
        match &self.place {
            Place::Header(name) => (Some(name), None),
            Place::Query(name) => (None, Some(name)),
        }
    }

    /// `query` is that of the address, as it came.
    pub(super) fn verify(&self, headers: &HeaderMap, query: &str) -> Result<Verified, SignatureError> {
        let given = match &self.place {
            Place::Header(name) => {
                let value = single(headers, name)?;
                // "Bearer" is what most senders put in front, whatever the case.
                let bearer = value.get(..7).filter(|begin| begin.eq_ignore_ascii_case("bearer "));
                bearer.map_or(value, |begin| &value[begin.len()..]).to_owned()
            }
            Place::Query(name) => {
                let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(known, _)| known == name);
                let value = values.next().ok_or(SignatureError::Missing)?.1.into_owned();
                if values.next().is_some() {
                    return Err(SignatureError::Malformed);
                }
                value
            }
        };
        if let Some(user) = &self.user {
            let encoded = given.get(..6).filter(|begin| begin.eq_ignore_ascii_case("basic ")).map(|begin| &given[begin.len()..]);
            let decoded = encoded.and_then(flow_functions::from_base64).map(Zeroizing::new);
            let decoded = decoded.ok_or(SignatureError::Malformed)?;
            let expected = Zeroizing::new(format!("{user}:{}", self.secret.expose().trim()));
            let same = bool::from(decoded.as_slice().ct_eq(expected.as_bytes()));
            return if same { Ok(Verified::default()) } else { Err(SignatureError::Mismatch) };
        }
        if bool::from(given.trim().as_bytes().ct_eq(self.secret.expose().trim().as_bytes())) {
            Ok(Verified::default())
        } else {
            Err(SignatureError::Mismatch)
        }
    }
}
