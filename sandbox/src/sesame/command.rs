//! Commands: who may give them, and what becomes of them.

use aes::Aes128;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cmac::{Cmac, KeyInit, Mac};
use jiff::Timestamp;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use super::device::{Device, Kind, code};
use super::{compact, message};
use crate::http::{Answer, Request};

/// The longest text that a device keeps, in bytes.
const LONGEST_TAG: usize = 21;
/// A signature covers the time in steps of so many seconds.
const WINDOW: i64 = 256;

/// Answers a command. It is accepted long before anything moves.
pub(super) fn answer(device: &mut Device, request: &Request, now: Timestamp, empty: bool) -> (Answer, String) {
    let body: Value = match serde_json::from_slice(&request.body) {
        Ok(body) => body,
        Err(_) => return (message(400, "message", "Invalid JSON"), "no JSON".to_owned()),
    };
    let tag = match body.get("history") {
        None | Some(Value::Null) => Some(String::new()),
        Some(tag) => tag.as_str().and_then(|tag| STANDARD.decode(tag).ok()).and_then(|bytes| String::from_utf8(bytes).ok()),
    };
    let (Some(command), Some(tag)) = (body.get("cmd").and_then(Value::as_i64), tag.filter(|tag| tag.len() <= LONGEST_TAG)) else {
        return refused(400, "cmd or history is wrong");
    };
    let sign = body.get("sign").and_then(Value::as_str).unwrap_or_default();
    if !is_signed(&device.secret, sign, now) {
        return refused(400, "sign is wrong");
    }
    if !device.online && device.offline_is_404 {
        return (message(404, "message", "Not Found"), "the module is offline".to_owned());
    }
    let lock = |locked: bool| if locked { (code::WEB_LOCK, "locked") } else { (code::WEB_UNLOCK, "unlocked") };
    let (code, state) = match (command, device.kind) {
        (82, Kind::Lock) => lock(true),
        (83, Kind::Lock) => lock(false),
        (88, Kind::Lock) => lock(device.word() != "locked"),
        (82 | 83 | 88 | 89, Kind::Bot) => (code::WEB_CLICK, ""),
        _ => return refused(400, "there is no such command"),
    };
    device.obey(code, (!state.is_empty()).then(|| state.to_owned()), &tag, now);
    let summary = if state.is_empty() { "a click was accepted".to_owned() } else { format!("{state} was accepted") };
    (if empty { Answer::empty(200) } else { compact(200, &json!({ "statusCode": 200 })) }, summary)
}

/// The service says no with a status of success.
fn refused(status: u16, text: &str) -> (Answer, String) {
    (compact(200, &json!({ "statusCode": status, "message": text })), format!("refused: {text}"))
}

/// Tells whether a command was signed with the device's secret within the present window or one beside it: clocks differ, and
/// a window may end between the signature and now.
fn is_signed(secret: &[u8; 16], sign: &str, now: Timestamp) -> bool {
    [0, -WINDOW, WINDOW].into_iter().any(|by| {
        let time = now.as_second().saturating_add(by);
        // All bits beyond 32 are cut off, and so is the lowest byte of what is left.
        let [_, message @ ..] = (time as u32).to_le_bytes();
        let Ok(mut mac) = <Cmac<Aes128> as KeyInit>::new_from_slice(secret) else { return false };
        mac.update(&message);
        let expected = hex::encode(mac.finalize().into_bytes());
        bool::from(expected.as_bytes().ct_eq(sign.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of the vendor.
    #[test]
    fn a_signature_holds_for_its_window_and_those_beside_it() {
        let secret: [u8; 16] = hex::decode("a13d4b890111676ba8fb36ece7e94f7d").unwrap().try_into().unwrap();
        let sign = "e50d10ff6f3e21752be4c46f9cbb2b73";
        let signed = 1_621_854_456;
        let begins = signed - signed % WINDOW;
        for (second, holds) in [
            (signed, true),
            (begins, true),
            (begins + WINDOW - 1, true),
            (begins - 1, true),
            (begins + WINDOW, true),
            (begins - WINDOW, true),
            (begins - WINDOW - 1, false),
            (begins + 2 * WINDOW - 1, true),
            (begins + 2 * WINDOW, false),
        ] {
            assert_eq!(is_signed(&secret, sign, Timestamp::from_second(second).unwrap()), holds, "{}", second - begins);
        }
        let now = Timestamp::from_second(signed).unwrap();
        assert!(!is_signed(&secret, &sign.to_uppercase(), now));
        assert!(!is_signed(&[0; 16], sign, now));
        assert!(!is_signed(&secret, "", now));
    }
}
