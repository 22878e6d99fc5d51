//! Files change under a running daemon.

use std::time::{Duration, Instant};

use crate::support::daemon::{Daemon, ONE_LINER, toml};
use crate::support::program::{flowd_with, project};
use crate::support::recorder::Recorder;
use crate::support::{eventually, stripe};

fn flow_names(daemon: &Daemon) -> Vec<String> {
    let flows = daemon.get("flows");
    let mut names: Vec<String> =
        flows["flows"].as_array().unwrap().iter().map(|flow| flow["name"].as_str().unwrap_or("unnamed").to_owned()).collect();
    names.sort();
    names
}

fn named(name: &str, limit: u32) -> String {
    format!("flow {name}\n  when stripe.charge_failed\n  where amount > {limit}\n  do kustomer.create_conversation\n")
}

fn becomes(daemon: &Daemon, names: &[&str]) {
    eventually(&format!("{names:?} live"), || (flow_names(daemon) == names).then_some(()));
}

#[test]
fn a_saved_file_goes_live_and_a_broken_one_keeps_the_last_sound_version() {
    let server = Recorder::kustomer();
    let daemon = Daemon::start(&[("flow.toml", &toml(&server.url)), ("a.flow", &named("a", 100))]);
    becomes(&daemon, &["a"]);
    let path = daemon.path().join("a.flow");

    std::fs::write(&path, "flow a when stripe.charge_failed where amuont > 5 do kustomer.create_conversation\n").unwrap();
    let status = eventually("the broken file is reported", || {
        Some(daemon.ask(&["status"])).filter(|status| status["broken"].as_array().is_some_and(|broken| !broken.is_empty()))
    });
    assert!(status["broken"][0]["report"].as_str().unwrap().contains("amuont"), "{status:#}");
    stripe::post(&daemon.server, &stripe::charge_failed("1", 5_000, "usd", Some("a@example.com")).to_string());
    assert_eq!(daemon.runs().len(), 0, "the sound version asks for more than 100");

    std::fs::write(&path, named("a", 5)).unwrap();
    eventually("the mended version is live", || {
        let status = daemon.ask(&["status"]);
        status["broken"].as_array().is_some_and(Vec::is_empty).then_some(())
    });
    stripe::post(&daemon.server, &stripe::charge_failed("2", 5_000, "usd", Some("a@example.com")).to_string());
    assert_eq!(daemon.settled(1).len(), 1);
}

#[test]
fn files_come_go_and_are_replaced_by_rename() {
    let daemon = Daemon::start(&[("flow.toml", &toml("http://127.0.0.1:9")), ("a.flow", &named("a", 100))]);
    // Two at once, one in a new folder.
    std::fs::create_dir(daemon.path().join("more")).unwrap();
    std::fs::write(daemon.path().join("more/c.flow"), named("c", 1)).unwrap();
    std::fs::write(daemon.path().join("b.flow"), named("b", 1)).unwrap();
    becomes(&daemon, &["a", "b", "c"]);
    // As vim and others save: beside, then rename.
    std::fs::write(daemon.path().join("b.flow~"), named("bb", 1)).unwrap();
    std::fs::rename(daemon.path().join("b.flow~"), daemon.path().join("b.flow")).unwrap();
    becomes(&daemon, &["a", "bb", "c"]);
    std::fs::remove_file(daemon.path().join("a.flow")).unwrap();
    becomes(&daemon, &["bb", "c"]);
    std::fs::remove_dir_all(daemon.path().join("more")).unwrap();
    becomes(&daemon, &["bb"]);
}

#[test]
fn a_run_in_flight_ends_under_its_own_plan() {
    let gate = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let open = gate.clone();
    let server = Recorder::start(move |request, _| {
        while !open.load(std::sync::atomic::Ordering::SeqCst) {
            std::thread::yield_now();
        }
        Some(crate::support::recorder::kustomer(request))
    });
    let daemon = Daemon::start(&[("flow.toml", &toml(&server.url)), ("a.flow", &named("a", 100))]);
    stripe::post(&daemon.server, &stripe::charge_failed("1", 20_000, "usd", Some("a@example.com")).to_string());
    eventually("the first request", || (!server.arrived().is_empty()).then_some(()));
    let before = daemon.runs()[0]["plan"].clone();
    std::fs::write(
        daemon.path().join("a.flow"),
        named("a", 100).replace("create_conversation", "create_conversation(name: \"edited\")"),
    )
    .unwrap();
    eventually("the edit is live", || {
        let flows = daemon.get("flows");
        (flows["flows"][0]["hash"] != before).then_some(())
    });
    gate.store(true, std::sync::atomic::Ordering::SeqCst);
    let run = daemon.settled(1)[0].clone();
    assert_eq!((&run["plan"], run["status"].as_str()), (&before, Some("done")));
    let name = server.arrived().iter().find(|one| one.line() == "POST /v1/conversations").unwrap().json()["name"].clone();
    assert_eq!(name, "Charge of 200.00 USD failed for a@example.com");
}

