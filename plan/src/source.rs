//! Where events come from: webhooks and polls of one connection.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Expr, JsonPath, Request, TimeFormat};

/// A source of events: one webhook and one poll for all triggers drawn from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Its name in the connector.
    pub name: String,
    /// How webhooks are verified; `None` where it takes none.
    pub webhook: Option<Webhook>,
    /// How it is polled; `None` where it is not.
    pub poll: Option<Poll>,
    /// Where the parts of a payload are.
    pub envelope: Envelope,
    /// The event types of each trigger of the connector that draws from this source: trigger name → types.
    pub triggers: BTreeMap<String, Vec<String>>,
}

/// How a webhook is verified.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Webhook {
    /// A named scheme: `stripe_signature`, `hmac_sha256`, `standard_webhooks`.
    pub scheme: String,
    /// Its parameters: `header`, `secret`, `tolerance`, …
    pub params: BTreeMap<String, Expr>,
}

/// How a source is polled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Poll {
    /// The request of a page; instants in it are already in the format of the wire.
    pub request: Request,
    /// The interval, in milliseconds.
    pub every_ms: u64,
    /// Where the items are.
    pub items: JsonPath,
    /// How further pages are asked for.
    pub pages: Option<Pages>,
    /// Where the answer has the next cursor.
    pub cursor: Option<JsonPath>,
    /// By which instant or number items are ordered, oldest first; equal ones keep the reverse of the wire's order where
    /// the wire is newest first.
    pub order_by: Option<JsonPath>,
    /// The wire lists newest first.
    pub newest_first: bool,
    /// What identifies an item.
    pub seen: Vec<JsonPath>,
    /// How far back the service remembers, in milliseconds.
    pub history_ms: Option<u64>,
    /// The first poll starts at now and emits nothing old.
    pub first_now: bool,
}

/// How further pages are asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pages {
    /// The query parameter.
    pub param: String,
    /// Its value: a path into the last item of the page.
    pub from_last: JsonPath,
    /// The flag in the answer that says there are more.
    pub more: Option<JsonPath>,
}

/// Where the parts of a payload are. Paths are from the payload's root.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Envelope {
    /// The event type.
    pub event_type: Option<JsonPath>,
    /// The event's id.
    pub id: Option<JsonPath>,
    /// When it happened.
    pub at: Option<(JsonPath, TimeFormat)>,
    /// The object that the record describes.
    pub object: JsonPath,
    /// Payloads that are refused, with a reason for the sender.
    pub refuse: Vec<Refusal>,
}

/// A payload that is refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// When; its [`Expr::Answer`] paths are from the payload's root.
    pub when: Expr,
    /// What the sender is told.
    pub because: String,
}
