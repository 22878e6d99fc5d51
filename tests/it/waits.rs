//! Limits and waits in a real flowd that is killed, started again, and given other files.

use serde_json::Value;

use crate::support::broker::{Broker, Client};
use crate::support::daemon::{Daemon, toml};
use crate::support::recorder::{Recorder, kustomer};
use crate::support::{eventually, stripe};

fn start(server: &Recorder, flows: &str) -> Daemon {
    // A place where no day ends meanwhile.
    let day = if jiff::Timestamp::now().strftime("%H").to_string().as_str() < "18" { "Europe/Paris" } else { "Asia/Tokyo" };
    let toml = format!("timezone = \"{day}\"\n{}", toml(&server.url));
    Daemon::start(&[("flow.toml", &toml), ("main.flow", flows)])
}

fn post(daemon: &Daemon, id: &str, cents: i64, email: &str) {
    let answer = stripe::post(&daemon.server, &stripe::charge_failed(id, cents, "usd", Some(email)).to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn of_flow(daemon: &Daemon, flow: &str) -> Vec<Value> {
    daemon.runs().into_iter().filter(|run| run["flow"] == flow).collect()
}

fn with_status(daemon: &Daemon, flow: &str, status: &str) -> Value {
    eventually(&format!("a run of {flow} is {status}"), || of_flow(daemon, flow).into_iter().find(|run| run["status"] == status))
}

#[test]
fn a_wait_goes_on_after_kill_9() {
    let server = Recorder::kustomer();
    let mut daemon = start(
        &server,
        "flow long\n  when stripe.charge_failed\n  where amount > 100\n  do {\n    wait 3 days\n    kustomer.create_conversation\n  }\n\n\
         flow short\n  when stripe.charge_failed\n  where amount > 100\n  do {\n    wait 5 seconds\n    kustomer.create_conversation\n  }\n",
    );
    post(&daemon, "1", 20_000, "a@example.com");
    let before = with_status(&daemon, "long", "waiting");
    daemon.kill();
    daemon.launch();
    with_status(&daemon, "short", "done");
    assert_eq!(server.count("POST", "/v1/conversations"), 1);
    let after = with_status(&daemon, "long", "waiting");
    assert_eq!(after, before, "neither later nor earlier");
    assert!(after["reason"].as_str().unwrap().starts_with("waits until "), "{after}");
    // What people see.
    let run = after["id"].as_str().unwrap();
    let listed = daemon.tell(&["runs", "--status", "waiting"]);
    assert!(listed.out.contains(run) && listed.out.contains("waits until "), "{listed:?}");
    let shown = daemon.tell(&["show", run]);
    assert!(shown.out.contains("\n  wait since "), "{shown:?}");
    let refused = daemon.tell(&["retry", run]);
    assert!(refused.err.contains("it has not failed"), "{refused:?}");
    assert_eq!(daemon.tell(&["cancel", run]).code, 0);
    with_status(&daemon, "long", "cancelled");
}

#[test]
fn what_is_only_waited_for_or_missed_is_polled_too() {
    let server = Recorder::start(|_, _| Some((200, serde_json::json!({ "object": "list", "data": [], "has_more": false }))));
    let toml = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.stripe]\nkey = {{ env = \"TEST_STRIPE_KEY\" }}\nbase_url = \"{}\"\npoll = \"1 second\"\n",
        server.url
    );
    let flow = "flow dunning\n  when stripe.invoice_payment_failed\n  do {\n    wait for stripe.invoice_paid where id is event.id up to 72 hours\n    log(\"paid\")\n  }\n\n\
                flow alive\n  when no stripe.new_customer within 6 hours\n  do log(\"nobody new\")\n";
    let _daemon = Daemon::start(&[("flow.toml", &toml), ("main.flow", flow)]);
    let asked = eventually("events are polled", || server.arrived().into_iter().find(|one| one.line().contains("/v1/events")));
    for kind in ["invoice.payment_failed", "invoice.paid", "customer.created"] {
        assert!(asked.line().contains(kind), "{kind}: {}", asked.line());
    }
}

#[test]
fn what_a_run_waits_for_is_listened_to_and_polled_also_when_its_flow_was_edited() {
    let Some(broker) = Broker::start_with("allow_anonymous true\npersistence true\npersistence_location {folder}/\n") else {
        return;
    };
    let stripe = Recorder::start(|_, _| Some((200, serde_json::json!({ "object": "list", "data": [], "has_more": false }))));
    let toml = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.mqtt]\nhost = \"127.0.0.1\"\nport = {}\n\
         [connections.stripe]\nkey = {{ env = \"TEST_STRIPE_KEY\" }}\nbase_url = \"{}\"\npoll = \"1 second\"\n",
        broker.port, stripe.url
    );
    let waits = |topic: &str| {
        format!(
            "flow order\n  when mqtt.message(topic: \"{topic}/go\")\n  do {{\n    wait for mqtt.message(topic: \"{topic}/done\") up to 1 hour\n    \
             log(\"done {{payload else \"?\"}}\")\n    wait for stripe.invoice_paid up to 1 hour\n  }}\n\n\
             flow other\n  when stripe.charge_failed\n  do log(\"x\")\n"
        )
    };
    let mut daemon = Daemon::start(&[("flow.toml", &toml), ("main.flow", &waits("a"))]);
    let listens = |daemon: &Daemon, topics: usize, times: usize| {
        let line = format!("connection=\"mqtt\" topics={topics}");
        eventually(&line, || (daemon.log().matches(&line).count() >= times).then_some(()));
    };
    listens(&daemon, 2, 1);
    let mut client = Client::new(broker.port, None);
    client.publish("a/go", "first", false);
    let first = with_status(&daemon, "order", "waiting");
    client.publish("a/go", "second", false);
    eventually("both wait", || (of_flow(&daemon, "order").len() == 2).then_some(()));

    let edited = "flow order\n  when mqtt.message(topic: \"b/go\")\n  do log(\"b\")\n\nflow other\n  when stripe.charge_failed\n  do log(\"x\")\n";
    std::fs::write(daemon.path().join("main.flow"), edited).unwrap();
    assert_eq!(daemon.tell(&["reload"]).code, 0);
    // What starts the flow no more is not heard, what its runs wait for is.
    listens(&daemon, 2, 2);
    // It comes while nobody is there: the broker keeps it, since it is subscribed to.
    daemon.kill();
    client.publish("a/done", "yes", false);
    daemon.launch();
    listens(&daemon, 2, 3);
    eventually("both go on", || (daemon.log().matches("done ").count() == 2).then_some(()));
    let on = with_status(&daemon, "order", "waiting");
    assert!(on["reason"].as_str().unwrap().starts_with("waits for stripe.invoice_paid"), "{on}");
    assert_eq!(first["plan"], on["plan"]);
    let before = stripe.arrived().len();
    let asked =
        eventually("it is polled", || stripe.arrived().into_iter().skip(before).find(|one| one.line().contains("/v1/events")));
    assert!(asked.line().contains("invoice.paid"), "{}", asked.line());

    // Nobody waits any more: nothing of it is asked for.
    for run in of_flow(&daemon, "order") {
        assert_eq!(daemon.tell(&["cancel", run["id"].as_str().unwrap()]).code, 0);
    }
    daemon.terminate();
    let before = stripe.arrived().len();
    daemon.launch();
    listens(&daemon, 1, 1);
    let asked = eventually("events are polled", || {
        stripe.arrived().into_iter().skip(before).find(|one| one.line().contains("/v1/events"))
    });
    assert!(!asked.line().contains("invoice.paid"), "{}", asked.line());
}

