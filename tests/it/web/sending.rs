//! `webhook.send`: Standard Webhooks, signed anew at each attempt.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flow_plan::{Env, Value as Plain};
use flow_runtime::eval::Scope;
use flow_runtime::request::build;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{doing, error, run_of, send};
use crate::support::eventually;
use crate::support::recorder::{Arrived, Recorder, raw};
use crate::wire::{compile, connection, operation, shared};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const STEP: &str =
    "partner.send(type: \"order.paid\", data: { order: body.order }) as sent\nstop because \"{sent.id} {sent.status}\"";

fn partner(service: &Recorder) -> String {
    format!(
        "[connections.partner]\nconnector = \"webhook\"\nsecret = {{ file = \"secrets/partner\" }}\nendpoint = \"{}/hooks\"\n",
        service.url
    )
}

/// What a receiver does, by hand.
fn verify(arrived: &Arrived) -> (String, i64) {
    let header = |name| arrived.header(name).unwrap_or_else(|| panic!("{name} is missing"));
    let (id, at) = (header("webhook-id"), header("webhook-timestamp"));
    let key = STANDARD.decode(SECRET.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{id}.{at}.{}", arrived.body).as_bytes());
    assert_eq!(header("webhook-signature"), format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())));
    (id.to_owned(), at.parse().unwrap())
}

