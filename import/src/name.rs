//! Names of the language out of names of the wire.

use std::collections::HashSet;

/// How long a name gets.
const LONGEST: usize = 60;

/// Returns whether a text is a name without backticks, reserved words apart.
pub(crate) fn is_plain(text: &str) -> bool {
    text.len() <= 100
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Returns a name as it stands in a source: in backticks where it needs them.
pub(crate) fn written(name: &str) -> String {
    if is_plain(name) && !flow_grammar::is_reserved(name) { name.to_owned() } else { format!("`{name}`") }
}

/// Returns the words of a name: `listAllHTTPKeys-v2` is list, all, http, keys, v2.
pub(crate) fn words(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().take(400).collect();
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    for (at, c) in characters.iter().copied().enumerate() {
        if !c.is_ascii_alphanumeric() {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            continue;
        }
        let before = at.checked_sub(1).and_then(|before| characters.get(before)).copied().unwrap_or('_');
        let behind = characters.get(at + 1).copied().unwrap_or('_');
        let begins = c.is_ascii_uppercase()
            && (before.is_ascii_lowercase()
                || before.is_ascii_digit()
                || (before.is_ascii_uppercase() && behind.is_ascii_lowercase()));
        if begins && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        word.push(c.to_ascii_lowercase());
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Returns a name in snake case; `otherwise` where nothing of it is left.
pub(crate) fn snake(text: &str, otherwise: &str) -> String {
    joined(&words(text), otherwise)
}

/// Returns words as one name.
pub(crate) fn joined(words: &[String], otherwise: &str) -> String {
    let mut name = String::new();
    for word in words {
        if name.len() + word.len() > LONGEST && !name.is_empty() {
            break;
        }
        if !name.is_empty() {
            name.push('_');
        }
        name.push_str(word);
    }
    name.truncate(LONGEST);
    if name.is_empty() {
        return otherwise.to_owned();
    }
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("{otherwise}_{name}") } else { name }
}

/// Returns the name of a record.
pub(crate) fn pascal(text: &str) -> String {
    let mut name = String::new();
    for word in words(text) {
        let mut letters = word.chars();
        name.extend(letters.next().map(|c| c.to_ascii_uppercase()));
        name.extend(letters);
        if name.len() > LONGEST {
            break;
        }
    }
    name.truncate(LONGEST);
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) { name } else { format!("Record{name}") }
}

/// Returns one of what a word names several of.
pub(crate) fn singular(word: &str) -> String {
    let cut = |end: &str, with: &str| word.strip_suffix(end).filter(|stem| stem.len() > 1).map(|stem| format!("{stem}{with}"));
    if word == "people" {
        return "person".to_owned();
    }
    if word.ends_with("ss") || word.ends_with("us") || word.ends_with("is") {
        return word.to_owned();
    }
    cut("ies", "y")
        .or_else(|| cut("sses", "ss"))
        .or_else(|| cut("ches", "ch"))
        .or_else(|| cut("shes", "sh"))
        .or_else(|| cut("xes", "x"))
        .or_else(|| cut("s", ""))
        .unwrap_or_else(|| word.to_owned())
}

/// Names that are taken.
#[derive(Debug, Default)]
pub(crate) struct Taken(HashSet<String>);

impl Taken {
    /// Tells whether a name is free.
    pub(crate) fn is_free(&self, name: &str) -> bool {
        !self.0.contains(name)
    }

    /// Takes a name, or what is free of it and a number.
    pub(crate) fn take(&mut self, name: &str) -> String {
        let mut taken = name.to_owned();
        let mut number = 1usize;
        while !self.0.insert(taken.clone()) {
            number += 1;
            taken = format!("{name}_{number}");
        }
        taken
    }
}
