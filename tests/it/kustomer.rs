//! Kustomer through the real daemon: all its events, signed; every action and query; what our own key did; what got lost.

use std::collections::BTreeSet;

use hmac::{KeyInit, Mac};
use serde_json::{Value as Json, json};

use crate::support::daemon::Daemon;
use crate::support::sandbox::Emulators;
use crate::support::{eventually, http, stripe};

const TOKEN: &str = "kustomer_sandbox_webhook_token_0000";
/// The user that the emulator's key belongs to.
const MACHINE_USER: &str = "60000000000000000000b001";

fn toml(emulators: &Emulators, more: &str) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.stripe]\nwebhook_secret = {{ env = \"TEST_WEBHOOK_SECRET\" }}\n[connections.kustomer]\n{more}{}[connections.customerio]\n{}",
        emulators.settings("kustomer"),
        emulators.settings("customerio")
    )
}

fn start(toml: &str, flow: &str) -> Daemon {
    Daemon::start_with(&[("flow.toml", toml), ("main.flow", flow)], &["--allow-literal-secrets"])
}

/// Events of the emulator go to the daemon.
fn listen(emulators: &Emulators, daemon: &Daemon) {
    let target = json!({ "url": format!("{}/v1/webhooks/kustomer", daemon.server) });
    emulators.control("kustomer", "PUT", "webhook_target", &target);
}

fn charge(daemon: &Daemon, number: &str) {
    let body = stripe::charge_failed(number, 1999, "usd", Some("ada+shop@example.com")).to_string();
    assert_eq!(stripe::post(&daemon.server, &body).status, 200);
}

fn rows<'a>(state: &'a Json, list: &str) -> &'a [Json] {
    state[list].as_array().unwrap()
}

fn row<'a>(state: &'a Json, list: &str, field: &str, value: &str) -> &'a Json {
    rows(state, list)
        .iter()
        .find(|row| row["attributes"][field] == value)
        .unwrap_or_else(|| panic!("no {value} in {:#}", state[list]))
}

