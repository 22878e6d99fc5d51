//! Submission of e-mail (RFC 5321, 6409, 8314): TLS before anything that matters, and a clear word on what became of a message.
//!
//! Until the dot that ends a message nothing has been taken over, so it may be tried again. Behind it, without an answer, nobody
//! knows: the next attempt has the same Message-ID.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::tls::{self, Stream};
use super::{Channel, done, shown};
use crate::world::{HttpAnswer, TransportError};
use message::Message;

mod encode;
mod message;

/// A reply has no longer lines, and no more of them.
const MAX_REPLY: u64 = 64 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Security {
    /// Plain at first, then TLS, or nothing goes on.
    StartTls,
    /// TLS from the start.
    Tls,
    /// None: to this machine alone.
    Nothing,
}

/// A server, and as whom one comes.
struct Server<'a> {
    host: &'a str,
    port: u16,
    security: Security,
    ca_file: Option<PathBuf>,
    login: Option<(&'a str, &'a str)>,
}

impl<'a> Server<'a> {
    fn of(channel: &'a Channel) -> Result<Self, TransportError> {
        let broken = |what: &str| TransportError::Broken(format!("connection `{}`: {what}", channel.connection));
        let host = channel.text("host").ok_or_else(|| broken("it has no `host`"))?;
        let security = match channel.text("security").unwrap_or("starttls") {
            "tls" => Security::Tls,
            "none" => Security::Nothing,
            _ => Security::StartTls,
        };
        let usual = match security {
            Security::StartTls => 587,
            Security::Tls => 465,
            Security::Nothing => 25,
        };
        let port = match channel.number("port") {
            Some(port) => u16::try_from(port).ok().filter(|port| *port > 0).ok_or_else(|| broken("`port` is no port"))?,
            None => usual,
        };
        let login = match (channel.text("username"), channel.text("password")) {
            (Some(user), Some(password)) => Some((user, password)),
            (Some(_), None) => return Err(broken("it has a `username` and no `password`")),
            (None, _) => None,
        };
        if security == Security::Nothing && login.is_some() {
            return Err(broken("a password is sent inside of TLS alone: set `security` to \"starttls\" or \"tls\""));
        }
        Ok(Self { host, port, security, ca_file: channel.file("ca_file"), login })
    }
}

/// Sends a message.
pub(super) async fn send(
    channel: &Channel,
    what: &Json,
    timeout: Duration,
    forbids: &(dyn Fn() -> Option<String> + Send + Sync),
) -> Result<HttpAnswer, TransportError> {
    let message = Message::of(what).map_err(TransportError::Refused)?;
    if channel.stand_in {
        tracing::info!(connection = channel.connection, message = message.id, "simulated: an e-mail is not sent");
        let accepted: Vec<String> = message.recipients().iter().map(|address| address.mailbox()).collect();
        return Ok(done(&json!({ "message_id": message.id, "accepted": accepted, "refused": [] })));
    }
    let server = Server::of(channel)?;
    let mut sent_dot = false;
    match tokio::time::timeout(timeout, submit(&server, &message, forbids, &mut sent_dot)).await {
        Ok(sent) => sent,
        Err(_) if sent_dot => {
            Err(TransportError::NoAnswer("the server has not said whether it took the message over".to_owned()))
        }
        Err(_) => Err(TransportError::NotConnected(format!("{}: it took too long, and nothing was sent", server.host))),
    }
}

/// Comes so far that messages could be sent, and goes again.
pub(super) async fn greet(channel: &Channel) -> Result<(), TransportError> {
    let mut talk = Talk::open(&Server::of(channel)?).await?;
    drop(tokio::time::timeout(Duration::from_secs(2), talk.ask("QUIT")).await);
    Ok(())
}

