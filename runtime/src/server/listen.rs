//! Connections: accepted within bounds, served by hyper, ended in order when the daemon stops.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::limits::Limits;
use super::respond::Answer;

/// What answers requests.
pub(crate) trait Handle: Send + Sync + 'static {
    /// Answers one request of a sender. It never fails: an error is an answer too.
    fn handle(&self, request: Request<Incoming>, sender: Option<IpAddr>) -> impl Future<Output = Answer> + Send;
}

/// Where connections come from.
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// The pause after a refusal of the system, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves connections until `stop` is true, then ends them: idle ones at once, others after their answer, all after
/// `drain`.
pub(crate) async fn serve<H: Handle>(
    listener: Listener,
    handler: Arc<H>,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
    drain: Duration,
) {
    let permits = Arc::new(Semaphore::new(limits.connections));
    let addresses = Arc::new(Addresses::default());
    let mut connections = JoinSet::new();
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&permits).acquire_owned() => permit,
            () = stopped(&mut stop) => break,
        };
        let accepted = tokio::select! {
            accepted = accept(&listener) => accepted,
            () = stopped(&mut stop) => break,
        };
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(place) = Addresses::enter(&addresses, peer, limits.connections_per_address) else {
            debug!("too many connections from one address");
            continue;
        };
        let (handler, stop, limits) = (Arc::clone(&handler), stop.clone(), limits.clone());
        connections.spawn(async move {
            match stream {
                Stream::Tcp(stream) => connection(stream, handler, place.1, &limits, stop).await,
                Stream::Unix(stream) => connection(stream, handler, None, &limits, stop).await,
            }
            drop((permit, place));
        });
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(drain, ended).await.is_err() {
        connections.shutdown().await;
    }
}

/// Waits until the daemon stops; a sender that is gone means so too.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error says that the sender is gone.
    drop(stop.wait_for(|stop| *stop).await);
}

enum Stream {
    Tcp(tokio::net::TcpStream),
    Unix(tokio::net::UnixStream),
}

async fn accept(listener: &Listener) -> io::Result<(Stream, Option<SocketAddr>)> {
    match listener {
        Listener::Tcp(listener) => {
            let (stream, peer) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok((Stream::Tcp(stream), Some(peer)))
        }
        Listener::Unix(listener) => Ok((Stream::Unix(listener.accept().await?.0), None)),
    }
}

async fn connection<S, H>(stream: S, handler: Arc<H>, sender: Option<IpAddr>, limits: &Limits, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Handle,
{
    let service = service_fn(move |request| {
        let handler = Arc::clone(&handler);
        async move { Ok::<_, Infallible>(handler.handle(request, sender).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_header_size(limits.max_header)
        // hyper knows no smaller buffer than 8 KiB.
        .max_buf_size(limits.max_header.max(8 * 1024))
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        debug!(%error, "a connection ended early");
    }
}

/// How many connections each address has.
#[derive(Debug, Default)]
struct Addresses(Mutex<HashMap<IpAddr, usize>>);

/// The place of one connection; leaving it frees the place.
struct Place(Arc<Addresses>, Option<IpAddr>);

impl Addresses {
    /// Loopback has no bound of its own: behind a reverse proxy every sender comes from there.
    fn enter(this: &Arc<Self>, peer: Option<SocketAddr>, most: usize) -> Option<Place> {
        let address = peer.and_then(|peer| sender(peer.ip()));
        if let Some(address) = address {
            let mut counts = this.0.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.entry(address).or_default();
            if *count >= most {
                return None;
            }
            *count += 1;
        }
        Some(Place(Arc::clone(this), address))
    }
}

/// Returns whom an address stands for: one host has a whole /64 of IPv6. `None` for loopback, which has no bounds.
fn sender(address: IpAddr) -> Option<IpAddr> {
    match address.to_canonical() {
        address if address.is_loopback() => None,
        IpAddr::V6(address) => Some(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into()),
        address @ IpAddr::V4(_) => Some(address),
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(address) = self.1 else { return };
        let mut counts = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&address);
            }
        }
    }
}

/// What of a refused body is still taken, so that the sender gets to read the answer.
const LINGER_BYTES: usize = 4 * 1024 * 1024;
const LINGER_TIME: Duration = Duration::from_secs(2);

/// Reads on for a while beside the answer: closing a connection with unread bytes would make the system drop the answer.
pub(crate) fn linger(mut body: Incoming) {
    tokio::spawn(async move {
        let mut left = LINGER_BYTES;
        let drained = async {
            while let Some(Ok(frame)) = body.frame().await {
                match left.checked_sub(frame.data_ref().map_or(0, bytes::Bytes::len)) {
                    Some(rest) => left = rest,
                    None => break,
                }
            }
        };
        // Whether it ended or not, the connection closes now.
        drop(tokio::time::timeout(LINGER_TIME, drained).await);
    });
}
