//! The page over HTTP.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{Page, act};

const HTML: &str = include_str!("page.html");
const CSS: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// Where the page's token stands in it.
const TOKEN: &str = "{{token}}";

/// How many connections there may be.
const MOST: usize = 64;
/// The longest body, in bytes.
const LONGEST: usize = 16 * 1024;
/// How long a browser may take to send a request.
const READ_LIMIT: Duration = Duration::from_secs(15);

/// Nothing but the page's own script and style, in no frame, and nothing from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Serves until it is dropped.
pub(super) async fn serve(listener: TcpListener, page: Arc<Page>) {
    let permits = Arc::new(Semaphore::new(MOST));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let page = Arc::clone(&page);
                connections.spawn(async move {
                    connection(stream, peer, page).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the sandbox's page could not accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, page: Arc<Page>) {
    let service = service_fn(move |request| {
        let page = Arc::clone(&page);
        async move { Ok::<_, Infallible>(answer(&page, peer, request).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(READ_LIMIT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the sandbox's page ended early");
    }
}

async fn answer(page: &Page, peer: SocketAddr, request: hyper::Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    if !peer.ip().to_canonical().is_loopback() || !is_own_host(page, &head.headers) {
        return refused("this page is for this machine alone");
    }
    if is_foreign(page, &head.headers) {
        return refused("other pages may not ask here");
    }
    let query = head.uri.query().unwrap_or_default();
    match (head.method.as_str(), head.uri.path()) {
        ("GET", "/") => found("text/html; charset=utf-8", HTML.replace(TOKEN, &page.token)),
        ("GET", "/page.css") => found("text/css; charset=utf-8", CSS),
        ("GET", "/page.js") => found("text/javascript; charset=utf-8", SCRIPT),
        ("GET", "/panels") => json_of(200, &page.panels()),
        ("GET", "/state") => {
            let value =
                |name: &str| form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value);
            let since = value("since").and_then(|text| text.parse().ok()).unwrap_or(0);
            match page.news(since, &value("mark").unwrap_or_default()).await {
                Some(state) => json_of(200, &state),
                None => bare(204, Bytes::new()),
            }
        }
        ("POST", "/act") => {
            if !has_token(page, &head.headers) {
                return refused("only this page may do that: open it anew");
            }
            let read = tokio::time::timeout(READ_LIMIT, Limited::new(body, LONGEST).collect()).await;
            let Ok(Ok(body)) = read else { return json_of(400, &json!({ "error": "the request cannot be read" })) };
            let asked: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
            match act::act(page, &asked) {
                Ok(done) => json_of(200, &json!({ "done": done })),
                Err(message) => json_of(400, &json!({ "error": message })),
            }
        }
        ("GET", _) => json_of(404, &json!({ "error": "there is nothing here" })),
        _ => json_of(405, &json!({ "error": "that cannot be done here" })),
    }
}

/// Another name that leads to this machine is a page of somebody else that wants in.
fn is_own_host(page: &Page, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all("host").iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let host = host.to_str().unwrap_or_default();
    let port = page.address.port();
    [format!("127.0.0.1:{port}"), format!("localhost:{port}"), format!("[::1]:{port}"), page.address.to_string()]
        .iter()
        .any(|own| own == host)
}

/// Tells whether another page asks. Browsers say so.
fn is_foreign(page: &Page, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let port = page.address.port();
    let origins = [format!("http://127.0.0.1:{port}"), format!("http://localhost:{port}"), format!("http://[::1]:{port}")];
    let foreign_origin = text("origin").is_some_and(|origin| !origins.iter().any(|own| own == origin));
    let foreign_site = text("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none"));
    foreign_origin || foreign_site
}

fn has_token(page: &Page, headers: &HeaderMap) -> bool {
    headers.get("x-sandbox-token").is_some_and(|token| token.as_bytes().ct_eq(page.token.as_bytes()).into())
}

fn refused(message: &str) -> Response<Full<Bytes>> {
    json_of(403, &json!({ "error": message }))
}

fn found(content_type: &'static str, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = bare(200, text.into());
    response.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static(content_type));
    response
}

fn json_of(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let mut response = bare(status, Bytes::from(body.to_string()));
    response.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    response
}

fn bare(status: u16, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    if let Ok(status) = hyper::StatusCode::from_u16(status) {
        *response.status_mut() = status;
    }
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cache-control", "no-store"),
    ] {
        response.headers_mut().insert(name, hyper::header::HeaderValue::from_static(value));
    }
    response
}
