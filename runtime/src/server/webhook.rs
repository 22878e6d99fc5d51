//! A webhook, from its first byte to its answer.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::{Bytes, BytesMut};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, StatusCode};
use jiff::Timestamp;
use tracing::{debug, info, warn};

use super::body::{Body, BodyError};
use super::connection::Handle;
use super::counters::Counters;
use super::envelope::Misread;
use super::limits::Limits;
use super::memory::{BLOCK, Held, Memory};
use super::ready::Readiness;
use super::respond::{Answer, HttpError, busy, json};
use super::routes::{Routes, SourceRoute};
use super::whole::{self, Whole};
use crate::delivered::NOWHERE;
use crate::engine::Engine;
use crate::event::{AcceptError, Accepted, Incoming, Via};
use crate::register::Registered;
use crate::scheme::{SignatureError, Verifier};
use crate::world::Clock;

/// The webhook server.
pub(crate) struct Server {
    engine: Engine,
    clock: Arc<dyn Clock>,
    routes: RwLock<Arc<Routes>>,
    limits: Limits,
    counters: Arc<Counters>,
    memory: Memory,
    ready: Readiness,
}

impl Server {
    pub(crate) fn new(
        engine: Engine,
        clock: Arc<dyn Clock>,
        limits: Limits,
        counters: Arc<Counters>,
        ready: Readiness,
        registered: &Registered,
    ) -> Self {
        let routes = RwLock::new(Arc::new(Routes::new(&engine.live(), registered)));
        let memory = Memory::new(&limits);
        Self { engine, clock, routes, limits, counters, memory, ready }
    }

    /// Takes the connections of a new plan.
    pub(crate) fn swap(&self, routes: Routes) {
        *self.routes.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(routes);
    }

    fn routes(&self) -> Arc<Routes> {
        Arc::clone(&self.routes.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn receive(&self, head: &Parts, body: &mut Body<'_>, sender: Option<IpAddr>) -> Result<Accepted, HttpError> {
        let query = head.uri.query().unwrap_or_default();
        let routes = self.routes();
        let Admitted { connection, sources, trigger, path } = self.admit(head, body, &routes)?;
        // What no body can make good is not worth reading one.
        let now = self.clock.now();
        self.verify(connection, &sources, |verifier| verifier.precheck(&head.headers, query, now))?;
        let mut memory = self.memory.hold(sender);
        let body = read_body(body, &mut memory, &self.limits).await?;
        let now = self.clock.now();
        let (source, verified) =
            self.verify(connection, &sources, |verifier| verifier.verify(&head.headers, query, &body, now))?;
        let body = match (&source.verifier, source.whole) {
            (Ok(verifier), true) => {
                let whole = Whole { headers: &head.headers, path, query, body: &body, verifier, verified: &verified, now };
                whole.payload()?
            }
            _ => body,
        };
        let read = match source.envelope.read(&body, verified.id) {
            Ok(read) => read,
            Err(Misread::Malformed(reason)) => return Err(HttpError::bad_request("malformed", reason)),
            Err(Misread::Refused(reason)) => return Err(HttpError::bad_request("refused", reason)),
            Err(Misread::Ignored { id, because }) => {
                debug!(connection, id, because, "a webhook is left out");
                self.engine.refused(connection, "ignored", StatusCode::OK.as_u16(), &because);
                return Ok(Accepted { id, duplicate: false, runs: Vec::new() });
            }
        };
        let incoming = Incoming {
            id: read.id,
            source: source.name.clone(),
            event_type: read.event_type,
            occurred_at: read.at,
            signed_at: verified.signed_at,
            payload: body,
            via: Via::Webhook,
            origin: crate::event::Origin::External,
            depth: 0,
            only_trigger: trigger.map(str::to_owned),
        };
        let accepted = self.engine.accept(connection, vec![incoming], None).await.map_err(|error| refusal(connection, &error))?;
        drop(memory);
        accepted.into_iter().next().ok_or_else(|| HttpError::unavailable("stopping", "the daemon is stopping", 10))
    }

    /// Checks what can be checked before the body is read.
    fn admit<'a>(&self, head: &'a Parts, body: &Body<'_>, routes: &'a Routes) -> Result<Admitted<'a>, HttpError> {
        let address =
            head.uri.path().strip_prefix("/v1/webhooks/").ok_or_else(|| HttpError::not_found("there is nothing here"))?;
        let (connection, rest) = address.split_once('/').map_or((address, None), |(name, rest)| (name, Some(rest)));
        if head.method != Method::POST {
            return Err(HttpError::method_not_allowed("POST"));
        }
        if body.length().is_some_and(|length| length > self.limits.max_body as u64) {
            return Err(too_large(self.limits.max_body));
        }
        let no_connection = || HttpError::new(StatusCode::NOT_FOUND, "unknown_connection", "there is no such connection");
        let sources = routes.connection(connection).ok_or_else(no_connection)?;
        if sources.is_empty() {
            let message = "this connection takes no webhooks";
            return Err(HttpError::new(StatusCode::NOT_FOUND, "no_webhooks", message));
        }
        let (sources, trigger): (Vec<_>, _) = match rest {
            None | Some("") => (sources.iter().collect(), None),
            Some(rest) => {
                let drawn: Vec<_> = sources.iter().filter(|source| source.has_trigger(rest)).collect();
                if drawn.is_empty() {
                    // A source of whole requests takes any address: the segment is part of the message.
                    (sources.iter().filter(|source| source.name == rest || source.whole).collect(), None)
                } else {
                    (drawn, Some(rest))
                }
            }
        };
        if sources.is_empty() {
            let message = "this connection has no such trigger";
            return Err(HttpError::new(StatusCode::NOT_FOUND, "unknown_trigger", message));
        }
        check_type(&head.headers, sources.iter().all(|source| source.whole))?;
        Ok(Admitted { connection, sources, trigger, path: rest.unwrap_or_default() })
    }

