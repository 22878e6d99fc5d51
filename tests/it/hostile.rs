//! Hostile HTTP: whatever could be understood in two ways is refused with the connection, every refusal is JSON, and nobody
//! takes more of the daemon than there is for him.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::daemon::{Daemon, ONE_LINER, toml};
use crate::support::{PATIENCE, eventually, stripe};

const WEBHOOK: &str = "/v1/webhooks/stripe";
/// What a sender would smuggle in: answered only where the connection went on.
const NEXT: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

fn started() -> Daemon {
    Daemon::start(&[("flow.toml", &toml("http://127.0.0.1:9")), ("main.flow", ONE_LINER)])
}

fn connect(server: &str) -> TcpStream {
    let stream = TcpStream::connect(server.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends bytes and reads until the daemon closes.
fn talk(server: &str, bytes: &[u8]) -> Vec<String> {
    let mut stream = connect(server);
    // A server that refuses early may close before it has read everything.
    let _ = stream.write_all(bytes);
    let mut all = Vec::new();
    let read = stream.read_to_end(&mut all);
    let text = String::from_utf8_lossy(&all).into_owned();
    assert!(read.is_ok() || !text.is_empty(), "{read:?}: {}", String::from_utf8_lossy(&bytes[..bytes.len().min(200)]));
    text.split("HTTP/1.1 ").skip(1).map(str::to_owned).collect()
}

/// Returns the status of an answer and the code of its error.
fn what(answer: &str) -> (u16, String) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').next().unwrap().parse().unwrap();
    if status == 200 {
        return (status, String::new());
    }
    let json: serde_json::Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"));
    assert!(json["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{answer}");
    assert!(head.contains("content-type: application/json") && head.contains("\r\ndate: "), "{answer}");
    (status, json["error"]["code"].as_str().unwrap().to_owned())
}

/// A true event with its signature, so that nothing but the shape of the request decides.
struct Signed {
    body: String,
    header: String,
}

fn signed(id: &str) -> Signed {
    let body = stripe::charge_failed(id, 1, "usd", None).to_string();
    let header = stripe::signature_at(stripe::SECRET, jiff::Timestamp::now().as_second(), body.as_bytes());
    Signed { header: format!("Stripe-Signature: {header}\r\nContent-Type: application/json\r\n"), body }
}

impl Signed {
    fn chunked(&self) -> String {
        format!("{:x}\r\n{}\r\n0\r\n\r\n", self.body.len(), self.body)
    }

    fn request(&self, extra: &str) -> String {
        let Self { body, header } = self;
        format!("POST {WEBHOOK} HTTP/1.1\r\nHost: x\r\n{header}Content-Length: {}\r\n{extra}\r\n{body}", body.len())
    }
}

/// What stands in the head about the body, and the body as it is sent; `@` is its length.
type Shape = (&'static str, fn(&Signed) -> String);

#[test]
fn framing_that_could_be_understood_in_two_ways_is_refused() {
    let daemon = started();
    let plain: fn(&Signed) -> String = |signed| signed.body.clone();
    let chunked: fn(&Signed) -> String = Signed::chunked;
    let shapes: [Shape; 42] = [
        ("Content-Length: @\r\nTransfer-Encoding: chunked\r\n", chunked),
        ("Transfer-Encoding: chunked\r\nContent-Length: @\r\n", chunked),
        ("Content-Length: @\r\nTransfer-Encoding: chunked\r\n", plain),
        ("Content-Length: @\r\nContent-Length: @\r\n", plain),
        ("Content-Length: @\r\nContent-Length: 3\r\n", plain),
        ("Content-Length: @, @\r\n", plain),
        ("Content-Length: +@\r\n", plain),
        ("Content-Length: -@\r\n", plain),
        ("Content-Length: 0x@\r\n", plain),
        ("Content-Length: @.0\r\n", plain),
        ("Content-Length: 99999999999999999999999\r\n", plain),
        ("Content-Length:\r\n", plain),
        ("Content-Length : @\r\n", plain),
        ("Transfer-Encoding: xchunked\r\n", chunked),
        ("Transfer-Encoding: identity\r\n", plain),
        ("Transfer-Encoding: gzip\r\n", chunked),
        ("Transfer-Encoding: gzip, chunked\r\n", chunked),
        ("Transfer-Encoding: chunked, identity\r\n", chunked),
        ("Transfer-Encoding: identity, chunked\r\n", chunked),
        ("Transfer-Encoding: chunked, chunked\r\n", chunked),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", chunked),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", chunked),
        ("Transfer-Encoding: ,chunked\r\n", chunked),
        ("Transfer-Encoding: chunked,\r\n", chunked),
        ("Transfer-Encoding: chunked;q=1\r\n", chunked),
        ("Transfer-Encoding: \"chunked\"\r\n", chunked),
        ("Transfer-Encoding: \u{b}chunked\r\n", chunked),
        ("Transfer-Encoding:\r\n chunked\r\n", chunked),
        ("Transfer-Encoding : chunked\r\n", chunked),
        ("X-A: a\r\n b\r\nContent-Length: @\r\n", plain),
        (" X-A: a\r\nContent-Length: @\r\n", plain),
        ("X-A: a\0b\r\nContent-Length: @\r\n", plain),
        ("X\0A: a\r\nContent-Length: @\r\n", plain),
        ("X-A: a\rb\r\nContent-Length: @\r\n", plain),
        ("X-A: a\nContent-Length: @\r\n", plain),
        (": a\r\nContent-Length: @\r\n", plain),
        ("nonsense\r\nContent-Length: @\r\n", plain),
        ("Host: x\r\nContent-Length: @\r\n", plain),
        ("Transfer-Encoding: chunked\r\n", |signed| signed.chunked().replacen("\r\n", "\n", 1)),
        ("Transfer-Encoding: chunked\r\n", |signed| format!("0x{}", signed.chunked())),
        ("Transfer-Encoding: chunked\r\n", |signed| signed.chunked().replacen("\r\n", ";a\nb\r\n", 1)),
        ("Transfer-Encoding: chunked\r\n", |signed| signed.chunked().replace("\r\n0\r\n", "XX0\r\n")),
    ];
    for (number, (head, frame)) in shapes.into_iter().enumerate() {
        let signed = signed(&format!("bad_{number}"));
        let framed = frame(&signed);
        let head = head.replace('@', &signed.body.len().to_string());
        let text = format!("POST {WEBHOOK} HTTP/1.1\r\nHost: x\r\n{}{head}\r\n{framed}{NEXT}", signed.header);
        let answers = talk(&daemon.server, text.as_bytes());
        assert_eq!(answers.len(), 1, "{head:?}: {answers:?}");
        let (status, code) = what(&answers[0]);
        assert!(status == 400 && (code == "malformed" || code == "host"), "{head:?}: {answers:?}");
        assert!(answers[0].contains("\r\nconnection: close\r\n"), "{head:?}: {answers:?}");
    }
    assert_eq!(daemon.get("events?limit=100")["events"].as_array().map(Vec::len), Some(0));
}

#[test]
fn what_is_unusual_but_clear_is_taken() {
    let daemon = started();
    let cases: [Shape; 8] = [
        ("Transfer-Encoding: CHUNKED \r\n", Signed::chunked),
        ("Transfer-Encoding: chunked\r\n", |signed| {
            format!("{:X};a=\"b c\"\r\n{}\r\n000\r\nContent-Length: 3\r\n\r\n", signed.body.len(), signed.body)
        }),
        ("Content-Length:\t000@\t\r\n", |signed| signed.body.clone()),
        ("Content-Length: @\r\nTransfer_Encoding: chunked\r\n", |signed| signed.body.clone()),
        (
            "Content-Length: @\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
            |signed| signed.body.clone(),
        ),
        ("Content-Length: @\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", |signed| signed.body.clone()),
        ("Content-Length: @\r\nX-A: \u{e9}\r\n", |signed| signed.body.clone()),
        ("Content-Length: @\r\nExpect: 100-Continue\r\n", |signed| signed.body.clone()),
    ];
    for (number, (head, frame)) in cases.into_iter().enumerate() {
        let signed = signed(&format!("good_{number}"));
        let framed = frame(&signed);
        let head = head.replace('@', &signed.body.len().to_string());
        let text = format!("\r\nPOST {WEBHOOK} HTTP/1.1\r\nHost: x\r\n{}{head}\r\n{framed}{NEXT}", signed.header);
        let answers = talk(&daemon.server, text.as_bytes());
        assert_eq!(answers.iter().map(|answer| what(answer).0).collect::<Vec<_>>(), [200, 200], "{head:?}: {answers:?}");
        assert!(answers[1].contains("alive"));
    }
    // An older sender without Host, and one that asks to go on.
    for (extra, answered) in [("", 1), ("Connection: keep-alive\r\n", 2)] {
        let old = signed(&format!("old_{answered}")).request(extra).replacen("HTTP/1.1\r\nHost: x\r\n", "HTTP/1.0\r\n", 1);
        let answers = talk(&daemon.server, format!("{old}{NEXT}").as_bytes());
        assert_eq!((what(&answers[0]).0, answers.len()), (200, answered), "{answers:?}");
    }
}

#[test]
fn every_odd_request_has_its_status_and_a_body_in_json() {
    let daemon = started();
    let uri = format!("GET /{} HTTP/1.1\r\n", "a".repeat(70_000));
    let header = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(2_000_000));
    let headers = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: a\r\n".repeat(200));
    let method = format!("{} /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "A".repeat(5000));
    let with = |line: &str, rest: &str| format!("{line}\r\nHost: x\r\n{rest}\r\n");
    let cases: Vec<(String, u16, &str)> = vec![
        // What is no HTTP/1.1 at all.
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 505, "http_version"),
        (with("GET / HTTP/2.0", ""), 505, "http_version"),
        (with("GET / HTTP/1.2", ""), 505, "http_version"),
        (with("GET / http/1.1", ""), 400, "malformed"),
        ("GET /healthz\r\n\r\n".to_owned(), 400, "malformed"),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}".to_owned(), 400, "malformed"),
        ("GET / HTTP/1.1\nHost: x\n\n".to_owned(), 400, "malformed"),
        (with("GET  / HTTP/1.1", ""), 400, "malformed"),
        (with("GET /a b HTTP/1.1", ""), 400, "malformed"),
        // Too much.
        (uri, 414, "uri_too_long"),
        (header, 431, "header_too_large"),
        (headers, 431, "header_too_large"),
        (method, 405, "method_not_allowed"),
        // Hosts.
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400, "host"),
        (with("GET / HTTP/1.1", "Host: y\r\n"), 400, "host"),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n".to_owned(), 400, "host"),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n".to_owned(), 400, "host"),
        ("GET / HTTP/1.1\r\nHost: user@x\r\n\r\n".to_owned(), 400, "host"),
        ("GET / HTTP/1.1\r\nHost: x/y\r\n\r\n".to_owned(), 400, "host"),
        ("GET / HTTP/1.1\r\nHost: x:99999\r\n\r\n".to_owned(), 400, "host"),
        ("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n".to_owned(), 400, "host"),
        (with("GET http://evil/healthz HTTP/1.1", ""), 400, "host"),
        // Addresses.
        (with("GET http://:0/ HTTP/1.1", ""), 400, "malformed"),
        (with("GET /healthz#x HTTP/1.1", ""), 400, "malformed"),
        (with("GET healthz HTTP/1.1", ""), 400, "malformed"),
        (with("GET * HTTP/1.1", ""), 400, "malformed"),
        (with("GET /\u{e9} HTTP/1.1", ""), 400, "malformed"),
        (with("POST http://x/v1/webhooks/stripe HTTP/1.1", "Connection: close\r\n"), 401, "signature_missing"),
        (with("POST /v1/webhooks/%73tripe HTTP/1.1", "Connection: close\r\n"), 404, "unknown_connection"),
        (with("POST /v1/webhooks//stripe HTTP/1.1", "Connection: close\r\n"), 404, "unknown_connection"),
        (with("POST //v1/webhooks/stripe HTTP/1.1", "Connection: close\r\n"), 404, "not_found"),
        (with("POST /v1/webhooks/../webhooks/stripe HTTP/1.1", "Connection: close\r\n"), 404, "unknown_connection"),
        (with("POST /v1/webhooks/stripe/%2e%2e HTTP/1.1", "Connection: close\r\n"), 404, "unknown_trigger"),
        (with("POST /v1/webhooks/stripe%00 HTTP/1.1", "Connection: close\r\n"), 404, "unknown_connection"),
        (with("POST /V1/webhooks/stripe HTTP/1.1", "Connection: close\r\n"), 404, "not_found"),
        // Methods.
        (with("OPTIONS * HTTP/1.1", "Connection: close\r\n"), 404, "not_found"),
        (with("OPTIONS /v1/webhooks/stripe HTTP/1.1", "Connection: close\r\n"), 405, "method_not_allowed"),
        (with("TRACE /v1/webhooks/stripe HTTP/1.1", "Connection: close\r\n"), 405, "method_not_allowed"),
        (with("BREW /healthz HTTP/1.1", "Connection: close\r\n"), 405, "method_not_allowed"),
        ("CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n".to_owned(), 405, "method_not_allowed"),
        // Bodies.
        (with("POST /v1/webhooks/stripe HTTP/1.1", "Content-Length: 18446744073709551615\r\n"), 413, "too_large"),
        (with("POST /v1/webhooks/stripe HTTP/1.1", "Content-Length: 2000000\r\nExpect: 100-continue\r\n"), 413, "too_large"),
        (with("POST /v1/webhooks/stripe HTTP/1.1", "Content-Length: 2\r\nExpect: 200-ok\r\n") + "{}", 417, "expectation"),
        (with("POST /v1/webhooks/stripe HTTP/1.1", "Content-Length: 2\r\n") + "{}", 401, "signature_missing"),
    ];
    for (text, status, code) in cases {
        let shown = &text[..text.floor_char_boundary(90)];
        // Latin letters beyond ASCII are one byte each here, as hostile senders write them.
        let bytes: Vec<u8> = text.chars().map(|letter| u8::try_from(letter).unwrap()).chain(NEXT.bytes()).collect();
        let answers = talk(&daemon.server, &bytes);
        assert_eq!(answers.len(), 1, "{shown:?}: {answers:?}");
        assert_eq!(what(&answers[0]), (status, code.to_owned()), "{shown:?}");
    }
    // A chunk that is larger than a body may be is not waited for.
    let signed = signed("huge");
    let text = format!(
        "POST {WEBHOOK} HTTP/1.1\r\nHost: x\r\n{}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}",
        signed.header, signed.body
    );
    let answers = talk(&daemon.server, text.as_bytes());
    assert_eq!((what(&answers[0]), answers.len()), ((413, "too_large".to_owned()), 1));
    // HEAD has the head of the answer alone.
    let mut stream = connect(&daemon.server);
    stream.write_all(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    assert!(all.starts_with("HTTP/1.1 200 OK\r\n") && all.ends_with("\r\n\r\n") && !all.contains("content-length: 0"), "{all}");
}