#[test]
fn no_event_is_lost_or_run_twice_while_flows_are_edited() {
    let server = Recorder::kustomer();
    let daemon = Daemon::start(&[("flow.toml", &toml(&server.url)), ("a.flow", ONE_LINER)]);
    let path = daemon.path().join("a.flow");
    std::fs::write(&path, named("steady", 100)).unwrap();
    becomes(&daemon, &["steady"]);
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            for at in 0..120 {
                let body = stripe::charge_failed(&format!("e{at}"), 20_000, "usd", Some("a@example.com")).to_string();
                assert_eq!(stripe::post(&daemon.server, &body).status, 200);
            }
        });
        let mut edition = 0;
        while !sender.is_finished() {
            edition += 1;
            let text = match edition % 3 {
                0 => "flow steady when stripe.charge_failed do kustomer.no_such_action\n".to_owned(),
                1 => named("steady", 100).replace("create_conversation", "create_conversation(priority: 2)"),
                _ => named("steady", 100),
            };
            std::fs::write(&path, text).unwrap();
            std::thread::yield_now();
        }
    });
    let runs = daemon.settled(120);
    let mut events: Vec<&str> = runs.iter().map(|run| run["event"].as_str().unwrap()).collect();
    events.sort_unstable();
    events.dedup();
    assert_eq!((runs.len(), events.len()), (120, 120));
    assert!(runs.iter().all(|run| run["status"] == "done"));
}

#[test]
fn sighup_reloads_and_a_broken_flow_toml_changes_nothing() {
    let daemon = Daemon::start(&[("flow.toml", &toml("http://127.0.0.1:9")), ("a.flow", &named("a", 100))]);
    std::fs::write(daemon.path().join("flow.toml"), "[conections.stripe]\n").unwrap();
    daemon.hang_up();
    eventually("the report", || {
        let status = daemon.ask(&["status"]);
        status["broken"].as_array().is_some_and(|broken| broken.iter().any(|one| one["file"] == "flow.toml")).then_some(())
    });
    becomes(&daemon, &["a"]);
}

/// Nothing goes live then, and whoever asks hears why.
#[test]
fn a_connection_that_came_without_its_secret_is_told_in_the_status() {
    let before = toml("http://127.0.0.1:9");
    let daemon = Daemon::start(&[("flow.toml", &before), ("a.flow", &named("a", 100))]);
    let file = daemon.path().join("flow.toml");
    std::fs::write(&file, format!("{before}[connections.customerio]\n")).unwrap();
    std::fs::write(daemon.path().join("b.flow"), "flow b\n  when customerio.email_bounced\n  do log(\"b\")\n").unwrap();
    daemon.hang_up();
    let told =
        eventually("it is told", || Some(daemon.tell(&["status"])).filter(|told| told.out.contains("flow.toml cannot go live")));
    assert!(told.out.contains("webhook_signing_key") && told.out.contains("-> flowd check-config"), "{told:?}");
    becomes(&daemon, &["a"]);
    std::fs::write(&file, &before).unwrap();
    std::fs::remove_file(daemon.path().join("b.flow")).unwrap();
    daemon.hang_up();
    eventually("all is well", || (!daemon.tell(&["status"]).out.contains("cannot go live")).then_some(()));
}

