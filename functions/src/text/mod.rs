//! Functions that make texts, or are about them.

pub(crate) mod capitalize;
pub(crate) mod cut;
pub(crate) mod format;
pub(crate) mod join;
pub(crate) mod length;
pub(crate) mod lower;
pub(crate) mod replace;
pub(crate) mod slice;
pub(crate) mod split;
pub(crate) mod trim;
pub(crate) mod upper;
