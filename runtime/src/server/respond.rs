//! Answers of the server and of the admin API.

use std::borrow::Cow;

use bytes::Bytes;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

/// An answer with its whole body.
pub(crate) type Answer = Response<Bytes>;

/// An answer that is an error: `{"error":{"code","message"}}`.
#[derive(Debug, Clone)]
pub(crate) struct HttpError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: Cow<'static, str>,
    /// Seconds.
    pub(crate) retry_after: Option<u32>,
    pub(crate) allow: Option<&'static str>,
}

impl HttpError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, message: message.into(), retry_after: None, allow: None }
    }

    pub(crate) fn bad_request(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(crate) fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    pub(crate) fn unavailable(code: &'static str, message: impl Into<Cow<'static, str>>, retry_after: u32) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message) }
    }

    pub(crate) fn method_not_allowed(allow: &'static str) -> Self {
        let message = format!("this address takes {allow} only");
        Self { allow: Some(allow), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message) }
    }

    pub(crate) fn into_answer(self) -> Answer {
        let body = serde_json::json!({ "error": { "code": self.code, "message": self.message } });
        let mut answer = json(self.status, body.to_string());
        let headers = answer.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if self.status == StatusCode::UNAUTHORIZED && self.code == "token" {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        answer
    }
}

/// Returns a JSON answer.
pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    text(status, "application/json", body)
}

/// Returns an answer of any type, which is never stored by a cache nor guessed at by a browser.
pub(crate) fn text(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    answer
}

/// Senders beyond a bound of the server are told to come again.
pub(crate) fn busy(message: &'static str) -> HttpError {
    HttpError::unavailable("busy", message, 5)
}

/// How an answer is written, beside what it says.
#[derive(Debug)]
pub(super) struct Manner {
    /// The request was HEAD.
    pub(super) head_only: bool,
    /// Another request may follow.
    pub(super) keep: bool,
    /// The request was of HTTP/1.1, not of HTTP/1.0.
    pub(super) current: bool,
    pub(super) now: Timestamp,
}

impl Manner {
    /// The last answer of a connection.
    pub(super) fn last(now: Timestamp) -> Self {
        Self { head_only: false, keep: false, current: true, now }
    }
}

/// Writes the head of an answer. No header has a line break, so none can become two.
pub(super) fn encode(answer: &Answer, manner: &Manner, into: &mut Vec<u8>) {
    let status = answer.status();
    let mut put = |pieces: [&[u8]; 3]| {
        pieces.iter().for_each(|piece| into.extend_from_slice(piece));
        into.extend_from_slice(b"\r\n");
    };
    put([b"HTTP/1.1 ", status.as_str().as_bytes(), format!(" {}", status.canonical_reason().unwrap_or_default()).as_bytes()]);
    for (name, value) in answer.headers() {
        put([name.as_str().as_bytes(), b": ", value.as_bytes()]);
    }
    put([b"content-length", b": ", answer.body().len().to_string().as_bytes()]);
    if let Ok(date) = DateTimePrinter::new().timestamp_to_rfc9110_string(&manner.now) {
        put([b"date", b": ", date.as_bytes()]);
    }
    match (manner.keep, manner.current) {
        (false, _) => put([b"connection", b": ", b"close"]),
        (true, false) => put([b"connection", b": ", b"keep-alive"]),
        (true, true) => {}
    }
    put([b"", b"", b""]);
}
