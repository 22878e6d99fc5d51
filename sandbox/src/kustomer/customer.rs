//! Customers.

use serde_json::{Map, Value, json};

use crate::refusal::Refusal;

use super::error;
use super::fields::{self, Shape, Spec};
use super::state::{Cx, attribute, attribute_integer, attribute_text, id_of, relation};

const KIND: &str = "customer";
const FIELDS: Spec = &[
    ("name", Shape::Text),
    ("company", Shape::Text),
    ("externalId", Shape::Text),
    ("username", Shape::Text),
    ("emails", Shape::Entries("email", &["home", "work", "other"])),
    ("phones", Shape::Entries("phone", &["mobile", "home", "work", "fax", "other"])),
    ("whatsapps", Shape::List),
    ("socials", Shape::List),
    ("urls", Shape::List),
    ("locations", Shape::List),
    ("locale", Shape::Text),
    ("timeZone", Shape::Text),
    ("defaultLang", Shape::Text),
    ("gender", Shape::OneOf(&["m", "f"])),
    ("birthdayAt", Shape::Time),
    ("signedUpAt", Shape::Time),
    ("createdAt", Shape::Time),
    ("importedAt", Shape::Time),
    ("tags", Shape::Texts(1_000)),
    ("sentiment", Shape::Object),
    ("custom", Shape::Custom),
];
const COLORS: [&str; 6] = ["blue", "green", "orange", "purple", "red", "teal"];
const ICONS: [&str; 6] = ["anchor", "bicycle", "cactus", "kite", "lantern", "sail"];

/// `POST /customers`
pub(crate) fn create(cx: &mut Cx<'_>, body: &Value) -> Result<Value, Refusal> {
    let given = fields::read(body, FIELDS)?;
    check_unique(cx, &given, None)?;
    let row = blank(cx, given);
    Ok(cx.create(KIND, row))
}

/// `PUT` or `PATCH /customers/{id}`
pub(crate) fn update(cx: &mut Cx<'_>, id: &str, body: &Value) -> Result<Value, Refusal> {
    let mut given = fields::read(body, FIELDS)?;
    let before = cx.get(KIND, id)?;
    check_unique(cx, &given, Some(id))?;
    merge_custom(&before, &mut given);
    complete(&mut given);
    if given.contains_key("name") || given.contains_key("emails") {
        let mut whole = before.get("attributes").and_then(Value::as_object).cloned().unwrap_or_default();
        whole.extend(given.clone());
        given.insert("displayName".to_owned(), json!(display_name(&whole)));
    }
    Ok(cx.change(KIND, &before, given))
}

/// `DELETE /customers/{id}`
pub(crate) fn delete(cx: &mut Cx<'_>, id: &str) -> Result<(), Refusal> {
    let before = cx.get(KIND, id)?;
    let mut changes = Map::new();
    changes.insert("deleted".to_owned(), json!(true));
    cx.change(KIND, &before, changes);
    Ok(())
}

/// `GET /customers/email=…`, `/customers/externalId=…`, `/customers/phone=…`
pub(crate) fn find(cx: &mut Cx<'_>, by: &str, value: &str) -> Result<Value, Refusal> {
    find_by(cx, by, value).ok_or_else(|| error::not_found(by, KIND))
}

/// Returns the customer with this email, phone or external identifier.
pub(crate) fn find_by(cx: &mut Cx<'_>, by: &str, value: &str) -> Option<Value> {
    let by = ["email", "phone", "externalId"].into_iter().find(|known| *known == by)?;
    cx.named(KIND, by, value)
}

/// Returns one text of each entry of a list.
pub(crate) fn entries<'v>(row: &'v Value, list: &str, key: &'static str) -> impl Iterator<Item = &'v str> {
    attribute(row, list).and_then(Value::as_array).into_iter().flatten().filter_map(move |entry| entry.get(key)?.as_str())
}

/// Notes on a customer that there was something with a conversation, which had the status `before`.
pub(crate) fn touch(cx: &mut Cx<'_>, id: &str, conversation: &Value, before: Option<&str>) {
    let Some(customer) = cx.find(KIND, id) else {
        return;
    };
    let mut counts = attribute(&customer, "conversationCounts").cloned().unwrap_or_default();
    let now = attribute_text(conversation, "status");
    if before != Some(now) {
        let change = before.map(|before| (before, -1)).into_iter().chain([(now, 1)]);
        for (name, by) in change.chain(before.is_none().then_some(("all", 1))) {
            if let Some(count) = counts.get_mut(name) {
                *count = json!(count.as_i64().unwrap_or_default() + by);
            }
        }
    }
    let mut changes = Map::new();
    changes.insert("conversationCounts".to_owned(), counts);
    changes.insert(
        "lastConversation".to_owned(),
        json!({
            "id": id_of(conversation),
            "channels": attribute(conversation, "channels"),
            "tags": attribute(conversation, "tags"),
            "sentiment": {},
        }),
    );
    cx.change(KIND, &customer, changes);
}

