//! What both programs share: finding a project's files, reading them within bounds, and its flow.toml.

pub mod changes;
pub mod output;
pub mod project;
pub mod secrets;
pub mod terminal;
