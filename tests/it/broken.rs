//! Services that answer anything but what their connectors say: each ends as a clear state of the run or the connection, and
//! nothing is done for what was not said.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::support::daemon::{Daemon, KUSTOMER_KEY};
use crate::support::{eventually, stripe};

/// A server that answers questions for a thing with these bytes, and takes every order.
struct Hostile {
    url: String,
    answer: Arc<Mutex<Vec<u8>>>,
    arrived: Arc<Mutex<Vec<String>>>,
}

impl Hostile {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (answer, arrived) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let (say, log) = (Arc::clone(&answer), Arc::clone(&arrived));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut buffer = vec![0; 65536];
                let length = stream.read(&mut buffer).unwrap_or(0);
                let line = String::from_utf8_lossy(&buffer[..length]).lines().next().unwrap_or_default().to_owned();
                let bytes = if line.starts_with("GET /things") { say.lock().unwrap().clone() } else { json("{\"id\":\"o_1\"}") };
                log.lock().unwrap().push(line);
                // Whoever has enough of it goes.
                let _ = stream.write_all(&bytes);
            }
        });
        Self { url, answer, arrived }
    }

    fn count(&self, beginning: &str) -> usize {
        self.arrived.lock().unwrap().iter().filter(|line| line.starts_with(beginning)).count()
    }
}

fn answer(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).into_bytes()
}

fn json(body: &str) -> Vec<u8> {
    answer("200 OK\r\nContent-Type: application/json", body)
}

const ACME: &str = r#"connector acme "Acme" {
  secret key
  base "https://acme.example"
  auth bearer(key)
  error text "error.message"
  record Thing {
    id: id<Thing> @key
    total: money minor from (total, currency)
    count: int
    state: open | closed | other
  }
  query thing(id: text) -> Thing? { GET "/things/{id}" none on 404 }
  query listed(id: text) -> Thing? { GET "/things" query { id } at "data" first }
  query inside(id: text) -> Thing? { GET "/things/{id}" at "data" }
  action order(note: text) -> { id: text } { POST "/orders" json { note } effect once }
}

flow asks
when stripe.charge_failed do {
  let found = acme.QUERY(id: id)
  if found is present { stop because "known: {found.count}" }
  acme.order(note: "nobody had it")
}
"#;

/// A daemon whose flow orders something where a query finds nothing.
fn daemon(hostile: &Hostile, query: &str) -> Daemon {
    let toml = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.stripe]\nwebhook_secret = {{ env = \"TEST_WEBHOOK_SECRET\" }}\n[connections.acme]\nkey = {{ env = \"TEST_KUSTOMER_KEY\" }}\nbase_url = \"{}\"\n",
        hostile.url
    );
    Daemon::start(&[("flow.toml", &toml), ("a.flow", &ACME.replace("QUERY", query))])
}

/// Lets an event come and returns its run, once it has ended, or where it `goes_on` made an attempt.
fn run(daemon: &Daemon, at: usize, goes_on: bool) -> Value {
    let before = daemon.runs().len();
    let event = stripe::charge_failed(&format!("broken_{at}"), 25_000, "usd", None).to_string();
    assert_eq!(stripe::post(&daemon.server, &event).status, 200);
    eventually("the run gets an answer", || {
        let runs = daemon.runs();
        let run =
            runs.iter().find(|run| runs.len() > before && run["event"].to_string().contains(&format!("evt_broken_{at}\"")))?;
        let whole = daemon.get(&format!("runs/{}", run["id"].as_str()?));
        let tried = whole["steps"][0]["attempts"].as_array().is_some_and(|tries| tries.iter().any(|one| !one["error"].is_null()));
        (goes_on && tried || !matches!(whole["status"].as_str(), Some("running" | "waiting"))).then_some(whole)
    })
}

