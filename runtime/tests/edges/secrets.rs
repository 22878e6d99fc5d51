//! Planted secrets: whatever happens, they stand in no answer, no log and no file of the store.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use flow_runtime::secret::Secret;
use flow_runtime::transport::SystemClock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{API_KEY, WEBHOOK_SECRET, acme, daemon_with, deliver, event, flow, live, send, signature, world};

const TOKEN: &str = "planted-admin-token-42";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

/// Returns the secret that a text holds, as it is, encoded, or a part of it.
fn has_secret(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    [API_KEY, WEBHOOK_SECRET, TOKEN].into_iter().flat_map(forms).find(|form| text.contains(form))
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned(), hex::encode(secret), hex::encode_upper(secret), percent(secret)];
    forms.push(secret.chars().rev().take(10).collect::<Vec<_>>().into_iter().rev().collect());
    forms.push(secret.chars().take(secret.len() - 2).collect());
    for before in ["", "x", "xx"] {
        let encoded = URL_SAFE_NO_PAD.encode(format!("{before}{secret}"));
        // The first and the last characters depend on what stands around it.
        forms.push(encoded[4..encoded.len() - 4].to_owned());
    }
    forms
}

/// What a service may make of a key when it says that it is wrong.
fn echoes(key: &str) -> Vec<String> {
    vec![
        hex::encode(key),
        hex::encode_upper(key),
        percent(key),
        format!("Basic {}", STANDARD.encode(format!("{key}:"))),
        format!("Basic {}", STANDARD.encode(format!("user:{key}"))),
        URL_SAFE_NO_PAD.encode(format!("me:{key}")),
        format!("{}…", &key[..key.len() - 2]),
        format!("…{}", &key[key.len() - 10..]),
    ]
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// A service that answers everything with 401 and sends back what it was sent.
async fn echoing_service() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = vec![0; 8192];
            let read = stream.read(&mut buffer).await.unwrap_or(0);
            let sent = String::from_utf8_lossy(&buffer[..read]).into_owned();
            let sent = format!("{} {sent}", echoes(API_KEY).join(" "));
            let body = serde_json::json!({ "error": { "message": format!("bad key in: {sent}") } }).to_string();
            let head = format!(
                "HTTP/1.1 401 No\r\nConnection: close\r\nRequest-Id: {API_KEY}\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all((head + &body).as_bytes()).await;
        }
    });
    address
}

#[tokio::test]
async fn planted_secrets_come_out_nowhere() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    // The one test that logs: a subscriber for all threads of this binary.
    let _ = tracing::subscriber::set_global_default(subscriber);
    let base = echoing_service().await;
    let live = live(vec![acme(&base, Some(Duration::from_millis(100)))], vec![flow("f", "paid")]);
    let daemon = daemon_with(live, world(Arc::new(SystemClock)), |options| {
        options.admin_token = Some(Secret::new(TOKEN.to_owned()));
    })
    .await;
    let bearer = format!("Bearer {TOKEN}");
    let admin = daemon.service.addresses().admin.clone();
    let mut seen = Vec::new();
    let body = event("evt_1", "invoice.paid", jiff::Timestamp::now().as_second()).to_string();
    seen.push(deliver(&daemon, "/v1/webhooks/acme", body.as_bytes()).await.body);
    for bad in [WEBHOOK_SECRET, "t=1,v1=x", &signature(b"other")] {
        let headers = [("Acme-Signature", bad)];
        let reply = send(&daemon.service.addresses().server, "POST", "/v1/webhooks/acme", &headers, body.as_bytes()).await;
        seen.push(reply.head + &reply.body);
    }
    // The poll has met the echoing service by the time that it is shown as broken.
    loop {
        let shown = send(&admin, "GET", "/api/v1/connections", &[("Authorization", &bearer)], b"").await;
        let broken = shown.json()["connections"][0]["polls"][0]["broken"] == true;
        seen.push(shown.body);
        if broken {
            break;
        }
        tokio::task::yield_now().await;
    }
    for path in
        ["/api/v1/status", "/api/v1/flows", "/api/v1/flows/f", "/api/v1/events/evt_1?personal=true", "/metrics", "/api/v1/runs"]
    {
        seen.push(send(&admin, "GET", path, &[("Authorization", &bearer)], b"").await.body);
        seen.push(send(&admin, "GET", path, &[("Authorization", "Bearer planted-admin-token-4")], b"").await.body);
    }
    daemon.service.stop().await;
    for text in &seen {
        assert_eq!(has_secret(text.as_bytes()), None, "{text}");
    }
    let echo = seen.iter().find(|text| text.contains("[secret]")).expect("the echo was shown, without the secret");
    assert!(echo.matches("[secret]").count() > echoes(API_KEY).len(), "{echo}");
    for file in files(daemon.folder.path()) {
        assert_eq!(has_secret(&std::fs::read(&file).unwrap()), None, "{}", file.display());
    }
    let log = log.0.lock().unwrap();
    let ours = String::from_utf8_lossy(&log).lines().filter(|line| line.contains("flow_runtime")).collect::<Vec<_>>().join("\n");
    assert!(ours.contains("the connection is broken"));
    assert_eq!(has_secret(ours.as_bytes()), None);
}
