//! Calendar arithmetic: zones, lengths of time that days and months are part of, and the instants of schedules.
//!
//! Pure: no clock is read, and the time zone data is built in, so that the compiler and the runtime say the same on every
//! machine. Whoever asks gives the instant.

mod span;
mod zone;

pub use span::{after, before, next_time, period};
pub use zone::{Zone, zone};
