//! Secrets that the tests plant, and the search for them in everything that a daemon leaves behind: after every test.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::daemon::{KUSTOMER_KEY, STRIPE_KEY};
use super::{http, stripe};

const SECRETS: [&str; 3] = [KUSTOMER_KEY, STRIPE_KEY, stripe::SECRET];

/// What may come out of the admin API.
const SHOWN: [&str; 11] = [
    "/api/v1/status",
    "/api/v1/flows",
    "/api/v1/connections",
    "/api/v1/events?limit=1000",
    "/api/v1/runs?limit=1000",
    "/api/v1/dead",
    "/api/v1/alarms",
    "/api/v1/openapi.json",
    "/metrics",
    "/readyz",
    "/healthz",
];

/// Asserts that a text holds none of the secrets, as they are or encoded.
pub(crate) fn none_in(what: &str, bytes: &[u8]) {
    // As text, since the library's search in texts is the fast one; what is no text becomes marks and harms nothing.
    let text = String::from_utf8_lossy(bytes);
    for secret in SECRETS {
        for form in forms(secret) {
            assert!(!text.contains(&form), "{what} holds {secret} as {form}");
        }
    }
}

/// Looks through what a daemon shows.
pub(crate) fn none_shown(admin: &str) {
    for path in SHOWN {
        if let Some(answer) = http::try_send(admin, "GET", path, &[], b"") {
            none_in(path, answer.body.as_bytes());
        }
    }
    let runs = http::try_send(admin, "GET", "/api/v1/runs?limit=20", &[], b"").filter(|answer| answer.status == 200);
    for run in runs.iter().flat_map(|runs| runs.json()["runs"].as_array().cloned().unwrap_or_default()) {
        let path = format!("/api/v1/runs/{}?personal=true", run["id"].as_str().unwrap_or_default());
        if let Some(answer) = http::try_send(admin, "GET", &path, &[], b"") {
            none_in(&path, answer.body.as_bytes());
        }
    }
}

/// Looks through the files of a project: the store, the log, what is kept beside them.
pub(crate) fn none_kept(folder: &Path) {
    for file in files(folder) {
        // What the daemon itself obtained, and the files that a test gives a secret in.
        if file.components().any(|part| part.as_os_str() == "secrets") {
            continue;
        }
        if let Ok(bytes) = std::fs::read(&file) {
            none_in(&file.display().to_string(), &bytes);
        }
    }
}

/// The secret as it is, in hexadecimal, as in an address, and what base64 makes of it wherever it stands in a longer text.
fn forms(secret: &str) -> Vec<String> {
    let percent = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let mut forms = vec![secret.to_owned(), hex::encode(secret), hex::encode_upper(secret), percent];
    for before in ["", "x", "xx"] {
        for encoded in [STANDARD.encode(format!("{before}{secret}")), URL_SAFE_NO_PAD.encode(format!("{before}{secret}"))] {
            // The first and the last characters depend on what stands around it.
            let end = encoded.len() - 4;
            forms.push(encoded[4..end].to_owned());
        }
    }
    forms.sort_unstable();
    forms.dedup();
    forms
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn a_planted_secret_would_be_found() {
    none_in("an innocent text", b"whsec_test_0123456789abcdee");
    for text in [KUSTOMER_KEY.to_owned(), STANDARD.encode(format!("user:{STRIPE_KEY}!")), hex::encode(stripe::SECRET)] {
        let found = std::panic::catch_unwind(|| none_in("a text", format!("{{\"a\":\"{text}\"}}").as_bytes()));
        assert!(found.is_err(), "{text}");
    }
}
