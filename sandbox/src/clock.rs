//! The time, as whoever started the sandbox sees it.

use std::sync::Arc;

use jiff::Timestamp;

/// Says what time it is. The system's clock by default; a test puts its own here.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Returns the system's clock.
pub fn system_clock() -> Clock {
    Arc::new(Timestamp::now)
}
