//! What happens in the demo, one thing after the other.

use flow_sandbox::{Happening, Sandbox};
use serde_json::{Value as Json, json};

use super::screen::amount;

/// Something that happens in the simulated shop, or at its door.
#[derive(Clone, Copy)]
pub(super) enum Scene {
    Declined {
        minor: i64,
        currency: &'static str,
        reason: &'static str,
        email: Option<&'static str>,
    },
    UnpaidCheckout {
        minor: i64,
        currency: &'static str,
        email: &'static str,
    },
    PaidCheckout {
        minor: i64,
        currency: &'static str,
        name: &'static str,
        email: &'static str,
    },
    NewCustomer {
        name: &'static str,
        email: &'static str,
    },
    /// The service answers 429 once before the next charge.
    BusyKustomer,
    /// Somebody leaves the door open.
    OpenDoor {
        by: &'static str,
    },
    /// The battery of the door runs down.
    Battery {
        percent: u8,
    },
}

/// All of them, again and again.
pub(super) const SCENES: &[Scene] = &[
    Scene::Declined { minor: 25_000, currency: "usd", reason: "insufficient_funds", email: Some("ada@example.com") },
    Scene::Declined { minor: 1_990, currency: "usd", reason: "card_declined", email: Some("grace@example.com") },
    Scene::PaidCheckout { minor: 4_900, currency: "eur", name: "Mary Jackson", email: "mary@example.com" },
    Scene::OpenDoor { by: "Dorothy" },
    Scene::NewCustomer { name: "Katherine Johnson", email: "katherine@example.com" },
    Scene::BusyKustomer,
    Scene::UnpaidCheckout { minor: 8_900, currency: "eur", email: "mary@example.com" },
    Scene::Battery { percent: 12 },
    Scene::Declined { minor: 48_000, currency: "jpy", reason: "expired_card", email: Some("emmy@example.com") },
    Scene::PaidCheckout { minor: 5_000, currency: "jpy", name: "Emmy Noether", email: "bounce.emmy@example.com" },
    Scene::Declined { minor: 30_000, currency: "usd", reason: "card_declined", email: None },
    Scene::Battery { percent: 96 },
];

impl Scene {
    /// The connector of the service in which it happens.
    pub(super) fn connector(self) -> &'static str {
        match self {
            Scene::OpenDoor { .. } | Scene::Battery { .. } => "sesame",
            Scene::Declined { .. }
            | Scene::UnpaidCheckout { .. }
            | Scene::PaidCheckout { .. }
            | Scene::NewCustomer { .. }
            | Scene::BusyKustomer => "stripe",
        }
    }

    /// The flow that it starts by and by, where no event of it does at once.
    pub(super) fn starts_later(self) -> Option<&'static str> {
        match self {
            Scene::OpenDoor { .. } => Some("auto_lock"),
            Scene::Battery { percent } if percent < 15 => Some("battery_low"),
            // The receipt comes back to where nobody is.
            Scene::PaidCheckout { email, .. } if email.starts_with("bounce") => Some("receipt_came_back"),
            Scene::Battery { .. }
            | Scene::PaidCheckout { .. }
            | Scene::Declined { .. }
            | Scene::UnpaidCheckout { .. }
            | Scene::NewCustomer { .. }
            | Scene::BusyKustomer => None,
        }
    }

    /// What the sandbox is told.
    pub(super) fn happening(self, sandbox: &Sandbox, number: u32) -> Result<Happening, String> {
        let checkout = |minor, currency, email| Happening::new("checkout.session.completed").amount(minor, currency).email(email);
        Ok(match self {
            Scene::Declined { minor, currency, reason, email } => {
                let happening = Happening::new("charge.failed").amount(minor, currency).failure(reason);
                match email {
                    Some(email) => happening.email(email),
                    None => happening.with("email", Json::Null),
                }
            }
            Scene::UnpaidCheckout { minor, currency, email } => {
                checkout(minor, currency, email).with("payment_status", Json::from("unpaid"))
            }
            Scene::PaidCheckout { minor, currency, name, email } => {
                checkout(minor, currency, email).name(name).metadata("referral_code", "FRIEND-ADA")
            }
            Scene::NewCustomer { name, email } => {
                Happening::new("customer.created").name(name).email(&format!("{number}.{email}"))
            }
            Scene::BusyKustomer => {
                let rule = json!([{ "match": { "method": "POST", "path": "/v1/conversations" }, "fault": "status", "status": 429, "headers": { "Retry-After": "1" }, "times": 1 }]);
                sandbox.add_faults("kustomer", &rule)?;
                Happening::new("charge.failed").amount(64_000, "usd").failure("card_declined").email("rosalind@example.com")
            }
            Scene::OpenDoor { by } => Happening::new("unlocked").with("method", json!("hand")).with("by", json!(by)),
            Scene::Battery { percent } => Happening::new("battery").with("level", json!(percent)),
        })
    }

    /// What happened, in words.
    pub(super) fn words(self) -> String {
        match self {
            Scene::Declined { minor, currency, reason, email } => {
                format!("a charge of {} failed ({reason}, {})", amount(minor, currency), email.unwrap_or("no e-mail address"))
            }
            Scene::UnpaidCheckout { minor, currency, email } => {
                format!("a checkout over {} was not paid ({email})", amount(minor, currency))
            }
            Scene::PaidCheckout { minor, currency, email, .. } => {
                format!("a checkout over {} was paid ({email})", amount(minor, currency))
            }
            Scene::NewCustomer { name, .. } => format!("a new customer: {name}"),
            Scene::BusyKustomer => format!("a charge of {} failed, and Kustomer will say 429 once", amount(64_000, "usd")),
            Scene::OpenDoor { by } => format!("{by} unlocks the front door and leaves it open"),
            Scene::Battery { percent } => format!("the battery of the front door is at {percent} %"),
        }
    }
}
