//! Behaviour from outside: real files through the real programs, real sockets, real signatures.

mod support;

mod accept;
mod check;
mod config;
mod docs;
mod examples;
mod fmt;
mod kill;
mod look;
mod reload;
mod retry;
