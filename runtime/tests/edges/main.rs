//! The edges of the runtime, from outside: requests, answers, signatures, the servers and the polls, over real sockets.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking, as tests do")]

mod admin;
mod answer;
mod overload;
mod poll;
mod register;
mod request;
mod scheme;
mod secrets;
mod server;
mod service;
mod stale;
mod support;
mod transport;
