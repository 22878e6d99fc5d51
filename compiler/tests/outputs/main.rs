//! What is said about a whole project and in which form: allowed warnings, SARIF, flow.lock, data flow, graphs.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod allow;
mod support;
