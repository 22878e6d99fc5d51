//! Kustomer's error bodies, which have two shapes.

use serde_json::{Value, json};

/// Why a request is refused.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    body: Value,
    summary: String,
}

impl ApiError {
    /// The shape with `code` and `message`.
    pub(crate) fn plain(status: u16, code: &str, message: &str) -> ApiError {
        ApiError {
            status,
            body: json!({"errors": [{"code": code, "message": message, "meta": {}}]}),
            summary: format!("{code}: {message}"),
        }
    }

    /// The shape with `source`, `title` and `detail`.
    fn sourced(status: u16, code: &str, parameter: &str, title: &str, detail: &str) -> ApiError {
        let parameter: String = parameter.chars().take(200).collect();
        ApiError {
            status,
            summary: format!("{code}: {title} ({parameter})"),
            body: json!({"errors": [{
                "status": status,
                "source": {"parameter": parameter},
                "code": code,
                "title": title,
                "detail": detail,
            }]}),
        }
    }

    /// 400: a field has a wrong type or value.
    pub(crate) fn bad(parameter: &str, detail: &str) -> ApiError {
        ApiError::sourced(400, "badparam", parameter, "Invalid parameter", detail)
    }

    /// 400: a field nobody knows.
    pub(crate) fn unknown(parameter: &str, place: &str) -> ApiError {
        let detail = format!("{place}/additionalProperties");
        ApiError::sourced(400, "badparam", parameter, "Additional properties not allowed", &detail)
    }

    /// 400: a field is missing.
    pub(crate) fn missing(parameter: &str) -> ApiError {
        ApiError::sourced(400, "badparam", parameter, "Missing required property", "/required")
    }

    /// 404: nothing has this value.
    pub(crate) fn not_found(parameter: &str, what: &str) -> ApiError {
        let detail = format!("The {what} was not found");
        ApiError::sourced(404, "notfound", parameter, "Not found", &detail)
    }

    /// 409: another record has this value.
    pub(crate) fn conflict(parameter: &str, what: &str) -> ApiError {
        let detail = format!("Another {what} has this value");
        ApiError::sourced(409, "conflict", parameter, "Value is not unique", &detail)
    }

    pub(crate) fn unauthorized(message: &str) -> ApiError {
        ApiError::plain(401, "unauthorized", message)
    }

    /// What a fault with this status looks like.
    pub(crate) fn fault(status: u16, message: &str) -> ApiError {
        let code = match status {
            401 => "unauthorized",
            403 => "forbidden",
            404 => "notfound",
            409 => "conflict",
            413 => "request_too_large",
            429 => "rate_limited",
            400..500 => "bad_request",
            _ => "internal_error",
        };
        ApiError::plain(status, code, message)
    }

    pub(crate) fn body(&self) -> &Value {
        &self.body
    }

    pub(crate) fn summary(&self) -> String {
        self.summary.clone()
    }
}
