//! The commands, one file each.

pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod docs;
pub(crate) mod expand;
pub(crate) mod explain;
pub(crate) mod fmt;
pub(crate) mod graph;
pub(crate) mod import;
pub(crate) mod lock;
pub(crate) mod next;
pub(crate) mod plan;
pub(crate) mod test;
