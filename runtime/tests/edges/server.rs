use std::time::Duration;

use flow_runtime::engine::EngineOptions;
use flow_runtime::server::Limits;
use flow_runtime::service::Service;
use flow_runtime::store::MemoryStore;
use flow_runtime::transport::SystemClock;
use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{
    Daemon, PATIENCE, acme, authority, connection, daemon, daemon_with, deliver, event, exchange, flow, live, options, raw, send,
    signature, signature_at, world,
};

const PATH: &str = "/v1/webhooks/acme";

async fn started() -> Daemon {
    daemon(live(vec![acme("http://127.0.0.1:1", None), connection("bare", "http://127.0.0.1:1")], vec![flow("f", "paid")])).await
}

async fn limited(limits: Limits) -> Daemon {
    let live = live(vec![acme("http://127.0.0.1:1", None)], vec![flow("f", "paid")]);
    daemon_with(live, world(std::sync::Arc::new(SystemClock)), |options| options.limits = limits).await
}

fn now() -> i64 {
    Timestamp::now().as_second()
}

async fn post(daemon: &Daemon, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, String) {
    let reply = send(&daemon.service.addresses().server, "POST", path, headers, body).await;
    (reply.status, reply.code())
}

#[tokio::test]
async fn an_event_is_received_once() {
    let daemon = started().await;
    let body = event("evt_1", "invoice.paid", now()).to_string();
    let first = deliver(&daemon, PATH, body.as_bytes()).await;
    assert_eq!((first.status, first.body.as_str()), (200, r#"{"received":true,"id":"evt_1","duplicate":false}"#));
    let again = deliver(&daemon, PATH, body.as_bytes()).await;
    assert_eq!((again.status, again.body.as_str()), (200, r#"{"received":true,"id":"evt_1","duplicate":true}"#));
    assert_eq!(daemon.service.engine().stats().runs_started, 1);
    daemon.service.stop().await;
}

#[tokio::test]
async fn a_segment_narrows_to_one_trigger() {
    let daemon = started().await;
    let body = event("evt_1", "invoice.paid", now()).to_string();
    let failed = deliver(&daemon, "/v1/webhooks/acme/failed", body.as_bytes()).await;
    assert_eq!((failed.status, daemon.service.engine().stats().runs_started), (200, 0));
    let paid = deliver(&daemon, "/v1/webhooks/acme/paid", body.as_bytes()).await;
    assert_eq!((paid.status, daemon.service.engine().stats().runs_started), (200, 1));
    assert_eq!(deliver(&daemon, "/v1/webhooks/acme/events", body.as_bytes()).await.json()["duplicate"], true);
}

#[tokio::test]
async fn unknown_event_types_are_kept_too() {
    let daemon = started().await;
    let body = event("evt_x", "something.new", now()).to_string();
    assert_eq!(deliver(&daemon, PATH, body.as_bytes()).await.status, 200);
    assert_eq!(daemon.service.engine().event("evt_x").unwrap().len(), 1);
}

#[tokio::test]
async fn addresses_that_are_none() {
    let daemon = started().await;
    let cases = [
        ("/v1/webhooks/nobody", "unknown_connection"),
        ("/v1/webhooks/", "unknown_connection"),
        ("/v1/webhooks/bare", "no_webhooks"),
        ("/v1/webhooks/acme/nothing", "unknown_trigger"),
        ("/v1/webhooks/acme/paid/more", "unknown_trigger"),
        ("/v1/webhooks", "not_found"),
        ("/", "not_found"),
        ("/api/v1/flows", "not_found"),
        ("/v1/webhooks/acme%2Fpaid", "unknown_connection"),
        ("/v1/webhooks/../webhooks/acme", "unknown_connection"),
    ];
    for (path, code) in cases {
        assert_eq!(post(&daemon, path, &[], b"{}").await, (404, code.to_owned()), "{path}");
    }
    for method in ["GET", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"] {
        let reply = send(&daemon.service.addresses().server, method, PATH, &[], b"").await;
        assert_eq!((reply.status, reply.code().as_str()), (405, "method_not_allowed"), "{method}");
        assert!(reply.head.contains("\r\nallow: post"), "{}", reply.head);
    }
}

#[tokio::test]
async fn signatures_decide() {
    let daemon = started().await;
    let body = event("evt_1", "invoice.paid", now()).to_string();
    let body = body.as_bytes();
    let good = signature(body);
    assert_eq!(post(&daemon, PATH, &[], body).await, (401, "signature_missing".to_owned()));
    assert_eq!(post(&daemon, PATH, &[("Acme-Signature", "")], body).await, (401, "signature_malformed".to_owned()));
    let doubled = [("Acme-Signature", &*good), ("Acme-Signature", &*good)];
    assert_eq!(post(&daemon, PATH, &doubled, body).await, (401, "signature_malformed".to_owned()));
    let changed = [body, b" "].concat();
    assert_eq!(post(&daemon, PATH, &[("Acme-Signature", &good)], &changed).await, (401, "signature_mismatch".to_owned()));
    let stale = signature_at(body, now() - 400);
    assert_eq!(post(&daemon, PATH, &[("Acme-Signature", &stale)], body).await, (401, "signature_stale".to_owned()));
    // The signature comes before the payload: nobody learns what a payload must look like.
    assert_eq!(post(&daemon, PATH, &[("Acme-Signature", &good)], b"nonsense").await, (401, "signature_mismatch".to_owned()));
    assert_eq!(daemon.service.engine().stats().events, 0);
}

#[tokio::test]
async fn payloads_that_are_no_events() {
    let daemon = started().await;
    let deep = format!("{{\"id\":\"e\",\"type\":\"t\",\"created\":1,\"x\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
    let cases: [(&[u8], &str); 18] = [
        (b"", "malformed"),
        (b"nonsense", "malformed"),
        (b"[]", "malformed"),
        (b"\"text\"", "malformed"),
        (b"{", "malformed"),
        (b"{}", "malformed"),
        (b"{} {}", "malformed"),
        (b"{\"id\":null,\"type\":\"t\",\"created\":1}", "malformed"),
        (b"{\"id\":\"\",\"type\":\"t\",\"created\":1}", "malformed"),
        (b"{\"id\":{},\"type\":\"t\",\"created\":1}", "malformed"),
        (b"{\"id\":[],\"type\":\"t\",\"created\":1}", "malformed"),
        (b"{\"id\": true,\"type\":\"t\",\"created\":1}", "malformed"),
        (b"{\"id\":false,\"type\":\"t\",\"created\":1}", "malformed"),
        (b"{\"id\":\"e\",\"type\":\"t\",\"created\":\"soon\"}", "malformed"),
        (b"{\"id\":\"e\xff\",\"type\":\"t\",\"created\":1}", "malformed"),
        (b"\xef\xbb\xbf{\"id\":\"e\"}", "malformed"),
        (deep.as_bytes(), "malformed"),
        (b"{\"id\":\"e\",\"object\":\"thin\",\"created\":\"2026-11-22T00:00:00Z\"}", "refused"),
    ];
    for (body, code) in cases {
        let reply = deliver(&daemon, PATH, body).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (400, code),
            "{}",
            String::from_utf8_lossy(&body[..body.len().min(80)])
        );
        if code == "refused" {
            assert_eq!(reply.json()["error"]["message"], "thin events are not taken: choose snapshot events");
        }
    }
    let long = event(&"x".repeat(600), "invoice.paid", now()).to_string();
    assert_eq!(deliver(&daemon, PATH, long.as_bytes()).await.status, 400);
    assert_eq!(daemon.service.engine().stats().events, 0);
}

#[tokio::test]
async fn only_json_is_taken() {
    let daemon = started().await;
    let body = event("evt_1", "invoice.paid", now()).to_string();
    let signature = signature(body.as_bytes());
    let with = |header: &'static str, value: &'static str| {
        let (daemon, body, signature) = (&daemon, body.as_bytes(), &*signature);
        let server = &daemon.service.addresses().server;
        async move { send(server, "POST", PATH, &[("Acme-Signature", signature), (header, value)], body).await.status }
    };
    for bad in ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonp", "multipart/form-data"] {
        assert_eq!(with("Content-Type", bad).await, 415, "{bad}");
    }
    assert_eq!(with("Content-Encoding", "gzip").await, 415);
    assert_eq!(with("Content-Type", "Application/JSON; charset=utf-8").await, 200);
    assert_eq!(with("X-Nothing", "x").await, 200);
}

#[tokio::test]
async fn too_much_is_refused_before_it_is_read() {
    let daemon = limited(Limits { max_body: 1000, ..Limits::default() }).await;
    let server = &daemon.service.addresses().server;
    // Announced only: nothing of the body is sent.
    let announced = send(server, "POST", PATH, &[("Content-Length", "99999999999")], b"").await;
    assert_eq!((announced.status, announced.code().as_str()), (413, "too_large"));
    // Sent whole: the answer arrives nevertheless.
    let whole = send(server, "POST", PATH, &[], &vec![b'x'; 300_000]).await;
    assert_eq!((whole.status, whole.code().as_str()), (413, "too_large"));
    // In chunks, without a length.
    let mut chunked = Vec::new();
    for _ in 0..40 {
        chunked.extend_from_slice(b"40\r\n");
        chunked.extend_from_slice(&[b'x'; 64]);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let headers = [("Transfer-Encoding", "chunked"), ("Acme-Signature", &*signature(b"other"))];
    let reply = send(server, "POST", PATH, &headers, &chunked).await;
    assert_eq!((reply.status, reply.code().as_str()), (413, "too_large"));
    let large = format!("/v1/webhooks/{}", "x".repeat(100_000));
    let reply = send(server, "POST", &large, &[], b"").await;
    assert_eq!((reply.status, reply.code().as_str()), (414, "uri_too_long"));
    let header = "x".repeat(100_000);
    let reply = send(server, "POST", PATH, &[("X-Large", &header)], b"").await;
    assert_eq!((reply.status, reply.code().as_str()), (431, "header_too_large"));
}

#[tokio::test]
async fn chunked_bodies_are_put_together() {
    let daemon = started().await;
    let body = event("evt_1", "invoice.paid", now()).to_string();
    let mut chunked = Vec::new();
    for part in body.as_bytes().chunks(7) {
        chunked.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
        chunked.extend_from_slice(part);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let headers = [("Acme-Signature", &*signature(body.as_bytes())), ("Transfer-Encoding", "chunked")];
    assert_eq!(send(&daemon.service.addresses().server, "POST", PATH, &headers, &chunked).await.status, 200);
}

#[tokio::test]
async fn slow_senders_are_left() {
    let fast = Duration::from_millis(150);
    let daemon = limited(Limits { body_timeout: fast, ..Limits::default() }).await;
    let host = authority(&daemon.service.addresses().server).to_owned();
    // The body stops in the middle.
    let stream = TcpStream::connect(&host).await.unwrap();
    let forged = signature(b"other");
    let headers = [("Content-Length", "100"), ("Acme-Signature", &*forged)];
    let reply = exchange(stream, &raw(&host, "POST", PATH, &headers, b"{")).await;
    assert_eq!((reply.status, reply.code().as_str()), (408, "timeout"));
    assert!(reply.head.contains("connection: close"));
    // A sender that goes away in the middle is no event.
    let mut stream = TcpStream::connect(&host).await.unwrap();
    stream.write_all(&raw(&host, "POST", PATH, &headers, b"{\"id\"")).await.unwrap();
    drop(stream);
    assert_eq!(daemon.service.engine().stats().events, 0);
    // The head stops in the middle: the connection ends.
    let daemon = limited(Limits { header_timeout: fast, ..Limits::default() }).await;
    let mut stream = TcpStream::connect(authority(&daemon.service.addresses().server)).await.unwrap();
    stream.write_all(b"POST /v1/webhooks/acme HTTP/1.1\r\nHost: x\r\nX-").await.unwrap();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok() && !rest.starts_with(b"HTTP/1.1 2"), "{rest:?}");
}

#[tokio::test]
async fn smuggling_shapes_are_refused() {
    let daemon = started().await;
    let host = authority(&daemon.service.addresses().server).to_owned();
    let second = "POST /v1/webhooks/acme HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}";
    for head in [
        "Content-Length: 2\r\nContent-Length: 3\r\n",
        "Content-Length: +2\r\n",
        "Content-Length: 2\r\nTransfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: identity, chunked, gzip\r\n",
        "Content-Length : 2\r\n",
    ] {
        let text = format!("POST /v1/webhooks/acme HTTP/1.1\r\nHost: x\r\n{head}\r\n{{}}{second}");
        let mut stream = TcpStream::connect(&host).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut all = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut all)).await;
        let answers = String::from_utf8_lossy(&all);
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{head:?}: {answers}");
        assert!(answers.starts_with("HTTP/1.1 400") || answers.starts_with("HTTP/1.1 401"), "{head:?}: {answers}");
    }
}

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let daemon = started().await;
    let host = authority(&daemon.service.addresses().server).to_owned();
    let mut stream = TcpStream::connect(&host).await.unwrap();
    for at in 0..5 {
        let body = event(&format!("evt_{at}"), "invoice.paid", now()).to_string();
        let headers = [("Acme-Signature", &*signature(body.as_bytes()))];
        let reply = exchange(&mut stream, &raw(&host, "POST", PATH, &headers, body.as_bytes())).await;
        assert_eq!((reply.status, reply.json()["id"].as_str()), (200, Some(&*format!("evt_{at}"))));
    }
}

/// Connections without a request, and those that begin one for ever, keep nobody out: the longest idle give way.
#[tokio::test]
async fn idle_connections_give_way_to_whoever_comes() {
    let patience = Duration::from_secs(600);
    let limits = Limits { connections: 20, header_timeout: patience, body_timeout: patience, ..Limits::default() };
    let daemon = limited(limits).await;
    let host = authority(&daemon.service.addresses().server).to_owned();
    let mut held = Vec::new();
    for number in 0..50 {
        let mut stream = TcpStream::connect(&host).await.unwrap();
        if number % 2 == 1 {
            stream.write_all(b"POST /v1/webhooks/acme HTTP/1.1\r\nHost: x\r\nX-").await.unwrap();
        }
        held.push(stream);
    }
    let mut kept = TcpStream::connect(&host).await.unwrap();
    for number in 0..3 {
        let body = event(&format!("evt_{number}"), "invoice.paid", now()).to_string();
        assert_eq!(deliver(&daemon, PATH, body.as_bytes()).await.status, 200);
        assert_eq!(exchange(&mut kept, &raw(&host, "GET", "/healthz", &[], b"")).await.status, 200, "one that is used stays");
    }
    // Who gave way in the middle of a head is told; who had sent nothing sees the end.
    let begun = exchange(&mut held[1], b"").await;
    assert_eq!((begun.status, begun.code().as_str()), (503, "busy"));
    assert!(begun.head.contains("retry-after: 5") && begun.head.contains("connection: close"), "{}", begun.head);
    assert_eq!(exchange(&mut held[0], b"").await.status, 0);
}

/// Slow bodies take all places, as far as that goes: each gives way after a moment.
#[tokio::test]
async fn slow_bodies_give_way_to_whoever_comes() {
    let patience = Duration::from_secs(600);
    let limits = Limits { connections: 8, header_timeout: patience, body_timeout: patience, ..Limits::default() };
    let daemon = limited(limits).await;
    let host = authority(&daemon.service.addresses().server).to_owned();
    let forged = signature(b"other");
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(slow(&host, &[("Acme-Signature", &forged)]).await);
    }
    let body = event("evt_1", "invoice.paid", now()).to_string();
    assert_eq!(deliver(&daemon, PATH, body.as_bytes()).await.status, 200);
    let (left, ..) = futures_util::future::select_all(held.iter_mut().map(|stream| Box::pin(exchange(stream, b"")))).await;
    assert_eq!((left.status, left.code().as_str()), (503, "busy"));
}