#[test]
fn a_sender_that_waits_to_be_told_to_go_on_is_told() {
    let daemon = started();
    let signed = signed("expected");
    let mut stream = connect(&daemon.server);
    let request = signed.request("Expect: 100-continue\r\nConnection: close\r\n");
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    stream.write_all(format!("{head}\r\n\r\n").as_bytes()).unwrap();
    let mut told = [0; 25];
    stream.read_exact(&mut told).unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    // Whoever is refused is not told to go on.
    let text = format!("POST {WEBHOOK} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n");
    let answers = talk(&daemon.server, text.as_bytes());
    assert_eq!(answers.iter().map(|answer| what(answer)).collect::<Vec<_>>(), [(401, "signature_missing".to_owned())]);
}

#[test]
fn pipelined_requests_are_answered_in_order_until_one_is_refused_unread() {
    let daemon = started();
    let mut text: String = (0..50).map(|number| signed(&format!("pipe_{number}")).request("")).collect();
    // Read whole and refused: the connection goes on.
    let forged = Signed { body: stripe::charge_failed("forged", 1, "usd", None).to_string(), ..signed("other") };
    text.push_str(&forged.request(""));
    text.push_str(&signed("pipe_50").request(""));
    // Refused before its body is read: the next one may be a part of it.
    text.push_str(&format!("POST {WEBHOOK} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}"));
    text.push_str(&signed("pipe_51").request(""));
    let answers = talk(&daemon.server, text.as_bytes());
    assert_eq!(answers.len(), 53);
    for (number, answer) in answers.iter().enumerate() {
        match number {
            50 => assert_eq!(what(answer), (401, "signature_mismatch".to_owned())),
            52 => assert_eq!(what(answer), (401, "signature_missing".to_owned())),
            51 => assert!(answer.contains("\"evt_pipe_50\""), "{answer}"),
            _ => assert!(answer.contains(&format!("\"evt_pipe_{number}\"")), "{answer}"),
        }
    }
}

