use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flow_runtime::secret::Secret;
use flow_runtime::service::ReloadKind;
use flow_runtime::transport::SystemClock;
use tokio::net::UnixStream;

use crate::support::{
    Daemon, Reply, acme, authority, daemon, daemon_with, deliver, event, exchange, flow, live, raw, send, world,
};

async fn started() -> Daemon {
    daemon(live(vec![acme("http://127.0.0.1:1", None)], vec![flow("f", "paid"), flow("g", "failed")])).await
}

async fn with_token(token: &str) -> Daemon {
    let live = live(vec![acme("http://127.0.0.1:1", None)], vec![flow("f", "paid")]);
    daemon_with(live, world(Arc::new(SystemClock)), |options| options.admin_token = Some(Secret::new(token.to_owned()))).await
}

async fn get(daemon: &Daemon, path: &str) -> Reply {
    send(&daemon.service.addresses().admin, "GET", path, &[], b"").await
}

async fn post(daemon: &Daemon, path: &str) -> Reply {
    send(&daemon.service.addresses().admin, "POST", path, &[("X-Flow-Admin", "1")], b"").await
}

#[tokio::test]
async fn flows_events_and_runs_are_shown() {
    let daemon = started().await;
    let now = jiff::Timestamp::now().as_second();
    for at in 0..5 {
        let body = event(&format!("evt/{at} ?"), "invoice.paid", now).to_string();
        assert_eq!(deliver(&daemon, "/v1/webhooks/acme", body.as_bytes()).await.status, 200);
    }
    daemon.service.engine().settled().await;
    let flows = get(&daemon, "/api/v1/flows").await.json();
    assert_eq!(flows["flows"][0]["id"], "f");
    assert_eq!(flows["flows"][1]["triggers"][0], "acme.failed");
    assert_eq!(get(&daemon, "/api/v1/flows/f").await.json()["hash"], flows["flows"][0]["hash"]);
    assert_eq!(get(&daemon, "/api/v1/flows/none").await.status, 404);

    let first = get(&daemon, "/api/v1/events?limit=3&connection=acme&trigger=paid&since=1h").await.json();
    assert_eq!(first["events"].as_array().unwrap().len(), 3);
    assert_eq!(first["events"][0]["id"], "evt/4 ?");
    // A trigger may be named as flows name it.
    let whole = get(&daemon, "/api/v1/events?limit=3&trigger=acme.paid&since=1h").await.json();
    assert_eq!(whole["events"], first["events"]);
    let none = get(&daemon, "/api/v1/events?trigger=acme.paid&connection=other").await.json();
    assert_eq!(none["events"].as_array().unwrap().len(), 0);
    let next = format!("/api/v1/events?limit=3&after={}", first["next"].as_str().unwrap());
    let second = get(&daemon, &next).await.json();
    assert_eq!((second["events"].as_array().unwrap().len(), &second["next"]), (2, &serde_json::Value::Null));

    let one = get(&daemon, "/api/v1/events/evt%2F4%20%3F").await.json();
    assert_eq!((one["via"].as_str(), one.get("payload")), (Some("webhook"), None));
    let whole = get(&daemon, "/api/v1/events/evt%2F4%20%3F?personal=true").await.json();
    assert_eq!(whole["payload"]["data"]["object"]["amount"], 12050);
    let why = get(&daemon, "/api/v1/events/evt%2F4%20%3F/why?flow=f").await;
    assert_eq!((why.status, why.json()["flows"].as_array().unwrap().len()), (200, 1));
    assert_eq!(get(&daemon, "/api/v1/events/evt%2F4%20%3F/why?flow=none").await.status, 404);
    assert_eq!(get(&daemon, "/api/v1/events/none").await.status, 404);

    let runs = get(&daemon, "/api/v1/runs?flow=f&status=done&limit=2").await.json();
    assert_eq!(runs["runs"].as_array().unwrap().len(), 2);
    let id = one["runs"][0].as_str().unwrap();
    let run = get(&daemon, &format!("/api/v1/runs/{id}")).await.json();
    assert_eq!((run["status"].as_str(), run["flow"].as_str(), run["event"].as_str()), (Some("done"), Some("f"), Some("evt/4 ?")));
    let retried = post(&daemon, &format!("/api/v1/runs/{id}/retry")).await;
    assert_eq!((retried.status, retried.code().as_str()), (409, "not_dead"));
    let cancelled = post(&daemon, &format!("/api/v1/runs/{id}/cancel")).await;
    assert_eq!((cancelled.status, cancelled.code().as_str()), (409, "ended"));
    assert_eq!(post(&daemon, "/api/v1/runs/none/retry?force=true").await.status, 404);
    assert_eq!(get(&daemon, "/api/v1/dead").await.json()["runs"].as_array().unwrap().len(), 0);

    let status = get(&daemon, "/api/v1/status").await.json();
    assert_eq!((status["flows"]["live"].as_u64(), status["webhooks"]["accepted"].as_u64()), (Some(2), Some(5)));
    let connections = get(&daemon, "/api/v1/connections").await.json();
    assert_eq!(connections["connections"][0]["secrets"][1]["configured"], true);
    let metrics = get(&daemon, "/metrics").await;
    assert!(metrics.body.contains("\nflow_events_accepted_total 5\n"), "{}", metrics.body);
    assert!(metrics.body.contains("\nflow_webhooks_total{duplicate=\"false\"} 5\n"), "{}", metrics.body);
    assert!(metrics.head.contains("content-type: text/plain; version=0.0.4"));
}

