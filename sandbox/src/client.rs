//! A plain HTTP/1.1 POST, for webhooks to addresses without TLS.
//!
//! The sandbox delivers to programs on the same machine. Without TLS it needs no crypto provider, which
//! only a binary may choose.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use url::Url;

/// How much of an answer is read; the rest is of no interest.
const MOST_ANSWER: usize = 64 * 1024;

/// Why a webhook got no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PostError {
    #[error("the address is not an http:// one")]
    Address,
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    #[error("the connection failed")]
    Io(#[from] std::io::Error),
    #[error("the request could not be made")]
    Request(#[from] hyper::http::Error),
    #[error("the exchange failed")]
    Http(#[from] hyper::Error),
}

/// Sends `body` and returns the status of the answer.
pub(crate) async fn post(
    url: &str,
    headers: &[(&'static str, String)],
    body: Bytes,
    timeout: Duration,
) -> Result<u16, PostError> {
    match tokio::time::timeout(timeout, exchange(url, headers, body)).await {
        Ok(result) => result,
        Err(_) => Err(PostError::TimedOut(timeout)),
    }
}

async fn exchange(url: &str, headers: &[(&'static str, String)], body: Bytes) -> Result<u16, PostError> {
    let url = Url::parse(url).map_err(|_| PostError::Address)?;
    let (Some(host), "http") = (url.host_str(), url.scheme()) else {
        return Err(PostError::Address);
    };
    let port = url.port_or_known_default().unwrap_or(80);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((bare, port)).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let mut request = hyper::Request::post(target)
        .header("host", format!("{host}:{port}"))
        .header("content-type", "application/json; charset=utf-8")
        .header("accept", "*/*");
    for (name, value) in headers {
        request = request.header(*name, value.as_str());
    }
    let request = request.body(Full::new(body))?;
    let answer = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status().as_u16();
        // The answer counts even where its body is cut off or too long.
        let _ = Limited::new(answer.into_body(), MOST_ANSWER).collect().await;
        Ok::<u16, hyper::Error>(status)
    };
    // The connection runs beside the exchange and ends with it: nothing outlives this call.
    tokio::pin!(connection, answer);
    let status = tokio::select! {
        biased;
        status = &mut answer => status?,
        ended = &mut connection => {
            ended?;
            answer.await?
        }
    };
    Ok(status)
}
