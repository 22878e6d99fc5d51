//! Stripe's error bodies.

use serde_json::{Map, Value, json};

use crate::http::Answer;

/// Why a request is refused.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    kind: &'static str,
    code: Option<String>,
    message: String,
    param: Option<String>,
    /// Further fields of the error, such as `decline_code`.
    extra: Map<String, Value>,
    /// Whether the request had begun to run, so that the answer is kept under its idempotency key.
    pub(crate) executed: bool,
}

impl ApiError {
    fn new(status: u16, kind: &'static str, message: impl Into<String>) -> ApiError {
        ApiError { status, kind, code: None, message: message.into(), param: None, extra: Map::new(), executed: false }
    }

    /// 400: a parameter is wrong. Nothing has run.
    pub(crate) fn parameter(code: &str, param: &str, message: impl Into<String>) -> ApiError {
        ApiError::new(400, "invalid_request_error", message).code(code).param(param)
    }

    /// 400: a parameter is missing. Nothing has run.
    pub(crate) fn missing(param: &str) -> ApiError {
        ApiError::parameter("parameter_missing", param, format!("Missing required param: {param}."))
    }

    /// 400: the request is sound, the state does not allow it.
    pub(crate) fn state(code: &str, message: impl Into<String>) -> ApiError {
        let mut error = ApiError::new(400, "invalid_request_error", message).code(code);
        error.executed = true;
        error
    }

    /// 400 without a code.
    pub(crate) fn invalid(message: impl Into<String>) -> ApiError {
        ApiError::new(400, "invalid_request_error", message)
    }

    pub(crate) fn unauthorized(message: impl Into<String>) -> ApiError {
        ApiError::new(401, "invalid_request_error", message)
    }

    /// 404: what the path names does not exist.
    pub(crate) fn not_found(what: &str, id: &str) -> ApiError {
        let mut error =
            ApiError::new(404, "invalid_request_error", format!("No such {}: '{}'", what.replace('.', " "), shorten(id)))
                .code("resource_missing")
                .param("id");
        error.executed = true;
        error
    }

    /// 400: what a parameter names does not exist.
    pub(crate) fn no_such(what: &str, id: &str, param: &str) -> ApiError {
        let mut error = ApiError::not_found(what, id).param(param);
        error.status = 400;
        error
    }

    /// 404: no such address.
    pub(crate) fn unknown_url(method: &str, path: &str) -> ApiError {
        ApiError::new(
            404,
            "invalid_request_error",
            format!(
                "Unrecognized request URL ({method}: {}). Please see https://stripe.com/docs or we can help at https://support.stripe.com/.",
                shorten(path)
            ),
        )
    }

    /// 402: a card was declined.
    pub(crate) fn card(code: &str, decline_code: Option<&str>, message: &str) -> ApiError {
        let mut error = ApiError::new(402, "card_error", message).code(code);
        if let Some(decline_code) = decline_code {
            error = error.extra("decline_code", json!(decline_code));
        }
        error.executed = true;
        error
    }

    pub(crate) fn idempotency(message: impl Into<String>) -> ApiError {
        ApiError::new(400, "idempotency_error", message)
    }

    pub(crate) fn key_in_use(key: &str) -> ApiError {
        ApiError::new(
            409,
            "idempotency_error",
            format!("There is currently another in-progress request using this Idempotent Key: {key}"),
        )
        .code("idempotency_key_in_use")
    }

    pub(crate) fn rate_limited() -> ApiError {
        ApiError::new(429, "invalid_request_error", "Too many requests in a period of time.").code("rate_limit")
    }

    /// Adds what an answer with this error says in its headers.
    pub(crate) fn headers(&self, answer: &mut Answer) {
        if self.code.as_deref() == Some("rate_limit") {
            answer.set("stripe-rate-limited-reason", "global-rate");
        }
    }

    /// What a fault with this status looks like.
    pub(crate) fn fault(status: u16, message: &str) -> ApiError {
        match status {
            429 => ApiError::rate_limited(),
            401 => ApiError::unauthorized(message),
            400..500 => ApiError::new(status, "invalid_request_error", message),
            _ => ApiError::new(status, "api_error", message),
        }
    }

    pub(crate) fn with_message(mut self, message: String) -> ApiError {
        self.message = message;
        self
    }

    pub(crate) fn code(mut self, code: &str) -> ApiError {
        self.code = Some(code.to_owned());
        self
    }

    pub(crate) fn param(mut self, param: &str) -> ApiError {
        self.param = Some(param.to_owned());
        self
    }

    pub(crate) fn extra(mut self, name: &str, value: Value) -> ApiError {
        self.extra.insert(name.to_owned(), value);
        self
    }

    /// Returns the body of the answer.
    pub(crate) fn body(&self, request_id: &str) -> Value {
        let mut error = self.extra.clone();
        error.insert("type".to_owned(), json!(self.kind));
        error.insert("message".to_owned(), json!(self.message));
        if let Some(code) = &self.code {
            error.insert("code".to_owned(), json!(code));
            let page = code.replace('_', "-");
            error.insert("doc_url".to_owned(), json!(format!("https://stripe.com/docs/error-codes/{page}")));
        }
        if let Some(param) = &self.param {
            error.insert("param".to_owned(), json!(param));
        }
        error.insert("request_log_url".to_owned(), json!(format!("https://dashboard.stripe.com/test/logs/{request_id}")));
        json!({ "error": error })
    }

    /// Returns one line for the log.
    pub(crate) fn summary(&self) -> String {
        let code = self.code.as_deref().unwrap_or(self.kind);
        format!("{code}: {}", self.message)
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(200).collect()
}
