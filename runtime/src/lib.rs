//! Plans and events to effects, durably.
//!
//! Webhooks, polls and (later) schedules become events; events that match start runs; a run is a journal that the pure
//! `run::apply` extends; the executor performs what it orders. Only `world` meets time, network and randomness.

pub mod event;
pub mod live;
pub mod secret;
pub mod world;
