//! Plans and events to effects, durably.
//!
//! Webhooks, polls, schedules, silences and states become events; events that match start runs; a run is a journal that the pure
//! `run::apply` extends; the executor performs what it orders. Only `world` meets time, network and randomness.

pub mod admin;
pub mod alarm;
pub mod answer;
pub mod backtest;
pub mod check;
mod clock;
mod connection;
pub mod decode;
mod delivered;
pub mod engine;
pub mod eval;
pub mod event;
pub(crate) mod executor;
pub mod form;
pub mod journal;
pub mod json;
pub mod key;
pub mod limit;
mod listen;
mod listing;
pub mod live;
pub mod matcher;
mod poll;
mod reading;
pub mod register;
pub mod replay;
pub mod request;
pub mod retry;
pub mod run;
pub mod scan;
pub mod scheme;
pub mod secret;
pub mod server;
pub mod service;
pub mod sim;
pub mod store;
mod swap;
pub mod transport;
mod turns;
pub mod via;
pub mod why;
pub mod world;
