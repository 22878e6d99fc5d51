//! Ports that are known before anybody listens at them.

use tokio::net::TcpSocket;

/// A port that the system gives to nobody who asks for any free one, as long as this lives. Nobody listens there until somebody
/// does who asks for just this one, as often as he likes.
pub(crate) struct Port {
    pub(crate) number: u16,
    _held: TcpSocket,
}

impl Port {
    /// Takes one.
    pub(crate) fn reserve() -> Self {
        let held = TcpSocket::new_v4().unwrap();
        // As those who are to listen there, without which they could not; bound and without a queue it refuses whoever connects.
        held.set_reuseaddr(true).unwrap();
        held.bind(([127, 0, 0, 1], 0).into()).unwrap();
        Self { number: held.local_addr().unwrap().port(), _held: held }
    }

    /// The address of what may be served there.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.number)
    }
}