/// A sender that never reads its answers is left, though it goes on sending.
#[tokio::test]
async fn who_does_not_read_is_left() {
    let daemon = limited(Limits { answer_timeout: Duration::from_millis(300), ..Limits::default() }).await;
    let host = authority(&daemon.service.addresses().server).to_owned();
    let mut stream = TcpStream::connect(&host).await.unwrap();
    let requests = raw(&host, "GET", "/healthz", &[], b"").repeat(1000);
    let left = async { while stream.write_all(&requests).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, left).await.expect("the connection ends");
    assert_eq!(send(&daemon.service.addresses().server, "GET", "/healthz", &[], b"").await.status, 200);
}

#[tokio::test]
async fn bodies_share_a_bound() {
    let limits = Limits { max_body: 64 * 1024, bodies: 64 * 1024, body_timeout: Duration::from_millis(300), ..Limits::default() };
    let daemon = limited(limits).await;
    let host = authority(&daemon.service.addresses().server).to_owned();
    // One sender takes all of the memory and then nothing happens.
    let mut greedy = TcpStream::connect(&host).await.unwrap();
    let headers = [("Content-Length", "65536"), ("Acme-Signature", &*signature(b"other"))];
    greedy.write_all(&raw(&host, "POST", PATH, &headers, b"{")).await.unwrap();
    let body = event("evt_1", "invoice.paid", now()).to_string();
    assert_eq!(deliver(&daemon, PATH, body.as_bytes()).await.status, 200, "it goes on when the slow sender is left");
}

