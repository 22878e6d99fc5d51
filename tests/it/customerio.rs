//! Customer.io through the real daemon: two APIs with a key each, events that count once, mails that nobody sends twice, and
//! signed reports.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use flow_compiler::catalog::OperationBody;
use flow_compiler::compile::Compiler;
use flow_compiler::settings::{ConnectionSettings, Settings};
use flow_plan::{Env, Value};
use flow_runtime::eval::Scope;
use flow_runtime::request::build;
use hmac::{KeyInit, Mac};
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::support::daemon::Daemon;
use crate::support::program::flowd;
use crate::support::recorder::Recorder;
use crate::support::sandbox::Emulators;
use crate::support::{eventually, http, stripe};
use crate::wire::connection;

const SIGNING_KEY: &str = "customerio_sandbox_signing_key_0000";

/// flow.toml for a workspace at these emulators.
fn toml(emulators: &Emulators) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.stripe]\nwebhook_secret = {{ env = \"TEST_WEBHOOK_SECRET\" }}\n[connections.customerio]\n{}",
        emulators.settings("customerio")
    )
}

fn start(toml: &str, flow: &str) -> Daemon {
    Daemon::start_with(&[("flow.toml", toml), ("main.flow", flow)], &["--allow-literal-secrets"])
}

/// A charge of Ada fails, which is what the flows here wait for.
fn charge(daemon: &Daemon, number: &str) {
    let body = stripe::charge_failed(number, 1999, "usd", Some("ada@example.com")).to_string();
    assert_eq!(stripe::post(&daemon.server, &body).status, 200);
}

fn by<'a>(state: &'a Json, list: &str, field: &str, value: &str) -> &'a Json {
    let rows = state[list].as_array().unwrap();
    rows.iter().find(|row| row[field] == value).unwrap_or_else(|| panic!("no {value} in {rows:#?}"))
}

const EVERYTHING: &str = r#"
flow everything
  when stripe.charge_failed
  where customer_email is present
  do {
    customerio.create_or_update_person(
      person: "cus+1/a",
      email: customer_email,
      created_at: event.at,
      attributes: { plan: "basic", spent: amount, since: event.at, old: "x" },
    )
    customerio.create_or_update_person(person: "cus+1/a", attributes: { plan: "gold" }, remove: ["old"])
    customerio.create_or_update_person(person: "nobody", attributes: { plan: "gold" }, update_only: true)
    customerio.track(person: customer_email, event: "payment_failed", data: { amount: amount, lines: [amount], at: event.at })
    customerio.track(person: "cus+1/a", event: "seen", kind: "page", event_id: "01E4C4CT6YDC7Y5M7FE1GWWPQJ", at: event.at)
    customerio.track_anonymous(event: "visited", anonymous_id: "visitor-1", data: { page: "/" })
    customerio.add_device(person: "cus+1/a", device: "token-1", platform: "ios", last_used: event.at)
    customerio.add_device(person: "cus+1/a", device: "token-2", platform: "android")
    customerio.remove_device(person: "cus+1/a", device: "token-2")
    customerio.add_to_segment(segment: 7, ids: ["cus+1/a", "b"])
    customerio.remove_from_segment(segment: 7, ids: ["b"])
    customerio.submit_form(form: "contact", data: { email: customer_email, text: "Hello" })
    customerio.track(person: "second", event: "came")
    customerio.merge_people(primary: "cus+1/a", secondary: "second")
    customerio.track(person: "gone", event: "came")
    customerio.delete_person(person: "gone")
    customerio.suppress(person: "unwanted")
    customerio.track(person: "unwanted", event: "came")
    customerio.suppress(person: "forgiven")
    customerio.unsuppress(person: "forgiven")
    customerio.send_email(to: customer_email, message: "3", data: { receipt: id, total: amount }) as receipt
    customerio.send_email(to: customer_email, subject: "Hi", body: "<p>Hi</p>", from: "shop@example.com", person: "cus+1/a")
    customerio.send_push(person: "cus+1/a", message: "9")
    customerio.send_sms(to: "+15005550006", person: "cus+1/a", message: "code")
    customerio.trigger_broadcast(broadcast: 41, emails: [customer_email, "stranger@example.com"], data: { off: 10 }) as wave
    let who = customerio.person(person: "cus+1/a")
    let same = customerio.person(person: customer_email)
    let stranger = customerio.person(person: "stranger@example.com")
    let found = customerio.find_person(email: customer_email)
    let mails = customerio.person_messages(person: "cus+1/a")
    let mail = customerio.message(id: receipt.delivery_id)
    let lists = customerio.segments()
    let home = customerio.account()
    let wave_id = wave.trigger_id else 0
    let wave_status = customerio.broadcast_status(broadcast: 41, trigger_id: wave_id)
    let wave_errors = customerio.broadcast_errors(broadcast: 41, trigger_id: wave_id)
    customerio.track(
      person: "cus+1/a",
      event: "told",
      data: {
        plan: who.attributes["plan"],
        same: same.cio_id,
        stranger: stranger.cio_id else "nobody",
        found: found.id,
        mails: length(mails),
        channel: mail.channel,
        lists: length(lists),
        region: home.region,
        processed: wave_status.processed_at,
        left_out: length(wave_errors),
      },
    )
  }
