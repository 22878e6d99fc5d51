//! Connections: accepted within bounds, ended in order when the daemon stops.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};
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

/// The pause after the system has refused another file; the second where others go meanwhile.
const ACCEPT_PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(5));
/// What the system says then: too many open files in all, or in this process.
const NO_FILES: [i32; 2] = [23, 24];
/// At most so many are told at a time that there is no place for them.
const FAREWELLS: usize = 64;

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
    let farewells = Arc::new(Semaphore::new(FAREWELLS));
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
            // The sender has gone while it waited to be accepted.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => continue,
            Err(error) => {
                if !refused {
                    warn!(%error, "a connection could not be accepted");
                }
                refused = true;
                let no_files = error.raw_os_error().is_some_and(|code| NO_FILES.contains(&code));
                let room = no_files && places.give_way();
                tokio::time::sleep(if room { ACCEPT_PAUSES.1 } else { ACCEPT_PAUSES.0 }).await;
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
                if let Ok(permit) = Arc::clone(&farewells).try_acquire_owned() {
                    connections.spawn(async move {
                        turned_away(stream, handler).await;
                        drop(permit);
                    });
                }
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
            // It fails where the sender has gone already, which is seen soon enough.
            drop(stream.set_nodelay(true));
            Ok((Box::new(stream), Some(peer)))
        }
        Listener::Unix(listener) => Ok((Box::new(listener.accept().await?.0), None)),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use hyper::StatusCode;
    use hyper::http::request::Parts;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::Notify;

    use super::*;
    use crate::server::body::Body;
    use crate::server::respond::{Answer, json};

    /// Answers `/slow` when it is told to.
    #[derive(Default)]
    struct Slow {
        began: Notify,
        may_end: Notify,
    }

    impl Handle for Slow {
        async fn handle(&self, head: Parts, _: &mut Body<'_>, _: Option<IpAddr>) -> Answer {
            if head.uri.path() == "/slow" {
                self.began.notify_one();
                self.may_end.notified().await;
            }
            json(StatusCode::OK, "{}")
        }

        fn is_light(&self, path: &str) -> bool {
            path == "/light"
        }

        fn now(&self) -> jiff::Timestamp {
            jiff::Timestamp::UNIX_EPOCH
        }
    }

    async fn ask(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// Each place has a request that is being answered: others are told at once to come again, and that the daemon lives.
    #[tokio::test]
    async fn a_daemon_that_stands_still_says_so() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let handler = Arc::new(Slow::default());
        let (stop, stops) = watch::channel(false);
        let limits = Limits { connections: 2, ..Limits::default() };
        let patience = Duration::from_secs(10);
        let served = tokio::spawn(serve(Listener::Tcp(listener), Arc::clone(&handler), limits, stops, patience));
        let mut slow = Vec::new();
        for _ in 0..2 {
            slow.push(tokio::spawn(ask(address, "/slow")));
            handler.began.notified().await;
        }
        for _ in 0..SPARE_ASKED {
            let other = ask(address, "/other").await;
            assert!(other.starts_with("HTTP/1.1 503 ") && other.contains("\r\nretry-after: 5\r\n"), "{other}");
            assert!(ask(address, "/light").await.starts_with("HTTP/1.1 200 "));
        }
        for slow in slow {
            handler.may_end.notify_one();
            assert!(slow.await.unwrap().starts_with("HTTP/1.1 200 "));
        }
        assert!(ask(address, "/other").await.starts_with("HTTP/1.1 200 "));
        stop.send_replace(true);
        served.await.unwrap();
    }

    /// More than there are spare places.
    const SPARE_ASKED: usize = 100;
}
