//! ReferralCandy through the real daemon: what is signed and sent, what is polled for, and purchases that are not registered twice.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value as Json, json};

use crate::support::daemon::Daemon;
use crate::support::sandbox::Emulators;
use crate::support::{eventually, http, stripe};

/// flow.toml for a shop at these emulators.
fn toml(emulators: &Emulators) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.stripe]\nwebhook_secret = {{ env = \"TEST_WEBHOOK_SECRET\" }}\n[connections.referralcandy]\n{}",
        emulators.settings("referralcandy")
    )
}

const FIXTURES: [(&str, &str); 4] = [
    ("fixtures/referralcandy.advocate_joined.json", include_str!("../../connectors/fixtures/referralcandy.advocate_joined.json")),
    (
        "fixtures/referralcandy.referral_confirmed.json",
        include_str!("../../connectors/fixtures/referralcandy.referral_confirmed.json"),
    ),
    ("fixtures/referralcandy.referral_made.json", include_str!("../../connectors/fixtures/referralcandy.referral_made.json")),
    ("fixtures/referralcandy.reward_created.json", include_str!("../../connectors/fixtures/referralcandy.reward_created.json")),
];

/// The connector itself, told to be quicker: a test has no ten minutes for a poll, nor a second for each of some dozen calls.
fn start(toml: &str, flow: &str) -> Daemon {
    let source = include_str!("../../connectors/referralcandy.flow");
    let mut quick = source.to_owned();
    for (from, to) in [("limit 1 per second", "limit 100 per second"), ("every 10 minutes", "every 200 milliseconds")] {
        assert!(quick.contains(from), "{from}");
        quick = quick.replace(from, to);
    }
    let mut files = vec![("flow.toml", toml), ("main.flow", flow), ("referralcandy.flow", quick.as_str())];
    files.extend(FIXTURES);
    Daemon::start_with(&files, &["--allow-literal-secrets"])
}

fn charge(daemon: &Daemon, number: &str, minor: i64, currency: &str) {
    let body = stripe::charge_failed(number, minor, currency, Some("friend+shop@example.com")).to_string();
    assert_eq!(stripe::post(&daemon.server, &body).status, 200);
}

fn rows<'a>(state: &'a Json, list: &str) -> Vec<&'a Json> {
    state[list].as_array().unwrap().iter().collect()
}

const EVERYTHING: &str = r#"
flow everything
  when stripe.charge_failed
  where customer_email is present
  do {
    referralcandy.signup(email: "ada@example.com", first_name: "Ada", last_name: "Núñez & Söhne = 1+1")
    referralcandy.signup(email: "ada@example.com", first_name: "Ada", last_name: "Again") as again
    referralcandy.create_purchase(
      email: customer_email,
      first_name: "Jürgen \"J\" O'Neil",
      amount: amount,
      discount_code: "WELCOME 10%",
      referrer_id: again.invite_code,
      order_id: "A-1001",
      user_agent: "Mozilla/5.0 (X11; Linux) = & +",
    ) as bought
    # allow W407: nobody is to be credited
    referralcandy.create_purchase(email: "other@example.com", first_name: "O", amount: 5_000 JPY, accepts_marketing: true, locale: "pt-BR")
    # allow W407: nobody is to be credited
    referralcandy.create_purchase(email: "other@example.com", first_name: "O", amount: 1.5 KWD)
    let who = referralcandy.referrer(email: customer_email)
    let nobody = referralcandy.referrer(email: "other@example.com")
    let made = referralcandy.referrals(since: event.at - 24 hours)
    let people = referralcandy.contacts(limit: 2)
    referralcandy.referral(email: customer_email, notify: true)
    referralcandy.set_unsubscribed(email: "other@example.com", unsubscribed: true)
    let earned = referralcandy.rewards(email: "rich@example.com", status: "pending_fulfillment")
    for reward in earned up to 5 { referralcandy.update_reward(id: require reward.id, status: "delivered") }
    let fine = referralcandy.verify()
    referralcandy.invite(email: "guest@example.com")
    referralcandy.signup(
      email: "told@example.com",
      first_name: "{nobody else "nobody"}-{length(made)}-{length(people)}-{length(earned)}",
      last_name: "x",
    )
    require who
    require fine.message
  }
"#;

