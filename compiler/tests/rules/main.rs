//! The checks over all flows together: whole projects in, plain text out.

mod cycles;
mod overlaps;
mod project;
mod quotas;
mod unreachable;
mod verdict;
