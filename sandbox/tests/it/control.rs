//! The control endpoints.

use serde_json::json;

use crate::client::Client;
use crate::receiver::Receiver;
use crate::{kustomer, start, stripe};

#[tokio::test]
async fn faults_events_calls_and_state_over_http() {
    let (sandbox, _) = start().await;
    let control = Client::new(&sandbox.base_url("stripe").unwrap());
    let reply = control.json("POST", "/_sandbox/faults", &json!([{"fault": "status", "status": 418, "times": 1}])).await;
    assert_eq!(reply.ok(), json!({"rules": 1}));
    assert_eq!(control.get("/_sandbox/faults").await.ok()["faults"][0]["status"], 418);
    assert_eq!(stripe(&sandbox).get("/v1/customers").await.status, 418);
    let reply = control.json("POST", "/_sandbox/faults", &json!({"fault": "flood"})).await;
    assert_eq!((reply.status, reply.json()["error"]["message"].clone()), (400, json!("no fault is called `flood`")));

    let event = json!({"type": "charge.failed", "amount": 25_000, "currency": "usd", "email": "x@example.com", "customer": "cus_mine", "count": 3});
    let played = control.json("POST", "/_sandbox/events", &event).await.ok();
    assert_eq!(played["objects"][2]["amount"], 25_000);
    assert_eq!(played["objects"][2]["customer"], "cus_mine");
    assert_eq!(played["events"].as_array().unwrap().len(), 6);
    let found = stripe(&sandbox).get("/v1/events?type=charge.failed").await.ok();
    assert_eq!(found["data"].as_array().unwrap().len(), 3);
    let reply = control.json("POST", "/_sandbox/events", &json!({"type": "charge.exploded"})).await;
    assert_eq!(reply.status, 400);
    let whole = json!({"type": "charge.exploded", "object": {"id": "ch_1", "object": "charge"}});
    assert_eq!(control.json("POST", "/_sandbox/events", &whole).await.ok()["objects"][0]["id"], "ch_1");

    let reply = stripe(&sandbox)
        .header("idempotency-key", "k")
        .post("/v1/customers?expand[]=default_source", "name=A%26B&metadata[a]=1")
        .await;
    let id = reply.ok()["id"].clone();
    let calls = control.get("/_sandbox/calls").await.ok();
    let call = calls["calls"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (&call["method"], &call["path"], &call["status"], &call["created"]),
        (&json!("POST"), &json!("/v1/customers"), &json!(200), &id)
    );
    assert_eq!(call["body"], json!({"name": "A&B", "metadata": {"a": "1"}}));
    assert_eq!(call["query"], json!([["expand[]", "default_source"]]));
    assert_eq!((&call["idempotency_key"], &call["replayed"]), (&json!("k"), &json!(false)));
    assert_eq!(control.get("/_sandbox/state").await.ok()["customers"].as_array().unwrap().len(), 2);

    assert_eq!(control.send("POST", "/_sandbox/reset", "").await.unwrap().status, 204);
    let state = control.get("/_sandbox/state").await.ok();
    assert_eq!(
        (&state["customers"], &state["events"], &state["calls"], &state["faults"]),
        (&json!([]), &json!([]), &json!([]), &json!([]))
    );
}

#[tokio::test]
async fn web_pages_and_unknown_paths_are_refused() {
    let (sandbox, _) = start().await;
    let control = Client::new(&sandbox.base_url("kustomer").unwrap());
    assert_eq!(control.get("/_sandbox/nothing").await.status, 404);
    assert_eq!(control.clone().header("origin", "https://evil.example").get("/_sandbox/state").await.status, 403);
    assert_eq!(control.send("POST", "/_sandbox/faults", "{").await.unwrap().status, 400);
}

#[tokio::test]
async fn the_target_can_be_set_over_http() {
    let (sandbox, _) = start().await;
    let mut receiver = Receiver::start(&[]).await;
    let control = Client::new(&sandbox.base_url("kustomer").unwrap());
    control.json("PUT", "/_sandbox/webhook_target", &json!({"url": receiver.url})).await.ok();
    control.json("POST", "/_sandbox/events", &json!({"type": "kustomer.customer.create", "email": "x@example.com"})).await.ok();
    assert_eq!(receiver.next().await.json()["name"], "kustomer.customer.create");
    control.json("PUT", "/_sandbox/webhook_target", &json!({"url": null})).await.ok();
    kustomer(&sandbox).json("POST", "/v1/customers", &json!({"name": "y"})).await.ok();
    sandbox.settled().await;
    assert!(receiver.rest().is_empty());
}
