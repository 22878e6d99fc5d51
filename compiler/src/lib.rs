//! Flow sources and connectors to plans, or to diagnostics.
//!
//! Pure: no files, no clock, no network, no environment. Equal inputs give an equal plan, byte for byte. Each pass
//! returns what it could make and its diagnostics, so that one mistake hides no other.

pub mod allow;
pub mod catalog;
pub mod changes;
pub mod code;
pub mod compile;
pub mod config;
pub mod connector;
pub mod diagnostic;
pub mod docs;
mod expose;
pub mod flow;
pub mod graph;
pub mod lint;
pub mod listing;
pub mod lock;
mod pace;
pub mod report;
pub mod sarif;
pub mod settings;
pub mod suggest;
mod zone;

pub use code::Code;
pub use diagnostic::{Diagnostic, Edit, Fix, Label, Severity};
