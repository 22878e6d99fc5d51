//! What is wrong and has not been dealt with: a row for each flow with dead runs, each paused flow, and each field that
//! does not fit.
//!
//! Rows change in the transaction of what they are about, so that no crash parts the two. What is to be announced and was
//! not announced with its cause lies in the book as a [`Notice`], until the transaction of the event that announces it.

use flow_plan::short_hash;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::backend::{Read, Write};
use super::book::{self, BookKey, BookRow};
use super::put::encode;
use super::query::{self, decode};
use super::records::{Missed, NewEvent, RunHead, StoredEvent};
use super::tables::{self, Key, number_at, text_at};
use crate::event::Difference;

/// What kind of alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AlarmKind {
    /// A flow has dead runs.
    Dead,
    /// A flow is paused.
    Paused,
    /// A field of a trigger's events does not fit its record.
    Misfit,
}

impl AlarmKind {
    /// Returns the word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            AlarmKind::Dead => "dead",
            AlarmKind::Paused => "paused",
            AlarmKind::Misfit => "misfit",
        }
    }
}

/// The name of an alarm.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AlarmKey {
    /// What kind.
    pub kind: AlarmKind,
    /// Whom it is about: a flow, or `connection.trigger`.
    pub subject: String,
    /// What of it: a field; "" where there is nothing to tell apart.
    pub detail: String,
}

impl AlarmKey {
    /// Returns the name of an alarm about a flow.
    pub fn of_flow(kind: AlarmKind, flow: impl Into<String>) -> Self {
        Self { kind, subject: flow.into(), detail: String::new() }
    }
}

/// An alarm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// Since when.
    pub since: Timestamp,
    /// When it was last so.
    pub last: Timestamp,
    /// How often: dead runs, events missed while paused, events that do not fit.
    pub count: u64,
    /// Why, for people.
    pub reason: String,
    /// The last run or event that it is about; "" where there is none.
    #[serde(default)]
    pub example: String,
    /// Who paused the flow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<PausedBy>,
}

/// Who paused a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PausedBy {
    /// Somebody.
    Hand,
    /// `otherwise pause` of its own.
    Limit,
    /// It started too often.
    Flood,
    /// It and others cause each other's events.
    Loop,
}

/// Something that is to be announced: it lies in the book and is due when its time has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notice {
    /// The event that announces it: `dead`, `paused`, `misfit`.
    pub(crate) kind: String,
    /// Since when; for deaths the beginning of the time in which they are counted.
    pub(crate) from: Timestamp,
    /// How many deaths were announced one by one since.
    #[serde(default)]
    pub(crate) told: u32,
    /// How many were not.
    #[serde(default)]
    pub(crate) untold: u64,
    /// Why, for people.
    pub(crate) error: String,
    /// The last run that it is about.
    #[serde(default)]
    pub(crate) run: Option<String>,
    /// The last event that it is about.
    #[serde(default)]
    pub(crate) event: Option<String>,
    /// The connection and the trigger of the event.
    #[serde(default)]
    pub(crate) of: Option<(String, String)>,
}

/// The kind of the rows of notices. Their owner is the flow.
pub(crate) const NOTICE: &str = "notice";
/// The key of the row that counts a flow's deaths.
pub(crate) const DEATHS: &str = "dead";
/// So many deaths of a flow are announced one by one within [`TOGETHER`]; those behind them together, at its end.
pub(crate) const ONE_BY_ONE: u32 = 10;
/// See [`ONE_BY_ONE`].
pub(crate) const TOGETHER: SignedDuration = SignedDuration::from_mins(10);
/// A field that fitted for so long does so again: the next misfit is a new one.
pub(crate) const FORGOTTEN: SignedDuration = SignedDuration::from_hours(24);
/// So many fields of a trigger are told apart.
const MOST_FIELDS: usize = 32;

fn get(from: &(impl Read + ?Sized), key: &AlarmKey) -> Result<Option<Alarm>, StoreError> {
    from.get(&tables::alarm(key))?.map(|bytes| decode(&bytes)).transpose()
}

fn put(to: &mut dyn Write, key: &AlarmKey, alarm: &Alarm) -> Result<(), StoreError> {
    to.put(&tables::alarm(key), &encode(alarm)?)
}

/// Ends an alarm.
pub(super) fn end(to: &mut dyn Write, key: &AlarmKey) -> Result<(), StoreError> {
    to.remove(&tables::alarm(key))
}

/// Returns all alarms.
pub(super) fn all(from: &dyn Read) -> Result<Vec<(AlarmKey, Alarm)>, StoreError> {
    let mut found = Vec::new();
    for kind in [AlarmKind::Dead, AlarmKind::Paused, AlarmKind::Misfit] {
        let of_kind = tables::alarms_of(kind);
        from.scan(&of_kind, &of_kind.end(), false, &mut |key, value| {
            let subject = text_at(key, of_kind.len()).unwrap_or_default();
            let detail = text_at(key, of_kind.len() + subject.len() + 1).unwrap_or_default();
            found.push((AlarmKey { kind, subject: subject.to_owned(), detail: detail.to_owned() }, decode(value)?));
            Ok(true)
        })?;
    }
    Ok(found)
}

