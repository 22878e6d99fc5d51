//! The connectors that come with the compiler.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock, OnceLock};

use flow_grammar::syntax;

use super::declare;
use crate::catalog::{Catalog, Connector};

/// The connector of the flows themselves, and its connection, which every project has.
pub const ENGINE: &str = "flow";

/// What needs neither keys nor settings: like the flows themselves it is there in every project, without a line in flow.toml.
pub fn is_implicit(name: &str) -> bool {
    matches!(name, ENGINE | "file" | "log" | "rss")
}

/// The source of events that flowd itself makes.
pub(super) const ENGINE_SOURCE: &str = "engine";

/// Name, file and source of each.
const SOURCES: &[(&str, &str, &str)] = &[
    ("ai", "connectors/ai.flow", include_str!("../../../connectors/ai.flow")),
    ("customerio", "connectors/customerio.flow", include_str!("../../../connectors/customerio.flow")),
    ("discord", "connectors/discord.flow", include_str!("../../../connectors/discord.flow")),
    ("email", "connectors/email.flow", include_str!("../../../connectors/email.flow")),
    ("file", "connectors/file.flow", include_str!("../../../connectors/file.flow")),
    (ENGINE, "connectors/flow.flow", include_str!("../../../connectors/flow.flow")),
    ("homeassistant", "connectors/homeassistant.flow", include_str!("../../../connectors/homeassistant.flow")),
    ("http", "connectors/http.flow", include_str!("../../../connectors/http.flow")),
    ("kustomer", "connectors/kustomer.flow", include_str!("../../../connectors/kustomer.flow")),
    ("log", "connectors/log.flow", include_str!("../../../connectors/log.flow")),
    ("mqtt", "connectors/mqtt.flow", include_str!("../../../connectors/mqtt.flow")),
    ("ntfy", "connectors/ntfy.flow", include_str!("../../../connectors/ntfy.flow")),
    ("referralcandy", "connectors/referralcandy.flow", include_str!("../../../connectors/referralcandy.flow")),
    ("rss", "connectors/rss.flow", include_str!("../../../connectors/rss.flow")),
    ("sesame", "connectors/sesame.flow", include_str!("../../../connectors/sesame.flow")),
    ("slack", "connectors/slack.flow", include_str!("../../../connectors/slack.flow")),
    ("stripe", "connectors/stripe.flow", include_str!("../../../connectors/stripe.flow")),
    ("webhook", "connectors/webhook.flow", include_str!("../../../connectors/webhook.flow")),
];

/// One cell for each of [`SOURCES`].
static CONNECTORS: [OnceLock<Option<Arc<Connector>>>; SOURCES.len()] = [const { OnceLock::new() }; SOURCES.len()];

/// Returns name, file and source of the built-in connectors, sorted by name.
pub fn builtin_sources() -> &'static [(&'static str, &'static str, &'static str)] {
    SOURCES
}

/// Returns a built-in connector; it is read when it is asked for first.
pub fn builtin_connector(name: &str) -> Option<&'static Arc<Connector>> {
    let at = SOURCES.iter().position(|(known, ..)| *known == name)?;
    let (_, file, source) = SOURCES.get(at)?;
    CONNECTORS.get(at)?.get_or_init(|| read(file, source)).as_ref()
}

/// Tells whether there is a built-in connector of this name that was not read yet.
pub(crate) fn is_unread(name: &str) -> bool {
    let at = SOURCES.iter().position(|(known, ..)| *known == name);
    at.and_then(|at| CONNECTORS.get(at)).is_some_and(|cell| cell.get().is_none())
}

/// Reads those of these connectors that come with the compiler, in parallel: they will be asked for.
pub(crate) fn read_ahead<'n>(names: impl Iterator<Item = &'n str>) {
    let names: BTreeSet<&str> = names.collect();
    std::thread::scope(|scope| {
        // The last one is for this thread, which would only wait.
        let mut rest = names.into_iter();
        let last = rest.next_back();
        rest.for_each(|name| drop(scope.spawn(move || builtin_connector(name))));
        last.and_then(builtin_connector);
    });
}