#[test]
fn each_action_and_query_does_what_it_says() {
    let emulators = Emulators::start();
    emulators.happen("referralcandy", &json!({"type": "reward", "email": "rich@example.com", "kind": "cash"}));
    let daemon = start(&toml(&emulators), EVERYTHING);
    charge(&daemon, "1", 1999, "usd");
    let runs = daemon.settled(1);
    assert_eq!(runs[0]["status"], "done", "{:#}", daemon.get(&format!("runs/{}", runs[0]["id"].as_str().unwrap())));
    let state = emulators.state("referralcandy");
    let purchases = rows(&state, "purchases");
    let told: Vec<_> =
        purchases.iter().map(|row| (row["invoice_amount"].as_str().unwrap(), row["currency_code"].as_str().unwrap())).collect();
    assert_eq!(told, [("19.99", "USD"), ("5000", "JPY"), ("1.500", "KWD")], "major units, by the currency");
    let first = &purchases[0]["parameters"];
    assert_eq!(
        (&first["first_name"], &first["user_agent"]),
        (&json!("Jürgen \"J\" O'Neil"), &json!("Mozilla/5.0 (X11; Linux) = & +"))
    );
    // Nothing that ReferralCandy would take for a yes, and nothing that it has to have is left out.
    assert_eq!(
        (&first["accepts_marketing"], &first["browser_ip"], &first["external_reference_id"]),
        (&json!("false"), &json!(""), &json!("A-1001"))
    );
    assert_eq!((&purchases[1]["accepts_marketing"], &purchases[1]["parameters"]["locale"]), (&json!(true), &json!("pt-BR")));
    assert!(first["order_timestamp"].as_str().unwrap().parse::<i64>().is_ok());
    // Without a number of its own an order has the key of its step, which no other has.
    let (second, third) = (&purchases[1]["external_reference_id"], &purchases[2]["external_reference_id"]);
    assert!(second.as_str().unwrap().len() > 10 && second != third, "{second} {third}");
    assert_eq!(purchases[0]["advocate"], "ada@example.com");
    assert!(purchases[1]["advocate"].is_null());
    let referral = rows(&state, "referrals")[0];
    assert_eq!((&referral["referring_email"], &referral["returned"]), (&json!("ada@example.com"), &json!(true)));
    assert_eq!(rows(&state, "rewards")[0]["status"], "delivered");
    let mails: Vec<_> =
        rows(&state, "mails").iter().map(|mail| (mail["kind"].as_str().unwrap(), mail["to"].as_str().unwrap())).collect();
    assert_eq!(mails, [("returned", "ada@example.com"), ("invite", "guest@example.com")]);
    let told = rows(&state, "contacts").into_iter().find(|row| row["email"] == "told@example.com").unwrap();
    assert_eq!(told["first_name"], "nobody-1-2-1");
    let ada = rows(&state, "contacts").into_iter().find(|row| row["email"] == "ada@example.com").unwrap();
    assert_eq!(ada["last_name"], "Núñez & Söhne = 1+1", "whoever is there already stays as they are");
    assert!(rows(&state, "contacts").iter().any(|row| row["email"] == "other@example.com" && row["unsubscribed"] == true));
    // Everything that is personal goes in the form, and nothing of it into the address.
    let calls = rows(&state, "calls");
    let posts: Vec<_> = calls.iter().filter(|call| call["method"] == "POST").collect();
    assert!(posts.iter().all(|call| call["query"] == json!([]) && call["status"] == 200), "{posts:#?}");
    assert!(posts.iter().all(|call| call["path"].as_str().unwrap().starts_with("/api/v1/")));
}

#[test]
fn a_purchase_whose_answer_is_lost_is_not_registered_again() {
    let emulators = Emulators::start();
    let flow = "flow bought when stripe.charge_failed where customer_email is present do referralcandy.create_purchase(email: customer_email, first_name: \"F\", amount: amount, discount_code: \"X\")\n";
    let mut daemon = start(&toml(&emulators), flow);
    emulators.fault(
        "referralcandy",
        &json!({"match": {"path": "/api/v1/purchase.json"}, "fault": "timeout_after_effect", "times": 1, "delay_ms": 60_000}),
    );
    charge(&daemon, "1", 100, "usd");
    eventually("the purchase is registered", || (rows(&emulators.state("referralcandy"), "purchases").len() == 1).then_some(()));
    daemon.kill();
    daemon.launch();
    let runs = daemon.settled(1);
    assert_eq!(runs[0]["status"], "dead", "a person decides: {runs:#?}");
    // Another event of the same sort goes through.
    charge(&daemon, "2", 200, "usd");
    assert_eq!(daemon.settled(2).iter().filter(|run| run["status"] == "done").count(), 1);
    assert_eq!(rows(&emulators.state("referralcandy"), "purchases").len(), 2);
}

