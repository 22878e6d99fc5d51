//! The differences between two versions of a flow, in words.

use std::collections::BTreeSet;

use flow_plan::{Rule, Schedule};
use jiff::Timestamp;

use super::Difference;
use super::seen::{Seen, Step};
use crate::listing::split_mark;

/// So many of the next instants of a schedule are named.
const INSTANTS: usize = 3;
/// Beyond so many steps they are compared place by place, not by what was put in between.
const MOST_STEPS: usize = 500;

fn difference(what: &'static str, before: Option<String>, after: Option<String>, note: impl Into<String>) -> Difference {
    Difference { what, before, after, note: note.into() }
}

/// Returns what differs.
pub(super) fn differences(before: Option<&Seen>, after: Option<&Seen>, at: Timestamp) -> Vec<Difference> {
    let nothing = Seen::default();
    let mut found = Vec::new();
    if let (Some(before), Some(after)) = (before, after) {
        name(before, after, &mut found);
    }
    let (old, new) = (before.unwrap_or(&nothing), after.unwrap_or(&nothing));
    lines("when", &old.starts, &new.starts, &mut found);
    if after.is_some() {
        schedules(old, new, at, &mut found);
    }
    filter(old, new, &mut found);
    lines("limits", &old.limits, &new.limits, &mut found);
    if before.is_some() && after.is_some() {
        steps(&old.steps, &new.steps, &mut found);
    } else {
        // What a step consists of is told where it changes.
        let of = |seen: &Seen| -> Vec<String> { seen.steps.iter().filter(|step| step.depth == 0).map(shown).collect() };
        lines("step", &of(old), &of(new), &mut found);
    }
    if old.calls != new.calls {
        found.push(difference("calls", before.map(calls), after.map(calls), "calls to services in one run"));
    }
    sends(old, new, &mut found);
    if let (true, Some(_), Some(_)) = (found.is_empty(), before, after) {
        let note = "the words are the same; how they are carried out is not: a connector, flow.toml or another version of Flow";
        found.push(difference("other", None, None, note));
    }
    found
}

fn name(before: &Seen, after: &Seen, found: &mut Vec<Difference>) {
    if before.name == after.name {
        return;
    }
    let mut note = "history and metrics begin anew under another name".to_owned();
    if !before.limits.is_empty() || !after.limits.is_empty() {
        note.push_str(", and so does what its limits have counted");
    }
    found.push(difference("name", Some(before.id.clone()), Some(after.id.clone()), note));
}

/// What is there no more, and what is new. One that takes the place of another stands beside it.
fn lines(what: &'static str, before: &[String], after: &[String], found: &mut Vec<Difference>) {
    let gone: Vec<&String> = before.iter().filter(|line| !after.contains(line)).collect();
    let come: Vec<&String> = after.iter().filter(|line| !before.contains(line)).collect();
    for at in 0..gone.len().max(come.len()) {
        let line = |lines: &[&String]| lines.get(at).map(|line| (*line).clone());
        let note = match come.get(at) {
            Some(start) if what == "when" && start.starts_with("no ") => "the silence is counted from when it goes live",
            _ => "",
        };
        found.push(difference(what, line(&gone), line(&come), note));
    }
}

fn filter(old: &Seen, new: &Seen, found: &mut Vec<Difference>) {
    if old.filter == new.filter {
        return;
    }
    let whole = |parts: &[String]| (!parts.is_empty()).then(|| parts.join(" and "));
    found.push(difference("where", whole(&old.filter), whole(&new.filter), ""));
}

/// When it comes next, where that is another time than before.
fn schedules(old: &Seen, new: &Seen, at: Timestamp, found: &mut Vec<Difference>) {
    if old.schedules == new.schedules {
        return;
    }
    let next = |seen: &Seen| {
        let mut coming: Vec<(Timestamp, String)> = seen.schedules.iter().flat_map(|rule| coming(rule, at)).collect();
        coming.sort();
        let coming: Vec<String> = coming.into_iter().take(INSTANTS).map(|(_, text)| text).collect();
        (!coming.is_empty()).then(|| coming.join(", "))
    };
    let (before, after) = (next(old), next(new));
    if before != after {
        let counted = new.schedules.iter().any(|rule| matches!(rule.rule, Rule::Interval(_)));
        let note = if counted { "next instants, as though it went live now" } else { "next instants" };
        found.push(difference("schedule", before, after, note));
    }
}

