//! Pages of lists, by number.

use serde_json::{Value, json};

use crate::refusal::Refusal;

use super::error;

const LARGEST_PAGE: usize = 500;
const USUAL_PAGE: usize = 100;

/// Returns the page of `rows` that the query asks for, with `meta` and `links`.
pub(crate) fn page(
    rows: Vec<Value>,
    path: &str,
    query: &[(String, String)],
    most_pages: Option<usize>,
) -> Result<Value, Refusal> {
    let number = |name: &str, usual: usize, most: usize| match query.iter().find(|(n, _)| n == name) {
        None => Ok(usual),
        Some((_, text)) => text
            .parse::<usize>()
            .ok()
            .filter(|number| (1..=most).contains(number))
            .ok_or_else(|| error::bad(name, &format!("must be from 1 to {most}"))),
    };
    let size = number("pageSize", USUAL_PAGE, LARGEST_PAGE)?;
    let page = number("page", 1, most_pages.unwrap_or(1_000_000))?;
    let total = rows.len();
    let pages = total.div_ceil(size);
    let start = (page - 1).saturating_mul(size);
    let data: Vec<Value> = rows.into_iter().skip(start).take(size).collect();
    let link = |page: usize| format!("{path}?page={page}&pageSize={size}");
    Ok(json!({
        "data": data,
        "meta": {"page": page, "pageSize": size, "total": total, "totalPages": pages},
        "links": {
            "self": link(page),
            "first": link(1),
            "prev": (page > 1).then(|| link(page - 1)),
            "next": (page < pages).then(|| link(page + 1)),
            "last": link(pages.max(1)),
        },
    }))
}
