//! The search language, as far as it is used: `email:'x' AND metadata['k']:'v'`.
//!
//! Supported: text fields with `:` (has these words in this order, without regard to case) and `~` (contains), metadata with
//! `:` (equal) and `~`,
//! `-` before a clause, numbers with `:`, `>`, `<`, `>=`, `<=`, joined by only `AND` or only `OR`.
//! Unlike Stripe's index this one is never behind.

use serde_json::{Value, json};

use super::error::ApiError;
use super::spec;
use super::state::{Cx, param};
use crate::form::Fields;

#[derive(Debug)]
struct Clause {
    field: String,
    /// The key in metadata.
    key: Option<String>,
    operator: String,
    value: String,
    negated: bool,
}

/// Answers a search among the objects of one kind.
pub(crate) fn search(cx: &mut Cx<'_>, kind: &'static str, url: &str, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read("query! limit:i page", form)?;
    let limit = super::list::page(&params).map(|_| params.get("limit").and_then(Value::as_u64).unwrap_or(10))?;
    let limit = usize::try_from(limit).unwrap_or(10);
    let (clauses, all) = parse(param(&params, "query").unwrap_or_default()).ok_or_else(|| {
        ApiError::parameter(
            "parameter_invalid",
            "query",
            "We were unable to parse your search query. Please try using the format `metadata['key']:'value'` to query for metadata or key:\"value\" to query for other fields.",
        )
    })?;
    // A page is named by how many results came before it.
    let skip: usize = param(&params, "page").and_then(|page| page.parse().ok()).unwrap_or(0);
    let mut rows: Vec<&Value> = cx
        .state
        .table(kind)
        .rows()
        .rev()
        .filter(|row| row.get("deleted").is_none())
        .filter(|row| {
            let mut matches = clauses.iter().map(|clause| clause.matches(row));
            if all { matches.all(|m| m) } else { matches.any(|m| m) }
        })
        .skip(skip)
        .take(limit + 1)
        .collect();
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next = has_more.then(|| (skip + limit).to_string());
    Ok(json!({"object": "search_result", "data": rows, "has_more": has_more, "next_page": next, "url": url}))
}

impl Clause {
    fn matches(&self, row: &Value) -> bool {
        let mut value = row.get(&self.field);
        if let Some(key) = &self.key {
            value = value.and_then(|value| value.get(key));
        }
        let found = match (value, self.operator.as_str()) {
            (Some(Value::String(text)), ":") if self.key.is_some() => text.to_lowercase() == self.value.to_lowercase(),
            (Some(Value::String(text)), ":") => has_words(text, &self.value),
            (Some(Value::String(text)), "~") => text.to_lowercase().contains(&self.value.to_lowercase()),
            (Some(Value::Number(number)), operator) => match (number.as_i64(), self.value.parse::<i64>()) {
                (Some(a), Ok(b)) => match operator {
                    ":" => a == b,
                    ">" => a > b,
                    "<" => a < b,
                    ">=" => a >= b,
                    "<=" => a <= b,
                    _ => false,
                },
                _ => false,
            },
            (None | Some(Value::Null), ":") => self.value == "null",
            _ => false,
        };
        found != self.negated
    }
}

/// Tells whether words follow each other in a text, as an index of words sees it.
fn has_words(text: &str, wanted: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.map(str::to_lowercase).collect()
    };
    let (text, wanted) = (words(text), words(wanted));
    !wanted.is_empty() && text.windows(wanted.len()).any(|window| window == wanted)
}

/// Returns the clauses, and whether all of them have to hold.
fn parse(query: &str) -> Option<(Vec<Clause>, bool)> {
    let mut rest = query.trim();
    let mut clauses = Vec::new();
    let mut joiner: Option<bool> = None;
    loop {
        let negated = rest.strip_prefix('-').inspect(|after| rest = after).is_some();
        let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))?;
        let (field, after) = rest.split_at(length);
        rest = after;
        let mut key = None;
        if let Some(after) = rest.strip_prefix('[') {
            let (text, after) = quoted(after)?;
            key = Some(text);
            rest = after.strip_prefix(']')?;
        }
        let operator = [">=", "<=", ":", "~", ">", "<"].into_iter().find(|operator| rest.starts_with(operator))?;
        rest = rest.strip_prefix(operator)?;
        let (value, after) = match quoted(rest) {
            Some(read) => read,
            None => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                if word.is_empty() || word.starts_with(['\'', '"']) {
                    return None;
                }
                (word.to_owned(), after)
            }
        };
        if field.is_empty() || clauses.len() == 10 {
            return None;
        }
        clauses.push(Clause { field: field.to_owned(), key, operator: operator.to_owned(), value, negated });
        rest = after.trim_start();
        if rest.is_empty() {
            return Some((clauses, joiner.unwrap_or(true)));
        }
        let all = if let Some(after) = rest.strip_prefix("AND ") {
            rest = after.trim_start();
            true
        } else if let Some(after) = rest.strip_prefix("OR ") {
            rest = after.trim_start();
            false
        } else {
            // Clauses that stand side by side are joined by AND.
            true
        };
        if joiner.is_some_and(|before| before != all) {
            return None;
        }
        joiner = Some(all);
    }
}

/// Reads a text in quotes, with backslashes before quotes in it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| *c == '\'' || *c == '"')?;
    let mut value = String::new();
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if escaped {
            value.push(c);
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return Some((value, text.get(at + c.len_utf8()..)?));
        } else {
            value.push(c);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_select_rows() {
        let row = json!({"email": "Ann@example.com", "created": 50, "metadata": {"a b": "it's"}});
        for (query, expected) in [
            ("email:'ann@example.com'", true),
            ("email:'Example'", true),
            ("email:'example.com ann'", false),
            ("metadata['a b']:'it'", false),
            (r#"email:"bob""#, false),
            ("email~'example'", true),
            ("-email~'example'", false),
            ("created>49 AND created<=50", true),
            ("created>50 OR email~'ann'", true),
            (r"metadata['a b']:'it\'s'", true),
            ("metadata['none']:null", true),
        ] {
            let (clauses, all) = parse(query).unwrap();
            let mut matches = clauses.iter().map(|clause| clause.matches(&row));
            let found = if all { matches.all(|m| m) } else { matches.any(|m| m) };
            assert_eq!(found, expected, "{query}");
        }
        for query in ["", "email", "email:", "email:'x", "a:1 AND b:2 OR c:3", "email='x'"] {
            assert!(parse(query).is_none(), "{query}");
        }
    }
}
