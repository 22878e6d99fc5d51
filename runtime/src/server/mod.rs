//! The HTTP server for webhooks, and the connection loop that the admin API shares.
//!
//! The path of a webhook is short on purpose: limits, connection, signature, envelope, one durable accept, answer. It is
//! written on hyper directly, since a router would cost more than the five addresses that there are.

pub(crate) mod counters;
pub mod envelope;
mod limits;
pub(crate) mod listen;
mod memory;
mod ready;
pub(crate) mod respond;
mod routes;
mod webhook;
mod whole;

pub(crate) use envelope::{EnvelopeReader, Misread};
pub use limits::Limits;
pub(crate) use ready::Readiness;
pub(crate) use routes::Routes;
pub(crate) use webhook::Server;
