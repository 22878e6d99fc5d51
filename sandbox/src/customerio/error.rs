//! Customer.io's error bodies: each of its APIs has its own.

use serde_json::{Value, json};

/// Which API a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    /// People and events.
    Track,
    /// Messages, broadcasts, and what there is to read.
    App,
}

/// Why a request is refused.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    body: Value,
    summary: String,
}

impl ApiError {
    /// The Track API's form, which has a list.
    pub(crate) fn listed(status: u16, message: &str) -> ApiError {
        ApiError { status, body: json!({"meta": {"errors": [message]}}), summary: message.to_owned() }
    }

    /// The form with one text: that of a refused message, and of wrong credentials.
    pub(crate) fn single(status: u16, message: &str) -> ApiError {
        ApiError { status, body: json!({"meta": {"error": message}}), summary: message.to_owned() }
    }

    /// The App API's form for most errors.
    pub(crate) fn detailed(status: u16, detail: &str) -> ApiError {
        ApiError {
            status,
            body: json!({"errors": [{"detail": detail, "status": status.to_string()}]}),
            summary: detail.to_owned(),
        }
    }

    /// 422: a field of a broadcast.
    pub(crate) fn pointed(pointer: &str, detail: &str) -> ApiError {
        ApiError {
            status: 422,
            body: json!({"errors": [{"detail": detail, "source": {"pointer": pointer}}]}),
            summary: format!("{pointer}: {detail}"),
        }
    }

    /// The usual form of an API.
    pub(crate) fn of(api: Api, status: u16, message: &str) -> ApiError {
        match (api, status) {
            (_, 401) => ApiError::single(401, message),
            (Api::Track, _) => ApiError::listed(status, message),
            (Api::App, _) => ApiError::detailed(status, message),
        }
    }

    pub(crate) fn body(&self) -> &Value {
        &self.body
    }

    pub(crate) fn summary(&self) -> &str {
        &self.summary
    }
}
