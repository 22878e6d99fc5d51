//! A broker that says, packet for packet, what the test wants: what no real one can be made to say.

use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use super::broker::{packet, read_packet, text};
use super::eventually;

/// Where it listens.
pub(crate) struct Scripted {
    listener: TcpListener,
    pub(crate) port: u16,
}

/// A client that has come, and has said who it is.
pub(crate) struct Peer {
    stream: TcpStream,
    pub(crate) client_id: String,
}

impl Scripted {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        Self { listener, port }
    }

    /// Waits for a client.
    pub(crate) fn comes(&self) -> Peer {
        let (mut stream, _) = eventually("a client comes", || self.listener.accept().ok());
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let (first, body) = read_packet(&mut stream).unwrap();
        assert_eq!((first, &body[..7]), (0x10, &b"\0\x04MQTT\x04"[..]), "it says which version it speaks");
        let length = usize::from(u16::from_be_bytes([body[10], body[11]]));
        let client_id = String::from_utf8(body[12..12 + length].to_vec()).unwrap();
        Peer { stream, client_id }
    }

    /// Waits for a client, takes it in, and does as it is asked to.
    pub(crate) fn takes(&self) -> Peer {
        let mut peer = self.comes();
        peer.says(&[0x20, 2, 0, 0]);
        let asked = peer.hears(0x82);
        peer.says(&packet(0x90, &[asked[0], asked[1], 2]));
        peer
    }

    /// Waits for a client that it knows.
    pub(crate) fn knows(&self) -> Peer {
        let mut peer = self.comes();
        peer.says(&[0x20, 2, 1, 0]);
        peer
    }
}

impl Peer {
    /// Says these bytes.
    pub(crate) fn says(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends a message.
    pub(crate) fn publishes(&mut self, first: u8, topic: &str, id: u16, payload: &str) {
        let mut body = Vec::new();
        text(&mut body, topic);
        body.extend(id.to_be_bytes());
        body.extend(payload.as_bytes());
        self.says(&packet(first, &body));
    }

    /// Waits for a packet of this kind, answers whether it is there meanwhile, and returns what is in it.
    pub(crate) fn hears(&mut self, wanted: u8) -> Vec<u8> {
        loop {
            let (first, body) = read_packet(&mut self.stream).unwrap_or_else(|| panic!("no packet {wanted:#x} came"));
            match first {
                0xc0 => self.says(&[0xd0, 0]),
                _ if first == wanted => return body,
                _ => {}
            }
        }
    }

    /// Waits until the client has gone.
    pub(crate) fn sees_it_go(mut self) {
        while read_packet(&mut self.stream).is_some() {}
    }

    /// Hangs up.
    pub(crate) fn hangs_up(self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}
