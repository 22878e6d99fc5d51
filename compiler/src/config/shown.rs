//! What of flow.toml may be shown: a secret that was written into it by mistake must not come out again in a report, which
//! goes into logs and answers of the admin API.

/// From so many characters on a word can be a secret.
const SHORTEST: usize = 12;
/// A word whose characters change so often between small letters, capitals and digits was made by a machine.
const CHANGES: usize = 4;
/// A value of such a key is a secret, whatever it looks like, from this length on.
const SHORTEST_NAMED: usize = 6;

/// What keys of secrets are called.
const NAMES: &[&str] = &["secret", "token", "key", "password", "passwd", "pwd", "signing", "credential", "auth"];
/// How secrets of known services begin.
const LABELS: &[&str] = &["sk_", "rk_", "pk_", "whsec_", "ghp_", "xoxb-", "xoxp-", "eyJ", "AKIA"];

/// Returns the text of a flow.toml for reports: of the same length, with stars in place of what could be a secret.
pub fn shown(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let (begin, end) = (at, at + line.len());
        at = end;
        let value = line.find('=').map_or(0, |found| found + 1);
        let key = line.get(..value).unwrap_or_default().trim().trim_end_matches('=').trim().to_ascii_lowercase();
        let named = value > 0 && NAMES.iter().any(|name| key.contains(name));
        let mut star = |from: usize, to: usize| {
            if let Some(part) = bytes.get_mut(from..to) {
                part.fill(b'*');
            }
        };
        for (from, word) in words(line, value) {
            let reference = ["env", "file", "credential"].contains(&word);
            if is_secret(word) || (named && !reference && word.len() >= SHORTEST_NAMED && !is_reference(line)) {
                star(begin + from, begin + from + word.len());
            }
        }
        // `https://user:password@host`
        if let Some(scheme) = line.find("://")
            && let Some(name) = line.get(scheme + 3..)
            && let Some(length) = name.split(['/', '"', '\'', '\n']).next().and_then(|authority| authority.rfind('@'))
        {
            star(begin + scheme + 3, begin + scheme + 3 + length);
        }
    }
    // Stars are characters, and only whole words were replaced; were it otherwise nothing would be shown.
    String::from_utf8(bytes).unwrap_or_else(|_| "*".repeat(text.len()))
}

/// Tells whether a word looks like a secret, such as `sk_live_51Hx…`, and not like a name that somebody has chosen.
pub fn is_secret(word: &str) -> bool {
    if word.len() < SHORTEST {
        return false;
    }
    let kind = |byte: &u8| match byte {
        b'a'..=b'z' => Some(0),
        b'A'..=b'Z' => Some(1),
        b'0'..=b'9' => Some(2),
        _ => None,
    };
    let has_digit = word.bytes().any(|byte| byte.is_ascii_digit());
    // A capital at the begin of a part is how people write: `X-Shop-Signature-256`.
    let changes = |part: &str| {
        let kinds: Vec<u8> = part.as_bytes().iter().filter_map(kind).collect();
        let changes = kinds.iter().zip(kinds.iter().skip(1)).filter(|(one, next)| one != next).count();
        changes - usize::from(kinds.starts_with(&[1, 0]))
    };
    let changes: usize = word.split(['-', '_', '.']).map(changes).sum();
    let labelled = LABELS.iter().any(|label| word.starts_with(label));
    has_digit && (labelled || changes >= CHANGES)
}

/// Tells whether a text begins as the secrets of well-known services do.
pub fn begins_as_secret(text: &str) -> bool {
    LABELS.iter().any(|label| text.len() > label.len() && text.starts_with(label))
}

/// The secret is read from elsewhere: what stands there is its name.
fn is_reference(line: &str) -> bool {
    line.contains('{') && ["env", "file", "credential"].iter().any(|word| line.contains(word))
}

/// The words of a line behind a place, with where they begin: what a secret can be made of.
fn words(line: &str, from: usize) -> impl Iterator<Item = (usize, &str)> {
    let is_part = |c: char| c.is_alphanumeric() || "_-+=.~!$%^&*@".contains(c);
    let rest = line.get(from..).unwrap_or_default();
    rest.split(move |c: char| !is_part(c))
        .filter(|word| !word.is_empty())
        .map(move |word| (word.as_ptr() as usize - line.as_ptr() as usize, word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_flow_toml_is_not_shown() {
        let toml = "[connections.pay]\nsecret = \"sk_live_51HxLITERALSECRETabcdef\"\nkey=sk_live_51HxLITERAL\n\
            password = \"hunter2\"\nbase_url = \"http://u:hunter2@127.0.0.1:1/x\"\nkey = { env = \"sk_live_51HxLITERAL\" }\n\
            token = { file = \"/etc/keys/stripe\" }\nnote = \"é 5f0c1d2e3a4b5c6d\"\n";
        let shown = shown(toml);
        assert_eq!(shown.len(), toml.len());
        assert!(!shown.contains("LITERAL") && !shown.contains("hunter2") && !shown.contains("5f0c"), "{shown}");
        assert!(shown.contains("base_url = \"http://*********@127.0.0.1:1/x\""), "{shown}");
        assert!(shown.contains("token = { file = \"/etc/keys/stripe\" }"), "{shown}");
    }

    #[test]
    fn what_people_write_is_shown() {
        let toml = "timezone = \"Europe/Paris\"\ncurrency = \"USD\"\n[server]\nlisten = \"127.0.0.1:7400\"\nmax_body = \"1 MiB\"\n\
            [connections.stripe]\nwebhook_secret = { env = \"STRIPE_WEBHOOK_SECRET_2026\" }\nbase_url = \"https://api-2026.example.org/v1\"\n\
            [connections.http]\nverify = \"standard_webhooks\"\nheader = \"X-Shop-Signature-256\"\n";
        assert_eq!(shown(toml), toml);
        for name in ["STRIPE_KEY_2026", "stripe_webhook_secret", "kustomer-api-key-2", "MyStripeKey"] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
