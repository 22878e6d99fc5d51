//! Tags, custom objects, and the small reads.

use serde_json::{Value, json};

use crate::refusal::Refusal;

use super::error;
use super::fields::{self, Shape, Spec};
use super::state::{Cx, MACHINE_USER, attribute_text, relation};

const TAG: Spec = &[("name", Shape::Text), ("color", Shape::Text), ("description", Shape::Text)];
const KOBJECT: Spec = &[
    ("title", Shape::Text),
    ("description", Shape::Text),
    ("externalId", Shape::Text),
    ("icon", Shape::Text),
    ("images", Shape::List),
    ("tags", Shape::Texts(1_000)),
    ("data", Shape::Object),
    ("custom", Shape::Custom),
    ("createdAt", Shape::Time),
];

/// `POST /tags`
pub(crate) fn create_tag(cx: &mut Cx<'_>, body: &Value) -> Result<Value, Refusal> {
    let given = fields::read(body, TAG)?;
    let name = given.get("name").and_then(Value::as_str).ok_or_else(|| error::missing("name"))?;
    if cx.state.table("tag").rows().any(|row| attribute_text(row, "name") == name) {
        return Err(error::conflict("name", "tag"));
    }
    let id = cx.id();
    let now = cx.time();
    let mut attributes = json!({"deleted": false, "createdAt": now, "updatedAt": now, "rev": 1});
    if let Some(fields) = attributes.as_object_mut() {
        fields.extend(given);
    }
    let row = json!({
        "type": "tag",
        "id": id,
        "attributes": attributes,
        "relationships": cx.relationships(),
        "links": {"self": format!("/v1/tags/{id}")},
    });
    Ok(cx.create("tag", row))
}

/// `POST /customers/{id}/klasses/{name}`
pub(crate) fn create_kobject(cx: &mut Cx<'_>, customer: Option<&str>, class: &str, body: &Value) -> Result<Value, Refusal> {
    let given = fields::read(body, KOBJECT)?;
    if given.get("title").is_none_or(Value::is_null) {
        return Err(error::missing("title"));
    }
    if let Some(customer) = customer {
        cx.get("customer", customer)?;
    }
    let external = given.get("externalId").and_then(Value::as_str);
    if let Some(external) = external
        && find_kobject(cx, class, external).is_some()
    {
        return Err(error::conflict("externalId", "kobject"));
    }
    let id = cx.id();
    let now = cx.time();
    let mut attributes = json!({
        "images": [], "tags": [], "data": {}, "custom": {}, "createdAt": now, "updatedAt": now,
        "modifiedAt": now, "rev": 1,
    });
    if let Some(fields) = attributes.as_object_mut() {
        fields.extend(given.into_iter().filter(|(_, value)| !value.is_null()));
    }
    let mut relationships = cx.relationships();
    relationships.insert("klass".to_owned(), relation("klass", class, "klasses"));
    if let Some(customer) = customer {
        relationships.insert("customer".to_owned(), relation("customer", customer, "customers"));
    }
    let row = json!({
        "type": "kobject",
        "id": id,
        "attributes": attributes,
        "relationships": relationships,
        "links": {"self": format!("/v1/klasses/{class}/{id}")},
    });
    Ok(cx.create("kobject", row))
}

/// Returns the object of a class with this external identifier.
pub(crate) fn find_kobject(cx: &mut Cx<'_>, class: &str, external: &str) -> Option<Value> {
    cx.state
        .table("kobject")
        .rows()
        .find(|row| super::state::related(row, "klass") == class && attribute_text(row, "externalId") == external)
        .cloned()
}

/// `GET /auth/tokens/current`
pub(crate) fn current_token() -> Value {
    json!({
        "type": "token",
        "id": "60000000000000000000d001",
        "attributes": {
            "name": "Flow sandbox",
            "type": "api-gateway",
            "roles": ["org", "org.permission.outbound_webhook"],
            "createdAt": "2026-01-01T00:00:00.000Z",
        },
        "relationships": {"user": relation("user", MACHINE_USER, "users")},
        "links": {"self": "/v1/auth/tokens/60000000000000000000d001"},
    })
}
