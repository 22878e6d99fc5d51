//! The built-in connectors, and what is said about broken ones.

mod broken;
mod builtin;
mod docs;
mod fixtures;
mod read;
mod requests;
mod sent;
