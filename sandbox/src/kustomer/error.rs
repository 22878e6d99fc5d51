//! Kustomer's error bodies, which have two shapes.

use serde_json::json;

use crate::refusal::Refusal;

/// The shape with `code` and `message`.
pub(crate) fn plain(status: u16, code: &str, message: &str) -> Refusal {
    let body = json!({"errors": [{"code": code, "message": message, "meta": {}}]});
    Refusal::new(status, body, format!("{code}: {message}"))
}

/// The shape with `source`, `title` and `detail`.
fn sourced(status: u16, code: &str, parameter: &str, title: &str, detail: &str) -> Refusal {
    let parameter: String = parameter.chars().take(200).collect();
    let error = json!({
        "status": status,
        "source": {"parameter": parameter},
        "code": code,
        "title": title,
        "detail": detail,
    });
    Refusal::new(status, json!({ "errors": [error] }), format!("{code}: {title} ({parameter})"))
}

/// 400: a field has a wrong type or value.
pub(crate) fn bad(parameter: &str, detail: &str) -> Refusal {
    sourced(400, "badparam", parameter, "Invalid parameter", detail)
}

/// 400: a field nobody knows.
pub(crate) fn unknown(parameter: &str, place: &str) -> Refusal {
    let detail = format!("{place}/additionalProperties");
    sourced(400, "badparam", parameter, "Additional properties not allowed", &detail)
}

/// 400: a field is missing.
pub(crate) fn missing(parameter: &str) -> Refusal {
    sourced(400, "badparam", parameter, "Missing required property", "/required")
}

/// 404: nothing has this value.
pub(crate) fn not_found(parameter: &str, what: &str) -> Refusal {
    let detail = format!("The {what} was not found");
    sourced(404, "notfound", parameter, "Not found", &detail)
}

/// 409: another record has this value.
pub(crate) fn conflict(parameter: &str, what: &str) -> Refusal {
    let detail = format!("Another {what} has this value");
    sourced(409, "conflict", parameter, "Value is not unique", &detail)
}

pub(crate) fn unauthorized(message: &str) -> Refusal {
    plain(401, "unauthorized", message)
}

/// What a fault with this status looks like.
pub(crate) fn fault(status: u16, message: &str) -> Refusal {
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
    plain(status, code, message)
}
