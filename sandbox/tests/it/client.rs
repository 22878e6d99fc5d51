//! A small HTTP client: one connection per request, errors as text.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// Where requests go, and what they all carry.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    base: String,
    headers: Vec<(String, String)>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: hyper::HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Returns the body of an answer that must be a success.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{}: {}", self.status, String::from_utf8_lossy(&self.body));
        self.json()
    }

    /// Returns status, code and parameter of a Stripe error.
    pub(crate) fn error(&self) -> (u16, String, String) {
        let body = self.json();
        let word = |name: &str| body["error"][name].as_str().unwrap_or_default().to_owned();
        (self.status, word("code"), word("param"))
    }
}

impl Client {
    pub(crate) fn new(base: &str) -> Client {
        Client { base: base.to_owned(), headers: Vec::new() }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Client {
        self.headers.retain(|(n, _)| n != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends a request, and says what failed where no whole answer comes for long.
    pub(crate) async fn send(&self, method: &str, path: &str, body: impl Into<Bytes>) -> Result<Reply, String> {
        let exchange = self.exchange(method, path, body.into());
        match tokio::time::timeout(crate::PATIENCE, exchange).await {
            Ok(result) => result.map_err(|error| format!("{error:?}")),
            Err(_) => Err("timed out".to_owned()),
        }
    }

    async fn exchange(&self, method: &str, path: &str, body: Bytes) -> Result<Reply, Box<dyn std::error::Error + Send + Sync>> {
        let address = self.base.strip_prefix("http://").unwrap();
        let stream = TcpStream::connect(address).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let mut request = hyper::Request::builder().method(method).uri(path);
        if !self.headers.iter().any(|(name, _)| name == "host") {
            request = request.header("host", address);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let answer = sender.send_request(request.body(Full::new(body))?).await?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await?.to_bytes();
        connection.abort();
        Ok(Reply { status: head.status.as_u16(), headers: head.headers, body })
    }

    #[track_caller]
    fn must(result: Result<Reply, String>) -> Reply {
        result.unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        Client::must(self.send("GET", path, "").await)
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        Client::must(self.send("DELETE", path, "").await)
    }

    /// Posts a form.
    pub(crate) async fn post(&self, path: &str, form: &str) -> Reply {
        let client = self.clone().header("content-type", "application/x-www-form-urlencoded");
        Client::must(client.send("POST", path, form.to_owned()).await)
    }

    /// Sends JSON.
    pub(crate) async fn json(&self, method: &str, path: &str, body: &Value) -> Reply {
        let client = self.clone().header("content-type", "application/json");
        Client::must(client.send(method, path, body.to_string()).await)
    }
}
