//! flow.toml, edited as a person would: comments, order and everything else stay as they are.

use flow_compiler::config::SecretRef;
use flow_plan::Value as Setting;
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, Value};

/// Why flow.toml cannot be edited.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EditError {
    /// It is no TOML; `flowc check` says where.
    #[error("flow.toml cannot be read, so that nothing is written into it: {0}")]
    Toml(String),
    /// `connections`, or the connection, is no table.
    #[error("`{0}` in flow.toml is no table")]
    NoTable(String),
}

/// A mark of the byte order.
const MARK: char = '\u{feff}';

/// flow.toml as it is to be.
pub(crate) struct Toml {
    document: DocumentMut,
    /// Its lines end as on Windows.
    crlf: bool,
    /// It begins with a mark of the byte order, which the parser leaves out.
    marked: bool,
}

impl Toml {
    pub(crate) fn parse(text: &str) -> Result<Self, EditError> {
        // The message of a parser repeats the line, in which a secret may stand by mistake.
        let first_line = |error: &toml_edit::TomlError| error.message().lines().next().unwrap_or_default().to_owned();
        let document = text.parse().map_err(|error| EditError::Toml(first_line(&error)))?;
        Ok(Self { document, crlf: text.contains("\r\n"), marked: text.starts_with(MARK) })
    }

    pub(crate) fn text(&self) -> String {
        let mut text = self.document.to_string();
        if self.marked {
            text.insert(0, MARK);
        }
        // What is new has plain ends, and what was there may have others.
        if self.crlf { text.replace("\r\n", "\n").replace('\n', "\r\n") } else { text }
    }

    /// Tells whether there is a table of connections at all.
    pub(crate) fn lists_connections(&self) -> bool {
        self.document.contains_key("connections")
    }

    fn section(&mut self, connection: &str) -> Result<&mut dyn TableLike, EditError> {
        let connections = self.document.entry("connections").or_insert_with(|| {
            let mut all = Table::new();
            all.set_implicit(true);
            Item::Table(all)
        });
        let connections = connections.as_table_like_mut().ok_or_else(|| EditError::NoTable("connections".to_owned()))?;
        let section = connections.entry(connection).or_insert_with(|| Item::Table(Table::new()));
        section.as_table_like_mut().ok_or_else(|| EditError::NoTable(format!("connections.{connection}")))
    }

    /// Makes the section of a connection, empty where it is new.
    pub(crate) fn add(&mut self, connection: &str) -> Result<(), EditError> {
        let known =
            self.document.get("connections").and_then(Item::as_table_like).is_some_and(|all| all.contains_key(connection));
        let ending = self.document.trailing().as_str().unwrap_or_default().to_owned();
        self.section(connection)?;
        if !known && !ending.trim().is_empty() {
            self.document.set_trailing("");
            // What stands at the end belongs to what is before it.
            let is_last = self.document.to_string().trim_end().ends_with(&format!("[connections.{connection}]"));
            match self.document.get_mut("connections").and_then(|all| all.get_mut(connection)).and_then(Item::as_table_mut) {
                Some(section) if is_last => section.decor_mut().set_prefix(format!("{}\n\n", ending.trim_end())),
                _ => self.document.set_trailing(ending),
            }
        }
        Ok(())
    }

    /// Sets a key of a connection to a text.
    pub(crate) fn set_text(&mut self, connection: &str, key: &str, text: &str) -> Result<(), EditError> {
        put(self.section(connection)?, key, Value::from(text));
        Ok(())
    }

    /// Sets a setting of a connection.
    pub(crate) fn set(&mut self, connection: &str, key: &str, setting: &Setting) -> Result<(), EditError> {
        if let Some(value) = value(setting) {
            put(self.section(connection)?, key, value);
        }
        Ok(())
    }

    /// Sets where a secret of a connection is read from.
    pub(crate) fn refer(&mut self, connection: &str, key: &str, reference: &SecretRef) -> Result<(), EditError> {
        let (kind, place) = match reference {
            SecretRef::Env(name) => ("env", name),
            SecretRef::File(path) => ("file", path),
            SecretRef::Credential(name) => ("credential", name),
            // Nothing makes one.
            SecretRef::Literal(_) => return Ok(()),
        };
        if let Some(Item::Table(before)) = self.section(connection)?.get_mut(key) {
            // A section of its own stays one, with what is said in it.
            let decor = before.iter().find_map(|(_, item)| item.as_value()).map(|value| value.decor().clone());
            before.clear();
            before.insert(kind, Item::Value(Value::from(place.as_str())));
            if let (Some(decor), Some(value)) = (decor, before.get_mut(kind).and_then(Item::as_value_mut)) {
                *value.decor_mut() = decor;
            }
            return Ok(());
        }
        let mut table = InlineTable::new();
        table.insert(kind, Value::from(place.as_str()));
        put(self.section(connection)?, key, Value::InlineTable(table));
        Ok(())
    }

