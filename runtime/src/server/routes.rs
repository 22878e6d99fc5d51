//! Which connections take webhooks, and how each is verified.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use flow_plan::Source;

use super::envelope::EnvelopeReader;
use crate::live::{Live, LiveConnection};
use crate::register::Registered;
use crate::request::secret_of;
use crate::scheme::{SchemeError, Verifier};
use crate::secret::Secret;

/// The connections that take webhooks, prepared once per plan.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    connections: HashMap<String, Vec<SourceRoute>>,
}

/// A source that takes webhooks.
#[derive(Debug)]
pub(crate) struct SourceRoute {
    /// Its name in the connector.
    pub(crate) name: String,
    /// How its webhooks are verified, or why they cannot be.
    pub(crate) verifier: Result<Verifier, SchemeError>,
    /// Where the parts of a payload are.
    pub(crate) envelope: EnvelopeReader,
    /// The payload is the whole request.
    pub(crate) whole: bool,
    triggers: Vec<String>,
    warned: AtomicBool,
}

impl Routes {
    /// Prepares the connections of a plan.
    pub(crate) fn new(live: &Live, registered: &Registered) -> Self {
        let connections = live.connections.iter().map(|(name, connection)| {
            let sources = connection.plan.sources.iter().flat_map(|source| SourceRoute::all(connection, source, registered));
            (name.clone(), sources.collect())
        });
        Self { connections: connections.collect() }
    }

    /// Returns the sources of a connection that take webhooks; `None` where there is no such connection.
    pub(crate) fn connection(&self, name: &str) -> Option<&[SourceRoute]> {
        self.connections.get(name).map(Vec::as_slice)
    }
}

impl SourceRoute {
    /// A source has one route for each secret that its deliveries may be signed with: while a webhook is replaced there are two.
    fn all(connection: &LiveConnection, source: &Source, registered: &Registered) -> Vec<Self> {
        let named = source.webhook.as_ref().and_then(|webhook| webhook.params.get("secret"));
        let given = named.and_then(|expr| secret_of(expr, connection)).is_some_and(|secret| !secret.expose().is_empty());
        let obtained = if given { Vec::new() } else { registered.secrets(&connection.plan.name, &source.name) };
        if obtained.is_empty() {
            return Self::new(connection, source, None).into_iter().collect();
        }
        obtained.iter().filter_map(|secret| Self::new(connection, source, Some(secret))).collect()
    }

    fn new(connection: &LiveConnection, source: &Source, secret: Option<&Secret>) -> Option<Self> {
        let webhook = source.webhook.as_ref()?;
        let identity = source.poll.as_ref().map(|poll| poll.seen.as_slice()).unwrap_or_default();
        Some(Self {
            name: source.name.clone(),
            verifier: Verifier::with_secret(webhook, connection, secret),
            envelope: EnvelopeReader::new(&source.envelope, identity).for_connection(connection),
            whole: webhook.whole,
            triggers: source.triggers.keys().cloned().collect(),
            warned: AtomicBool::new(false),
        })
    }

    /// Tells whether this trigger draws from the source.
    pub(crate) fn has_trigger(&self, trigger: &str) -> bool {
        self.triggers.iter().any(|known| known == trigger)
    }

    /// Tells whether to say that the source cannot verify anything: once per plan.
    pub(crate) fn warn_once(&self) -> bool {
        !self.warned.swap(true, Ordering::Relaxed)
    }
}
