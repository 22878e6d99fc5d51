//! Stripe's events: polled, and delivered as webhooks.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::receiver::{Delivered, Receiver};
use crate::{Clock, secret, start, stripe};
use flow_sandbox::{Happening, Options, Sandbox};

const DAY: Duration = Duration::from_secs(24 * 3_600);

fn types(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect()
}

/// Checks a signature as a receiver has to, and returns its time.
#[track_caller]
fn verified(delivered: &Delivered, secret: &str) -> i64 {
    let header = delivered.header("stripe-signature");
    let part = |name: &str| header.split(',').find_map(|item| item.strip_prefix(name)).unwrap().to_owned();
    let (time, signature) = (part("t="), part("v1="));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(&delivered.body);
    assert_eq!(hex::encode(mac.finalize().into_bytes()), signature);
    time.parse().unwrap()
}

#[tokio::test]
async fn events_are_listed_newest_first_by_type_and_time() {
    let (sandbox, clock) = start().await;
    let client = stripe(&sandbox);
    client.post("/v1/customers", "name=a").await.ok();
    clock.advance(Duration::from_secs(10));
    client.post("/v1/products", "name=b").await.ok();
    clock.advance(Duration::from_secs(10));
    sandbox.fail_charge(12_050, "usd", "x@example.com").await.unwrap();

    for (query, expected) in [
        ("", vec!["payment_intent.payment_failed", "charge.failed", "product.created", "customer.created"]),
        ("type=charge.failed", vec!["charge.failed"]),
        ("type=customer.*", vec!["customer.created"]),
        ("types[]=product.created&types[]=customer.created", vec!["product.created", "customer.created"]),
        ("types[0]=product.created&limit=1", vec!["product.created"]),
        ("created[gte]=1795000010&created[lt]=1795000020", vec!["product.created"]),
        ("created[gt]=1795000000&created[lte]=1795000010", vec!["product.created"]),
        ("created=1795000000", vec!["customer.created"]),
        ("delivery_success=false", vec![]),
        ("delivery_success=true&limit=1", vec!["payment_intent.payment_failed"]),
    ] {
        assert_eq!(types(&client.get(&format!("/v1/events?{query}")).await.ok()), expected, "{query}");
    }
    let page = client.get("/v1/events?limit=2").await.ok();
    assert_eq!(page["has_more"], true);
    let last = page["data"][1]["id"].as_str().unwrap();
    let older = client.get(&format!("/v1/events?limit=2&starting_after={last}")).await.ok();
    assert_eq!((types(&older), &older["has_more"]), (vec!["product.created", "customer.created"], &json!(false)));
    let newer = client.get(&format!("/v1/events?ending_before={last}")).await.ok();
    assert_eq!(types(&newer), ["payment_intent.payment_failed"]);
    assert_eq!(client.get(&format!("/v1/events/{last}")).await.ok()["type"], "charge.failed");

    let many: String = (0..21).map(|n| format!("types[]=t{n}&")).collect();
    for query in ["type=a&types[]=b", many.trim_end_matches('&'), "types[]=charge.*", "limit=101"] {
        assert_eq!(client.get(&format!("/v1/events?{query}")).await.status, 400, "{query}");
    }
}

#[tokio::test]
async fn events_age_out_after_thirty_days() {
    let (sandbox, clock) = start().await;
    let client = stripe(&sandbox);
    client.post("/v1/customers", "name=old").await.ok();
    let old = client.get("/v1/events").await.ok()["data"][0]["id"].as_str().unwrap().to_owned();
    clock.advance(30 * DAY);
    client.post("/v1/customers", "name=new").await.ok();
    assert_eq!(types(&client.get("/v1/events").await.ok()).len(), 2);
    clock.advance(Duration::from_secs(1));
    assert_eq!(types(&client.get("/v1/events").await.ok()).len(), 1);
    for cursor in [old.as_str(), "evt_none"] {
        let reply = client.get(&format!("/v1/events?ending_before={cursor}")).await;
        assert_eq!(reply.status, 404);
        assert!(reply.json()["error"]["message"].as_str().unwrap().contains("aged out of our retention policy"));
    }
    assert_eq!(client.get(&format!("/v1/events/{old}")).await.status, 404);
}

#[tokio::test]
async fn an_event_tells_of_its_request_and_of_what_was_before() {
    let (sandbox, _) = start().await;
    let client = stripe(&sandbox);
    let reply = client.clone().header("idempotency-key", "k-1").post("/v1/customers", "name=a&metadata[x]=1&metadata[y]=2").await;
    let request_id = reply.header("request-id").to_owned();
    let id = reply.ok()["id"].as_str().unwrap().to_owned();
    let event = client.get("/v1/events").await.ok()["data"][0].clone();
    assert_eq!(event["request"], json!({"id": request_id, "idempotency_key": "k-1"}));
    assert_eq!(
        (&event["api_version"], &event["livemode"], &event["object"]),
        (&json!("2026-10-28.endive"), &json!(false), &json!("event"))
    );
    client.post(&format!("/v1/customers/{id}"), "name=b&metadata[x]=3").await.ok();
    let event = client.get("/v1/events?limit=1").await.ok()["data"][0].clone();
    assert_eq!(event["type"], "customer.updated");
    assert_eq!(event["data"]["previous_attributes"], json!({"name": "a", "metadata": {"x": "1"}}));
    // What changes nothing is no event.
    client.post(&format!("/v1/customers/{id}"), "name=b").await.ok();
    assert_eq!(types(&client.get("/v1/events").await.ok()).len(), 2);
}