/// Counts what was there before alarms were: once per store, by its first writer that knows of them.
pub(super) fn is_uncounted(from: &dyn Read) -> Result<bool, StoreError> {
    let mut any = false;
    let all = Key::of(b'd');
    from.scan(&all, &all.end(), false, &mut |_, _| {
        any = true;
        Ok(false)
    })?;
    Ok(any && from.get(&tables::meta("alarms"))?.is_none())
}

/// See [`is_uncounted`].
pub(super) fn count_all(to: &mut dyn Write) -> Result<(), StoreError> {
    let all = Key::of(b'd');
    let mut ids = Vec::new();
    to.scan(&all, &all.end(), false, &mut |_, id| {
        ids.push(String::from_utf8_lossy(id).into_owned());
        Ok(true)
    })?;
    let of_kind = tables::alarms_of(AlarmKind::Dead);
    let mut known = Vec::new();
    to.scan(&of_kind, &of_kind.end(), false, &mut |key, _| {
        known.push(key.to_vec());
        Ok(true)
    })?;
    for key in known {
        to.remove(&key)?;
    }
    for id in ids {
        if let Some(head) = query::run(to, &id)? {
            died(to, &head)?;
        }
    }
    to.put(&tables::meta("alarms"), &[])
}

/// A run has died.
pub(super) fn died(to: &mut dyn Write, head: &RunHead) -> Result<(), StoreError> {
    let key = AlarmKey::of_flow(AlarmKind::Dead, head.flow.as_str());
    let at = head.ended_at.unwrap_or(head.started_at);
    let before = get(to, &key)?;
    let alarm = Alarm {
        since: before.as_ref().map_or(at, |before| before.since.min(at)),
        last: before.as_ref().map_or(at, |before| before.last.max(at)),
        count: before.map_or(0, |before| before.count).saturating_add(1),
        reason: head.reason.clone().unwrap_or_default(),
        example: head.id.clone(),
        by: None,
    };
    put(to, &key, &alarm)
}

/// A dead run goes on, or was dismissed.
pub(super) fn is_dead_no_more(to: &mut dyn Write, head: &RunHead) -> Result<(), StoreError> {
    let key = AlarmKey::of_flow(AlarmKind::Dead, head.flow.as_str());
    match get(to, &key)? {
        Some(alarm) if alarm.count > 1 => put(to, &key, &Alarm { count: alarm.count - 1, ..alarm }),
        Some(_) => end(to, &key),
        None => Ok(()),
    }
}

/// Tells whether a flow is paused.
pub(super) fn is_paused(from: &(impl Read + ?Sized), flow: &str) -> Result<bool, StoreError> {
    Ok(from.get(&tables::paused(flow))?.is_some())
}

/// Pauses a flow. One that is paused stays as it is.
pub(super) fn pause(to: &mut dyn Write, flow: &str, by: PausedBy, reason: &str, at: Timestamp) -> Result<(), StoreError> {
    if is_paused(to, flow)? {
        return Ok(());
    }
    to.put(&tables::paused(flow), &at.as_millisecond().to_be_bytes())?;
    let alarm = Alarm { since: at, last: at, count: 0, reason: reason.to_owned(), example: String::new(), by: Some(by) };
    put(to, &AlarmKey::of_flow(AlarmKind::Paused, flow), &alarm)
}

/// Pauses a flow, which is announced by an event of its own.
pub(super) fn pause_and_announce(
    to: &mut dyn Write,
    flow: &str,
    by: PausedBy,
    reason: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    pause(to, flow, by, reason, at)?;
    let notice = Notice {
        kind: "paused".to_owned(),
        from: at,
        told: 0,
        untold: 0,
        error: reason.to_owned(),
        run: None,
        event: None,
        of: None,
    };
    book::put(to, &BookKey::new(NOTICE, flow, "paused"), Some(&BookRow::of(&notice, Some(at))?))
}

/// Lets a flow go on. What was counted of its starts begins anew: somebody has looked at it.
pub(super) fn resume(to: &mut dyn Write, flow: &str) -> Result<(), StoreError> {
    to.remove(&tables::paused(flow))?;
    super::flood::forget(to, flow)?;
    end(to, &AlarmKey::of_flow(AlarmKind::Paused, flow))
}

/// An event would have started a flow that is paused. Returns whether it is this event that paused it.
pub(super) fn miss(to: &mut dyn Write, event: &StoredEvent, missed: &Missed) -> Result<bool, StoreError> {
    let at = event.received_at;
    to.put(&tables::drop_of(event.seq, &missed.flow), missed.why.as_bytes())?;
    let pauses = missed.pauses && !is_paused(to, &missed.flow)?;
    if pauses {
        pause_and_announce(to, &missed.flow, PausedBy::Loop, &missed.why, at)?;
    }
    count_missed(to, &missed.flow, &event.id, at)?;
    Ok(pauses)
}

