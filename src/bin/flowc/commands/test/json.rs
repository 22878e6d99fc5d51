//! A test run as one JSON document.

use flow_plan::Value;
use flow_runtime::sim::{Failure, MadeCall};
use serde_json::{Map, Value as Json, json};

use super::Ran;

pub(super) fn document(ran: &[Ran]) -> String {
    let failed = ran.iter().filter(|one| !one.passed()).count();
    let document = json!({
        "tests": ran.iter().map(test).collect::<Vec<_>>(),
        "summary": { "passed": ran.len() - failed, "failed": failed },
    });
    flow::output::document(&document)
}

fn test(one: &Ran) -> Json {
    let (failures, calls) = match &one.outcome {
        Ok(report) => {
            (report.failures.iter().map(|failure| self::failure(one, failure)).collect(), report.calls.iter().map(call).collect())
        }
        Err(trouble) => {
            let line = trouble.step.and_then(|at| one.test.steps.get(at)).map(|step| step.line);
            (vec![json!({ "line": line, "message": trouble.message, "differences": [] })], Vec::new())
        }
    };
    json!({
        "title": one.test.title,
        "file": one.test.file,
        "line": one.test.line,
        "flow": one.test.flow,
        "passed": one.passed(),
        "ms": u64::try_from(one.took.as_millis()).unwrap_or(u64::MAX),
        "failures": failures,
        "calls": Json::Array(calls),
    })
}

fn failure(one: &Ran, failure: &Failure) -> Json {
    let step = failure.step.and_then(|at| one.test.steps.get(at));
    let differences: Vec<Json> = failure
        .differences
        .iter()
        .enumerate()
        .flat_map(|(call, inputs)| {
            inputs.iter().map(move |one| {
                json!({ "call": call, "input": one.input, "expected": one.expected.to_json(), "found": one.found.to_json() })
            })
        })
        .collect();
    json!({
        "line": step.map(|step| step.line),
        "text": step.map(|step| step.text.as_str()),
        "message": failure.message,
        "notes": failure.notes,
        "differences": differences,
    })
}

fn call(call: &MadeCall) -> Json {
    let inputs: Map<String, Json> = call
        .inputs
        .iter()
        .filter(|(_, value)| !matches!(value, Value::Missing))
        .map(|(name, value)| (name.clone(), value.to_json()))
        .collect();
    json!({
        "at": flow_functions::rfc3339(call.at),
        "flow": call.flow,
        "call": call.name,
        "inputs": inputs,
        "times": call.times,
        "reads": call.reads,
        "filled_in": call.filled_in,
    })
}
