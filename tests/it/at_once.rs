//! `concurrency` of a connection and `limit N at once` of a connector: a service that counts what it has at the same time.

use std::sync::{Arc, Condvar, Mutex};

use serde_json::json;

use crate::support::daemon::Daemon;
use crate::support::recorder::Recorder;
use crate::support::{eventually, http, stripe};

/// What a service has at the moment. It answers nothing before its gate is open.
#[derive(Default)]
struct Desk {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    open: bool,
    /// Those of a daemon that was killed are nobody's.
    life: usize,
    now: usize,
    most: usize,
    steps: usize,
    refuses: bool,
}

impl Desk {
    /// Returns whether it is served, or refused.
    fn serve(&self, is_step: bool) -> bool {
        let mut state = self.state.lock().unwrap();
        let life = state.life;
        state.now += 1;
        state.most = state.most.max(state.now);
        if state.refuses && is_step {
            state.now -= 1;
            return false;
        }
        state = self.changed.wait_while(state, |state| !state.open && state.life == life).unwrap();
        if state.life == life {
            state.now -= 1;
            state.steps += usize::from(is_step);
        }
        true
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    fn begin_again(&self) {
        self.change(|state| *state = State { life: state.life + 1, steps: state.steps, ..State::default() });
    }

    fn now(&self) -> usize {
        self.state.lock().unwrap().now
    }

    fn most(&self) -> usize {
        self.state.lock().unwrap().most
    }

    fn steps(&self) -> usize {
        self.state.lock().unwrap().steps
    }

    fn service(self: &Arc<Self>) -> Recorder {
        let desk = Arc::clone(self);
        Recorder::start(move |request, _| {
            let is_step = request.method == "POST";
            let served = desk.serve(is_step);
            Some(if served { (200, json!({ "items": [] })) } else { (401, json!({})) })
        })
    }
}

const ACME: &str = "connector acme \"Acme\" {
  secret key
  base \"https://acme.example\"
  auth bearer(key)
  limit 4 at once
  record Item { id: text @key }
  source items {
    poll GET \"/items\" every 1 hour
    items \"items\"
    id \"id\"
  }
  trigger item: Item from items
  action put(id: text) { POST \"/put\" json { id } effect set }
}

when stripe.charge_failed do acme.put(id: id)
when acme.item do acme.put(id: id)
";

fn acme(service: &Recorder, settings: &str) -> Daemon {
    let toml = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.stripe]\nwebhook_secret = {{ env = \"TEST_WEBHOOK_SECRET\" }}\n[connections.acme]\nkey = {{ env = \"TEST_KUSTOMER_KEY\" }}\nbase_url = \"{}\"\n{settings}",
        service.url
    );
    Daemon::start(&[("flow.toml", &toml), ("main.flow", ACME)])
}

fn charges(daemon: &Daemon, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let body = stripe::charge_failed(&number.to_string(), 10_000, "usd", None).to_string();
        assert_eq!(stripe::post(&daemon.server, &body).status, 200);
    }
}

fn figure(daemon: &Daemon, name: &str, figure: &str) -> u64 {
    let connections = daemon.get("connections");
    let one = connections["connections"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone();
    one[figure].as_u64().unwrap()
}

fn done(daemon: &Daemon) -> usize {
    daemon.runs().iter().filter(|run| run["status"] == "done").count()
}

#[test]
fn a_service_has_no_more_at_once_than_is_said_over_a_kill_and_when_parked_runs_go_on() {
    for (settings, most) in [("", 4), ("concurrency = 2\n", 2), ("concurrency = 9\n", 4)] {
        let desk = Arc::new(Desk::default());
        let service = desk.service();
        let mut daemon = acme(&service, settings);
        charges(&daemon, 0..12);
        eventually("all places are taken and the rest waits", || {
            let rest = figure(&daemon, "acme", "queued") + figure(&daemon, "acme", "in_flight");
            (desk.now() == most && rest >= 11).then_some(())
        });
        assert_eq!(figure(&daemon, "acme", "most_in_flight"), most as u64);
        // What was under way is done again by the next daemon, which has no more places.
        daemon.kill();
        desk.begin_again();
        daemon.launch();
        eventually("all places are taken again", || (desk.now() == most).then_some(()));
        desk.change(|state| state.open = true);
        eventually("all is done", || (done(&daemon) == 12).then_some(()));
        assert_eq!(desk.most(), most, "{settings}");
        // Runs that waited for a connection all go on when it works.
        desk.begin_again();
        desk.change(|state| state.refuses = true);
        charges(&daemon, 12..30);
        eventually("all are parked", || {
            (daemon.runs().iter().filter(|run| run["status"] == "parked").count() == 18).then_some(())
        });
        desk.begin_again();
        let parked = daemon.runs().into_iter().find(|run| run["status"] == "parked").unwrap();
        assert_eq!(daemon.tell(&["retry", parked["id"].as_str().unwrap()]).code, 0);
        // The first one tries it; its answer lets the others go.
        eventually("it is tried", || (desk.now() == 1).then_some(()));
        desk.change(|state| state.open = true);
        eventually("all go on", || (done(&daemon) == 30).then_some(()));
        assert!(desk.most() <= most, "{settings}: {}", desk.most());
        assert!(desk.steps() >= 30);
    }
}

#[test]
fn a_poll_takes_a_place_as_a_step_does() {
    let desk = Arc::new(Desk::default());
    let service = desk.service();
    let daemon = acme(&service, "concurrency = 1\npoll = \"1 second\"\n");
    charges(&daemon, 0..6);
    eventually("somebody has the place", || (desk.now() == 1).then_some(()));
    desk.change(|state| state.open = true);
    eventually("steps and polls have had it", || {
        let polls = service.arrived().iter().filter(|one| one.method == "GET").count();
        (done(&daemon) == 6 && polls >= 2).then_some(())
    });
    assert_eq!(desk.most(), 1);
}

#[test]
fn servers_that_runs_name_share_the_places_of_their_connection() {
    let desk = Arc::new(Desk::default());
    let services: Vec<Recorder> = (0..8).map(|_| desk.service()).collect();
    let toml = "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[http]\nallow = [\"127.0.0.1\"]\n[connections.inbox]\nconnector = \"http\"\nverify = \"none\"\n[connections.http]\nconcurrency = 3\n";
    let flow = "when inbox.received\nunverified\ndo http.put(url: \"{require body.url}\")\n";
    let daemon = Daemon::start(&[("flow.toml", toml), ("main.flow", flow)]);
    for number in 0..16 {
        let body = json!({ "url": services[number % services.len()].url }).to_string();
        let headers = [("content-type", "application/json")];
        assert_eq!(http::send(&daemon.server, "POST", "/v1/webhooks/inbox", &headers, body.as_bytes()).status, 200);
    }
    eventually("all places are taken and the rest waits", || {
        (desk.now() == 3 && figure(&daemon, "http", "queued") == 13).then_some(())
    });
    desk.change(|state| state.open = true);
    eventually("all is done", || (done(&daemon) == 16).then_some(()));
    assert_eq!(desk.most(), 3);
}
