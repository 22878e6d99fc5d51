//! Parameters, and the signature over them.

use std::collections::BTreeMap;

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

use super::error::ApiError;
use super::{ACCESS_ID, SECRET_KEY};
use crate::http::Request;

/// A clock that is off by more is refused, in seconds.
const MOST_SKEW: i64 = 300;

/// The parameters of a call, without those that sign it.
#[derive(Debug)]
pub(crate) struct Params(BTreeMap<String, String>);

impl Params {
    /// Reads the address and the form, which count alike, and checks who signed them.
    pub(crate) fn signed(request: &Request, now: i64) -> Result<Params, ApiError> {
        let form = form_urlencoded::parse(&request.body).into_owned();
        let mut all: BTreeMap<String, String> = request.query_pairs().into_iter().chain(form).collect();
        let signature = all.remove("signature").unwrap_or_default();
        let expected = signature_of(SECRET_KEY, &all);
        let fresh = all
            .get("timestamp")
            .and_then(|at| at.parse::<i64>().ok())
            .is_some_and(|at| at.saturating_sub(now).unsigned_abs() <= MOST_SKEW.unsigned_abs());
        let known = all.get("accessID").is_some_and(|id| id == ACCESS_ID);
        let sound = bool::from(signature.as_bytes().ct_eq(expected.as_bytes()));
        if !(sound && known && fresh) {
            return Err(ApiError::credentials());
        }
        all.remove("accessID");
        all.remove("timestamp");
        Ok(Params(all))
    }

    /// A parameter; empty ones count as given.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter that must have a value.
    pub(crate) fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name).filter(|value| !value.trim().is_empty()).ok_or_else(|| ApiError::missing(name))
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let parse = |value: &str| value.parse().map_err(|_| ApiError::invalid(name));
        self.get(name).filter(|value| !value.is_empty()).map(parse).transpose()
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.get(name) {
            None | Some("") => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(ApiError::invalid(name)),
        }
    }

    pub(crate) fn email(&self, name: &str) -> Result<String, ApiError> {
        let email = self.required(name)?;
        if !email.contains('@') || email.contains(char::is_whitespace) {
            return Err(ApiError::invalid(name));
        }
        Ok(email.to_lowercase())
    }

    /// The parameters as JSON, for the log.
    pub(crate) fn shown(&self) -> serde_json::Value {
        serde_json::json!(self.0)
    }
}

/// MD5 over the secret and all parameters as `name=value`, sorted by name, with nothing between.
fn signature_of(secret: &str, params: &BTreeMap<String, String>) -> String {
    let mut text = secret.to_owned();
    for (name, value) in params {
        text.push_str(name);
        text.push('=');
        text.push_str(value);
    }
    hex::encode(Md5::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_of_the_worked_example() {
        let params = [("accessID", "acihijaklscj"), ("name", "john"), ("timestamp", "1296664909")];
        let params = params.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(signature_of("APISECRETKEY", &params), "04535fe455e9f77a90c06e81d7888569");
    }
}