#[test]
fn a_refused_key_says_what_may_be_wrong_and_a_suspended_shop_stops_the_connection() {
    let emulators = Emulators::start();
    let settings = toml(&emulators).replace("secret_key = \"", "secret_key = \"wrong-");
    let flow = "flow invited when stripe.charge_failed do referralcandy.invite(email: \"a@example.com\")\n";
    let parked = |daemon: &Daemon, words: &[&str]| {
        eventually("the connection is broken", || {
            let run = daemon.runs().first().cloned()?;
            let run = daemon.get(&format!("runs/{}", run["id"].as_str()?));
            let text = run.to_string();
            (run["status"] == "parked" && words.iter().all(|word| text.contains(word))).then_some(())
        });
    };
    let daemon = start(&settings, flow);
    charge(&daemon, "1", 100, "usd");
    parked(&daemon, &["Invalid Credentials", "Access ID", "secret key", "clock"]);
    drop(daemon);
    assert!(rows(&emulators.state("referralcandy"), "mails").is_empty());

    let daemon = start(&toml(&emulators), flow);
    emulators.fault("referralcandy", &json!({"match": {"path": "/api/v1/invite.json"}, "fault": "status", "status": 403, "body": {"message": "Account suspended: unpaid"}}));
    charge(&daemon, "1", 100, "usd");
    parked(&daemon, &["Account suspended: unpaid"]);
}

// ------------------------------------------------------------------------------------------------ polls

/// What happened stands in the names of buyers.
fn listening() -> String {
    [
        ("made", "referral_made", "", "made-{reference else \"none\"}"),
        ("of_ada", "referral_made(advocate: \"ada@example.com\")", "", "of-ada"),
        ("confirmed", "referral_confirmed", "", "confirmed-{reference else \"none\"}"),
        ("earned", "reward_created(kind: \"coupon\")", "", "reward-{id else 0}"),
        ("joined", "advocate_joined", "where email is present", "joined-{email}"),
    ]
    .iter()
    .map(|(name, trigger, condition, told)| {
        format!(
            "flow {name} when referralcandy.{trigger} {condition} do referralcandy.create_purchase(email: \"sink@example.com\", first_name: \"{told}\", amount: 1 USD, discount_code: \"NONE\")\n"
        )
    })
    .collect()
}