#[test]
fn a_message_is_signed_anew_at_each_attempt_under_one_id() {
    let receiver = Recorder::start_raw(|_, before| Some(raw(if before < 2 { 503 } else { 204 }, &[], "")));
    let daemon = doing(STEP, &partner(&receiver), &[("secrets/partner", SECRET)]);
    let run = run_of(&daemon, &json!({ "order": "o1" }));
    let arrived = receiver.arrived();
    assert_eq!(arrived.len(), 3, "{run:#}");
    let verified: Vec<(String, i64)> = arrived.iter().map(verify).collect();
    assert!(verified.iter().all(|(id, _)| *id == verified[0].0), "{verified:?}");
    // At once, then after five seconds.
    assert!(verified[2].1 - verified[1].1 >= 4, "{verified:?}");
    assert!(arrived.iter().all(|one| one.body == arrived[0].body), "the message itself stays");
    assert_eq!(run["reason"], format!("{} 204", verified[0].0), "{run:#}");
    let body = arrived[0].json();
    assert_eq!((&body["type"], &body["data"]), (&json!("order.paid"), &json!({ "order": "o1" })));
    assert!(body["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{body}");
    assert_eq!(arrived[0].line(), "POST /hooks");
}

#[test]
fn a_receiver_that_is_gone_is_not_asked_again() {
    let receiver = Recorder::start_raw(|_, _| Some(raw(410, &[], "")));
    let daemon = doing(STEP, &partner(&receiver), &[("secrets/partner", SECRET)]);
    let run = run_of(&daemon, &json!({ "order": "o1" }));
    assert_eq!((run["status"].as_str(), error(&run).as_str()), (Some("dead"), "410 Gone"));
    assert_eq!(receiver.arrived().len(), 1);
}

#[test]
fn a_receiver_that_asks_for_patience_keeps_nothing_from_the_others() {
    let busy = Recorder::start_raw(|_, _| Some(raw(429, &[("retry-after", "900")], "")));
    let ready = Recorder::start_raw(|_, _| Some(raw(200, &[], "")));
    let daemon = doing(
        "webhook.send(url: \"{require body.url}\", type: \"order.paid\", data: { order: 1 })",
        "[connections.webhook]\nsecret = { file = \"secrets/partner\" }\n[http]\nallow = [\"127.0.0.1\"]\n",
        &[("secrets/partner", SECRET)],
    );
    send(&daemon, &json!({ "url": busy.url }));
    eventually("the run waits", || {
        daemon.runs().into_iter().find(|run| run["status"] != "running").filter(|_| !busy.arrived().is_empty())
    });
    send(&daemon, &json!({ "url": ready.url }));
    eventually("the other one is done", || daemon.runs().into_iter().find(|run| run["status"] == "done"));
    assert_eq!((busy.arrived().len(), ready.arrived().len()), (1, 1));
}

#[test]
fn a_redirect_is_a_failure_and_nothing_goes_where_it_leads() {
    let elsewhere = Recorder::start_raw(|_, _| Some(raw(200, &[], "")));
    let location = format!("{}/stolen", elsewhere.url);
    let receiver = Recorder::start_raw(move |_, _| Some(raw(307, &[("location", location.as_str())], "")));
    let daemon = doing(STEP, &partner(&receiver), &[("secrets/partner", SECRET)]);
    send(&daemon, &json!({ "order": "o1" }));
    eventually("it is tried again", || (receiver.arrived().len() >= 2).then_some(()));
    assert_eq!(elsewhere.arrived().len(), 0);
    let path = format!("runs/{}", daemon.runs()[0]["id"].as_str().unwrap());
    // The attempt under way has no error yet.
    let run = eventually("an attempt has ended", || {
        let run = daemon.get(&path);
        run["steps"][0]["attempts"][0]["error"].is_string().then_some(run)
    });
    assert!(run["steps"][0]["attempts"][0]["error"].as_str().unwrap().contains("redirects are not followed"), "{run:#}");
}

#[test]
fn a_message_that_is_too_large_is_not_sent() {
    let receiver = Recorder::start_raw(|_, _| Some(raw(200, &[], "")));
    let daemon = doing(STEP, &partner(&receiver), &[("secrets/partner", SECRET)]);
    let run = run_of(&daemon, &json!({ "order": "x".repeat(20_000) }));
    assert!(error(&run).contains("at most 20000 may be sent"), "{run:#}");
    assert_eq!(receiver.arrived().len(), 0);
}

/// An address that an event chose leads nowhere but into the internet; only flow.toml may name another.
#[test]
fn an_address_of_an_event_is_not_within_the_network() {
    let inside = Recorder::start_raw(|_, _| Some(raw(200, &[], "")));
    let steps = "partner.send(url: \"{body.url else \"\"}\", type: \"x\")";
    let connection = "[connections.partner]\nconnector = \"webhook\"\nsecret = { file = \"secrets/partner\" }\n";
    let port = inside.url.rsplit(':').next().unwrap().to_owned();
    let addresses = [
        (inside.url.clone(), "not on the internet"),
        (format!("http://localhost:{port}/"), "not on the internet"),
        (format!("http://[::ffff:127.0.0.1]:{port}/"), "not on the internet"),
        ("http://169.254.169.254/latest/meta-data".to_owned(), "not on the internet"),
        ("http://0x7f.1/".to_owned(), "not on the internet"),
        ("file:///etc/passwd".to_owned(), "neither http"),
        ("http://user:pw@example.com/".to_owned(), "a user or a password"),
        (String::new(), "missing"),
    ];
    let daemon = doing(steps, connection, &[("secrets/partner", SECRET)]);
    for (url, told) in addresses {
        let run = run_of(&daemon, &json!({ "url": url }));
        assert_eq!(run["status"], "dead", "{url}");
        assert!(error(&run).contains(told), "{url}: {}", error(&run));
    }
    assert_eq!(inside.arrived().len(), 0);
}

/// One attempt with the id and the time of a vector.
struct Attempt<'a>(&'a Value);

impl Scope for Attempt<'_> {
    fn input(&self, _: u16) -> Plain {
        Plain::text(self.0["payload"].as_str().unwrap())
    }

    fn env(&self, env: &Env) -> Plain {
        match env {
            Env::SentAt => Plain::Instant(jiff::Timestamp::from_second(self.0["timestamp"].as_i64().unwrap()).unwrap()),
            Env::RunKey => Plain::text(self.0["id"].as_str().unwrap()),
            _ => Plain::Missing,
        }
    }
}

