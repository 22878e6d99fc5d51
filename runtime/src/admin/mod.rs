//! The admin API: JSON under `/api/v1`, Prometheus text under `/metrics`, over TCP and a unix socket.
//!
//! Everything that changes something is a POST and needs a header that no form can send. Texts from outside stand in
//! JSON strings only.

mod alarms;
mod api;
mod guard;
mod metrics;
mod missing;
mod pace;
mod params;
mod socket;
mod tried;
mod views;

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use jiff::Timestamp;
use tokio::sync::Semaphore;

use crate::backtest::Progress;
use crate::engine::Engine;
use crate::poll::Polls;
use crate::register::{Registrar, Registrations};
use crate::secret::Secret;
use crate::server::body::{Body, BodyError};
use crate::server::connection::Handle;
use crate::server::counters::Counters;
use crate::server::respond::{Answer, HttpError, busy, json, text};
use crate::service::{Addresses, Reload, Trial};
use crate::world::World;

pub use guard::ADMIN_HEADER;
pub use socket::SOCKET_NAME;
pub(crate) use socket::{LONGEST_PATH, bind as bind_socket, path_length};

/// What the API speaks about.
pub(crate) struct State {
    pub(crate) engine: Engine,
    pub(crate) world: World,
    pub(crate) polls: Arc<Polls>,
    pub(crate) registrations: Registrations,
    pub(crate) registrar: Arc<Registrar>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) reload: Option<Reload>,
    pub(crate) trial: Option<Trial>,
    /// One at a time.
    pub(crate) backtests: Semaphore,
    /// How far the one is that goes on.
    pub(crate) backtest_progress: Arc<Progress>,
    pub(crate) addresses: Addresses,
    pub(crate) public_url: Option<String>,
    pub(crate) version: String,
    pub(crate) started_at: Timestamp,
}

/// The API behind one way in.
pub(crate) struct Admin {
    state: Arc<State>,
    guard: guard::Guard,
}

impl Admin {
    /// The API on the unix socket.
    pub(crate) fn on_socket(state: Arc<State>) -> Self {
        Self { state, guard: guard::Guard::Socket }
    }

    /// The API on TCP: for loopback names, or for whoever has the token.
    pub(crate) fn on_tcp(state: Arc<State>, token: Option<Secret>) -> Self {
        Self { state, guard: token.map_or(guard::Guard::Loopback, guard::Guard::Token) }
    }

    async fn answer(&self, head: Parts, body: &mut Body<'_>) -> Result<Answer, HttpError> {
        self.guard.check(&head)?;
        // Whoever saw an event answered finds it.
        self.state.engine.caught_up().await;
        let path = head.uri.path().to_owned();
        let query = head.uri.query().map(str::to_owned);
        let is_read = matches!(head.method, Method::GET | Method::HEAD);
        let route = if path == "/metrics" { None } else { Some(api::Route::find(&path)?) };
        // Few commands have a body; what a client sends nevertheless is taken, up to a bound, and left aside.
        let most = match &route {
            Some(api::Route::Command(command)) if head.method == Method::POST => command.most_bytes(),
            Some(_) | None => MAX_BODY,
        };
        let sent = whole(body, most).await?;
        let Some(route) = route else {
            if !is_read {
                return Err(HttpError::method_not_allowed("GET"));
            }
            let page = self.blocking(|state| Ok(metrics::page(state))).await?;
            return Ok(text(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", page));
        };
        let body = match (route, is_read, &head.method) {
            (api::Route::Query(route), true, _) => self.blocking(move |state| api::query(state, route, query.as_deref())).await?,
            (api::Route::Command(route), _, &Method::POST) => api::command(&self.state, route, query.as_deref(), &sent).await?,
            (api::Route::Query(_), ..) => return Err(HttpError::method_not_allowed("GET")),
            (api::Route::Command(_), ..) => return Err(HttpError::method_not_allowed("POST")),
        };
        Ok(json(StatusCode::OK, body.to_string()))
    }

    /// Reads of the store stay off the threads that take events.
    async fn blocking<T: Send + 'static>(
        &self,
        read: impl FnOnce(&State) -> Result<T, HttpError> + Send + 'static,
    ) -> Result<T, HttpError> {
        let state = Arc::clone(&self.state);
        tokio::task::spawn_blocking(move || read(&state)).await.unwrap_or_else(|error| {
            tracing::error!(%error, "a request of the admin API failed");
            Err(HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "an internal error"))
        })
    }
}

impl Handle for Admin {
    async fn handle(&self, head: Parts, body: &mut Body<'_>, _sender: Option<std::net::IpAddr>) -> Answer {
        self.answer(head, body).await.unwrap_or_else(HttpError::into_answer)
    }

    fn now(&self) -> Timestamp {
        self.state.world.clock.now()
    }
}

const MAX_BODY: usize = 64 * 1024;
/// What is read at a time.
const BLOCK: usize = 16 * 1024;
/// The time for a body.
const PATIENCE: Duration = Duration::from_secs(15);

async fn whole(body: &mut Body<'_>, most: usize) -> Result<BytesMut, HttpError> {
    let too_large = || HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the body is too large");
    if body.length().is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    let mut bytes = BytesMut::new();
    let read = async {
        loop {
            bytes.reserve(BLOCK);
            match body.read(&mut bytes, BLOCK).await {
                Ok(0) => return Ok(()),
                Ok(_) if bytes.len() > most => return Err(too_large()),
                Ok(_) => {}
                Err(BodyError::GaveWay) => return Err(busy("too many connections are open")),
                Err(BodyError::Ended | BodyError::Malformed) => {
                    return Err(HttpError::bad_request("malformed", "the body is malformed"));
                }
            }
        }
    };
    match tokio::time::timeout(PATIENCE, read).await {
        Ok(read) => read.map(|()| bytes),
        Err(_) => Err(HttpError::new(StatusCode::REQUEST_TIMEOUT, "timeout", "the body took too long")),
    }
}
