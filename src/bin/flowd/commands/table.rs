//! Columns for people: aligned, without control characters, as wide as what is in them.
use flow::output;
pub(crate) use flow::output::document;
use flow::terminal::printable;
use serde_json::Value as Json;

/// Returns rows under headings as text; the last column is not padded.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = headings.iter().map(|heading| heading.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::new();
        for (at, (cell, width)) in cells.zip(&widths).enumerate() {
            if at + 1 == widths.len() {
                text.push_str(cell);
            } else {
                text.push_str(&format!("{cell:width$}  "));
            }
        }
        format!("{}\n", text.trim_end())
    };
    let mut out = line(&mut headings.iter().copied());
    for row in rows {
        out.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    out
}

/// Returns a text field, printable; "" where there is none.
pub(crate) fn text(json: &Json, key: &str) -> String {
    match json.get(key) {
        Some(Json::String(text)) => printable(text),
        None | Some(Json::Null) => String::new(),
        // Money as people write it.
        Some(Json::Object(money)) if money.len() == 2 && money.contains_key("currency") && money.contains_key("amount") => {
            let part = |key: &str| money.get(key).and_then(Json::as_str).map(printable).unwrap_or_default();
            format!("{} {}", part("amount"), part("currency"))
        }
        Some(other) => printable(&other.to_string()),
    }
}

/// Returns the items of a list field.
pub(crate) fn list<'a>(json: &'a Json, key: &str) -> &'a [Json] {
    json.get(key).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

/// Returns an instant to the second, in UTC: `2026-11-22 12:00:00`.
pub(crate) fn instant(json: &Json, key: &str) -> String {
    text(json, key).chars().take(19).map(|c| if c == 'T' { ' ' } else { c }).collect()
}

/// Says that a list goes on where it was cut off.
pub(crate) fn more(json: &Json) {
    if let Some(next) = json["next"].as_str() {
        output::err(&format!(
            "there are more: `--after {}` goes on behind these, `--limit 1000` shows more at once",
            printable(next)
        ));
    }
}
