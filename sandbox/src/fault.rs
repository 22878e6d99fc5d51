//! Rules that make an emulated service misbehave.

use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::lock::lock;

/// How many rules there may be.
const MOST_RULES: usize = 1_000;
/// How long a fault may hold a request.
const LONGEST_DELAY: Duration = Duration::from_secs(3_600);

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing happens, and no answer comes.
    TimeoutBeforeEffect,
    /// The request is done, and no answer comes.
    TimeoutAfterEffect,
    /// The connection is reset: before the effect, or after it with `after_effect`.
    Reset,
    /// The request is done; half of the answer comes, then the connection ends.
    Truncated,
    /// The request is claimed, waits for `delay_ms`, is then done and answered.
    Slow,
    /// An answer of the rule's own: without the effect, or after it with `after_effect`.
    Status,
}

const NAMES: [(&str, Fault); 6] = [
    ("timeout_before_effect", Fault::TimeoutBeforeEffect),
    ("timeout_after_effect", Fault::TimeoutAfterEffect),
    ("reset", Fault::Reset),
    ("truncated", Fault::Truncated),
    ("slow", Fault::Slow),
    ("status", Fault::Status),
];

impl Fault {
    pub(crate) fn name(self) -> &'static str {
        NAMES.iter().find(|(_, fault)| *fault == self).map_or("fault", |(name, _)| name)
    }
}

/// A fault, the requests it strikes, and how often.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    method: Option<String>,
    path: Option<String>,
    /// Matching requests to let pass first.
    skip: u64,
    /// How often it still strikes; `None` is always.
    times: Option<u64>,
    pub(crate) fault: Fault,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    /// Instead of the service's own error body.
    pub(crate) body: Option<Value>,
    pub(crate) delay: Option<Duration>,
    pub(crate) after_effect: bool,
    /// Whether the answer of a `status` fault is kept under the idempotency key.
    pub(crate) stored: bool,
}

/// The rules of one service.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Mutex<Vec<Rule>>,
}

impl Faults {
    /// Adds the rules described by a JSON list, or by a single object; none where one is wrong.
    pub(crate) fn add(&self, description: &Value) -> Result<usize, String> {
        let added = match description {
            Value::Array(list) => list.iter().map(parse).collect::<Result<Vec<_>, _>>()?,
            other => vec![parse(other)?],
        };
        let mut rules = lock(&self.rules);
        if rules.len() + added.len() > MOST_RULES {
            return Err(format!("at most {MOST_RULES} rules"));
        }
        rules.extend(added);
        Ok(rules.len())
    }

    pub(crate) fn clear(&self) {
        lock(&self.rules).clear();
    }

    /// Returns the first rule that strikes this request, and counts it.
    pub(crate) fn strike(&self, method: &str, path: &str) -> Option<Rule> {
        let mut rules = lock(&self.rules);
        let position = rules.iter_mut().position(|rule| {
            let matches = rule.method.as_deref().is_none_or(|m| m.eq_ignore_ascii_case(method))
                && rule.path.as_deref().is_none_or(|pattern| path_matches(pattern, path));
            if matches && rule.skip > 0 {
                rule.skip -= 1;
                return false;
            }
            matches
        })?;
        let rule = rules.get_mut(position)?;
        let struck = rule.clone();
        if let Some(times) = &mut rule.times {
            *times -= 1;
            if *times == 0 {
                rules.remove(position);
            }
        }
        Some(struck)
    }

    pub(crate) fn snapshot(&self) -> Value {
        lock(&self.rules)
            .iter()
            .map(|rule| {
                json!({
                    "match": {"method": rule.method, "path": rule.path},
                    "fault": rule.fault.name(),
                    "times": rule.times,
                    "skip": rule.skip,
                    "status": rule.status,
                })
            })
            .collect()
    }
}

/// A pattern with `*` matches the whole path; one without matches its beginning.
fn path_matches(pattern: &str, path: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| path.strip_prefix(first)) else {
        return false;
    };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return true;
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        let Some(at) = rest.find(piece) else {
            return false;
        };
        rest = rest.get(at + piece.len()..).unwrap_or_default();
    }
    true
}

