//! The alarms that are active: those of the engine, and what is known of connections, sources and files.

use std::collections::BTreeMap;

use super::State;
use crate::alarm::Active;
use crate::store::StoreError;
use flow_functions::rfc3339;

/// Returns the alarms, those first that have to do with flows.
pub(super) fn active(state: &State) -> Result<Vec<Active>, StoreError> {
    let mut active = state.engine.alarms()?;
    let live = state.engine.live();
    let of = |kind, subject: &str, detail: &str, reason: &str| Active {
        kind,
        subject: subject.to_owned(),
        detail: detail.to_owned(),
        since: None,
        last: None,
        count: 1,
        reason: reason.to_owned(),
        next: "flowd check-config".to_owned(),
        dismissible: false,
    };
    if let Some(latest) = state.engine.clock_is_behind() {
        let reason = format!(
            "it shows {}, and has shown {}: nobody can say how old an event is, so no dangerous step is performed",
            rfc3339(state.world.clock.now()),
            rfc3339(latest)
        );
        let next = "set the clock right; where it is right, `flowd trust-clock`".to_owned();
        active.push(Active { next, ..of("clock", "the clock", "", &reason) });
    }
    for connection in state.engine.connections() {
        let parked_at_parts: usize = connection.parts.iter().map(|part| part.parked).sum();
        let (name, parked) = (&connection.name, connection.parked as u64);
        let own = connection.parked.saturating_sub(parked_at_parts) as u64;
        let by_itself =
            |detail: &str, reason: &str| Active { next: "flowd status".to_owned(), ..of("connection", name, detail, reason) };
        if let Some((since, reason)) = connection.circuit.broken() {
            active.push(Active { since: Some(since), count: own, ..of("connection", name, "", reason) });
        }
        if let Some((since, reason, _)) = connection.circuit.silent() {
            active.push(Active { since: Some(since), count: own, ..by_itself("does not answer", reason) });
        }
        for part in &connection.parts {
            let (label, count) = (part.label(), part.parked as u64);
            if let Some((since, reason)) = part.circuit.broken() {
                let alarm = of("connection", name, &format!("{label} is broken"), reason);
                active.push(Active { since: Some(since), count, ..alarm });
            }
            // A server that nobody waits for is no matter of ours.
            if let Some((since, reason, _)) = part.circuit.silent().filter(|_| part.api.is_some() || count > 0) {
                active.push(Active { since: Some(since), count, ..by_itself(&format!("{label} does not answer"), reason) });
            }
        }
        if let Some(tokens) = connection.tokens.filter(|tokens| tokens.is_spent()) {
            let reason = format!("{} of {} tokens of this day are spent", tokens.used, tokens.most);
            active.push(Active { count: parked, ..by_itself("tokens", &reason) });
        }
        if let Some(quota) = connection.quota.as_ref().filter(|quota| quota.is_spent()) {
            // The service says the same to a key without calls and to a wrong one: what was counted here is all there is to tell.
            let reason = match quota.refused_since {
                Some(_) => {
                    format!("its key is refused, or its calls are used up; {} of {} were counted here", quota.used, quota.count)
                }
                None => format!("all {} calls of this {} are used", quota.count, quota.of),
            };
            active.push(Active { since: quota.refused_since, count: parked, ..by_itself("quota", &reason) });
        }
    }
    let now = state.world.clock.now();
    for ((connection, source), status) in state.polls.status() {
        if let (Some(error), Some(since)) = (&status.error, status.failing_since) {
            active.push(Active { since: Some(since), ..of("source", &connection, &source, error) });
        }
        if let Some(left_out) = status.left_out.as_ref().filter(|left_out| left_out.is_alarm(now)) {
            let alarm = of("source", &connection, &format!("{source} has items that cannot be read"), &left_out.reason);
            active.push(Active { count: left_out.count, next: "flowd status".to_owned(), ..alarm });
        }
    }
    for ((connection, source), status) in state.polls.status() {
        let Some(gap) = status.gap.filter(|gap| gap.is_alarm(now)) else { continue };
        let reason = format!(
            "what happened between {} and {} was not read, and the service does not list it any more: events of that time are lost",
            rfc3339(gap.from),
            rfc3339(gap.to)
        );
        let next = "look at the service what happened in that time".to_owned();
        active.push(Active { since: Some(gap.found), next, ..of("gap", &connection, &source, &reason) });
    }
    for ((connection, source), failing) in state.registrations.alarms(now) {
        let next = if failing.for_good { "set right what it says, then `flowd reload`" } else { "flowd status" };
        let alarm = of("webhook", &connection, &source, &failing.reason);
        active.push(Active { since: Some(failing.since), next: next.to_owned(), ..alarm });
    }
    for file in &live.broken {
        // What flow.toml lacks may be a secret.
        let next = if file.file == "flow.toml" { "flowd check-config" } else { "flowc check" };
        active.push(Active { next: next.to_owned(), ..of("file", &file.file, "", &file.message) });
    }
    Ok(active)
}

/// Returns how many there are of each kind, those of which there is none included.
pub(super) fn by_kind(state: &State) -> BTreeMap<&'static str, u64> {
    let kinds = ["dead", "paused", "misfit", "silent", "clock", "connection", "source", "gap", "webhook", "file"];
    let mut counts: BTreeMap<&'static str, u64> = kinds.map(|kind| (kind, 0)).into();
    for alarm in active(state).unwrap_or_default() {
        *counts.entry(alarm.kind).or_default() += 1;
    }
    counts
}
