//! kill -9 under load, SIGTERM, SIGSTOP: nothing that was answered with 200 is lost, nothing is made twice, nothing that has
//! grown old is done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::daemon::{Daemon, toml};
use crate::support::recorder::{Arrived, Recorder, Reply};
use crate::support::{eventually, http, stripe};

/// A service with an action of each class that changes something.
const SINK: &str = r#"connector sink "Sink" {
  base "https://sink.example"
  record Thing { id: text @key }
  query by_ref(ref: text) -> Thing? @internal { GET "/found/{ref}" none on 404 }
  action keyed(text: text) -> Thing { POST "/keyed" json { text } effect keyed header "Idempotency-Key" for 24 hours }
  action found(text: text) -> Thing { POST "/found" json { text, ref: run.key } effect findable by by_ref(ref: run.key) }
  action once(text: text) -> Thing { POST "/once" json { text } effect once }
}
"#;

/// A mix of all, flows with limits, turns and a wait, and a report of each death.
const MIX: &str = r#"flow mix
  when stripe.charge_failed
  do {
    sink.keyed(text: id)
    sink.found(text: id)
  }

flow gamble
  when stripe.charge_failed
  do sink.once(text: id)

flow counted
  when stripe.charge_failed
  fresh within 1 hour
  once per id
  at most 1000000 per hour
  do sink.keyed(text: "counted {id}")

flow turns
  when stripe.charge_failed
  one at a time per currency
  throttle to 1000 per second
  do sink.keyed(text: "turns {id}")

flow later
  when stripe.charge_failed
  do {
    wait 1 second
    sink.keyed(text: "later {id}")
  }

flow reports
  when flow.dead
  do sink.keyed(text: "{flow} {event_id else flow}: {error}")
"#;

/// What the sink did: by path, and by key, reference or text.
#[derive(Default)]
struct Effects(Mutex<BTreeMap<(String, String), Vec<String>>>);

impl Effects {
    /// Does what is asked as a service that honours keys does.
    fn perform(&self, request: &Arrived) -> Reply {
        let mut effects = self.0.lock().unwrap();
        if let Some(reference) = request.path.strip_prefix("/found/") {
            let known = effects.get(&("/found".to_owned(), reference.to_owned())).is_some();
            return if known { (200, json!({ "id": reference })) } else { (404, json!({})) };
        }
        let body = request.json();
        let text = body["text"].as_str().unwrap_or_default().to_owned();
        let by = match request.path.as_str() {
            "/keyed" => request.header("idempotency-key").unwrap_or_default().to_owned(),
            "/found" => body["ref"].as_str().unwrap_or_default().to_owned(),
            _ => text.clone(),
        };
        let made = effects.entry((request.path.clone(), by.clone())).or_default();
        if request.path != "/keyed" || made.is_empty() {
            made.push(text);
        }
        (200, json!({ "id": by }))
    }

    /// Returns what was made by requests to a path: how often each text.
    fn of(&self, path: &str) -> BTreeMap<String, usize> {
        let mut texts = BTreeMap::new();
        for ((_, _), made) in self.0.lock().unwrap().iter().filter(|((of, _), _)| of == path) {
            for text in made {
                *texts.entry(text.clone()).or_default() += 1;
            }
        }
        texts
    }
}

fn sink() -> (Recorder, Arc<Effects>) {
    let effects = Arc::new(Effects::default());
    let does = Arc::clone(&effects);
    (Recorder::start(move |request, _| Some(does.perform(request))), effects)
}

fn project(sink: &str, flows: &str, more: &str) -> Daemon {
    let toml = format!("{}[connections.sink]\nbase_url = \"{sink}\"\n{more}", toml(sink));
    Daemon::start(&[("flow.toml", &toml), ("sink.flow", SINK), ("main.flow", flows)])
}

/// Posts an event; tells whether it was taken in.
fn post(server: &str, id: &str) -> bool {
    let body = stripe::charge_failed(id, 20_000, "usd", Some(&format!("u{id}@example.com"))).to_string();
    let header = stripe::signature_at(stripe::SECRET, jiff::Timestamp::now().as_second(), body.as_bytes());
    let headers = [("content-type", "application/json"), ("stripe-signature", header.as_str())];
    http::try_send(server, "POST", "/v1/webhooks/stripe", &headers, body.as_bytes()).is_some_and(|answer| answer.status == 200)
}

/// Waits longer than [`eventually`]: for what a slow machine needs many starts for.
fn patiently<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let patience = Instant::now() + Duration::from_secs(240);
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < patience, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn all_runs(daemon: &Daemon, flow: &str) -> Vec<Value> {
    daemon.get(&format!("runs?flow={flow}&limit=1000"))["runs"].as_array().cloned().unwrap_or_default()
}

