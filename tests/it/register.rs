//! Webhooks that flowd registers with the emulated services: one for a connection, whatever happens meanwhile.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::daemon::Daemon;
use crate::support::http;
use crate::support::port::Port;
use crate::support::program::flowd;
use crate::support::recorder::Recorder;
use crate::support::sandbox::Emulators;
use crate::support::{eventually, leaks};

const FAILED: &str = "flow seen\nwhen stripe.charge_failed do { stop because \"seen\" }\n";
const BOTH: &str = "flow seen\nwhen stripe.charge_failed or stripe.new_customer do { stop because \"seen\" }\n";

/// The emulated services, and what a person does on their pages.
struct Shop {
    emulators: Emulators,
    /// Where flowd listens, which its public address has to say before it does.
    port: Port,
}

impl Shop {
    fn open() -> Self {
        Self { emulators: Emulators::start(), port: Port::reserve() }
    }

    fn toml(&self) -> String {
        let secret = |connector: &str, name: &str| {
            flow_sandbox::Sandbox::secrets(connector).iter().find(|(known, _)| *known == name).unwrap().1
        };
        format!(
            "[server]\nlisten = \"127.0.0.1:{0}\"\npublic_url = \"{1}\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\n[connections.stripe]\nkey = \"{2}\"\nbase_url = \"{3}\"\npoll = false\n\n[connections.kustomer]\napi_key = \"{4}\"\norg = \"acme\"\nbase_url = \"{5}\"\n",
            self.port.number,
            self.url(),
            secret("stripe", "key"),
            self.emulators.base_url("stripe"),
            secret("kustomer", "api_key"),
            self.emulators.base_url("kustomer"),
        )
    }

    fn url(&self) -> String {
        self.port.url()
    }

    fn start(&self, flow: &str) -> Daemon {
        Daemon::start_with(&[("flow.toml", &self.toml()), ("a.flow", flow)], &["--allow-literal-secrets"])
    }

    fn stripe(&self, method: &str, path: &str, form: &str) -> Value {
        self.ask("stripe", "key", method, path, "application/x-www-form-urlencoded", form)
    }

    fn kustomer(&self, method: &str, path: &str, body: &Value) -> Value {
        self.ask("kustomer", "api_key", method, path, "application/json", &body.to_string())
    }

