//! Connections whose webhooks have the same secret: what is meant for the one is taken by the other.

use std::collections::{BTreeMap, BTreeSet};

use flow_runtime::live::{Live, LiveConnection};
use flow_runtime::scheme::Verifier;

/// Returns a line for each secret that the webhooks of several connections have. It names them, and never the secret.
pub(crate) fn shared_secrets(live: &Live) -> Vec<String> {
    let mut holders: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, connection) in live.connections.iter().filter(|(_, connection)| verifies(connection)) {
        for secret in connection.plan.secrets.iter().filter(|secret| secret.for_webhooks) {
            if let Some(found) = connection.secrets.get(&secret.name) {
                holders.entry(key(found.expose())).or_default().insert(name);
            }
        }
    }
    // Sorted by their names: an order by the secrets would say something of these.
    let mut shared: Vec<Vec<&str>> = holders.into_values().map(Vec::from_iter).filter(|names| names.len() > 1).collect();
    shared.sort_unstable();
    shared
        .iter()
        .map(|names| {
            format!(
                "the webhooks of the connections `{}` have the same secret: a message for one of them is taken by the others as well, and starts their flows; give each a secret of its own",
                names.join("`, `")
            )
        })
        .collect()
}

fn verifies(connection: &LiveConnection) -> bool {
    let mut webhooks = connection.plan.sources.iter().filter_map(|source| source.webhook.as_ref());
    webhooks.any(|webhook| !matches!(Verifier::new(webhook, connection), Ok(Verifier::None) | Err(_)))
}

/// The part of a secret that signs: some are copied with what says their kind, or without their padding.
fn key(secret: &str) -> &str {
    secret.strip_prefix("whsec_").unwrap_or(secret).trim_end_matches('=')
}
