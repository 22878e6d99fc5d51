//! The bare programs that flowd is measured against: the same work without a record of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use flow_runtime::transport::ReqwestTransport;
use flow_runtime::world::{HttpRequest, Reach, Transport};
use http_body_util::{BodyExt, Full};
use hyper::header::HeaderValue;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use super::load::sign;
use super::process::{Program, eventually};

type Append = (Bytes, oneshot::Sender<()>);
/// Bodies with the keys that they came under.
type Under = BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>>;

/// What happens to a webhook whose signature is good.
#[derive(Clone)]
enum Work {
    /// It is appended to a file under a shared fdatasync, then answered.
    Append(mpsc::Sender<Append>),
    /// It is answered; then it is read, and where its amount is high enough one request is sent to the sink.
    Post(Arc<ReqwestTransport>, SocketAddr),
}

/// Starts this program again as the bare server, which appends to a file in `folder`, or posts to `sink`.
pub(crate) fn start(folder: &Path, sink: Option<SocketAddr>) -> Program {
    std::fs::create_dir_all(folder).expect("a folder");
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.arg("bare").arg(folder);
    command.args(sink.map(|sink| sink.to_string()));
    let child = command.spawn().expect("this program starts");
    let file = folder.join("address");
    let address = eventually("the bare server listens", || std::fs::read_to_string(&file).ok()?.parse().ok());
    Program::of(child, address)
}

/// Runs a bare hyper server with as many workers as flowd has, until it is killed.
pub(crate) fn run(folder: &Path, sink: Option<SocketAddr>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let work = match sink {
            Some(sink) => Work::Post(Arc::new(ReqwestTransport::new()), sink),
            None => Work::Append(appender(&folder.join("log"))),
        };
        std::fs::write(folder.join("address.new"), address).expect("a file");
        std::fs::rename(folder.join("address.new"), folder.join("address")).expect("a file");
        loop {
            let Ok((stream, _)) = listener.accept().await else { return };
            drop(stream.set_nodelay(true));
            let work = work.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| serve(request, work.clone()));
                drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
            });
        }
    });
}

fn appender(file: &Path) -> mpsc::Sender<Append> {
    let (sender, mut receiver) = mpsc::channel::<Append>(4096);
    let mut file = std::fs::File::create(file).expect("a file");
    std::thread::spawn(move || {
        while let Some(first) = receiver.blocking_recv() {
            let mut batch = vec![first];
            while let Ok(next) = receiver.try_recv() {
                batch.push(next);
            }
            let bytes: Vec<u8> = batch.iter().flat_map(|(body, _)| body.iter().copied()).collect();
            file.write_all(&bytes).expect("room on the disk");
            file.sync_data().expect("a disk that syncs");
            for (_, done) in batch {
                if done.send(()).is_err() {
                    // The connection went away.
                }
            }
        }
    });
    sender
}

async fn serve(request: Request<hyper::body::Incoming>, work: Work) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let header = request.headers().get("stripe-signature").and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
    let body = request.into_body().collect().await?.to_bytes();
    let part = |key: &str| header.split(',').find_map(|item| item.strip_prefix(key)).unwrap_or("").to_owned();
    let good = sign(part("t=").parse().unwrap_or(0), &body) == part("v1=");
    let done = good
        && match work {
            Work::Append(sender) => {
                let (done, wait) = oneshot::channel();
                sender.send((body, done)).await.is_ok() && wait.await.is_ok()
            }
            Work::Post(transport, sink) => {
                tokio::spawn(post(transport, sink, body));
                true
            }
        };
    let mut answer = Response::new(Full::new(Bytes::from_static(b"{\"received\":true}")));
    if !done {
        *answer.status_mut() = hyper::StatusCode::UNAUTHORIZED;
    }
    Ok(answer)
}

async fn post(transport: Arc<ReqwestTransport>, sink: SocketAddr, body: Bytes) {
    let event: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    let charge = &event["data"]["object"];
    if event["type"] != "charge.failed" || charge["amount"].as_u64().unwrap_or(0) <= 10_000 {
        return;
    }
    let name = format!("name=Mirror of {}", charge["id"].as_str().unwrap_or("")).replace(' ', "+");
    let request = HttpRequest {
        method: "POST".to_owned(),
        url: format!("http://{sink}/v1/customers"),
        headers: vec![
            ("authorization".to_owned(), "Bearer sk_test".to_owned()),
            ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()),
            ("idempotency-key".to_owned(), event["id"].as_str().unwrap_or("").to_owned()),
        ],
        body: name.into(),
        reach: Reach::Anywhere,
        guard: None,
        channel: None,
    };
    let answer = transport.send(request, Duration::from_secs(30), 1024 * 1024).await.expect("the sink answers");
    let customer: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert!(customer["id"].is_string(), "a customer");
}

/// A service that makes customers, each after `pause`.
pub(crate) struct Sink {
    /// Where it is.
    pub(crate) address: SocketAddr,
    made: Arc<AtomicU64>,
    /// What was made, with the keys that it was made under. It is noted where the service is slow.
    under: Arc<Mutex<Under>>,
}

impl Sink {
    /// Starts it.
    pub(crate) async fn start(pause: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let made = Arc::new(AtomicU64::new(0));
        let under = Arc::new(Mutex::new(Under::new()));
        let (counter, keys) = (Arc::clone(&made), Arc::clone(&under));
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                drop(stream.set_nodelay(true));
                let (counter, keys) = (Arc::clone(&counter), Arc::clone(&keys));
                tokio::spawn(async move {
                    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                        let (counter, keys) = (Arc::clone(&counter), Arc::clone(&keys));
                        async move {
                            let makes = request.uri().path() == "/v1/customers";
                            let key = request.headers().get("idempotency-key").map(|key| key.as_bytes().to_vec());
                            let body = request.into_body().collect().await?.to_bytes().to_vec();
                            let text = if makes {
                                if !pause.is_zero() {
                                    tokio::time::sleep(pause).await;
                                    keys.lock().expect("no panic before").entry(body).or_default().extend(key);
                                }
                                let number = counter.fetch_add(1, Ordering::SeqCst);
                                format!(r#"{{"id":"cus_{number}","object":"customer","created":1795000000,"livemode":false}}"#)
                            } else {
                                r#"{"object":"list","data":[],"has_more":false}"#.to_owned()
                            };
                            let mut answer = Response::new(Full::new(Bytes::from(text)));
                            let json = HeaderValue::from_static("application/json");
                            answer.headers_mut().insert(hyper::header::CONTENT_TYPE, json);
                            Ok::<_, hyper::Error>(answer)
                        }
                    });
                    drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        Self { address, made, under }
    }

    /// Returns how many different customers were made by a slow service, and how many of them under several keys.
    pub(crate) fn different(&self) -> (u64, usize) {
        let under = self.under.lock().expect("no panic before");
        (under.len() as u64, under.values().filter(|keys| keys.len() > 1).count())
    }

    /// Returns how many customers were made.
    pub(crate) fn made(&self) -> u64 {
        self.made.load(Ordering::SeqCst)
    }
}