#[tokio::test]
async fn a_paused_flow_starts_nothing() {
    let daemon = started().await;
    let paused = post(&daemon, "/api/v1/flows/f/pause").await.json();
    assert_eq!(paused["paused"], true);
    assert!(paused["message"].as_str().unwrap().contains("do not start it, also not later"), "{paused}");
    assert_ne!(get(&daemon, "/api/v1/flows/f").await.json()["paused_since"], serde_json::Value::Null);
    let body = event("evt_1", "invoice.paid", jiff::Timestamp::now().as_second()).to_string();
    assert_eq!(deliver(&daemon, "/v1/webhooks/acme", body.as_bytes()).await.status, 200);
    assert_eq!(daemon.service.engine().stats().runs_started, 0);
    assert_eq!(post(&daemon, "/api/v1/flows/f/resume").await.json()["paused"], false);
    // The service sends it again: it is not started later either.
    assert_eq!(deliver(&daemon, "/v1/webhooks/acme", body.as_bytes()).await.json()["duplicate"], true);
    assert_eq!(daemon.service.engine().stats().runs_started, 0);
    assert_eq!(post(&daemon, "/api/v1/flows/none/pause").await.status, 404);
    assert_eq!(post(&daemon, "/api/v1/flows/none/resume").await.status, 404);
}

#[tokio::test]
async fn mistakes_are_named() {
    let daemon = started().await;
    for (path, code) in [
        ("/api/v1/events?limit=0", "bad_parameter"),
        ("/api/v1/events?limit=1001", "bad_parameter"),
        ("/api/v1/events?since=yesterday", "bad_parameter"),
        ("/api/v1/events?after=x", "bad_parameter"),
        ("/api/v1/events?conection=acme", "unknown_parameter"),
        ("/api/v1/runs?status=lost", "bad_parameter"),
        ("/api/v1/runs?status=done&status=dead", "bad_parameter"),
        ("/api/v1/runs/x?personal=1", "bad_parameter"),
        ("/api/v1/flows?x=1", "unknown_parameter"),
        ("/api/v1/events/%ff", "bad_path"),
    ] {
        let reply = get(&daemon, path).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, code), "{path}");
    }
    for path in ["/", "/api", "/api/v1", "/api/v1/nothing", "/api/v1/flows/f/delete", "/api/v2/flows", "/api/v1/flows/"] {
        assert_eq!(get(&daemon, path).await.status, 404, "{path}");
    }
    assert_eq!(get(&daemon, "/api/v1/flows/f/pause").await.status, 405);
    assert_eq!(post(&daemon, "/api/v1/flows").await.status, 405);
    assert_eq!(post(&daemon, "/metrics").await.status, 405);
    let reply = send(&daemon.service.addresses().admin, "DELETE", "/api/v1/runs/x/cancel", &[("X-Flow-Admin", "1")], b"").await;
    assert_eq!(reply.status, 405);
    assert!(reply.head.contains("allow: post"));
}

