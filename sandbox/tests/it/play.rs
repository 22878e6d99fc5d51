//! What the demo lets happen.

use flow_sandbox::{Direction, Happening, Options, Sandbox};
use serde_json::{Value, json};

use crate::receiver::Receiver;
use crate::{start, stripe};

#[tokio::test]
async fn every_scene_emits_its_events_in_order() {
    let (sandbox, _) = start().await;
    let client = stripe(&sandbox);
    let mut seen = 0;
    for (scene, expected) in [
        ("charge.failed", vec!["charge.failed", "payment_intent.payment_failed"]),
        ("charge.succeeded", vec!["charge.succeeded", "payment_intent.succeeded"]),
        ("customer.created", vec!["customer.created"]),
        ("checkout.session.completed", vec!["charge.succeeded", "payment_intent.succeeded", "checkout.session.completed"]),
        ("charge.refunded", vec!["charge.succeeded", "payment_intent.succeeded", "refund.created", "charge.refunded"]),
        ("charge.dispute.created", vec!["charge.succeeded", "payment_intent.succeeded", "charge.dispute.created"]),
        ("invoice.created", vec!["invoice.created"]),
        ("invoice.finalized", vec!["invoice.created", "invoice.finalized"]),
        (
            "invoice.payment_failed",
            vec![
                "invoice.created",
                "invoice.finalized",
                "payment_intent.created",
                "charge.failed",
                "payment_intent.payment_failed",
                "invoice.payment_failed",
                "customer.subscription.updated",
            ],
        ),
        (
            "customer.subscription.created",
            vec![
                "invoice.created",
                "customer.subscription.created",
                "invoice.finalized",
                "payment_intent.created",
                "charge.succeeded",
                "payment_intent.succeeded",
                "invoice.paid",
                "invoice.payment_succeeded",
            ],
        ),
        ("customer.subscription.deleted", vec!["customer.subscription.deleted"]),
        ("customer.subscription.trial_will_end", vec!["customer.subscription.trial_will_end"]),
        (
            "charge.captured",
            vec!["charge.succeeded", "payment_intent.amount_capturable_updated", "charge.captured", "payment_intent.succeeded"],
        ),
        (
            "charge.dispute.closed",
            vec!["charge.succeeded", "payment_intent.succeeded", "charge.dispute.created", "charge.dispute.closed"],
        ),
        (
            "checkout.session.async_payment_succeeded",
            vec!["checkout.session.completed", "checkout.session.async_payment_succeeded"],
        ),
        ("payout.failed", vec!["payout.failed"]),
    ] {
        let happening = Happening::new(scene).amount(25_000, "usd").email(&format!("{seen}@example.com"));
        let played = sandbox.play("stripe", happening).await.unwrap();
        let mut types = Vec::new();
        for id in &played.events {
            let event = client.get(&format!("/v1/events/{id}")).await.ok();
            types.push(event["type"].as_str().unwrap().to_owned());
        }
        assert_eq!(types, expected, "{scene}");
        seen += expected.len();
    }
    assert!(sandbox.play("stripe", Happening::new("x")).await.is_err());
    assert!(sandbox.play("sesame", Happening::new("x")).await.is_err());
}

#[tokio::test]
async fn a_failed_charge_is_whole() {
    let (sandbox, _) = start().await;
    let happening = Happening::new("charge.failed")
        .amount(12_050, "usd")
        .email("jo@example.com")
        .name("Jo")
        .failure("lost_card")
        .metadata("order", "6735");
    let charge = sandbox.play("stripe", happening).await.unwrap().objects.remove(0);
    for (path, expected) in [
        ("/amount", json!(12_050)),
        ("/currency", json!("usd")),
        ("/status", json!("failed")),
        ("/paid", json!(false)),
        ("/captured", json!(false)),
        ("/customer", Value::Null),
        ("/billing_details/email", json!("jo@example.com")),
        ("/billing_details/name", json!("Jo")),
        ("/failure_code", json!("card_declined")),
        ("/outcome/type", json!("issuer_declined")),
        ("/outcome/reason", json!("lost_card")),
        ("/outcome/network_status", json!("declined_by_network")),
        ("/payment_method_details/type", json!("card")),
        ("/payment_method_details/card/last4", json!("9987")),
        ("/payment_method_details/card/brand", json!("visa")),
        ("/metadata/order", json!("6735")),
        ("/livemode", json!(false)),
    ] {
        assert_eq!(charge.pointer(path), Some(&expected), "{path}");
    }
    let intent = charge["payment_intent"].as_str().unwrap();
    let intent = stripe(&sandbox).get(&format!("/v1/payment_intents/{intent}")).await.ok();
    assert_eq!(intent["latest_charge"], charge["id"]);
    assert_eq!(intent["last_payment_error"]["decline_code"], "lost_card");
}