#[test]
fn an_awaited_event_is_found_after_kill_9() {
    let server = Recorder::kustomer();
    let mut daemon = start(
        &server,
        "flow follows\n  when stripe.charge_failed\n  where amount > 100 and customer_email is present\n  do {\n    wait for stripe.charge_failed\n      where amount < 50 and customer_email is event.customer_email\n      up to 2 days\n      else { stop because \"nothing came\" }\n    kustomer.create_conversation\n  }\n",
    );
    post(&daemon, "1", 20_000, "a@example.com");
    let waiting = with_status(&daemon, "follows", "waiting");
    assert!(waiting["reason"].as_str().unwrap().starts_with("waits for stripe.charge_failed until "), "{waiting}");
    daemon.kill();
    daemon.launch();
    post(&daemon, "2", 1_000, "b@example.com");
    post(&daemon, "3", 1_000, "a@example.com");
    let done = with_status(&daemon, "follows", "done");
    let whole = daemon.get(&format!("runs/{}", done["id"].as_str().unwrap()));
    assert_eq!(whole["waits"][0]["event"], "evt_3", "{whole:#}");
    let shown = daemon.tell(&["show", done["id"].as_str().unwrap()]);
    assert!(shown.out.contains("ended by evt_3"), "{shown:?}");
    assert_eq!(server.count("POST", "/v1/conversations"), 1);
}

