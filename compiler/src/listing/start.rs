//! What starts a flow beside plain events, and what limits its starts, in the words of the language.

use flow_plan::{
    Absence, CalendarUnit, Duration, Expr, Flow, Gaps, Limits, Otherwise, Rate, StateOp, StateStart, TriggerUse, WhileRunning,
};

/// The `when` of an absence, without the word: `no stripe.new_payment within 6 hours`.
pub(super) fn absence(used: &TriggerUse, absence: &Absence) -> String {
    format!("no {}.{} within {}", used.connection, absence.awaited.name, absence.within.length)
}

/// The `when` of a state, without the word: `front_door.standing is unlocked for 10 minutes`.
pub(super) fn state(used: &TriggerUse, start: &StateStart) -> String {
    let mut text = format!("{}.{} {}", used.connection, start.state, compared(start));
    if let Some(lasting) = &start.lasting {
        let gaps = match start.gaps {
            Gaps::Verify => "verify",
            Gaps::Assume => "assume",
            Gaps::Restart => "restart",
        };
        text.push_str(&format!(" for {}, across gaps {gaps}", lasting.length));
    }
    text
}

/// What a state has to be, in the words of the language: `drops below 20`.
pub(crate) fn compared(start: &StateStart) -> String {
    let op = match start.op {
        StateOp::Is => "is",
        StateOp::Becomes => "becomes",
        StateOp::RisesAbove => "rises above",
        StateOp::DropsBelow => "drops below",
        StateOp::Changes => return "changes".to_owned(),
        StateOp::Unknown if start.lasting.is_some() => return "is unknown".to_owned(),
        StateOp::Unknown => return "becomes unknown".to_owned(),
        StateOp::Unreadable if start.lasting.is_some() => return "is unreadable".to_owned(),
        StateOp::Unreadable => return "becomes unreadable".to_owned(),
        StateOp::Known => return "becomes known".to_owned(),
    };
    format!("{op} {}", start.value)
}

/// The limits, each as its clause.
pub(super) fn limits(flow: &Flow) -> Vec<String> {
    let Limits { fresh_ms, window, once_per, at_most, one_at_a_time, while_running, throttle, expect } = &flow.limits;
    let per = |keys: &[Expr]| keys_text(flow, keys);
    let mut lines = Vec::new();
    if let Some(window) = window {
        lines.push(format!("{} times within {}{}", window.count, window.within.length, per(&window.per)));
    }
    if let Some(millis) = fresh_ms {
        lines.push(format!("fresh within {}", Duration::from_millis(i64::try_from(*millis).unwrap_or(i64::MAX))));
    }
    if let Some(keys) = once_per {
        lines.push(format!("once{}", per(keys)));
    }
    for limit in at_most {
        let otherwise = match limit.otherwise {
            Otherwise::Drop => "",
            Otherwise::Queue => " otherwise queue",
            Otherwise::Pause => " otherwise pause",
        };
        lines.push(format!("at most {}{} per {}{otherwise}", limit.count, per(&limit.per), rate(&limit.every)));
    }
    if let Some(keys) = one_at_a_time {
        lines.push(format!("one at a time{}", per(keys)));
    }
    if let Some(throttle) = throttle {
        lines.push(format!("throttle to {}{} per {}", throttle.count, per(&throttle.per), rate(&throttle.every)));
    }
    if let Some(running) = while_running {
        let word = match running {
            WhileRunning::Skip => "skip",
            WhileRunning::Queue => "queue",
            WhileRunning::Restart => "restart",
        };
        lines.push(format!("while running {word}"));
    }
    if let Some(expect) = expect {
        lines.push(format!("expect at least {} per {}", expect.count, rate(&expect.every)));
    }
    lines
}

fn rate(rate: &Rate) -> String {
    match rate {
        Rate::Calendar { unit, zone } => {
            let unit = match unit {
                CalendarUnit::Day => "day",
                CalendarUnit::Week => "week",
                CalendarUnit::Month => "month",
                CalendarUnit::Year => "year",
            };
            format!("{unit} ({zone})")
        }
        Rate::Sliding(millis) => {
            let length = Duration::from_millis(i64::try_from(*millis).unwrap_or(i64::MAX)).to_string();
            length.strip_prefix("1 ").unwrap_or(&length).to_owned()
        }
    }
}

fn keys_text(flow: &Flow, keys: &[Expr]) -> String {
    let keys: Vec<String> = keys.iter().map(|key| key_text(flow, key)).collect();
    if keys.is_empty() { String::new() } else { format!(" per {}", keys.join(", ")) }
}

/// A key: the field that it is, else the fields that it is made of.
fn key_text(flow: &Flow, key: &Expr) -> String {
    match key {
        Expr::Event(slot) => flow.reads.get(usize::from(*slot)).map(|field| field.name.clone()).unwrap_or_default(),
        Expr::Raw(path) => format!("raw.{path}"),
        Expr::Field(inner, name) => format!("{}.{name}", key_text(flow, inner)),
        other => {
            let mut parts = Vec::new();
            other.each_part(&mut |part| parts.push(key_text(flow, part)));
            parts.retain(|part| !part.is_empty());
            format!("({})", parts.join(", "))
        }
    }
}
