//! A message as it is sent: headers, and what they stand over.

use jiff::Timestamp;
use serde_json::Value as Json;
use url::Host;

use super::encode::{base64_lines, encoded_words, header_text, quoted_printable};

/// A message with its envelope.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) from: Address,
    to: Vec<Address>,
    /// Who gets it without being named in it.
    hidden: Vec<Address>,
    /// Its Message-ID, equal in all attempts.
    pub(super) id: String,
    /// As it goes over the wire, without the dot at its end.
    pub(super) text: String,
}

/// Larger ones are taken by no server.
const MAX_MESSAGE: usize = 25 * 1024 * 1024;
const MOST_RECIPIENTS: usize = 100;
/// A line of a message has 998 bytes at most, and the name of an attachment stands in one.
const LONGEST_NAME: usize = 900;

impl Message {
    /// Makes a message.
    pub(super) fn of(what: &Json) -> Result<Self, String> {
        let text = |name: &str| what.get(name).and_then(Json::as_str).filter(|text| !text.is_empty());
        let all = |name: &str| addresses(what.get(name), name);
        let from = Address::parse(text("from").ok_or("there is no sender: set `from` in flow.toml, or give it")?)?;
        let (to, cc, hidden, reply_to) = (all("to")?, all("cc")?, all("bcc")?, all("reply_to")?);
        let count = to.len() + cc.len() + hidden.len();
        if count == 0 {
            return Err("there is nobody to send it to".to_owned());
        }
        if count > MOST_RECIPIENTS {
            return Err(format!("it has {count} recipients, and {MOST_RECIPIENTS} at most may be in one message"));
        }
        let subject = what.get("subject").and_then(Json::as_str).unwrap_or_default();
        one_line(subject, "subject")?;
        let key = text("key").ok_or("the step has no key")?;
        let id = format!("{}@{}", crate::key::short(key), from.domain);
        let mut out = Headers::default();
        out.line("Date", &date(Timestamp::now()));
        out.list("From", std::slice::from_ref(&from));
        out.list("To", &to);
        out.list("Cc", &cc);
        out.list("Reply-To", &reply_to);
        out.line("Subject", &header_text(subject, "Subject: ".len()));
        out.line("Message-ID", &format!("<{id}>"));
        out.line("MIME-Version", "1.0");
        // No machine is to answer a machine.
        out.line("Auto-Submitted", "auto-generated");
        let body = body(text("text"), text("html"), what.get("attachments"), &crate::key::short(&id))?;
        let mut whole = out.0;
        whole.push_str(&body);
        if whole.len() > MAX_MESSAGE {
            return Err(format!("the message has {} MB, and 25 at most are sent", whole.len() / 1_048_576));
        }
        let mut to = to;
        to.extend(cc);
        Ok(Self { from, to, hidden, id: format!("<{id}>"), text: dots(&whole) })
    }

    /// Whoever gets it, each once.
    pub(super) fn recipients(&self) -> Vec<&Address> {
        let mut all: Vec<&Address> = Vec::new();
        for address in self.to.iter().chain(&self.hidden) {
            if !all.iter().any(|known| known.mailbox() == address.mailbox()) {
                all.push(address);
            }
        }
        all
    }

    /// Tells whether an address has letters beyond ASCII before its `@`.
    pub(super) fn needs_utf8(&self) -> bool {
        std::iter::once(&self.from).chain(self.recipients()).any(|address| !address.local.is_ascii())
    }
}

/// An address, with a name or without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    name: Option<String>,
    local: String,
    domain: String,
}