fn coming(schedule: &Schedule, at: Timestamp) -> Vec<(Timestamp, String)> {
    let zone = schedule.zone.as_deref().and_then(flow_schedule::zone).unwrap_or(flow_schedule::Zone::UTC);
    let shown = |instant: Timestamp| instant.to_zoned(zone.clone()).strftime("%a %Y-%m-%d %H:%M %:z").to_string();
    flow_schedule::instants(schedule, at, at).take(INSTANTS).map(|instant| (instant, shown(instant))).collect()
}

fn calls(seen: &Seen) -> String {
    match seen.calls {
        (least, Some(most)) if least == most => most.to_string(),
        (least, Some(most)) => format!("{least} to {most}"),
        (least, None) => format!("{least} to any number"),
    }
}

fn shown(step: &Step) -> String {
    let effect = step.effect.as_ref().map(|effect| format!("  [{effect}]")).unwrap_or_default();
    format!("{}  {}{effect}", step.path, step.text)
}

/// Steps that were taken out, put in or changed. The same step at another place is no difference by itself.
fn steps(old: &[Step], new: &[Step], found: &mut Vec<Difference>) {
    let same = |one: &Step, other: &Step| one.text == other.text && one.effect == other.effect && one.depth == other.depth;
    let kept = common(old, new, &same);
    let (mut from, mut to) = (0, 0);
    // Behind the last step that both have there may be more.
    for (upto_old, upto_new) in kept.into_iter().chain([(old.len(), new.len())]) {
        let gone = old.get(from..upto_old).unwrap_or_default();
        let come = new.get(to..upto_new).unwrap_or_default();
        for at in 0..gone.len().max(come.len()) {
            let note = match (gone.get(at), come.get(at)) {
                (Some(_), None) => "taken out",
                (None, _) => "put in",
                (Some(_), Some(_)) => "",
            };
            found.push(difference("step", gone.get(at).map(shown), come.get(at).map(shown), note));
        }
        (from, to) = (upto_old + 1, upto_new + 1);
    }
}

/// Returns the places of the longest common sequence.
fn common(old: &[Step], new: &[Step], same: &dyn Fn(&Step, &Step) -> bool) -> Vec<(usize, usize)> {
    if old.len() > MOST_STEPS || new.len() > MOST_STEPS {
        return (0..old.len().min(new.len())).filter(|at| same(&old[*at], &new[*at])).map(|at| (at, at)).collect();
    }
    let width = new.len() + 1;
    let mut longest = vec![0_usize; (old.len() + 1) * width];
    for (i, one) in old.iter().enumerate().rev() {
        for (j, other) in new.iter().enumerate().rev() {
            longest[i * width + j] = if same(one, other) {
                longest[(i + 1) * width + j + 1] + 1
            } else {
                longest[(i + 1) * width + j].max(longest[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut found) = (0, 0, Vec::new());
    while i < old.len() && j < new.len() {
        if same(&old[i], &new[j]) {
            found.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if longest[(i + 1) * width + j] >= longest[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    found
}

/// Which fields go where that did not, and the other way round.
fn sends(old: &Seen, new: &Seen, found: &mut Vec<Difference>) {
    let targets: BTreeSet<&String> = old.sends.keys().chain(new.sends.keys()).collect();
    let nothing = BTreeSet::new();
    for to in targets {
        let of = |seen: &Seen, other: &Seen| -> Option<String> {
            let (own, theirs) = (seen.sends.get(to).unwrap_or(&nothing), other.sends.get(to).unwrap_or(&nothing));
            let fields: Vec<&str> = own.difference(theirs).map(String::as_str).collect();
            (!fields.is_empty()).then(|| fields.join(", "))
        };
        let (gone, come) = (of(old, new), of(new, old));
        if gone.is_none() && come.is_none() {
            continue;
        }
        let personal = come.as_ref().is_some_and(|fields| fields.split(", ").any(|field| split_mark(field).1));
        let note = if personal { format!("to {to}: personal data that did not go there before") } else { format!("to {to}") };
        found.push(difference("sends", gone, come, note));
    }
}
