//! Which connections take webhooks, and how each is verified.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use flow_plan::Source;

use super::envelope::EnvelopeReader;
use crate::live::{Live, LiveConnection};
use crate::scheme::{SchemeError, Verifier};

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
    triggers: Vec<String>,
    warned: AtomicBool,
}

impl Routes {
    /// Prepares the connections of a plan.
    pub(crate) fn new(live: &Live) -> Self {
        let connections = live.connections.iter().map(|(name, connection)| {
            let sources = connection.plan.sources.iter().filter_map(|source| SourceRoute::new(connection, source));
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
    fn new(connection: &LiveConnection, source: &Source) -> Option<Self> {
        let webhook = source.webhook.as_ref()?;
        let identity = source.poll.as_ref().map(|poll| poll.seen.as_slice()).unwrap_or_default();
        Some(Self {
            name: source.name.clone(),
            verifier: Verifier::new(webhook, connection),
            envelope: EnvelopeReader::new(&source.envelope, identity),
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
