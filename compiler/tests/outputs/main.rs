//! What is said about a whole project and in which form: allowed warnings, SARIF, flow.lock, data flow, graphs.

#![expect(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the report")]

mod allow;
mod graph;
mod lock;
mod sarif;
mod sends;
mod support;
