//! The real outside: HTTP by reqwest with rustls and ring, the system's clock, and randomness.
//!
//! A request goes into the internet unless flow.toml names where it goes (`base_url`, `[http] allow`; see `reach`). Redirects are never followed: where one leads is for the connector to say, and what it carries would leave with it.
//! Nothing is decompressed, and no proxy is taken from the environment.

use std::error::Error;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use flow_plan::Allowed;
use jiff::Timestamp;
use reqwest::{Client, ClientBuilder, Method, Url, redirect};

mod guard;
mod reach;

use guard::{AskAgain, guarded};
use reach::{NotPublic, PublicOnly};

use crate::via::Channels;
use crate::world::{BoxFuture, Clock, HttpAnswer, HttpRequest, Look, Random, Reach, Transport, TransportError};

/// Nothing is sent before a connection stands, so this bound is apart from that of the request.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Servers close idle connections, and a request on a closing one has an unknown outcome: ours go first.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
const IDLE_PER_ORIGIN: usize = 8;
/// Space for a body that is announced is taken at once only up to this.
const BODY_HINT: usize = 64 * 1024;

/// The network by reqwest. Its clients are made when they are first needed, so that a start is fast and a daemon without
/// TLS connections loads no certificates.
#[derive(Debug, Default)]
pub struct ReqwestTransport {
    /// By whether they speak TLS, how far they reach, and whether each request has a connection of its own.
    clients: [[[OnceLock<Client>; 2]; 2]; 2],
    /// What goes another way than HTTP.
    channels: Channels,
    /// Where requests may go although it is not on the internet.
    allowed: Arc<[Allowed]>,
}

impl ReqwestTransport {
    /// Returns a transport without connections.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a transport whose requests may go to these places, too, although they are not on the internet.
    pub fn allowing(allowed: impl Into<Arc<[Allowed]>>) -> Self {
        Self { allowed: allowed.into(), ..Self::default() }
    }

    fn client(&self, url: &Url, reach: Reach, alone: bool) -> Result<&Client, TransportError> {
        let secure = url.scheme() == "https";
        let [plain, tls] = &self.clients;
        let [internet, anywhere] = if secure { tls } else { plain };
        let [shared, own] = match reach {
            Reach::Internet => internet,
            Reach::Anywhere => anywhere,
        };
        let cell = if alone { own } else { shared };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        // A second provider would be refused, which is well: one is there.
        drop(rustls::crypto::ring::default_provider().install_default());
        let builder = if secure { builder().https_only(true) } else { builder().tls_certs_only([]) };
        let builder = match reach {
            Reach::Internet => builder.dns_resolver(PublicOnly(Arc::clone(&self.allowed))),
            Reach::Anywhere => builder,
        };
        let builder = if alone { builder.pool_max_idle_per_host(0) } else { builder };
        let client = builder.build().map_err(|error| TransportError::NotConnected(describe(&error)))?;
        Ok(cell.get_or_init(|| client))
    }
}