#[test]
fn what_is_no_answer_is_no_reason_to_act() {
    let hostile = Hostile::start();
    let thing =
        |from: &str, to: &str| json(&r#"{"id":"t_1","total":100,"currency":"usd","count":1,"state":"open"}"#.replace(from, to));
    let other = Hostile::start();
    let dead = "dead";
    let cases: Vec<(&str, &str, Vec<u8>)> = vec![
        ("HTML", dead, answer("200 OK\r\nContent-Type: text/html", "<html>We will be back soon</html>")),
        ("an empty body", dead, answer("200 OK", "")),
        ("no content", dead, b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n".to_vec()),
        ("null", dead, json("null")),
        ("a list", dead, json("[]")),
        ("truncated JSON", dead, json("{\"id\":\"t_1\",\"tot")),
        ("a redirect", dead, answer(&format!("302 Found\r\nLocation: {}/things/x", other.url), "")),
        ("a field of another type", dead, thing("\"count\":1", "\"count\":\"many\"")),
        ("an unknown currency", dead, thing("usd", "quatloo")),
        ("null for a required field", dead, thing("\"count\":1", "\"count\":null")),
        ("an error in a success", dead, json(r#"{"error":{"message":"no such account"}}"#)),
        ("10 MB", "", answer("200 OK", &" ".repeat(10 * 1024 * 1024))),
        ("an answer cut short", "", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\nConnection: close\r\n\r\n{\"id\":".to_vec()),
        ("a new value of an open enum", "stopped", thing("open", "archived")),
        ("another thing", "stopped", thing("t_1", "t_2")),
    ];
    let daemon = daemon(&hostile, "thing");
    for (at, (name, status, bytes)) in cases.into_iter().enumerate() {
        *hostile.answer.lock().unwrap() = bytes;
        let run = run(&daemon, at, status.is_empty());
        let found = run["status"].as_str().unwrap();
        if status.is_empty() {
            assert!(matches!(found, "running" | "waiting" | "parked"), "{name}: {run:#}");
        } else {
            assert_eq!(found, status, "{name}: {run:#}");
        }
        assert_eq!(hostile.count("POST"), 0, "{name}");
        if found != "stopped" {
            assert!(!run["steps"][0]["attempts"][0]["error"].is_null(), "{name} has a reason: {run:#}");
        }
    }
    assert!(other.arrived.lock().unwrap().is_empty(), "nobody followed the redirect");
    // What the connector calls "none" is none. The runs that go on trying find that too.
    *hostile.answer.lock().unwrap() = answer("404 Not Found", "{}");
    run(&daemon, 100, false);
    eventually("the order comes", || (hostile.count("POST") > 0).then_some(()));
}

#[test]
fn a_place_that_is_not_there_is_told_from_an_answer_that_is_none() {
    for (query, refused, none) in [
        ("listed", &["", "[]", "{}", "{\"data\":null}", "{\"data\":{}}"][..], "{\"data\":[]}"),
        ("inside", &["", "[]", "\"data\"", "{\"error\":{\"message\":\"over quota\"}}"], "{\"data\":null}"),
    ] {
        let hostile = Hostile::start();
        let daemon = daemon(&hostile, query);
        for (at, body) in refused.iter().enumerate() {
            *hostile.answer.lock().unwrap() = json(body);
            let run = run(&daemon, at, false);
            assert_eq!((&run["status"], hostile.count("POST")), (&Value::from("dead"), 0), "{query} {body}: {run:#}");
        }
        *hostile.answer.lock().unwrap() = json(none);
        run(&daemon, 50, false);
        eventually("there is none", || (hostile.count("POST") == 1).then_some(()));
    }
}

#[test]
fn a_key_that_is_revoked_on_the_way_parks_the_run_and_is_said_of_the_connection() {
    let hostile = Hostile::start();
    let daemon = daemon(&hostile, "thing");
    *hostile.answer.lock().unwrap() = answer("401 Unauthorized", r#"{"error":{"message":"key revoked"}}"#);
    let event = stripe::charge_failed("revoked", 25_000, "usd", None).to_string();
    assert_eq!(stripe::post(&daemon.server, &event).status, 200);
    eventually("the run is parked", || (daemon.runs().first()?["status"] == "parked").then_some(()));
    let told = daemon.tell(&["status"]);
    assert!(told.out.contains("connection acme (acme): broken since") && told.out.contains("key revoked"), "{told:?}");
    assert!(hostile.count("POST") == 0 && !told.out.contains(KUSTOMER_KEY));
}
