//! A schedule in words.

use flow_plan::Schedule;

/// Returns a schedule in one line.
pub fn explain(schedule: &Schedule) -> String {
    format!("{:?}", schedule.rule)
}
