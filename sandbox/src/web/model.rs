//! A language model that always says the same of the same text: it sorts by words, and fills schemas with what it finds.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use subtle::ConstantTimeEq;

use super::{AI_KEY, State, keep, object};
use crate::http::{Answer, Request};

/// Words by which a text is sorted under a label that does not stand in it.
const SIGNS: &[(&str, &[&str])] = &[
    ("refund", &["money back", "reimburse", "charged twice", "return it", "cancel my order"]),
    ("delivery", &["parcel", "arrive", "shipping", "courier", "late"]),
    ("bug", &["crash", "error", "broken", "does not work", "doesn't work", "fails"]),
    ("praise", &["thank", "love", "great", "wonderful"]),
    ("billing", &["invoice", "payment", "card"]),
    ("spam", &["lottery", "casino", "click here"]),
];

/// `POST /v1/chat/completions`.
pub(super) fn complete(state: &mut State, request: &Request, path: &str, now: Timestamp) -> (Answer, String) {
    let no = |status, message: &str, kind: &str, code: &str| (error(status, message, kind, code), message.to_owned());
    if path != "/v1/chat/completions" || request.method != "POST" {
        return no(404, "Unknown request URL", "invalid_request_error", "unknown_url");
    }
    let key = request.header("authorization").and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    if !bool::from(key.as_bytes().ct_eq(AI_KEY.as_bytes())) {
        return no(401, "Incorrect API key provided", "invalid_request_error", "invalid_api_key");
    }
    let Some(asked) = object(request) else {
        return no(400, "We could not parse the JSON body of your request.", "invalid_request_error", "invalid_json");
    };
    let Some(model) = asked.get("model").and_then(Value::as_str) else {
        return no(400, "you must provide a model parameter", "invalid_request_error", "missing_required_parameter");
    };
    let texts: Option<Vec<(&str, &str)>> = asked.get("messages").and_then(Value::as_array).and_then(|messages| {
        messages.iter().map(|message| Some((message.get("role")?.as_str()?, message.get("content")?.as_str()?))).collect()
    });
    let Some(texts) = texts.filter(|texts| !texts.is_empty()) else {
        return no(400, "'messages' must be a list of roles and contents", "invalid_request_error", "invalid_value");
    };
    let schema = match asked.pointer("/response_format/json_schema") {
        Some(format) => match strict(format) {
            Ok(schema) => Some(schema),
            Err(message) => return no(400, &message, "invalid_request_error", "invalid_json_schema"),
        },
        None => None,
    };
    let user = texts.iter().rev().find(|(role, _)| *role == "user").map_or("", |(_, content)| content);
    let about = between_marks(user);
    let own = match schema {
        Some(schema) => filled(schema, about, "").to_string(),
        None => written(user, about),
    };
    let scripted = state.scripted.pop_front();
    let said = scripted.as_ref().map_or(json!(own), |answer| answer.get("content").cloned().unwrap_or_default());
    let mut finish = scripted.as_ref().and_then(|answer| answer.get("finish_reason")?.as_str()).unwrap_or("stop").to_owned();
    let refusal = scripted.as_ref().and_then(|answer| answer.get("refusal").cloned()).unwrap_or_default();
    let (prompt_tokens, mut tokens) =
        (texts.iter().map(|(_, text)| count(text)).sum::<usize>(), count(said.as_str().unwrap_or("")));
    let mut content = said;
    let most = asked.get("max_tokens").and_then(Value::as_u64).and_then(|most| usize::try_from(most).ok());
    if let (Some(most), Some(text)) = (most.filter(|most| *most < tokens), content.as_str()) {
        content = json!(text.chars().take(most * CHARACTERS).collect::<String>());
        (finish, tokens) = ("length".to_owned(), most);
    }
    let id = format!("chatcmpl-sandbox{:05}", state.next());
    let answer = json!({
        "id": id, "object": "chat.completion", "created": now.as_second(), "model": model,
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": content, "refusal": refusal }, "finish_reason": finish }],
        "usage": { "prompt_tokens": prompt_tokens, "completion_tokens": tokens, "total_tokens": prompt_tokens + tokens },
    });
    let summary = content.as_str().unwrap_or("refused").chars().take(80).collect();
    keep(&mut state.completions, json!({ "id": id, "text": about, "content": content, "finish_reason": finish }));
    (Answer::json(200, &answer), summary)
}

/// Four characters are a token, more or less.
const CHARACTERS: usize = 4;

fn count(text: &str) -> usize {
    text.chars().count().div_ceil(CHARACTERS)
}

/// An error of the service.
pub(super) fn error(status: u16, message: &str, kind: &str, code: &str) -> Answer {
    Answer::json(status, &json!({ "error": { "message": message, "type": kind, "param": null, "code": code } }))
}

/// What stands between `<text …>` and `</text …>`, else the whole.
fn between_marks(text: &str) -> &str {
    let Some((_, rest)) = text.split_once("<text ") else { return text };
    let Some((mark, rest)) = rest.split_once('>') else { return text };
    rest.rsplit_once(&format!("</text {mark}>")).map_or(text, |(inner, _)| inner).trim()
}

