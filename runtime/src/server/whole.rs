//! A webhook whose payload is the whole request: for senders of which nothing is known but that they send.

use std::collections::BTreeMap;

use bytes::Bytes;
use hyper::HeaderMap;
use jiff::Timestamp;
use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};

use super::respond::HttpError;
use crate::scheme::{Verified, Verifier};

/// Headers that hold credentials, or say nothing about the message.
const LEFT_OUT: &[&str] = &["authorization", "cookie", "proxy-authorization", "host", "connection", "content-length", "accept"];

/// One request.
pub(super) struct Whole<'a> {
    pub(super) headers: &'a HeaderMap,
    /// What stands in the address behind the connection.
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) body: &'a [u8],
    pub(super) verifier: &'a Verifier,
    pub(super) verified: &'a Verified,
    pub(super) now: Timestamp,
}

/// Tells whether the body is of a kind that can be read: JSON, a form, or plain text.
pub(super) fn is_readable(essence: &str) -> bool {
    let essence = essence.to_ascii_lowercase();
    is_json(&essence) || matches!(essence.as_str(), "application/x-www-form-urlencoded" | "text/plain" | "")
}

fn is_json(essence: &str) -> bool {
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

impl Whole<'_> {
    /// Returns the request as an object: `id`, `at`, `path`, `headers`, `query` and `body`.
    pub(super) fn payload(&self) -> Result<Bytes, HttpError> {
        let (secret_header, secret_query) = self.verifier.secret_places();
        let hidden = |name: &str| LEFT_OUT.contains(&name) || secret_header == Some(name);
        let mut headers = BTreeMap::new();
        for (name, value) in self.headers {
            if let (false, Ok(value)) = (hidden(name.as_str()), value.to_str()) {
                headers.insert(name.as_str().to_owned(), Json::String(value.to_owned()));
            }
        }
        let query = pairs(self.query.as_bytes()).into_iter().filter(|(name, _)| secret_query != Some(name.as_str()));
        let at = self.verified.signed_at.unwrap_or(self.now);
        let mut payload = Map::new();
        payload.insert("id".to_owned(), Json::String(self.id(at)));
        payload.insert("at".to_owned(), Json::String(flow_functions::rfc3339(at)));
        payload.insert("path".to_owned(), Json::String(self.path.to_owned()));
        payload.insert("headers".to_owned(), Json::Object(headers.into_iter().collect()));
        payload.insert("query".to_owned(), Json::Object(query.collect()));
        payload.insert("body".to_owned(), self.body()?);
        Ok(Bytes::from(Json::Object(payload).to_string()))
    }

    /// The id that is signed. Where a signature covers a time and the body alone it is made of these two: what stands in the
    /// headers and in the address is anybody's who has recorded the message, and must neither make two messages of one nor one
    /// of two. Where no time is signed either, copies cannot be told from messages; a key that the sender gives counts for this
    /// very request. Where nothing is signed it counts as it is, else each delivery is one of its own.
    fn id(&self, at: Timestamp) -> String {
        if let Some(id) = &self.verified.id {
            return id.clone();
        }
        let given = self.headers.get("idempotency-key").and_then(|value| value.to_str().ok()).map(str::trim);
        let given = given.filter(|id| !id.is_empty() && id.len() <= 256);
        let at = at.as_nanosecond().to_be_bytes();
        match (self.verifier.is_over_the_body(), self.verified.signed_at, given) {
            (false, _, Some(id)) => id.to_owned(),
            (true, Some(_), _) => digest(&[&at, self.body]),
            (true, None, Some(id)) => {
                let length = |text: &str| (text.len() as u64).to_be_bytes();
                let (path, query) = (self.path, self.query);
                let parts: [&[u8]; 7] =
                    [&length(id), id.as_bytes(), &length(path), path.as_bytes(), &length(query), query.as_bytes(), self.body];
                digest(&parts)
            }
            (_, _, None) => digest(&[&at, self.path.as_bytes(), self.body]),
        }
    }

    fn body(&self) -> Result<Json, HttpError> {
        let essence = super::webhook::essence(self.headers).unwrap_or_default().to_ascii_lowercase();
        if self.body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Json::Null);
        }
        if essence == "application/x-www-form-urlencoded" {
            return Ok(Json::Object(pairs(self.body).into_iter().collect()));
        }
        let text = std::str::from_utf8(self.body).map_err(|_| HttpError::bad_request("malformed", "the body is not UTF-8"))?;
        if essence == "text/plain" {
            return Ok(Json::String(text.to_owned()));
        }
        crate::json::read(text.as_bytes()).map_err(|_| HttpError::bad_request("malformed", "the body is not valid JSON"))
    }
}

/// Returns what stands for these parts, one after the other.
fn digest(parts: &[&[u8]]) -> String {
    let mut digest = Sha256::new();
    parts.iter().for_each(|part| digest.update(part));
    hex::encode(&digest.finalize()[..16])
}

/// Fields of a form or an address. One that is there several times is a list.
fn pairs(encoded: &[u8]) -> BTreeMap<String, Json> {
    let mut fields: BTreeMap<String, Json> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(encoded) {
        let value = Json::String(value.into_owned());
        match fields.get_mut(name.as_ref()) {
            None => drop(fields.insert(name.into_owned(), value)),
            Some(Json::Array(all)) => all.push(value),
            Some(first) => *first = Json::Array(vec![first.take(), value]),
        }
    }
    fields
}
