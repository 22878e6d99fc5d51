//! What a check came to, in words and for programs.

use flow::terminal::printable;
use flow_runtime::check::{Checked, Finding};
use serde_json::{Value as Json, json};

/// Returns one line.
pub(crate) fn checked_line(checked: &Checked) -> String {
    let said = match &checked.finding {
        Finding::Works(None) => "works".to_owned(),
        Finding::Works(Some(told)) => format!("works: {told}"),
        Finding::Lacks(secrets) => format!("was not asked, since {} is not there", secrets.join(", ")),
        Finding::Other(secret) => {
            format!("was not asked, since {secret} is not there; without it nothing can be asked that changes nothing")
        }
        Finding::Refused(reason) => format!("does not work: the credentials are refused: {reason}"),
        Finding::Busy(reason) => format!("does not work now: no calls are left for the moment: {reason}"),
        Finding::Odd(reason) => format!("does not work: {reason}"),
        Finding::Unmade(reason) => format!("was not asked: {reason}"),
        Finding::Silent(reason) => format!("does not answer: {reason}"),
    };
    let clock = match checked.clock_ahead.map(|ahead| ahead.as_secs()) {
        Some(ahead) if ahead > 0 => format!("; this machine's clock is {ahead} seconds ahead of the service's"),
        Some(behind) => format!("; this machine's clock is {} seconds behind the service's", behind.unsigned_abs()),
        None => String::new(),
    };
    printable(&format!("{} {said}{clock}", checked.asked))
}

/// Returns it as JSON.
pub(crate) fn checked_json(checked: &Checked) -> Json {
    let reason = match &checked.finding {
        Finding::Works(told) => told.clone(),
        Finding::Lacks(secrets) => Some(secrets.join(", ")),
        Finding::Other(secret) => Some(secret.clone()),
        Finding::Refused(reason)
        | Finding::Busy(reason)
        | Finding::Odd(reason)
        | Finding::Unmade(reason)
        | Finding::Silent(reason) => Some(reason.clone()),
    };
    json!({
        "asked": checked.asked,
        "finding": checked.finding.word(),
        "said": reason,
        "clock_ahead_seconds": checked.clock_ahead.map(|ahead| ahead.as_secs()),
    })
}