    fn ask(&self, connector: &str, key: &str, method: &str, path: &str, kind: &str, body: &str) -> Value {
        let key = flow_sandbox::Sandbox::secrets(connector).iter().find(|(known, _)| *known == key).unwrap().1;
        let headers = [("authorization", &*format!("Bearer {key}")), ("content-type", kind)];
        let answer = http::send(&self.emulators.base_url(connector), method, path, &headers, body.as_bytes());
        assert!(answer.status < 300, "{method} {path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap_or_default()
    }

    /// The endpoints that Stripe has.
    fn endpoints(&self) -> Vec<Value> {
        // Asked as often as one likes: the API has 25 requests a second for everybody.
        self.emulators.state("stripe")["webhook_endpoints"].as_array().unwrap().clone()
    }

    /// Waits until there is one endpoint of which this holds, and returns it.
    fn one(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        eventually(what, || {
            let all = self.endpoints();
            let [one] = all.as_slice() else { return None };
            holds(one).then(|| one.clone())
        })
    }

    /// Waits until a webhook of Stripe has started a run that was not there before.
    fn delivers(&self, daemon: &Daemon) {
        let before = daemon.runs().len();
        self.emulators.happen("stripe", &json!({ "type": "charge.failed", "amount": 100, "currency": "usd" }));
        eventually("the webhook arrives", || (daemon.runs().len() > before).then_some(()));
    }
}

fn events(endpoint: &Value) -> Vec<String> {
    let mut events: Vec<String> =
        endpoint["enabled_events"].as_array().unwrap().iter().map(|event| event.as_str().unwrap().to_owned()).collect();
    events.sort();
    events
}

fn id(endpoint: &Value) -> String {
    endpoint["id"].as_str().unwrap().to_owned()
}

/// The record of Stripe's webhook, and the secret in it.
fn kept(daemon: &Daemon) -> Value {
    let file = daemon.path().join(".flow/secrets/stripe.events.json");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn one_endpoint_follows_the_flows_and_is_set_right_when_somebody_changed_it() {
    let shop = Shop::open();
    // Somebody else's, at the same place: it is left alone to the end.
    let other = format!("url={}/v1/webhooks/elsewhere&enabled_events[0]=charge.failed", shop.url());
    let foreign = id(&shop.stripe("POST", "/v1/webhook_endpoints", &other));
    let ours = || -> Option<Value> {
        let all = shop.endpoints();
        let mut ours: Vec<&Value> = all.iter().filter(|one| id(one) != foreign).collect();
        let one = ours.pop()?;
        (ours.is_empty() && all.len() == 2).then(|| one.clone())
    };
    let daemon = shop.start(FAILED);
    let made = eventually("it is registered", ours);
    assert_eq!(made["url"], format!("{}/v1/webhooks/stripe", shop.url()));
    assert_eq!((events(&made), &made["api_version"]), (vec!["charge.failed".to_owned()], &json!("2026-10-28.endive")));
    shop.delivers(&daemon);
    // The secret stands in one file, which is its owner's alone.
    let file = daemon.path().join(".flow/secrets/stripe.events.json");
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    let secret = eventually("it is known", || kept(&daemon)["current"]["secret"].as_str().map(str::to_owned));
    assert!(secret.starts_with("whsec_"));
    for entry in std::fs::read_dir(daemon.path().join(".flow")).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_file() {
            let bytes = std::fs::read(&entry).unwrap();
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{}", entry.display());
        }
    }
    assert!(!daemon.log().contains(&secret));
    let told = daemon.tell(&["status"]);
    assert!(told.out.contains(&format!("webhook events is registered: {} at ", id(&made))), "{told:?}");
    assert!(!told.out.contains(&secret) && !daemon.get("connections").to_string().contains(&secret));
    // Other events: the same endpoint, in place.
    std::fs::write(daemon.path().join("a.flow"), BOTH).unwrap();
    let changed = eventually("its events change", || ours().filter(|one| events(one).len() == 2));
    assert_eq!((id(&changed), events(&changed)), (id(&made), vec!["charge.failed".to_owned(), "customer.created".to_owned()]));
    // What somebody does on Stripe's pages is noticed, at a reload as every hour.
    let path = format!("/v1/webhook_endpoints/{}", id(&made));
    for drift in ["disabled=true", "enabled_events[0]=payout.paid", "url=https://example.com/elsewhere"] {
        shop.stripe("POST", &path, drift);
        assert_eq!(daemon.tell(&["reload"]).code, 0);
        eventually(drift, || {
            ours().filter(|one| one["status"] == "enabled" && one["url"] == made["url"] && events(one).len() == 2)
        });
    }
    assert_eq!(id(&ours().unwrap()), id(&made));
    shop.delivers(&daemon);
    shop.stripe("DELETE", &path, "");
    assert_eq!(daemon.tell(&["reload"]).code, 0);
    let again = eventually("it is made anew", ours);
    assert_ne!(id(&again), id(&made));
    shop.delivers(&daemon);
    assert!(shop.endpoints().iter().any(|one| id(one) == foreign));
}

/// A request whose answer was lost, a kill, a lost store: there is one, and flowd has its secret.
#[test]
fn there_is_one_endpoint_whatever_is_lost() {
    let shop = Shop::open();
    // Stripe has made it, and its answer never comes.
    let lost = json!({ "match": { "method": "POST", "path": "/v1/webhook_endpoints" }, "fault": "timeout_after_effect", "delay_ms": 600_000, "times": 1 });
    shop.emulators.fault("stripe", &lost);
    let mut daemon = shop.start(FAILED);
    let first = shop.one("Stripe has made it", |_| true);
    daemon.kill();
    daemon.launch();
    let second = shop.one("there is one that flowd knows", |one| kept(&daemon)["current"]["id"].as_str() == one["id"].as_str());
    shop.delivers(&daemon);
    assert_ne!(id(&first), id(&second));
    // What was known of it is lost.
    daemon.kill();
    std::fs::remove_dir_all(daemon.path().join(".flow/secrets")).unwrap();
    daemon.launch();
    let third = shop.one("another stands in its place", |one| id(one) != id(&second));
    eventually("it is known", || (kept(&daemon)["current"]["id"] == third["id"]).then_some(()));
    shop.delivers(&daemon);
    // A connection that breaks right behind the request, without a kill.
    let path = format!("/v1/webhook_endpoints/{}", id(&third));
    let broken = json!({ "match": { "method": "POST", "path": "/v1/webhook_endpoints" }, "fault": "reset", "after_effect": true, "times": 1 });
    shop.emulators.fault("stripe", &broken);
    shop.stripe("DELETE", &path, "");
    assert_eq!(daemon.tell(&["reload"]).code, 0);
    let known = |one: &Value| id(one) != id(&third) && kept(&daemon)["current"]["id"] == one["id"];
    shop.one("there is one again, and flowd knows it", known);
    shop.delivers(&daemon);
    // A restart makes nothing.
    let before = id(&shop.one("one", |_| true));
    daemon.kill();
    daemon.launch();
    shop.delivers(&daemon);
    assert_eq!(id(&shop.one("one", |_| true)), before);
    leaks::none_kept(daemon.path());
}

#[test]
fn disconnect_removes_it_and_connect_brings_it_back() {
    let shop = Shop::open();
    let mut daemon = shop.start(FAILED);
    let made = shop.one("it is registered", |_| true);
    let gone = daemon.tell(&["disconnect", "stripe"]);
    assert!(gone.code == 0 && gone.out.contains(&format!("removed at the service: {}", id(&made))), "{gone:?}");
    assert!(gone.err.is_empty() && shop.endpoints().is_empty(), "{gone:?}");
    // It does not come back by itself: not by a reload, not by a restart.
    assert_eq!(daemon.tell(&["reload"]).code, 0);
    daemon.kill();
    daemon.launch();
    let told = eventually("status says so", || {
        let told = daemon.tell(&["status"]);
        told.out.contains("is not registered, since `flowd disconnect` was said").then_some(told)
    });
    assert!(shop.endpoints().is_empty(), "{told:?}");
    let answer = http::send(&daemon.admin, "POST", "/api/v1/connections/stripe/connect", &[("x-flow-admin", "1")], b"");
    assert_eq!(answer.status, 200, "{answer:?}");
    let back = shop.one("it comes back", |_| true);
    assert_ne!(id(&back), id(&made));
    eventually("it is known", || (kept(&daemon)["current"]["id"] == back["id"]).then_some(()));
    // Without a daemon it is done all the same. Literal secrets are for tests, so the key comes from a file here.
    daemon.kill();
    let key = flow_sandbox::Sandbox::secrets("stripe")[0].1;
    std::fs::write(daemon.path().join("key"), key).unwrap();
    let toml = shop.toml().replace(&format!("key = \"{key}\""), "key = { file = \"key\" }");
    std::fs::write(daemon.path().join("flow.toml"), &toml).unwrap();
    let gone = flowd(daemon.path(), &["disconnect", "stripe"]);
    assert!(gone.code == 0 && gone.err.contains("no daemon runs"), "{gone:?}");
    assert!(gone.out.contains(&id(&back)) && shop.endpoints().is_empty(), "{gone:?}");
    let nothing = flowd(daemon.path(), &["disconnect", "stripe"]);
    assert!(nothing.code == 0 && nothing.out.contains("no webhook is registered"), "{nothing:?}");
    // A flow uses the connection: it is not forgotten from under it.
    let used = flowd(daemon.path(), &["disconnect", "stripe", "--forget", "--yes"]);
    assert!(used.code == 1 && used.err.contains("flows use `stripe`: seen"), "{used:?}");
    std::fs::write(daemon.path().join("a.flow"), "").unwrap();
    let unsaid = flowd(daemon.path(), &["disconnect", "stripe", "--forget"]);
    assert!(unsaid.code == 2 && unsaid.err.contains("`--yes`"), "{unsaid:?}");
    let forgotten = flowd(daemon.path(), &["disconnect", "stripe", "--forget", "--yes"]);
    assert_eq!(forgotten.code, 0, "{forgotten:?}");
    let left = std::fs::read_to_string(daemon.path().join("flow.toml")).unwrap();
    assert!(!left.contains("stripe") && left.contains("[connections.kustomer]"), "{left}");
    assert!(!daemon.path().join("key").exists());
}

#[test]
fn what_was_taken_out_of_flow_toml_before_its_webhook_went_is_said_and_can_be_forgotten() {
    let shop = Shop::open();
    let daemon = shop.start(FAILED);
    let made = id(&shop.one("it is registered", |one| kept(&daemon)["current"]["id"] == one["id"]));
    std::fs::write(daemon.path().join("a.flow"), "# None any more.\n").unwrap();
    let toml = shop.toml();
    let (before, rest) = toml.split_once("[connections.stripe]").unwrap();
    std::fs::write(daemon.path().join("flow.toml"), format!("{before}{}", &rest[rest.find("[connections").unwrap()..])).unwrap();
    assert_eq!(daemon.tell(&["reload"]).code, 0);
    let left = daemon.tell(&["disconnect", "stripe"]);
    assert!(left.code == 1 && left.err.contains(&made) && left.err.contains("--forget"), "{left:?}");
    let forgotten = daemon.tell(&["disconnect", "stripe", "--forget"]);
    assert!(forgotten.code == 0 && forgotten.out.contains(&made), "{forgotten:?}");
    assert!(!daemon.path().join(".flow/secrets/stripe.events.json").exists() && shop.endpoints().len() == 1);
    let nothing = daemon.tell(&["disconnect", "stripe"]);
    assert!(nothing.code == 0 && nothing.out.contains("no webhook is registered"), "{nothing:?}");
}

/// One for each connection, with a mark and a secret of its own; and what an older flowd has made for another version of the API is
/// made anew, since no service changes that.
#[test]
fn each_connection_has_an_endpoint_of_its_own_in_the_version_of_its_connector() {
    let shop = Shop::open();
    let key = flow_sandbox::Sandbox::secrets("stripe").iter().find(|(known, _)| *known == "key").unwrap().1;
    let second = format!(
        "{}\n[connections.second]\nconnector = \"stripe\"\nkey = \"{key}\"\nbase_url = \"{}\"\npoll = false\n",
        shop.toml(),
        shop.emulators.base_url("stripe")
    );
    let flows = format!("{FAILED}\nflow other\nwhen second.charge_failed do {{ stop because \"seen\" }}\n");
    let mut daemon = Daemon::start_with(&[("flow.toml", &second), ("a.flow", &flows)], &["--allow-literal-secrets"]);
    let record = |daemon: &Daemon, name: &str| -> Option<Value> {
        let text = std::fs::read_to_string(daemon.path().join(format!(".flow/secrets/{name}.events.json"))).ok()?;
        serde_json::from_str(&text).ok()
    };
    let known = |daemon: &Daemon, name: &str| {
        let all = shop.endpoints();
        let id = record(daemon, name)?["current"]["id"].clone();
        all.iter().find(|one| one["id"] == id).cloned()
    };
    let (first, other) =
        eventually("both are registered and known", || Some((known(&daemon, "stripe")?, known(&daemon, "second")?)));
    assert_eq!(shop.endpoints().len(), 2);
    assert!(first["url"] != other["url"] && first["metadata"]["flow_instance"] != other["metadata"]["flow_instance"]);
    let secret = |name: &str| record(&daemon, name).unwrap()["current"]["secret"].clone();
    assert_ne!(secret("stripe"), secret("second"));
    shop.delivers(&daemon);
    // As an older flowd would have left it.
    daemon.kill();
    shop.stripe("DELETE", &format!("/v1/webhook_endpoints/{}", id(&first)), "");
    let form = format!(
        "url={}&enabled_events[0]=charge.failed&api_version=2024-06-20&metadata[flow_instance]={}",
        first["url"].as_str().unwrap(),
        first["metadata"]["flow_instance"].as_str().unwrap()
    );
    let older = shop.stripe("POST", "/v1/webhook_endpoints", &form);
    let mut kept = record(&daemon, "stripe").unwrap();
    (kept["current"]["id"], kept["current"]["secret"]) = (older["id"].clone(), older["secret"].clone());
    std::fs::write(daemon.path().join(".flow/secrets/stripe.events.json"), kept.to_string()).unwrap();
    daemon.launch();
    let anew =
        eventually("it is made anew", || known(&daemon, "stripe").filter(|one| one["api_version"] == first["api_version"]));
    eventually("that of before is gone", || (shop.endpoints().len() == 2).then_some(()));
    assert!(anew["id"] != older["id"] && anew["metadata"] == first["metadata"]);
    assert_eq!(known(&daemon, "second").unwrap()["id"], other["id"]);
    shop.delivers(&daemon);
}

/// Services deliver at once: whoever takes it is there before they are asked to. What they say of an address is told as they say it.
#[test]
fn the_receiver_is_up_first_and_what_a_service_says_of_the_address_is_told() {
    let knocks = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&knocks);
    let service = Recorder::start(move |request, _| {
        if request.method != "POST" {
            return Some((200, json!({ "object": "list", "data": [], "has_more": false })));
        }
        let url = request.body.split('&').find_map(|pair| pair.strip_prefix("url=")).unwrap();
        let url = percent_encoding::percent_decode_str(url).decode_utf8().unwrap();
        let (server, path) = url.split_at(url.find("/v1/").unwrap());
        heard.lock().unwrap().push(http::send(server, "POST", path, &[], b"{}").status);
        Some((200, json!({ "id": "we_1", "secret": "whsec_1" })))
    });
    let shop = Shop::open();
    let toml = shop.toml().replace(&shop.emulators.base_url("stripe"), &service.url);
    let daemon = Daemon::start_with(&[("flow.toml", &toml), ("a.flow", FAILED)], &["--allow-literal-secrets"]);
    eventually("it is registered", || daemon.tell(&["status"]).out.contains("is registered: we_1").then_some(()));
    let knocks = knocks.lock().unwrap().clone();
    assert!(!knocks.is_empty() && knocks.iter().all(|status| (400..600).contains(status)), "{knocks:?}");
    drop(daemon);
    // A public address that the service does not take.
    let toml = shop.toml().replace(&format!("public_url = \"{}\"", shop.url()), "public_url = \"http://shop.example\"");
    let daemon = Daemon::start_with(&[("flow.toml", &toml), ("a.flow", FAILED)], &["--allow-literal-secrets"]);
    eventually("its words are told", || daemon.tell(&["alarms"]).out.contains("Invalid URL: An explicit scheme").then_some(()));
    assert!(shop.endpoints().is_empty());
    drop(daemon);
    // Kustomer takes five of a user, and wants a role for them.
    for at in 0..5 {
        let hook = json!({ "name": format!("n{at}"), "url": format!("https://example.com/{at}"), "events": ["kustomer.customer.create"] });
        shop.kustomer("POST", "/v1/outbound-webhooks", &hook);
    }
    let flow = "flow seen\nwhen kustomer.customer_created do { stop because \"seen\" }\n";
    let daemon = shop.start(flow);
    let told = eventually("a full account is told", || {
        let told = daemon.tell(&["alarms"]).out;
        told.contains("kustomer events is not registered").then_some(told)
    });
    assert!(told.contains("400") || told.contains("409") || told.contains("422"), "{told}");
}

