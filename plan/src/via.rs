//! Ways to a service other than HTTP: a named scheme that sends and listens.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Expr;

/// The method of a request that the scheme behind `via` sends; what it sends is the body.
pub const SEND: &str = "send";

/// Where a payload that was listened for says to whom it belongs: a list of the values of [`Listen::by`].
pub const HEARD: &str = "heard";

/// The way to a service that speaks no HTTP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Via {
    /// A named scheme: `mqtt`, `smtp`, `feed`, `files`, `log`.
    pub scheme: String,
    /// Its parameters, over settings and secrets.
    pub params: BTreeMap<String, Expr>,
}

/// What a source listens to: the values that live flows give to one option of its triggers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listen {
    /// The option.
    pub by: String,
    /// What is listened to, over settings, with `*` for the value; without it the value itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<Expr>,
    /// What is taken away when nobody listens to the value any more, as `pattern`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clears: Option<Expr>,
    /// How often it is looked at, in milliseconds, where the scheme has to look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_ms: Option<u64>,
}
