//! A real Mosquitto on a free port, a client of a few lines, and a wire that loses acknowledgements.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::eventually;
use super::port::Port;

/// The program, where it is installed. In CI it has to be.
pub(crate) fn mosquitto() -> Option<&'static str> {
    let found = ["/usr/sbin/mosquitto", "/usr/bin/mosquitto", "/usr/local/sbin/mosquitto"]
        .into_iter()
        .find(|path| Path::new(path).exists());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "CI has no mosquitto: .ci/run installs it");
        eprintln!("NOT TESTED: mosquitto is not installed (apt-get install mosquitto)");
    }
    found
}

/// A running Mosquitto. It is killed when dropped.
pub(crate) struct Broker {
    child: Option<Child>,
    folder: tempfile::TempDir,
    pub(crate) port: u16,
    /// It is ours while the broker is away, too.
    _reserved: Port,
}

impl Broker {
    /// Starts one that takes anybody.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with("allow_anonymous true\n")
    }

    /// Starts one with these lines of configuration; `{folder}` is where its files may be.
    pub(crate) fn start_with(config: &str) -> Option<Self> {
        mosquitto()?;
        let folder = tempfile::tempdir().unwrap();
        let reserved = Port::reserve();
        let port = reserved.number;
        let config = config.replace("{folder}", folder.path().to_str().unwrap());
        let text = format!("listener {port} 127.0.0.1\nuser root\nlog_dest stderr\n{config}");
        std::fs::write(folder.path().join("mosquitto.conf"), text).unwrap();
        let mut broker = Self { child: None, folder, port, _reserved: reserved };
        broker.launch();
        Some(broker)
    }

    /// Starts it, and waits until it listens.
    pub(crate) fn launch(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let child = Command::new(mosquitto().unwrap())
            .arg("-c")
            .arg(self.folder.path().join("mosquitto.conf"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        eventually("mosquitto listens", || TcpStream::connect(("127.0.0.1", self.port)).ok());
    }

    /// Ends it.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A client, which subscribes and publishes.
pub(crate) struct Client {
    stream: TcpStream,
    heard: Arc<Mutex<Vec<Message>>>,
    acknowledged: Arc<AtomicU16>,
    last: u16,
}

/// A message that a client has heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: String,
    pub(crate) retained: bool,
}

pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    out.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
    out.extend(text.as_bytes());
}

pub(super) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    let mut left = body.len();
    loop {
        let byte = (left % 128) as u8;
        left /= 128;
        out.push(if left > 0 { byte | 128 } else { byte });
        if left == 0 {
            break;
        }
    }
    out.extend(body);
    out
}

/// Reads a packet; `None` where the connection ends.
pub(super) fn read_packet(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut byte = [0];
    stream.read_exact(&mut byte).ok()?;
    let first = byte[0];
    let (mut length, mut shift) = (0, 0);
    loop {
        stream.read_exact(&mut byte).ok()?;
        length |= usize::from(byte[0] & 127) << shift;
        shift += 7;
        if byte[0] & 128 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((first, body))
}

impl Client {
    /// Comes to a broker, with a session of its own that is not kept.
    pub(crate) fn new(port: u16, login: Option<(&str, &str)>) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut body = Vec::new();
        text(&mut body, "MQTT");
        body.extend([4, if login.is_some() { 0xc2 } else { 2 }, 0, 0]);
        text(&mut body, &format!("test-{}", fastrand_like()));
        if let Some((user, password)) = login {
            text(&mut body, user);
            text(&mut body, password);
        }
        stream.write_all(&packet(0x10, &body)).unwrap();
        assert_eq!(read_packet(&mut stream).unwrap(), (0x20, vec![0, 0]), "the broker takes the client");
        let (heard, acknowledged) = (Arc::default(), Arc::new(AtomicU16::new(0)));
        let client = Self { stream, heard, acknowledged, last: 0 };
        let (mut stream, heard, acknowledged) =
            (client.stream.try_clone().unwrap(), Arc::clone(&client.heard), Arc::clone(&client.acknowledged));
        std::thread::spawn(move || {
            while let Some((first, body)) = read_packet(&mut stream) {
                match first >> 4 {
                    3 => {
                        let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
                        let topic = String::from_utf8_lossy(&body[2..2 + length]).into_owned();
                        let mut rest = &body[2 + length..];
                        if first & 6 != 0 {
                            stream.write_all(&packet(0x40, &rest[..2])).unwrap();
                            rest = &rest[2..];
                        }
                        let payload = String::from_utf8_lossy(rest).into_owned();
                        heard.lock().unwrap().push(Message { topic, payload, retained: first & 1 == 1 });
                    }
                    4 | 9 => acknowledged.store(u16::from_be_bytes([body[0], body[1]]), Ordering::SeqCst),
                    _ => {}
                }
            }
        });
        client
    }

    fn send(&mut self, first: u8, build: impl FnOnce(&mut Vec<u8>, u16)) {
        self.last += 1;
        let mut body = Vec::new();
        build(&mut body, self.last);
        self.stream.write_all(&packet(first, &body)).unwrap();
        let wanted = self.last;
        eventually("the broker acknowledges", || (self.acknowledged.load(Ordering::SeqCst) == wanted).then_some(()));
    }

    /// Publishes at least once; returns when the broker has it.
    pub(crate) fn publish(&mut self, topic: &str, payload: impl AsRef<[u8]>, retain: bool) {
        self.send(0x32 | u8::from(retain), |body, id| {
            text(body, topic);
            body.extend(id.to_be_bytes());
            body.extend(payload.as_ref());
        });
    }

    /// Subscribes; returns when the broker knows.
    pub(crate) fn subscribe(&mut self, filter: &str) {
        self.send(0x82, |body, id| {
            body.extend(id.to_be_bytes());
            text(body, filter);
            body.push(1);
        });
    }

    /// What it has heard so far.
    pub(crate) fn heard(&self) -> Vec<Message> {
        self.heard.lock().unwrap().clone()
    }

    /// Waits until it has heard a message on a topic, and returns the newest.
    pub(crate) fn hears(&self, topic: &str) -> Message {
        eventually(&format!("a message on {topic}"), || self.heard().into_iter().rev().find(|message| message.topic == topic))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// What a client of this name says first, whose session is kept.
pub(crate) fn connect_packet(client_id: &str) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, "MQTT");
    body.extend([4, 0, 0, 0]);
    text(&mut body, client_id);
    packet(0x10, &body)
}

