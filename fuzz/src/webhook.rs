//! Requests at the webhook server: raw bytes, requests put together, and bodies that are signed as they should be.

use super::daemon::{self, Daemon, by_standard, by_stripe, signed};
use super::draw::Draw;

/// What the names and values of headers are made of.
const HEADERS: &[&str] = &[
    "Host: a",
    "Host: a\r\nHost: b",
    "Content-Length: 0",
    "Content-Length: 18446744073709551616",
    "Content-Length: 5, 5",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, chunked",
    "Content-Encoding: gzip",
    "Content-Type: application/json",
    "Content-Type: text/plain; charset=utf-16",
    "Connection: close",
    "Connection: keep-alive, upgrade",
    "Upgrade: h2c",
    "Expect: 100-continue",
    "X-Bell-Token: ",
    "X-Bell-Token: key",
    "Stripe-Signature: t=1795262400,v1=00",
    "Stripe-Signature: t=,v1=",
    "Stripe-Signature: ",
    "Webhook-Id: m",
    "Webhook-Timestamp: 1795262400",
    "Webhook-Timestamp: -1",
    "Webhook-Signature: v1,AAAA",
    "Webhook-Signature: v1, v1,",
    "X-Folded: a\r\n b",
    "X-Null: \0",
];

const METHODS: &[&str] = &["POST", "GET", "HEAD", "PUT", "OPTIONS", "CONNECT", "PRI", "post"];

const PATHS: &[&str] = &[
    "/v1/webhooks/stripe",
    "/v1/webhooks/bell/hook",
    "/v1/webhooks/bell/told",
    "/v1/webhooks/bell",
    "/v1/webhooks/%73tripe",
    "/v1/webhooks/stripe/",
    "/v1/webhooks//stripe",
    "/v1/webhooks/../webhooks/stripe",
    "http://a/v1/webhooks/stripe",
    "*",
    "/healthz",
    "/readyz",
    "/",
];

/// Whatever comes, it is answered or dropped and nothing panics; what nobody vouches for is never taken in; what is signed is
/// taken in or refused with a reason, and comes to its end.
pub fn webhook(bytes: &[u8]) {
    daemon::with(|daemon| {
        let mut draw = Draw(bytes);
        match draw.below(4) {
            0 => unsigned(daemon, draw.0),
            1 => {
                let request = put_together(&mut draw);
                unsigned(daemon, &request);
            }
            2 => vouched_for(daemon, "stripe", &by_stripe(draw.0), draw.0),
            _ => {
                let id = format!("msg_{}", draw.byte());
                vouched_for(daemon, "bell/hook", &by_standard(&id, draw.0), draw.0);
            }
        }
        assert_eq!(daemon.service.engine().stats().panics, 0);
    });
}

/// A request out of pieces, each of which is right or nearly so, with what is left of the bytes as its body.
fn put_together(draw: &mut Draw<'_>) -> Vec<u8> {
    let mut text = format!("{} {} HTTP/1.{}\r\n", draw.one(METHODS), draw.one(PATHS), draw.below(3));
    for header in draw.some(6, |draw| draw.one(HEADERS)) {
        text.push_str(header);
        text.push_str("\r\n");
    }
    if draw.below(2) == 0 {
        text.push_str(&format!("Content-Length: {}\r\n", draw.0.len()));
    }
    text.push_str("\r\n");
    [text.as_bytes(), draw.0].concat()
}

fn unsigned(daemon: &Daemon, bytes: &[u8]) {
    let before = daemon.service.engine().stats();
    for reply in daemon.to_server(bytes, false) {
        reply.sensible();
        // 200 is for those who ask how it is.
        assert!(reply.status != 200 || reply.json().is_none_or(|json| json.get("duplicate").is_none()), "{reply:?}");
    }
    let after = daemon.service.engine().stats();
    assert_eq!((before.events, before.duplicates), (after.events, after.duplicates), "nobody vouched for it");
}

fn vouched_for(daemon: &Daemon, place: &str, headers: &str, body: &[u8]) {
    let before = daemon.service.engine().stats();
    let replies = daemon.to_server(&signed(place, headers, body), true);
    let [reply] = &replies[..] else { panic!("one request, and {replies:?}") };
    reply.sensible();
    assert!(!matches!(reply.status, 401 | 403 | 404), "it is signed: {reply:?}");
    let after = daemon.service.engine().stats();
    let taken = (after.events + after.duplicates) - (before.events + before.duplicates);
    assert_eq!(taken > 0, reply.status == 200 && reply.json().is_some_and(|json| json.get("duplicate").is_some()), "{reply:?}");
    daemon.settled();
}
