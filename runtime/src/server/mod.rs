//! The HTTP server for webhooks, and the connection loop that the admin API shares.
//!
//! The path of a webhook is short on purpose: limits, connection, signature, envelope, one durable accept, answer. It is
//! written on the socket, with a parser of heads: what senders may do is bounded to the byte, and nothing is understood in
//! another way than it was written.

pub(crate) mod body;
mod chunks;
pub(crate) mod connection;
pub(crate) mod counters;
pub mod envelope;
mod head;
mod limits;
pub(crate) mod listen;
mod memory;
mod places;
mod ready;
pub(crate) mod respond;
mod routes;
mod webhook;
mod whole;
mod wire;

pub(crate) use envelope::{EnvelopeReader, Misread};
pub use limits::Limits;
pub(crate) use ready::Readiness;
pub(crate) use routes::Routes;
pub(crate) use webhook::Server;
