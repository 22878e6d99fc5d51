//! Makes things happen in the emulated services, for the demo and for tests.

use serde_json::{Map, Value, json};

use crate::Sandbox;

/// How many webhooks may be outstanding before a new happening waits.
const MOST_OUTSTANDING: usize = 10_000;

/// Something that is to happen, by the type of the event it leads to.
///
/// What is left out is made up: a person, an amount, a product. The control endpoint `/_sandbox/events` takes
/// the same as JSON.
///
/// ```
/// use flow_sandbox::Happening;
///
/// let declined = Happening::new("charge.failed")
///     .amount(25_000, "usd")
///     .email("ada@example.com")
///     .metadata("order", "6735");
/// ```
#[derive(Debug, Clone)]
pub struct Happening {
    fields: Map<String, Value>,
}

impl Happening {
    /// Begins a description. Stripe knows `charge.failed`, `checkout.session.completed`, `customer.created`,
    /// `invoice.payment_failed` and more; Kustomer the twelve names of its webhooks.
    pub fn new(event_type: &str) -> Happening {
        let happening = Happening { fields: Map::new() };
        happening.with("type", json!(event_type))
    }

    /// An amount in minor units of a currency.
    pub fn amount(self, minor: i64, currency: &str) -> Happening {
        self.with("amount", json!(minor)).with("currency", json!(currency))
    }

    /// To whom it happens, by email.
    pub fn email(self, email: &str) -> Happening {
        self.with("email", json!(email))
    }

    /// To whom it happens, by name.
    pub fn name(self, name: &str) -> Happening {
        self.with("name", json!(name))
    }

    /// To whom it happens, by the service's own id. One that does not exist is made.
    pub fn customer(self, id: &str) -> Happening {
        self.with("customer", json!(id))
    }

    /// Why a payment fails: Stripe's decline code, such as `insufficient_funds`.
    pub fn failure(self, decline_code: &str) -> Happening {
        self.with("failure", json!(decline_code))
    }

    /// Adds one entry of metadata.
    pub fn metadata(mut self, key: &str, value: &str) -> Happening {
        let metadata = self.fields.entry("metadata").or_insert_with(|| json!({}));
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.insert(key.to_owned(), json!(value));
        }
        self
    }

    /// How often it happens.
    pub fn count(self, count: u32) -> Happening {
        self.with("count", json!(count))
    }

    /// Sets any field of the description.
    pub fn with(mut self, name: &str, value: Value) -> Happening {
        self.fields.insert(name.to_owned(), value);
        self
    }
}

/// What came of something that happened.
#[derive(Debug, Clone)]
pub struct Played {
    /// The ids of the events, in order; they are on their way when this is returned.
    pub events: Vec<String>,
    /// The objects it was about, at most 100: the charge, the customer, the conversation.
    pub objects: Vec<Value>,
}

/// What was described cannot happen.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PlayError(String);

impl Sandbox {
    /// Makes something happen in the service of a connector, and sends the webhooks that follow.
    ///
    /// # Errors
    ///
    /// [`PlayError`], where the description is not understood. Nothing has happened then.
    pub async fn play(&self, connector: &str, happening: Happening) -> Result<Played, PlayError> {
        self.queue.wait_below(MOST_OUTSTANDING).await;
        let emulator = self.emulator(connector).ok_or_else(|| PlayError(format!("there is no emulator of `{connector}`")))?;
        let played = emulator.emit(&Value::Object(happening.fields)).map_err(PlayError)?;
        let list = |name: &str| played.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        Ok(Played {
            events: list("events").iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            objects: list("objects"),
        })
    }

    /// A card of this person is declined: `charge.failed` and `payment_intent.payment_failed`.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::play`].
    pub async fn fail_charge(&self, minor: i64, currency: &str, email: &str) -> Result<Played, PlayError> {
        self.stripe_event("charge.failed", minor, currency, email).await
    }

    /// A payment goes through: `charge.succeeded` and `payment_intent.succeeded`.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::play`].
    pub async fn succeed_charge(&self, minor: i64, currency: &str, email: &str) -> Result<Played, PlayError> {
        self.stripe_event("charge.succeeded", minor, currency, email).await
    }

    /// A checkout is completed and paid: the payment's events and `checkout.session.completed`.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::play`].
    pub async fn complete_checkout(&self, minor: i64, currency: &str, email: &str) -> Result<Played, PlayError> {
        self.stripe_event("checkout.session.completed", minor, currency, email).await
    }

    /// A subscription's invoice cannot be collected: `invoice.created`, `invoice.finalized`, the failed payment's
    /// events, and `invoice.payment_failed`.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::play`].
    pub async fn fail_invoice(&self, minor: i64, currency: &str, email: &str) -> Result<Played, PlayError> {
        self.stripe_event("invoice.payment_failed", minor, currency, email).await
    }

    /// A subscription begins: `customer.subscription.created` with its first invoice's events.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::play`].
    pub async fn start_subscription(&self, minor: i64, currency: &str, email: &str) -> Result<Played, PlayError> {
        self.stripe_event("customer.subscription.created", minor, currency, email).await
    }

    /// A payment is disputed: the payment's events and `charge.dispute.created`.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::play`].
    pub async fn open_dispute(&self, minor: i64, currency: &str, email: &str) -> Result<Played, PlayError> {
        self.stripe_event("charge.dispute.created", minor, currency, email).await
    }

    /// A customer appears: `customer.created` at Stripe.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::play`].
    pub async fn create_customer(&self, name: &str, email: &str) -> Result<Played, PlayError> {
        self.play("stripe", Happening::new("customer.created").name(name).email(email)).await
    }

    /// Somebody writes to the team at Kustomer: customer, conversation and message are made as needed, with their
    /// events.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::play`].
    pub async fn receive_message(&self, email: &str, subject: &str, text: &str) -> Result<Played, PlayError> {
        let message =
            Happening::new("kustomer.message.create").email(email).with("subject", json!(subject)).with("text", json!(text));
        self.play("kustomer", message).await
    }

    async fn stripe_event(&self, event_type: &str, minor: i64, currency: &str, email: &str) -> Result<Played, PlayError> {
        let happening = Happening::new(event_type).amount(minor, currency).email(email);
        self.play("stripe", happening).await
    }
}
