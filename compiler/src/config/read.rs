//! Text of flow.toml → [`Config`], with a diagnostic for each mistake that needs no catalog to be seen.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use flow_grammar::span::Span;
use flow_plan::{Currency, Value, parse_decimal};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Config, ConnectionConfig, Given, SecretRef, parse_duration, parse_size};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::suggest::nearest;

type Key<'a> = Spanned<std::borrow::Cow<'a, str>>;

/// Reads flow.toml. What is wrong is left at its default.
pub fn read(file: &Arc<str>, text: &str, literal_secrets: bool) -> (Config, Vec<Diagnostic>) {
    let mut reader = Reader { file, literal_secrets, diagnostics: Vec::new() };
    let mut config = Config::default();
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = error.span().map_or_else(Span::default, |range| Span::new(range.start, range.end));
        let message = error.message().lines().next().unwrap_or("").to_owned();
        reader.diagnostics.push(
            Diagnostic::new(Code::E810, file, span, format!("flow.toml cannot be read: {message}"))
                .help("flow.toml is TOML: `key = \"value\"` under a `[table]`"),
        );
    }
    if reader.diagnostics.is_empty() {
        reader.document(document.get_ref(), &mut config);
    } else if let Some((_, store)) = document.get_ref().iter().find(|(key, _)| key.get_ref() == "store") {
        // Where the store is, is asked of a broken flow.toml too: by whoever wants to know from the daemon what is wrong.
        let said = reader.diagnostics.len();
        reader.store(store, &mut config);
        reader.diagnostics.truncate(said);
    }
    (config, reader.diagnostics)
}

struct Reader<'a> {
    file: &'a Arc<str>,
    literal_secrets: bool,
    diagnostics: Vec<Diagnostic>,
}

fn span<T>(spanned: &Spanned<T>) -> Span {
    Span::new(spanned.span().start, spanned.span().end)
}

