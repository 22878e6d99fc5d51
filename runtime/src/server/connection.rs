//! The life of one connection: a head, an answer, and so on, each within its bound of time.
//!
//! This is HTTP/1.1 for short messages between programs, written on the socket directly: there is one reading of each
//! head (`head.rs`), a body is read only as far as there is memory for it (`body.rs`), and whatever is refused has an
//! answer in JSON. What it does not do: upgrades, HTTP/2, answers in chunks.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::http::request::Parts;
use jiff::Timestamp;
use tokio::sync::watch;
use tracing::debug;

use super::body::Body;
use super::head::{Head, Search};
use super::limits::Limits;
use super::listen::stopped;
use super::places::{Phase, Place};
use super::respond::{Answer, HttpError, Manner, busy, encode};
use super::wire::{Stream, Wire};

/// What answers requests.
pub(crate) trait Handle: Send + Sync + 'static {
    /// Answers one request of a sender. It never fails: an error is an answer too.
    fn handle(&self, head: Parts, body: &mut Body<'_>, sender: Option<IpAddr>) -> impl Future<Output = Answer> + Send;

    /// Tells whether this address is answered however busy the daemon is.
    fn is_light(&self, _path: &str) -> bool {
        false
    }

    /// Counts what was refused before it was a request.
    fn refused(&self, _error: &HttpError) {}

    /// Returns the time for the header `Date`.
    fn now(&self) -> Timestamp;
}

/// What of a refused request is still taken, so that the sender gets to read the answer.
const LINGER_BYTES: usize = 4 * 1024 * 1024;
const LINGER_TIME: Duration = Duration::from_secs(2);
/// The same for whoever had to give way.
const FAREWELL: Duration = Duration::from_millis(200);

/// How waiting for a request came out.
enum Came {
    Request(Box<Head>),
    Refused(HttpError),
    /// The connection is over, and there is nothing to say.
    Nothing,
}

/// Serves a connection to its end.
pub(super) async fn connection<H: Handle>(
    stream: Box<dyn Stream>,
    handler: Arc<H>,
    place: Place,
    limits: &Limits,
    mut stop: watch::Receiver<bool>,
) {
    let mut wire = Wire::new(stream);
    loop {
        place.rest();
        let head = match request(&mut wire, &place, limits, &mut stop).await {
            Came::Request(head) => *head,
            Came::Refused(error) => {
                debug!(code = error.code, "a request was refused");
                handler.refused(&error);
                let answer = error.into_answer();
                if answered(&mut wire, &place, &answer, Manner::last(handler.now()), limits).await {
                    linger(&mut wire, &place).await;
                }
                return;
            }
            Came::Nothing => return,
        };
        place.enter(Phase::Works);
        let mut body = Body::new(&mut wire, &place, head.framing, head.expects);
        let (head_only, current) = (head.parts.method == hyper::Method::HEAD, head.parts.version == hyper::Version::HTTP_11);
        let answer = if place.is_spare() && !handler.is_light(head.parts.uri.path()) {
            let error = busy("too many requests are being answered");
            handler.refused(&error);
            error.into_answer()
        } else {
            handler.handle(head.parts, &mut body, place.address()).await
        };
        let is_read = body.is_read();
        let keep = head.keep_alive && is_read && !place.is_spare() && !*stop.borrow();
        let manner = Manner { head_only, keep, current, now: handler.now() };
        if !answered(&mut wire, &place, &answer, manner, limits).await {
            return;
        }
        if !keep {
            if !is_read || !wire.buffer.is_empty() {
                linger(&mut wire, &place).await;
            }
            return;
        }
    }
}

/// Waits for the next request: for its first byte, then for the whole head.
async fn request(wire: &mut Wire, place: &Place, limits: &Limits, stop: &mut watch::Receiver<bool>) -> Came {
    let mut search = Search::default();
    if wire.buffer.is_empty() {
        let first = tokio::select! {
            first = tokio::time::timeout(limits.header_timeout, wire.fill()) => first,
            () = stopped(stop) => return Came::Nothing,
            () = place.must_go() => return Came::Nothing,
        };
        if !matches!(first, Ok(Ok(1..))) {
            return Came::Nothing;
        }
    }
    let whole = async {
        loop {
            match search.take(&mut wire.buffer, limits.max_header) {
                Ok(Some(head)) => return Came::Request(Box::new(head)),
                Ok(None) => {}
                Err(error) => return Came::Refused(error),
            }
            match wire.fill().await {
                Ok(1..) => {}
                Ok(0) | Err(_) if wire.buffer.is_empty() => return Came::Nothing,
                Ok(0) => return Came::Refused(HttpError::bad_request("malformed", "the request ended early")),
                Err(_) => return Came::Nothing,
            }
        }
    };
    let came = tokio::select! {
        came = tokio::time::timeout(limits.header_timeout, whole) => came.ok(),
        () = place.must_go() => Some(Came::Refused(busy("too many connections are open"))),
    };
    match came {
        Some(came) => came,
        None if wire.buffer.is_empty() => Came::Nothing,
        None => Came::Refused(HttpError::new(StatusCode::REQUEST_TIMEOUT, "timeout", "the headers took too long")),
    }
}

/// Writes an answer; false where the sender does not take it.
async fn answered(wire: &mut Wire, place: &Place, answer: &Answer, manner: Manner, limits: &Limits) -> bool {
    place.enter(Phase::Answers);
    let mut bytes = Vec::with_capacity(512);
    encode(answer, &manner, &mut bytes);
    let body: &[u8] = if manner.head_only { &[] } else { answer.body() };
    let patience = if place.is_gone() { FAREWELL } else { limits.answer_timeout };
    let written = async {
        // Short answers are one packet.
        if body.len() <= 4096 {
            bytes.extend_from_slice(body);
            wire.write(&[&bytes], patience).await
        } else {
            wire.write(&[&bytes, body], patience).await
        }
    };
    tokio::select! {
        biased;
        written = written => written.is_ok(),
        () = place.must_go() => false,
    }
}

async fn linger(wire: &mut Wire, place: &Place) {
    place.rest();
    let patience = if place.is_gone() { FAREWELL } else { LINGER_TIME };
    tokio::select! {
        () = wire.linger(LINGER_BYTES, patience) => {}
        () = place.must_go() => {}
    }
}

/// Answers a connection for which there is no place, as far as that goes without waiting.
pub(super) async fn turned_away<H: Handle>(stream: Box<dyn Stream>, handler: Arc<H>) {
    let error = busy("too many connections are open");
    handler.refused(&error);
    let answer = error.into_answer();
    let mut bytes = Vec::with_capacity(512);
    encode(&answer, &Manner::last(handler.now()), &mut bytes);
    let mut wire = Wire::new(stream);
    if wire.write(&[&bytes, answer.body()], FAREWELL).await.is_ok() {
        wire.linger(LINGER_BYTES, FAREWELL).await;
    }
}
