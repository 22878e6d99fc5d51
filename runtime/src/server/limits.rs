//! Bounds on what comes in.

use std::time::Duration;

/// What a sender may take of the daemon.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The largest body in bytes; beyond: 413.
    pub max_body: usize,
    /// The largest request line with headers in bytes; beyond: 431.
    pub max_header: usize,
    /// The time until a request begins, and from there the time for the request line and the headers; beyond: 408.
    pub header_timeout: Duration,
    /// The time for the body, from its first byte to its last; beyond: 408.
    pub body_timeout: Duration,
    /// The time in which an answer must be taken, beside a second for each 16 KiB; beyond, the connection is closed.
    pub answer_timeout: Duration,
    /// The memory for bodies that are on their way in, in bytes, beside the first 32 KiB of each. It is taken as the bytes
    /// come. Senders beyond wait, then get 503.
    pub bodies: usize,
    /// What of that one address that is not loopback may take; beyond: 503.
    pub bodies_per_address: usize,
    /// Connections at a time. Beyond, whoever is idle for the longest gives way.
    pub connections: usize,
    /// Connections at a time from one address that is not loopback. Beyond, an idle one of the same address gives way, or the
    /// new one gets 503.
    pub connections_per_address: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body: 1024 * 1024,
            max_header: 16 * 1024,
            header_timeout: Duration::from_secs(15),
            body_timeout: Duration::from_secs(15),
            answer_timeout: Duration::from_secs(15),
            bodies: 64 * 1024 * 1024,
            bodies_per_address: 16 * 1024 * 1024,
            connections: 1024,
            connections_per_address: 256,
        }
    }
}