async fn submit(
    server: &Server<'_>,
    message: &Message,
    forbids: &(dyn Fn() -> Option<String> + Send + Sync),
    sent_dot: &mut bool,
) -> Result<HttpAnswer, TransportError> {
    let mut talk = Talk::open(server).await?;
    if message.needs_utf8() && !talk.offers("SMTPUTF8") {
        return Err(TransportError::Refused("the server takes no addresses with letters beyond ASCII".to_owned()));
    }
    let mut from = format!("MAIL FROM:<{}>", message.from.mailbox());
    if talk.offers("SIZE") {
        from.push_str(&format!(" SIZE={}", message.text.len()));
    }
    if message.needs_utf8() {
        from.push_str(" SMTPUTF8");
    }
    talk.ask(&from).await?.expect_class(2, "the sender")?;
    let (mut accepted, mut refused, mut why) = (Vec::new(), Vec::new(), String::new());
    for recipient in message.recipients() {
        let reply = talk.ask(&format!("RCPT TO:<{}>", recipient.mailbox())).await?;
        match reply.code / 100 {
            2 => accepted.push(recipient.mailbox()),
            5 => {
                refused.push(recipient.mailbox());
                why = reply.to_string();
            }
            // Nothing was sent to anybody yet: all of it is tried again.
            _ => return Err(talk.given_up(reply.later("a recipient")).await),
        }
    }
    if accepted.is_empty() {
        return Err(talk.given_up(TransportError::Refused(format!("every recipient was refused: {why}"))).await);
    }
    let data = talk.ask("DATA").await?;
    if data.code != 354 {
        return Err(data.failure("the message"));
    }
    if let Some(reason) = forbids() {
        return Err(TransportError::NotConnected(format!("it was not sent: {reason}")));
    }
    talk.write(message.text.as_bytes()).await?;
    *sent_dot = true;
    let ended = async {
        talk.stream.write_all(b".\r\n").await?;
        talk.stream.flush().await?;
        talk.reply().await
    };
    let reply = ended.await.map_err(|error| {
        TransportError::NoAnswer(format!(
            "the server has not said whether it took the message over: {}",
            shown(&error.to_string())
        ))
    })?;
    if reply.code / 100 != 2 {
        return Err(reply.failure("the message"));
    }
    drop(tokio::time::timeout(Duration::from_secs(2), talk.ask("QUIT")).await);
    Ok(done(&json!({ "message_id": message.id, "accepted": accepted, "refused": refused })))
}

/// A conversation with a server.
struct Talk {
    stream: BufReader<Box<dyn Stream>>,
    host: String,
    offers: Vec<String>,
}

impl Talk {
    /// Comes so far that messages can be sent. Nothing is where it fails.
    async fn open(server: &Server<'_>) -> Result<Self, TransportError> {
        let tcp = tls::open(server.host, server.port).await?;
        let own = tcp.local_addr().map(|at| at.ip());
        if server.security == Security::Nothing && !tcp.peer_addr().is_ok_and(|at| at.ip().is_loopback()) {
            let error = format!("{} is another machine: `security = \"none\"` is for this one alone", server.host);
            return Err(TransportError::Broken(error));
        }
        let name = match own {
            Ok(std::net::IpAddr::V6(ip)) => format!("[IPv6:{ip}]"),
            Ok(std::net::IpAddr::V4(ip)) => format!("[{ip}]"),
            Err(_) => "localhost".to_owned(),
        };
        let ca_file = server.ca_file.as_deref();
        let (stream, greets): (Box<dyn Stream>, bool) = match server.security {
            Security::Tls => (tls::secure(tcp, server.host, ca_file).await?, true),
            Security::Nothing => (Box::new(tcp), true),
            Security::StartTls => (start_tls(tcp, server, &name).await?, false),
        };
        let mut talk = Self::over(stream, server.host);
        if greets {
            talk.hear().await?.expect_class(2, "the connection")?;
        }
        talk.hello(&name).await?;
        if let Some((user, password)) = server.login {
            talk.log_in(user, password).await?;
        }
        Ok(talk)
    }

    fn over(stream: Box<dyn Stream>, host: &str) -> Self {
        Self { stream: BufReader::new(stream), host: host.to_owned(), offers: Vec::new() }
    }

    async fn hello(&mut self, name: &str) -> Result<(), TransportError> {
        let reply = self.ask(&format!("EHLO {name}")).await?;
        reply.expect_class(2, "EHLO")?;
        self.offers = reply.lines.iter().skip(1).map(|line| line.to_ascii_uppercase()).collect();
        Ok(())
    }

    fn offers(&self, word: &str) -> bool {
        self.offers.iter().any(|line| line.split(' ').next() == Some(word))
    }

    async fn log_in(&mut self, user: &str, password: &str) -> Result<(), TransportError> {
        let ways = self.offers.iter().find_map(|line| line.strip_prefix("AUTH ")).unwrap_or_default().to_owned();
        let offers = |way: &str| ways.split(' ').any(|known| known == way);
        let reply = if offers("PLAIN") {
            self.ask(&format!("AUTH PLAIN {}", encode::base64(format!("\0{user}\0{password}").as_bytes()))).await?
        } else if offers("LOGIN") {
            self.ask("AUTH LOGIN").await?.expect_class(3, "AUTH")?;
            self.ask(&encode::base64(user.as_bytes())).await?.expect_class(3, "AUTH")?;
            self.ask(&encode::base64(password.as_bytes())).await?
        } else {
            return Err(TransportError::Broken(format!("{} takes no user name and password", self.host)));
        };
        match reply.code / 100 {
            2 => Ok(()),
            4 => Err(reply.later("the login")),
            _ => Err(TransportError::Broken(format!("{} refuses the user name or password: {reply}", self.host))),
        }
    }

