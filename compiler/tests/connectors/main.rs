//! The built-in connectors, and what is said about broken ones.

#![cfg(test)]

mod broken;
mod builtin;
mod docs;
mod fixtures;
mod flows;
mod forms;
mod given;
mod read;
mod requests;
mod sent;