/// `FLOW_KILLS` says how often; `python3 tests/kill_loop.py --kills 1000` does it with edits.
#[test]
fn what_was_accepted_is_finished_and_made_once_after_fifty_times_kill_9() {
    let kills: usize = std::env::var("FLOW_KILLS").map_or(50, |text| text.parse().unwrap());
    let (server, effects) = sink();
    let mut daemon = project(&server.url, MIX, "");
    let mut accepted: BTreeSet<String> = BTreeSet::new();
    // Where in a round it is killed: after so many requests and answers.
    let mut instant = 7;
    for round in 0..kills {
        let base = daemon.server.clone();
        let (before, answered, over) = (server.arrived().len(), AtomicUsize::new(0), AtomicUsize::new(0));
        instant = (instant * 31 + 17) % 41;
        let sent: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|lane| {
                    let (base, answered, over) = (&base, &answered, &over);
                    scope.spawn(move || {
                        let ids = (0..3).map(|at| format!("{round}_{lane}_{at}"));
                        let taken = ids.take_while(|id| {
                            let taken = post(base, id);
                            answered.fetch_add(usize::from(taken), Ordering::SeqCst);
                            taken
                        });
                        let taken: Vec<String> = taken.collect();
                        over.fetch_add(1, Ordering::SeqCst);
                        taken
                    })
                })
                .collect();
            eventually("the instant of the kill comes", || {
                let happened = server.arrived().len() - before + answered.load(Ordering::SeqCst);
                (happened >= instant || over.load(Ordering::SeqCst) == 4).then_some(())
            });
            daemon.kill();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        accepted.extend(sent);
        daemon.launch();
    }
    patiently("everything has ended", || (daemon.get("status")["engine"]["active"] == 0).then_some(()));
    assert!(accepted.len() >= kills, "{} of {kills} rounds", accepted.len());

    // What can be repeated is done, and made once.
    for flow in ["mix", "counted", "turns", "later"] {
        let runs = all_runs(&daemon, flow);
        let done: BTreeSet<&str> =
            runs.iter().filter(|run| run["status"] == "done").filter_map(|run| run["event"].as_str()).collect();
        for id in &accepted {
            assert!(done.contains(format!("evt_{id}").as_str()), "evt_{id} was answered with 200, and {flow} is not done");
        }
    }
    let gamble = all_runs(&daemon, "gamble");
    for path in ["/keyed", "/found"] {
        let made = effects.of(path);
        for id in &accepted {
            assert_eq!(made.get(&format!("ch_{id}")), Some(&1), "{path} of {id}");
            for flow in ["counted", "turns", "later"].iter().filter(|_| path == "/keyed") {
                assert_eq!(made.get(&format!("{flow} ch_{id}")), Some(&1), "{flow} of {id}");
            }
        }
        let twice: Vec<_> = made.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "made twice at {path}: {twice:?}");
    }
    // What cannot be repeated was asked for once, and is either done or reported.
    let mut asked: BTreeMap<String, usize> = BTreeMap::new();
    for request in server.arrived().iter().filter(|one| one.path == "/once") {
        *asked.entry(request.json()["text"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let twice: Vec<_> = asked.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "sent twice: {twice:?}");
    let (told, mut unknown) = (effects.of("/keyed"), 0);
    for id in &accepted {
        let event = format!("evt_{id}");
        let run = gamble.iter().find(|run| run["event"] == event).unwrap_or_else(|| panic!("{event} did not start gamble"));
        if run["status"] == "done" {
            assert_eq!(asked.get(&format!("ch_{id}")), Some(&1), "{event}");
            continue;
        }
        let reason = run["reason"].as_str().unwrap_or_default();
        assert!(run["status"] == "dead" && reason.contains("the outcome is unknown"), "{run:#}");
        unknown += usize::from(!told.keys().any(|text| text.starts_with(&format!("gamble {event}: "))));
    }
    // Of many deaths in a row the first ten are announced one by one, the others together; all of them are an alarm.
    let reports = told.keys().filter(|text| text.starts_with("gamble ")).count();
    assert!(unknown == 0 || reports >= 10, "{unknown} deaths were not told, {reports} were");
    let status = daemon.get("status");
    let alarm = status["alarms"].as_array().unwrap().iter().find(|alarm| alarm["subject"] == "gamble");
    let dead = gamble.iter().filter(|run| run["status"] == "dead").count();
    assert_eq!(alarm.map_or(0, |alarm| alarm["count"].as_u64().unwrap()), dead as u64, "{status:#}");
}

#[test]
fn sigterm_ends_well_and_a_second_start_goes_on() {
    let server = Recorder::kustomer();
    let mut daemon = Daemon::one_liner(&server.url);
    stripe::post(&daemon.server, &stripe::charge_failed("1", 20_000, "usd", Some("a@example.com")).to_string());
    assert_eq!(daemon.terminate(), 0);
    daemon.launch();
    let runs = daemon.settled(1);
    assert_eq!(runs[0]["status"], "done");
    assert_eq!(server.count("POST", "/v1/conversations"), 1);
}

#[test]
fn sigterm_under_load_does_not_wait_for_who_never_answers() {
    let (server, effects) = sink();
    let hangs = Arc::new(AtomicBool::new(true));
    let (does, waits) = (Arc::clone(&effects), Arc::clone(&hangs));
    server.answer(move |request, _| {
        let reply = does.perform(request);
        while request.path == "/keyed" && waits.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(reply)
    });
    let mut daemon = project(&server.url, MIX, "[run]\ndrain = \"1 second\"\n");
    let over = AtomicBool::new(false);
    let base = daemon.server.clone();
    let accepted: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|lane| {
                let (base, over) = (&base, &over);
                scope.spawn(move || {
                    let ids = (0..200).map(|at| format!("{lane}_{at}"));
                    ids.take_while(|id| !over.load(Ordering::SeqCst) && post(base, id)).collect::<Vec<_>>()
                })
            })
            .collect();
        eventually("steps are under way", || (server.count("POST", "/keyed") >= 3).then_some(()));
        assert_eq!(daemon.terminate(), 0);
        over.store(true, Ordering::SeqCst);
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(!accepted.is_empty());
    hangs.store(false, Ordering::SeqCst);
    daemon.launch();
    patiently("everything has ended", || (daemon.get("status")["engine"]["active"] == 0).then_some(()));
    let mix = all_runs(&daemon, "mix");
    for id in &accepted {
        let event = format!("evt_{id}");
        assert!(mix.iter().any(|run| run["event"] == event && run["status"] == "done"), "{event} was answered, and is not done");
        assert_eq!(effects.of("/keyed").get(&format!("ch_{id}")), Some(&1), "{event}");
    }
}

