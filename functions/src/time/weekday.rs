//! The day of the week.

use flow_plan::{Function, Value};

use crate::args::Args;
use crate::spec::WEEKDAYS;
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "weekday",
    subject: Subject::Time,
    form: Form::Call(Function::Weekday),
    params: &[Param::new("at", &[Kind::Instant, Kind::Date]), Param::zone()],
    items: &[],
    gives: Gives::Weekday,
    may_fail: false,
    keeps_personal: false,
    brief: "the day of the week of an instant or date: \"monday\" to \"sunday\"",
    docs: "The clocks are those of `in`, or of the project's `timezone`. A date needs no zone.",
    examples: &[
        Example("weekday(2026-11-26)", "\"thursday\""),
        Example("weekday(2026-11-26 20:00, in: \"Asia/Tokyo\") in [\"saturday\", \"sunday\"]", "false"),
    ],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    let day = args.date(0, 1)?.weekday().to_monday_zero_offset();
    WEEKDAYS.get(usize::try_from(day).ok()?).map(|name| Value::text(*name))
}