"#;

#[test]
fn each_action_and_query_does_what_it_says() {
    let emulators = Emulators::start();
    let daemon = start(&toml(&emulators), EVERYTHING);
    charge(&daemon, "1");
    let runs = daemon.settled(1);
    assert_eq!(runs[0]["status"], "done", "{:#}", daemon.get(&format!("runs/{}", runs[0]["id"].as_str().unwrap())));
    let state = emulators.state("customerio");

    let ada = by(&state, "people", "id", "cus+1/a");
    assert_eq!((&ada["email"], &ada["attributes"]["plan"]), (&json!("ada@example.com"), &json!("gold")));
    // Money is its text, a time seconds, and what was removed is gone.
    assert_eq!(ada["attributes"]["spent"], "19.99 USD");
    assert!(ada["attributes"]["since"].is_u64() && ada["attributes"]["created_at"].is_u64(), "{ada:#}");
    assert!(ada["attributes"].get("old").is_none(), "{ada:#}");
    assert_eq!((ada["devices"].as_array().unwrap().len(), &ada["devices"][0]["id"]), (1, &json!("token-1")));
    let names: BTreeSet<&str> = state["people"].as_array().unwrap().iter().filter_map(|row| row["id"].as_str()).collect();
    assert_eq!(names, BTreeSet::from(["cus+1/a"]), "nobody is made by `update_only`; others were merged, deleted, suppressed");
    assert_eq!(state["suppressed"], json!(["unwanted"]));

    let failed = by(&state, "track_events", "name", "payment_failed");
    assert_eq!((&failed["data"]["amount"], &failed["data"]["lines"]), (&json!("19.99 USD"), &json!(["19.99 USD"])));
    // The event's own time, not that of the step; and an id that begins with it.
    assert_eq!(failed["timestamp"], failed["data"]["at"]);
    assert_eq!(failed["customer_id"], ada["cio_id"]);
    assert_eq!(by(&state, "track_events", "name", "seen")["id"], "01E4C4CT6YDC7Y5M7FE1GWWPQJ");
    assert_eq!(by(&state, "track_events", "name", "visited")["anonymous_id"], "visitor-1");
    assert_eq!(by(&state, "segments", "type", "manual")["people"], json!(["cus+1/a"]));
    assert_eq!(state["form_submissions"][0]["data"]["text"], "Hello");

    let receipt = by(&state, "deliveries", "transactional_message_id", "3");
    assert_eq!(receipt["request"]["identifiers"], json!({"email": "ada@example.com"}));
    assert_eq!(receipt["message_data"]["total"], "19.99 USD");
    assert_eq!(by(&state, "deliveries", "subject", "Hi")["request"]["identifiers"], json!({"id": "cus+1/a"}));
    assert_eq!(by(&state, "deliveries", "type", "sms")["recipient"], "+15005550006");
    assert_eq!(by(&state, "deliveries", "type", "push")["recipient"], "last_used");
    assert_eq!(state["broadcasts"][0]["request"]["data"], json!({"off": 10}));

    let told = &by(&state, "track_events", "name", "told")["data"];
    let expected = json!({
        "plan": "gold", "same": ada["cio_id"], "stranger": "nobody", "found": "cus+1/a", "mails": 4, "channel": "email",
        "lists": 2, "region": "us", "processed": state["broadcasts"][0]["processed_at"], "left_out": 1,
    });
    assert_eq!(told, &expected);
    // Each with its own key; a wrong one is refused.
    assert!(state["calls"].as_array().unwrap().iter().all(|call| call["status"] != 401), "{state:#}");
}

