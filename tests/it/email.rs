//! `email.send` to a real server: aiosmtpd, with TLS from the start, after STARTTLS, and without.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::Value;

use crate::support::broker::{certificates, self_signed};
use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::program::flowd;

const SECRET: &str = "smtp-password-that-must-not-leak";

/// A Python that has aiosmtpd, in a folder of its own beside what is built. Where it cannot be had the tests say so; in CI it has to be.
fn python() -> Option<&'static PathBuf> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = PYTHON.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("aiosmtpd");
        let python = folder.join("bin/python");
        let works =
            || Command::new(&python).args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status().is_ok_and(|it| it.success());
        if works() {
            return Some(python);
        }
        let made = Command::new("python3").args(["-m", "venv"]).arg(&folder).status().is_ok_and(|it| it.success());
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "aiosmtpd"];
        // An index that is busy for a moment is asked again.
        let _ = made && (0..3).any(|_| Command::new(&python).args(pip).status().is_ok_and(|it| it.success()));
        works().then_some(python)
    });
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "CI has no aiosmtpd: it needs python3 with venv, and PyPI");
        eprintln!("NOT TESTED: aiosmtpd cannot be installed here");
    }
    found.as_ref()
}

/// A running mail server. It is killed when dropped.
struct Server {
    child: Child,
    port: u16,
    taken: Arc<Mutex<Vec<Value>>>,
    folder: tempfile::TempDir,
}

impl Server {
    fn start(mode: &str) -> Option<Self> {
        Self::start_with(mode, certificates)
    }

    /// Starts one with certificates of its own.
    fn start_with(mode: &str, certificates: impl Fn(&Path)) -> Option<Self> {
        let python = python()?;
        let folder = tempfile::tempdir().unwrap();
        certificates(folder.path());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/smtp_server.py");
        let mut child = Command::new(python)
            .arg("-W")
            .arg("ignore")
            .arg(script)
            .args([mode, folder.path().to_str().unwrap(), SECRET])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().unwrap().unwrap().parse().unwrap();
        let taken: Arc<Mutex<Vec<Value>>> = Arc::default();
        let into = Arc::clone(&taken);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                into.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        Some(Self { child, port, taken, folder })
    }

    /// The messages that it took over, when there are so many.
    fn taken(&self, count: usize) -> Vec<Value> {
        eventually("messages arrive", || {
            let taken = self.taken.lock().unwrap();
            (taken.len() >= count).then(|| taken.clone())
        })
    }

    /// A daemon that sends through it.
    fn daemon(&self, more: &str, flow: &str) -> Daemon {
        let toml = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.email]\nhost = \"localhost\"\nport = {}\nfrom = \"Flow Shop <flow@example.com>\"\n{more}[connections.orders]\nconnector = \"http\"\nverify = \"none\"\n",
            self.port
        );
        let ca = std::fs::read_to_string(self.folder.path().join("ca.pem")).unwrap();
        Daemon::start(&[("flow.toml", &toml), ("main.flow", flow), ("ca.pem", &ca), ("secret", SECRET), ("wrong", "another")])
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const WITH_LOGIN: &str = "username = \"ann\"\npassword = { file = \"secret\" }\nca_file = \"ca.pem\"\n";

/// One e-mail per request: whom it is for stands in the body.
const FLOW: &str = r#"flow mails
  when orders.received
  where body.to is present
  unverified
  do {
    let to = "{body.to}"
    email.send(to: to, subject: "Grüße {to}", text: "Hello\n.\nbye", html: "<p>Hello</p>", bcc: ["hidden@example.com"]) as sent
    log("sent {length(sent.accepted)} {length(sent.refused)}")
  }
"#;

fn order(daemon: &Daemon, to: &str) {
    let body = serde_json::json!({ "to": to }).to_string();
    let headers = [("content-type", "application/json")];
    let answer = crate::support::http::try_send(&daemon.server, "POST", "/v1/webhooks/orders", &headers, body.as_bytes());
    assert_eq!(answer.unwrap().status, 200);
}

fn header<'m>(message: &'m Value, name: &str) -> &'m str {
    let data = message["data"].as_str().unwrap();
    let line = data.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in\n{data}"))
}

#[test]
fn an_email_goes_out_after_starttls_with_all_that_it_needs() {
    let Some(server) = Server::start("starttls") else { return };
    let daemon = server.daemon(WITH_LOGIN, FLOW);
    order(&daemon, "ann@example.com");
    let runs = daemon.settled(1);
    assert_eq!(runs[0]["status"], "done", "{runs:?}");
    let message = &server.taken(1)[0];
    assert_eq!((&message["tls"], &message["login"]), (&Value::Bool(true), &Value::from("ann")));
    assert_eq!(message["to"], serde_json::json!(["ann@example.com", "hidden@example.com"]));
    assert_eq!(message["from"], "flow@example.com");
    assert_eq!(header(message, "From"), "\"Flow Shop\" <flow@example.com>");
    assert!(header(message, "Subject").starts_with("=?utf-8?B?"));
    let data = message["data"].as_str().unwrap();
    assert!(!data.contains("hidden@"), "{data}");
    assert!(data.contains("multipart/alternative") && data.contains("\r\n.\r\nbye"), "{data}");
    assert!(daemon.log().contains("sent 2 0"), "{}", daemon.log());
}