impl Address {
    /// Reads `ann@example.org` or `Ann <ann@example.org>`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        one_line(text, "an address")?;
        let wrong = || format!("`{}` is no e-mail address", text.chars().take(80).collect::<String>());
        let (name, mailbox) = match text.strip_suffix('>').and_then(|rest| rest.rsplit_once('<')) {
            Some((name, mailbox)) => (name.trim().trim_matches('"').trim(), mailbox),
            None => ("", text),
        };
        let (local, domain) = mailbox.rsplit_once('@').ok_or_else(wrong)?;
        let odd = |c: char| c.is_whitespace() || c.is_control() || "<>()[]\\,;:\"@".contains(c);
        if local.is_empty() || local.len() > 64 || local.contains(odd) || local.starts_with('.') || local.ends_with('.') {
            return Err(wrong());
        }
        let domain = match Host::parse(domain) {
            Ok(Host::Domain(domain)) if domain.len() <= 255 && !domain.contains(odd) => domain,
            _ => return Err(wrong()),
        };
        let name = (!name.is_empty()).then(|| name.to_owned());
        Ok(Self { name, local: local.to_owned(), domain })
    }

    /// The address without a name.
    pub(super) fn mailbox(&self) -> String {
        format!("{}@{}", self.local, self.domain)
    }

    fn shown(&self) -> String {
        match &self.name {
            None => self.mailbox(),
            Some(name) if name.chars().all(|c| c == ' ' || c.is_ascii_graphic()) && !name.contains("=?") && name.len() < 60 => {
                format!("\"{}\" <{}>", name.replace('\\', "\\\\").replace('"', "\\\""), self.mailbox())
            }
            Some(name) => format!("{}\r\n <{}>", encoded_words(name, 12), self.mailbox()),
        }
    }
}

fn addresses(value: Option<&Json>, name: &str) -> Result<Vec<Address>, String> {
    match value {
        None | Some(Json::Null) => Ok(Vec::new()),
        Some(Json::String(text)) => Ok(vec![Address::parse(text)?]),
        Some(Json::Array(items)) => items
            .iter()
            .filter(|item| !item.is_null())
            .map(|item| Address::parse(item.as_str().ok_or_else(|| format!("`{name}` is a list of addresses"))?))
            .collect(),
        Some(_) => Err(format!("`{name}` is an address, or a list of them")),
    }
}

/// A header that held a line break would hold another header as well.
fn one_line(text: &str, what: &str) -> Result<(), String> {
    if text.chars().any(char::is_control) {
        Err(format!("{what} holds a line break or another control character"))
    } else {
        Ok(())
    }
}

#[derive(Default)]
struct Headers(String);

impl Headers {
    fn line(&mut self, name: &str, value: &str) {
        self.0.push_str(&format!("{name}: {value}\r\n"));
    }

    fn list(&mut self, name: &str, addresses: &[Address]) {
        if !addresses.is_empty() {
            let all: Vec<String> = addresses.iter().map(Address::shown).collect();
            self.line(name, &all.join(",\r\n "));
        }
    }
}

/// What stands under the headers, with those that say what it is.
fn body(text: Option<&str>, html: Option<&str>, attachments: Option<&Json>, mark: &str) -> Result<String, String> {
    let part = |kind: &str, text: &str| {
        format!(
            "Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{}",
            quoted_printable(text)
        )
    };
    let words = match (text, html) {
        (Some(text), Some(html)) => multipart("alternative", &format!("a{mark}"), &[part("plain", text), part("html", html)]),
        (Some(text), None) => part("plain", text),
        (None, Some(html)) => part("html", html),
        (None, None) => return Err("it has neither `text` nor `html`".to_owned()),
    };
    let attached = match attachments {
        None | Some(Json::Null) => return Ok(words),
        Some(Json::Array(items)) => items,
        Some(_) => return Err("`attachments` is a list of `{ name, type, text }` or `{ name, type, base64 }`".to_owned()),
    };
    let mut parts = vec![words];
    for item in attached {
        parts.push(attachment(item)?);
    }
    Ok(if parts.len() == 1 { parts.remove(0) } else { multipart("mixed", &format!("m{mark}"), &parts) })
}

