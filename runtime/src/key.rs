//! Names that are computed, so that they are equal however often and wherever they are computed.

use std::sync::Arc;

use flow_plan::{Money, Value};
use sha2::{Digest, Sha256};

/// Returns a short name for a text: 128 bits of its hash.
pub(crate) fn short(text: &str) -> String {
    hex::encode(&Sha256::digest(text.as_bytes())[..16])
}

/// Returns the id of the run that an event starts: `run_` and 100 bits in base 32.
///
/// It depends on what the run is for, not on the store, so that keys derived from it stay equal even if the store is
/// lost and the event comes again.
pub fn run_id(flow: &str, connection: &str, trigger: &str, event: &str, replay: u32) -> String {
    let digest = digest(&["run", flow, connection, trigger, event, &replay.to_string()]);
    format!("run_{}", base32(&digest, 20))
}

/// Returns the idempotency key of a step: equal in all its attempts, different for any other step, loop and generation.
pub fn step_key(run: &str, path: &str, loops: &[u32], generation: u32) -> String {
    let loops = loops.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
    base32(&digest(&["step", run, path, &loops, &generation.to_string()]), 32)
}

/// Returns the name under which a start is deduplicated.
pub fn start_key(connection: &str, trigger: &str, event: &str) -> [u8; 16] {
    let digest = digest(&["start", connection, trigger, event]);
    let mut key = [0; 16];
    key.copy_from_slice(&digest[..16]);
    key
}

/// Returns a key of values: equal where the values are, however a number is written (`1`, `1.0`).
pub fn value_key(values: &[Value]) -> [u8; 16] {
    let text = serde_json::to_string(&values.iter().map(canonical).collect::<Vec<_>>()).unwrap_or_default();
    let digest = digest(&["value", &text]);
    let mut key = [0; 16];
    key.copy_from_slice(&digest[..16]);
    key
}

fn canonical(value: &Value) -> Value {
    match value {
        Value::Number(number) => Value::Number(number.normalize()),
        Value::Money(money) => Value::Money(Money { amount: money.amount.normalize(), currency: money.currency }),
        Value::List(items) => Value::List(Arc::new(items.iter().map(canonical).collect())),
        Value::Record(fields) => Value::record(fields.iter().map(|(name, value)| (Arc::clone(name), canonical(value)))),
        Value::Missing
        | Value::Bool(_)
        | Value::Text(_)
        | Value::Date(_)
        | Value::Time(_)
        | Value::Instant(_)
        | Value::Duration(_) => value.clone(),
    }
}

/// Each part with its length, so that no two lists of parts give the same bytes.
fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().into()
}

/// The first characters of RFC 4648's base 32, lower case, without padding.
fn base32(bytes: &[u8], characters: usize) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1);
    (0..characters)
        .map(|character| {
            let index = (0..5).fold(0, |index, at| index << 1 | bit(character * 5 + at));
            char::from(ALPHABET[usize::from(index)])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_stable_and_apart() {
        let id = run_id("f", "stripe", "charge_failed", "evt_1", 0);
        assert_eq!(id, run_id("f", "stripe", "charge_failed", "evt_1", 0));
        assert_eq!(id.len(), 24);
        assert_ne!(id, run_id("f", "stripe", "charge_failed", "evt_1", 1));
        assert_ne!(run_id("a", "bc", "", "", 0), run_id("ab", "c", "", "", 0));
        assert_ne!(step_key(&id, "1", &[], 0), step_key(&id, "1", &[0], 0));
        assert_ne!(step_key(&id, "1", &[1, 1], 0), step_key(&id, "1", &[11], 0));
    }

    #[test]
    fn equal_values_have_one_key() {
        let number = |text: &str| Value::Number(text.parse().unwrap());
        assert_eq!(value_key(&[number("1.0")]), value_key(&[number("1")]));
        assert_ne!(value_key(&[number("1")]), value_key(&[Value::text("1")]));
        assert_ne!(value_key(&[Value::text("a"), Value::text("b")]), value_key(&[Value::text("ab")]));
    }

    #[test]
    fn base32_is_that_of_the_rfc() {
        assert_eq!(base32(b"foobar", 10), "mzxw6ytboi");
    }
}
