//! `file.changed` over real folders.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::daemon::Daemon;
use crate::support::{eventually, http};

const TOML: &str = "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n";
const FLOW: &str = r#"flow inbox
  when file.changed(path: "in/*.csv")
  do log("file {path} {kind} {size else 0} {text else "?"}")
"#;

fn lines(daemon: &Daemon) -> Vec<String> {
    let log = daemon.log();
    let mut lines: Vec<String> =
        log.lines().filter_map(|line| Some(line.split_once("INFO file ")?.1.split(" flow=").next()?.to_owned())).collect();
    lines.sort();
    lines
}

fn has_lines(daemon: &Daemon, wanted: &[&str]) {
    eventually(&format!("{wanted:?}"), || (lines(daemon) == wanted).then_some(()));
}

fn looked_at(daemon: &Daemon) {
    eventually("it is looked at first", || daemon.log().contains("a folder is looked at first").then_some(()));
}

fn is_broken(daemon: &Daemon, broken: bool) {
    let seen = || daemon.get("status")["broken"].as_array().is_some_and(|files| files.is_empty() != broken);
    eventually("a reload", || seen().then_some(()));
}

#[test]
fn files_are_told_once_when_they_have_settled_also_what_changed_during_a_downtime() {
    let mut daemon = Daemon::start(&[("flow.toml", TOML), ("main.flow", FLOW), ("in/old.csv", "old"), ("in/gone.csv", "x")]);
    looked_at(&daemon);
    let at = |name: &str| daemon.path().join("in").join(name);
    fs::write(at("a.csv"), "one").unwrap();
    fs::write(at("b.txt"), "not meant").unwrap();
    fs::write(at(".hidden.csv"), "not meant").unwrap();
    std::os::unix::fs::symlink("/etc/hostname", at("link.csv")).unwrap();
    // By another name first, as careful writers do.
    fs::write(at("c.tmp"), "renamed").unwrap();
    fs::rename(at("c.tmp"), at("c.csv")).unwrap();
    fs::remove_file(at("gone.csv")).unwrap();
    let first = ["in/a.csv created 3 one", "in/c.csv created 7 renamed", "in/gone.csv deleted 0 ?"];
    has_lines(&daemon, &first);
    // A line whose run was cut off behind it would be written again.
    daemon.settled(3);
    daemon.kill();
    let at = |name: &str| daemon.path().join("in").join(name);
    fs::write(at("a.csv"), "another").unwrap();
    fs::write(at("d.csv"), [0xff, 0xfe]).unwrap();
    fs::remove_file(at("c.csv")).unwrap();
    daemon.launch();
    let all = [
        "in/a.csv changed 7 another",
        "in/a.csv created 3 one",
        "in/c.csv created 7 renamed",
        "in/c.csv deleted 0 ?",
        "in/d.csv created 2 ?",
        "in/gone.csv deleted 0 ?",
    ];
    has_lines(&daemon, &all);
    daemon.settled(6);
    daemon.kill();
    daemon.launch();
    fs::write(daemon.path().join("in/e.csv"), "e").unwrap();
    eventually("the next one", || (lines(&daemon).len() == 7).then_some(()));
}

/// A flow that is broken for the moment stays at its last sound version, and so does what it listens to.
#[test]
fn files_that_come_while_the_flow_has_a_slip_are_told() {
    // A line in flow.toml for another connection, and none for files.
    let daemon =
        Daemon::start(&[("flow.toml", &format!("{TOML}[connections.slack]\n")), ("main.flow", FLOW), ("in/old.csv", "old")]);
    looked_at(&daemon);
    fs::write(daemon.path().join("main.flow"), FLOW.replace("when", "whem")).unwrap();
    is_broken(&daemon, true);
    fs::write(daemon.path().join("in/a.csv"), "one").unwrap();
    has_lines(&daemon, &["in/a.csv created 3 one"]);
    fs::write(daemon.path().join("main.flow"), FLOW).unwrap();
    is_broken(&daemon, false);
    fs::write(daemon.path().join("in/b.csv"), "two").unwrap();
    has_lines(&daemon, &["in/a.csv created 3 one", "in/b.csv created 3 two"]);
}

