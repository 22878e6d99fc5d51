//! ReferralCandy's errors: a status and a `message`.

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) message: String,
}

impl ApiError {
    pub(crate) fn new(status: u16, message: impl Into<String>) -> ApiError {
        ApiError { status, message: message.into() }
    }

    /// 401: the key, the signature or the clock; which of them is not said.
    pub(crate) fn credentials() -> ApiError {
        ApiError::new(401, "Invalid Credentials")
    }

    /// 400: a parameter is missing or empty.
    pub(crate) fn missing(name: &str) -> ApiError {
        ApiError::new(400, format!("{name} is required"))
    }

    /// 400: a parameter has a value that it cannot have.
    pub(crate) fn invalid(name: &str) -> ApiError {
        ApiError::new(400, format!("{name} is invalid"))
    }
}
