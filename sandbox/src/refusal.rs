//! Why a request is refused, as a service says it.

use serde_json::Value;

/// A refused request: each service has its own forms of the body, in its `error.rs`.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    body: Value,
    summary: String,
}

impl Refusal {
    /// With the body that is answered, and one line for a person.
    pub(crate) fn new(status: u16, body: Value, summary: impl Into<String>) -> Refusal {
        Refusal { status, body, summary: summary.into() }
    }

    pub(crate) fn body(&self) -> &Value {
        &self.body
    }

    pub(crate) fn summary(&self) -> &str {
        &self.summary
    }
}