/// A name that no other client of this process has.
fn fastrand_like() -> String {
    static COUNT: AtomicU16 = AtomicU16::new(0);
    format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst))
}

/// A wire to a broker which loses the acknowledgements of messages while it is told to.
pub(crate) struct Wire {
    pub(crate) port: u16,
    loses: Arc<AtomicBool>,
    lost: Arc<AtomicU16>,
}

impl Wire {
    /// Lays a wire.
    pub(crate) fn to(broker: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (loses, lost) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU16::new(0)));
        let wire = Self { port, loses: Arc::clone(&loses), lost: Arc::clone(&lost) };
        std::thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", broker)) else { continue };
                let (mut down, mut to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut down, &mut to_client);
                    let _ = to_client.shutdown(Shutdown::Both);
                });
                let (mut up, mut to_server, loses, lost) = (client, server, Arc::clone(&loses), Arc::clone(&lost));
                std::thread::spawn(move || {
                    while let Some((first, body)) = read_packet(&mut up) {
                        if first >> 4 == 4 && loses.load(Ordering::SeqCst) {
                            lost.fetch_add(1, Ordering::SeqCst);
                            continue;
                        }
                        if to_server.write_all(&packet(first, &body)).is_err() {
                            break;
                        }
                    }
                    // As a machine that is gone: no goodbye.
                    std::thread::sleep(Duration::from_millis(1));
                    let _ = to_server.shutdown(Shutdown::Both);
                });
            }
        });
        wire
    }

    /// Acknowledgements are lost from now on, or not any more.
    pub(crate) fn loses(&self, loses: bool) {
        self.loses.store(loses, Ordering::SeqCst);
    }

    /// How many were lost.
    pub(crate) fn lost(&self) -> u16 {
        self.lost.load(Ordering::SeqCst)
    }
}

/// Makes an authority and a certificate for `localhost` in a folder: `ca.pem`, `server.pem`, `server.key`.
pub(crate) fn certificates(folder: &Path) {
    let openssl = |args: &[&str]| {
        let done = Command::new("openssl").args(args).current_dir(folder).output().unwrap();
        assert!(done.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    std::fs::write(folder.join("ext"), "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n").unwrap();
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let ca = ["req", "-x509", "-days", "2", "-subj", "/CN=Test authority", "-keyout", "ca.key", "-out", "ca.pem"];
    openssl(&[&ca[..], &key[..]].concat());
    let request = ["req", "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr"];
    openssl(&[&request[..], &key[..]].concat());
    openssl(&[
        "x509",
        "-req",
        "-in",
        "server.csr",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        "2",
        "-extfile",
        "ext",
        "-out",
        "server.pem",
    ]);
}

/// Makes a certificate that is signed by itself, as `openssl req -x509` does: `server.pem` and `server.key`, and the former as
/// `ca.pem`. `valid` is from when until when: "20250101000000Z".
pub(crate) fn self_signed(folder: &Path, name: &str, valid: Option<(&str, &str)>) {
    let openssl = |args: &[&str]| {
        let done = Command::new("openssl").args(args).current_dir(folder).output().unwrap();
        assert!(done.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "server.key"];
    let (subject, names) = (format!("/CN={name}"), format!("subjectAltName=DNS:{name}"));
    let request = ["req", "-subj", &subject];
    match valid {
        None => openssl(&[&request[..], &key, &["-x509", "-addext", &names, "-out", "server.pem"]].concat()),
        Some((from, until)) => {
            openssl(&[&request[..], &key, &["-out", "server.csr"]].concat());
            let config = format!(
                "[ca]\ndefault_ca = own\n[own]\ndatabase = index.txt\nrand_serial = yes\nnew_certs_dir = .\ndefault_md = sha256\n\
                 policy = any\nx509_extensions = ext\n[any]\ncommonName = supplied\n[ext]\nbasicConstraints = CA:TRUE\n{names}\n"
            );
            std::fs::write(folder.join("ca.cnf"), config).unwrap();
            std::fs::write(folder.join("index.txt"), "").unwrap();
            let signs = ["ca", "-batch", "-selfsign", "-config", "ca.cnf", "-keyfile", "server.key", "-in", "server.csr"];
            openssl(&[&signs[..], &["-startdate", from, "-enddate", until, "-notext", "-out", "server.pem"]].concat());
        }
    }
    std::fs::copy(folder.join("server.pem"), folder.join("ca.pem")).unwrap();
}