/// So does what comes by the webhooks of a connector of one's own, whose file has the slip.
#[test]
fn a_webhook_of_a_connector_that_has_a_slip_is_taken() {
    let connector = r#"connector lib "Lib" {
  secret hook
  base "https://lib.example"
  record Ev { id: id<Ev> @key }
  source events { webhook verify token(header: "X-T", secret: hook) type "type" id "id" object "o" }
  trigger ev: Ev from events "ev"
}
"#;
    let toml = format!("{TOML}[connections.lib]\nhook = {{ file = \"hook\" }}\n");
    let flow = "flow it\n  when lib.ev\n  do log(\"file {id}\")\n";
    let daemon = Daemon::start(&[
        ("flow.toml", &toml),
        ("lib.flow", connector),
        ("main.flow", flow),
        ("hook", "a_token_of_the_test_0123"),
    ]);
    fs::write(daemon.path().join("lib.flow"), connector.replace("record Ev", "recrd Ev")).unwrap();
    is_broken(&daemon, true);
    let body = br#"{"type":"ev","id":"e1","o":{"id":"x1"}}"#;
    let answer = http::send(&daemon.server, "POST", "/v1/webhooks/lib", &[("x-t", "a_token_of_the_test_0123")], body);
    assert_eq!(answer.status, 200, "{}", answer.body);
    has_lines(&daemon, &["x1"]);
}

#[test]
fn a_file_that_is_still_written_waits_and_a_folder_may_come_later() {
    let flow = FLOW.replace("in/*.csv", "later/**/*.log");
    let toml = format!("{TOML}[connections.file]\npoll = \"1s\"\n[connections.log]\n");
    let daemon = Daemon::start(&[("flow.toml", &toml), ("main.flow", &flow)]);
    eventually("there is no folder", || daemon.log().contains("there is no folder").then_some(()));
    fs::create_dir_all(daemon.path().join("later/x/y")).unwrap();
    looked_at(&daemon);
    // It grows for longer than a file has to be the same, and is told as it is in the end. One that the machine did not let us write
    // for so long may have been told, rightly: then another one is tried.
    let steadily = |path: &std::path::Path| {
        let mut last = Instant::now();
        (1..=8).all(|round| {
            let before = std::mem::replace(&mut last, Instant::now());
            fs::write(path, "x".repeat(round)).unwrap();
            let steadily = before.elapsed() < Duration::from_millis(900);
            std::thread::sleep(Duration::from_millis(300));
            steadily
        })
    };
    let name = (0..50).map(|number| format!("later/x/y/grows{number}.log")).find(|name| steadily(&daemon.path().join(name)));
    let name = name.expect("one is written without a pause");
    let of_it = || lines(&daemon).into_iter().filter(|line| line.starts_with(&name)).collect::<Vec<_>>();
    eventually("it is told", || (!of_it().is_empty()).then_some(()));
    assert_eq!(of_it(), [format!("{name} created 8 xxxxxxxx")]);
}