#[test]
fn a_name_that_is_taken_stays_with_the_flow_that_has_it() {
    let server = Recorder::kustomer();
    let daemon = Daemon::start(&[("flow.toml", &toml(&server.url)), ("m.flow", &named("a", 100))]);
    becomes(&daemon, &["a"]);
    let hash = daemon.get("flows")["flows"][0]["hash"].clone();
    // Before and behind the first in the order of files.
    for newcomer in ["b.flow", "z.flow"] {
        std::fs::write(daemon.path().join(newcomer), named("a", 1)).unwrap();
        let status = eventually("the newcomer is reported", || {
            Some(daemon.ask(&["status"])).filter(|status| {
                status["broken"].as_array().is_some_and(|broken| broken.iter().any(|one| one["file"] == newcomer))
            })
        });
        assert!(status["broken"].to_string().contains("E202"), "{status:#}");
        let flows = daemon.get("flows");
        assert_eq!(
            (flows["flows"].as_array().unwrap().len(), &flows["flows"][0]["hash"], flows["flows"][0]["file"].as_str()),
            (1, &hash, Some("m.flow"))
        );
        std::fs::remove_file(daemon.path().join(newcomer)).unwrap();
        eventually("the report goes with the file", || {
            daemon.ask(&["status"])["broken"].as_array().is_some_and(Vec::is_empty).then_some(())
        });
    }
}

#[test]
fn a_link_out_of_the_project_is_no_part_of_it() {
    let outside = crate::support::program::project(&[("secret.txt", "root:x:0:0\n")]);
    let daemon = Daemon::start(&[("flow.toml", &toml("http://127.0.0.1:9")), ("a.flow", &named("a", 100))]);
    std::os::unix::fs::symlink(outside.path().join("secret.txt"), daemon.path().join("l.flow")).unwrap();
    std::fs::write(daemon.path().join("b.flow"), named("b", 1)).unwrap();
    becomes(&daemon, &["a", "b"]);
    assert!(!daemon.ask(&["status"]).to_string().contains("root:x"), "the text of a file outside is shown");
}

#[test]
fn a_log_that_nobody_reads_harms_nothing() {
    let server = Recorder::kustomer();
    let mut daemon = Daemon::start(&[("flow.toml", &toml(&server.url)), ("a.flow", &named("a", 100))]);
    daemon.relaunch_with_closed_log();
    stripe::post(&daemon.server, &stripe::charge_failed("1", 20_000, "usd", None).to_string());
    stripe::post(&daemon.server, &stripe::charge_failed("2", 20_000, "usd", Some("a@example.com")).to_string());
    std::fs::write(daemon.path().join("a.flow"), named("b", 100)).unwrap();
    becomes(&daemon, &["b"]);
    let mut ends: Vec<String> = daemon.settled(2).iter().map(|run| run["status"].as_str().unwrap().to_owned()).collect();
    ends.sort();
    assert_eq!(ends, ["dead", "done"]);
}

#[test]
fn a_restart_in_the_middle_of_an_edit_goes_on_with_the_last_sound_version() {
    let server = Recorder::kustomer();
    let mut daemon = Daemon::start(&[("flow.toml", &toml(&server.url)), ("a.flow", &named("a", 100))]);
    becomes(&daemon, &["a"]);
    std::fs::write(daemon.path().join("a.flow"), "flow a when stripe.charge_failed where amuont > 1 do kustomer").unwrap();
    eventually("the broken file is reported", || {
        daemon.ask(&["status"])["broken"].as_array().is_some_and(|broken| !broken.is_empty()).then_some(())
    });
    daemon.kill();
    daemon.launch();
    becomes(&daemon, &["a"]);
    assert!(daemon.ask(&["status"])["broken"].to_string().contains("a.flow"));
    stripe::post(&daemon.server, &stripe::charge_failed("1", 20_000, "usd", Some("a@example.com")).to_string());
    assert_eq!(daemon.settled(1)[0]["status"], "done");
    std::fs::write(daemon.path().join("a.flow"), named("mended", 100)).unwrap();
    becomes(&daemon, &["mended"]);
    assert!(daemon.ask(&["status"])["broken"].as_array().is_some_and(Vec::is_empty));
}

