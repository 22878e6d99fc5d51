//! A load of signed webhooks over kept-alive connections, and the bare server that flowd is measured against.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

/// The secret that signs the load.
pub(crate) const SECRET: &str = "whsec_bench_0123456789";

/// Returns the hex HMAC of Stripe's scheme.
fn sign(at: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key length is good");
    mac.update(at.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// Returns the body of a failed charge of about 3 KiB, as Stripe's are.
pub(crate) fn charge(number: usize, cents: u64) -> String {
    let metadata: String = (0..20).map(|at| format!(",\"note_{at}\":\"a value of some length for key number {at}\"")).collect();
    format!(
        r#"{{"id":"evt_bench_{number:08}","object":"event","api_version":"2026-10-28.endive","created":{created},"data":{{"object":{{"id":"ch_bench_{number:08}","object":"charge","amount":{cents},"amount_captured":0,"amount_refunded":0,"billing_details":{{"address":{{"city":null,"country":"FR","line1":null,"line2":null,"postal_code":"75001","state":null}},"email":"buyer{number}@example.com","name":"A Buyer","phone":null}},"captured":false,"created":{created},"currency":"usd","customer":"cus_bench","description":null,"disputed":false,"failure_code":"card_declined","failure_message":"Your card was declined.","livemode":false,"metadata":{{"order":"{number}"{metadata}}},"outcome":{{"network_status":"declined_by_network","reason":"generic_decline","risk_level":"normal","risk_score":12,"seller_message":"The bank declined the payment.","type":"issuer_declined"}},"paid":false,"payment_intent":"pi_bench","payment_method":"pm_bench","payment_method_details":{{"card":{{"brand":"visa","country":"US","exp_month":12,"exp_year":2030,"fingerprint":"bench","funding":"credit","last4":"0002"}},"type":"card"}},"receipt_email":null,"receipt_url":null,"refunded":false,"status":"failed"}}}},"livemode":false,"pending_webhooks":1,"request":{{"id":null,"idempotency_key":null}},"type":"charge.failed"}}"#,
        created = jiff::Timestamp::now().as_second(),
    )
}

/// Returns whole HTTP requests, signed now.
pub(crate) fn requests(path: &str, first: usize, count: usize) -> Vec<Vec<u8>> {
    let at = jiff::Timestamp::now().as_second();
    (first..first + count)
        .map(|number| {
            // Below the flows' bound: what is measured is accepting, not what runs afterwards.
            let body = charge(number, 5_000);
            let signature = sign(at, body.as_bytes());
            format!(
                "POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\nstripe-signature: t={at},v1={signature}\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
            .into_bytes()
        })
        .collect()
}

/// Sends the requests over `connections` kept-alive connections and returns how long all of them took.
///
/// # Panics
/// Where an answer is not 200: a figure of refused requests means nothing.
pub(crate) async fn drive(address: SocketAddr, requests: Vec<Vec<u8>>, connections: usize) -> Duration {
    let requests = Arc::new(requests);
    let began = Instant::now();
    let mut tasks = Vec::new();
    for lane in 0..connections {
        let requests = requests.clone();
        tasks.push(tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.expect("the server listens");
            stream.set_nodelay(true).expect("a socket option");
            let mut buffer = vec![0u8; 4096];
            for request in requests.iter().skip(lane).step_by(connections) {
                stream.write_all(request).await.expect("the server reads");
                let mut filled = 0;
                loop {
                    let read = stream.read(&mut buffer[filled..]).await.expect("the server answers");
                    assert!(read > 0, "the server closed the connection");
                    filled += read;
                    if complete(&buffer[..filled]) {
                        break;
                    }
                }
                assert!(buffer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer[..filled]));
            }
        }));
    }
    for task in tasks {
        task.await.expect("a lane ends well");
    }
    began.elapsed()
}

fn complete(answer: &[u8]) -> bool {
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let text = String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase();
    let length =
        text.lines().find_map(|line| line.strip_prefix("content-length:")).map_or(0, |value| value.trim().parse().unwrap_or(0));
    answer.len() >= head + 4 + length
}

type Append = (Bytes, oneshot::Sender<()>);

/// Starts a bare hyper server: the same HMAC, then the body is appended to a file under a shared fdatasync, then 200.
pub(crate) async fn bare_server(file: &Path) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
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
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { return };
            if stream.set_nodelay(true).is_err() {
                return;
            }
            let sender = sender.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                    let sender = sender.clone();
                    async move {
                        let header = request
                            .headers()
                            .get("stripe-signature")
                            .and_then(|value| value.to_str().ok())
                            .unwrap_or("")
                            .to_owned();
                        let body = request.into_body().collect().await?.to_bytes();
                        let part = |key: &str| header.split(',').find_map(|item| item.strip_prefix(key)).unwrap_or("").to_owned();
                        let good = sign(part("t=").parse().unwrap_or(0), &body) == part("v1=");
                        let (done, wait) = oneshot::channel();
                        if good && sender.send((body, done)).await.is_ok() && wait.await.is_ok() {
                            return Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from_static(b"{\"received\":true}"))));
                        }
                        let mut refused = Response::new(Full::new(Bytes::new()));
                        *refused.status_mut() = hyper::StatusCode::UNAUTHORIZED;
                        Ok(refused)
                    }
                });
                drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
            });
        }
    });
    address
}
