//! Connections: accepted within bounds, ended in order when the daemon stops.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::connection::{Handle, connection, turned_away};
use super::limits::Limits;
use super::places::{Places, TooMany};
use super::wire::Stream;

/// Where connections come from.
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// The pause after a refusal of the system, such as too many open files; the second where others go meanwhile.
const ACCEPT_PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(5));

/// Serves connections until `stop` is true, then ends them: idle ones at once, others after their answer, all after
/// `drain`.
pub(crate) async fn serve<H: Handle>(
    listener: Listener,
    handler: Arc<H>,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
    drain: Duration,
) {
    let places = Arc::new(Places::new(&limits));
    let mut connections = JoinSet::new();
    // It is said once in a row.
    let mut refused = false;
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener) => accepted,
            () = stopped(&mut stop) => break,
        };
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if !refused {
                    warn!(%error, "a connection could not be accepted");
                }
                refused = true;
                tokio::time::sleep(if places.give_way() { ACCEPT_PAUSES.1 } else { ACCEPT_PAUSES.0 }).await;
                continue;
            }
        };
        refused = false;
        let place = tokio::select! {
            place = Places::enter(&places, peer.map(|peer| peer.ip())) => place,
            () = stopped(&mut stop) => break,
        };
        let (handler, stop, limits) = (Arc::clone(&handler), stop.clone(), limits.clone());
        match place {
            Ok(place) => drop(connections.spawn(async move { connection(stream, handler, place, &limits, stop).await })),
            Err(TooMany) => {
                debug!("too many connections from one address");
                drop(connections.spawn(turned_away(stream, handler)));
            }
        }
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

async fn accept(listener: &Listener) -> io::Result<(Box<dyn Stream>, Option<SocketAddr>)> {
    match listener {
        Listener::Tcp(listener) => {
            let (stream, peer) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok((Box::new(stream), Some(peer)))
        }
        Listener::Unix(listener) => Ok((Box::new(listener.accept().await?.0), None)),
    }
}
