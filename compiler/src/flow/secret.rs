//! Texts that look like a live secret. They are never printed back.

use flow_grammar::syntax::{TextLit, TextPart};

use super::check::Checker;
use crate::code::Code;

/// Beginnings of secrets, and how many characters must follow at least.
const SHAPES: &[(&str, usize)] = &[
    ("sk_live_", 8),
    ("rk_live_", 8),
    ("whsec_", 16),
    ("AKIA", 16),
    ("ASIA", 16),
    ("xoxb-", 10),
    ("xoxp-", 10),
    ("ghp_", 20),
    ("gho_", 20),
    ("github_pat_", 20),
    ("glpat-", 16),
    ("-----BEGIN ", 8),
];

/// Tells whether a text has something in it that looks like a live secret.
pub(super) fn looks_live(text: &str) -> bool {
    SHAPES.iter().any(|(start, least)| {
        text.match_indices(start).any(|(at, _)| {
            let before = text.get(..at).and_then(|before| before.chars().next_back());
            let rest = text.get(at + start.len()..).unwrap_or("");
            let follows =
                rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '/' | '=' | ' ')).count();
            before.is_none_or(|c| !c.is_ascii_alphanumeric()) && follows >= *least
        })
    })
}

impl Checker<'_> {
    pub(super) fn check_secret(&mut self, text: &TextLit) {
        for part in &text.parts {
            if let TextPart::Text(piece) = part
                && piece.len() >= 12
                && looks_live(piece)
            {
                let diagnostic = self
                    .diagnostic(Code::E801, text.span, "this text looks like a live secret")
                    .label("whoever reads this file, its history or a log can use it")
                    .help("take it out, revoke it at the service, and give the new one to its connection in flow.toml: `{ env = \"NAME\" }` or `{ file = \"secrets/name\" }`");
                self.report(diagnostic);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::looks_live;

    #[test]
    fn knows_secrets_and_leaves_words_alone() {
        assert!(looks_live(concat!("sk_", "live_51Habcdefghijk")));
        assert!(looks_live(concat!("key: AK", "IAABCDEFGHIJKLMNOP")));
        assert!(!looks_live("sk_live_"));
        assert!(!looks_live("sk_test_51Habcdefghijk"));
        assert!(!looks_live("Slovakia AKIA"));
        assert!(!looks_live("whsec_short"));
    }
}
