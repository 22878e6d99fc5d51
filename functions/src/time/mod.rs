//! Functions for dates and times. An instant has a date and a time of day only in a zone.

pub(crate) mod date_of;
pub(crate) mod day;
pub(crate) mod days_between;
pub(crate) mod hour;
pub(crate) mod minute;
pub(crate) mod month;
pub(crate) mod shift;
pub(crate) mod start_of_day;
pub(crate) mod time_of;
pub(crate) mod weekday;
pub(crate) mod year;
