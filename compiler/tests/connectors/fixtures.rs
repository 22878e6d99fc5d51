//! The examples fit the records, and each shows what its trigger is about.

use flow_compiler::connector::{builtin, builtin_fixture};
use serde_json::Value as Json;

use crate::read;

/// Reads the example of every trigger. Returns `connector.trigger` with the names of the fields that have a value.
fn examples() -> Vec<(String, Vec<&'static str>)> {
    let mut all = Vec::new();
    for connector in builtin().connectors.values() {
        for trigger in connector.triggers.values() {
            let name = format!("{}.{}", connector.name, trigger.name);
            let text = trigger.example.as_deref().and_then(builtin_fixture).unwrap();
            let json: Json = serde_json::from_str(text).unwrap();
            if trigger.state.is_some() {
                // What a state tells has no envelope.
                let record = &connector.records[&trigger.record];
                let shapes: Vec<_> = record.fields.iter().map(|field| field.shape.clone()).collect();
                let present = read::record(&shapes, &json).unwrap_or_else(|error| panic!("{name}: {error}"));
                all.push((name, present.iter().map(|name| &*(*name).to_owned().leak()).collect()));
                continue;
            }
            let envelope = &connector.sources.iter().find(|source| source.name == trigger.source).unwrap().envelope;
            // A source of events of one kind says no type, and a trigger of anything that comes names none.
            if let Some(path) = &envelope.event_type {
                let event_type = read::get(&json, path).and_then(Json::as_str).unwrap();
                assert!(
                    trigger.types.is_empty() || trigger.types.iter().any(|known| known == event_type),
                    "{name}: {event_type}"
                );
            }
            let typed = envelope.event_type.is_some() || envelope.codes.is_some();
            assert!(typed || trigger.types.is_empty(), "{name}");
            // What is polled may be known by several of its fields, and may not say when it happened; nor may what is listened to.
            let poll = connector.sources.iter().find(|source| source.name == trigger.source).unwrap().poll.as_ref();
            let identity = envelope.id.iter().chain(poll.into_iter().flat_map(|poll| &poll.seen));
            assert!(identity.into_iter().any(|path| read::get(&json, path).is_some()), "{name}: no id");
            let at = envelope.at.as_ref().map(|(path, _)| path);
            let listens = connector.sources.iter().any(|source| source.name == trigger.source && source.listen.is_some());
            assert!(at.map_or(poll.is_some() || listens, |path| read::get(&json, path).is_some()), "{name}: no time");
            assert!(envelope.refuse.iter().all(|refusal| !read::condition(&refusal.when, &json)), "{name} is refused");
            let object = read::get(&json, &envelope.object).unwrap();
            let record = &connector.records[&trigger.record];
            let shapes: Vec<_> = record.fields.iter().map(|field| field.shape.clone()).collect();
            let present = read::record_in(&shapes, object, &json).unwrap_or_else(|error| panic!("{name}: {error}"));
            let present = present.iter().map(|name| record.field(name).unwrap().name.as_str());
            all.push((name, present.map(|name| &*name.to_owned().leak()).collect()));
        }
    }
    all
}

#[test]
fn every_example_fits_its_record() {
    assert!(examples().len() >= 26);
}

/// A path that is misspelt finds nothing in any example: every field has a value in one of those of its record, but for
/// what only old accounts send, or what no example can have at once.
#[test]
fn every_field_is_found_somewhere() {
    let rare = [
        "stripe.Charge.invoice",
        "stripe.Checkout.customer",
        "stripe.Checkout.customer_phone",
        "stripe.Checkout.subscription",
        "stripe.Checkout.invoice",
        "stripe.Checkout.payment_link",
        "stripe.Checkout.url",
        "stripe.Checkout.expires_at",
        "stripe.Invoice.due_date",
        "stripe.Invoice.charge",
        "stripe.Invoice.description",
        "stripe.Subscription.description",
        "stripe.Subscription.second_item",
        "stripe.Subscription.hosted_invoice_url",
        "stripe.Subscription.paused",
        "stripe.Event.account",
        "stripe.Invoice.payment_intent",
        "stripe.Customer.default_payment_method",
        "stripe.Refund.failure_reason",
        "stripe.PaymentFailure.charge",
        "stripe.PaymentFailure.decline_reason",
        "stripe.PaymentFailure.risk_score",
        "kustomer.Customer.company",
        "kustomer.Conversation.external_id",
        "kustomer.Message.delivery_error",
        "kustomer.Message.external_id",
        // Of what is no text.
        "mqtt.Message.bytes",
        // Only of many deaths at once.
        "flow.Report.runs",
    ];
    let examples = examples();
    let mut lacking = Vec::new();
    for connector in builtin().connectors.values() {
        for record in connector.records.values() {
            let names: Vec<String> = connector
                .triggers
                .values()
                .filter(|trigger| trigger.record == record.name)
                .map(|trigger| format!("{}.{}", connector.name, trigger.name))
                .collect();
            if names.is_empty() {
                continue;
            }
            for field in &record.fields {
                let found = examples.iter().any(|(name, present)| names.contains(name) && present.contains(&field.name.as_str()));
                let path = format!("{}.{}.{}", connector.name, record.name, field.name);
                if !found && !rare.contains(&path.as_str()) {
                    lacking.push(path);
                }
            }
        }
    }
    assert!(lacking.is_empty(), "{lacking:#?}");
}

/// A declined charge has the shape of a charge, a payment without one that of a payment intent: one record reads both.
#[test]
fn a_failed_payment_is_either() {
    let record = &builtin().connectors["stripe"].records["PaymentFailure"];
    let shapes: Vec<_> = record.fields.iter().map(|field| field.shape.clone()).collect();
    let read = |file: &str| {
        let json: Json = serde_json::from_str(builtin_fixture(file).unwrap()).unwrap();
        read::record(&shapes, &json["data"]["object"]).unwrap().join(" ")
    };
    let charge = read("fixtures/stripe.charge_failed.json");
    let intent = read("fixtures/stripe.failed_payment.json");
    for field in ["customer_email", "failure_code", "failure_message", "card_last4", "payment_intent", "amount"] {
        assert!(charge.contains(field) && intent.contains(field), "{field}");
    }
    assert!(charge.contains("charge") && !intent.split(' ').any(|name| name == "charge"));
}