fn told(emulators: &Emulators) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for purchase in rows(&emulators.state("referralcandy"), "purchases") {
        *found.entry(purchase["parameters"]["first_name"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    found
}

/// Waits until every source was read after now.
fn looked(daemon: &Daemon) {
    let seen = |daemon: &Daemon| -> Option<Vec<String>> {
        let status = daemon.ask(&["status"]);
        let connection = status["connections"].as_array()?.iter().find(|one| one["name"] == "referralcandy")?.clone();
        let polls = connection["polls"].as_array()?.clone();
        (polls.len() == 4).then(|| polls.iter().map(|poll| poll["polled_at"].as_str().unwrap_or_default().to_owned()).collect())
    };
    let before = eventually("there are four polls", || seen(daemon));
    eventually("each has looked", || {
        let now = seen(daemon)?;
        now.iter().zip(&before).all(|(now, before)| now > before).then_some(())
    });
}

#[test]
fn what_is_new_starts_flows_once_and_what_is_old_never_does() {
    let emulators = Emulators::start();
    emulators.happen("referralcandy", &json!({"type": "contact", "email": "sink@example.com"}));
    // More than a page of what is old.
    emulators.happen("referralcandy", &json!({"type": "contact", "email": "old@example.com", "count": 205}));
    emulators.happen("referralcandy", &json!({"type": "reward", "email": "old@example.com", "count": 205}));
    emulators.happen(
        "referralcandy",
        &json!({"type": "referral", "email": "old@example.com", "advocate": "ada@example.com", "reference": "old"}),
    );
    emulators.happen(
        "referralcandy",
        &json!({"type": "referral", "email": "waiting@example.com", "advocate": "bob@example.com", "reference": "w"}),
    );
    let settings = toml(&emulators);
    // What happened in the second of a start counts as after it.
    let second = jiff::Timestamp::now().as_second();
    eventually("another second begins", || (jiff::Timestamp::now().as_second() > second).then_some(()));
    let mut daemon = start(&settings, &listening());
    looked(&daemon);
    assert_eq!(told(&emulators), BTreeMap::new(), "the first look only sets the cursor");

    emulators.happen("referralcandy", &json!({"type": "contact", "email": "new@example.com", "count": 120}));
    emulators.happen("referralcandy", &json!({"type": "contact", "email": "bob@example.com", "first_name": "Bob"}));
    emulators.happen(
        "referralcandy",
        &json!({"type": "referral", "email": "one@example.com", "advocate": "ada@example.com", "reference": "r1"}),
    );
    emulators.happen(
        "referralcandy",
        &json!({"type": "referral", "email": "two@example.com", "advocate": "bob@example.com", "reference": "r2"}),
    );
    // An old one whose time is over makes a coupon; a reward of cash is of no interest.
    emulators.happen("referralcandy", &json!({"type": "review", "email": "waiting@example.com"}));
    emulators.happen("referralcandy", &json!({"type": "reward", "email": "ada@example.com", "kind": "cash"}));
    let wanted = |found: &BTreeMap<String, usize>| {
        let there = ["made-r1", "made-r2", "of-ada", "confirmed-w", "joined-bob@example.com"];
        let rewards = found.keys().filter(|to| to.starts_with("reward-")).count();
        let joined = found.keys().filter(|to| to.starts_with("joined-new")).count();
        there.iter().all(|to| found.contains_key(*to)) && (rewards, joined) == (1, 120)
    };
    eventually("all that is new was noticed", || wanted(&told(&emulators)).then_some(()));
    // Neither another look nor another start brings anything again.
    looked(&daemon);
    daemon.terminate();
    daemon.launch();
    looked(&daemon);
    daemon.settled(126);
    let found = told(&emulators);
    assert!(found.values().all(|times| *times == 1), "{found:#?}");
    assert_eq!(found.len(), 126, "{found:#?}");
    // The lists were read from where they had been read to, not from their beginning.
    let state = emulators.state("referralcandy");
    let last = rows(&state, "calls").into_iter().rev().find(|call| call["path"] == "/api/v1/contacts.json").unwrap();
    let id = last["query"].as_array().unwrap().iter().find(|pair| pair[0] == "id").unwrap();
    assert!(id[1].as_str().unwrap().parse::<i64>().unwrap() > 300, "{last:#}");
}

// ------------------------------------------------------------------------------------------------ vectors

/// Calls of known secrets at known seconds, offered to the emulator: what the shop's own libraries send has to be what we send.
#[test]
fn the_signature_is_that_of_the_vendors_clients() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/referralcandy/signatures.json");
    let Ok(text) = std::fs::read_to_string(path) else { return };
    let data: Json = serde_json::from_str(&text).unwrap();
    let mut cases = 0;
    for case in data["cases"].as_array().unwrap() {
        let text = |name: &str| case[name].as_str().unwrap();
        let mut pairs: Vec<(String, String)> = case["params"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
            .collect();
        pairs.push(("accessID".to_owned(), text("access_id").to_owned()));
        pairs.push(("timestamp".to_owned(), case["unix_seconds"].to_string()));
        assert_eq!(
            flow_functions::md5_sorted(text("secret_key"), &pairs),
            case["expect"]["signature"].as_str().unwrap(),
            "{}",
            case["name"]
        );
        cases += 1;
    }
    assert!(cases >= 5);
    // And the emulator refuses a clock that is off, a changed value, and a signature in capitals.
    let emulators = Emulators::start();
    let base = emulators.base_url("referralcandy");
    let (access, secret) = ("referralcandy_sandbox_access", "referralcandy_sandbox_secret_key_00000");
    let ask = |seconds: i64, changed: bool, upper: bool| {
        let mut pairs = vec![("accessID".to_owned(), access.to_owned()), ("timestamp".to_owned(), seconds.to_string())];
        let mut signature = flow_functions::md5_sorted(secret, &pairs);
        if upper {
            signature = signature.to_uppercase();
        }
        if changed {
            pairs.push(("extra".to_owned(), "1".to_owned()));
        }
        pairs.push(("signature".to_owned(), signature));
        let query: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        http::send(&base, "GET", &format!("/api/v2/verify.json?{}", query.join("&")), &[], b"").status
    };
    let now = jiff::Timestamp::now().as_second();
    assert_eq!(ask(now, false, false), 200);
    assert_eq!([ask(now - 600, false, false), ask(now, true, false), ask(now, false, true)], [401, 401, 401]);
}
