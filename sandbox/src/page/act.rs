//! What the page can do.

use serde_json::{Value, json};

use super::{Page, panel, view};

/// What can go wrong with a service, to choose from.
const FAULTS: &[(&str, &str)] = &[
    ("none", "Nothing: it works"),
    ("down", "It is down: everything is answered with 503"),
    ("busy", "It is busy: the next request is answered with 429"),
    ("lost", "The next answer gets lost, after it was done"),
    ("reset", "The next connection breaks before anything is done"),
    ("truncated", "The next answer is cut off"),
    ("slow", "It is slow: each answer takes three seconds"),
];

/// Returns the faults to choose from.
pub(super) fn faults() -> Value {
    FAULTS.iter().map(|(id, label)| json!({ "id": id, "label": label })).collect()
}

/// Does what a press of a button asks for, and says in a line what was done.
pub(super) fn act(page: &Page, asked: &Value) -> Result<String, String> {
    let word = |name: &str| asked.get(name).and_then(Value::as_str).unwrap_or("");
    let service = word("service");
    let emulator = page.emulator(service).ok_or("there is no such service")?;
    let done = match word("act") {
        "press" => {
            let (label, happening) = panel::happening(service, word("button"), &view::fields(asked.get("fields")))?;
            emulator.emit(&happening)?;
            label.to_owned()
        }
        "fault" => {
            let (id, label) = FAULTS.iter().find(|(id, _)| *id == word("fault")).ok_or("there is no such fault")?;
            emulator.faults().clear();
            if let Some(rule) = rule(id) {
                emulator.faults().add(&rule)?;
            }
            (*label).to_owned()
        }
        "reset" => {
            emulator.reset();
            "Everything is forgotten".to_owned()
        }
        _ => return Err("the page asked for something that is not known".to_owned()),
    };
    page.keep(json!({ "at": emulator.now().strftime("%H:%M:%S").to_string(), "service": service, "how": "by this page", "summary": done }));
    Ok(done)
}

fn rule(fault: &str) -> Option<Value> {
    let everything = json!({ "path": "/" });
    Some(match fault {
        "down" => json!({ "match": everything, "fault": "status", "status": 503 }),
        "busy" => json!({ "match": everything, "fault": "status", "status": 429, "headers": { "Retry-After": "2" }, "times": 1 }),
        "lost" => json!({ "match": everything, "fault": "reset", "after_effect": true, "times": 1 }),
        "reset" => json!({ "match": everything, "fault": "reset", "times": 1 }),
        "truncated" => json!({ "match": everything, "fault": "truncated", "times": 1 }),
        "slow" => json!({ "match": everything, "fault": "slow", "delay_ms": 3_000 }),
        _ => return None,
    })
}
