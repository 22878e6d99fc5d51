//! When a day begins.

use flow_plan::{Function, Value};

use crate::args::Args;
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "start_of_day",
    subject: Subject::Time,
    form: Form::Call(Function::StartOfDay),
    params: &[Param::new("at", &[Kind::Instant, Kind::Date]), Param::zone()],
    items: &[],
    gives: Gives::Instant,
    may_fail: false,
    keeps_personal: true,
    brief: "the instant at which the day begins",
    docs: "Mostly that is midnight; where clocks are set forward over midnight, it is the first instant after. The clocks are those of `in`, or of the project's `timezone`.",
    examples: &[
        Example("start_of_day(2026-11-26 20:00, in: \"Europe/Paris\")", "2026-11-26 00:00"),
        Example("start_of_day(2026-11-26, in: \"Europe/Paris\")", "2026-11-26 00:00"),
    ],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    let zone = args.zone(1)?;
    let start = args.date(0, 1)?.to_zoned(zone).ok()?.start_of_day().ok()?;
    Some(Value::Instant(start.timestamp()))
}
