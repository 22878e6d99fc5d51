//! Requests at the webhook server: raw bytes, requests put together, and bodies that are signed as they should be.

use super::daemon::{self, Daemon, KEY, Reply, by_seal, by_standard, by_stripe, signed};
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
    "X-Seal: v0=",
    "X-Seal-At: 1795262400",
    "X-Door-Token: ",
    "X-Folded: a\r\n b",
    "X-Null: \0",
];

const METHODS: &[&str] = &["POST", "GET", "HEAD", "PUT", "OPTIONS", "CONNECT", "PRI", "post"];

const PATHS: &[&str] = &[
    "/v1/webhooks/stripe",
    "/v1/webhooks/bell/hook",
    "/v1/webhooks/bell/told",
    "/v1/webhooks/bell/seal",
    "/v1/webhooks/door/any",
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

/// What a sender of whole requests says that it sends.
const TYPES: &[&str] = &[
    "application/json",
    "application/x-www-form-urlencoded",
    "text/plain",
    "Text/Plain; charset=utf-8",
    "application/cloudevents+json",
    "",
    "multipart/form-data; boundary=x",
];

/// Whatever comes, it is answered or dropped and nothing panics; what nobody vouches for is never taken in; what is signed is
/// taken in or refused with a reason, and comes to its end; what was changed behind its signature is refused.
pub fn webhook(bytes: &[u8]) {
    daemon::with(|daemon| {
        let mut draw = Draw(bytes);
        match draw.below(8) {
            0 => unsigned(daemon, draw.0),
            1 => {
                let request = put_together(&mut draw);
                unsigned(daemon, &request);
            }
            2 => vouched_for(daemon, &signed("stripe", &by_stripe(draw.0), draw.0)),
            3 => {
                let id = format!("msg_{}", draw.byte());
                vouched_for(daemon, &signed("bell/hook", &by_standard(&id, draw.0), draw.0));
            }
            4 => vouched_for(daemon, &signed("bell/seal", &by_seal(draw.0), draw.0)),
            5 => {
                let request = knocks(&mut draw);
                vouched_for(daemon, &request);
            }
            6 => forged(daemon, &mut draw),
            _ => {
                let request = in_chunks(&mut draw);
                vouched_for(daemon, &request);
            }
        }
        assert_eq!(daemon.service.engine().stats().panics, 0);
    });
}

/// A request that is taken in whole: a path, a query, a kind of body and a body out of the bytes.
fn knocks(draw: &mut Draw<'_>) -> Vec<u8> {
    let kind = draw.one(TYPES);
    let length = draw.below(64).min(draw.0.len());
    let (path, body) = draw.0.split_at(length);
    let path: String = path
        .iter()
        .map(|byte| if matches!(byte, b'!'..=b'~') { char::from(*byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    signed(&format!("door/{path}"), &format!("X-Door-Token: {KEY}\r\nContent-Type: {kind}"), body)
}

/// A signed body that comes in pieces.
fn in_chunks(draw: &mut Draw<'_>) -> Vec<u8> {
    let sizes = draw.some(8, Draw::byte);
    let mut request = format!(
        "POST /v1/webhooks/stripe HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n{}\r\n\r\n",
        by_stripe(draw.0)
    )
    .into_bytes();
    let mut rest = draw.0;
    for size in sizes.iter().map(|size| usize::from(*size).max(1)).chain([usize::MAX]) {
        let (chunk, behind) = rest.split_at(size.min(rest.len()));
        rest = behind;
        if !chunk.is_empty() {
            request.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            request.extend(chunk);
            request.extend(b"\r\n");
        }
    }
    request.extend(b"0\r\n\r\n");
    request
}

/// A body that was changed after it was signed.
fn forged(daemon: &Daemon, draw: &mut Draw<'_>) {
    let kind = draw.below(3);
    let (at, new) = (draw.byte(), draw.byte());
    let mut body = draw.0.to_vec();
    let (place, headers) = match kind {
        0 => ("stripe", by_stripe(&body)),
        1 => ("bell/hook", by_standard("msg_1", &body)),
        _ => ("bell/seal", by_seal(&body)),
    };
    match body.get_mut(usize::from(at)) {
        Some(byte) if *byte != new => *byte = new,
        _ => body.push(new),
    }
    let before = taken(daemon);
    let replies = daemon.to_server(&signed(place, &headers, &body), true);
    assert!(matches!(&replies[..], [Reply { status: 401, .. }]), "it was changed, and {replies:?}");
    assert_eq!(before, taken(daemon));
}

/// How many events were taken in, new ones and known ones.
fn taken(daemon: &Daemon) -> u64 {
    let stats = daemon.service.engine().stats();
    stats.events + stats.duplicates
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
    // Who guesses a token is let in.
    if bytes.windows(KEY.len()).any(|part| part == KEY.as_bytes()) {
        return;
    }
    let before = taken(daemon);
    for reply in daemon.to_server(bytes, false) {
        reply.sensible();
        // 200 is for those who ask how it is.
        assert!(reply.status != 200 || reply.json().is_none_or(|json| json.get("duplicate").is_none()), "{reply:?}");
    }
    assert_eq!(before, taken(daemon), "nobody vouched for it");
}

fn vouched_for(daemon: &Daemon, request: &[u8]) {
    let before = taken(daemon);
    let replies = daemon.to_server(request, true);
    let [reply] = &replies[..] else { panic!("one request, and {replies:?}") };
    reply.sensible();
    assert!(!matches!(reply.status, 401 | 403 | 404), "it is signed: {reply:?}");
    let json = reply.json().unwrap_or_else(|| panic!("an answer without words: {reply:?}"));
    let id = (reply.status == 200).then(|| json["id"].as_str().expect("the id of what was taken in"));
    assert_eq!(taken(daemon) > before, id.is_some(), "{reply:?}");
    if let Some(id) = id {
        assert!(!daemon.service.engine().event(id).expect("it is looked up").is_empty(), "it was taken in: {reply:?}");
    }
    daemon.settled();
}