// ------------------------------------------------------------------------------------------------ reports

/// The headers of a report at a second.
fn signed(seconds: i64, body: &[u8]) -> (String, String) {
    let mut mac = <hmac::Hmac<sha2::Sha256> as KeyInit>::new_from_slice(SIGNING_KEY.as_bytes()).unwrap();
    mac.update(format!("v0:{seconds}:").as_bytes());
    mac.update(body);
    (seconds.to_string(), hex::encode(mac.finalize().into_bytes()))
}

fn post(daemon: &Daemon, timestamp: &str, signature: &str, body: &[u8]) -> u16 {
    let headers = [("content-type", "application/json"), ("x-cio-timestamp", timestamp), ("x-cio-signature", signature)];
    http::send(&daemon.server, "POST", "/v1/webhooks/customerio", &headers, body).status
}

const TRIGGERS: &[(&str, &str, Option<&str>)] = &[
    ("person_subscribed", "subscribed", Some("customer")),
    ("person_unsubscribed", "unsubscribed", Some("customer")),
    ("preferences_changed", "cio_subscription_preferences_changed", None),
    ("email_sent", "sent", Some("email")),
    ("email_delivered", "delivered", Some("email")),
    ("email_opened", "opened", Some("email")),
    ("email_clicked", "clicked", Some("email")),
    ("email_converted", "converted", Some("email")),
    ("email_bounced", "bounced", Some("email")),
    ("email_dropped", "dropped", Some("email")),
    ("email_spammed", "spammed", Some("email")),
    ("email_failed", "failed", Some("email")),
    ("sms_replied", "replied", Some("sms")),
];

#[test]
fn each_report_starts_the_flows_of_its_trigger() {
    let emulators = Emulators::start();
    let mut flows = String::new();
    for (trigger, ..) in TRIGGERS {
        flows.push_str(&format!(
            "flow {trigger} when customerio.{trigger} where email is present do customerio.track(person: email, event: \"{trigger}\", data: {{ why: failure, link: link }})\n"
        ));
    }
    flows.push_str(
        "flow of_push when customerio.message_event(channel: \"push\") do customerio.track_anonymous(event: \"push {metric}\")\n",
    );
    flows.push_str(
        "flow of_metric when customerio.message_event(metric: \"a_new_one\") do customerio.track_anonymous(event: \"{metric}\")\n",
    );
    let daemon = start(&toml(&emulators), &flows);
    let target = json!({ "url": format!("{}/v1/webhooks/customerio", daemon.server) });
    emulators.control("customerio", "PUT", "webhook_target", &target);
    for (_, metric, channel) in TRIGGERS {
        let mut event =
            json!({"type": metric, "email": "ada@example.com", "failure_message": "550", "href": "https://shop.example"});
        if let Some(channel) = channel {
            event["channel"] = json!(channel);
        }
        emulators.happen("customerio", &event);
    }
    // The same metrics of other channels start nothing but what listens to these.
    for kind in ["push.sent", "webhook.failed", "whatsapp.replied", "email.unsubscribed", "in_app.opened", "push.a_new_one"] {
        emulators.happen("customerio", &json!({"type": kind, "email": "ada@example.com"}));
    }
    let runs = daemon.settled(TRIGGERS.len() + 3);
    assert!(runs.iter().all(|run| run["status"] == "done"), "{runs:#?}");
    let state = emulators.state("customerio");
    let mut names: Vec<&str> = state["track_events"].as_array().unwrap().iter().filter_map(|row| row["name"].as_str()).collect();
    names.sort_unstable();
    let mut wanted: Vec<&str> = TRIGGERS.iter().map(|(trigger, ..)| *trigger).collect();
    wanted.extend(["push sent", "push a_new_one", "a_new_one"]);
    wanted.sort_unstable();
    assert_eq!(names, wanted);
    assert_eq!(by(&state, "track_events", "name", "email_bounced")["data"]["why"], "550");
    assert_eq!(by(&state, "track_events", "name", "email_clicked")["data"]["link"], "https://shop.example");
}

