//! A load of signed webhooks over kept-alive connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The secret that signs the load.
pub(crate) const SECRET: &str = "whsec_bench_0123456789";

/// Returns the hex HMAC of Stripe's scheme.
pub(crate) fn sign(at: i64, body: &[u8]) -> String {
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

/// Returns whole HTTP requests over so many cents, signed now.
pub(crate) fn requests(path: &str, first: usize, count: usize, cents: u64) -> Vec<Vec<u8>> {
    let at = jiff::Timestamp::now().as_second();
    (first..first + count)
        .map(|number| {
            let body = charge(number, cents);
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
            let mut connection = Connection::open(address).await;
            for request in requests.iter().skip(lane).step_by(connections) {
                let answer = connection.send(request).await;
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            }
        }));
    }
    for task in tasks {
        task.await.expect("a lane ends well");
    }
    began.elapsed()
}

/// A connection that is kept alive.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Opens one.
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the server listens");
        stream.set_nodelay(true).expect("a socket option");
        Self { stream, buffer: vec![0; 4096] }
    }

    /// Sends a request and returns the answer.
    pub(crate) async fn send(&mut self, request: &[u8]) -> String {
        self.stream.write_all(request).await.expect("the server reads");
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await.expect("the server answers");
            assert!(read > 0, "the server closed the connection");
            filled += read;
            if complete(&self.buffer[..filled]) {
                return String::from_utf8_lossy(&self.buffer[..filled]).into_owned();
            }
        }
    }
}

fn complete(answer: &[u8]) -> bool {
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let text = String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase();
    let length =
        text.lines().find_map(|line| line.strip_prefix("content-length:")).map_or(0, |value| value.trim().parse().unwrap_or(0));
    answer.len() >= head + 4 + length
}
