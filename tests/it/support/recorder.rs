//! A server that records what arrives and answers as told: the other end of an effect.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// A request that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Arrived {
    /// Returns `METHOD path`.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Returns the body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// Returns a header by its lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What is answered: status and JSON body.
pub(crate) type Reply = (u16, Value);
/// What is answered, byte for byte.
pub(crate) type Raw = Vec<u8>;
type Behaviour = Arc<dyn Fn(&Arrived, usize) -> Option<Raw> + Send + Sync>;

/// Returns an answer with these headers and this body.
pub(crate) fn raw(status: u16, headers: &[(&str, &str)], body: &str) -> Raw {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn of_json((status, body): Reply) -> Raw {
    raw(status, &[("content-type", "application/json")], &body.to_string())
}

/// The recording server.
pub(crate) struct Recorder {
    pub(crate) url: String,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    behaviour: Arc<Mutex<Behaviour>>,
}

impl Recorder {
    /// Starts a server; the behaviour gets the request and how many came before. `None` closes without an answer.
    pub(crate) fn start(behaviour: impl Fn(&Arrived, usize) -> Option<Reply> + Send + Sync + 'static) -> Self {
        Self::start_raw(move |request, before| behaviour(request, before).map(of_json))
    }

    /// As [`Recorder::start`], with whole answers.
    pub(crate) fn start_raw(behaviour: impl Fn(&Arrived, usize) -> Option<Raw> + Send + Sync + 'static) -> Self {
        Self::start_at(0, behaviour)
    }

    /// As [`Recorder::start_raw`], at this port.
    pub(crate) fn start_at(port: u16, behaviour: impl Fn(&Arrived, usize) -> Option<Raw> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let behaviour: Arc<Mutex<Behaviour>> = Arc::new(Mutex::new(Arc::new(behaviour)));
        let (log, act) = (arrived.clone(), behaviour.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, act) = (log.clone(), act.clone());
                std::thread::spawn(move || serve(stream, &log, &act));
            }
        });
        Self { url, arrived, behaviour }
    }

    /// A Kustomer where nobody is known and everything succeeds.
    pub(crate) fn kustomer() -> Self {
        Self::start(|request, _| Some(kustomer(request)))
    }

    /// Changes what is answered from now on.
    pub(crate) fn answer(&self, behaviour: impl Fn(&Arrived, usize) -> Option<Reply> + Send + Sync + 'static) {
        self.answer_raw(move |request, before| behaviour(request, before).map(of_json));
    }

    /// As [`Recorder::answer`], with whole answers.
    pub(crate) fn answer_raw(&self, behaviour: impl Fn(&Arrived, usize) -> Option<Raw> + Send + Sync + 'static) {
        *self.behaviour.lock().unwrap() = Arc::new(behaviour);
    }

    /// Returns what arrived.
    pub(crate) fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap().clone()
    }

    /// Returns `METHOD path` of what arrived.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.arrived().iter().map(Arrived::line).collect()
    }

    /// Returns how many requests of this line arrived.
    pub(crate) fn count(&self, method: &str, path: &str) -> usize {
        self.arrived().iter().filter(|one| one.method == method && one.path == path).count()
    }
}

/// Answers as an empty Kustomer would.
pub(crate) fn kustomer(request: &Arrived) -> Reply {
    let made = |kind: &str, attributes: Value| {
        (
            201,
            json!({ "data": { "type": kind, "id": format!("{kind}_1"), "attributes": attributes, "relationships": { "customer": { "data": { "type": "customer", "id": "customer_1" } } } } }),
        )
    };
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", path) if path.ends_with("/notes") => (200, json!({ "data": [] })),
        ("GET", _) => (404, json!({ "errors": [{ "status": 404, "code": "notfound", "title": "Not found" }] })),
        ("POST", "/v1/customers") => made("customer", json!({ "emails": request.json()["emails"].clone() })),
        ("POST", "/v1/conversations") => {
            made("conversation", json!({ "name": request.json()["name"].clone(), "status": "open", "priority": 3 }))
        }
        ("POST", path) if path.ends_with("/notes") => made("note", json!({ "body": request.json()["body"].clone() })),
        ("POST", _) => made("thing", json!({})),
        _ => (405, json!({})),
    }
}

fn serve(stream: TcpStream, log: &Mutex<Vec<Arrived>>, behaviour: &Mutex<Behaviour>) {
    let Ok(mut writer) = stream.try_clone() else { return };
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        let before = {
            let mut log = log.lock().unwrap();
            log.push(request.clone());
            log.len() - 1
        };
        let act = behaviour.lock().unwrap().clone();
        let Some(answer) = act(&request, before) else { return };
        if writer.write_all(&answer).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Arrived> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut parts = line.split(' ');
    let (method, path) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, value)| value.parse().unwrap_or(0));
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Arrived { method, path, headers, body: String::from_utf8_lossy(&body).into_owned() })
}