/// The time of a file is what its writer says.
#[test]
fn a_file_of_the_same_size_and_time_is_told_by_its_content_and_other_rights_are_no_change() {
    use std::os::unix::fs::PermissionsExt;
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    let set_back = |path: &std::path::Path| fs::File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
    let large = |text: &str| format!("{}{text}", "x".repeat(100_000));
    let mut daemon = Daemon::start(&[
        ("flow.toml", TOML),
        ("main.flow", FLOW),
        ("in/a.csv", "one"),
        ("in/b.csv", "one"),
        ("in/large.csv", &large("one")),
    ]);
    looked_at(&daemon);
    let at = |daemon: &Daemon, name: &str| daemon.path().join("in").join(name);
    for name in ["a.csv", "b.csv", "large.csv"] {
        set_back(&at(&daemon, name));
    }
    let first = ["in/a.csv changed 3 one", "in/b.csv changed 3 one", "in/large.csv changed 100003 ?"];
    has_lines(&daemon, &first);
    fs::write(at(&daemon, "a.csv"), "two").unwrap();
    fs::write(at(&daemon, "large.csv"), large("two")).unwrap();
    for name in ["a.csv", "large.csv"] {
        set_back(&at(&daemon, name));
    }
    fs::set_permissions(at(&daemon, "b.csv"), fs::Permissions::from_mode(0o600)).unwrap();
    let mut wanted = [&first[..], &["in/a.csv changed 3 two", "in/large.csv changed 100003 ?"]].concat();
    wanted.sort();
    has_lines(&daemon, &wanted);
    daemon.settled(5);
    // Another file under its name, while nobody looks.
    daemon.kill();
    fs::write(at(&daemon, "b.tmp"), "new").unwrap();
    set_back(&at(&daemon, "b.tmp"));
    fs::rename(at(&daemon, "b.tmp"), at(&daemon, "b.csv")).unwrap();
    fs::set_permissions(at(&daemon, "a.csv"), fs::Permissions::from_mode(0o640)).unwrap();
    daemon.launch();
    wanted.push("in/b.csv changed 3 new");
    wanted.sort();
    has_lines(&daemon, &wanted);
    // Nothing else has come behind it.
    fs::write(at(&daemon, "last.csv"), "z").unwrap();
    wanted.push("in/last.csv created 1 z");
    wanted.sort();
    has_lines(&daemon, &wanted);
}

/// A folder that comes with files in it, goes, and comes again.
#[test]
fn what_is_in_a_folder_that_was_not_there_is_new() {
    let daemon = Daemon::start(&[
        ("flow.toml", &format!("{TOML}[connections.file]\npoll = \"1s\"\n[connections.log]\n")),
        ("main.flow", FLOW),
    ]);
    looked_at(&daemon);
    let folder = daemon.path().join("in");
    fs::create_dir(daemon.path().join("other")).unwrap();
    fs::write(daemon.path().join("other/a.csv"), "one").unwrap();
    fs::rename(daemon.path().join("other"), &folder).unwrap();
    has_lines(&daemon, &["in/a.csv created 3 one"]);
    fs::remove_dir_all(&folder).unwrap();
    eventually("it is said", || daemon.tell(&["alarms"]).out.contains("there is no folder").then_some(()));
    fs::create_dir(&folder).unwrap();
    has_lines(&daemon, &["in/a.csv created 3 one", "in/a.csv deleted 0 ?"]);
    fs::write(folder.join("a.csv"), "again").unwrap();
    has_lines(&daemon, &["in/a.csv created 3 one", "in/a.csv created 5 again", "in/a.csv deleted 0 ?"]);
    eventually("all is well", || daemon.tell(&["alarms"]).out.contains("no alarms").then_some(()));
}

#[test]
fn names_that_are_no_text_are_said_and_stop_no_others() {
    use std::os::unix::ffi::OsStrExt;
    let toml = format!("{TOML}[connections.file]\npoll = \"1s\"\n[connections.log]\n");
    let daemon = Daemon::start(&[("flow.toml", &toml), ("main.flow", FLOW), ("in/old.csv", "x")]);
    looked_at(&daemon);
    let odd = daemon.path().join("in").join(std::ffi::OsStr::from_bytes(b"caf\xe9.csv"));
    fs::write(&odd, "x").unwrap();
    fs::write(daemon.path().join("in/b.csv"), "x").unwrap();
    has_lines(&daemon, &["in/b.csv created 1 x"]);
    eventually("it is said", || daemon.tell(&["alarms"]).out.contains("is no UTF-8").then_some(()));
    fs::remove_file(odd).unwrap();
    eventually("it is over", || daemon.tell(&["alarms"]).out.contains("no alarms").then_some(()));
}
