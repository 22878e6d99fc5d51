//! What the fuzz targets do with what they are given: one function each, which panics where a promise is broken.
//!
//! The targets in `fuzz_targets/` hand it what libFuzzer makes up. The workspace's own tests take these files in by their
//! path and hand it the kept seeds, so that a stable compiler runs them with every change.

mod admin;
mod check;
mod config;
mod daemon;
mod disk;
mod draw;
mod evaluate;
mod expression;
mod import;
mod payload;
mod record;
#[path = "../../runtime/tests/core/reference.rs"]
mod reference;
mod schedule;
mod syntax;
mod webhook;

pub use admin::admin;
pub use check::check;
pub use config::config;
pub use evaluate::evaluate;
pub use import::import;
pub use payload::payload;
pub use record::record;
pub use schedule::schedule;
pub use syntax::{format, parse};
pub use webhook::webhook;
