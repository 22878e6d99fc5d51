//! The emulated services: one row each. A new one is a module with an [`Emulator`] and its row here.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::Options;
use crate::activity::Activity;
use crate::customerio::{self, Customerio};
use crate::delivery::Queue;
use crate::emulator::Emulator;
use crate::kustomer::{self, Kustomer};
use crate::referralcandy::{self, Referralcandy};
use crate::sesame::{self, Sesame};
use crate::stripe::{self, Stripe};
use crate::web::{self, Web};

/// One emulator, with a port of its own.
pub(crate) struct Service {
    /// What options, activity and snapshots call it; [`Emulator::name`] returns it as well.
    pub(crate) name: &'static str,
    /// The connectors that it answers.
    pub(crate) reached_by: &'static [Reached],
    /// Makes it.
    pub(crate) make: fn(&Options, Queue, broadcast::Sender<Activity>) -> Arc<dyn Emulator>,
}

/// How connections of a connector reach an emulator.
pub(crate) struct Reached {
    /// The connector.
    pub(crate) connector: &'static str,
    /// What its `base_url` has behind the emulator's address: nothing, or a path like `/slack`.
    pub(crate) path: &'static str,
    /// The settings and secrets with which it is let in.
    pub(crate) settings: &'static [(&'static str, &'static str)],
}

/// All of them, in the order in which they are shown.
pub(crate) const SERVICES: &[Service] = &[
    Service {
        name: "stripe",
        reached_by: &[Reached {
            connector: "stripe",
            path: "",
            settings: &[("key", stripe::KEY), ("webhook_secret", stripe::WEBHOOK_SECRET)],
        }],
        make: |options, queue, stream| Arc::new(Stripe::new(options, queue, stream)),
    },
    Service {
        name: "kustomer",
        reached_by: &[Reached {
            connector: "kustomer",
            path: "",
            settings: &[("api_key", kustomer::KEY), ("webhook_secret", kustomer::WEBHOOK_SECRET), ("org", kustomer::ORG)],
        }],
        make: |options, queue, stream| Arc::new(Kustomer::new(options, queue, stream)),
    },
    Service {
        name: "sesame",
        reached_by: &[Reached {
            connector: "sesame",
            path: "/api/sesame2",
            settings: &[("api_key", sesame::KEY), ("device", sesame::DEVICE), ("secret_key", sesame::SECRET_KEY)],
        }],
        make: |options, _, stream| Arc::new(Sesame::new(options, stream)),
    },
    Service {
        name: "customerio",
        reached_by: &[Reached {
            connector: "customerio",
            path: "",
            settings: &[
                ("site_id", customerio::SITE_ID),
                ("api_key", customerio::TRACK_KEY),
                ("app_key", customerio::APP_KEY),
                ("webhook_signing_key", customerio::WEBHOOK_SIGNING_KEY),
            ],
        }],
        make: |options, queue, stream| Arc::new(Customerio::new(options, queue, stream)),
    },
    Service {
        name: "referralcandy",
        reached_by: &[Reached {
            connector: "referralcandy",
            path: "",
            settings: &[("access_id", referralcandy::ACCESS_ID), ("secret_key", referralcandy::SECRET_KEY)],
        }],
        make: |options, _, stream| Arc::new(Referralcandy::new(options, stream)),
    },
    Service {
        name: "web",
        reached_by: &[
            Reached { connector: "slack", path: "/slack", settings: &[("token", web::SLACK_TOKEN)] },
            Reached { connector: "discord", path: "/discord", settings: &[("webhook_url", web::DISCORD_WEBHOOK)] },
            Reached { connector: "ntfy", path: "/ntfy", settings: &[] },
            Reached {
                connector: "webhook",
                path: "/webhook",
                settings: &[("secret", web::WEBHOOK_SECRET), ("endpoint", web::WEBHOOK_ENDPOINT)],
            },
            Reached { connector: "http", path: "/http", settings: &[] },
            Reached { connector: "ai", path: "/ai/v1", settings: &[("key", web::AI_KEY)] },
        ],
        make: |options, _, stream| Arc::new(Web::new(options, stream)),
    },
];

/// Returns the service that answers a connector, with how it is reached.
pub(crate) fn reached_by(connector: &str) -> Option<(&'static Service, &'static Reached)> {
    SERVICES.iter().find_map(|service| {
        let reached = service.reached_by.iter().find(|reached| reached.connector == connector)?;
        Some((service, reached))
    })
}
