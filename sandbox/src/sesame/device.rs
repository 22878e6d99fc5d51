//! A device: where its bolt stands, what it has recorded, and what it is about to do.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// How long a command needs from the cloud to the motor.
const USUAL_DELAY: Duration = Duration::from_millis(400);
/// How many records a device keeps.
const MOST_RECORDS: usize = 10_000;
/// Volts, and what they are in percent; straight lines between.
const CURVE: [(f64, f64); 10] = [
    (0.0, 4.6),
    (3.0, 4.8),
    (7.0, 5.0),
    (10.0, 5.1),
    (13.0, 5.2),
    (21.0, 5.4),
    (32.0, 5.6),
    (40.0, 5.7),
    (50.0, 5.8),
    (100.0, 6.0),
];

/// What kind of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It turns a bolt.
    Lock,
    /// It presses a button.
    Bot,
}

/// Codes of the history.
pub(super) mod code {
    pub(crate) const BLE_LOCK: i64 = 1;
    pub(crate) const BLE_UNLOCK: i64 = 2;
    pub(crate) const AUTO_LOCK: i64 = 6;
    pub(crate) const MANUAL_LOCKED: i64 = 7;
    pub(crate) const MANUAL_UNLOCKED: i64 = 8;
    pub(crate) const MANUAL_ELSE: i64 = 9;
    pub(crate) const DRIVE_LOCKED: i64 = 10;
    pub(crate) const DRIVE_UNLOCKED: i64 = 11;
    pub(crate) const DRIVE_FAILED: i64 = 12;
    pub(crate) const MODULE_LOCK: i64 = 14;
    pub(crate) const MODULE_UNLOCK: i64 = 15;
    pub(crate) const WEB_LOCK: i64 = 16;
    pub(crate) const WEB_UNLOCK: i64 = 17;
    pub(crate) const WEB_CLICK: i64 = 20;
    pub(crate) const DRIVE_CLICK: i64 = 21;
}

/// What the device was told and has not done yet.
#[derive(Debug)]
struct Order {
    due: Timestamp,
    /// Where the bolt will stand; `None` for the press of a button.
    state: Option<String>,
}

/// A device.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) kind: Kind,
    pub(super) secret: [u8; 16],
    /// `locked`, `unlocked`, `moved`, or whatever a test wants to be said.
    state: String,
    position: i64,
    battery: i64,
    /// When it last reported, in whole seconds.
    reported: i64,
    /// Its module is online.
    pub(super) online: bool,
    /// The state says whether the module is online.
    pub(super) tells_online: bool,
    /// Oldest first.
    records: Vec<Value>,
    next_record: i64,
    orders: Vec<Order>,
    pub(super) delay: Duration,
    /// So many commands will be accepted and come to nothing.
    pub(super) sticks: u64,
    /// A command is answered with 404 while the module is offline; else it is dropped in silence.
    pub(super) offline_is_404: bool,
    /// Times of the history are written in seconds with a fraction.
    pub(super) seconds: bool,
    /// The history begins with the oldest record of a page.
    pub(super) oldest_first: bool,
    /// So many commands were accepted.
    pub(super) accepted: u64,
}

impl Device {
    /// `None` where the secret is none.
    pub(super) fn new(kind: Kind, secret: &str, now: Timestamp) -> Option<Device> {
        Some(Device {
            kind,
            secret: hex::decode(secret).ok()?.try_into().ok()?,
            state: "locked".to_owned(),
            position: 11,
            battery: 94,
            reported: now.as_second(),
            online: true,
            tells_online: true,
            records: Vec::new(),
            next_record: 1,
            orders: Vec::new(),
            delay: USUAL_DELAY,
            sticks: 0,
            offline_is_404: false,
            seconds: false,
            oldest_first: false,
            accepted: 0,
        })
    }

    pub(super) fn word(&self) -> &str {
        &self.state
    }

    pub(super) fn battery(&self) -> i64 {
        self.battery
    }

    /// What the cloud says of it.
    pub(super) fn status(&self) -> Value {
        let mut status = json!({
            "batteryPercentage": self.battery,
            "batteryVoltage": volts(self.battery),
            "position": self.position,
            "CHSesame2Status": self.state,
            "timestamp": self.reported,
        });
        if let (true, Some(fields)) = (self.tells_online, status.as_object_mut()) {
            fields.insert("wm2State".to_owned(), json!(self.online));
        }
        status
    }

