//! Reporting webhooks: what happened to a message or a subscription, signed.

use serde_json::{Map, Value, json};

use super::WEBHOOK_SIGNING_KEY;
use super::state::Cx;
use crate::delivery::Delivery;
use crate::http::json_bytes;
use crate::signature::Signer;

/// Makes a report and queues it for the sandbox's own target; others are set up in the product, by hand.
pub(crate) fn make(cx: &mut Cx<'_>, metric: &str, channel: Option<&str>, data: &Map<String, Value>) -> String {
    let id = cx.ulid();
    let mut report = json!({"metric": metric, "event_id": id, "timestamp": cx.now.as_second(), "data": data});
    if let (Some(channel), Some(fields)) = (channel, report.as_object_mut()) {
        fields.insert("object_type".to_owned(), json!(channel));
    }
    send(cx, &id, metric, report);
    id
}

/// Sends a report as it is.
pub(crate) fn send(cx: &mut Cx<'_>, id: &str, metric: &str, report: Value) {
    if let Some(url) = cx.state.webhook_target.clone() {
        cx.outgoing.push(Delivery {
            service: "customerio",
            event: id.to_owned(),
            event_type: metric.to_owned(),
            endpoint: None,
            url,
            signer: Signer::Customerio { key: WEBHOOK_SIGNING_KEY.to_owned() },
            body: json_bytes(&report),
        });
    }
    let mut row = report;
    if let Some(fields) = row.as_object_mut() {
        fields.insert("id".to_owned(), json!(id));
    }
    cx.state.reports.put(id, row);
    cx.reported.push(id.to_owned());
}

/// What a report says of a person.
pub(crate) fn about(person: &Value) -> Map<String, Value> {
    let mut data = Map::new();
    data.insert("customer_id".to_owned(), person.get("id").cloned().unwrap_or_default());
    data.insert(
        "identifiers".to_owned(),
        json!({"id": person.get("id"), "email": person.get("email"), "cio_id": person.get("cio_id")}),
    );
    data
}