/// Every address of the document is there, and every address is in the document.
#[tokio::test]
async fn the_document_is_true() {
    let daemon = started().await;
    let document = get(&daemon, "/api/v1/openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 27);
    for (path, methods) in paths {
        let address = format!("/api/v1{}", path.replace("{id}", "x").replace("{name}", "x"));
        let wrong = if methods.get("get").is_some() { "POST" } else { "GET" };
        let headers = [("X-Flow-Admin", "1")];
        assert_eq!(send(&daemon.service.addresses().admin, wrong, &address, &headers, b"").await.status, 405, "{path}");
    }
}

#[tokio::test]
async fn stored_events_are_offered_once_more_and_what_is_asked_wrongly_is_said() {
    let daemon = started().await;
    let now = jiff::Timestamp::now().as_second();
    let body = event("evt_1", "invoice.paid", now).to_string();
    assert_eq!(deliver(&daemon, "/v1/webhooks/acme", body.as_bytes()).await.status, 200);
    daemon.service.engine().settled().await;
    let dry = post(&daemon, "/api/v1/replay?flow=f&since=2d&dry_run=true").await.json();
    assert_eq!((&dry["events"][0]["verdict"], &dry["next"]), (&"already_started".into(), &serde_json::Value::Null), "{dry:#}");
    let again = post(&daemon, "/api/v1/replay?flow=f&event=evt_1&again=true").await.json();
    assert_eq!((&again["events"][0]["verdict"], &again["events"][0]["before"]), (&"started".into(), &1.into()), "{again:#}");
    for (wrong, status) in [
        ("flow=f", 400),
        ("since=7d", 400),
        ("flow=f&since=a+while", 400),
        ("flow=f&since=2026-13-01", 400),
        ("flow=f&since=7d&after=there", 400),
        ("flow=f&since=7d&dry_run=perhaps", 400),
        ("flow=nothing&since=7d", 404),
        ("flow=f&event=nothing", 404),
    ] {
        assert_eq!(post(&daemon, &format!("/api/v1/replay?{wrong}")).await.status, status, "{wrong}");
    }
    let admin = &daemon.service.addresses().admin;
    let tried = |body: &'static str| send(admin, "POST", "/api/v1/backtest", &[("X-Flow-Admin", "1")], body.as_bytes());
    let progress = get(&daemon, "/api/v1/backtest/progress").await.json();
    assert_eq!(progress, serde_json::json!({ "running": false, "events": null }));
    assert_eq!(tried("").await.status, 400);
    assert_eq!(tried(r#"{"file":"a.flow","text":"","since":"7d","more":1}"#).await.status, 400);
    assert_eq!(tried(r#"{"file":"a.flow","text":"","since":"1h","until":"2h"}"#).await.status, 400);
    assert_eq!(tried(r#"{"file":"a.flow","text":"","since":"7d"}"#).await.status, 404, "this daemon has no compiler");
    assert_eq!(send(admin, "POST", "/api/v1/backtest", &[], b"{}").await.status, 403);
    let large = vec![b' '; 17 * 1024 * 1024];
    assert_eq!(send(admin, "POST", "/api/v1/backtest", &[("X-Flow-Admin", "1")], &large).await.status, 413);
}

#[tokio::test]
async fn pages_of_other_origins_are_kept_out() {
    let daemon = started().await;
    let admin = daemon.service.addresses().admin.clone();
    let host = authority(&admin).to_owned();
    let port = host.rsplit(':').next().unwrap().to_owned();
    let status = |method: &'static str, headers: Vec<(&'static str, String)>| {
        let admin = admin.clone();
        async move {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let path = if method == "GET" { "/api/v1/flows" } else { "/api/v1/flows/f/pause" };
            send(&admin, method, path, &headers, b"").await.status
        }
    };
    let flag = || ("X-Flow-Admin", "1".to_owned());
    // DNS rebinding: the name is the attacker's.
    for name in ["evil.example", "evil.example:7401", "127.0.0.1.evil.example", "localhost.evil.example", "0.0.0.0"] {
        assert_eq!(status("GET", vec![("Host", name.to_owned())]).await, 403, "{name}");
    }
    for name in ["[::1].evil", "", "[::1", "localhost@evil.example", "localhost/"] {
        assert_eq!(status("GET", vec![("Host", name.to_owned())]).await, 400, "{name}");
    }
    for name in [format!("localhost:{port}"), format!("LOCALHOST:{port}"), "127.0.0.1".to_owned(), format!("[::1]:{port}")] {
        assert_eq!(status("GET", vec![("Host", name.clone())]).await, 200, "{name}");
    }
    assert_eq!(status("GET", vec![("Host", host.clone()), ("Host", host.clone())]).await, 400);
    // The whole address is no way around the Host.
    let whole = |address: &'static str, name: String| {
        let admin = admin.clone();
        async move { send(&admin, "GET", &format!("http://{address}/api/v1/flows"), &[("Host", &name)], b"").await.status }
    };
    assert_eq!(whole("localhost", "evil.example".to_owned()).await, 400);
    assert_eq!(whole("evil.example", "localhost".to_owned()).await, 400);
    assert_eq!(whole("evil.example", "evil.example".to_owned()).await, 403);
    assert_eq!(whole("localhost", "localhost".to_owned()).await, 200);
    // A page elsewhere.
    for origin in ["https://evil.example", "null", "http://localhost:3000", "http://127.0.0.1", "", "file://"] {
        assert_eq!(status("GET", vec![("Origin", origin.to_owned())]).await, 403, "{origin}");
        assert_eq!(status("POST", vec![flag(), ("Origin", origin.to_owned())]).await, 403, "{origin}");
    }
    assert_eq!(status("GET", vec![("Sec-Fetch-Site", "cross-site".to_owned())]).await, 403);
    assert_eq!(status("GET", vec![("Sec-Fetch-Site", "same-site".to_owned())]).await, 403);
    assert_eq!(
        status("GET", vec![("Origin", format!("http://{host}")), ("Sec-Fetch-Site", "same-origin".to_owned())]).await,
        200
    );
    // A form.
    assert_eq!(status("POST", vec![("Content-Type", "application/x-www-form-urlencoded".to_owned())]).await, 403);
    assert!(daemon.service.engine().paused_since("f").is_none());
    assert_eq!(status("POST", vec![flag()]).await, 200);
    let preflight = send(&admin, "OPTIONS", "/api/v1/flows/f/pause", &[("Origin", "https://evil.example")], b"").await;
    assert_eq!(preflight.status, 403);
    assert!(!preflight.head.contains("access-control"));
}

#[tokio::test]
async fn a_token_opens() {
    let daemon = with_token("s3cret-token").await;
    let admin = &daemon.service.addresses().admin;
    for (given, status) in [
        (None, 401),
        (Some("Bearer"), 401),
        (Some("Bearer "), 401),
        (Some("Bearer s3cret-toke"), 401),
        (Some("Bearer s3cret-token2"), 401),
        (Some("Basic s3cret-token"), 401),
        (Some("s3cret-token"), 401),
        (Some("Bearer s3cret-token"), 200),
        (Some("bearer s3cret-token"), 200),
    ] {
        let headers: Vec<_> = given.map(|given| ("Authorization", given)).into_iter().collect();
        for path in ["/api/v1/flows", "/metrics"] {
            let reply = send(admin, "GET", path, &headers, b"").await;
            assert_eq!(reply.status, status, "{given:?} {path}");
            assert!(!reply.body.contains("s3cret"));
            assert_eq!(reply.head.contains("www-authenticate: bearer"), status == 401);
        }
    }
    // Behind a proxy the name is another one; with the token that is well, and a change needs nothing more.
    let headers = [("Host", "flow.example"), ("Authorization", "Bearer s3cret-token")];
    assert_eq!(send(admin, "POST", "/api/v1/flows/f/pause", &headers, b"").await.status, 200);
    let foreign = [("Host", "flow.example"), ("Authorization", "Bearer s3cret-token"), ("Origin", "https://evil.example")];
    assert_eq!(send(admin, "POST", "/api/v1/flows/f/pause", &foreign, b"").await.status, 403);
}

#[tokio::test]
async fn the_socket_needs_no_token() {
    let daemon = with_token("s3cret-token").await;
    let stream = UnixStream::connect(&daemon.service.addresses().socket).await.unwrap();
    let reply = exchange(stream, &raw("flowd", "GET", "/api/v1/flows", &[], b"")).await;
    assert_eq!((reply.status, reply.json()["flows"][0]["id"].as_str()), (200, Some("f")));
    let stream = UnixStream::connect(&daemon.service.addresses().socket).await.unwrap();
    assert_eq!(exchange(stream, &raw("flowd", "POST", "/api/v1/flows/f/pause", &[], b"{\"any\":1}")).await.status, 200);
}

#[tokio::test]
async fn reload_asks_whoever_can() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let live = live(vec![acme("http://127.0.0.1:1", None)], vec![flow("f", "paid")]);
    let daemon = daemon_with(live, world(Arc::new(SystemClock)), |options| {
        options.reload = Some(Arc::new(move |kind| {
            let before = counted.fetch_add(1, Ordering::SeqCst);
            let told = serde_json::json!({ "flows": 1, "dry_run": kind == ReloadKind::Dry });
            Box::pin(async move { if before < 2 { Ok(told) } else { Err("flow.toml cannot be read".to_owned()) } })
        }));
    })
    .await;
    assert_eq!(post(&daemon, "/api/v1/reload").await.json()["dry_run"], false);
    assert_eq!(post(&daemon, "/api/v1/reload?dry_run=true").await.json()["dry_run"], true);
    let failed = post(&daemon, "/api/v1/reload").await;
    assert_eq!((failed.status, failed.code().as_str()), (409, "reload_failed"));
    assert_eq!(post(&daemon, "/api/v1/reload?dry_run=1").await.status, 400);
    assert_eq!(count.load(Ordering::SeqCst), 3);
    assert_eq!(post(&started().await, "/api/v1/reload").await.status, 404);
}
