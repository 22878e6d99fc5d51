//! Clauses that end in one of a few words.

use flow_grammar::syntax::Ident;

use super::super::check::{Checker, listed};
use crate::code::Code;
use crate::suggest::nearest;

/// A word that a clause can end in.
pub(super) struct Choice<T: 'static> {
    pub(super) word: &'static str,
    pub(super) means: T,
    /// What others call it.
    pub(super) also: &'static [&'static str],
    pub(super) docs: &'static str,
}

impl<'a> Checker<'a> {
    /// Returns what the word means, reporting one that means nothing.
    pub(super) fn word<T: Copy>(&mut self, word: &Ident, clause: &str, choices: &'static [Choice<T>]) -> Option<T> {
        let text = word.text.as_str();
        if let Some(choice) = choices.iter().find(|choice| choice.word == text) {
            return Some(choice.means);
        }
        let alias = choices.iter().find(|choice| choice.also.contains(&text));
        let slip = nearest(text, choices.iter().map(|choice| choice.word));
        let meant = alias.or_else(|| choices.iter().find(|choice| Some(choice.word) == slip));
        let words: Vec<&str> = choices.iter().map(|choice| choice.word).collect();
        let mut diagnostic = self
            .diagnostic(Code::E102, word.span, format!("`{clause} {text}` is nothing"))
            .label(format!("expected {}", listed(&words, "or")));
        diagnostic = match meant {
            Some(choice) => diagnostic.help(format!("did you mean `{}`: {}?", choice.word, choice.docs)).fix(
                format!("`{clause} {}`", choice.word),
                word.span,
                choice.word,
                alias.is_none(),
            ),
            None => {
                let all: Vec<String> = choices.iter().map(|choice| format!("`{}`: {}", choice.word, choice.docs)).collect();
                diagnostic.help(all.join("; "))
            }
        };
        self.report(diagnostic);
        None
    }
}
