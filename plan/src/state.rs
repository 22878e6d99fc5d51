//! States: what is so at the moment, as a query tells it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Expr, Operation};

/// A state of a connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StateSource {
    /// Its name in the connector.
    pub name: String,
    /// The query that tells it.
    pub query: Arc<Operation>,
    /// The inputs of the query.
    pub args: Vec<Expr>,
    /// The value in the query's result, which is [`Expr::Local`] 0; missing is unavailable.
    pub value: Expr,
    /// The members, where it is an enum; empty otherwise. A value that is none of them is unavailable, and so is what says
    /// so itself: `unknown`, `unavailable`.
    pub members: Vec<String>,
    /// The interval in milliseconds at which it is read, unless flow.toml says otherwise.
    pub every_ms: u64,
    /// The interval is longer where the quota of the key asks for that: the compiler has made it so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub within_quota: bool,
}