#[test]
fn reports_are_taken_when_signed_and_never_refused_for_what_they_are() {
    let emulators = Emulators::start();
    let flow = "flow bounced when customerio.email_bounced do customerio.track_anonymous(event: \"bounced\")\n";
    let daemon = start(&toml(&emulators), flow);
    let now = Timestamp::now().as_second();
    let report = |id: &str, metric: &str| {
        json!({"metric": metric, "event_id": id, "object_type": "email", "timestamp": now, "data": {"customer_id": null, "identifiers": null}})
            .to_string()
    };
    let body = report("01E4C4CT6YDC7Y5M7FE1GWWPQJ", "bounced");
    let (timestamp, signature) = signed(now, body.as_bytes());
    for (what, timestamp, signature, body) in [
        ("a changed byte", timestamp.as_str(), signature.clone(), body.replace("bounced", "Bounced")),
        ("a time that was not signed", (now + 1).to_string().as_str(), signature.clone(), body.clone()),
        ("another form", &timestamp, format!("v0={signature}"), body.clone()),
        ("upper case", &timestamp, signature.to_uppercase(), body.clone()),
        ("no signature", &timestamp, String::new(), body.clone()),
    ] {
        assert_eq!(post(&daemon, timestamp, &signature, body.as_bytes()), 401, "{what}");
    }
    let (old, old_signature) = signed(now - 400, body.as_bytes());
    assert_eq!(post(&daemon, &old, &old_signature, body.as_bytes()), 401, "older than five minutes");
    // Taken: the report, twice; what nobody asked for; what has no id, no metric, nothing at all.
    for body in [
        body.clone(),
        body,
        report("01E4C4CT6YDC7Y5M7FE1GWWPQK", "delivered"),
        report("01E4C4CT6YDC7Y5M7FE1GWWPQM", "something_new"),
        r#"{"metric":"sent","object_type":"email"}"#.to_owned(),
        "{}".to_owned(),
        "{\"name\":\"Ünï\"}".to_owned(),
    ] {
        let (timestamp, signature) = signed(now, body.as_bytes());
        assert_eq!(post(&daemon, &timestamp, &signature, body.as_bytes()), 200, "{body}");
    }
    let runs = daemon.settled(1);
    assert_eq!((runs.len(), &runs[0]["status"]), (1, &json!("done")), "{runs:#?}");
}

// ------------------------------------------------------------------------------------------------ what goes wrong