impl Reader<'_> {
    fn document(&mut self, table: &DeTable<'_>, config: &mut Config) {
        const KEYS: &[&str] = &["timezone", "currency", "location", "server", "admin", "store", "run", "http", "connections"];
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "timezone" => self.timezone(value, config),
                "currency" => self.currency(value, config),
                "location" => self.location(value, config),
                "server" => self.server(value, config),
                "admin" => self.admin(value, config),
                "store" => self.store(value, config),
                "run" => self.run(value, config),
                "http" => self.http(value, config),
                "connections" => self.connections(value, config),
                _ => self.unknown(key, "at the top of flow.toml", KEYS),
            }
        }
    }

    fn timezone(&mut self, value: &Spanned<DeValue<'_>>, config: &mut Config) {
        let Some(name) = self.text(value, "timezone", "\"Europe/Paris\"") else { return };
        if flow_schedule::zone(&name).is_some() {
            config.settings.timezone = Some(name);
        } else {
            self.diagnostics.push(crate::zone::unknown(self.file, span(value), &name));
            // One report: that a zone is missing for want of this one has the same cause, and nothing comes of the project so.
            config.settings.timezone = Some("UTC".to_owned());
        }
    }

    fn currency(&mut self, value: &Spanned<DeValue<'_>>, config: &mut Config) {
        let Some(code) = self.text(value, "currency", "\"USD\"") else { return };
        match Currency::parse(&code).filter(Currency::is_listed) {
            Some(currency) => config.settings.currency = Some(currency),
            None => self.wrong(
                value,
                format!("`{code}` is no currency"),
                "a currency is its ISO 4217 code, such as \"USD\" or \"JPY\"",
            ),
        }
    }

    fn location(&mut self, value: &Spanned<DeValue<'_>>, config: &mut Config) {
        let numbers: Option<Vec<f64>> = match value.get_ref() {
            DeValue::Array(items) => items.iter().map(|item| number(item.get_ref())).collect(),
            _ => None,
        };
        match numbers.as_deref() {
            Some([latitude, longitude]) if latitude.abs() <= 90.0 && longitude.abs() <= 180.0 => {
                config.settings.location = Some((*latitude, *longitude));
            }
            _ => self.wrong(value, "`location` is latitude and longitude".into(), "for example `location = [48.86, 2.35]`"),
        }
    }

    fn server(&mut self, value: &Spanned<DeValue<'_>>, config: &mut Config) {
        let Some(table) = self.table(value, "server") else { return };
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "listen" => self.address(value, "listen", &mut config.server_listen),
                "public_url" => {
                    if let Some(url) = self.url(value, "public_url") {
                        config.settings.public_url = Some(url);
                    }
                }
                "max_body" => match self.size(value) {
                    Some(bytes) if (1024..=64 * 1024 * 1024).contains(&bytes) => config.max_body = bytes,
                    _ => self.wrong(
                        value,
                        "`max_body` is a size from 1 KiB to 64 MiB".into(),
                        "for example `max_body = \"1 MiB\"`",
                    ),
                },
                _ => self.unknown(key, "in [server]", &["listen", "public_url", "max_body"]),
            }
        }
    }

    fn admin(&mut self, value: &Spanned<DeValue<'_>>, config: &mut Config) {
        let Some(table) = self.table(value, "admin") else { return };
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "listen" => self.address(value, "listen", &mut config.admin_listen),
                "token" => match self.secret(value) {
                    Some(secret) => config.admin_token = Some(secret),
                    None => self.literal_secret(value, "token", "admin token"),
                },
                _ => self.unknown(key, "in [admin]", &["listen", "token"]),
            }
        }
        if !config.admin_listen.ip().is_loopback() && config.admin_token.is_none() {
            self.wrong(
                value,
                format!("the admin API would listen on {} without a token", config.admin_listen),
                "set `token = { env = \"FLOWD_ADMIN_TOKEN\" }` in [admin], or listen on 127.0.0.1",
            );
        }
    }

    fn store(&mut self, value: &Spanned<DeValue<'_>>, config: &mut Config) {
        let Some(table) = self.table(value, "store") else { return };
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "path" => config.store_path = self.text(value, "path", "\".flow\"").or(config.store_path.take()),
                "retain" => self.duration(value, "retain", &mut config.retain_ms),
                _ => self.unknown(key, "in [store]", &["path", "retain"]),
            }
        }
    }

    fn run(&mut self, value: &Spanned<DeValue<'_>>, config: &mut Config) {
        let Some(table) = self.table(value, "run") else { return };
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "concurrency" => match integer(value.get_ref()) {
                    Some(count @ 1..=10_000) => config.concurrency = usize::try_from(count).unwrap_or(64),
                    _ => self.wrong(value, "`concurrency` is a number from 1 to 10000".into(), "for example `concurrency = 64`"),
                },
                "drain" => self.duration(value, "drain", &mut config.drain_ms),
                "flood" => match integer(value.get_ref()).and_then(|count| u32::try_from(count).ok()) {
                    Some(count) => config.flood = count,
                    None => self.wrong(
                        value,
                        "`flood` is how often a flow may start in an hour before it is paused; 0 never pauses one".into(),
                        "for example `flood = 1000`",
                    ),
                },
                _ => self.unknown(key, "in [run]", &["concurrency", "drain", "flood"]),
            }
        }
    }

    fn http(&mut self, value: &Spanned<DeValue<'_>>, config: &mut Config) {
        let Some(table) = self.table(value, "http") else { return };
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "allow" => {
                    let DeValue::Array(items) = value.get_ref() else {
                        self.wrong(value, "`allow` is a list".into(), "for example `allow = [\"10.0.0.0/8\", \"nas.local\"]`");
                        continue;
                    };
                    for item in items {
                        let place = match item.get_ref() {
                            DeValue::String(text) => text.parse().ok(),
                            _ => None,
                        };
                        match place {
                            Some(place) => config.http_allow.push(place),
                            None => self.wrong(
                                item,
                                "this is neither a network nor the name of a machine".into(),
                                "write a network such as \"10.0.0.0/8\", an address, or a whole name such as \"nas.local\"; no scheme, no port",
                            ),
                        }
                    }
                }
                _ => self.unknown(key, "in [http]", &["allow"]),
            }
        }
    }

    fn connections(&mut self, value: &Spanned<DeValue<'_>>, config: &mut Config) {
        let Some(table) = self.table(value, "connections") else { return };
        config.settings.connections = Some(BTreeMap::new());
        for (name, value) in table {
            let name_text = name.get_ref().to_string();
            let plain = name_text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            if !plain || !name_text.starts_with(|c: char| c.is_ascii_lowercase()) {
                self.diagnostics.push(
                    Diagnostic::new(
                        Code::E812,
                        self.file,
                        span(name),
                        format!("`{name_text}` cannot be the name of a connection"),
                    )
                    .help("flows write the name, so it is lower case: letters, digits and `_`, a letter first"),
                );
                continue;
            }
            let DeValue::Table(table) = value.get_ref() else {
                self.wrong(
                    value,
                    format!("`{name_text}` is a table"),
                    &format!("write `[connections.{name_text}]` with its settings below"),
                );
                continue;
            };
            let connection = self.connection(name, table);
            config.connections.insert(name_text, connection);
        }
    }

    fn connection(&mut self, name: &Key<'_>, table: &DeTable<'_>) -> ConnectionConfig {
        let mut connection = ConnectionConfig {
            span: span(name),
            connector: name.get_ref().to_string(),
            connector_span: span(name),
            polls: true,
            ..ConnectionConfig::default()
        };
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "connector" => {
                    if let Some(connector) = self.text(value, "connector", "\"stripe\"") {
                        connection.connector = connector;
                        connection.connector_span = span(value);
                    }
                }
                "base_url" => connection.base_url = self.url(value, "base_url"),
                "poll" => match value.get_ref() {
                    DeValue::Boolean(on) => connection.polls = *on,
                    _ => {
                        let mut poll = 0;
                        self.duration(value, "poll", &mut poll);
                        if poll > 0 && poll < 1000 {
                            self.wrong(value, "`poll` is at least 1 second".into(), "for example `poll = \"30 seconds\"`");
                        } else if poll > 0 {
                            connection.poll_ms = Some(poll);
                        }
                    }
                },
                "concurrency" => match integer(value.get_ref()) {
                    Some(count @ 1..=10_000) => connection.at_once = u32::try_from(count).ok(),
                    _ => self.wrong(value, "`concurrency` is a number from 1 to 10000".into(), "for example `concurrency = 4`"),
                },
                setting => {
                    let setting = setting.to_owned();
                    if let Some(secret) = self.secret(value) {
                        connection.secrets.insert(setting, (span(key), secret));
                    } else if let Some(plain) = plain_value(value.get_ref()) {
                        connection.values.insert(setting, Given { key_span: span(key), span: span(value), value: plain });
                    } else {
                        self.wrong(
                            value,
                            format!("`{setting}` is neither a value nor a secret"),
                            "a secret is `{ env = \"NAME\" }`, `{ file = \"path\" }` or `{ credential = \"name\" }`",
                        );
                    }
                }
            }
        }
        connection
    }

    /// Returns the reference of `{ env | file | credential }`, or a literal where those are allowed.
    fn secret(&mut self, value: &Spanned<DeValue<'_>>) -> Option<SecretRef> {
        let DeValue::Table(table) = value.get_ref() else { return None };
        let [(key, inner)] = table.iter().collect::<Vec<_>>()[..] else { return None };
        let DeValue::String(text) = inner.get_ref() else { return None };
        match key.get_ref().as_ref() {
            "env" => Some(SecretRef::Env(text.to_string())),
            "file" => Some(SecretRef::File(text.to_string())),
            "credential" => Some(SecretRef::Credential(text.to_string())),
            "literal" if self.literal_secrets => Some(SecretRef::Literal(text.to_string())),
            _ => None,
        }
    }

    pub(super) fn literal_secret(&mut self, value: &Spanned<DeValue<'_>>, name: &str, what: &str) {
        self.diagnostics.push(literal_secret(self.file, span(value), name, what, "FLOWD_ADMIN_TOKEN"));
    }

    fn address(&mut self, value: &Spanned<DeValue<'_>>, key: &str, target: &mut SocketAddr) {
        let Some(text) = self.text(value, key, "\"127.0.0.1:7400\"") else { return };
        match text.replace("localhost", "127.0.0.1").parse() {
            Ok(address) => *target = address,
            Err(_) => self.wrong(
                value,
                format!("`{text}` is no address to listen on"),
                "write address and port, such as \"127.0.0.1:7400\"",
            ),
        }
    }

    fn url(&mut self, value: &Spanned<DeValue<'_>>, key: &str) -> Option<String> {
        let text = self.text(value, key, "\"https://hooks.example.org\"")?;
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        if rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && !text.contains([' ', '?', '#', '@'])) {
            return Some(text.trim_end_matches('/').to_owned());
        }
        self.wrong(value, format!("`{key}` is no address"), "write it with its scheme, such as \"https://hooks.example.org\"");
        None
    }

    fn duration(&mut self, value: &Spanned<DeValue<'_>>, key: &str, target: &mut u64) {
        match value.get_ref() {
            DeValue::String(text) if parse_duration(text).is_some_and(|ms| ms > 0) => {
                *target = parse_duration(text).unwrap_or(*target);
            }
            _ => self.wrong(
                value,
                format!("`{key}` is a duration"),
                &format!("for example `{key} = \"30 seconds\"` or `\"30 days\"`"),
            ),
        }
    }

    fn size(&mut self, value: &Spanned<DeValue<'_>>) -> Option<usize> {
        match value.get_ref() {
            DeValue::String(text) => parse_size(text),
            other => integer(other).and_then(|bytes| usize::try_from(bytes).ok()),
        }
    }

    fn text(&mut self, value: &Spanned<DeValue<'_>>, key: &str, example: &str) -> Option<String> {
        if let DeValue::String(text) = value.get_ref() {
            return Some(text.to_string());
        }
        self.wrong(value, format!("`{key}` is a text"), &format!("for example `{key} = {example}`"));
        None
    }

    fn table<'t, 'i>(&mut self, value: &'t Spanned<DeValue<'i>>, name: &str) -> Option<&'t DeTable<'i>> {
        if let DeValue::Table(table) = value.get_ref() {
            return Some(table);
        }
        self.wrong(value, format!("`{name}` is a table"), &format!("write `[{name}]` with its keys below"));
        None
    }

    fn wrong(&mut self, value: &Spanned<DeValue<'_>>, message: String, help: &str) {
        self.diagnostics.push(Diagnostic::new(Code::E812, self.file, span(value), message).help(help));
    }

    fn unknown(&mut self, key: &Key<'_>, place: &str, known: &[&str]) {
        let name = key.get_ref();
        let mut diagnostic = Diagnostic::new(Code::E811, self.file, span(key), format!("there is no key `{name}` {place}"))
            .help(format!("known here: {}", known.join(", ")));
        if let Some(best) = nearest(name, known.iter().copied()) {
            diagnostic = diagnostic.fix(format!("did you mean `{best}`?"), span(key), best, true);
        }
        self.diagnostics.push(diagnostic);
    }
}

