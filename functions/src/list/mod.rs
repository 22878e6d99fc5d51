//! Functions over lists.

pub(crate) mod all;
pub(crate) mod any;
pub(crate) mod average;
pub(crate) mod count;
mod extreme;
pub(crate) mod filter;
pub(crate) mod first;
pub(crate) mod last;
pub(crate) mod map;
pub(crate) mod max;
pub(crate) mod min;
pub(crate) mod reverse;
pub(crate) mod sort;
pub(crate) mod sum;
pub(crate) mod unique;
