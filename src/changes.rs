//! What an edit changes, for people. Both programs print the same document of [`flow_compiler::changes`].

use serde_json::Value as Json;

use crate::terminal::printable;

fn text(json: &Json, key: &str) -> String {
    json.get(key).and_then(Json::as_str).map(printable).unwrap_or_default()
}

fn list<'a>(json: &'a Json, key: &str) -> &'a [Json] {
    json.get(key).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

/// Returns a count with its word: `1 flow`, `2 flows`.
pub fn counted(count: u64, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

/// Returns the first twelve digits of a hash.
pub fn short(hash: &str) -> String {
    hash.chars().take(12).collect()
}

/// Returns the listing of a document of changes: how many flows differ, then each of them. What `more` says of a change
/// stands below it.
pub fn listing(document: &Json, more: &dyn Fn(&Json) -> String) -> String {
    let changes = list(document, "changes");
    let unchanged = document["unchanged"].as_u64().unwrap_or_default();
    let stay = if unchanged == 1 { "stays as it is" } else { "stay as they are" };
    let mut out = match changes.len() as u64 {
        0 => format!("nothing changes; {} {stay}\n", counted(unchanged, "flow")),
        one => {
            let differ = if one == 1 { "differs" } else { "differ" };
            format!("{} {differ}, {unchanged} {stay}\n", counted(one, "flow"))
        }
    };
    for change in changes {
        out.push('\n');
        out.push_str(&head(change));
        for difference in list(change, "differences") {
            out.push_str(&line(difference));
        }
        out.push_str(&more(change));
    }
    out
}

/// `changed  big  (shop.flow:1, plan 0123456789ab -> cdef01234567)`.
fn head(change: &Json) -> String {
    let plans: Vec<String> = ["before", "after"]
        .iter()
        .filter_map(|when| change["plan"][*when].as_str())
        .map(|hash| short(&printable(hash)))
        .collect();
    let was = text(change, "was");
    let was = if was.is_empty() { String::new() } else { format!("  (was {was})") };
    format!(
        "{:<8} {}{was}  ({}:{}, plan {})\n",
        text(change, "change"),
        text(change, "flow"),
        text(change, "file"),
        change["line"],
        plans.join(" -> ")
    )
}

/// One difference: what was and what is now below each other, or the one that there is.
fn line(difference: &Json) -> String {
    let (before, after) = (text(difference, "before"), text(difference, "after"));
    let note = text(difference, "note");
    let what = text(difference, "what");
    let note = if note.is_empty() { String::new() } else { format!("  ({note})") };
    match (before.is_empty(), after.is_empty()) {
        (true, true) => format!("  {what:<9}{}\n", note.trim().trim_matches(['(', ')'])),
        (true, false) => format!("  {what:<9}new   {after}{note}\n"),
        (false, true) => format!("  {what:<9}gone  {before}{note}\n"),
        (false, false) => format!("  {what:<9}was   {before}\n  {:<9}now   {after}{note}\n", ""),
    }
}