    /// One page of its history.
    pub(super) fn page(&self, page: usize, length: usize) -> Vec<Value> {
        let newest_first = self.records.iter().rev().skip(page.saturating_mul(length)).take(length).cloned();
        let mut records: Vec<Value> = newest_first.collect();
        if self.oldest_first {
            records.reverse();
        }
        if self.seconds {
            records.iter_mut().for_each(in_seconds);
        }
        records
    }

    /// Does what it had to do by now.
    pub(super) fn settle(&mut self, now: Timestamp) {
        self.orders.sort_by_key(|order| order.due);
        while self.orders.first().is_some_and(|order| order.due <= now) {
            let order = self.orders.remove(0);
            match order.state {
                Some(state) => {
                    // A motor that has nothing to do writes nothing.
                    if self.state != state {
                        let code = if state == "locked" { code::DRIVE_LOCKED } else { code::DRIVE_UNLOCKED };
                        self.record(code, None, order.due);
                    }
                    self.stands(&state, order.due);
                }
                None => self.record(code::DRIVE_CLICK, None, order.due),
            }
        }
    }

    /// Takes a command that came through the cloud. Whether the bolt follows is another matter.
    pub(super) fn obey(&mut self, code: i64, state: Option<String>, tag: &str, now: Timestamp) {
        self.accepted += 1;
        if !self.online {
            return;
        }
        if self.sticks > 0 {
            self.sticks -= 1;
            return;
        }
        self.record(code, Some(tag), now);
        self.orders.push(Order { due: now + self.delay, state });
    }

    /// The bolt stands somewhere else, and the device reports it.
    pub(super) fn stands(&mut self, state: &str, at: Timestamp) {
        self.state = state.to_owned();
        self.position = match state {
            "locked" => 11,
            "unlocked" => 265,
            _ => 140,
        };
        self.reports(at);
    }

    /// The device reports how it is.
    pub(super) fn reports(&mut self, at: Timestamp) {
        self.reported = at.as_second();
    }

    pub(super) fn set_battery(&mut self, percent: i64, at: Timestamp) {
        self.battery = percent;
        self.reports(at);
    }

    /// What is said of the state whatever the bolt does.
    pub(super) fn says(&mut self, state: &str, at: Timestamp) {
        self.state = state.to_owned();
        self.reports(at);
    }

    /// The device was started again: it counts its records anew.
    pub(super) fn restarts(&mut self) {
        self.next_record = 1;
    }

    /// Writes a record of its history.
    pub(super) fn record(&mut self, code: i64, tag: Option<&str>, at: Timestamp) {
        let mut record = Map::new();
        record.insert("recordID".to_owned(), json!(self.next_record));
        record.insert("type".to_owned(), json!(code));
        record.insert("timeStamp".to_owned(), json!(at.as_millisecond()));
        if let Some(tag) = tag {
            record.insert("historyTag".to_owned(), json!(STANDARD.encode(tag)));
        }
        self.next_record += 1;
        self.push(Value::Object(record));
    }

    /// Adds a record as it is.
    pub(super) fn push(&mut self, record: Value) {
        if self.records.len() == MOST_RECORDS {
            self.records.remove(0);
        }
        self.records.push(record);
    }

    pub(super) fn snapshot(&self) -> Value {
        json!({
            "kind": match self.kind { Kind::Lock => "lock", Kind::Bot => "bot" },
            "status": self.status(),
            "online": self.online,
            "accepted": self.accepted,
            "history": self.records,
        })
    }
}

/// Writes a record as a sample of the vendor has it: whole seconds with a fraction of nothing, and null where there is no tag.
fn in_seconds(record: &mut Value) {
    let Some(fields) = record.as_object_mut() else { return };
    if let Some(millis) = fields.get("timeStamp").and_then(Value::as_i64) {
        fields.insert("timeStamp".to_owned(), json!(millis.div_euclid(1000) as f64));
    }
    fields.entry("historyTag").or_insert(Value::Null);
    fields.insert("parameter".to_owned(), Value::Null);
}

/// Returns the volts of a battery that is so full.
fn volts(percent: i64) -> f64 {
    let percent = percent.clamp(0, 100) as f64;
    for pair in CURVE.windows(2) {
        if let [(low, from), (high, to)] = pair
            && percent <= *high
        {
            return from + (percent - low) / (high - low) * (to - from);
        }
    }
    CURVE[CURVE.len() - 1].1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volts_follow_the_curve() {
        for (percent, expected) in [(100, 6.0), (50, 5.8), (75, 5.9), (0, 4.6), (-3, 4.6), (130, 6.0), (21, 5.4)] {
            assert!((volts(percent) - expected).abs() < 1e-9, "{percent}: {}", volts(percent));
        }
    }
}
