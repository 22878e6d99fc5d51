//! The alarms that are active.

use std::collections::BTreeMap;

use super::Active;
use crate::clock;
use crate::engine::{Engine, Shared};
use crate::store::{Alarm, AlarmKey, AlarmKind, FORGOTTEN, PausedBy, StoreError};

impl Engine {
    /// Returns what is wrong with flows and events, as far as the engine knows. A pause by hand is no alarm.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn alarms(&self) -> Result<Vec<Active>, StoreError> {
        let shared = &self.shared;
        let now = shared.world.clock.now();
        let mut active: Vec<Active> = Vec::new();
        for (key, alarm) in shared.store.alarms()? {
            let is_over = key.kind == AlarmKind::Misfit && now.duration_since(alarm.last) >= FORGOTTEN;
            if !is_over && alarm.by != Some(PausedBy::Hand) {
                active.push(of_store(key, alarm));
            }
        }
        active.extend(silent(shared, now)?);
        Ok(active)
    }

    /// Returns the pauses of flows, as far as the store knows more of them than that they are.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn pauses(&self) -> Result<BTreeMap<String, Alarm>, StoreError> {
        let alarms = self.shared.store.alarms()?;
        Ok(alarms.into_iter().filter(|(key, _)| key.kind == AlarmKind::Paused).map(|(key, alarm)| (key.subject, alarm)).collect())
    }

    /// Ends the alarm of this id. Returns whether there is one that can be dismissed; `None` where there is none at all.
    ///
    /// # Errors
    /// Where the store cannot be read or written.
    pub async fn dismiss_alarm(&self, id: &str) -> Result<Option<bool>, StoreError> {
        let Some(alarm) = self.alarms()?.into_iter().find(|alarm| alarm.id() == id) else { return Ok(None) };
        let Some(key) = alarm.key() else { return Ok(Some(false)) };
        self.shared.store.end_alarm(key).await?;
        tracing::info!(kind = alarm.kind, subject = alarm.subject, detail = alarm.detail, "alarm is dismissed");
        Ok(Some(true))
    }
}

fn of_store(key: AlarmKey, alarm: Alarm) -> Active {
    let (kind, next, dismissible) = match key.kind {
        AlarmKind::Dead => ("dead", format!("flowd dead --flow {}", word(&key.subject)), false),
        AlarmKind::Paused => ("paused", format!("flowd resume {}", word(&key.subject)), false),
        AlarmKind::Misfit => ("misfit", format!("flowd events --misfits --trigger {}", word(&key.subject)), true),
    };
    let reason = match (key.kind, alarm.count) {
        (AlarmKind::Paused, 0) => alarm.reason,
        (AlarmKind::Paused, 1) => format!("{}; 1 event was kept that would have started it", alarm.reason),
        (AlarmKind::Paused, count) => format!("{}; {count} events were kept that would have started it", alarm.reason),
        (AlarmKind::Dead | AlarmKind::Misfit, _) => alarm.reason,
    };
    Active {
        kind,
        subject: key.subject,
        detail: key.detail,
        since: Some(alarm.since),
        last: Some(alarm.last),
        count: alarm.count,
        reason,
        next,
        dismissible,
    }
}

/// Flows that did not start as often as they should, and have not done so since.
fn silent(shared: &Shared, now: jiff::Timestamp) -> Result<Vec<Active>, StoreError> {
    let mut found = Vec::new();
    for silence in clock::silences(shared, now)? {
        let next = format!("flowd runs --flow {}", word(&silence.flow));
        found.push(Active {
            kind: "silent",
            subject: silence.flow,
            detail: String::new(),
            since: Some(silence.since),
            last: Some(silence.last),
            count: silence.periods,
            reason: silence.reason,
            next,
            dismissible: false,
        });
    }
    Ok(found)
}

/// A name as an argument of a shell.
fn word(name: &str) -> String {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.:/@%+=".contains(c));
    if plain { name.to_owned() } else { format!("'{}'", name.replace('\'', "'\\''")) }
}