/// Whatever was saved before the lights went out: the daemon that comes up goes on as the one before would have.
#[test]
fn a_restart_goes_on_where_the_daemon_was_whatever_file_is_broken() {
    let server = Recorder::kustomer();
    let connector = "connector acme {\n  base \"http://127.0.0.1:9\"\n\n  ## Pings.\n  action ping() {\n    PUT \"/ping\"\n    effect set\n  }\n}\n";
    let settings = toml(&server.url).replace("[server]\n", "[store]\npath = \".flow\"\n[server]\n") + "\n[connections.acme]\n";
    let own = "flow own when stripe.checkout_completed do acme.ping\n";
    let files = [("flow.toml", &*settings), ("a.flow", &named("a", 100)), ("own.flow", own), ("acme.flow", connector)];
    let mut daemon = Daemon::start(&files);
    becomes(&daemon, &["a", "own"]);
    let broken_is_told = |daemon: &Daemon, file: &str| {
        eventually("the broken file is reported", || {
            let status = daemon.ask(&["status"]);
            status["broken"].as_array().is_some_and(|broken| broken.iter().any(|one| one["file"] == file)).then_some(())
        });
    };
    let missing = format!("{settings}\n[connections.ntfy]\ntoken = {{ env = \"NOT_SET_ANYWHERE\" }}\n");
    let mut sent = 0;
    for (file, text, told) in [
        ("a.flow", "flow a when when", "a.flow"),
        ("acme.flow", "connector acme {", "acme.flow"),
        // Gone: what needs it is reported.
        ("acme.flow", "", "own.flow"),
        ("new.flow", "when stripe.charge_failed where", "new.flow"),
        ("new.flow", "flow a\nwhen stripe.checkout_completed\ndo stop\n", "new.flow"),
        ("flow.toml", "[store]\npath = \".flow\"\n[server\n", "flow.toml"),
        ("flow.toml", &settings.replace("[connections.acme]\n", "[connections.acme]\nbase = 1\n"), "flow.toml"),
        ("flow.toml", &(missing + "# and a flow that needs it\n"), "flow.toml"),
    ] {
        let needs_it = text.contains("NOT_SET_ANYWHERE");
        if needs_it {
            std::fs::write(
                daemon.path().join("new.flow"),
                "when stripe.charge_failed do ntfy.publish(topic: \"t\", message: \"m\")\n",
            )
            .unwrap();
        }
        if text.is_empty() {
            std::fs::remove_file(daemon.path().join(file)).unwrap();
        } else {
            std::fs::write(daemon.path().join(file), text).unwrap();
        }
        broken_is_told(&daemon, told);
        daemon.kill();
        daemon.launch();
        becomes(&daemon, &["a", "own"]);
        broken_is_told(&daemon, told);
        sent += 1;
        stripe::post(&daemon.server, &stripe::charge_failed(&sent.to_string(), 20_000, "usd", Some("a@example.com")).to_string());
        assert_eq!(daemon.settled(sent).iter().filter(|run| run["status"] == "done").count(), sent, "{file}: {text}");
        for (name, text) in files {
            std::fs::write(daemon.path().join(name), text).unwrap();
        }
        if daemon.path().join("new.flow").exists() {
            std::fs::remove_file(daemon.path().join("new.flow")).unwrap();
        }
        eventually("everything is sound again", || {
            daemon.ask(&["status"])["broken"].as_array().is_some_and(Vec::is_empty).then_some(())
        });
    }
}

/// Who asks what is wrong is told where the store is by what can still be read.
#[test]
fn a_broken_flow_toml_still_says_where_the_store_is() {
    let folder = project(&[("flow.toml", "[store]\npath = \"elsewhere\"\n[server\nlisten = 1\n"), ("a.flow", "")]);
    let outcome = flowd_with(folder.path(), &["status"], b"");
    assert!(outcome.code == 2 && outcome.err.contains("elsewhere/admin.sock"), "{outcome:?}");
}

/// A secret that is written out in flow.toml is kept in flow.toml alone.
#[test]
fn what_is_kept_for_the_next_start_has_no_secret_of_flow_toml() {
    let literal = "kus_written_out";
    let settings = toml("http://127.0.0.1:9").replace("{ env = \"TEST_KUSTOMER_KEY\" }", &format!("\"{literal}\""));
    let daemon = Daemon::start_with(&[("flow.toml", &settings), ("a.flow", &named("a", 100))], &["--allow-literal-secrets"]);
    let kept = eventually("what is sound is kept", || std::fs::read_to_string(daemon.path().join(".flow/sound.json")).ok());
    assert!(kept.contains("a.flow") && !kept.contains(literal), "{kept}");
}

