//! Where events come from: webhooks and polls of one connection.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Expr, JsonPath, Listen, Operation, Request, TimeFormat};

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
    /// Where in the object the key of each trigger's record is, the first that is present: trigger name → paths. An event
    /// that one of our own actions caused is known by it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<String, Vec<JsonPath>>,
    /// How its webhook is registered with the service; `None` where that is done by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub register: Option<Box<Register>>,
    /// What is listened to by the scheme of [`crate::Api::via`]; `None` where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<Listen>,
}

/// How a webhook is registered with the service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Register {
    /// The request, over settings, secrets, [`crate::Env::PublicUrl`], [`crate::Env::LiveTypes`] and [`crate::Env::RunKey`],
    /// which stays the same while one registration is tried again.
    pub request: Request,
    /// Where the answer has the secret that signs the webhooks.
    pub secret_at: Option<JsonPath>,
    /// Where the answer has the id of what was made.
    pub id_at: JsonPath,
    /// How what was made is removed; its id is [`Expr::Input`] 0.
    pub remove: Option<Request>,
    /// How what was made is given other events or another address, and enabled; its id is [`Expr::Input`] 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<Request>,
    /// How what is registered is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered: Option<Box<Registered>>,
}

/// How what is registered with the service is read. Conditions are over one item of the list ([`Expr::Answer`]) and what the
/// request could read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Registered {
    /// The request.
    pub request: Request,
    /// Where the list is.
    pub list_at: JsonPath,
    /// Which of them are ours: they have the mark that [`crate::Env::Instance`] is.
    pub ours: Expr,
    /// Where an item has its id.
    pub id_at: JsonPath,
    /// Where it has the address.
    pub url_at: Option<JsonPath>,
    /// Where it has the event types.
    pub events_at: Option<JsonPath>,
    /// Unless this holds it is changed in place.
    pub update_unless: Option<Expr>,
    /// Unless this holds it is removed and made anew.
    pub replace_unless: Option<Expr>,
}

/// How a webhook is verified.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Webhook {
    /// A named scheme: `stripe_signature`, `hmac_sha256`, `standard_webhooks`.
    pub scheme: String,
    /// Its parameters: `header`, `secret`, `tolerance`, …
    pub params: BTreeMap<String, Expr>,
    /// The payload is the whole request, as an object with `id`, `at`, `path`, `headers`, `query` and `body`, instead of its
    /// body alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole: bool,
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
    /// The next cursor is this number of the item that has the greatest, and so much more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor_of_items: Option<(JsonPath, i64)>,
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
    /// How the instant of `order_by` is written, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_format: Option<TimeFormat>,
    /// It is polled only when this changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_changes: Option<Box<WhenChanges>>,
    /// What decides the order where `order_by` is the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then_by: Option<JsonPath>,
    /// The interval is longer where the quota of the key asks for that: the compiler has made it so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub within_quota: bool,
}

/// A cheap query that tells whether a poll would find anything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WhenChanges {
    /// The query.
    pub query: Operation,
    /// Its inputs.
    pub args: Vec<Expr>,
    /// What changes in its result, which is [`Expr::Local`] 0.
    pub value: Expr,
    /// What goes along with each item: a field of its payload, over the result.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub along: Vec<(String, Expr)>,
    /// What the result itself says has happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Told>,
}

/// What a cheap query says has happened: an event of its own, where the list cannot be read or has nothing of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// How it stands, over the result.
    pub value: Expr,
    /// Event types, and the members of `value` that stand for each. Other members say nothing.
    pub types: BTreeMap<String, Vec<String>>,
    /// Since when, over the result.
    pub at: Expr,
}

/// How further pages are asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pages {
    /// The query parameter.
    pub param: String,
    /// Its value: a path into the last item of the page.
    pub from_last: JsonPath,
    /// So much is added to that number.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub plus: i64,
    /// Its value, instead: a path into the answer. Where nothing stands there, that was the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_answer: Option<JsonPath>,
    /// The flag in the answer that says there are more.
    pub more: Option<JsonPath>,
    /// Pages are numbered, from what the request of the first one says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub counted: bool,
    /// What is counted on are the items that came, not the pages.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_items: bool,
    /// A page with fewer items is the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<u32>,
}

/// Where the parts of a payload are. Paths are from the payload's root.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Envelope {
    /// The event type.
    pub event_type: Option<JsonPath>,
    /// The event's id.
    pub id: Option<JsonPath>,
    /// A payload without an id is known by its bytes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub id_else_body: bool,
    /// When it happened.
    pub at: Option<(JsonPath, TimeFormat)>,
    /// The object that the record describes.
    pub object: JsonPath,
    /// Payloads that are refused, with a reason for the sender.
    pub refuse: Vec<Refusal>,
    /// The event type out of a number, instead of `event_type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codes: Option<Codes>,
}

/// Event types out of numbers. What has another number is no event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Codes {
    /// Where the number stands.
    pub path: JsonPath,
    /// The numbers of each type.
    pub types: BTreeMap<String, Vec<i64>>,
    /// Items of one type that follow each other are one event: the first says who and why, the last when.
    pub collapse: bool,
    /// Only items of these types are made one, and only they stand between two of one type; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub among: Vec<String>,
}

/// A payload that is refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// When; its [`Expr::Answer`] paths are from the payload's root.
    pub when: Expr,
    /// What the sender is told.
    pub because: String,
    /// The sender is told that all is well: the event is left out, and only `why` says so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub quietly: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}
