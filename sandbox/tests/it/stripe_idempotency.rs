//! Stripe's idempotency keys.

use std::time::Duration;

use serde_json::json;

use crate::{start, stripe};

#[tokio::test]
async fn a_key_replays_its_answer() {
    let (sandbox, clock) = start().await;
    let client = stripe(&sandbox).header("idempotency-key", "run-1");
    let first = client.post("/v1/customers", "name=Ada&email=ada@example.com").await;
    let second = client.post("/v1/customers", "email=ada%40example.com&name=Ada").await;
    assert_eq!(first.header("idempotent-replayed"), "");
    assert_eq!(second.header("idempotent-replayed"), "true");
    assert_eq!(second.header("original-request"), first.header("request-id"));
    assert_eq!(first.body, second.body);
    let other = client.post("/v1/customers", "name=Bob").await;
    assert_eq!((other.status, other.json()["error"]["type"].clone()), (400, json!("idempotency_error")));
    let elsewhere = client.post("/v1/products", "name=Ada&email=ada%40example.com").await;
    assert_eq!(elsewhere.json()["error"]["type"], "idempotency_error");
    assert_eq!(sandbox.snapshot()["stripe"]["customers"].as_array().unwrap().len(), 1);
    clock.advance(Duration::from_secs(24 * 3_600));
    client.post("/v1/customers", "name=Bob").await.ok();
    assert_eq!(sandbox.snapshot()["stripe"]["customers"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_never_ran_is_not_kept_and_what_ran_is() {
    let (sandbox, _) = start().await;
    let client = stripe(&sandbox).header("idempotency-key", "run-1");
    assert_eq!(client.post("/v1/customers", "colour=red").await.status, 400);
    // The same key is free for other parameters.
    assert_eq!(client.clone().header("authorization", "Bearer no").post("/v1/customers", "name=a").await.status, 401);
    let made = client.post("/v1/customers", "name=a").await;
    assert_eq!((made.status, made.header("idempotent-replayed")), (200, ""));

    let client = client.header("idempotency-key", "run-2");
    let form = "amount=500&currency=usd&confirm=true&payment_method=pm_card_chargeDeclined";
    assert_eq!(client.post("/v1/payment_intents", form).await.status, 402);
    let again = client.post("/v1/payment_intents", form).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (402, "true"));
    assert_eq!(sandbox.snapshot()["stripe"]["charges"].as_array().unwrap().len(), 1);
    assert_eq!(client.header("idempotency-key", &"k".repeat(256)).post("/v1/customers", "name=a").await.status, 400);
}

#[tokio::test]
async fn a_500_after_the_effect_is_kept_where_the_rule_says_so() {
    let (sandbox, _) = start().await;
    let rule = json!({"match": {"path": "/v1/customers"}, "fault": "status", "status": 500, "times": 1, "stored": true});
    sandbox.add_faults("stripe", &rule).unwrap();
    let client = stripe(&sandbox).header("idempotency-key", "run-1");
    assert_eq!(client.post("/v1/customers", "name=a").await.status, 500);
    let again = client.post("/v1/customers", "name=a").await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (500, "true"));
    assert_eq!(sandbox.snapshot()["stripe"]["customers"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_key_in_use_is_a_conflict() {
    let (sandbox, _) = start().await;
    let rule = json!({"match": {"path": "/v1/customers"}, "fault": "slow", "delay_ms": 600_000, "times": 1});
    sandbox.add_faults("stripe", &rule).unwrap();
    let client = stripe(&sandbox).header("idempotency-key", "run-1");
    let slow = tokio::spawn({
        let client = client.clone();
        async move { client.send("POST", "/v1/customers", "name=a").await }
    });
    let conflict = loop {
        // Until the slow request has arrived, the rule is still waiting for it.
        if sandbox.snapshot()["stripe"]["faults"] == json!([]) {
            break client.post("/v1/customers", "name=a").await;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((conflict.status, conflict.json()["error"]["code"].clone()), (409, json!("idempotency_key_in_use")));
    // The client hangs up: the request never ran, and its key is free again.
    slow.abort();
    while client.post("/v1/customers", "name=a").await.status == 409 {}
    assert_eq!(sandbox.snapshot()["stripe"]["customers"].as_array().unwrap().len(), 1);
}