    /// Returns the source whose verifier is content. A connection rarely has more than one.
    fn verify<'a, T>(
        &self,
        connection: &str,
        sources: &[&'a SourceRoute],
        check: impl Fn(&Verifier) -> Result<T, SignatureError>,
    ) -> Result<(&'a SourceRoute, T), HttpError> {
        let mut wrong = None;
        for source in sources {
            match &source.verifier {
                Ok(verifier) => match check(verifier) {
                    Ok(verified) => return Ok((source, verified)),
                    Err(error) => wrong = Some(wrong.map_or(error, |known| worse(known, error))),
                },
                Err(error) if source.warn_once() => {
                    warn!(connection, source = source.name, %error, "a webhook cannot be verified");
                }
                Err(_) => {}
            }
        }
        let Some(error) = wrong else {
            let message = "the webhook of this connection is not configured";
            return Err(HttpError::unavailable("webhook_not_configured", message, 60));
        };
        info!(connection, %error, "a webhook was refused");
        let code = match error {
            SignatureError::Missing => "signature_missing",
            SignatureError::Malformed => "signature_malformed",
            SignatureError::Mismatch => "signature_mismatch",
            SignatureError::Stale => "signature_stale",
        };
        Err(HttpError::new(StatusCode::UNAUTHORIZED, code, error.to_string()))
    }

    /// Remembers a refusal for `why`. Addresses that belong to no connection are remembered by themselves.
    fn note_refusal(&self, path: &str, error: &HttpError) {
        let Some(address) = path.strip_prefix("/v1/webhooks/") else { return };
        let connection = address.split('/').next().unwrap_or_default();
        let status = error.status.as_u16();
        if self.routes().connection(connection).is_some() {
            self.engine.refused(connection, error.code, status, &error.message);
        } else {
            self.engine.refused(NOWHERE, connection, status, &error.message);
        }
    }

    async fn health(&self, method: &Method, ready: bool) -> Answer {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return HttpError::method_not_allowed("GET, HEAD").into_answer();
        }
        if !ready {
            return json(StatusCode::OK, r#"{"status":"alive"}"#);
        }
        match self.ready.check().await {
            Ok(()) => json(StatusCode::OK, r#"{"status":"ready"}"#),
            Err(reason) => HttpError::unavailable("not_ready", reason, 5).into_answer(),
        }
    }
}

impl Handle for Server {
    async fn handle(&self, head: Parts, body: &mut Body<'_>, sender: Option<IpAddr>) -> Answer {
        match head.uri.path() {
            "/healthz" => return self.health(&head.method, false).await,
            "/readyz" => return self.health(&head.method, true).await,
            _ => {}
        }
        match self.receive(&head, body, sender).await {
            Ok(accepted) => {
                self.counters.accepted(accepted.duplicate);
                json(StatusCode::OK, received(&accepted))
            }
            Err(error) => {
                self.counters.refused(error.code);
                self.note_refusal(head.uri.path(), &error);
                error.into_answer()
            }
        }
    }

    fn is_light(&self, path: &str) -> bool {
        matches!(path, "/healthz" | "/readyz")
    }