/// The service is away, the key is revoked or lost: what is left there is said, with what to do, and nothing of it is forgotten.
#[test]
fn what_cannot_be_removed_is_said_and_is_removed_when_the_service_is_back() {
    let shop = Shop::open();
    let mut daemon = shop.start(FAILED);
    let made = id(&shop.one("it is registered", |one| kept(&daemon)["current"]["id"] == one["id"]));
    daemon.kill();
    let key = flow_sandbox::Sandbox::secrets("stripe")[0].1;
    let good = shop.toml().replace(&format!("key = \"{key}\""), "key = { file = \"key\" }");
    let away = good.replace(&shop.emulators.base_url("stripe"), "http://127.0.0.1:1");
    let set = |toml: &str, key: Option<&str>| {
        std::fs::write(daemon.path().join("flow.toml"), toml).unwrap();
        match key {
            Some(key) => std::fs::write(daemon.path().join("key"), key).unwrap(),
            None => std::fs::remove_file(daemon.path().join("key")).unwrap(),
        }
    };
    for (toml, key, said) in [
        (&away, Some(key), "could not connect"),
        (&good, Some("sk_test_revoked"), "401"),
        (&good, None, "the secret `key` is missing: key cannot be read: it is not there"),
    ] {
        set(toml, key);
        for args in [&["disconnect", "stripe"][..], &["disconnect", "stripe", "--forget", "--yes"]] {
            std::fs::write(daemon.path().join("a.flow"), "# No flow uses it.\n").unwrap();
            let told = flowd(daemon.path(), args);
            assert!(told.code == 1 && told.err.contains(said), "{told:?}");
            for part in [&*format!("still registered at the service: {made}"), "again removes it", "by hand", "--forget"] {
                assert!(told.err.contains(part), "{part}: {told:?}");
            }
            assert!(!told.err.contains("sk_test") && kept(&daemon)["current"]["id"] == *made, "{told:?}");
            assert!(std::fs::read_to_string(daemon.path().join("flow.toml")).unwrap() == *toml);
        }
    }
    assert_eq!(shop.endpoints().len(), 1);
    // A running daemon cannot either, and does it by itself when the service takes the key again.
    set(&shop.toml().replace(key, "sk_test_revoked"), Some(key));
    std::fs::write(daemon.path().join("a.flow"), FAILED).unwrap();
    daemon.launch();
    let told = daemon.tell(&["disconnect", "stripe"]);
    assert!(told.code == 1 && told.err.contains("401") && told.err.contains(&made), "{told:?}");
    std::fs::write(daemon.path().join("flow.toml"), shop.toml()).unwrap();
    assert_eq!(daemon.tell(&["reload"]).code, 0);
    eventually("it is removed", || shop.endpoints().is_empty().then_some(()));
    let again = eventually("that is known", || {
        let again = daemon.tell(&["disconnect", "stripe"]);
        again.out.contains("no webhook is registered").then_some(again)
    });
    assert_eq!(again.code, 0, "{again:?}");
}