#[test]
fn an_edit_by_which_flows_would_start_each_other_for_ever_does_not_go_live() {
    let update = "when kustomer.conversation_created do kustomer.update_conversation(conversation: id, priority: 3)\n";
    let note = |name: &str| {
        format!("flow b when kustomer.conversation_updated do kustomer.{name}(customer: \"5f1\", name: \"Follow-up\")\n")
    };
    let harmless = "flow b when kustomer.conversation_updated do kustomer.add_note(conversation: id, text: \"changed\")\n";
    let daemon = Daemon::start(&[
        ("flow.toml", &toml("http://127.0.0.1:9")),
        ("a.flow", &format!("flow a {update}")),
        ("b.flow", harmless),
    ]);
    becomes(&daemon, &["a", "b"]);
    let before = daemon.get("flows");
    let path = daemon.path().join("b.flow");
    std::fs::write(&path, note("create_conversation")).unwrap();
    let status = eventually("the circle is reported", || {
        Some(daemon.ask(&["status"])).filter(|status| status["broken"].as_array().is_some_and(|broken| !broken.is_empty()))
    });
    assert_eq!(status["broken"][0]["file"], "b.flow", "{status:#}");
    assert!(status["broken"][0]["report"].as_str().unwrap().contains("E703"), "{status:#}");
    assert_eq!(daemon.get("flows")["flows"][1]["hash"], before["flows"][1]["hash"], "the flow of before goes on");

    std::fs::write(&path, harmless.replace("changed", "changed again")).unwrap();
    eventually("the mended version is live", || {
        let mended = daemon.ask(&["status"])["broken"].as_array().is_some_and(Vec::is_empty);
        (mended && daemon.get("flows")["flows"][1]["hash"] != before["flows"][1]["hash"]).then_some(())
    });
}

/// Empties a file, and waits until that is told while these flows are live. It is believed after five seconds: where the machine is
/// too slow to look in time, the file is as it was and emptied once more.
fn while_empty(daemon: &mut Daemon, file: &str, then: impl Fn(&mut Daemon), names: &[&str]) {
    let path = daemon.path().join(file);
    let (text, before) = (std::fs::read_to_string(&path).unwrap(), flow_names(daemon));
    for _ in 0..20 {
        let began = Instant::now();
        std::fs::write(&path, "").unwrap();
        then(daemon);
        while began.elapsed() < Duration::from_secs(5) {
            let status = daemon.ask(&["status"]);
            let mut broken = status["broken"].as_array().unwrap().iter();
            let told = broken.any(|one| one["file"] == file && one["message"].to_string().contains("was not before"));
            if told && flow_names(daemon) == names && began.elapsed() < Duration::from_secs(5) {
                return;
            }
        }
        std::fs::write(&path, &text).unwrap();
        eventually("it is as it was", || before.iter().all(|name| flow_names(daemon).contains(name)).then_some(()));
    }
    panic!("{file} is empty, and it is not told in time with {names:?} live: {:?}", flow_names(daemon));
}

#[test]
fn a_file_that_is_empty_for_a_moment_ends_no_flow_and_one_that_stays_empty_is_believed() {
    let mut daemon = Daemon::start(&[("flow.toml", &toml("http://127.0.0.1:9")), ("a.flow", &named("a", 100))]);
    let (a, b) = (daemon.path().join("a.flow"), daemon.path().join("b.flow"));
    // Somebody saves it in two steps, and takes his time; others are not held up by it.
    while_empty(&mut daemon, "a.flow", |_| std::fs::write(&b, named("b", 1)).unwrap(), &["a", "b"]);
    std::fs::write(&a, named("a", 100)).unwrap();
    eventually("nothing is told of it", || daemon.ask(&["status"])["broken"].as_array().is_some_and(Vec::is_empty).then_some(()));
    // A restart at that moment changes nothing about it.
    let restarts = |daemon: &mut Daemon| {
        daemon.kill();
        daemon.launch();
    };
    while_empty(&mut daemon, "a.flow", restarts, &["a", "b"]);
    std::fs::write(&a, named("aa", 100)).unwrap();
    becomes(&daemon, &["aa", "b"]);
    assert!(daemon.ask(&["status"])["broken"].as_array().is_some_and(Vec::is_empty));
    // The settings too.
    while_empty(&mut daemon, "flow.toml", |_| {}, &["aa", "b"]);
    std::fs::write(daemon.path().join("flow.toml"), toml("http://127.0.0.1:9")).unwrap();
    // This one is meant to be empty.
    while_empty(&mut daemon, "a.flow", |_| {}, &["aa", "b"]);
    becomes(&daemon, &["b"]);
    assert!(daemon.log().contains("the file is empty now: its flows end"), "{}", daemon.log());
    assert!(daemon.ask(&["status"])["broken"].as_array().is_some_and(Vec::is_empty));
}