/// Announces a large body, sends one byte of it, and then nothing.
async fn slow(host: &str, headers: &[(&str, &str)]) -> TcpStream {
    let mut stream = TcpStream::connect(host).await.unwrap();
    let headers = [&[("Content-Length", "1048576")], headers].concat();
    stream.write_all(&raw(host, "POST", PATH, &headers, b"{")).await.unwrap();
    stream
}

#[tokio::test]
async fn slow_senders_do_not_stop_others() {
    // Slow ones may be as slow as they like: whoever waited for one of them would wait for longer than the test does.
    let forever = Duration::from_secs(3600);
    let limits = Limits { bodies: 4 * 1024 * 1024, header_timeout: forever, body_timeout: forever, ..Limits::default() };
    let daemon = limited(limits).await;
    let host = authority(&daemon.service.addresses().server).to_owned();
    // Without a signature, with one that is none, with one that is stale: refused before the body is there.
    let stale = signature_at(b"{}", now() - 400);
    let cases = [(None, "missing"), (Some("t=x"), "malformed"), (Some("t=1"), "mismatch"), (Some(&*stale), "stale")];
    for (given, code) in cases {
        let headers: Vec<_> = given.iter().map(|given| ("Acme-Signature", *given)).collect();
        let reply = exchange(slow(&host, &headers).await, b"").await;
        assert_eq!((reply.status, reply.code()), (401, format!("signature_{code}")));
    }
    // With one that could be right, many at a time.
    let forged = signature(b"other");
    let mut held = Vec::new();
    for _ in 0..120 {
        held.push(slow(&host, &[("Acme-Signature", &forged)]).await);
        held.push(slow(&host, &[]).await);
    }
    let body = event("evt_1", "invoice.paid", now()).to_string();
    assert_eq!(deliver(&daemon, PATH, body.as_bytes()).await.status, 200);
    // Large ones get in too, since the others have sent nothing.
    let mut large = event("evt_2", "invoice.paid", now());
    large["data"]["object"]["note"] = "x".repeat(1_000_000).into();
    assert_eq!(deliver(&daemon, PATH, large.to_string().as_bytes()).await.status, 200);
    drop(held);
}

