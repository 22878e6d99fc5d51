//! How a connection is doing, for whoever asks.

use std::time::Duration;

use jiff::Timestamp;

use super::Cause;

/// How a connection is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionState {
    /// Its name.
    pub name: String,
    /// Runs that wait for their turn at it.
    pub queued: usize,
    /// Steps that are performed at it.
    pub in_flight: usize,
    /// At most so many are at once.
    pub most_in_flight: usize,
    /// Runs that wait until it works, may be asked again, or has calls left.
    pub parked: usize,
    /// Whether it answers.
    pub circuit: CircuitState,
    /// The service asked for patience until then.
    pub paused_until: Option<Timestamp>,
    /// The limit of its connector.
    pub rate: Option<RateState>,
    /// The calls of its account.
    pub quota: Option<QuotaState>,
    /// What its answers cost, where that is bounded.
    pub tokens: Option<TokenState>,
    /// Further APIs of the service, and servers that runs have named, as far as something is wrong with those.
    pub parts: Vec<PartState>,
    /// So many more of those servers are there.
    pub unshown: usize,
}

/// How a part of a connection is doing that is well or not by itself. The figures of the connection hold its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartState {
    /// A further API of the service.
    pub api: Option<String>,
    /// The server that runs have named: scheme, host and port.
    pub origin: Option<String>,
    /// Runs that wait for their turn at it.
    pub queued: usize,
    /// Steps that are performed at it.
    pub in_flight: usize,
    /// Runs that wait until it works, or may be asked again.
    pub parked: usize,
    /// Whether it answers.
    pub circuit: CircuitState,
    /// It asked for patience until then.
    pub paused_until: Option<Timestamp>,
    /// Its limit, which is that of the connection where it has none of its own.
    pub rate: Option<RateState>,
}

impl PartState {
    /// Returns what it is, for people: `app API`, or a server.
    pub fn label(&self) -> String {
        match (&self.api, &self.origin) {
            (_, Some(origin)) => origin.clone(),
            (Some(api), None) => format!("{api} API"),
            (None, None) => String::new(),
        }
    }

    /// Returns one word for it: `broken`, `open`, `paused` or `ok`.
    pub fn word(&self) -> &'static str {
        self.circuit.word().unwrap_or(if self.paused_until.is_some() { "paused" } else { "ok" })
    }
}

impl ConnectionState {
    /// Returns since when its credentials, or those of one of its APIs, do not work, and why.
    pub fn broken(&self) -> Option<(Timestamp, String)> {
        let own = self.circuit.broken().map(|(since, error)| (since, error.to_owned()));
        own.or_else(|| {
            self.apis().find_map(|part| part.circuit.broken().map(|(since, error)| (since, format!("{}: {error}", part.label()))))
        })
    }

    /// Returns since when it, or one of its APIs, does not answer, why, and when it is tried next.
    pub fn silent(&self) -> Option<(Timestamp, String, Timestamp)> {
        let own = self.circuit.silent().map(|(since, error, until)| (since, error.to_owned(), until));
        own.or_else(|| {
            self.apis().find_map(|part| {
                part.circuit.silent().map(|(since, error, until)| (since, format!("{}: {error}", part.label()), until))
            })
        })
    }

    /// Its further APIs. What is wrong with a server that a run has named is not wrong with the connection.
    fn apis(&self) -> impl Iterator<Item = &PartState> {
        self.parts.iter().filter(|part| part.origin.is_none())
    }

    /// Returns one word for it: `broken`, `open`, `spent`, `paused` or `ok`.
    pub fn word(&self) -> &'static str {
        if self.broken().is_some() {
            "broken"
        } else if self.silent().is_some() {
            "open"
        } else if self.quota.as_ref().is_some_and(QuotaState::is_spent) || self.tokens.is_some_and(TokenState::is_spent) {
            "spent"
        } else if self.paused_until.is_some() {
            "paused"
        } else {
            "ok"
        }
    }
}

/// Whether a connection answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CircuitState {
    /// It does, as far as anybody knows; so many failures in a row were the last.
    Closed {
        /// Failures in a row.
        failures: u32,
    },
    /// It does not, or does not accept the credentials: nothing is sent but one request now and then.
    Open {
        /// [`Cause::Broken`] or [`Cause::Silent`].
        cause: Cause,
        /// Since when.
        since: Timestamp,
        /// What went wrong.
        error: String,
        /// When the next request is sent.
        until: Timestamp,
        /// One is under way.
        probing: bool,
    },
}

impl CircuitState {
    /// Returns since when the credentials do not work, and why.
    pub fn broken(&self) -> Option<(Timestamp, &str)> {
        match self {
            Self::Open { cause: Cause::Broken, since, error, .. } => Some((*since, error)),
            Self::Open { .. } | Self::Closed { .. } => None,
        }
    }

    /// Returns since when nothing answers, why, and when it is tried next.
    pub fn silent(&self) -> Option<(Timestamp, &str, Timestamp)> {
        match self {
            Self::Open { cause: Cause::Silent, since, error, until, .. } => Some((*since, error, *until)),
            Self::Open { .. } | Self::Closed { .. } => None,
        }
    }

    fn word(&self) -> Option<&'static str> {
        self.broken().map(|_| "broken").or_else(|| self.silent().map(|_| "open"))
    }
}

/// The requests of a connection against the limit of its connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateState {
    /// So many.
    pub count: usize,
    /// In such a time.
    pub per: Duration,
    /// So many were sent in the last such time.
    pub used: usize,
}

/// What the answers of a day have cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenState {
    /// So much is spent.
    pub used: u64,
    /// Of so much.
    pub most: u32,
    /// When it is counted anew.
    pub resets_at: Timestamp,
}

impl TokenState {
    /// Tells whether steps wait for the next day.
    pub fn is_spent(self) -> bool {
        self.used >= u64::from(self.most)
    }
}

/// The calls of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaState {
    /// So many are used.
    pub used: u64,
    /// Of so many.
    pub count: u32,
    /// In what: `month`, `day`, `time of 2 hours`.
    pub of: String,
    /// Polls and states stop at so many.
    pub watched: u64,
    /// When they are counted anew.
    pub resets_at: Timestamp,
    /// Until then, and as long as all of such a time is.
    pub left_of: (Duration, Duration),
    /// Polls and states wait for so long between two requests, all of the key together.
    pub gap: Option<Duration>,
    /// Since when the service says that none are left.
    pub refused_since: Option<Timestamp>,
    /// When it is asked again whether that is still so.
    pub next_try: Option<Timestamp>,
    /// The other connections that use them.
    pub shared_with: Vec<String>,
}

impl QuotaState {
    /// Tells whether steps wait until they are counted anew.
    pub fn is_spent(&self) -> bool {
        self.refused_since.is_some() || self.used >= u64::from(self.count)
    }
}