#[tokio::test]
async fn webhooks_reach_the_target_signed_anew_at_each_attempt() {
    // Each look at this clock is a second later.
    let seconds = AtomicI64::new(1_795_000_000);
    let clock = Arc::new(move || Timestamp::from_second(seconds.fetch_add(1, Ordering::SeqCst)).unwrap());
    let mut receiver = Receiver::start(&[500, 302]).await;
    let sandbox = Sandbox::start(Options { clock, ..Clock::new().options() }).await.unwrap();
    sandbox.set_webhook_target("stripe", &receiver.url);
    let played = sandbox.play("stripe", Happening::new("customer.created").email("a@example.com")).await.unwrap();
    let (first, second, third) = (receiver.next().await, receiver.next().await, receiver.next().await);
    let times = [&first, &second, &third].map(|delivered| verified(delivered, secret("stripe", "webhook_secret")));
    assert!(times[0] < times[1] && times[1] < times[2], "{times:?}");
    assert_eq!(first.body, third.body);
    let event = third.json();
    assert_eq!(event["id"], played.events[0].as_str());
    assert_eq!(event["data"]["object"]["email"], "a@example.com");
    sandbox.settled().await;
    assert!(receiver.rest().is_empty());
    assert_eq!(stripe(&sandbox).get("/v1/events").await.ok()["data"][0]["pending_webhooks"], 0);
}

#[tokio::test]
async fn endpoints_get_what_they_subscribed_to() {
    let (sandbox, _) = start().await;
    let client = stripe(&sandbox);
    let mut receiver = Receiver::start(&[]).await;
    let form = format!(
        "url={}&enabled_events[0]=charge.*&enabled_events[1]=customer.created&description=flow&metadata[flow]=1",
        receiver.url
    );
    let made = client.post("/v1/webhook_endpoints", &form).await.ok();
    let own = made["secret"].as_str().unwrap();
    assert!(own.starts_with("whsec_"));
    let path = format!("/v1/webhook_endpoints/{}", made["id"].as_str().unwrap());
    assert_eq!(client.get(&path).await.ok().get("secret"), None);

    sandbox.fail_charge(500, "usd", "x@example.com").await.unwrap();
    let delivered = receiver.next().await;
    verified(&delivered, own);
    assert_eq!(delivered.json()["type"], "charge.failed");
    sandbox.settled().await;
    assert!(receiver.rest().is_empty(), "payment_intent.payment_failed was not subscribed to");

    client.post(&path, "disabled=true").await.ok();
    client.post("/v1/customers", "name=unheard").await.ok();
    client.post(&path, "disabled=false&enabled_events[]=product.created").await.ok();
    client.post("/v1/products", "name=heard").await.ok();
    assert_eq!(receiver.next().await.json()["type"], "product.created");

    assert_eq!(client.delete(&path).await.ok()["deleted"], true);
    assert_eq!(client.delete(&path).await.status, 404);
    for number in 0..16 {
        client.post("/v1/webhook_endpoints", &format!("url=https://e.com/{number}&enabled_events[]=*")).await.ok();
    }
    assert_eq!(client.post("/v1/webhook_endpoints", "url=https://e.com/17&enabled_events[]=*").await.status, 400);
}

#[tokio::test]
async fn a_delivery_given_up_can_be_found() {
    let (sandbox, _) = start().await;
    let mut receiver = Receiver::start(&[500; 4]).await;
    sandbox.set_webhook_target("stripe", &receiver.url);
    sandbox.create_customer("Ada", "ada@example.com").await.unwrap();
    sandbox.settled().await;
    assert_eq!(receiver.rest().len(), 4);
    sandbox.create_customer("Bob", "bob@example.com").await.unwrap();
    sandbox.settled().await;
    let client = stripe(&sandbox);
    let failed = client.get("/v1/events?delivery_success=false").await.ok();
    assert_eq!(failed["data"].as_array().unwrap().len(), 1);
    assert_eq!(failed["data"][0]["data"]["object"]["name"], "Ada");
    assert_eq!(client.get("/v1/events?delivery_success=true").await.ok()["data"][0]["data"]["object"]["name"], "Bob");
}

#[tokio::test]
async fn an_event_that_comes_to_light_late_lies_behind_the_newest() {
    let (sandbox, clock) = start().await;
    let client = stripe(&sandbox);
    client.post("/v1/customers", "name=a").await.ok();
    clock.advance(Duration::from_secs(10));
    client.post("/v1/products", "name=b").await.ok();
    let newest = client.get("/v1/events?limit=1").await.ok()["data"][0]["id"].clone();
    let late = Happening::new("charge.failed").with("payment_intent", json!(false)).with("created_offset_seconds", json!(-4));
    sandbox.play("stripe", late).await.unwrap();
    assert_eq!(types(&client.get("/v1/events").await.ok()), ["product.created", "charge.failed", "customer.created"]);
    // Who goes on from the newest never sees it.
    let newer = client.get(&format!("/v1/events?ending_before={}", newest.as_str().unwrap())).await.ok();
    assert_eq!(newer["data"], json!([]));
}