#[test]
fn a_step_is_not_performed_when_the_process_stood_still_until_its_event_was_old() {
    let (server, effects) = sink();
    let held = Arc::new(AtomicBool::new(true));
    let (does, waits) = (Arc::clone(&effects), Arc::clone(&held));
    server.answer(move |request, _| {
        let reply = does.perform(request);
        while request.path == "/keyed" && waits.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(reply)
    });
    let flows = "flow fresh\n  when stripe.charge_failed\n  fresh within 20 seconds\n  do {\n    sink.keyed(text: id)\n    sink.once(text: id)\n  }\n";
    let daemon = project(&server.url, flows, "");
    assert!(post(&daemon.server, "1"));
    // The event is taken in and its first step under way: between two steps the process stands still.
    eventually("the first step is under way", || (server.count("POST", "/keyed") == 1).then_some(()));
    daemon.stand_still();
    held.store(false, Ordering::SeqCst);
    let old = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(21);
    eventually("the event is old", || (jiff::Timestamp::now() > old).then_some(()));
    daemon.go_on();
    let run = daemon.settled(1).remove(0);
    assert_eq!(run["status"], "stopped", "{run:#}");
    assert!(run["reason"].as_str().unwrap().contains("too old"), "{run:#}");
    assert_eq!(server.count("POST", "/once"), 0);
}

#[test]
fn a_service_that_hangs_or_lies_slows_no_other() {
    let (server, effects) = sink();
    let hangs = Recorder::start(|request, _| {
        Some(match request.path.as_str() {
            // Neither what was asked for nor JSON of any use.
            "/keyed" => (200, json!([[[{ "id": { "id": [1, 2, 3] } }]]])),
            _ => {
                std::thread::sleep(Duration::from_secs(3600));
                (200, json!({}))
            }
        })
    });
    let other = SINK.replace("connector sink \"Sink\"", "connector bad \"Bad\"");
    let flows = "flow hangs\n  when stripe.charge_failed\n  do bad.once(text: id)\n\n\
        flow lies\n  when stripe.charge_failed\n  do bad.keyed(text: id)\n\n\
        flow works\n  when stripe.charge_failed\n  do sink.keyed(text: id)\n";
    let toml = format!(
        "{}[connections.sink]\nbase_url = \"{}\"\n[connections.bad]\nbase_url = \"{}\"\n",
        toml(&server.url),
        server.url,
        hangs.url
    );
    let daemon = Daemon::start(&[("flow.toml", &toml), ("sink.flow", SINK), ("bad.flow", &other), ("main.flow", flows)]);
    for at in 0..100 {
        assert!(post(&daemon.server, &at.to_string()));
    }
    // More requests hang than there is room for, and each event is done all the same.
    eventually("all others are done", || {
        let done = all_runs(&daemon, "works").iter().filter(|run| run["status"] == "done").count();
        (done == 100).then_some(())
    });
    assert_eq!(effects.of("/keyed").len(), 100);
    let lied = eventually("the lies are found out", || {
        let runs = all_runs(&daemon, "lies");
        runs.iter().find(|run| run["status"] == "dead").cloned()
    });
    assert!(lied["reason"].as_str().unwrap().contains("does not fit"), "{lied:#}");
    assert_eq!(daemon.get("status")["engine"]["panics"], 0);
}