fn parse(description: &Value) -> Result<Rule, String> {
    let fields = object(description, "a rule")?;
    known(fields, &["match", "times", "skip", "fault", "status", "headers", "body", "delay_ms", "after_effect", "stored"])?;
    let empty = Map::new();
    let matching = match fields.get("match") {
        None | Some(Value::Null) => &empty,
        Some(value) => object(value, "`match`")?,
    };
    known(matching, &["method", "path"])?;
    let name = text(fields, "fault")?.ok_or("a rule needs `fault`")?;
    let fault = NAMES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, fault)| *fault)
        .ok_or_else(|| format!("no fault is called `{name}`"))?;
    let times = number(fields, "times")?;
    if times == Some(0) {
        return Err("`times` must not be 0".to_owned());
    }
    let status = number(fields, "status")?.unwrap_or(500);
    let status =
        u16::try_from(status).ok().filter(|status| (200..600).contains(status)).ok_or("`status` must be from 200 to 599")?;
    let headers = match fields.get("headers") {
        None | Some(Value::Null) => Vec::new(),
        Some(value) => object(value, "`headers`")?
            .iter()
            .map(|(name, value)| match value {
                Value::String(value) => Ok((name.clone(), value.clone())),
                Value::Number(value) => Ok((name.clone(), value.to_string())),
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                    Err(format!("the header `{name}` must be text"))
                }
            })
            .collect::<Result<_, _>>()?,
    };
    Ok(Rule {
        method: text(matching, "method")?,
        path: text(matching, "path")?,
        skip: number(fields, "skip")?.unwrap_or(0),
        times,
        fault,
        status,
        headers,
        body: fields.get("body").filter(|body| !body.is_null()).cloned(),
        delay: number(fields, "delay_ms")?.map(|delay| Duration::from_millis(delay).min(LONGEST_DELAY)),
        after_effect: flag(fields, "after_effect")?,
        stored: flag(fields, "stored")?,
    })
}

fn object<'v>(value: &'v Value, what: &str) -> Result<&'v Map<String, Value>, String> {
    value.as_object().ok_or_else(|| format!("{what} must be an object"))
}

fn known(fields: &Map<String, Value>, names: &[&str]) -> Result<(), String> {
    match fields.keys().find(|key| !names.contains(&key.as_str())) {
        Some(key) => Err(format!("`{key}` is not known; there are {}", names.join(", "))),
        None => Ok(()),
    }
}

fn text(fields: &Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("`{name}` must be text")),
    }
}

fn number(fields: &Map<String, Value>, name: &str) -> Result<Option<u64>, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or_else(|| format!("`{name}` must be a whole number")),
    }
}

fn flag(fields: &Map<String, Value>, name: &str) -> Result<bool, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(format!("`{name}` must be true or false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_matches_by_prefix_or_by_stars() {
        assert!(path_matches("/v1/customers", "/v1/customers/cus_1"));
        assert!(!path_matches("/v1/customers", "/v1/charges"));
        assert!(path_matches("*", "/anything"));
        assert!(path_matches("/v1/*/cancel", "/v1/payment_intents/pi_1/cancel"));
        assert!(!path_matches("/v1/*/cancel", "/v1/payment_intents/pi_1/confirm"));
        assert!(path_matches("/v1/*intents*", "/v1/payment_intents"));
        assert!(!path_matches("*aa*a", "aa"));
    }

    #[test]
    fn rules_strike_in_order_and_run_out() {
        let faults = Faults::default();
        faults
            .add(&json!([
                {"match": {"method": "POST"}, "fault": "status", "status": 429, "times": 1, "skip": 1},
                {"fault": "slow", "delay_ms": 5}
            ]))
            .unwrap();
        let names: Vec<_> = (0..3).map(|_| faults.strike("POST", "/v1/x").unwrap().fault.name()).collect();
        assert_eq!(names, ["slow", "status", "slow"]);
    }

    #[test]
    fn a_wrong_rule_is_refused_with_its_reason() {
        let faults = Faults::default();
        for (rule, reason) in [
            (json!({"fault": "flood"}), "no fault is called `flood`"),
            (json!({"fault": "slow", "delay": 3}), "`delay` is not known"),
            (json!({"fault": "status", "status": 99}), "from 200 to 599"),
            (json!({"fault": "slow", "times": 0}), "must not be 0"),
            (json!(7), "must be an object"),
        ] {
            let error = faults.add(&rule).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        assert_eq!(faults.snapshot(), json!([]));
    }
}