    /// Takes the section of a connection out. Returns whether there was one.
    pub(crate) fn remove(&mut self, connection: &str) -> bool {
        let connections = self.document.get_mut("connections").and_then(Item::as_table_like_mut);
        connections.is_some_and(|all| all.remove(connection).is_some())
    }
}

/// Puts a value in; what stands around the one of before stays, such as a comment behind it.
fn put(section: &mut dyn TableLike, key: &str, mut value: Value) {
    match section.get_mut(key) {
        Some(item) => {
            if let Some(before) = item.as_value() {
                *value.decor_mut() = before.decor().clone();
            }
            *item = Item::Value(value);
        }
        None => drop(section.insert(key, Item::Value(value))),
    }
}

fn value(setting: &Setting) -> Option<Value> {
    Some(match setting {
        Setting::Bool(on) => Value::from(*on),
        Setting::Number(number) => {
            let text = number.normalize().to_string();
            match text.parse::<i64>() {
                Ok(whole) => Value::from(whole),
                // As it was typed: TOML has the same digits.
                Err(_) => text.parse().ok()?,
            }
        }
        Setting::List(items) => Value::Array(items.iter().map(value).collect::<Option<Array>>()?),
        Setting::Text(text) => Value::from(&**text),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_else_stays_as_it_is() {
        let before = "# Our shop.\ntimezone = \"Europe/Paris\"  # where we are\n\n[server]\nlisten = \"127.0.0.1:7400\"\n\n# The shop.\n[connections.stripe]\nkey = { env = \"OLD\" } # rotated in May\n# poll = \"5 minutes\"\naccount = \"acct_1\"\n\n[run]\nconcurrency = 8\n";
        let mut toml = Toml::parse(before).unwrap();
        toml.refer("stripe", "key", &SecretRef::File("secrets/stripe_key".to_owned())).unwrap();
        toml.set("stripe", "account", &Setting::text("acct_2")).unwrap();
        toml.set_text("front_door", "connector", "sesame").unwrap();
        toml.set("front_door", "monthly_quota", &Setting::Number(1000.into())).unwrap();
        let after = toml.text();
        let expected = before.replace("{ env = \"OLD\" }", "{ file = \"secrets/stripe_key\" }").replace("acct_1", "acct_2");
        assert!(after.starts_with(expected.trim_end_matches("\n[run]\nconcurrency = 8\n")), "{after}");
        assert!(after.contains("[connections.front_door]\nconnector = \"sesame\"\nmonthly_quota = 1000\n"), "{after}");
        assert!(after.contains("[run]\nconcurrency = 8\n"), "{after}");
        assert!(toml.remove("front_door") && !toml.remove("front_door"));
        assert_eq!(toml.text(), expected);
    }

    #[test]
    fn what_is_said_at_the_end_stays_with_what_it_is_said_of() {
        let file = SecretRef::File("secrets/stripe_key".to_owned());
        for (before, after) in [
            ("# Our shop.\n", "# Our shop.\n\n[connections.stripe]\nkey = { file = \"secrets/stripe_key\" }\n"),
            (
                "[run]\nconcurrency = 8\n# flood = 5\n",
                "[run]\nconcurrency = 8\n# flood = 5\n\n[connections.stripe]\nkey = { file = \"secrets/stripe_key\" }\n",
            ),
            (
                "[connections.door]\nconnector = \"sesame\"\n# poll = 5\n",
                "[connections.door]\nconnector = \"sesame\"\n# poll = 5\n\n[connections.stripe]\nkey = { file = \"secrets/stripe_key\" }\n",
            ),
            (
                "\u{feff}[connections.stripe.key]\nenv = \"OLD\" # ours\n",
                "\u{feff}[connections.stripe.key]\nfile = \"secrets/stripe_key\" # ours\n",
            ),
            (
                "connections.stripe.key.env = \"OLD\" # ours\r\n",
                "connections.stripe.key.file = \"secrets/stripe_key\" # ours\r\n",
            ),
        ] {
            let mut toml = Toml::parse(before).unwrap();
            toml.add("stripe").unwrap();
            toml.refer("stripe", "key", &file).unwrap();
            assert_eq!(toml.text(), after);
        }
    }

    #[test]
    fn other_ways_to_write_it_are_kept() {
        for before in [
            "connections.stripe = { account = \"a\" }\n",
            "connections = { stripe = { account = \"a\" } }\n",
            "[connections]\nstripe.account = \"a\"\n",
        ] {
            let mut toml = Toml::parse(before).unwrap();
            toml.set("stripe", "account", &Setting::text("b")).unwrap();
            assert_eq!(toml.text(), before.replace("\"a\"", "\"b\""));
        }
        assert!(
            matches!(Toml::parse("[connections\nkey = \"sk_live_1\"\n"), Err(EditError::Toml(text)) if !text.contains("sk_live"))
        );
        assert!(Toml::parse("connections = 1\n").unwrap().add("stripe").is_err());
    }
}
