//! A schedule with what the compiler added written out, for `flowc expand`.

use flow_grammar::span::Span;
use flow_grammar::syntax::{
    Clause, ClauseKind, DurationLit, DurationUnit, Flow, Ident, NumberLit, Quote, Start, TextLit, TextPart,
};
use flow_plan::{Duration, Missed, Schedule};

/// Writes zone, `missed` and `on clock change` into a flow that leaves them out.
pub(in crate::flow) fn written_out(flow: &mut Flow, schedule: &Schedule) {
    let Start::Every(every) = &mut flow.start else { return };
    let span = every.span.after();
    if every.zone.is_none()
        && let Some(zone) = &schedule.zone
    {
        every.zone = Some(TextLit { span, quote: Quote::Double, parts: vec![TextPart::Text(zone.clone())] });
    }
    let has = |wanted: fn(&ClauseKind) -> bool| flow.clauses.iter().any(|clause| wanted(&clause.kind));
    if !has(|kind| matches!(kind, ClauseKind::Missed { .. })) {
        let (policy, within) = match &schedule.missed {
            Missed::Skip => ("skip", None),
            Missed::All => ("all", None),
            Missed::Latest { within } => ("latest", Some(duration(within.length, span))),
        };
        let kind = ClauseKind::Missed { policy: ident(policy, span), within };
        flow.clauses.push(Clause { span, kind });
    }
    let has = |wanted: fn(&ClauseKind) -> bool| flow.clauses.iter().any(|clause| wanted(&clause.kind));
    // What goes with the clock has no word for that.
    if let Some(word) = flow_schedule::clock_change(schedule)
        && !has(|kind| matches!(kind, ClauseKind::OnClockChange(_)))
    {
        flow.clauses.push(Clause { span, kind: ClauseKind::OnClockChange(ident(word, span)) });
    }
}

fn ident(text: &str, span: Span) -> Ident {
    Ident { text: text.to_owned(), span }
}

fn duration(length: Duration, span: Span) -> DurationLit {
    let mut parts = Vec::new();
    let mut part = |number: i64, unit| {
        if number != 0 {
            parts.push((NumberLit { span, digits: number.to_string() }, unit));
        }
    };
    part(i64::from(length.months), DurationUnit::Month);
    part(i64::from(length.days), DurationUnit::Day);
    part(length.millis / 3_600_000, DurationUnit::Hour);
    part(length.millis % 3_600_000 / 60_000, DurationUnit::Minute);
    part(length.millis % 60_000 / 1_000, DurationUnit::Second);
    DurationLit { span, parts }
}