/// More than there is memory for, all at once: each gets its turn.
#[tokio::test]
async fn large_bodies_wait_for_each_other() {
    let daemon = std::sync::Arc::new(limited(Limits { bodies: 1024 * 1024, ..Limits::default() }).await);
    let senders: Vec<_> = (0..6)
        .map(|at| {
            let daemon = std::sync::Arc::clone(&daemon);
            tokio::spawn(async move {
                let mut large = event(&format!("evt_{at}"), "invoice.paid", now());
                large["data"]["object"]["note"] = "x".repeat(900_000).into();
                deliver(&daemon, PATH, large.to_string().as_bytes()).await.status
            })
        })
        .collect();
    for sender in senders {
        assert_eq!(sender.await.unwrap(), 200);
    }
}

#[tokio::test]
async fn a_webhook_without_its_secret_is_not_taken() {
    let mut acme = acme("http://127.0.0.1:1", None);
    acme.secrets.remove("webhook_secret");
    let daemon = daemon(live(vec![acme], vec![flow("f", "paid")])).await;
    let reply = deliver(&daemon, PATH, b"{}").await;
    assert_eq!((reply.status, reply.code().as_str()), (503, "webhook_not_configured"));
    assert!(reply.head.contains("retry-after: "));
}

#[tokio::test]
async fn health_and_readiness() {
    let daemon = started().await;
    let server = &daemon.service.addresses().server;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(send(server, "GET", path, &[], b"").await.status, 200);
        assert_eq!(send(server, "POST", path, &[], b"").await.status, 405);
    }
    let host = authority(server).to_owned();
    let mut stream = TcpStream::connect(&host).await.unwrap();
    stream.write_all(format!("HEAD /readyz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).await.unwrap();
    assert!(all.starts_with("HTTP/1.1 200") && all.ends_with("\r\n\r\n"), "{all}");
}

#[tokio::test]
async fn a_stopping_daemon_answers_what_is_on_its_way() {
    let daemon = started().await;
    let engine = daemon.service.engine().clone();
    engine.stop(Duration::from_secs(1)).await;
    let body = event("evt_1", "invoice.paid", now()).to_string();
    let reply = deliver(&daemon, PATH, body.as_bytes()).await;
    assert_eq!((reply.status, reply.code().as_str()), (503, "stopping"));
    assert!(reply.head.contains("retry-after: "));
    let server = daemon.service.addresses().server.clone();
    daemon.service.stop().await;
    assert!(TcpStream::connect(authority(&server)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_event_at_the_same_time_starts_once() {
    let daemon = std::sync::Arc::new(started().await);
    let body = event("evt_1", "invoice.paid", now()).to_string();
    let senders: Vec<_> = (0..16)
        .map(|_| {
            let (daemon, body) = (std::sync::Arc::clone(&daemon), body.clone());
            tokio::spawn(async move { deliver(&daemon, PATH, body.as_bytes()).await.json()["duplicate"].as_bool().unwrap() })
        })
        .collect();
    let mut first = 0;
    for sender in senders {
        first += usize::from(!sender.await.unwrap());
    }
    assert_eq!((first, daemon.service.engine().stats().runs_started), (1, 1));
}

#[tokio::test]
async fn a_full_queue_refuses() {
    let live = live(vec![acme("http://127.0.0.1:1", None)], vec![flow("f", "paid")]);
    let daemon = daemon_with(live, world(std::sync::Arc::new(SystemClock)), |options| {
        options.engine = EngineOptions { queue: 0, ..EngineOptions::default() };
    })
    .await;
    let body = event("evt_1", "invoice.paid", now()).to_string();
    let reply = deliver(&daemon, PATH, body.as_bytes()).await;
    assert_eq!((reply.status, reply.code().as_str()), (503, "queue_full"));
    assert!(reply.head.contains("retry-after: 5"));
}

#[tokio::test]
async fn a_disk_that_refuses_is_said_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let store = MemoryStore::new().unwrap();
    let faults = store.faults();
    let live = live(vec![acme("http://127.0.0.1:1", None)], vec![flow("f", "paid")]);
    let world = world(std::sync::Arc::new(SystemClock));
    let store = std::sync::Arc::new(store);
    let service = Service::start_with_store(options(folder.path()), live, world, store).await.unwrap();
    let daemon = Daemon { service: std::sync::Arc::new(service), folder };
    let body = event("evt_1", "invoice.paid", now()).to_string();
    faults.fail_after(0);
    let reply = deliver(&daemon, PATH, body.as_bytes()).await;
    assert_eq!((reply.status, reply.code().as_str()), (503, "store"));
    assert!(reply.head.contains("retry-after: "));
    let ready = send(&daemon.service.addresses().server, "GET", "/readyz", &[], b"").await;
    assert_eq!((ready.status, ready.code().as_str()), (503, "not_ready"));
    assert_eq!(send(&daemon.service.addresses().server, "GET", "/healthz", &[], b"").await.status, 200);
    // One small write that gets through is not yet a disk that works.
    faults.heal();
    faults.fail_after(1);
    assert_eq!(deliver(&daemon, PATH, body.as_bytes()).await.status, 200);
    let ready = send(&daemon.service.addresses().server, "GET", "/readyz", &[], b"").await;
    assert_eq!((ready.status, ready.code().as_str()), (503, "not_ready"));
    faults.heal();
    let ready = async {
        while send(&daemon.service.addresses().server, "GET", "/readyz", &[], b"").await.status != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ready).await.unwrap();
    let body = event("evt_2", "invoice.paid", now()).to_string();
    let reply = deliver(&daemon, PATH, body.as_bytes()).await;
    assert_eq!((reply.status, reply.json()["duplicate"].as_bool()), (200, Some(false)));
}