/// The signature of `webhook.send` over bodies that are given.
#[test]
fn signatures_are_those_of_the_specification() {
    let Some(data) = shared("standardwebhooks.json") else { return };
    let source = include_str!("../../../connectors/webhook.flow");
    let sign = source.split_once("sign {").and_then(|(_, rest)| rest.split_once("\n    }")).unwrap().0;
    let connector = format!(
        "connector raw \"Raw\" {{\n  secret secret\n  base \"https://example.com\"\n  action send(body_text: text) {{\n    POST \"/\" text body_text\n    sign {{{sign}\n    }}\n    effect keyed header \"webhook-id\" for 96 hours\n  }}\n}}\n"
    );
    let compilation = compile("raw", "raw", &[], &[&connector]);
    let cases = data["sign"].as_array().unwrap();
    assert!(cases.len() >= 6);
    for case in cases {
        let connection = connection(&compilation, "raw", &[("secret", case["secret"].as_str().unwrap())]);
        let made = build(&operation(&compilation, "raw", "send"), &connection, &Attempt(case)).unwrap();
        let header = |name: &str| made.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        assert_eq!(header("webhook-signature"), case["signature"].as_str(), "{}", case["name"]);
        assert_eq!(header("webhook-id"), case["id"].as_str());
        assert_eq!(header("webhook-timestamp"), Some(case["timestamp"].to_string().as_str()));
    }
}

/// An address below `base_url` is what the key is for: no value leads out of it, and none brings further parts or parameters.
#[test]
fn a_value_in_an_address_is_one_part_of_it_and_leads_nowhere_else() {
    let shop = Recorder::start(|_, _| Some((200, json!({}))));
    let connections = format!(
        "[connections.shop]\nconnector = \"http\"\nbase_url = \"{}/api/v1\"\ntoken = {{ file = \"secrets/shop\" }}\n",
        shop.url
    );
    let secrets = [("secrets/shop", "shop-token-of-the-test")];
    let part = doing("shop.delete(url: \"/baskets/{body.v else \"\"}?by={body.v else \"\"}\")", &connections, &secrets);
    for (value, wanted) in [
        ("7", Some("/api/v1/baskets/7?by=7")),
        ("7?force=true&x=", Some("/api/v1/baskets/7%3Fforce%3Dtrue%26x%3D?by=7%3Fforce%3Dtrue%26x%3D")),
        ("7#", Some("/api/v1/baskets/7%23?by=7%23")),
        ("a/b c", Some("/api/v1/baskets/a%2Fb%20c?by=a%2Fb%20c")),
        ("../../../admin/keys", None),
        ("%2e%2e/users/1", None),
        ("..\\..\\admin", None),
        ("..", None),
    ] {
        let before = shop.arrived().len();
        let run = run_of(&part, &json!({ "v": value }));
        let arrived = shop.arrived();
        match wanted {
            Some(path) => assert_eq!(arrived.last().map(|one| one.line()), Some(format!("DELETE {path}")), "{value:?} {run:#}"),
            None => assert_eq!((arrived.len(), run["status"].as_str()), (before, Some("dead")), "{value:?} {run:#}"),
        }
    }
    // A value that is the address may be anything.
    let whole = doing("shop.delete(url: \"{body.v else \"\"}\")", &connections, &secrets);
    let own = format!("{}/api/v1/baskets/1", shop.url);
    for (value, is_sent) in [
        ("/baskets/1", true),
        (own.as_str(), true),
        ("/../../admin", false),
        ("/%2e%2e/admin", false),
        ("/x/..%2f..%2fadmin", false),
        ("/%252e%252e/admin", false),
        ("/..\\admin", false),
        ("/\t../\n../admin", false),
        ("/..;/admin", false),
        ("//127.0.0.1/api/v1", false),
        ("{}/admin", false),
        ("{}/api/v10", false),
        ("{}/api/v1/../v2", false),
        ("{}/api/v1/..%2fv2", false),
    ] {
        let before = shop.arrived().len();
        let run = run_of(&whole, &json!({ "v": value.replace("{}", &shop.url) }));
        assert_eq!(shop.arrived().len() - before, usize::from(is_sent), "{value:?} {run:#}");
    }
    assert!(shop.arrived().iter().all(|one| one.path.starts_with("/api/v1/baskets/")), "{:?}", shop.arrived());
}
