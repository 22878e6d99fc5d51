//! How many days lie between two dates.

use flow_plan::{Function, Value};
use rust_decimal::Decimal;

use crate::args::Args;
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "days_between",
    subject: Subject::Time,
    form: Form::Call(Function::DaysBetween),
    params: &[Param::new("from", &[Kind::Date, Kind::Instant]), Param::new("to", &[Kind::Date, Kind::Instant]), Param::zone()],
    items: &[],
    gives: Gives::Whole,
    may_fail: false,
    keeps_personal: false,
    brief: "how many days it is from one date to another",
    docs: "Days of the calendar are counted, midnights that is: from 23:00 to 01:00 it is one day. Backwards it is a negative number. The clocks are those of `in`, or of the project's `timezone`. Two dates need no zone. For hours and minutes subtract the instants: `now - created_at > 36 hours`.",
    examples: &[
        Example("days_between(2026-11-26, 2026-12-01)", "5"),
        Example("days_between(2026-12-01, 2026-11-26)", "-5"),
        Example("days_between(2026-11-26 23:00, 2026-11-27 01:00)", "1"),
    ],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    let (from, to) = (args.date(0, 2)?, args.date(1, 2)?);
    Some(Value::Number(Decimal::from(to.since((jiff::Unit::Day, from)).ok()?.get_days())))
}