#[test]
fn an_event_counts_once_and_a_mail_is_not_sent_again() {
    let emulators = Emulators::start();
    let flow = "flow told when stripe.charge_failed where customer_email is present do customerio.track(person: customer_email, event: \"failed\")\n\
                flow receipt when stripe.charge_failed where customer_email is present do customerio.send_email(to: customer_email, message: \"3\")\n";
    let mut daemon = start(&toml(&emulators), flow);
    // Both are done, and the answers never come.
    for path in ["/api/v1/customers/*/events", "/v1/send/email"] {
        emulators.fault(
            "customerio",
            &json!({"match": {"path": path}, "fault": "timeout_after_effect", "times": 1, "delay_ms": 60_000}),
        );
    }
    charge(&daemon, "1");
    eventually("both were sent", || {
        let state = emulators.state("customerio");
        let there = |list: &str| state[list].as_array().is_some_and(|rows| rows.len() == 1);
        (there("track_events") && there("deliveries")).then_some(())
    });
    daemon.kill();
    daemon.launch();
    let runs = daemon.settled(2);
    let status = |flow: &str| runs.iter().find(|run| run["flow"] == flow).unwrap()["status"].clone();
    assert_eq!((status("told"), status("receipt")), (json!("done"), json!("dead")), "{runs:#?}");
    let state = emulators.state("customerio");
    assert_eq!(state["deliveries"].as_array().unwrap().len(), 1, "a person decides whether it is sent again");
    assert_eq!(state["track_events"].as_array().unwrap().len(), 1, "two calls with one id count once");
    let calls = state["calls"].as_array().unwrap();
    let ids: Vec<&Json> =
        calls.iter().filter(|call| call["path"].as_str().unwrap().ends_with("/events")).map(|call| &call["body"]["id"]).collect();
    assert!(ids.len() >= 2 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[test]
fn errors_are_told_whatever_form_they_have() {
    let emulators = Emulators::start();
    let flows = "flow a_yes_that_is_none when stripe.charge_failed do customerio.track(person: \"a\", event: \"e\")\n\
                 flow no_such_list when stripe.charge_failed do customerio.add_to_segment(segment: 1, ids: [\"a\"])\n\
                 flow nobody_says_whom when stripe.charge_failed do customerio.trigger_broadcast(broadcast: 41, emails: [], ids: [\"x\"])\n\
                 flow a_page when stripe.charge_failed where customer_email is present do customerio.send_email(to: customer_email, message: \"3\")\n\
                 flow nothing_at_all when stripe.charge_failed do customerio.track(person: \"d\", event: \"e\")\n\
                 flow several when stripe.charge_failed do customerio.create_or_update_person(person: \"f\")\n\
                 flow too_many when stripe.charge_failed do customerio.delete_person(person: \"c\")\n";
    let daemon = start(&toml(&emulators), flows);
    emulators.fault("customerio", &json!({"match": {"path": "/api/v1/customers/a/events"}, "fault": "status", "status": 200, "times": 1, "body": {"meta": {"error": "conflicting identifiers"}}}));
    emulators
        .fault("customerio", &json!({"match": {"path": "/api/v1/customers/c"}, "fault": "status", "status": 429, "times": 1}));
    let errors: Vec<String> = (1..=7).map(|number| format!("error {number}")).collect();
    emulators.fault("customerio", &json!({"match": {"path": "/api/v1/customers/f"}, "fault": "status", "status": 400, "body": {"meta": {"errors": errors}}}));
    charge(&daemon, "1");
    for (path, body) in [("/v1/send/email", "<html>Sign in to the hotel</html>"), ("/api/v1/customers/d/events", "")] {
        emulators.fault("customerio", &json!({"match": {"path": path}, "fault": "status", "status": 200, "body": body}));
    }
    let runs = daemon.settled(7);
    let of = |flow: &str| runs.iter().find(|run| run["flow"] == flow).cloned().unwrap();
    for (flow, status, error) in [
        ("a_yes_that_is_none", "dead", "conflicting identifiers"),
        ("no_such_list", "dead", "only manual segments can be changed"),
        ("nobody_says_whom", "dead", "only one audience may be given"),
        ("several", "dead", "400: error 1; error 2; error 3; error 4; error 5; and 2 more"),
        ("a_page", "dead", "not JSON"),
        ("nothing_at_all", "done", ""),
        ("too_many", "done", ""),
    ] {
        let run = daemon.get(&format!("runs/{}", of(flow)["id"].as_str().unwrap()));
        assert_eq!(run["status"], status, "{run:#}");
        assert!(run.to_string().contains(error), "{flow}: {run:#}");
    }
}

/// Why somebody was left out of a broadcast stands where other lists have what went wrong with them.
#[test]
fn who_was_left_out_is_no_failure_of_the_question() {
    let listed = json!({ "errors": [{ "email": "a@b.example", "detail": "customer not found" }], "next": "" });
    let failed = json!({ "errors": [{ "detail": "no such broadcast", "status": "404" }] });
    for (answer, status, told) in [(listed, "stopped", "customer not found"), (failed, "dead", "no such broadcast")] {
        let service = Recorder::start(move |_, _| Some((200, answer.clone())));
        let toml = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.stripe]\nwebhook_secret = {{ env = \"TEST_WEBHOOK_SECRET\" }}\n[connections.customerio]\nbase_url = \"{}\"\nsite_id = \"s\"\napi_key = \"k\"\napp_key = \"a\"\n",
            service.url
        );
        let flow = "when stripe.charge_failed do {\n  let left_out = customerio.broadcast_errors(broadcast: 1, trigger_id: 2)\n  for one in left_out up to 5 { stop because \"{one.reason else \"\"}\" }\n}\n";
        let daemon = start(&toml, flow);
        charge(&daemon, "1");
        let run = &daemon.settled(1)[0];
        assert!(run["status"] == status && run["reason"].as_str().unwrap().contains(told), "{run:#}");
    }
}

#[test]
fn a_key_is_needed_for_what_it_is_for_alone() {
    let emulators = Emulators::start();
    let settings = toml(&emulators);
    let without: String = settings.lines().filter(|line| !line.starts_with("app_key")).map(|line| format!("{line}\n")).collect();
    let flow = "flow told when stripe.charge_failed where customer_email is present do customerio.track(person: customer_email, event: \"failed\")\n";
    let daemon = start(&without, flow);
    charge(&daemon, "1");
    assert_eq!(daemon.settled(1)[0]["status"], "done");
    assert!(!daemon.log().contains("app_key"), "{}", daemon.log());
    drop(daemon);

    let mail = format!(
        "{flow}when stripe.charge_failed where customer_email is present do customerio.send_email(to: customer_email, message: \"3\")\n"
    );
    let folder = crate::support::program::project(&[("flow.toml", &without), ("main.flow", &mail)]);
    let outcome = flowd(folder.path(), &["run", "--once", "--allow-literal-secrets"]);
    assert!(outcome.code != 0 && outcome.err.contains("the secret `app_key` is missing"), "{outcome:?}");
}

/// The American address passes on what belongs to European accounts, so a wrong region is no error anywhere else.
#[test]
fn a_wrong_region_and_a_wrong_key_are_noticed_before_anything_is_sent() {
    let emulators = Emulators::start();
    let flow = "when stripe.charge_failed do customerio.track(person: \"a\", event: \"failed\")\n";
    let secrets = ["api_key", "app_key", "webhook_signing_key"];
    let found = |region: &str, prefix: &str| {
        // Secrets stand in files, as they would with somebody.
        let (mut settings, mut files) = (String::new(), Vec::new());
        for line in toml(&emulators).lines() {
            match line.split_once(" = ").filter(|(name, _)| secrets.contains(name)) {
                Some((name, value)) => {
                    settings.push_str(&format!("{name} = {{ file = \"{name}\" }}\n"));
                    files.push((name.to_owned(), format!("{prefix}{}", value.trim_matches('"'))));
                }
                None => settings.push_str(&format!("{line}\n")),
            }
        }
        settings.push_str(&format!("region = \"{region}\"\n"));
        let mut all = vec![("flow.toml", settings.as_str()), ("main.flow", flow)];
        all.extend(files.iter().map(|(name, text)| (name.as_str(), text.as_str())));
        let folder = crate::support::program::project(&all);
        let outcome = flowd(folder.path(), &["check-config", "--online"]);
        (outcome.code, format!("{}{}", outcome.out, outcome.err))
    };
    let (code, well) = found("us", "");
    assert_eq!(code, 0, "{well}");
    let (code, european) = found("eu", "");
    assert!(code != 0 && european.contains("another region"), "{european}");
    let (code, wrong) = found("us", "wrong-");
    assert!(code != 0 && wrong.contains("belong together"), "{wrong}");
}

// ------------------------------------------------------------------------------------------------ whole requests

/// Vectors that are not part of the repository.
fn shared(file: &str) -> Option<Json> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(file);
    Some(serde_json::from_str(&std::fs::read_to_string(path).ok()?).unwrap())
}

/// One attempt, in a run that began with something of a minute before.
struct Attempt(Vec<Value>);

impl Scope for Attempt {
    fn input(&self, input: u16) -> Value {
        self.0.get(usize::from(input)).cloned().unwrap_or_default()
    }

    fn env(&self, env: &Env) -> Value {
        match env {
            Env::SentAt => Value::Instant(Timestamp::from_second(1_700_000_060).unwrap()),
            Env::EventAt => Value::Instant(Timestamp::from_second(1_700_000_000).unwrap()),
            Env::RunKey => Value::text("the-key"),
            _ => Value::Missing,
        }
    }
}

/// What the vendor's libraries send for a call: address, authorisation, and the body as JSON.
#[test]
fn requests_are_those_of_the_vendors_libraries() {
    let Some(data) = shared("customerio/requests.json") else { return };
    let mut cases = 0;
    for case in data["cases"].as_array().unwrap() {
        let text = |name: &str| case[name].as_str().unwrap_or_default();
        let values = [("site_id", text("site_id")), ("region", text("region"))];
        let settings = ConnectionSettings {
            connector: "customerio".to_owned(),
            values: values.iter().map(|(name, value)| ((*name).to_owned(), Value::text(*value))).collect(),
            ..ConnectionSettings::default()
        };
        let connections = Some(BTreeMap::from([("customerio".to_owned(), settings)]));
        let compilation = Compiler::new(Settings { connections, ..Settings::default() }).compile();
        let secrets = [("api_key", text("api_key")), ("app_key", text("app_key"))];
        let connection = connection(&compilation, "customerio", &secrets);
        let given = &case["inputs"];
        let time = |name: &str| given[name].as_i64().map(|at| Value::Instant(Timestamp::from_second(at).unwrap()));
        let value = |name: &str| Some(Value::from_json(&given[name])).filter(|value| !value.is_missing());
        // Whose inputs are called otherwise here.
        let (name, inputs): (&str, Vec<(&str, Option<Value>)>) = match text("call") {
            "create_or_update_person" => {
                const OWN: [&str; 3] = ["id", "email", "created_at"];
                let others = given.as_object().unwrap().iter().filter(|(name, _)| !OWN.contains(&name.as_str()));
                let (gone, kept): (Vec<_>, Vec<_>) = others.partition(|(_, value)| value.is_null());
                let kept = kept.into_iter().map(|(name, value)| (name.as_str().into(), Value::from_json(value)));
                let gone: Vec<Value> = gone.into_iter().map(|(name, _)| Value::text(name.as_str())).collect();
                let inputs = vec![
                    ("person", value("id")),
                    ("email", value("email")),
                    ("created_at", time("created_at")),
                    ("attributes", Some(Value::record(kept))),
                    ("remove", Some(Value::List(gone.into()))),
                ];
                ("create_or_update_person", inputs)
            }
            "track_event" => {
                let inputs = vec![
                    ("person", value("id")),
                    ("event", value("name")),
                    ("data", value("data")),
                    ("at", time("timestamp")),
                    ("event_id", value("event_id")),
                ];
                ("track", inputs)
            }
            "send_transactional_email" => {
                let inputs = vec![
                    ("to", value("to")),
                    ("message", value("transactional_message_id")),
                    ("person", Some(Value::from_json(&given["identifiers"]["id"]))),
                    ("data", value("message_data")),
                ];
                ("send_email", inputs)
            }
            other => panic!("{other} is a call that is not known here"),
        };
        let declared = &compilation.catalog.connectors["customerio"].operations[name];
        let OperationBody::Http(operation) = &declared.body else { panic!("{name} is one request") };
        let args = declared.inputs.iter().map(|input| {
            let given = inputs.iter().find(|(name, _)| *name == input.name).and_then(|(_, value)| value.clone());
            given.unwrap_or_default()
        });
        let made = build(operation, &connection, &Attempt(args.collect())).unwrap();
        let header =
            |name: &str| made.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str());
        let expect = &case["expect"];
        assert_eq!(made.method, expect["method"].as_str().unwrap());
        assert_eq!(made.url, expect["url"].as_str().unwrap());
        assert_eq!(header("authorization"), expect["authorization"].as_str());
        assert_eq!(header("content-type"), expect["content_type"].as_str());
        assert_eq!(serde_json::from_slice::<Json>(&made.body).unwrap(), expect["body"], "{}", case["call"]);
        cases += 1;
    }
    assert!(cases >= 4, "{cases}");
}
