//! Things that happen at a door: somebody turns the thumb turn, a battery runs down, the module goes offline.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::device::{Device, Kind, code};
use super::{DEVICE, State};

/// How often one description may repeat.
const MOST: u64 = 10_000;
/// The longest delay of a command.
const LONGEST_DELAY: u64 = 3_600_000;

/// What can happen.
const TYPES: &[&str] = &[
    "locked", "unlocked", "moved", "jammed", "battery", "offline", "online", "status", "record", "restart", "sticks", "delay",
    "answers", "history", "quota", "device",
];

/// Makes something happen, as often as asked, and returns the device as it is then.
pub(super) fn play(state: &mut State, description: &Value, now: Timestamp) -> Result<Value, String> {
    const KNOWN: &[&str] = &[
        "type",
        "count",
        "device",
        "method",
        "by",
        "level",
        "answer",
        "told",
        "status",
        "object",
        "milliseconds",
        "seconds_ago",
        "body",
        "unit",
        "order",
        "limit",
        "used",
        "kind",
        "secret_key",
    ];
    let fields = description.as_object().ok_or("an event is described by an object")?;
    if let Some(unknown) = fields.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return Err(format!("`{unknown}` is not known; there are {}", KNOWN.join(", ")));
    }
    let name = word(fields, "type").ok_or("an event needs `type`")?;
    if !TYPES.contains(&name) {
        return Err(format!("`{name}` cannot happen; there are {}", TYPES.join(", ")));
    }
    let id = word(fields, "device").unwrap_or(DEVICE).to_ascii_uppercase();
    match name {
        "quota" => {
            state.quota = number(fields, "limit")?;
            // Counting begins with this month.
            state.spend(now);
            state.used.1 = number(fields, "used")?.unwrap_or(0);
        }
        "answers" => {
            state.empty_answers = match word(fields, "body") {
                Some("empty") => true,
                Some("accepted") => false,
                _ => return Err("`body` is `empty` or `accepted`".to_owned()),
            };
        }
        "device" => {
            let kind = match word(fields, "kind") {
                None | Some("lock") => Kind::Lock,
                Some("bot") => Kind::Bot,
                Some(other) => return Err(format!("`{other}` is no kind of device; there are lock and bot")),
            };
            let secret = word(fields, "secret_key").unwrap_or(super::SECRET_KEY);
            let device = Device::new(kind, secret, now).ok_or("`secret_key` is 32 hexadecimal digits")?;
            state.devices.insert(id.clone(), device);
        }
        _ => {
            let device = state.devices.get_mut(&id).ok_or_else(|| format!("there is no device `{id}`"))?;
            let count = number(fields, "count")?.unwrap_or(1);
            if !(1..=MOST).contains(&count) {
                return Err(format!("`count` must be from 1 to {MOST}"));
            }
            if name == "sticks" {
                device.sticks = count;
            } else {
                for _ in 0..count {
                    happen(device, name, fields, now)?;
                }
            }
        }
    }
    let object = state.devices.get(&id).map(Device::status);
    Ok(json!({ "events": [], "objects": object.into_iter().collect::<Vec<_>>() }))
}

fn happen(device: &mut Device, name: &str, fields: &Map<String, Value>, now: Timestamp) -> Result<(), String> {
    let ago = i64::try_from(number(fields, "seconds_ago")?.unwrap_or(0)).unwrap_or(i64::MAX);
    let at = now.checked_sub(SignedDuration::from_secs(ago)).map_err(|_| "`seconds_ago` is too much".to_owned())?;
    match name {
        "locked" | "unlocked" => turn(device, name == "locked", fields, at)?,
        "moved" => {
            device.record(code::MANUAL_ELSE, None, at);
            device.stands("moved", at);
        }
        "jammed" => {
            device.record(code::DRIVE_FAILED, None, at);
            device.stands("moved", at);
        }
        "battery" => {
            let level = number(fields, "level")?.filter(|level| *level <= 100).ok_or("`level` is from 0 to 100")?;
            device.set_battery(i64::try_from(level).unwrap_or(100), at);
        }
        "offline" | "online" => {
            device.online = name == "online";
            device.offline_is_404 = number(fields, "answer")? == Some(404);
            device.tells_online = fields.get("told").and_then(Value::as_bool).unwrap_or(true);
            if device.online {
                device.reports(at);
            }
        }
        "status" => device.says(word(fields, "status").ok_or("`status` is a text")?, at),
        "record" => device.push(fields.get("object").cloned().ok_or("`object` is a record of the history")?),
        "restart" => device.restarts(),
        "delay" => {
            let millis = number(fields, "milliseconds")?.filter(|millis| *millis <= LONGEST_DELAY);
            device.delay = Duration::from_millis(millis.ok_or("`milliseconds` is a number, an hour at most")?);
        }
        "history" => {
            device.seconds = word(fields, "unit") == Some("seconds");
            device.oldest_first = word(fields, "order") == Some("oldest");
        }
        _ => return Err(format!("`{name}` cannot happen")),
    }
    Ok(())
}

/// Somebody or something turns the bolt, with the records that this leaves: what asked for it, and the motor where it turned.
fn turn(device: &mut Device, locks: bool, fields: &Map<String, Value>, at: Timestamp) -> Result<(), String> {
    let method = word(fields, "method").unwrap_or("hand");
    let (code, motor) = match (method, locks) {
        ("hand", true) => (code::MANUAL_LOCKED, false),
        ("hand", false) => (code::MANUAL_UNLOCKED, false),
        ("app", true) => (code::BLE_LOCK, true),
        ("app", false) => (code::BLE_UNLOCK, true),
        ("auto_lock", true) => (code::AUTO_LOCK, true),
        ("module", true) => (code::MODULE_LOCK, true),
        ("module", false) => (code::MODULE_UNLOCK, true),
        ("web", true) => (code::WEB_LOCK, true),
        ("web", false) => (code::WEB_UNLOCK, true),
        (other, _) => return Err(format!("nobody turns it by `{other}`; there are hand, app, auto_lock, module and web")),
    };
    device.record(code, word(fields, "by"), at);
    if motor {
        // A motor needs longer, but nothing is dated ahead of the clock: it could pass what happens next.
        device.record(if locks { code::DRIVE_LOCKED } else { code::DRIVE_UNLOCKED }, None, at);
    }
    device.stands(if locks { "locked" } else { "unlocked" }, at);
    Ok(())
}

fn word<'f>(fields: &'f Map<String, Value>, name: &str) -> Option<&'f str> {
    fields.get(name).and_then(Value::as_str)
}

fn number(fields: &Map<String, Value>, name: &str) -> Result<Option<u64>, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or_else(|| format!("`{name}` must be a whole number")),
    }
}