#[test]
fn tls_from_the_start_and_a_certificate_that_nobody_knows() {
    let Some(server) = Server::start("tls") else { return };
    let daemon = server.daemon(&format!("security = \"tls\"\n{WITH_LOGIN}"), FLOW);
    order(&daemon, "ann@example.com");
    assert_eq!(daemon.settled(1)[0]["status"], "done");
    assert_eq!(server.taken(1)[0]["tls"], true);
    // The same server to whoever does not know its authority.
    let daemon = server.daemon("security = \"tls\"\nusername = \"ann\"\npassword = { file = \"secret\" }\n", FLOW);
    order(&daemon, "ann@example.com");
    eventually("the certificate is refused", || {
        let runs = daemon.runs();
        let run = daemon.get(&format!("runs/{}", runs.first()?["id"].as_str()?)).to_string();
        (run.contains("TLS with localhost") && run.contains("name it with `ca_file`")).then_some(())
    });
    assert_eq!(server.taken.lock().unwrap().len(), 1);
}

#[test]
fn a_certificate_that_is_signed_by_itself_is_trusted_where_it_is_named() {
    for mode in ["tls", "starttls"] {
        let Some(server) = Server::start_with(mode, |folder| self_signed(folder, "localhost", None)) else { return };
        let daemon = server.daemon(&format!("security = \"{mode}\"\n{WITH_LOGIN}"), FLOW);
        order(&daemon, "ann@example.com");
        assert_eq!(daemon.settled(1)[0]["status"], "done", "{mode}");
        assert_eq!(server.taken(1)[0]["login"], "ann");
    }
}

#[test]
fn nothing_is_sent_without_tls_and_no_password_for_a_wrong_one() {
    let Some(server) = Server::start("plain") else { return };
    let daemon = server.daemon(WITH_LOGIN, FLOW);
    order(&daemon, "ann@example.com");
    let said = |daemon: &Daemon, wanted: &str| {
        eventually(wanted, || {
            let runs = daemon.runs();
            let run = daemon.get(&format!("runs/{}", runs.first()?["id"].as_str()?)).to_string();
            run.contains(wanted).then_some(())
        });
    };
    said(&daemon, "offers no STARTTLS");
    // To this machine it may go without, where flow.toml says so, and without a password.
    let check = server.daemon(&format!("security = \"none\"\n{WITH_LOGIN}"), FLOW);
    order(&check, "ann@example.com");
    said(&check, "inside of TLS alone");
    let plain = server.daemon("security = \"none\"\n", FLOW);
    order(&plain, "ann@example.com");
    assert_eq!(plain.settled(1)[0]["status"], "done");
    assert_eq!(server.taken(1).len(), 1);
    let Some(server) = Server::start("starttls") else { return };
    let daemon = server.daemon("username = \"ann\"\npassword = { file = \"wrong\" }\nca_file = \"ca.pem\"\n", FLOW);
    order(&daemon, "ann@example.com");
    said(&daemon, "refuses the user name or password");
    let told = flowd(daemon.path(), &["check-config", "--online"]);
    assert!(told.code == 1 && told.out.contains("SMTP localhost does not work: the credentials are refused"), "{told:?}");
    assert!(server.taken.lock().unwrap().is_empty());
    std::fs::write(daemon.path().join("wrong"), SECRET).unwrap();
    let told = flowd(daemon.path(), &["check-config", "--online"]);
    assert!(told.code == 0 && told.out.contains("SMTP localhost works"), "{told:?}");
}

#[test]
fn what_the_server_says_decides_whether_it_is_tried_again() {
    let Some(server) = Server::start("starttls") else { return };
    let daemon = server.daemon(WITH_LOGIN, FLOW);
    for to in ["later@example.com", "full@example.com", "drop-answer@example.com"] {
        order(&daemon, to);
    }
    let runs = daemon.settled(3);
    assert!(runs.iter().all(|run| run["status"] == "done"), "{runs:?}");
    let taken = server.taken(4);
    assert_eq!(taken.len(), 4, "{taken:?}");
    let twice: Vec<&Value> = taken.iter().filter(|message| message["to"][0] == "drop-answer@example.com").collect();
    assert_eq!(twice.len(), 2, "nobody knew what became of it");
    assert_eq!(header(twice[0], "Message-ID"), header(twice[1], "Message-ID"));
    let ids: std::collections::BTreeSet<&str> = taken.iter().map(|message| header(message, "Message-ID")).collect();
    assert_eq!(ids.len(), 3, "each e-mail has its own");
    // What is refused for good is not tried again; in part is not at all.
    order(&daemon, "spam@example.com");
    order(&daemon, "x\r\nBcc: y@example.com");
    order(&daemon, "never@example.com");
    let runs = daemon.settled(6);
    let dead = runs.iter().filter(|run| run["status"] == "dead").count();
    assert_eq!(dead, 2, "{runs:?}");
    assert!(daemon.log().contains("sent 1 1"), "the hidden one got it\n{}", daemon.log());
    assert_eq!(server.taken(5).len(), 5);
}