#[test]
fn a_log_in_the_folder_of_the_project_causes_no_reload() {
    let mut daemon = Daemon::start(&[("flow.toml", &toml("http://127.0.0.1:9")), ("a.flow", &named("a", 100))]);
    daemon.terminate();
    // As `flowd run . 2> log` has it.
    std::fs::remove_file(daemon.path().join("flowd.log")).unwrap();
    std::os::unix::fs::symlink("log", daemon.path().join("flowd.log")).unwrap();
    daemon.launch();
    for number in 0..10 {
        let name = format!("b{number}");
        // Beside, then renamed: on a slow machine a file that is written in place is seen in several steps.
        std::fs::write(daemon.path().join("b.flow~"), named(&name, 1)).unwrap();
        std::fs::rename(daemon.path().join("b.flow~"), daemon.path().join("b.flow")).unwrap();
        becomes(&daemon, &["a", &name]);
    }
    let reloads = daemon.log().matches("reloaded flows=").count();
    assert!((1..=20).contains(&reloads), "{reloads} reloads for 10 edits, each of which may be seen in two steps");
}

#[test]
fn a_secret_in_a_file_of_the_project_is_read_again_when_it_changes() {
    let settings = toml("http://127.0.0.1:9").replace("{ env = \"TEST_WEBHOOK_SECRET\" }", "{ file = \"keys/stripe\" }");
    let files = [("flow.toml", &*settings), ("a.flow", &named("a", 100)), ("keys/stripe", "whsec_of_yesterday_01234567")];
    let daemon = Daemon::start(&files);
    let body = stripe::charge_failed("1", 20_000, "usd", None).to_string();
    assert_eq!(stripe::post(&daemon.server, &body).status, 401);
    std::fs::write(daemon.path().join("keys/stripe"), stripe::SECRET).unwrap();
    eventually("the new secret is in force", || (stripe::post(&daemon.server, &body).status == 200).then_some(()));
    std::fs::remove_file(daemon.path().join("keys/stripe")).unwrap();
}

#[test]
fn a_flow_toml_that_is_a_pipe_stops_nobody() {
    let mut daemon = Daemon::start(&[("flow.toml", &toml("http://127.0.0.1:9")), ("a.flow", &named("a", 100))]);
    let path = daemon.path().join("flow.toml");
    std::fs::rename(&path, daemon.path().join("kept")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    eventually("it is said", || daemon.ask(&["status"])["broken"].to_string().contains("it is no file").then_some(()));
    std::fs::remove_file(&path).unwrap();
    std::fs::rename(daemon.path().join("kept"), &path).unwrap();
    std::fs::write(daemon.path().join("b.flow"), named("b", 100)).unwrap();
    becomes(&daemon, &["a", "b"]);
    assert_eq!(daemon.terminate(), 0);
}

#[test]
fn a_secret_that_was_written_into_flow_toml_is_not_told_on() {
    const SECRET: &str = "sk_live_51HxWrittenByMistake0123456789";
    let daemon = Daemon::start(&[("flow.toml", &toml("http://127.0.0.1:9")), ("a.flow", &named("a", 100))]);
    let sound = toml("http://127.0.0.1:9");
    for (at, line) in [
        format!("secret = \"{SECRET}\""),
        format!("webhook_secret = {SECRET}"),
        format!("base_url = \"http://user:{SECRET}@127.0.0.1:1\""),
    ]
    .iter()
    .enumerate()
    {
        let broken = sound.replacen("[connections.stripe]\n", &format!("[connections.stripe]\n{line}\n"), 1);
        assert_ne!(broken, sound);
        std::fs::write(daemon.path().join("flow.toml"), broken).unwrap();
        let status = eventually("it is broken", || {
            Some(daemon.ask(&["status"])).filter(|status| !status["broken"].as_array().unwrap().is_empty())
        });
        assert!(!status.to_string().contains("WrittenByMistake"), "{at}: {status:#}");
        assert!(!daemon.log().contains("WrittenByMistake"), "{at}: {}", daemon.log());
        std::fs::write(daemon.path().join("flow.toml"), &sound).unwrap();
        eventually("it is sound", || daemon.ask(&["status"])["broken"].as_array().unwrap().is_empty().then_some(()));
    }
}
