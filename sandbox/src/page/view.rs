//! What a service holds, as tables that a person can read.

use serde_json::{Map, Value, json};

/// How many rows of a table are shown, the newest first.
const ROWS: usize = 8;
/// How long a cell gets.
const LONGEST: usize = 160;

/// A table of the page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    pub(super) title: &'static str,
    /// The name of its rows in the snapshot.
    pub(super) from: &'static str,
    pub(super) columns: &'static [Column],
}

/// A column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) heading: &'static str,
    /// Where it stands in a row: JSON pointers, of which the first that is there counts.
    pub(super) at: &'static [&'static str],
    pub(super) kind: Kind,
}

/// How a value is shown.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// As it is.
    Plain,
    /// Minor units, with the currency at this pointer.
    Minor(&'static str),
    /// In a currency that stands at this pointer.
    Decimal(&'static str),
    /// Seconds, milliseconds or a text: as a time of day.
    Time,
    Percent,
}

/// A column that is shown as it is.
pub(super) const fn plain(heading: &'static str, at: &'static [&'static str]) -> Column {
    Column { heading, at, kind: Kind::Plain }
}

/// What is never a table: it is about the sandbox, or shown elsewhere.
const ASIDE: [&str; 4] = ["calls", "faults", "events", "webhook_target"];

/// Returns the tables of a service. Where nobody has said which, they are made of whatever lists it has.
pub(super) fn of(tables: Option<&[Table]>, snapshot: &Value) -> Value {
    let shown: Vec<Value> = match tables {
        Some(tables) => tables.iter().map(|table| filled(table, snapshot)).collect(),
        None => snapshot
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, value)| !ASIDE.contains(&name.as_str()) && value.as_array().is_some_and(|rows| !rows.is_empty()))
            .map(|(name, rows)| guessed(name, rows))
            .collect(),
    };
    let faults = snapshot.get("faults").and_then(Value::as_array).map_or(0, Vec::len);
    json!({ "tables": shown, "faults": faults })
}

fn filled(table: &Table, snapshot: &Value) -> Value {
    let rows = rows(snapshot.get(table.from));
    let cells = |row: &Value| -> Vec<String> { table.columns.iter().map(|column| cell(column, row)).collect() };
    json!({
        "title": table.title,
        "count": rows.len(),
        "columns": table.columns.iter().map(|column| column.heading).collect::<Vec<_>>(),
        "rows": rows.iter().rev().take(ROWS).map(cells).collect::<Vec<_>>(),
    })
}

/// The rows of a list, or of an object whose names say what they are.
fn rows(value: Option<&Value>) -> Vec<Value> {
    match value {
        Some(Value::Array(rows)) => rows.clone(),
        Some(Value::Object(rows)) => rows
            .iter()
            .map(|(name, row)| {
                let mut row = row.clone();
                if let Some(fields) = row.as_object_mut() {
                    fields.insert("_name".to_owned(), json!(name));
                }
                row
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// A table of what nobody has described: the first few plain values of each row.
fn guessed(name: &str, rows: &Value) -> Value {
    const COLUMNS: usize = 4;
    let rows = self::rows(Some(rows));
    let is_plain = |value: &Value| !value.is_object() && !value.is_array() && !value.is_null();
    let mut columns: Vec<&str> = Vec::new();
    for fields in rows.iter().rev().take(ROWS).filter_map(Value::as_object) {
        for (name, value) in fields {
            if is_plain(value) && !columns.contains(&name.as_str()) && columns.len() < COLUMNS {
                columns.push(name);
            }
        }
    }
    let cells = |row: &Value| -> Vec<String> {
        if columns.is_empty() {
            return vec![shortened(&text(row))];
        }
        columns.iter().map(|column| row.get(column).map_or_else(String::new, |value| shortened(&text(value)))).collect()
    };
    let shown: Vec<Vec<String>> = rows.iter().rev().take(ROWS).map(cells).collect();
    let title = name.replace('_', " ");
    json!({
        "title": title,
        "count": rows.len(),
        "columns": if columns.is_empty() { vec![title] } else { columns.iter().map(|name| name.replace('_', " ")).collect() },
        "rows": shown,
    })
}

fn cell(column: &Column, row: &Value) -> String {
    let found = column.at.iter().filter_map(|at| row.pointer(at)).find(|value| !value.is_null() && **value != "");
    let Some(value) = found else { return String::new() };
    let currency = |at: &str| row.pointer(at).and_then(Value::as_str).unwrap_or("").to_uppercase();
    let shown = match column.kind {
        Kind::Plain => text(value),
        Kind::Minor(at) => value.as_i64().map_or_else(|| text(value), |minor| money(minor, &currency(at))),
        Kind::Decimal(at) => format!("{} {}", text(value), currency(at)).trim().to_owned(),
        Kind::Time => time(value),
        Kind::Percent => format!("{} %", text(value)),
    };
    shortened(&shown)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn time(value: &Value) -> String {
    let instant = match value {
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or_default();
            // The year 5138 in seconds, 1973 in milliseconds.
            let millis = if number.abs() < 1e11 { number * 1_000.0 } else { number };
            jiff::Timestamp::from_millisecond(millis as i64).ok()
        }
        other => other.as_str().and_then(|text| text.parse().ok()),
    };
    instant.map_or_else(|| text(value), |at| at.strftime("%d %b %H:%M:%S").to_string())
}

/// Currencies without decimals, as Stripe counts.
const WHOLE: [&str; 15] =
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"];
const THREE: [&str; 5] = ["BHD", "JOD", "KWD", "OMR", "TND"];

/// How many decimals a currency has at Stripe.
pub(super) fn decimals(currency: &str) -> u32 {
    if WHOLE.contains(&currency) {
        0
    } else if THREE.contains(&currency) {
        3
    } else {
        2
    }
}

fn money(minor: i64, currency: &str) -> String {
    let decimals = decimals(currency);
    let unit = 10_i64.pow(decimals);
    let (whole, rest) = (minor / unit, (minor % unit).abs());
    let sign = if minor < 0 && whole == 0 { "-" } else { "" };
    if decimals == 0 {
        format!("{whole} {currency}")
    } else {
        format!("{sign}{whole}.{rest:0width$} {currency}", width = decimals as usize)
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Returns the fields of a form as text, by their names.
pub(super) fn fields(value: Option<&Value>) -> Map<String, Value> {
    value.and_then(Value::as_object).cloned().unwrap_or_default()
}
