//! Faults, as a client meets them.

use serde_json::json;

use crate::{kustomer, start, stripe};

fn customers(sandbox: &flow_sandbox::Sandbox) -> usize {
    sandbox.snapshot()["stripe"]["customers"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_lost_answer_comes_before_or_after_the_effect() {
    let (sandbox, _) = start().await;
    let client = stripe(&sandbox);
    for (fault, made) in [
        (json!({"fault": "timeout_before_effect", "delay_ms": 1}), 0),
        (json!({"fault": "timeout_after_effect", "delay_ms": 1}), 1),
        (json!({"fault": "reset"}), 1),
        (json!({"fault": "reset", "after_effect": true}), 2),
        (json!({"fault": "truncated"}), 3),
    ] {
        let mut rule = fault.clone();
        rule["times"] = json!(1);
        rule["match"] = json!({"method": "POST", "path": "/v1/customers"});
        sandbox.add_faults("stripe", &rule).unwrap();
        let error = client.send("POST", "/v1/customers", "name=a").await.unwrap_err();
        assert_ne!(error, "timed out", "{fault}");
        assert_eq!(customers(&sandbox), made, "{fault}");
    }
    // Each rule struck once; the next request is sound.
    client.post("/v1/customers", "name=b").await.ok();
    let calls = sandbox.snapshot()["stripe"]["calls"].clone();
    let seen: Vec<_> = calls.as_array().unwrap().iter().map(|call| (call["fault"].as_str(), call["status"].as_u64())).collect();
    assert_eq!(
        seen,
        [
            (Some("timeout_before_effect"), None),
            (Some("timeout_after_effect"), None),
            (Some("reset"), None),
            (Some("reset"), None),
            (Some("truncated"), Some(200)),
            (None, Some(200)),
        ]
    );
}

#[tokio::test]
async fn a_lost_answer_is_replayed_for_its_key() {
    let (sandbox, _) = start().await;
    sandbox.add_faults("stripe", &json!({"fault": "timeout_after_effect", "delay_ms": 0, "times": 1})).unwrap();
    let client = stripe(&sandbox).header("idempotency-key", "k");
    assert!(client.send("POST", "/v1/customers", "name=a").await.is_err());
    let again = client.send("POST", "/v1/customers", "name=a").await.unwrap();
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, "true"));
    assert_eq!(customers(&sandbox), 1);
}

#[tokio::test]
async fn a_status_comes_with_its_headers_and_body() {
    let (sandbox, _) = start().await;
    let rules = json!([
        {"match": {"path": "/v1/cust*"}, "fault": "status", "status": 429, "headers": {"Retry-After": "7", "Stripe-Rate-Limited-Reason": "global-rate"}, "times": 1},
        {"match": {"path": "/v1/cust*"}, "fault": "status", "status": 503, "body": "<html>", "times": 1},
        {"match": {"path": "/v1/cust*"}, "fault": "status", "status": 402, "body": {"error": {"code": "own"}}, "times": 1},
        {"match": {"path": "/v1/cust*"}, "fault": "status", "status": 500, "times": 1, "after_effect": true},
    ]);
    sandbox.add_faults("stripe", &rules).unwrap();
    let client = stripe(&sandbox);
    let limited = client.post("/v1/customers", "name=a").await;
    assert_eq!((limited.header("retry-after"), limited.header("stripe-rate-limited-reason")), ("7", "global-rate"));
    assert_eq!(limited.error(), (429, "rate_limit".to_owned(), String::new()));
    let page = client.post("/v1/customers", "name=a").await;
    assert_eq!((page.status, page.header("content-type"), &page.body[..]), (503, "text/plain", &b"<html>"[..]));
    assert_eq!(client.post("/v1/customers", "name=a").await.json(), json!({"error": {"code": "own"}}));
    assert_eq!(customers(&sandbox), 0);
    let broken = client.post("/v1/customers", "name=a").await;
    assert_eq!((broken.status, broken.json()["error"]["type"].clone()), (500, json!("api_error")));
    assert_eq!(customers(&sandbox), 1);

    sandbox.add_faults("kustomer", &json!({"fault": "status", "status": 429})).unwrap();
    let limited = kustomer(&sandbox).get("/v1/customers").await;
    assert_eq!(limited.json()["errors"][0]["code"], "rate_limited");
    sandbox.clear_faults("kustomer");
    kustomer(&sandbox).get("/v1/customers").await.ok();
}

#[tokio::test]
async fn a_slow_answer_comes_in_the_end() {
    let (sandbox, _) = start().await;
    sandbox.add_faults("stripe", &json!({"fault": "slow", "delay_ms": 20, "times": 1})).unwrap();
    let begun = std::time::Instant::now();
    stripe(&sandbox).post("/v1/customers", "name=a").await.ok();
    assert!(begun.elapsed() >= std::time::Duration::from_millis(20));
}

#[tokio::test]
async fn stopping_ends_connections_that_are_held() {
    let (sandbox, _) = start().await;
    sandbox.add_faults("stripe", &json!({"fault": "timeout_before_effect"})).unwrap();
    let client = stripe(&sandbox);
    let held = tokio::spawn(async move { client.send("GET", "/v1/customers", "").await });
    while sandbox.snapshot()["stripe"]["calls"] == json!([]) {
        tokio::task::yield_now().await;
    }
    sandbox.shutdown().await;
    assert_ne!(held.await.unwrap().unwrap_err(), "timed out");
}
