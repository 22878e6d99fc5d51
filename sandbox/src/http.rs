//! One request and one answer, as the emulators see them: whole, in memory, without streams.

use bytes::Bytes;
use hyper::HeaderMap;
use serde_json::Value;

/// A request whose body has been read.
#[derive(Debug)]
pub(crate) struct Request {
    /// Counts the requests of this server; names a claim on an idempotency key.
    pub(crate) id: u64,
    pub(crate) method: String,
    pub(crate) path: String,
    /// Without the question mark, still encoded.
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    /// Returns a header as text; `None` where it is missing or is no text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
    }

    /// Returns the decoded pairs of the query, in order.
    pub(crate) fn query_pairs(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(self.query.as_bytes()).into_owned().collect()
    }

    /// Returns the body as JSON for the log; as text where it is none.
    pub(crate) fn json_or_text(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&self.body).into_owned()))
    }
}

/// What is sent back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl Answer {
    /// An answer with a JSON body, indented as the services do it.
    pub(crate) fn json(status: u16, body: &Value) -> Answer {
        Answer {
            status,
            headers: vec![("content-type".to_owned(), "application/json; charset=utf-8".to_owned())],
            body: json_bytes(body),
        }
    }

    /// An answer without body.
    pub(crate) fn empty(status: u16) -> Answer {
        Answer { status, headers: Vec::new(), body: Bytes::new() }
    }

    /// Adds a header, in place of one with this name.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.into()));
    }

    /// Adds a header, in place of one with this name.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Answer {
        self.set(name, value);
        self
    }
}

/// Writes a value as indented JSON.
pub(crate) fn json_bytes(value: &Value) -> Bytes {
    // A `Value` has only text as keys, so that writing it into memory cannot fail.
    Bytes::from(serde_json::to_vec_pretty(value).unwrap_or_default())
}