#[test]
fn a_full_account_is_said_and_tried_again() {
    let shop = Shop::open();
    let others: Vec<String> = (0..16)
        .map(|at| id(&shop.stripe("POST", "/v1/webhook_endpoints", &format!("url=https://example.com/{at}&enabled_events[0]=*"))))
        .collect();
    let daemon = shop.start(FAILED);
    eventually("status says why", || {
        let told = daemon.tell(&["status"]);
        let said = told.out.contains("webhook events is not registered") && told.out.contains("the maximum of 16");
        said.then_some(())
    });
    // Nothing will come until somebody does something, so it is an alarm, in the log as well.
    let told = daemon.tell(&["alarms"]);
    assert!(
        told.out.contains("! stripe events is not registered as it should be") && told.out.contains("the maximum of 16"),
        "{told:?}"
    );
    assert_eq!(daemon.tell(&["status", "--check"]).code, 1);
    assert_eq!(daemon.log().matches("a webhook cannot be registered").count(), 1);
    shop.stripe("DELETE", &format!("/v1/webhook_endpoints/{}", others[0]), "");
    assert_eq!(daemon.tell(&["reload"]).code, 0);
    eventually("it is registered", || (shop.endpoints().len() == 16).then_some(()));
    eventually("the alarm is gone", || (daemon.tell(&["alarms"]).out == "no alarms\n").then_some(()));
    shop.delivers(&daemon);
}