/// Nobody knows what became of a message behind which nothing was heard: it goes out again with the same Message-ID, and the run says so.
#[test]
fn killed_behind_the_message_it_is_sent_again_and_that_is_said() {
    let Some(server) = Server::start("starttls") else { return };
    let flow = FLOW.replace(", bcc: [\"hidden@example.com\"]", "");
    let mut daemon = server.daemon(WITH_LOGIN, &flow);
    order(&daemon, "silent@example.com");
    server.taken(1);
    daemon.kill();
    daemon.launch();
    let runs = daemon.settled(1);
    assert_eq!(runs[0]["status"], "done", "{runs:?}");
    let taken = server.taken(2);
    assert_eq!(header(&taken[0], "Message-ID"), header(&taken[1], "Message-ID"));
    let shown = daemon.tell(&["show", runs[0]["id"].as_str().unwrap()]);
    assert!(shown.code == 0 && shown.out.contains("attempt 2: "), "{shown:?}");
    // Later and then never; and cut off before anything was sent.
    for to in ["both@example.com", "gone@example.com"] {
        order(&daemon, to);
    }
    let runs = daemon.settled(3);
    let ends: Vec<&str> = runs.iter().map(|run| run["status"].as_str().unwrap()).collect();
    assert_eq!(ends.iter().filter(|status| **status == "dead").count(), 1, "{runs:?}");
    assert_eq!(server.taken(3).len(), 3, "what was cut off before it was sent came once");
}

/// Letters beyond ASCII in addresses, and lines of any length.
#[test]
fn any_text_arrives_as_it_is() {
    let Some(server) = Server::start("starttls") else { return };
    let long = "é".repeat(3000);
    let flow = format!(
        "flow mails\n  when orders.received\n  where body.to is present\n  unverified\n  do email.send(to: \"{{body.to}}\", subject: \"{}\", text: \".\\n..\\nFrom x\\n{long}\\n.\", attachments: [{{ name: \"ä.csv\", type: \"text/csv\", text: \"{long}\" }}])\n",
        "W".repeat(1200)
    );
    let daemon = server.daemon(WITH_LOGIN, &flow);
    order(&daemon, "Jürgen Groß <jürgen@bücher.example>");
    let runs = daemon.settled(1);
    assert_eq!(runs[0]["status"], "done", "{runs:?}");
    let message = &server.taken(1)[0];
    assert_eq!(message["to"], serde_json::json!(["jürgen@xn--bcher-kva.example"]));
    let data = message["data"].as_str().unwrap();
    assert!(data.split("\r\n").all(|line| line.len() <= 998), "a line is too long");
    assert!(data.contains("\r\n.\r\n..\r\nFrom x\r\n") || data.contains(".\r\n..\r\nFrom x\r\n"), "{data}");
    assert_eq!(data.replace("=\r\n", "").matches("=C3=A9").count(), 3000, "as quoted-printable; the attachment is base64");
}

#[test]
fn nothing_leaves_the_sandbox() {
    let toml = "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.email]\nhost = \"smtp.example.com\"\nfrom = \"a@example.com\"\n[connections.mqtt]\nhost = \"mqtt.example.com\"\n[connections.orders]\nconnector = \"http\"\nverify = \"none\"\n";
    let flow = "flow mails\n  when orders.received\n  where body.to is present\n  unverified\n  do {\n    email.send(to: \"{body.to}\", subject: \"s\", text: \"t\") as sent\n    mqtt.publish(topic: \"mail\", payload: sent.message_id)\n  }\n\nflow hears\n  when mqtt.message(topic: \"#\")\n  do log(\"x\")\n";
    let daemon = Daemon::start_with(&[("flow.toml", toml), ("main.flow", flow)], &["--sandbox"]);
    order(&daemon, "ann@example.com");
    assert_eq!(daemon.settled(1)[0]["status"], "done");
    let log = daemon.log();
    assert!(log.contains("simulated: an e-mail is not sent") && log.contains("simulated: a message is not published"), "{log}");
    assert!(!log.contains("listening"), "{log}");
}