fn builder() -> ClientBuilder {
    ClientBuilder::new()
        .user_agent(concat!("flowd/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(IDLE_PER_ORIGIN)
        .tcp_nodelay(true)
        .connector_layer(AskAgain)
}

impl Transport for ReqwestTransport {
    fn send(
        &self,
        request: HttpRequest,
        timeout: Duration,
        max_body: usize,
    ) -> BoxFuture<'_, Result<HttpAnswer, TransportError>> {
        Box::pin(async move {
            if let Some(channel) = request.channel.clone() {
                return self.channels.send(&channel, &request, timeout).await;
            }
            let refused = |what: &str| TransportError::Refused(what.to_owned());
            let method = Method::from_bytes(request.method.as_bytes()).map_err(|_| refused("the method is not valid"))?;
            let url = Url::parse(&request.url).map_err(|_| refused("the address is not valid"))?;
            if request.reach == Reach::Internet {
                reach::check(&url, &self.allowed).map_err(|error| refused(&error.to_string()))?;
            }
            let alone = request.guard.as_ref().is_some_and(|guard| guard.alone);
            let client = self.client(&url, request.reach, alone)?;
            let mut builder = client.request(method, url).timeout(timeout);
            for (name, value) in &request.headers {
                let mut value = reqwest::header::HeaderValue::from_bytes(value.as_bytes())
                    .map_err(|_| refused("a header holds a control character"))?;
                value.set_sensitive(true);
                builder = builder.header(name, value);
            }
            if !request.body.is_empty() {
                builder = builder.body(request.body);
            }
            let mut answer = guarded(request.guard, builder.send()).await.map_err(|error| classify(&error))?;
            let status = answer.status().as_u16();
            let headers = answer
                .headers()
                .iter()
                .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
                .collect();
            let body = read_body(&mut answer, max_body).await?;
            Ok(HttpAnswer { status, headers, body })
        })
    }
}

/// A body that ends early or goes beyond the bound is no complete answer.
async fn read_body(answer: &mut reqwest::Response, max_body: usize) -> Result<Bytes, TransportError> {
    let too_large = || TransportError::NoAnswer(format!("the answer is larger than {max_body} bytes"));
    let announced = answer.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    if announced > max_body {
        return Err(too_large());
    }
    let mut body = BytesMut::with_capacity(announced.min(BODY_HINT));
    while let Some(chunk) = answer.chunk().await.map_err(|error| TransportError::NoAnswer(describe(&error)))? {
        if body.len() + chunk.len() > max_body {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn classify(error: &reqwest::Error) -> TransportError {
    let mut reason = error.source();
    while let Some(inner) = reason {
        if let Some(error) = inner.downcast_ref::<NotPublic>() {
            return TransportError::Refused(error.to_string());
        }
        reason = inner.source();
    }
    let text = describe(error);
    if error.is_builder() {
        TransportError::Refused(text)
    } else if error.is_connect() {
        TransportError::NotConnected(text)
    } else {
        TransportError::NoAnswer(text)
    }
}

/// Returns the innermost reason. The outer ones hold the address, which can hold secrets and personal data.
fn describe(error: &reqwest::Error) -> String {
    if error.is_timeout() && !error.is_connect() {
        return "it took too long".to_owned();
    }
    let mut reason: Option<&(dyn Error + 'static)> = error.source();
    while let Some(inner) = reason.and_then(Error::source) {
        reason = Some(inner);
    }
    let text = reason.map_or_else(|| "the request failed".to_owned(), ToString::to_string);
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

/// A long sleep looks at the clock now and then, since clocks are set and machines are suspended.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// A clock that is behind by more than this was set back; less is what keeping it right takes.
const SET_BACK: jiff::SignedDuration = jiff::SignedDuration::from_secs(2);

/// Two clocks that are read within this are read at one moment.
const AT_ONCE: Duration = Duration::from_millis(100);

/// Since when the clock counts that nobody can set.
static ORIGIN: OnceLock<Instant> = OnceLock::new();

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn look(&self) -> Look {
        let origin = *ORIGIN.get_or_init(Instant::now);
        // Both at one moment: whoever was interrupted in between looks again.
        let (steady, now) = loop {
            let (steady, now) = (Instant::now(), Timestamp::now());
            if steady.elapsed() < AT_ONCE {
                break (steady, now);
            }
        };
        Look { now, steady: Some(steady.saturating_duration_since(origin)) }
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut now = Timestamp::now();
            while let Ok(left) = Duration::try_from(at.duration_since(now))
                && !left.is_zero()
            {
                let nap = left.min(LONGEST_SLEEP);
                tokio::time::sleep(nap).await;
                let expected = now.checked_add(nap).unwrap_or(at);
                now = Timestamp::now();
                if expected.duration_since(now) > SET_BACK {
                    return;
                }
            }
        })
    }
}

/// Randomness for jitter; nothing secret comes from it.
#[derive(Debug, Clone, Copy, Default)]
pub struct FastRandom;

impl Random for FastRandom {
    fn fraction(&self) -> f64 {
        fastrand::f64()
    }
}