/// Large bodies with signatures that could be right, none of them sent to its end: what they hold is bounded however many
/// come, and ordinary webhooks get in meanwhile. Seen from outside: what the process has of the machine's memory.
#[test]
fn bodies_on_their_way_in_hold_no_more_than_their_bound() {
    const SENDERS: usize = 300;
    /// `Limits::bodies`; what is free of each body, with its head and what was read ahead; and as much again for what an
    /// allocator keeps.
    const BOUND: u64 = (64 + SENDERS as u64 * 64 / 1024) * 1024 * 3 / 2;
    let daemon = started();
    let post =
        |id: &str| assert_eq!(stripe::post(&daemon.server, &stripe::charge_failed(id, 1, "usd", None).to_string()).status, 200);
    post("before");
    let idle = daemon.resident();
    let mut peak = 0;
    for round in 0..3 {
        let at = jiff::Timestamp::now().as_second();
        let head = format!(
            "POST {WEBHOOK} HTTP/1.1\r\nHost: x\r\nStripe-Signature: t={at},v1={}\r\nContent-Length: 1048576\r\n\r\n",
            "a".repeat(64)
        );
        let mut senders: Vec<_> = (0..SENDERS)
            .map(|_| {
                let mut stream = connect(&daemon.server);
                stream.write_all(head.as_bytes()).unwrap();
                stream.set_nonblocking(true).unwrap();
                (stream, 1_000_000)
            })
            .collect();
        // Until the bound is reached and nobody gets rid of more.
        let piece = [b'a'; 64 * 1024];
        let (mut stuck, mut sent) = (0, 0);
        let patience = Instant::now() + PATIENCE;
        while stuck < 20 || sent <= 64 * 1024 * 1024 {
            assert!(Instant::now() < patience, "the bound was not reached: {sent}");
            let mut moved = 0;
            for (stream, left) in &mut senders {
                let most = piece.len().min(*left);
                if let Ok(written) = stream.write(&piece[..most]) {
                    *left -= written;
                    moved += written;
                }
            }
            peak = peak.max(daemon.resident());
            sent += moved;
            stuck = if moved == 0 { stuck + 1 } else { 0 };
            std::thread::sleep(Duration::from_millis(5));
        }
        post(&format!("during_{round}"));
    }
    assert!(peak < idle + BOUND, "{idle} kB before, {peak} kB at most, {} kB allowed", idle + BOUND);
    eventually("what they held is free for others", || {
        let mut large = stripe::charge_failed("large", 1, "usd", None);
        large["data"]["object"]["description"] = "x".repeat(900_000).into();
        (stripe::post(&daemon.server, &large.to_string()).status == 200).then_some(())
    });
}

/// The system gives no further files: connections without a request give way, and the store is not harmed.
#[test]
fn where_no_more_files_may_be_open_idle_connections_give_way() {
    let daemon = started();
    daemon.may_open(120);
    let held: Vec<_> = (0..300).map(|_| connect(&daemon.server)).collect();
    for number in 0..3 {
        let body = stripe::charge_failed(&format!("files_{number}"), 1, "usd", None).to_string();
        assert_eq!(stripe::post(&daemon.server, &body).status, 200);
    }
    assert_eq!(daemon.get("events?limit=10")["events"].as_array().map(Vec::len), Some(3));
    drop(held);
}
