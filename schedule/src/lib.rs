//! Calendar arithmetic: zones, lengths of time that days and months are part of, and the instants of schedules.
//!
//! Pure: no clock is read, and the time zone data is built in, so that the compiler and the runtime say the same on every
//! machine. Whoever asks gives the instant.

mod calendar;
mod change;
mod clock;
mod cron;
mod explain;
mod instants;
mod interval;
mod span;
mod sun;
mod zone;

pub use change::{Change, changes};
pub use cron::{Cron, CronError, CronMistake};
pub use explain::{clock_change, explain, missed, unit};
pub use instants::{Instants, instants, next};
pub use interval::interval;
pub use span::{after, before, next_time, on_clock, period, showing};
pub use sun::{Sun, sun};
pub use zone::{NameKind, Suggestion, Zone, names, suggest, zone};
