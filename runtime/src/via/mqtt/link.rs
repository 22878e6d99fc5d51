//! A connection to a broker.

use std::path::PathBuf;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::codec::{self, Connect, Decoder, Packet, Qos};
use crate::transport::CONNECT_TIMEOUT;
use crate::via::tls::{self, Stream};
use crate::via::{Channel, shown};
use crate::world::TransportError;

/// The broker hears from us within, or takes us for gone.
const KEEP_ALIVE_S: u16 = 30;

/// Where a broker is, and as whom one comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broker {
    host: String,
    port: u16,
    tls: bool,
    ca_file: Option<PathBuf>,
    username: Option<String>,
    password: Option<Password>,
    /// The name under which the broker keeps what is to come.
    pub(crate) client_id: String,
    /// How sure it is that a message arrives.
    pub(crate) qos: Qos,
    /// The broker keeps messages while we are away.
    pub(crate) queued: bool,
    /// Where it is said whether we are there: `online`, and by the broker `offline`.
    pub(crate) status: Option<String>,
}

/// A password, which shows nothing.
#[derive(Clone, PartialEq, Eq)]
struct Password(String);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password")
    }
}

impl Broker {
    /// Reads where the broker of a connection is.
    pub(crate) fn of(channel: &Channel) -> Result<Self, TransportError> {
        let broken = |what: String| TransportError::Broken(format!("connection `{}`: {what}", channel.connection));
        let host = channel.text("host").ok_or_else(|| broken("it has no `host`".to_owned()))?;
        let port = channel.number("port").map(|port| u16::try_from(port).ok().filter(|port| *port > 0));
        let port = match port {
            Some(None) => return Err(broken("`port` is no port".to_owned())),
            Some(port) => port,
            None => None,
        };
        let tls = channel.flag("tls").unwrap_or(port == Some(8883) || channel.text("ca_file").is_some());
        let qos = Qos::of(channel.number("qos").unwrap_or(1)).ok_or_else(|| broken("`qos` is 0, 1 or 2".to_owned()))?;
        Ok(Self {
            host: host.to_owned(),
            port: port.unwrap_or(if tls { 8883 } else { 1883 }),
            tls,
            ca_file: channel.file("ca_file"),
            username: channel.text("username").map(str::to_owned),
            password: channel.text("password").map(|text| Password(text.to_owned())),
            client_id: channel.text("client_id").map_or_else(|| format!("flowd-{}", channel.connection), str::to_owned),
            qos,
            queued: channel.flag("queued").unwrap_or(true),
            status: channel.text("status").map(str::to_owned),
        })
    }
}

/// How one comes to a broker.
pub(crate) struct Session<'a> {
    pub(crate) client_id: &'a str,
    /// Nothing is kept by the broker, and what it kept is dropped.
    pub(crate) clean: bool,
    pub(crate) will: Option<(&'a str, &'a str)>,
}

/// A connection that stands.
pub(crate) struct Link {
    stream: Box<dyn Stream>,
    decoder: Decoder,
    read: BytesMut,
    /// What is to be written.
    pub(crate) out: BytesMut,
    last_id: u16,
    /// The broker knew us.
    pub(crate) session_present: bool,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link")
    }
}

impl Link {
    /// Comes to a broker. Where it fails nothing was published.
    pub(crate) async fn open(broker: &Broker, session: &Session<'_>) -> Result<Self, TransportError> {
        let tcp = tls::open(&broker.host, broker.port).await?;
        let stream: Box<dyn Stream> =
            if broker.tls { tls::secure(tcp, &broker.host, broker.ca_file.as_deref()).await? } else { Box::new(tcp) };
        let (read, out) = (BytesMut::new(), BytesMut::new());
        let mut link = Self { stream, decoder: Decoder::default(), read, out, last_id: 0, session_present: false };
        let connect = Connect {
            client_id: session.client_id,
            clean: session.clean,
            keep_alive_s: KEEP_ALIVE_S,
            username: broker.username.as_deref(),
            password: broker.password.as_ref().map(|password| password.0.as_str()),
            will: session.will,
        };
        codec::connect(&mut link.out, &connect);
        let at = format!("{}:{}", broker.host, broker.port);
        let unreached =
            |error: &dyn std::fmt::Display| TransportError::NotConnected(format!("{at}: {}", shown(&error.to_string())));
        link.flush().await.map_err(|error| unreached(&error))?;
        let first = tokio::time::timeout(CONNECT_TIMEOUT, link.next()).await.map_err(|_| unreached(&"no answer"))?;
        match first.map_err(|error| unreached(&error))? {
            Packet::ConnAck { session_present, code: 0 } => {
                link.session_present = session_present;
                Ok(link)
            }
            Packet::ConnAck { code: 1, .. } => Err(TransportError::Broken(format!("{at}: the broker speaks no MQTT 3.1.1"))),
            Packet::ConnAck { code: 2, .. } => Err(TransportError::Broken(format!("{at}: the broker refuses the client id"))),
            Packet::ConnAck { code: 4 | 5, .. } => {
                Err(TransportError::Broken(format!("{at}: the broker refuses the user name or password")))
            }
            Packet::ConnAck { code, .. } => Err(unreached(&format!("the broker is not available ({code})"))),
            _ => Err(unreached(&"the broker does not answer as one")),
        }
    }

    /// Returns a number for a packet that is to be acknowledged.
    pub(crate) fn next_id(&mut self) -> u16 {
        self.last_id = if self.last_id == u16::MAX { 1 } else { self.last_id + 1 };
        self.last_id
    }

    /// Writes what is to be written.
    pub(crate) async fn flush(&mut self) -> std::io::Result<()> {
        self.stream.write_all_buf(&mut self.out).await?;
        self.stream.flush().await
    }

    /// Takes a packet that has come already.
    pub(crate) fn ready(&mut self) -> std::io::Result<Option<Packet>> {
        self.decoder.next(&mut self.read).map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
    }

    /// Waits for the next packet. It may be given up at any time: nothing is lost.
    pub(crate) async fn next(&mut self) -> std::io::Result<Packet> {
        loop {
            if let Some(packet) = self.ready()? {
                return Ok(packet);
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the broker has hung up"));
            }
        }
    }

    /// Asks whether the broker is there, and waits for its answer.
    pub(crate) async fn is_alive(&mut self, within: Duration) -> bool {
        codec::pingreq(&mut self.out);
        let asked = async {
            self.flush().await?;
            while self.next().await? != Packet::PingResp {}
            Ok::<(), std::io::Error>(())
        };
        matches!(tokio::time::timeout(within, asked).await, Ok(Ok(())))
    }

    /// Says goodbye.
    pub(crate) async fn close(mut self) {
        codec::disconnect(&mut self.out);
        let goodbye = async {
            self.flush().await?;
            self.stream.shutdown().await
        };
        drop(tokio::time::timeout(Duration::from_secs(2), goodbye).await);
    }
}