/// The names that flows have noted, each as an event of its own.
fn noted(emulators: &Emulators) -> BTreeSet<String> {
    let state = emulators.state("customerio");
    rows(&state, "track_events").iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

const TRIGGERS: [&str; 17] = [
    "customer_created",
    "customer_updated",
    "conversation_created",
    "conversation_updated",
    "conversation_status_changed",
    "conversation_assigned",
    "conversation_closed",
    "conversation_reopened",
    "message_received",
    "message_sent",
    "message_updated",
    "user_created",
    "user_updated",
    "team_created",
    "team_updated",
    "tag_created",
    "tag_updated",
];

#[test]
fn each_event_starts_the_flows_of_its_triggers() {
    let emulators = Emulators::start();
    let mut flows: String = TRIGGERS
        .iter()
        .map(|trigger| format!("flow {trigger} when kustomer.{trigger} do customerio.track_anonymous(event: \"{trigger}\")\n"))
        .collect();
    for (name, trigger) in [
        ("renamed", "customer_updated(field: \"name\")"),
        ("never", "customer_updated(field: \"phones\")"),
        ("urgent", "conversation_updated(field: \"priority\")"),
        ("undelivered", "message_updated(field: \"status\")"),
    ] {
        flows.push_str(&format!("flow {name} when kustomer.{trigger} do customerio.track_anonymous(event: \"{name}\")\n"));
    }
    flows.push_str("flow told when kustomer.conversation_status_changed do customerio.track_anonymous(event: \"from {status_before else \"?\"} to {status_after else \"?\"}\")\n");
    let daemon = start(&toml(&emulators, ""), &flows);
    listen(&emulators, &daemon);
    for event in [
        json!({"type": "kustomer.customer.create", "email": "ada@example.com", "name": "Ada"}),
        json!({"type": "kustomer.customer.update", "email": "ada@example.com", "name": "Ada Vance"}),
        json!({"type": "kustomer.message.create", "email": "ada@example.com", "subject": "Where?", "direction": "in"}),
        json!({"type": "kustomer.message.create", "email": "ada@example.com", "text": "There.", "direction": "out"}),
        json!({"type": "kustomer.message.update", "email": "ada@example.com", "status": "error"}),
        json!({"type": "kustomer.conversation.update", "email": "ada@example.com", "priority": 5}),
        json!({"type": "kustomer.conversation.update", "email": "ada@example.com", "assigned_users": ["60000000000000000000b002"]}),
        json!({"type": "kustomer.conversation.update", "email": "ada@example.com", "status": "done"}),
        json!({"type": "kustomer.user.create", "name": "Kim"}),
        json!({"type": "kustomer.user.update", "name": "Robin"}),
        json!({"type": "kustomer.team.create", "name": "Night"}),
        json!({"type": "kustomer.team.update", "name": "Support, all day"}),
        json!({"type": "kustomer.tag.create", "name": "vip"}),
        json!({"type": "kustomer.tag.update", "name": "very important"}),
    ] {
        emulators.happen("kustomer", &event);
    }
    let state = emulators.state("kustomer");
    let closed = row(&state, "conversations", "status", "done")["id"].clone();
    emulators.happen("kustomer", &json!({"type": "kustomer.conversation.update", "conversation": closed, "status": "open"}));
    let mut wanted: BTreeSet<String> = TRIGGERS.iter().map(|name| (*name).to_owned()).collect();
    wanted.extend(["renamed", "urgent", "undelivered", "from open to done", "from done to open"].map(str::to_owned));
    eventually("each trigger has fired", || noted(&emulators).is_superset(&wanted).then_some(()));
    daemon.settled(1);
    assert_eq!(noted(&emulators), wanted, "and no other");
}

const EVERYTHING: &str = r#"
flow everything
  when stripe.charge_failed
  where customer_email is present
  do {
    kustomer.create_customer(email: customer_email, name: "Ada", phones: ["+15005550006"], external_id: "cus-1") as ada
    kustomer.create_customer(email: customer_email, name: "Other", if_exists: "update", tags: ["t1"]) as same
    kustomer.create_customer(email: customer_email, name: "Ignored") as again
    kustomer.create_customer(name: "No address") as nameless
    kustomer.update_customer(customer: nameless.id, name: "Somebody", emails: ["some@example.com"])
    kustomer.create_conversation(customer: ada.id, name: "Charge of {amount} failed", priority: 4) as thread
    kustomer.add_tag(conversation: thread.id, tag: "t1")
    kustomer.add_tag(conversation: thread.id, tag: "t2")
    kustomer.remove_tag(conversation: thread.id, tag: "t1")
    kustomer.update_conversation(conversation: thread.id, priority: 5, assigned_users: ["60000000000000000000b002"])
    kustomer.record_message(conversation: thread.id, text: "By phone", channel: "voice", app: "twilio", direction: "in")
    kustomer.create_message(conversation: thread.id, text: "By mail", channel: "email", app: "postmark")
    kustomer.create_draft(conversation: thread.id, text: "Dear Ada", channel: "email", app: "postmark")
    kustomer.send_message(conversation: thread.id, text: "We look at it", channel: "email", app: "postmark")
    kustomer.create_object(class: "order", title: "Order 1", customer: ada.id, external_id: "o-1") as order
    kustomer.create_object(class: "device", title: "Lamp")
    let by_mail = kustomer.find_customer(email: customer_email)
    let by_phone = kustomer.find_customer(phone: "+15005550006")
    let by_id = kustomer.find_customer(external_id: "cus-1")
    let nobody = kustomer.find_customer(email: "nobody@example.com")
    let hits = kustomer.search_customers(name: "Other")
    let threads = kustomer.search_conversations(priority_at_least: 5, customer_email: customer_email)
    let calm = kustomer.search_conversations(status: "done")
    let messages = kustomer.conversation_messages(conversation: thread.id)
    let found = kustomer.conversation(id: thread.id)
    kustomer.create_conversation(customer: ada.id, name: "Second", external_id: "thread-2") as second
    let again_found = kustomer.conversation(external_id: "thread-2")
    kustomer.record_customer_message(customer: ada.id, text: "At the counter", channel: "chat", app: "own")
    let own = kustomer.customer_conversations(customer: ada.id)
    let others = { "or": [{ customer_name: { "contains": "Other" } }, { customer_name: { "contains": "Somebody" } }] }
    let chosen = kustomer.search_customers_where(criteria: others, limit: 1)
    let counted = kustomer.count_customers(criteria: others)
    kustomer.close_conversation(conversation: thread.id)
    customerio.track_anonymous(
      event: "told",
      data: {
        same: same.id,
        again: again.name,
        by_mail: by_mail.id,
        by_phone: by_phone.id,
        by_id: by_id.id,
        nobody: nobody.id else "nobody",
        hits: length(hits),
        threads: length(threads),
        calm: length(calm),
        messages: length(messages),
        priority: found.priority,
        owner: order.customer,
        second: again_found.id is second.id,
        own: length(own),
        chosen: length(chosen),
        counted: counted.total,
      },
    )
  }
"#;

#[test]
fn each_action_and_query_does_what_it_says() {
    let emulators = Emulators::start();
    let daemon = start(&toml(&emulators, ""), EVERYTHING);
    charge(&daemon, "1");
    let runs = daemon.settled(1);
    assert_eq!(runs[0]["status"], "done", "{:#}", daemon.get(&format!("runs/{}", runs[0]["id"].as_str().unwrap())));
    let state = emulators.state("kustomer");
    let ada = row(&state, "customers", "externalId", "cus-1");
    assert_eq!(rows(&state, "customers").len(), 2, "{:#}", state["customers"]);
    assert_eq!(ada["attributes"]["name"], "Other", "`if_exists` changed who was there");
    assert_eq!(ada["attributes"]["emails"][0]["email"], "ada+shop@example.com");
    assert_eq!(ada["attributes"]["phones"][0]["phone"], "+15005550006");
    assert_eq!(row(&state, "customers", "name", "Somebody")["attributes"]["emails"][0]["email"], "some@example.com");
    let thread = row(&state, "conversations", "name", "Charge of 19.99 USD failed");
    assert_eq!((&thread["attributes"]["tags"], &thread["attributes"]["priority"]), (&json!(["t2"]), &json!(5)));
    assert_eq!(thread["attributes"]["status"], "done");
    let texts: BTreeSet<&str> = rows(&state, "messages").iter().filter_map(|row| row["attributes"]["preview"].as_str()).collect();
    assert!(texts.is_superset(&BTreeSet::from(["By phone", "By mail", "At the counter"])), "{texts:?}");
    // One draft is for an agent, the other is going to be delivered.
    let scheduled = |draft: &Json| draft["attributes"]["scheduled"] == true;
    let loose: Vec<_> = rows(&state, "drafts").iter().filter(|draft| !scheduled(draft)).collect();
    assert_eq!((loose.len(), &loose[0]["attributes"]["body"]), (1, &json!("Dear Ada")));
    let sent = rows(&state, "drafts").iter().filter(|draft| scheduled(draft)).count();
    assert_eq!(sent + texts.iter().filter(|text| **text == "We look at it").count(), 1, "{:#}", state["drafts"]);
    assert_eq!(row(&state, "notes", "body", "Charge of 19.99 USD failed")["type"], "note");
    assert_eq!(row(&state, "kobjects", "externalId", "o-1")["attributes"]["title"], "Order 1");
    assert_eq!(row(&state, "kobjects", "title", "Lamp")["type"], "kobject");
    let told = emulators.state("customerio")["track_events"][0]["data"].clone();
    let expected = json!({
        "same": ada["id"], "again": "Other", "by_mail": ada["id"], "by_phone": ada["id"], "by_id": ada["id"], "nobody": "nobody",
        "hits": 1, "threads": 1, "calm": 0, "messages": 2, "priority": 5, "owner": ada["id"],
        "second": true, "own": 3, "chosen": 1, "counted": 2,
    });
    assert_eq!(told, expected);
}

/// A note has no key: one of before with the same text is another, and must not stand in for the one that got lost.
#[test]
fn a_note_that_got_lost_is_not_taken_for_an_older_one() {
    for skew in [0, 3600, -3600] {
        let emulators = Emulators::ahead_by(skew);
        let secrets = flow_sandbox::Sandbox::secrets("kustomer");
        let key = format!("Bearer {}", secrets.iter().find(|(name, _)| *name == "api_key").unwrap().1);
        let base = emulators.base_url("kustomer");
        let host = base.match_indices('/').nth(2).map_or(base.as_str(), |(at, _)| &base[..at]);
        let ask = |path: &str, body: &Json| {
            let headers = [("content-type", "application/json"), ("authorization", key.as_str())];
            let answer = http::send(host, "POST", path, &headers, body.to_string().as_bytes());
            assert_eq!(answer.status, 201, "{path}: {}", answer.body);
            answer.json()
        };
        let made = ask("/v1/customers", &json!({ "name": "Ada" }));
        let thread = ask("/v1/conversations", &json!({ "customer": made["data"]["id"], "name": "Old" }));
        let thread = thread["data"]["id"].as_str().unwrap();
        let notes = format!("/v1/conversations/{thread}/notes");
        // A minute ago, by the service's clock.
        let old = jiff::Timestamp::now().checked_add(jiff::SignedDuration::from_secs(skew - 60)).unwrap();
        ask(&notes, &json!({ "body": "Payment failed", "createdAt": format!("{old:.3}") }));
        let flow =
            format!("when stripe.charge_failed do kustomer.add_note(conversation: \"{thread}\", text: \"Payment failed\")\n");
        let daemon = start(&toml(&emulators, ""), &flow);
        let lose = |after_effect: bool| {
            let asked = json!({ "method": "POST", "path": notes });
            let rule = json!({ "match": asked, "fault": "status", "status": 502, "times": 1, "after_effect": after_effect });
            emulators.fault("kustomer", &rule);
        };
        let held = || rows(&emulators.state("kustomer"), "notes").len();
        // Not made, which nobody can know: it is made.
        lose(false);
        charge(&daemon, "1");
        assert_eq!(daemon.settled(1)[0]["status"], "done");
        assert_eq!(held(), 2, "{skew}");
        // Made, which nobody can know either: it is found.
        lose(true);
        charge(&daemon, "2");
        assert!(daemon.settled(2).iter().all(|run| run["status"] == "done"));
        assert_eq!(held(), 3, "{skew}");
    }
}

#[test]
fn a_customer_who_is_there_already_can_be_a_reason_to_fail() {
    let emulators = Emulators::start();
    let flow = "flow new when stripe.charge_failed where customer_email is present do kustomer.create_customer(email: customer_email, name: \"First {id}\", if_exists: \"fail\")\n";
    let daemon = start(&toml(&emulators, ""), flow);
    charge(&daemon, "1");
    assert_eq!(daemon.settled(1)[0]["status"], "done");
    charge(&daemon, "2");
    let runs = daemon.settled(2);
    let failed = runs.iter().find(|run| run["event"] == "evt_2").unwrap();
    assert_eq!(failed["status"], "dead", "{failed:#}");
    assert!(failed["reason"].as_str().unwrap().contains("is there already"), "{failed:#}");
    let state = emulators.state("kustomer");
    let all = rows(&state, "customers");
    assert_eq!((all.len(), &all[0]["attributes"]["name"]), (1, &json!("First ch_1")), "{all:#?}");
}

#[test]
fn what_our_own_key_did_can_be_left_out() {
    let flows = "flow opens when stripe.charge_failed do kustomer.create_conversation\n\
                 flow hears when kustomer.conversation_created do customerio.track_anonymous(event: \"heard\", data: { name: name })\n";
    for (setting, heard) in [("", 2), (&*format!("machine_user = \"{MACHINE_USER}\"\n"), 1)] {
        let emulators = Emulators::start();
        let daemon = start(&toml(&emulators, setting), flows);
        listen(&emulators, &daemon);
        charge(&daemon, "1");
        eventually("the conversation is open", || {
            let state = emulators.state("kustomer");
            // All that comes of it was sent before what follows.
            (rows(&state, "conversations").len() == 1 && rows(&state, "notes").len() == 1).then_some(())
        });
        emulators.happen(
            "kustomer",
            &json!({"type": "kustomer.conversation.create", "email": "bob@example.com", "subject": "By hand"}),
        );
        let wanted = 1 + heard;
        let runs = daemon.settled(wanted);
        assert_eq!(runs.len(), wanted, "{runs:#?}");
        let state = emulators.state("customerio");
        let names: Vec<_> = rows(&state, "track_events").iter().map(|row| row["data"]["name"].as_str().unwrap()).collect();
        assert!(names.len() == heard && names.contains(&"By hand"), "{names:?}");
    }
}

fn signature(body: &[u8]) -> String {
    let mut mac = <hmac::Hmac<sha2::Sha256> as KeyInit>::new_from_slice(TOKEN.as_bytes()).unwrap();
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

#[test]
fn events_are_taken_when_signed_and_once() {
    let emulators = Emulators::start();
    let flow = "when kustomer.tag_created do customerio.track_anonymous(event: \"{name else \"none\"}\")\n";
    let daemon = start(&toml(&emulators, ""), flow);
    let post = |signature: &str, body: &[u8]| {
        let headers = [("content-type", "application/json"), ("x-kustomer-webhook-signature", signature)];
        http::send(&daemon.server, "POST", "/v1/webhooks/kustomer", &headers, body).status
    };
    let event = |id: &str| {
        let data = json!({"type": "tag", "id": "60000000000000000000d001", "attributes": {"name": "Größe – こんにちは"}});
        json!({"id": id, "name": "kustomer.tag.create", "createdAt": "2026-11-22T12:00:00.000Z", "changes": null, "data": data})
            .to_string()
            + "\r\n"
    };
    let body = event("1").into_bytes();
    let right = signature(&body);
    for (what, wrong) in [
        ("upper case", right.to_uppercase()),
        ("too long", format!("{right}00")),
        ("none", String::new()),
        ("of something else", signature(b"{}")),
    ] {
        assert_eq!(post(&wrong, &body), 401, "{what}");
    }
    assert_eq!(post(&right, &[&body[..], b" "].concat()), 401);
    // Signed, and no JSON.
    let text = b"signed, but \xff no JSON";
    assert_eq!(post(&signature(text), text), 400);
    // Twice is once; the line end belongs to what is signed.
    assert_eq!((post(&right, &body), post(&right, &body)), (200, 200));
    assert_eq!(daemon.settled(1).len(), 1);
    assert_eq!(noted(&emulators), BTreeSet::from(["Größe – こんにちは".to_owned()]));
}

#[test]
fn what_got_lost_is_looked_up_and_errors_are_told_in_both_forms() {
    let emulators = Emulators::start();
    let flows = "flow opens when stripe.charge_failed do kustomer.create_conversation\n\
                 flow plain when stripe.charge_failed do kustomer.update_customer(customer: \"60000000000000000000e001\", name: \"x\")\n\
                 flow sourced when stripe.charge_failed do kustomer.create_customer(name: \"Eve\", custom: { nobodyKnowsThis: 1 })\n";
    let mut daemon = start(&toml(&emulators, ""), flows);
    emulators.fault("kustomer", &json!({"match": {"method": "POST", "path": "/v1/conversations"}, "fault": "timeout_after_effect", "times": 1, "delay_ms": 60_000}));
    let plain = json!({"errors": [{"code": "bad_request", "message": "Customers rest on Sundays", "meta": {}}]});
    emulators.fault(
        "kustomer",
        &json!({"match": {"method": "PATCH", "path": "/v1/customers"}, "fault": "status", "status": 400, "body": plain}),
    );
    charge(&daemon, "1");
    eventually("the conversation is there", || (rows(&emulators.state("kustomer"), "conversations").len() == 1).then_some(()));
    daemon.kill();
    daemon.launch();
    let runs = daemon.settled(3);
    let of = |flow: &str| {
        let run = runs.iter().find(|run| run["flow"] == flow).unwrap();
        daemon.get(&format!("runs/{}", run["id"].as_str().unwrap()))
    };
    assert_eq!(of("opens")["status"], "done", "{:#}", of("opens"));
    let state = emulators.state("kustomer");
    assert_eq!((rows(&state, "conversations").len(), rows(&state, "notes").len()), (1, 1), "neither is made twice");
    // An address with a plus is one piece of the path.
    let asked = rows(&state, "calls").iter().any(|call| call["path"] == "/v1/customers/email=ada%2Bshop%40example.com");
    assert!(asked, "{:#}", state["calls"]);
    for (flow, words) in [("plain", "Customers rest on Sundays"), ("sourced", "additionalProperties")] {
        let run = of(flow);
        assert!(run["status"] == "dead" && run.to_string().contains(words), "{run:#}");
    }
}

/// By the address the customer is found or made, and nothing is made twice, whenever the daemon dies.
#[test]
fn a_conversation_is_opened_by_an_address() {
    let emulators = Emulators::start();
    let flow = "flow opens when stripe.charge_failed where customer_email is present do kustomer.create_conversation(email: customer_email, name: \"By mail\", note: \"Look\")\n";
    let mut daemon = start(&toml(&emulators, ""), flow);
    for path in ["/v1/customers", "/v1/conversations", "/v1/conversations/*/notes"] {
        emulators.fault(
            "kustomer",
            &json!({"match": {"method": "POST", "path": path}, "fault": "timeout_after_effect", "times": 1, "delay_ms": 60_000}),
        );
    }
    charge(&daemon, "1");
    // Each is done, and its answer never comes.
    for list in ["customers", "conversations", "notes"] {
        eventually(list, || (rows(&emulators.state("kustomer"), list).len() == 1).then_some(()));
        daemon.kill();
        daemon.launch();
    }
    assert_eq!(daemon.settled(1)[0]["status"], "done");
    // Who is known is not made once more.
    charge(&daemon, "2");
    assert!(daemon.settled(2).iter().all(|run| run["status"] == "done"));
    let state = emulators.state("kustomer");
    let count = |list: &str| rows(&state, list).len();
    assert_eq!((count("customers"), count("conversations"), count("notes")), (1, 2, 2), "{state:#}");
    let customer = &rows(&state, "customers")[0];
    assert_eq!(customer["attributes"]["emails"][0]["email"], "ada+shop@example.com");
    assert!(
        rows(&state, "conversations").iter().all(|thread| thread["relationships"]["customer"]["data"]["id"] == customer["id"])
    );
}
