//! An instant with a duration that has days or months, which count in a zone. Written by the compiler for `+` and `-`.

use flow_plan::{Span, Value};

use crate::args::Args;

/// The instant, the duration, the zone.
pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    let [Value::Instant(at), Value::Duration(length), Value::Text(zone)] = args.0 else { return None };
    let span = Span { length: *length, zone: Some(zone.to_string()) };
    let shifted = flow_schedule::after(*at, &span);
    // Beyond the end of time there is nothing.
    (shifted > jiff::Timestamp::MIN && shifted < jiff::Timestamp::MAX).then_some(Value::Instant(shifted))
}

#[cfg(test)]
mod tests {
    use flow_plan::{Duration, Function, Value};

    #[test]
    fn a_day_over_a_clock_change_ends_at_the_same_time() {
        let at = |text: &str| Value::Instant(text.parse().unwrap());
        let day = |days| Value::Duration(Duration { days, ..Duration::default() });
        let shift = |from: &str, days| crate::call(&Function::Shift, &[at(from), day(days), Value::text("Europe/Paris")]);
        assert_eq!(shift("2026-03-28T11:00:00Z", 1), at("2026-03-29T10:00:00Z"));
        assert_eq!(shift("2026-03-29T10:00:00Z", -1), at("2026-03-28T11:00:00Z"));
        assert_eq!(shift("2026-10-24T10:00:00Z", 1), at("2026-10-25T11:00:00Z"));
    }
}