/// Counts an event that a pause kept from starting its flow.
pub(super) fn count_missed(to: &mut dyn Write, flow: &str, event: &str, at: Timestamp) -> Result<(), StoreError> {
    let key = AlarmKey::of_flow(AlarmKind::Paused, flow);
    let alarm = match get(to, &key)? {
        Some(alarm) => alarm,
        // A pause from before there were alarms. One that is over meanwhile counts nothing any more.
        None => {
            let since = to.get(&tables::paused(flow))?.and_then(|bytes| number_at(&bytes, 0));
            let since = since.and_then(|millis| Timestamp::from_millisecond(millis.cast_signed()).ok());
            let Some(since) = since else { return Ok(()) };
            Alarm { since, last: at, count: 0, reason: String::new(), example: String::new(), by: None }
        }
    };
    put(to, &key, &Alarm { last: at, count: alarm.count.saturating_add(1), example: event.to_owned(), ..alarm })
}

/// Notes what of an event does not fit. Returns what is new of it.
pub(super) fn misfits(to: &mut dyn Write, event: &StoredEvent) -> Result<Vec<Difference>, StoreError> {
    let mut raised = Vec::new();
    if event.misfits.is_empty() {
        return Ok(raised);
    }
    to.put(&tables::misfit(event.seq), &[])?;
    for difference in &event.misfits {
        if misfit(to, event, difference)? {
            raised.push(difference.clone());
        }
    }
    Ok(raised)
}

fn misfit(to: &mut dyn Write, event: &StoredEvent, difference: &Difference) -> Result<bool, StoreError> {
    let at = event.received_at;
    let subject = format!("{}.{}", event.connection, difference.trigger);
    let mut key = AlarmKey { kind: AlarmKind::Misfit, subject, detail: difference.field.clone() };
    let mut before = get(to, &key)?;
    if before.is_none() && fields_of(to, &key.subject)? >= MOST_FIELDS {
        // Names of fields come from outside: there may be no end of them.
        key.detail = "…".to_owned();
        before = get(to, &key)?;
    }
    let before = before.filter(|before| at.duration_since(before.last) < FORGOTTEN);
    let alarm = Alarm {
        since: before.as_ref().map_or(at, |before| before.since),
        last: at,
        count: before.as_ref().map_or(0, |before| before.count).saturating_add(1),
        reason: format!(
            "{} at `{}`: expected {}, found {}",
            difference.field, difference.at, difference.expected, difference.found
        ),
        example: event.id.clone(),
        by: None,
    };
    put(to, &key, &alarm)?;
    if before.is_some() {
        return Ok(false);
    }
    let notice = Notice {
        kind: "misfit".to_owned(),
        from: at,
        told: 0,
        untold: 0,
        error: format!("{} of {} does not fit: {}", event.id, key.subject, alarm.reason),
        run: None,
        event: Some(event.id.clone()),
        of: Some((event.connection.clone(), difference.trigger.clone())),
    };
    let name = format!("misfit {}", short_hash(&format!("{}\n{}", key.subject, key.detail)));
    book::put(to, &BookKey::new(NOTICE, difference.read_by.as_str(), name), Some(&BookRow::of(&notice, Some(at))?))?;
    Ok(true)
}

fn fields_of(from: &dyn Read, subject: &str) -> Result<usize, StoreError> {
    let all = tables::alarms_about(AlarmKind::Misfit, subject);
    let mut count = 0;
    from.scan(&all, &all.end(), false, &mut |_, _| {
        count += 1;
        Ok(count < MOST_FIELDS)
    })?;
    Ok(count)
}

/// Tells whether a death is announced by an event of its own. Where it is one of many, it is counted, and announced with
/// the others.
pub(super) fn is_told(to: &mut dyn Write, new: &NewEvent) -> Result<bool, StoreError> {
    let Some(flow) = &new.death_of else { return Ok(true) };
    let at = new.event.received_at;
    let key = BookKey::new(NOTICE, flow.as_str(), DEATHS);
    let known: Option<Notice> = book::get(to, &key)?.map(|row| row.read()).transpose()?;
    let over = |known: &Notice| known.untold == 0 && at.duration_since(known.from).abs() >= TOGETHER;
    let mut notice = known.filter(|known| !over(known)).unwrap_or_else(|| Notice {
        kind: "dead".to_owned(),
        from: at,
        told: 0,
        untold: 0,
        error: String::new(),
        run: None,
        event: None,
        of: None,
    });
    let told = notice.told < ONE_BY_ONE && notice.untold == 0;
    if told {
        notice.told += 1;
    } else {
        let alarm = get(to, &AlarmKey::of_flow(AlarmKind::Dead, flow.as_str()))?;
        notice.untold = notice.untold.saturating_add(1);
        notice.run = alarm.as_ref().map(|alarm| alarm.example.clone());
        notice.error = alarm.map(|alarm| alarm.reason).unwrap_or_default();
    }
    let due = (notice.untold > 0).then(|| notice.from.checked_add(TOGETHER).unwrap_or(Timestamp::MAX));
    book::put(to, &key, Some(&BookRow::of(&notice, due)?))?;
    Ok(told)
}