#[test]
fn kustomers_webhook_is_one_and_is_switched_on_again() {
    let shop = Shop::open();
    let flow = "flow seen\nwhen kustomer.customer_created do { stop because \"seen\" }\n";
    let mut daemon = shop.start(flow);
    let hooks = || shop.kustomer("GET", "/v1/outbound-webhooks", &Value::Null)["data"].as_array().unwrap().clone();
    let one = |what: &str, holds: &dyn Fn(&Value) -> bool| {
        eventually(what, || hooks().first().filter(|one| hooks().len() == 1 && holds(one)).cloned())
    };
    let delivers = |daemon: &Daemon| {
        let before = daemon.runs().len();
        shop.emulators.happen("kustomer", &json!({ "type": "kustomer.customer.create", "name": "Ada" }));
        eventually("the webhook arrives", || (daemon.runs().len() > before).then_some(()));
    };
    let made = one("it is registered", &|_| true);
    assert_eq!(made["attributes"]["events"], json!(["kustomer.customer.create"]));
    delivers(&daemon);
    let path = format!("/v1/outbound-webhooks/{}", made["id"].as_str().unwrap());
    shop.kustomer("PUT", &path, &json!({ "enabled": false }));
    assert_eq!(daemon.tell(&["reload"]).code, 0);
    let on = one("it is switched on again", &|one| one["attributes"]["enabled"] == true);
    assert_eq!(on["id"], made["id"]);
    delivers(&daemon);
    // Its token is shown once: what is lost is made anew, and the one of before goes.
    daemon.kill();
    std::fs::remove_dir_all(daemon.path().join(".flow/secrets")).unwrap();
    daemon.launch();
    one("another stands in its place", &|one| one["id"] != made["id"]);
    delivers(&daemon);
    assert!(daemon.tell(&["disconnect", "kustomer"]).code == 0 && hooks().is_empty());
}
