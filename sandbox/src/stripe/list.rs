//! Pages of lists: newest first, with ids as cursors.

use serde_json::{Map, Value, json};

use super::error::ApiError;
use crate::table::Table;

/// The parameters every list takes.
#[derive(Debug)]
pub(crate) struct Page {
    limit: usize,
    starting_after: Option<String>,
    ending_before: Option<String>,
}

/// Reads the parameters every list takes.
pub(crate) fn page(params: &Map<String, Value>) -> Result<Page, ApiError> {
    let limit = match params.get("limit").and_then(Value::as_i64) {
        None => 10,
        Some(limit @ 1..=100) => usize::try_from(limit).unwrap_or(10),
        Some(limit) => {
            let (bound, word) = if limit < 1 { (1, "greater") } else { (100, "less") };
            return Err(ApiError::parameter(
                "parameter_invalid_integer",
                "limit",
                format!("This value must be {word} than or equal to {bound}."),
            ));
        }
    };
    let cursor = |name: &str| params.get(name).and_then(Value::as_str).map(str::to_owned);
    let page = Page { limit, starting_after: cursor("starting_after"), ending_before: cursor("ending_before") };
    if page.starting_after.is_some() && page.ending_before.is_some() {
        return Err(ApiError::invalid("You may only specify one of these parameters: starting_after, ending_before."));
    }
    Ok(page)
}

/// Returns one page of the rows that `keep` lets through.
///
/// `missing` makes the error for a cursor that names no row.
pub(crate) fn list(
    table: &Table,
    url: &str,
    page: &Page,
    keep: impl Fn(&Value) -> bool,
    missing: impl Fn(&str, &str) -> ApiError,
) -> Result<Value, ApiError> {
    let position = |id: &str, param: &str| table.position(id).ok_or_else(|| missing(id, param));
    let mut rows: Vec<&Value> = if let Some(id) = &page.ending_before {
        let position = position(id, "ending_before")?;
        table.newer_than(position).map(|(_, row)| row).filter(|row| keep(row)).take(page.limit + 1).collect()
    } else {
        let position = match &page.starting_after {
            Some(id) => position(id, "starting_after")?,
            None => u64::MAX,
        };
        table.older_than(position).map(|(_, row)| row).filter(|row| keep(row)).take(page.limit + 1).collect()
    };
    let has_more = rows.len() > page.limit;
    rows.truncate(page.limit);
    if page.ending_before.is_some() {
        rows.reverse();
    }
    Ok(json!({"object": "list", "data": rows, "has_more": has_more, "url": url}))
}

/// True where a row's number lies within a range with `gt`, `gte`, `lt`, `lte`.
pub(crate) fn within(range: Option<&Value>, number: i64) -> bool {
    let bound = |name: &str| range.and_then(|range| range.get(name)).and_then(Value::as_i64);
    bound("gt").is_none_or(|bound| number > bound)
        && bound("gte").is_none_or(|bound| number >= bound)
        && bound("lt").is_none_or(|bound| number < bound)
        && bound("lte").is_none_or(|bound| number <= bound)
}
