//! Whether two trees say the same, wherever their texts stand.

use crate::format::rank;
use crate::syntax::{File, Item};

/// Returns whether both files have the same tree and comments, spans aside.
///
/// What the formatter may change makes no difference: the order of a flow's clauses, with their comments, and how
/// texts are quoted.
pub fn same_tree(a: &File, b: &File) -> bool {
    outline(a) == outline(b)
}

/// Returns the tree as text, without spans. For tests and messages; the form may change.
pub fn outline(file: &File) -> String {
    let mut file = file.clone();
    for item in &mut file.items {
        if let Item::Flow(flow) = item {
            flow.clauses.sort_by_key(|clause| rank(&clause.kind));
        }
    }
    file.comments.sort_by(|a, b| a.text.cmp(&b.text));
    let text = format!("{file:#?}");
    let mut out = String::with_capacity(text.len() / 2);
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let trimmed = line.trim_start();
        if trimmed.ends_with("Span {") || trimmed == "Span {" {
            // Start, end and the closing brace.
            lines.by_ref().take(3).for_each(drop);
            continue;
        }
        out.push_str(if trimmed == "quote: Single," { "quote: Double," } else { trimmed });
        out.push('\n');
    }
    out
}
