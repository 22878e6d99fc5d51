//! Idempotency keys, with Stripe's rules.
//!
//! The first request with a key runs; its status and body are kept for 24 hours, also where they are an
//! error, once it had begun to run. A validation error, a 401 and a 429 leave no trace.

use std::collections::{HashMap, VecDeque};

use crate::http::Answer;

/// How long an answer is kept, in seconds.
const KEPT: i64 = 24 * 3_600;
/// How many keys are kept; the oldest go first.
const MOST_KEYS: usize = 100_000;

#[derive(Debug)]
struct Entry {
    /// What was asked, so that a key cannot be used for something else.
    asked: String,
    since: i64,
    state: EntryState,
}

#[derive(Debug)]
enum EntryState {
    Running { request: u64 },
    Done { answer: Answer, request_id: String },
}

/// What to do with a request that carries a key.
#[derive(Debug)]
pub(crate) enum Verdict {
    Run,
    Replay {
        answer: Answer,
        request_id: String,
    },
    InUse,
    /// The key belongs to a request with other parameters.
    Mismatch,
}

/// The keys in use.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    entries: HashMap<String, Entry>,
    /// Keys in the order of their first use, with that time.
    order: VecDeque<(i64, String)>,
}

impl Keys {
    /// Looks a key up, and claims it for `request` where it is free.
    pub(crate) fn claim(&mut self, key: &str, asked: &str, request: u64, now: i64) -> Verdict {
        self.expire(now);
        match self.entries.get(key) {
            Some(entry) if entry.asked != asked => Verdict::Mismatch,
            Some(Entry { state: EntryState::Running { .. }, .. }) => Verdict::InUse,
            Some(Entry { state: EntryState::Done { answer, request_id }, .. }) => {
                Verdict::Replay { answer: answer.clone(), request_id: request_id.clone() }
            }
            None => {
                self.order.push_back((now, key.to_owned()));
                let entry = Entry { asked: asked.to_owned(), since: now, state: EntryState::Running { request } };
                self.entries.insert(key.to_owned(), entry);
                Verdict::Run
            }
        }
    }

    /// Keeps the answer of the request that holds the claim.
    pub(crate) fn finish(&mut self, key: &str, request: u64, answer: Answer, request_id: String) {
        if let Some(entry) = self.entries.get_mut(key)
            && matches!(entry.state, EntryState::Running { request: r } if r == request)
        {
            entry.state = EntryState::Done { answer, request_id };
        }
    }

    /// Frees the key, as if the request that holds the claim had never come.
    pub(crate) fn release(&mut self, key: &str, request: u64) {
        let holds =
            self.entries.get(key).is_some_and(|entry| matches!(entry.state, EntryState::Running { request: r } if r == request));
        if holds {
            self.entries.remove(key);
        }
    }

    fn expire(&mut self, now: i64) {
        while let Some((since, key)) = self.order.front() {
            if now - since < KEPT && self.order.len() < MOST_KEYS {
                return;
            }
            // A key may have been released and taken again since: its later place in the order counts.
            if self.entries.get(key).is_some_and(|entry| entry.since == *since) {
                self.entries.remove(key);
            }
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_runs_once_and_replays_for_a_day() {
        let mut keys = Keys::default();
        assert!(matches!(keys.claim("k", "a", 1, 0), Verdict::Run));
        assert!(matches!(keys.claim("k", "a", 2, 1), Verdict::InUse));
        assert!(matches!(keys.claim("k", "b", 3, 1), Verdict::Mismatch));
        keys.finish("k", 1, Answer::empty(200), "req_1".to_owned());
        assert!(matches!(keys.claim("k", "a", 4, KEPT - 1), Verdict::Replay { .. }));
        assert!(matches!(keys.claim("k", "b", 5, KEPT - 1), Verdict::Mismatch));
        assert!(matches!(keys.claim("k", "b", 6, KEPT), Verdict::Run));
    }

    #[test]
    fn a_released_key_is_free_and_only_its_holder_releases_it() {
        let mut keys = Keys::default();
        assert!(matches!(keys.claim("k", "a", 1, 0), Verdict::Run));
        keys.release("k", 9);
        assert!(matches!(keys.claim("k", "a", 2, 0), Verdict::InUse));
        keys.release("k", 1);
        assert!(matches!(keys.claim("k", "b", 3, 0), Verdict::Run));
    }
}