#[test]
fn limits_outlast_a_kill_and_edits() {
    let server = Recorder::kustomer();
    let daily = "flow daily\n  when stripe.charge_failed\n  where amount > 100 and customer_email is present\n  at most once per customer_email per day\n  do kustomer.create_conversation\n";
    let mut daemon = start(&server, daily);
    post(&daemon, "1", 20_000, "a@example.com");
    with_status(&daemon, "daily", "done");
    daemon.kill();
    daemon.launch();
    post(&daemon, "2", 20_000, "a@example.com");
    // Another flow is added.
    let other = "flow other\n  when stripe.charge_failed\n  where amount > 1_000_000\n  do kustomer.create_conversation\n";
    std::fs::write(daemon.path().join("other.flow"), other).unwrap();
    eventually("the other flow is live", || {
        let flows = daemon.get("flows");
        flows["flows"].as_array().is_some_and(|flows| flows.len() == 2).then_some(())
    });
    post(&daemon, "3", 20_000, "a@example.com");
    post(&daemon, "4", 20_000, "b@example.com");
    eventually("the other customer's run", || (of_flow(&daemon, "daily").len() == 2).then_some(()));
    for event in ["evt_2", "evt_3"] {
        let why = daemon.tell(&["why", event]);
        assert!(why.out.contains("at most 1 per day for customer_email a…@example.com: this one is beyond it"), "{why:?}");
    }
}

#[test]
fn turns_are_kept_in_order_across_a_kill() {
    // Until the service works again, nothing of the first run's step is done.
    let server = Recorder::start(|_, _| Some((503, Value::Null)));
    let mut daemon = start(
        &server,
        "flow turns\n  when stripe.charge_failed\n  where amount > 100 and customer_email is present\n  one at a time per customer_email\n  do kustomer.create_conversation\n",
    );
    for id in ["1", "2", "3"] {
        post(&daemon, id, 20_000, "a@example.com");
    }
    let held = |daemon: &Daemon| of_flow(daemon, "turns").iter().filter(|run| run["held"] == true).count();
    assert_eq!(held(&daemon), 2);
    daemon.kill();
    daemon.launch();
    assert_eq!(held(&daemon), 2);
    server.answer(|request, _| Some(kustomer(request)));
    let runs = eventually("all have run", || {
        Some(of_flow(&daemon, "turns")).filter(|runs| runs.iter().all(|run| run["status"] == "done"))
    });
    let mut ended: Vec<(&str, &str)> =
        runs.iter().map(|run| (run["ended_at"].as_str().unwrap(), run["event"].as_str().unwrap())).collect();
    ended.sort_unstable();
    let order: Vec<&str> = ended.iter().map(|(_, event)| *event).collect();
    assert_eq!(order, ["evt_1", "evt_2", "evt_3"]);
}