    fn refused(&self, error: &HttpError) {
        self.counters.refused(error.code);
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

fn received(accepted: &Accepted) -> String {
    let id = serde_json::Value::String(accepted.id.clone());
    format!(r#"{{"received":true,"id":{id},"duplicate":{}}}"#, accepted.duplicate)
}

/// Of two refusals the one that came further.
fn worse(known: SignatureError, other: SignatureError) -> SignatureError {
    let rank = |error| match error {
        SignatureError::Missing => 0,
        SignatureError::Malformed => 1,
        SignatureError::Mismatch => 2,
        SignatureError::Stale => 3,
    };
    if rank(other) > rank(known) { other } else { known }
}

fn refusal(connection: &str, error: &AcceptError) -> HttpError {
    match error {
        AcceptError::QueueFull => HttpError::unavailable("queue_full", "too many events are waiting", 5),
        AcceptError::Store(reason) => {
            // The store says once what is wrong with it.
            debug!(connection, %reason, "an event could not be stored");
            HttpError::unavailable("store", "the event could not be stored", 30)
        }
        AcceptError::Stopping => HttpError::unavailable("stopping", "the daemon is stopping", 10),
        AcceptError::Malformed(reason) => {
            debug!(connection, %reason, "an event was malformed");
            HttpError::bad_request("malformed", "the event is malformed")
        }
    }
}

fn too_large(max_body: usize) -> HttpError {
    let message = format!("the body is larger than {max_body} bytes");
    HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
}

/// What may go on to the body.
struct Admitted<'a> {
    connection: &'a str,
    sources: Vec<&'a SourceRoute>,
    /// The one trigger that the address narrows to.
    trigger: Option<&'a str>,
    /// What stands in the address behind the connection.
    path: &'a str,
}

/// Returns what kind of body the sender says it is, without parameters.
pub(super) fn essence(headers: &HeaderMap) -> Option<&str> {
    let given = headers.get(CONTENT_TYPE)?;
    Some(given.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim())
}

/// JSON alone is taken, as it is; a sender that does not say what it sends is believed to send JSON. Of whole requests forms
/// and texts are taken too.
fn check_type(headers: &HeaderMap, whole: bool) -> Result<(), HttpError> {
    let unsupported = |message| HttpError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_type", message);
    if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding.as_bytes() != b"identity") {
        return Err(unsupported("compressed bodies are not taken"));
    }
    let Some(essence) = essence(headers) else { return Ok(()) };
    match whole {
        true if whole::is_readable(essence) => Ok(()),
        true => Err(unsupported("the body must be JSON, a form or plain text")),
        false if essence.eq_ignore_ascii_case("application/json") => Ok(()),
        false => Err(unsupported("the body must be application/json")),
    }
}

async fn read_body(body: &mut Body<'_>, memory: &mut Held<'_>, limits: &Limits) -> Result<Bytes, HttpError> {
    if let Some(whole) = body.at_once() {
        return Ok(whole);
    }
    let mut waits = false;
    match tokio::time::timeout(limits.body_timeout, collect(body, limits.max_body, memory, &mut waits)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(Broken::TooLarge)) => Err(too_large(limits.max_body)),
        Ok(Err(Broken::TooMuch)) => Err(busy("too many bodies are on their way in")),
        Err(_) if waits => Err(busy("too many bodies are on their way in")),
        Ok(Err(Broken::Body(BodyError::GaveWay))) => Err(busy("too many connections are open")),
        Ok(Err(Broken::Body(BodyError::Ended))) => Err(HttpError::bad_request("malformed", "the body ended early")),
        Ok(Err(Broken::Body(BodyError::Malformed))) => Err(HttpError::bad_request("malformed", "the chunks are malformed")),
        Err(_) => Err(HttpError::new(StatusCode::REQUEST_TIMEOUT, "timeout", "the body took too long")),
    }
}

enum Broken {
    TooLarge,
    /// The sender has too much on its way.
    TooMuch,
    Body(BodyError),
}

/// Puts a body together that did not come with its head. While it waits for memory it says so in `waits`: that is not the
/// sender's fault.
async fn collect(body: &mut Body<'_>, most: usize, memory: &mut Held<'_>, waits: &mut bool) -> Result<Bytes, Broken> {
    let mut full: Vec<BytesMut> = Vec::new();
    let mut length = 0;
    loop {
        *waits = true;
        memory.grow((full.len() + 1) * BLOCK).await.map_err(|_| Broken::TooMuch)?;
        *waits = false;
        let left = body.length().and_then(|left| usize::try_from(left).ok()).unwrap_or(BLOCK);
        let room = left.clamp(1, BLOCK);
        let mut block = BytesMut::with_capacity(room);
        while block.len() < room {
            let most_now = room - block.len();
            if body.read(&mut block, most_now).await.map_err(Broken::Body)? == 0 {
                return Ok(joined(full, block));
            }
            if ((length + block.len()) as u64).saturating_add(body.announced()) > most as u64 {
                return Err(Broken::TooLarge);
            }
        }
        length += block.len();
        if body.is_read() {
            return Ok(joined(full, block));
        }
        full.push(block);
    }
}

/// Makes one piece of the blocks; each is given back as soon as it is copied.
fn joined(full: Vec<BytesMut>, last: BytesMut) -> Bytes {
    if full.is_empty() {
        return last.freeze();
    }
    let mut all = Vec::with_capacity(full.iter().map(BytesMut::len).sum::<usize>() + last.len());
    for block in full.into_iter().chain([last]) {
        all.extend_from_slice(&block);
    }
    all.into()
}