/// Returns the schema of a format, where it is as strict ones have to be.
fn strict(format: &Value) -> Result<&Value, String> {
    let name = format.get("name").and_then(Value::as_str).unwrap_or_default();
    let is_name =
        (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if !is_name {
        return Err("Invalid 'response_format.json_schema.name'".to_owned());
    }
    let schema = format.get("schema").ok_or("Missing required parameter: 'response_format.json_schema.schema'")?;
    if format.get("strict") == Some(&json!(true)) {
        check(schema, 0)?;
    }
    Ok(schema)
}

fn check(schema: &Value, depth: usize) -> Result<(), String> {
    if depth > 10 {
        return Err("Invalid schema: it is too deep".to_owned());
    }
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        if schema.get("additionalProperties") != Some(&json!(false)) {
            return Err("Invalid schema: 'additionalProperties' is required to be supplied and to be false".to_owned());
        }
        let required: Vec<&str> =
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        if let Some(name) = properties.keys().find(|name| !required.contains(&name.as_str())) {
            return Err(format!("Invalid schema: 'required' is required to include every key in properties. Missing '{name}'."));
        }
        for property in properties.values() {
            check(property, depth + 1)?;
        }
    }
    schema.get("items").map_or(Ok(()), |items| check(items, depth + 1))
}

/// Fills a schema with what a text says.
fn filled(schema: &Value, text: &str, name: &str) -> Value {
    let kinds: Vec<&str> = match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
        return chosen(choices, text);
    }
    let nothing = || if kinds.contains(&"null") { Value::Null } else { Value::String(String::new()) };
    match kinds.iter().find(|kind| **kind != "null") {
        Some(&"object") => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let fields: Map<String, Value> =
                properties.into_iter().flatten().map(|(name, schema)| (name.clone(), filled(schema, text, name))).collect();
            let empty = fields.values().all(|value| value.is_null() || value == "");
            if empty && kinds.contains(&"null") { Value::Null } else { Value::Object(fields) }
        }
        Some(&"array") => json!([]),
        Some(&"boolean") => json!(text.to_lowercase().contains(&name.to_lowercase())),
        Some(&("integer" | "number")) => number(named(text, name).unwrap_or(text))
            .unwrap_or_else(|| if kinds.contains(&"null") { Value::Null } else { json!(0) }),
        _ => {
            let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
            let found = if description.starts_with("a date") {
                text.split_whitespace().map(bare).find(|word| word.parse::<jiff::civil::Date>().is_ok()).map(str::to_owned)
            } else if description.starts_with("the code of ISO 4217") {
                text.split_whitespace()
                    .map(bare)
                    .find(|word| word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_uppercase()))
                    .map(str::to_owned)
            } else if description.starts_with("a decimal number") {
                number(text).map(|number| number.to_string())
            } else if name.contains("email") {
                text.split_whitespace().map(bare).find(|word| word.contains('@')).map(str::to_owned)
            } else {
                named(text, name).map(|word| bare(word).to_owned())
            };
            found.map_or_else(nothing, Value::String)
        }
    }
}

/// The choice whose word stands in the text, or a sign of it; else the last one.
fn chosen(choices: &[Value], text: &str) -> Value {
    let text = text.to_lowercase();
    let says = |label: &str| text.contains(&label.to_lowercase().replace('_', " "));
    let hints = |label: &str| {
        SIGNS.iter().any(|(known, signs)| label.to_lowercase().contains(known) && signs.iter().any(|sign| text.contains(sign)))
    };
    let labels = || choices.iter().filter(|choice| choice.is_string());
    let found = labels()
        .find(|choice| choice.as_str().is_some_and(says))
        .or_else(|| labels().find(|choice| choice.as_str().is_some_and(hints)));
    found.or(choices.last()).cloned().unwrap_or_default()
}

/// The word behind a name: `order A-17`, `order: A-17`, `order is A-17`.
fn named<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let name = name.replace('_', " ").to_lowercase();
    let lower = text.to_ascii_lowercase();
    let at = lower.find(&name).filter(|_| !name.is_empty())? + name.len();
    let mut words = text.get(at..)?.split_whitespace();
    words.find(|word| !matches!(bare(word).to_ascii_lowercase().as_str(), "" | "is" | "number" | "of" | "no" | "the"))
}

fn number(text: &str) -> Option<Value> {
    text.split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_ascii_digit()))
        .find_map(|word| (!word.is_empty()).then(|| serde_json::from_str::<Value>(word).ok().filter(Value::is_number)).flatten())
}

fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric())
}

/// A text about what was asked.
fn written(prompt: &str, about: &str) -> String {
    let begin = |text: &str| text.split_whitespace().take(12).collect::<Vec<_>>().join(" ");
    if about == prompt { format!("A text of the sandbox: {}", begin(prompt)) } else { format!("About: {}", begin(about)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_sorted_by_their_words() {
        let labels = [json!("refund"), json!("bug"), json!("other")];
        assert_eq!(chosen(&labels, "I want my MONEY BACK"), "refund");
        assert_eq!(chosen(&labels, "There is a bug here"), "bug");
        assert_eq!(chosen(&labels, "Good morning"), "other");
    }

    #[test]
    fn schemas_are_filled_with_what_the_text_says() {
        let text = json!({ "type": ["string", "null"] });
        let schema = json!({ "type": "object", "properties": { "order": text, "amount": { "type": ["number", "null"] }, "colour": text } });
        let found = filled(&schema, "Order: A-17 has an amount of 12.5 EUR", "");
        assert_eq!(found, json!({ "order": "A-17", "amount": 12.5, "colour": null }));
    }

    #[test]
    fn a_schema_that_is_not_strict_is_refused() {
        let loose = json!({ "name": "x", "strict": true, "schema": { "type": "object", "properties": { "a": {} } } });
        assert!(strict(&loose).is_err());
        let lacking =
            json!({ "name": "x", "strict": true, "schema": { "properties": { "a": {} }, "additionalProperties": false } });
        assert!(strict(&lacking).unwrap_err().contains("Missing 'a'"));
        assert!(strict(&json!({ "name": "a b", "schema": {} })).is_err());
    }
}
