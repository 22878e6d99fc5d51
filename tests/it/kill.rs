//! kill -9 under load: nothing that was answered with 200 is lost, nothing is made twice.

use std::collections::BTreeMap;

use crate::support::daemon::Daemon;
use crate::support::recorder::{Recorder, kustomer};
use crate::support::{eventually, stripe};

#[test]
fn what_was_accepted_is_finished_after_kill_9() {
    let server = Recorder::start(|request, _| Some(kustomer(request)));
    let mut daemon = Daemon::one_liner(&server.url);
    let mut accepted = Vec::new();
    for round in 0..4 {
        let base = daemon.server.clone();
        let sent: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|lane| {
                    let base = base.clone();
                    scope.spawn(move || {
                        let mut good = Vec::new();
                        for at in 0..6 {
                            let id = format!("{round}_{lane}_{at}");
                            let body = stripe::charge_failed(&id, 20_000, "usd", Some(&format!("u{id}@example.com"))).to_string();
                            let header =
                                stripe::signature_at(stripe::SECRET, jiff::Timestamp::now().as_second(), body.as_bytes());
                            let headers = [("content-type", "application/json"), ("stripe-signature", header.as_str())];
                            match crate::support::http::try_send(&base, "POST", "/v1/webhooks/stripe", &headers, body.as_bytes())
                            {
                                Some(answer) if answer.status == 200 => good.push(format!("evt_{id}")),
                                _ => break,
                            }
                        }
                        good
                    })
                })
                .collect();
            // Somewhere in the middle of it.
            eventually("some requests arrive", || (server.arrived().len() > round * 30 + 10).then_some(()));
            daemon.kill();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        accepted.extend(sent);
        daemon.launch();
    }
    let runs = eventually("every accepted event has run", || {
        let runs = daemon.runs();
        let done = |event: &String| runs.iter().any(|run| run["event"] == **event && run["status"] == "done");
        accepted.iter().all(done).then_some(runs)
    });
    assert!(accepted.len() > 40, "{}", accepted.len());
    assert!(runs.len() >= accepted.len());
    // One conversation has one external id; it is looked for before it is made again, so each is made once unless the
    // kill fell between the request and its answer: then the same id is sent again, which Kustomer refuses.
    let mut by_event: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for request in server.arrived().iter().filter(|one| one.line() == "POST /v1/conversations") {
        let body = request.json();
        by_event
            .entry(body["name"].as_str().unwrap().to_owned())
            .or_default()
            .push(body["externalId"].as_str().unwrap().to_owned());
    }
    for (name, ids) in by_event {
        assert!(ids.iter().all(|id| *id == ids[0]), "two keys for one effect: {name} {ids:?}");
    }
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
