//! `expand[]`: ids in an answer replaced by the objects they name.

use serde_json::{Value, json};

use super::error::ApiError;
use super::state::{Cx, text};
use super::{catalog, spec};
use crate::form::Fields;

/// How many levels a path may have.
const DEEPEST: usize = 4;

/// Which kind an id of a field belongs to.
const KINDS: &[(&str, &str)] = &[
    ("ch_", "charge"),
    ("cs_", "checkout.session"),
    ("cus_", "customer"),
    ("du_", "dispute"),
    ("in_", "invoice"),
    ("pi_", "payment_intent"),
    ("plink_", "payment_link"),
    ("pm_", "payment_method"),
    ("price_", "price"),
    ("prod_", "product"),
    ("re_", "refund"),
    ("sub_", "subscription"),
];

/// Reads the paths to expand.
pub(crate) fn paths(form: &Fields) -> Result<Vec<Vec<String>>, ApiError> {
    let Some(expand) = form.get("expand") else {
        return Ok(Vec::new());
    };
    let only = Fields::from([("expand".to_owned(), expand.clone())]);
    let params = spec::read("", &only)?;
    let paths = params.get("expand").and_then(Value::as_array).cloned().unwrap_or_default();
    paths
        .iter()
        .filter_map(Value::as_str)
        .map(|path| {
            let parts: Vec<String> = path.split('.').map(str::to_owned).collect();
            // `data.` in a list is no level of its own.
            let levels = parts.len() - usize::from(parts.first().is_some_and(|part| part == "data"));
            if levels > DEEPEST {
                return Err(ApiError::parameter(
                    "parameter_invalid",
                    "expand",
                    format!("You cannot expand more than {DEEPEST} levels of a property. Property: {path}"),
                ));
            }
            Ok(parts)
        })
        .collect()
}

/// Replaces the ids at these paths.
pub(crate) fn expand(cx: &mut Cx<'_>, mut object: Value, paths: &[Vec<String>]) -> Result<Value, ApiError> {
    for path in paths {
        expand_one(cx, &mut object, path, &path.join("."))?;
    }
    Ok(object)
}

fn expand_one(cx: &mut Cx<'_>, value: &mut Value, path: &[String], whole: &str) -> Result<(), ApiError> {
    if let Value::Array(elements) = value {
        for element in elements {
            expand_one(cx, element, path, whole)?;
        }
        return Ok(());
    }
    if let Value::String(id) = value
        && let Some(kind) = KINDS.iter().find(|(prefix, _)| id.starts_with(prefix)).map(|(_, kind)| *kind)
        && let Some(object) = cx.find(kind, id)
    {
        *value = object;
    }
    let Some((first, rest)) = path.split_first() else {
        return Ok(());
    };
    if value.is_null() {
        return Ok(());
    }
    let kind = text(value, "object").to_owned();
    let id = text(value, "id").to_owned();
    let missing = value.get(first).is_none();
    let Some(fields) = value.as_object_mut() else {
        return Err(refused(whole));
    };
    if missing {
        // Fields that are there only when they are expanded.
        let included = match (kind.as_str(), first.as_str()) {
            ("payment_link" | "checkout.session", "line_items") => catalog::line_items(cx, &id),
            ("customer", "subscriptions") => {
                let rows: Vec<Value> = cx
                    .state
                    .table("subscription")
                    .rows()
                    .rev()
                    .filter(|row| text(row, "customer") == id && text(row, "status") != "canceled")
                    .take(10)
                    .cloned()
                    .collect();
                json!({"object": "list", "data": rows, "has_more": false, "url": format!("/v1/customers/{id}/subscriptions")})
            }
            ("charge", "refunds") => {
                let rows: Vec<Value> =
                    cx.state.table("refund").rows().rev().filter(|row| text(row, "charge") == id).take(10).cloned().collect();
                json!({"object": "list", "data": rows, "has_more": false, "url": format!("/v1/charges/{id}/refunds")})
            }
            ("invoice", "confirmation_secret") => {
                let secret = cx.id(&format!("{id}_secret_"), 25);
                json!({"client_secret": secret, "type": "payment_intent"})
            }
            ("invoice", "payments") => {
                json!({"object": "list", "data": [], "has_more": false, "url": format!("/v1/invoice_payments?invoice={id}")})
            }
            ("list", _) | (_, _) => return Err(refused(whole)),
        };
        fields.insert(first.clone(), included);
    }
    match fields.get_mut(first) {
        Some(inner) => expand_one(cx, inner, rest, whole),
        None => Ok(()),
    }
}

fn refused(path: &str) -> ApiError {
    let shown: String = path.chars().take(100).collect();
    ApiError::parameter("parameter_invalid", "expand", format!("This property cannot be expanded ({shown})."))
}