#[tokio::test]
async fn a_paid_link_leads_to_its_session() {
    let (sandbox, _) = start().await;
    let client = stripe(&sandbox);
    let form = "line_items[0][price_data][currency]=eur&line_items[0][price_data][unit_amount]=700&line_items[0][price_data][product_data][name]=Tea&line_items[0][quantity]=3&metadata[source]=flow";
    let link = client.post("/v1/payment_links", form).await.ok();
    let happening = Happening::new("checkout.session.completed").email("c@example.com").with("payment_link", link["id"].clone());
    let session = sandbox.play("stripe", happening).await.unwrap().objects.remove(0);
    assert_eq!(
        (&session["amount_total"], &session["currency"], &session["payment_link"]),
        (&json!(2_100), &json!("eur"), &link["id"])
    );
    assert_eq!((&session["payment_status"], &session["metadata"]["source"]), (&json!("paid"), &json!("flow")));
    assert_eq!(session["customer_details"]["email"], "c@example.com");
    let items = client.get(&format!("/v1/checkout/sessions/{}/line_items", session["id"].as_str().unwrap())).await.ok();
    assert_eq!(items["data"][0]["quantity"], 3);
}

#[tokio::test]
async fn activity_is_told_as_it_happens() {
    let (sandbox, _) = start().await;
    let mut receiver = Receiver::start(&[]).await;
    let mut activity = sandbox.subscribe();
    sandbox.set_webhook_target("kustomer", &receiver.url);
    sandbox.receive_message("mia@example.com", "Where is my order?", "It has been a week.").await.unwrap();
    let mut next = async || tokio::time::timeout(crate::PATIENCE, activity.recv()).await.unwrap().unwrap();
    let webhook = next().await;
    assert_eq!((webhook.service, webhook.direction, webhook.status), ("kustomer", Direction::Webhook, Some(200)));
    assert!(webhook.summary.starts_with("kustomer."), "{}", webhook.summary);
    sandbox.settled().await;
    assert!(receiver.rest().iter().any(|delivered| delivered.json()["name"] == "kustomer.message.create"));
    stripe(&sandbox).post("/v1/customers", "name=Ada").await.ok();
    let call = loop {
        let activity = next().await;
        if activity.direction == Direction::Call {
            break activity;
        }
    };
    assert_eq!(
        (call.service, call.method.as_str(), call.path.as_str(), call.status),
        ("stripe", "POST", "/v1/customers", Some(200))
    );
    assert!(call.summary.contains("customer cus_") && call.summary.contains("Ada"), "{}", call.summary);
}

#[tokio::test]
async fn a_demo_begins_with_a_shop() {
    let sandbox = Sandbox::start(Options { demo: true, ..Options::default() }).await.unwrap();
    let state = sandbox.snapshot()["stripe"].clone();
    assert_eq!(state["customers"].as_array().unwrap().len(), 3);
    assert_eq!((state["products"].as_array().unwrap().len(), state["prices"].as_array().unwrap().len()), (3, 3));
    assert_eq!(state["events"], json!([]));
    let (name, url) = sandbox.services().next().unwrap();
    assert_eq!((name, sandbox.base_url("stripe")), ("stripe", Some(url)));
    assert_eq!(sandbox.base_url("nobody"), None);
}

#[tokio::test]
async fn a_taken_port_is_an_error() {
    let (sandbox, _) = start().await;
    let address = sandbox.base_url("stripe").unwrap().strip_prefix("http://").unwrap().parse().unwrap();
    let error =
        Sandbox::start(Options { listen: [("kustomer".to_owned(), address)].into(), ..Options::default() }).await.unwrap_err();
    assert!(error.to_string().starts_with("the kustomer emulator cannot listen on 127.0.0.1:"));
}