    /// Says a line and hears the reply. Nothing of a message was sent where it fails.
    async fn ask(&mut self, line: &str) -> Result<Reply, TransportError> {
        self.write(format!("{line}\r\n").as_bytes()).await?;
        self.hear().await
    }

    async fn hear(&mut self) -> Result<Reply, TransportError> {
        self.reply().await.map_err(|error| self.lost(&error))
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), TransportError> {
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        written.await.map_err(|error| self.lost(&error))
    }

    fn lost(&self, error: &std::io::Error) -> TransportError {
        TransportError::NotConnected(format!("{}: {}, and nothing was sent", self.host, shown(&error.to_string())))
    }

    async fn given_up(mut self, error: TransportError) -> TransportError {
        drop(tokio::time::timeout(Duration::from_secs(2), self.ask("QUIT")).await);
        error
    }

    async fn reply(&mut self) -> std::io::Result<Reply> {
        read_reply(&mut self.stream).await
    }
}

/// Turns a plain connection into one with TLS.
async fn start_tls(tcp: TcpStream, server: &Server<'_>, name: &str) -> Result<Box<dyn Stream>, TransportError> {
    let mut plain = Plain { stream: BufReader::new(tcp) };
    let unreached =
        |error: std::io::Error| TransportError::NotConnected(format!("{}: {}", server.host, shown(&error.to_string())));
    let greeting = plain.reply().await.map_err(unreached)?;
    greeting.expect_class(2, "the connection")?;
    let hello = plain.ask(&format!("EHLO {name}")).await.map_err(unreached)?;
    if !hello.lines.iter().any(|line| line.eq_ignore_ascii_case("STARTTLS")) {
        let error = format!("{} offers no STARTTLS, and nothing is sent without TLS", server.host);
        return Err(TransportError::Broken(error));
    }
    let begun = plain.ask("STARTTLS").await.map_err(unreached)?;
    begun.expect_class(2, "STARTTLS")?;
    if !plain.stream.buffer().is_empty() {
        // Somebody in between has put words before what is protected.
        return Err(TransportError::NotConnected(format!("{} says something before TLS has begun", server.host)));
    }
    tls::secure(plain.stream.into_inner(), server.host, server.ca_file.as_deref()).await
}

/// A connection before TLS.
struct Plain {
    stream: BufReader<TcpStream>,
}

impl Plain {
    async fn ask(&mut self, line: &str) -> std::io::Result<Reply> {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        self.reply().await
    }

    async fn reply(&mut self) -> std::io::Result<Reply> {
        read_reply(&mut self.stream).await
    }
}

async fn read_reply<S: AsyncBufReadExt + Unpin>(stream: &mut S) -> std::io::Result<Reply> {
    let wrong = |what: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, what.to_owned());
    let mut limited = stream.take(MAX_REPLY);
    let mut lines = Vec::new();
    loop {
        let mut line = Vec::new();
        if limited.read_until(b'\n', &mut line).await? == 0 {
            return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the server has hung up"));
        }
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        let code = line.get(..3).and_then(|code| code.parse::<u16>().ok()).filter(|code| (200..600).contains(code));
        let code = code.ok_or_else(|| wrong("the server does not speak SMTP"))?;
        lines.push(line.get(4..).unwrap_or_default().to_owned());
        if !line[3..].starts_with('-') {
            return Ok(Reply { code, lines });
        }
    }
}

/// What a server says.
struct Reply {
    code: u16,
    lines: Vec<String>,
}

impl std::fmt::Display for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.code, shown(&self.lines.join(" ")))
    }
}

impl Reply {
    fn expect_class(&self, class: u16, what: &str) -> Result<(), TransportError> {
        if self.code / 100 == class { Ok(()) } else { Err(self.failure(what)) }
    }

    /// What a reply means that is no yes: below 500 it may be tried again.
    fn failure(&self, what: &str) -> TransportError {
        match self.code {
            // It would take it from somebody who has logged in, or with TLS.
            530 | 535 | 538 => TransportError::Broken(format!("the server refuses {what}: {self}")),
            500.. => TransportError::Refused(format!("the server refuses {what}: {self}")),
            _ => self.later(what),
        }
    }

    fn later(&self, what: &str) -> TransportError {
        TransportError::Later(format!("the server does not take {what} now: {self}"))
    }
}
