//! Identifiers that look like the services' own.

use jiff::Timestamp;

const ALPHANUMERIC: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const HEX: &[u8; 16] = b"0123456789abcdef";

/// A source of identifiers; with a seed it yields the same ones each time.
#[derive(Debug)]
pub(crate) struct Ids {
    random: fastrand::Rng,
}

impl Ids {
    pub(crate) fn new(seed: Option<u64>) -> Ids {
        Ids { random: seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed) }
    }

    /// Returns `prefix` followed by `length` letters and digits.
    pub(crate) fn alphanumeric(&mut self, prefix: &str, length: usize) -> String {
        let mut id = String::with_capacity(prefix.len() + length);
        id.push_str(prefix);
        for _ in 0..length {
            id.push(char::from(self.random.choice(ALPHANUMERIC).copied().unwrap_or(b'0')));
        }
        id
    }

    /// Returns `length` lower-case hexadecimal digits.
    pub(crate) fn hex(&mut self, length: usize) -> String {
        (0..length).map(|_| char::from(self.random.choice(HEX).copied().unwrap_or(b'0'))).collect()
    }

    /// Returns 24 hexadecimal digits that begin with the time in seconds, as document databases make them.
    pub(crate) fn document(&mut self, now: Timestamp) -> String {
        let seconds = u32::try_from(now.as_second()).unwrap_or_default();
        format!("{seconds:08x}{}", self.hex(16))
    }

    /// Returns a number below `limit`, which must not be zero.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.random.usize(0..limit.max(1))
    }
}
