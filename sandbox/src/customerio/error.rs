//! Customer.io's error bodies: each of its APIs has its own.

use serde_json::json;

use crate::refusal::Refusal;

/// Which API a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    /// People and events.
    Track,
    /// Messages, broadcasts, and what there is to read.
    App,
}

/// The Track API's form, which has a list.
pub(crate) fn listed(status: u16, message: &str) -> Refusal {
    Refusal::new(status, json!({"meta": {"errors": [message]}}), message)
}

/// The form with one text: that of a refused message, and of wrong credentials.
pub(crate) fn single(status: u16, message: &str) -> Refusal {
    Refusal::new(status, json!({"meta": {"error": message}}), message)
}

/// The App API's form for most errors.
pub(crate) fn detailed(status: u16, detail: &str) -> Refusal {
    Refusal::new(status, json!({"errors": [{"detail": detail, "status": status.to_string()}]}), detail)
}

/// 422: a field of a broadcast.
pub(crate) fn pointed(pointer: &str, detail: &str) -> Refusal {
    let body = json!({"errors": [{"detail": detail, "source": {"pointer": pointer}}]});
    Refusal::new(422, body, format!("{pointer}: {detail}"))
}

/// The usual form of an API.
pub(crate) fn of(api: Api, status: u16, message: &str) -> Refusal {
    match (api, status) {
        (_, 401) => single(401, message),
        (Api::Track, _) => listed(status, message),
        (Api::App, _) => detailed(status, message),
    }
}
