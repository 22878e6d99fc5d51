//! Functions for numbers and money.

pub(crate) mod abs;
pub(crate) mod amount;
pub(crate) mod currency;
pub(crate) mod money;
pub(crate) mod number;
pub(crate) mod round;
pub(crate) mod round_down;
pub(crate) mod round_up;
mod rounding;