/// Returns the diagnostic for a secret that was written out. The text is not repeated.
pub(super) fn literal_secret(file: &Arc<str>, span: Span, name: &str, what: &str, variable: &str) -> Diagnostic {
    Diagnostic::new(Code::E813, file, span, format!("the {what} must not be written into flow.toml"))
        .label("a secret is read from elsewhere")
        .help(format!("anyone who sees the file would have it; say where it is: `{name} = {{ env = \"NAME\" }}`, `{{ file = \"path\" }}` or `{{ credential = \"name\" }}`"))
        .fix("read it from the environment", span, format!("{{ env = \"{variable}\" }}"), false)
}

fn integer(value: &DeValue<'_>) -> Option<i64> {
    match value {
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix()).ok(),
        _ => None,
    }
}

fn number(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Float(float) => float.as_str().parse().ok(),
        #[expect(clippy::cast_precision_loss, reason = "a latitude or longitude is small")]
        other => integer(other).map(|integer| integer as f64),
    }
}

fn plain_value(value: &DeValue<'_>) -> Option<Value> {
    match value {
        DeValue::String(text) => Some(Value::text(text.as_ref())),
        DeValue::Boolean(on) => Some(Value::Bool(*on)),
        DeValue::Float(float) => parse_decimal(float.as_str()).map(Value::Number),
        DeValue::Integer(_) => integer(value).map(|integer| Value::Number(integer.into())),
        DeValue::Array(items) => items
            .iter()
            .map(|item| plain_value(item.get_ref()))
            .collect::<Option<Vec<_>>>()
            .map(|items| Value::List(Arc::new(items))),
        DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}