/// Returns the catalog of the connectors that come with the compiler.
pub fn builtin() -> &'static Arc<Catalog> {
    static CATALOG: LazyLock<Arc<Catalog>> = LazyLock::new(Arc::default);
    &CATALOG
}

/// Returns the text of an example that a built-in connector names: `fixtures/stripe.charge_failed.json`.
pub fn builtin_fixture(file: &str) -> Option<&'static str> {
    FIXTURES.iter().find(|(name, _)| *name == file).map(|(_, text)| *text)
}

/// The tests see to it that there is nothing wrong in a built-in connector.
fn read(file: &str, source: &str) -> Option<Arc<Connector>> {
    let parsed = flow_grammar::parse(source);
    let node = parsed.file.items.iter().find_map(|item| match item {
        syntax::Item::Connector(node) => Some(node),
        syntax::Item::Flow(_) | syntax::Item::Test(_) | syntax::Item::Bad(_) => None,
    })?;
    Some(Arc::new(declare(&Arc::from(file), source, node).0))
}

/// The examples that the connectors name, embedded.
macro_rules! fixtures {
    ($($name:literal,)*) => {
        const FIXTURES: &[(&str, &str)] = &[$((
            concat!("fixtures/", $name, ".json"),
            include_str!(concat!("../../../connectors/fixtures/", $name, ".json")),
        ),)*];
    };
}

fixtures! {
    "customerio.email_bounced",
    "customerio.email_clicked",
    "customerio.email_converted",
    "customerio.email_delivered",
    "customerio.email_dropped",
    "customerio.email_failed",
    "customerio.email_opened",
    "customerio.email_sent",
    "customerio.email_spammed",
    "customerio.message_event",
    "customerio.person_subscribed",
    "customerio.person_unsubscribed",
    "customerio.preferences_changed",
    "customerio.sms_replied",
    "file.changed",
    "homeassistant.lock_command",
    "homeassistant.message",
    "homeassistant.state_changed",
    "mqtt.message",
    "rss.new_item",
    "http.received",
    "flow.dead",
    "flow.failed",
    "flow.misfit",
    "flow.paused",
    "flow.silent",
    "kustomer.conversation_assigned",
    "kustomer.conversation_closed",
    "kustomer.conversation_created",
    "kustomer.conversation_reopened",
    "kustomer.conversation_status_changed",
    "kustomer.conversation_updated",
    "kustomer.customer_created",
    "kustomer.customer_updated",
    "kustomer.message_received",
    "kustomer.message_sent",
    "kustomer.message_updated",
    "kustomer.tag_created",
    "kustomer.tag_updated",
    "kustomer.team_created",
    "kustomer.team_updated",
    "kustomer.user_created",
    "kustomer.user_updated",
    "referralcandy.advocate_joined",
    "referralcandy.referral_confirmed",
    "referralcandy.referral_made",
    "referralcandy.reward_created",
    "sesame.battery_low",
    "sesame.jammed",
    "sesame.locked",
    "sesame.offline",
    "sesame.online",
    "sesame.unlocked",
    "stripe.charge_failed",
    "stripe.charge_refunded",
    "stripe.checkout_completed",
    "stripe.checkout_paid",
    "stripe.dispute_closed",
    "stripe.event",
    "stripe.failed_payment",
    "stripe.invoice_paid",
    "stripe.invoice_payment_failed",
    "stripe.new_customer",
    "stripe.new_dispute",
    "stripe.new_invoice",
    "stripe.new_payment",
    "stripe.new_subscription",
    "stripe.payout_failed",
    "stripe.refund_created",
    "stripe.subscription_canceled",
    "stripe.subscription_updated",
    "stripe.trial_will_end",
}
