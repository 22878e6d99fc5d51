//! The edges of the runtime, from outside: requests, answers, signatures, the servers and the polls, over real sockets.

mod admin;
mod answer;
mod poll;
mod request;
mod scheme;
mod secrets;
mod server;
mod service;
mod support;
mod transport;