fn blank(cx: &mut Cx<'_>, mut given: Map<String, Value>) -> Value {
    given.retain(|_, value| !value.is_null());
    complete(&mut given);
    let id = cx.id();
    let now = cx.time();
    let color = COLORS.get(cx.state.ids.below(COLORS.len())).copied().unwrap_or("blue");
    let icon = ICONS.get(cx.state.ids.below(ICONS.len())).copied().unwrap_or("kite");
    let company = given.remove("company");
    let mut attributes = Map::new();
    for (name, value) in [
        ("displayName", json!(display_name(&given))),
        ("displayColor", json!(color)),
        ("displayIcon", json!(icon)),
        ("externalIds", json!([])),
        ("recentLocation", json!({"updatedAt": now})),
        ("createdAt", json!(now)),
        ("updatedAt", json!(now)),
        ("modifiedAt", json!(now)),
        ("lastActivityAt", json!(now)),
        ("deleted", json!(false)),
        ("lastMessageIn", json!({})),
        ("lastMessageOut", json!({})),
        ("lastMessageUnrespondedTo", json!({})),
        ("lastConversation", json!({"channels": [], "tags": [], "sentiment": {}})),
        ("conversationCounts", json!({"done": 0, "open": 0, "snoozed": 0, "all": 0})),
        ("preview", json!({})),
        ("sentiment", json!({})),
        ("progressiveStatus", Value::Null),
        ("verified", json!(true)),
        ("rev", json!(1)),
        ("custom", json!({})),
        ("satisfactionLevel", json!({"firstSatisfaction": {"sentByTeams": []}, "lastSatisfaction": {"sentByTeams": []}})),
    ] {
        attributes.insert(name.to_owned(), value);
    }
    for list in [
        "emails",
        "phones",
        "whatsapps",
        "facebookIds",
        "instagramIds",
        "socials",
        "urls",
        "locations",
        "activeUsers",
        "watchers",
        "tags",
        "recentItems",
        "sharedEmails",
        "sharedPhones",
        "sharedSocials",
        "sharedExternalIds",
        "smoochIds",
        "roleGroupVersions",
        "accessOverride",
    ] {
        attributes.insert(list.to_owned(), json!([]));
    }
    attributes.extend(given);
    let mut relationships = cx.relationships();
    relationships.insert("messages".to_owned(), json!({"links": {"self": format!("/v1/customers/{id}/messages")}}));
    if let Some(company) = company.as_ref().and_then(Value::as_str) {
        relationships.insert("company".to_owned(), relation("company", company, "companies"));
    }
    json!({
        "type": KIND,
        "id": id,
        "attributes": attributes,
        "relationships": relationships,
        "links": {"self": format!("/v1/customers/{id}")},
    })
}

/// Fills in what Kustomer adds to given fields.
fn complete(given: &mut Map<String, Value>) {
    for list in ["emails", "phones"] {
        let entries = given.get_mut(list).and_then(Value::as_array_mut);
        for entry in entries.into_iter().flatten().filter_map(Value::as_object_mut) {
            let kind = if list == "emails" { "home" } else { "mobile" };
            entry.entry("type").or_insert_with(|| json!(kind));
            entry.entry("verified").or_insert_with(|| json!(false));
        }
    }
    match given.get("externalId") {
        Some(Value::String(id)) => {
            let ids = json!([{"externalId": id, "verified": true}]);
            given.insert("externalIds".to_owned(), ids);
        }
        Some(Value::Null) => {
            given.insert("externalIds".to_owned(), json!([]));
        }
        Some(_) | None => {}
    }
}

/// Keeps the custom fields that a change does not name.
pub(crate) fn merge_custom(before: &Value, given: &mut Map<String, Value>) {
    if let Some(Value::Object(changes)) = given.get("custom") {
        let mut custom = attribute(before, "custom").and_then(Value::as_object).cloned().unwrap_or_default();
        custom.extend(changes.clone());
        custom.retain(|_, value| !value.is_null());
        given.insert("custom".to_owned(), Value::Object(custom));
    }
}

fn display_name(attributes: &Map<String, Value>) -> String {
    let name = attributes.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
    let email =
        attributes.get("emails").and_then(|emails| emails.get(0)).and_then(|email| email.get("email")).and_then(Value::as_str);
    name.or(email).unwrap_or("Unnamed customer").to_owned()
}

fn check_unique(cx: &mut Cx<'_>, given: &Map<String, Value>, own: Option<&str>) -> Result<(), Refusal> {
    let row = json!({"attributes": given});
    let emails: Vec<String> = entries(&row, "emails", "email").map(str::to_owned).collect();
    for email in emails {
        if find_by(cx, "email", &email).is_some_and(|found| own != Some(id_of(&found))) {
            return Err(error::conflict("email", KIND));
        }
    }
    let external = given.get("externalId").and_then(Value::as_str);
    if let Some(external) = external
        && find_by(cx, "externalId", external).is_some_and(|found| own != Some(id_of(&found)))
    {
        return Err(error::conflict("externalId", KIND));
    }
    Ok(())
}

/// Returns how many conversations a customer has.
pub(crate) fn conversation_count(row: &Value) -> i64 {
    attribute(row, "conversationCounts")
        .map(|counts| attribute_integer(&json!({"attributes": counts}), "all"))
        .unwrap_or_default()
}