fn attachment(item: &Json) -> Result<String, String> {
    let field = |name: &str| item.get(name).and_then(Json::as_str);
    let name = field("name").ok_or("an attachment has a `name`")?;
    one_line(name, "the name of an attachment")?;
    let kind = field("type").unwrap_or("application/octet-stream");
    let token = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b));
    if !kind.split_once('/').is_some_and(|(main, sub)| token(main) && token(sub) && main != "multipart" && main != "message") {
        return Err(format!("`{}` is no type of an attachment", kind.chars().take(60).collect::<String>()));
    }
    let bytes = match (field("text"), field("base64")) {
        (Some(text), None) => text.as_bytes().to_vec(),
        (None, Some(encoded)) => base64::Engine::decode(&base64::engine::general_purpose::STANDARD, encoded.trim())
            .map_err(|_| format!("the attachment `{name}` is no base64"))?,
        _ => return Err(format!("the attachment `{name}` has either `text` or `base64`")),
    };
    let escaped = name.replace('\\', "\\\\").replace('"', "\\\"");
    let named = match name.is_ascii() {
        true => format!("filename=\"{escaped}\""),
        false => format!("filename*=utf-8''{}", percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC)),
    };
    if named.len() > LONGEST_NAME || kind.len() > LONGEST_NAME {
        return Err("the name of an attachment is too long".to_owned());
    }
    Ok(format!(
        "Content-Type: {kind}\r\nContent-Disposition: attachment;\r\n {named}\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
        base64_lines(&bytes)
    ))
}

/// No encoded text has `=_` in it, so that what parts the pieces is nowhere else.
fn multipart(kind: &str, mark: &str, parts: &[String]) -> String {
    let boundary = format!("=_{mark}");
    let mut out = format!("Content-Type: multipart/{kind};\r\n boundary=\"{boundary}\"\r\n\r\n");
    for part in parts {
        out.push_str(&format!("--{boundary}\r\n{part}\r\n"));
    }
    out.push_str(&format!("--{boundary}--\r\n"));
    out
}

/// A line that begins with a dot gets another: a dot alone would end the message.
fn dots(text: &str) -> String {
    let text = if text.starts_with('.') { format!(".{text}") } else { text.to_owned() };
    text.replace("\r\n.", "\r\n..")
}

fn date(at: Timestamp) -> String {
    jiff::fmt::rfc2822::to_string(&at.to_zoned(jiff::tz::TimeZone::UTC)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_has_what_it_needs_and_hides_who_is_hidden() {
        let message = Message::of(&json!({
            "from": "Flow <flow@example.org>", "to": ["ann@example.org", "Bär <b@bücher.example>"], "cc": "c@example.org",
            "bcc": "hidden@example.org", "subject": "Grüße", "text": ".\nHello\n.dot", "html": "<p>Hello</p>", "key": "run_1:2",
            "attachments": [{ "name": "a.csv", "type": "text/csv", "text": "a,b" }],
        }))
        .expect("it is a message");
        let again = message.id.clone();
        assert!(message.text.contains("Subject: =?utf-8?B?R3LDvMOfZQ==?=\r\n") && message.text.contains("multipart/alternative"));
        assert!(!message.text.contains("hidden@") && message.recipients().len() == 4);
        assert!(message.text.contains("<b@xn--bcher-kva.example>") && message.text.contains(&format!("Message-ID: {again}\r\n")));
        assert!(message.text.contains("\r\n..\r\nHello\r\n..dot\r\n"), "{}", message.text);
        assert!(message.text.split("\r\n").all(|line| line.len() <= 78 && !line.contains('\n')), "{}", message.text);
    }

    #[test]
    fn what_would_be_another_header_is_refused() {
        let with = |name: &str, value: &str| {
            let mut what = json!({ "from": "a@example.org", "to": "b@example.org", "subject": "s", "text": "t", "key": "k" });
            what[name] = json!(value);
            Message::of(&what).map(|message| message.text)
        };
        assert!(with("subject", "x").is_ok());
        for (name, value) in [
            ("subject", "x\r\nBcc: c@example.org"),
            ("subject", "x\nBcc: c@example.org"),
            ("to", "b@example.org\r\nBcc: c@example.org"),
            ("to", "b@example.org>\r\nRCPT TO:<c@example.org"),
            ("to", "b"),
            ("to", "b@"),
            ("to", "b c@example.org"),
            ("to", "a@example.org, b@example.org"),
            ("reply_to", "x\u{0}@example.org"),
            ("from", "nobody"),
            ("text", ""),
        ] {
            assert!(with(name, value).is_err(), "{name} {value:?}");
        }
    }
}
