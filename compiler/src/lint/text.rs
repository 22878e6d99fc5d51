//! Sets of texts: some, all but some, and what is asked of the rest.

use std::sync::Arc;

/// A set of texts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Texts {
    /// These and no others, sorted.
    only: Option<Vec<Arc<str>>>,
    /// None of these, sorted.
    not: Vec<Arc<str>>,
    /// What is asked of them.
    tests: Vec<Asked>,
}

/// A question about a text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
    pub(super) how: How,
    pub(super) part: Arc<str>,
    /// The answer must be yes.
    pub(super) holds: bool,
}

/// The questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Contains,
    Starts,
    Ends,
    /// A regular expression: it is not looked into.
    Matches,
}

impl Texts {
    /// Returns the set of all texts.
    pub(super) fn all() -> Self {
        Self { only: None, not: Vec::new(), tests: Vec::new() }
    }

    /// Returns the set of these texts.
    pub(super) fn only(texts: impl IntoIterator<Item = Arc<str>>) -> Self {
        Self { only: Some(sorted(texts)), not: Vec::new(), tests: Vec::new() }
    }

    /// Returns the set of all other texts.
    pub(super) fn all_but(texts: impl IntoIterator<Item = Arc<str>>) -> Self {
        Self { only: None, not: sorted(texts), tests: Vec::new() }
    }

    /// Returns the texts for which a question has an answer.
    pub(super) fn asked(asked: Asked) -> Self {
        Self { only: None, not: Vec::new(), tests: vec![asked] }
    }

    /// Returns what is in both.
    pub(super) fn and(&self, other: &Self) -> Self {
        let mut tests = self.tests.clone();
        tests.extend(other.tests.iter().filter(|asked| !self.tests.contains(asked)).cloned());
        let not = sorted(self.not.iter().chain(&other.not).cloned());
        let only = match (&self.only, &other.only) {
            (Some(a), Some(b)) => Some(a.iter().filter(|text| b.binary_search(text).is_ok()).cloned().collect()),
            (Some(only), None) | (None, Some(only)) => Some(only.clone()),
            (None, None) => None,
        };
        let Some(mut only): Option<Vec<Arc<str>>> = only else { return Self { only: None, not, tests } };
        only.retain(|text| not.binary_search(text).is_err() && tests.iter().all(|asked| asked.answer(text) != Some(false)));
        tests.retain(|asked| asked.how == How::Matches);
        Self { only: Some(only), not: Vec::new(), tests }
    }

    /// Tells whether there is surely nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        if let Some(only) = &self.only {
            return only.is_empty();
        }
        let (yes, no): (Vec<&Asked>, Vec<&Asked>) = self.tests.iter().partition(|asked| asked.holds);
        yes.iter().any(|a| no.iter().any(|b| a.implies(b)))
            || yes.iter().enumerate().any(|(at, a)| yes.iter().skip(at + 1).any(|b| a.excludes(b)))
    }

    /// Returns the texts where they can be counted.
    pub(super) fn finite(&self) -> Option<&[Arc<str>]> {
        self.only.as_deref()
    }

    /// Tells whether a text is in it; `None` where that takes a regular expression.
    pub(super) fn contains(&self, text: &str) -> Option<bool> {
        let among = |sorted: &[Arc<str>]| sorted.binary_search_by(|known| (**known).cmp(text)).is_ok();
        if self.only.as_ref().is_some_and(|only| !among(only)) || among(&self.not) {
            return Some(false);
        }
        let mut sure = true;
        for asked in &self.tests {
            match asked.answer(text) {
                Some(true) => {}
                Some(false) => return Some(false),
                None => sure = false,
            }
        }
        sure.then_some(true)
    }

    /// Returns a text in it; `None` where none is found.
    pub(super) fn pick(&self) -> Option<Arc<str>> {
        if let Some(only) = &self.only {
            return only.iter().find(|text| self.contains(text) == Some(true)).cloned();
        }
        let wanted = |how: How| self.tests.iter().filter(move |asked| asked.holds && asked.how == how).map(|asked| &*asked.part);
        let start = wanted(How::Starts).max_by_key(|part| part.len());
        let end = wanted(How::Ends).max_by_key(|part| part.len()).unwrap_or_default();
        let parts: String = wanted(How::Contains).collect();
        let filler = if parts.is_empty() && start.is_none() { "something" } else { "" };
        let begin = start.unwrap_or_default();
        let mut middle = format!("{parts}{filler}");
        for _ in 0..=self.not.len() {
            let text = format!("{begin}{middle}{end}");
            if self.contains(&text) == Some(true) {
                return Some(text.into());
            }
            middle.push('x');
        }
        None
    }
}

impl Asked {
    /// Returns whether the text is one that is wanted; `None` where that takes a regular expression.
    fn answer(&self, text: &str) -> Option<bool> {
        let found = match self.how {
            How::Contains => text.contains(&*self.part),
            How::Starts => text.starts_with(&*self.part),
            How::Ends => text.ends_with(&*self.part),
            How::Matches => return None,
        };
        Some(found == self.holds)
    }

    /// Tells whether a yes here is a yes there.
    fn implies(&self, other: &Self) -> bool {
        match (self.how, other.how) {
            (How::Matches, _) | (_, How::Matches) => self.how == other.how && self.part == other.part,
            (_, How::Contains) => self.part.contains(&*other.part),
            (How::Starts, How::Starts) => self.part.starts_with(&*other.part),
            (How::Ends, How::Ends) => self.part.ends_with(&*other.part),
            (How::Contains, How::Starts | How::Ends) | (How::Starts, How::Ends) | (How::Ends, How::Starts) => {
                other.part.is_empty()
            }
        }
    }

    /// Tells whether two answers of yes exclude each other.
    fn excludes(&self, other: &Self) -> bool {
        match (self.how, other.how) {
            (How::Starts, How::Starts) => !self.part.starts_with(&*other.part) && !other.part.starts_with(&*self.part),
            (How::Ends, How::Ends) => !self.part.ends_with(&*other.part) && !other.part.ends_with(&*self.part),
            _ => false,
        }
    }
}

fn sorted(texts: impl IntoIterator<Item = Arc<str>>) -> Vec<Arc<str>> {
    let mut texts: Vec<Arc<str>> = texts.into_iter().collect();
    texts.sort();
    texts.dedup();
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(how: How, part: &str, holds: bool) -> Texts {
        Texts::asked(Asked { how, part: part.into(), holds })
    }

    #[test]
    fn what_is_picked_is_in_the_set() {
        let set = asked(How::Starts, "pay_", true)
            .and(&asked(How::Ends, "@example.com", true))
            .and(&asked(How::Contains, "vip", true))
            .and(&Texts::all_but(["pay_vip@example.com".into()]));
        assert_eq!(set.contains(&set.pick().unwrap()), Some(true));
        assert!(!set.is_empty());
    }

    #[test]
    fn questions_can_clash() {
        assert!(asked(How::Starts, "a", true).and(&asked(How::Starts, "b", true)).is_empty());
        assert!(!asked(How::Starts, "a", true).and(&asked(How::Starts, "ab", true)).is_empty());
        assert!(asked(How::Ends, "ab", true).and(&asked(How::Contains, "b", false)).is_empty());
        assert!(asked(How::Starts, "a", true).and(&Texts::only(["b".into()])).is_empty());
        assert!(asked(How::Matches, "^a", true).and(&asked(How::Matches, "^a", false)).is_empty());
    }
}
