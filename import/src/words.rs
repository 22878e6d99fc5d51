//! Words of strangers, made fit for a comment of one line. Texts in quotes are those of the grammar, which undoes what escapes hide:
//! texts are cleaned before.

pub(crate) use flow_grammar::{quoted, quoted_key as key};

/// How wide comments are.
const WIDTH: usize = 100;

/// Returns a text in one line of at most `most` characters: without markup, without what is not printed or reorders what is
/// shown. Where it is longer, it ends behind a sentence if one ends in time.
pub(crate) fn clean(text: &str, most: usize) -> String {
    // What lies far behind what can be shown is not looked at.
    let end = text.char_indices().nth(most * 8 + 200).map_or(text.len(), |(at, _)| at);
    let text = plain(text.get(..end).unwrap_or(text));
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().filter(|c| !is_hidden(*c)));
    }
    shortened(line.trim(), most)
}

/// Returns the lines of a comment.
pub(crate) fn lines(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in clean(text, most).split(' ').filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() < WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Characters that are not seen, or turn around what is.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

/// Tells whether a character is seen, and turns nothing around.
pub(crate) fn is_shown(c: char) -> bool {
    !is_hidden(c) && !c.is_whitespace()
}

fn shortened(line: &str, most: usize) -> String {
    let Some((end, _)) = line.char_indices().nth(most) else { return line.to_owned() };
    let kept = line.get(..end).unwrap_or(line);
    if let Some(stop) = kept.rfind(". ").filter(|stop| *stop > most / 3) {
        return kept.get(..=stop).unwrap_or(kept).to_owned();
    }
    let at = kept.rfind(' ').unwrap_or(end);
    format!("{} …", kept.get(..at).unwrap_or(kept).trim_end_matches([',', ';', ':']))
}

/// Takes out tags of HTML, and what Markdown puts around the words of a link.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['<', '[', '&']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let behind = from.get(1..).unwrap_or("");
        let taken = match from.as_bytes().first() {
            Some(b'<') => tag(from).map(|length| (" ", length)),
            Some(b'&') => entity(from),
            _ => link(from),
        };
        match taken {
            Some((words, length)) => {
                out.push_str(words);
                rest = from.get(length..).unwrap_or("");
            }
            None => {
                out.push_str(from.get(..1).unwrap_or(""));
                rest = behind;
            }
        }
    }
    out.push_str(rest);
    out.replace("**", "")
}

/// The length of `<p class="x">`. What only looks like a tag, such as `<api_key>`, is none.
fn tag(text: &str) -> Option<usize> {
    const TAGS: [&str; 30] = [
        "a", "b", "i", "p", "u", "br", "em", "hr", "li", "ol", "td", "th", "tr", "ul", "h1", "h2", "h3", "h4", "h5", "h6", "div",
        "pre", "code", "span", "small", "table", "tbody", "thead", "strong", "aside",
    ];
    let name = text.get(1..)?.trim_start_matches('/');
    let name = name.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').next()?;
    if !TAGS.contains(&name.to_ascii_lowercase().as_str()) {
        return None;
    }
    text.char_indices().take(300).find(|(_, c)| *c == '>').map(|(at, _)| at + 1)
}

fn entity(text: &str) -> Option<(&'static str, usize)> {
    const KNOWN: [(&str, &str); 6] =
        [("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " ")];
    KNOWN.iter().find(|(written, _)| text.starts_with(written)).map(|(written, meant)| (*meant, written.len()))
}

/// `[words](address)`.
fn link(text: &str) -> Option<(&str, usize)> {
    let close = text.char_indices().take(200).find(|(_, c)| *c == ']').map(|(at, _)| at)?;
    let behind = text.get(close..)?.strip_prefix("](")?;
    let end = behind.char_indices().take(300).find(|(_, c)| *c == ')').map(|(at, _)| at)?;
    Some((text.get(1..close)?, close + 2 + end + 1))
}

/// Returns whether a text can stand in quotes as a key, a path or a member of an enum, where nothing but `"` and `\` is escaped and
/// a brace would begin something that is filled in.
pub(crate) fn can_be_key(text: &str) -> bool {
    !text.is_empty() && text.len() <= 200 && !text.chars().any(|c| is_hidden(c) || c == '{')
}
