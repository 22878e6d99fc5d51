//! Things that happen to a shop: a card is declined, a checkout completed, an invoice not paid.
//!
//! Each makes the objects that Stripe would have, and emits the events in Stripe's order.

use serde_json::{Map, Value, json};

use super::charge::Attempt;
use super::invoice::SubscriptionInvoice;
use super::payment_method::{self, Decline};
use super::state::{Cx, integer, set, text};
use super::{catalog, checkout, customer, dispute, event, invoice, payment_intent, payout, refund, subscription};
use crate::form::Fields;

/// How often one description may repeat.
const MOST: u64 = 100_000;

/// How long before its end a trial says so, in seconds.
const TRIAL_WARNING: i64 = 3 * 24 * 3_600;

/// Names for people who are not described further.
const PEOPLE: &[(&str, &str)] = &[
    ("Ada Brandt", "ada.brandt@example.com"),
    ("Bilal Haddad", "bilal.haddad@example.com"),
    ("Chiara Conti", "chiara.conti@example.com"),
    ("Daniel Okafor", "daniel.okafor@example.com"),
    ("Emi Tanaka", "emi.tanaka@example.com"),
    ("Freya Lindholm", "freya.lindholm@example.com"),
    ("Goran Petrović", "goran.petrovic@example.com"),
    ("Hana Novák", "hana.novak@example.com"),
];

/// What is to happen.
struct Scene<'d> {
    fields: &'d Map<String, Value>,
    email: Option<String>,
    name: Option<String>,
}

/// Makes something happen, as often as asked, and returns the events and the objects.
pub(crate) fn play(cx: &mut Cx<'_>, description: &Value) -> Result<Value, String> {
    const KNOWN: &[&str] = &[
        "type",
        "count",
        "amount",
        "currency",
        "email",
        "name",
        "phone",
        "customer",
        "description",
        "metadata",
        "failure",
        "payment_intent",
        "created_offset_seconds",
        "payment_status",
        "client_reference_id",
        "payment_link",
        "product",
        "interval",
        "trial_days",
        "charge",
        "reason",
        "invoice",
        "subscription",
        "dispute",
        "checkout",
        "status",
        "object",
    ];
    let fields = description.as_object().ok_or("an event is described by an object")?;
    if let Some(unknown) = fields.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return Err(format!("`{unknown}` is not known; there are {}", KNOWN.join(", ")));
    }
    let event_type = word(fields, "type").ok_or("an event needs `type`")?;
    let count = match fields.get("count") {
        None => 1,
        Some(count) => count
            .as_u64()
            .filter(|count| (1..=MOST).contains(count))
            .ok_or_else(|| format!("`count` must be from 1 to {MOST}"))?,
    };
    cx.event_offset = fields.get("created_offset_seconds").and_then(Value::as_i64).unwrap_or_default();
    let mut objects = Vec::new();
    for _ in 0..count {
        let mut scene =
            Scene { fields, email: word(fields, "email").map(str::to_owned), name: word(fields, "name").map(str::to_owned) };
        scene.someone(cx);
        let object = scene.happen(cx, event_type)?;
        // A great many are not worth returning.
        if objects.len() < 100 {
            objects.push(object);
        }
    }
    Ok(json!({"events": cx.emitted, "objects": objects}))
}

fn word<'f>(fields: &'f Map<String, Value>, name: &str) -> Option<&'f str> {
    fields.get(name).and_then(Value::as_str)
}

impl Scene<'_> {
    fn word(&self, name: &str) -> Option<&str> {
        word(self.fields, name)
    }

    fn amount(&self) -> i64 {
        self.fields.get("amount").and_then(Value::as_i64).unwrap_or(2_500)
    }

    fn currency(&self) -> String {
        self.word("currency").unwrap_or("usd").to_lowercase()
    }

    fn metadata(&self) -> Map<String, Value> {
        self.fields.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default()
    }

    /// Lets it happen to somebody, where nobody is named.
    fn someone(&mut self, cx: &mut Cx<'_>) {
        let is_said = ["email", "name", "customer"].iter().any(|name| self.fields.contains_key(*name));
        if is_said {
            return;
        }
        let chosen = cx.state.ids.below(PEOPLE.len());
        if let Some((name, email)) = PEOPLE.get(chosen) {
            self.name = Some((*name).to_owned());
            self.email = Some((*email).to_owned());
        }
    }

    fn happen(&self, cx: &mut Cx<'_>, event_type: &str) -> Result<Value, String> {
        // What the description gives whole is emitted as it is.
        if let Some(object) = self.fields.get("object") {
            event::emit(cx, event_type, object, None);
            return Ok(object.clone());
        }
        let failure = payment_method::decline_named(self.word("failure").unwrap_or("insufficient_funds"));
        match event_type {
            "charge.failed" | "payment_intent.payment_failed" => Ok(self.charge(cx, Some(failure)).1),
            "charge.succeeded" | "payment_intent.succeeded" => Ok(self.charge(cx, None).1),
            "charge.refunded" | "refund.created" => {
                let charge = self.some_charge(cx)?;
                let amount = self.fields.get("amount").and_then(Value::as_i64);
                let amount = amount.filter(|amount| *amount < integer(&charge, "amount"));
                refund::make(cx, charge, amount, self.word("reason"), &Value::Object(self.metadata()))
                    .map_err(|error| error.summary())
            }
            "charge.dispute.created" => {
                let charge = self.some_charge(cx)?;
                Ok(dispute::open(cx, charge, self.word("reason").unwrap_or("fraudulent")))
            }
            "charge.dispute.closed" => {
                let known = self.word("dispute").and_then(|id| cx.find("dispute", id));
                let dispute = match known {
                    Some(dispute) => dispute,
                    None => {
                        let charge = self.some_charge(cx)?;
                        dispute::open(cx, charge, "fraudulent")
                    }
                };
                Ok(dispute::decide(cx, dispute, self.word("status").unwrap_or("won")))
            }
            "charge.captured" => {
                let (intent, _) = self.attempt(cx, None, false);
                let captured =
                    payment_intent::capture(cx, text(&intent, "id"), &Fields::new()).map_err(|error| error.summary())?;
                Ok(cx.find("charge", text(&captured, "latest_charge")).unwrap_or_default())
            }
            "payout.failed" => Ok(payout::end(cx, self.amount(), &self.currency(), true)),
            "payout.paid" => Ok(payout::end(cx, self.amount(), &self.currency(), false)),
            "customer.created" => {
                let customer = self.new_customer(cx, None);
                Ok(cx.create("customer", customer, Some("customer.created")))
            }
            "customer.updated" => {
                let before = self.known_customer(cx);
                let mut after = before.clone();
                for name in ["email", "name", "phone", "description"] {
                    if let Some(value) = self.fields.get(name) {
                        set(&mut after, name, value.clone());
                    }
                }
                Ok(cx.update("customer", &before, after, "customer.updated"))
            }
            "customer.deleted" => {
                let customer = self.known_customer(cx);
                customer::delete(cx, text(&customer, "id")).map_err(|error| error.summary())
            }
            "checkout.session.completed" => {
                Ok(self.complete_checkout(cx, self.word("payment_status").unwrap_or("paid") == "paid"))
            }
            "checkout.session.async_payment_succeeded" => {
                let known = self.word("checkout").and_then(|id| cx.find("checkout.session", id));
                let mut session = known.unwrap_or_else(|| self.complete_checkout(cx, false));
                set(&mut session, "payment_status", json!("paid"));
                cx.save("checkout.session", &session);
                event::emit(cx, event_type, &session, None);
                Ok(session)
            }
            "invoice.created" => {
                let customer = self.known_customer(cx);
                Ok(self.draft_invoice(cx, &customer))
            }
            "invoice.finalized" => {
                let customer = self.known_customer(cx);
                let draft = self.draft_invoice(cx, &customer);
                Ok(invoice::finalize(cx, draft))
            }
            "invoice.paid" | "invoice.payment_succeeded" => Ok(self.collect_invoice(cx, None)),
            "invoice.payment_failed" => Ok(self.collect_invoice(cx, Some(failure))),
            "customer.subscription.created" => {
                let customer = self.known_customer(cx);
                Ok(self.subscribe(cx, text(&customer, "id")))
            }
            "customer.subscription.trial_will_end" => {
                let mut subscription = self.some_subscription(cx)?;
                set(&mut subscription, "status", json!("trialing"));
                set(&mut subscription, "trial_start", json!(cx.now - TRIAL_WARNING));
                set(&mut subscription, "trial_end", json!(cx.now + TRIAL_WARNING));
                cx.save("subscription", &subscription);
                event::emit(cx, event_type, &subscription, None);
                Ok(subscription)
            }
            "customer.subscription.deleted" => {
                let subscription = self.some_subscription(cx)?;
                let reason = self.word("reason").unwrap_or("cancellation_requested");
                Ok(subscription::end(cx, subscription, reason))
            }
            "customer.subscription.updated" => {
                let before = self.some_subscription(cx)?;
                let mut after = before.clone();
                set(&mut after, "cancel_at_period_end", json!(true));
                set(&mut after, "canceled_at", json!(cx.now));
                Ok(cx.update("subscription", &before, after, event_type))
            }
            other => Err(format!("the sandbox cannot play `{other}`; give the object itself as `object` to emit it")),
        }
    }

    /// Makes a charge with its payment intent, and returns both. `payment_intent: false` leaves that out.
    fn charge(&self, cx: &mut Cx<'_>, decline: Option<&Decline>) -> (Value, Value) {
        self.attempt(cx, decline, true)
    }

    /// The same; without `capture` the amount is only reserved.
    fn attempt(&self, cx: &mut Cx<'_>, decline: Option<&Decline>, capture: bool) -> (Value, Value) {
        let customer = self.word("customer").map(|_| self.known_customer(cx));
        let of_customer = |name: &str| customer.as_ref().and_then(|c| c.get(name)).and_then(Value::as_str).map(str::to_owned);
        let method = payment_method::card_for(cx, decline);
        let mut attempt = Attempt {
            amount: self.amount(),
            currency: self.currency(),
            customer: of_customer("id"),
            payment_intent: None,
            email: self.email.clone().or_else(|| of_customer("email")),
            name: self.name.clone().or_else(|| of_customer("name")),
            phone: self.word("phone").map(str::to_owned),
            description: self.word("description").map(str::to_owned),
            receipt_email: self.email.clone(),
            metadata: self.metadata(),
            capture,
        };
        if capture && self.fields.get("payment_intent") == Some(&json!(false)) {
            let charge = super::charge::new(cx, &attempt, &method, decline);
            let name = if decline.is_some() { "charge.failed" } else { "charge.succeeded" };
            cx.save("charge", &charge);
            event::emit(cx, name, &charge, None);
            return (Value::Null, charge);
        }
        let mut intent = payment_intent::blank(cx, attempt.amount, &attempt.currency);
        set(&mut intent, "customer", json!(attempt.customer));
        set(&mut intent, "description", json!(attempt.description));
        set(&mut intent, "receipt_email", json!(attempt.receipt_email));
        set(&mut intent, "metadata", json!(attempt.metadata));
        cx.save("payment_intent", &intent);
        attempt.payment_intent = Some(text(&intent, "id").to_owned());
        payment_intent::attempt_with(cx, intent, &attempt, &method, decline)
    }

    /// Returns the charge that is named, or makes one that succeeded.
    fn some_charge(&self, cx: &mut Cx<'_>) -> Result<Value, String> {
        match self.word("charge") {
            Some(id) => cx.find("charge", id).ok_or_else(|| format!("there is no charge `{id}`")),
            None => Ok(self.charge(cx, None).1),
        }
    }

    fn new_customer(&self, cx: &mut Cx<'_>, id: Option<&str>) -> Value {
        let mut customer = customer::blank(cx);
        if let Some(id) = id {
            set(&mut customer, "id", json!(id));
        }
        set(&mut customer, "email", json!(self.email));
        set(&mut customer, "name", json!(self.name));
        set(&mut customer, "phone", json!(self.word("phone")));
        set(&mut customer, "description", json!(self.word("description")));
        set(&mut customer, "metadata", Value::Object(self.metadata()));
        customer
    }

    /// Returns the customer that is named by id, else by email, else a new one. Making one emits nothing.
    fn known_customer(&self, cx: &mut Cx<'_>) -> Value {
        let found = match (self.word("customer"), &self.email) {
            (Some(id), _) => cx.find("customer", id),
            (None, Some(email)) => cx.state.table("customer").rows().rev().find(|row| text(row, "email") == email).cloned(),
            (None, None) => None,
        };
        if let Some(customer) = found {
            return customer;
        }
        let mut customer = self.new_customer(cx, self.word("customer"));
        set(&mut customer, "description", Value::Null);
        set(&mut customer, "metadata", json!({}));
        cx.save("customer", &customer);
        customer
    }

    /// Makes a product and a price for it.
    fn price(&self, cx: &mut Cx<'_>, recurring: bool) -> Value {
        let mut data = Map::new();
        data.insert("currency".to_owned(), json!(self.currency()));
        data.insert("unit_amount".to_owned(), json!(self.amount()));
        let product = self.word("product").unwrap_or(if recurring { "Monthly plan" } else { "Teapot" });
        data.insert("product_data".to_owned(), json!({"name": product}));
        if recurring {
            let interval = self.word("interval").unwrap_or("month");
            data.insert("recurring".to_owned(), json!({"interval": interval}));
        }
        // A product of the shop, not something that happens: its event would only distract.
        let emitted = cx.emitted.len();
        let outgoing = cx.outgoing.len();
        let price = catalog::new_price(cx, &data).unwrap_or_default();
        for id in cx.emitted.drain(emitted..).collect::<Vec<_>>() {
            cx.state.table("event").remove(&id);
        }
        cx.outgoing.truncate(outgoing);
        cx.save("price", &price);
        price
    }

    fn complete_checkout(&self, cx: &mut Cx<'_>, paid: bool) -> Value {
        let id = cx.id("cs_test_", 58);
        let link = self.word("payment_link").and_then(|link| cx.find("payment_link", link));
        let sum = match &link {
            Some(link) => catalog::copy_line_items(cx, text(link, "id"), &id),
            None => {
                let price = self.price(cx, false);
                let items = json!([{"price": text(&price, "id"), "quantity": 1}]);
                catalog::take_line_items(cx, &id, &items).unwrap_or_default()
            }
        };
        let mode = if sum.recurring { "subscription" } else { "payment" };
        let mut session = checkout::blank(cx, &id, mode, Some(&sum));
        if let Some(link) = &link {
            set(&mut session, "payment_link", json!(text(link, "id")));
            set(&mut session, "metadata", link.get("metadata").cloned().unwrap_or(json!({})));
        }
        if !self.metadata().is_empty() {
            set(&mut session, "metadata", Value::Object(self.metadata()));
        }
        if let Some(customer) = self.word("customer") {
            let customer = customer.to_owned();
            self.known_customer(cx);
            set(&mut session, "customer", json!(customer));
        }
        set(
            &mut session,
            "customer_details",
            json!({
                "address": {"city": null, "country": "US", "line1": null, "line2": null, "postal_code": "94107", "state": null},
                "business_name": null,
                "email": self.email,
                "individual_name": null,
                "name": self.name,
                "phone": self.word("phone"),
                "tax_exempt": "none",
                "tax_ids": [],
            }),
        );
        set(&mut session, "client_reference_id", json!(self.word("client_reference_id")));
        if paid && mode == "payment" && sum.amount > 0 {
            let fields = json!({
                "amount": sum.amount,
                "currency": sum.currency,
                "email": self.email,
                "name": self.name,
                "customer": self.word("customer"),
            });
            if let Some(fields) = fields.as_object() {
                let payment = Scene { fields, email: self.email.clone(), name: self.name.clone() };
                let (intent, _) = payment.charge(cx, None);
                set(&mut session, "payment_intent", json!(text(&intent, "id")));
            }
        }
        set(&mut session, "payment_status", json!(if paid { "paid" } else { "unpaid" }));
        set(&mut session, "status", json!("complete"));
        set(&mut session, "url", Value::Null);
        set(&mut session, "success_url", json!("https://example.com/thanks"));
        cx.save("checkout.session", &session);
        event::emit(cx, "checkout.session.completed", &session, None);
        session
    }

    /// Makes a subscription's invoice of the next cycle, as a draft.
    fn draft_invoice(&self, cx: &mut Cx<'_>, customer: &Value) -> Value {
        let subscription = match self.word("subscription").and_then(|id| cx.find("subscription", id)) {
            Some(subscription) => subscription,
            None => self.running_subscription(cx, text(customer, "id")),
        };
        invoice::for_subscription(
            cx,
            &SubscriptionInvoice { subscription: &subscription, reason: "subscription_cycle", trial: false, discount: 0 },
        )
    }

    fn collect_invoice(&self, cx: &mut Cx<'_>, decline: Option<&Decline>) -> Value {
        let open = match self.word("invoice").and_then(|id| cx.find("invoice", id)) {
            Some(invoice) if text(&invoice, "status") == "draft" => invoice::finalize(cx, invoice),
            Some(invoice) => invoice,
            None => {
                let customer = self.known_customer(cx);
                let draft = self.draft_invoice(cx, &customer);
                invoice::finalize(cx, draft)
            }
        };
        if text(&open, "status") == "paid" {
            return open;
        }
        let method = payment_method::card_for(cx, decline);
        let (invoice, _, _) = invoice::attempt(cx, open, &method, decline);
        if decline.is_some()
            && let Some(before) = cx.find("subscription", invoice::subscription_of(&invoice))
            && text(&before, "status") == "active"
        {
            let mut after = before.clone();
            set(&mut after, "status", json!("past_due"));
            cx.update("subscription", &before, after, "customer.subscription.updated");
        }
        invoice
    }

    /// Keeps a subscription that has been running; emits nothing.
    fn running_subscription(&self, cx: &mut Cx<'_>, customer: &str) -> Value {
        let price = self.price(cx, true);
        let id = cx.id("sub_1", 23);
        let item = subscription::new_item(cx, &id, &price, 1, None);
        let currency = self.currency();
        let subscription = subscription::blank(cx, &id, customer, &currency, &[item], None);
        cx.save("subscription", &subscription);
        subscription
    }

    fn subscribe(&self, cx: &mut Cx<'_>, customer: &str) -> Value {
        let price = self.price(cx, true);
        let id = cx.id("sub_1", 23);
        let trial = self.fields.get("trial_days").and_then(Value::as_i64);
        let trial_end = trial.map(|days| cx.now.saturating_add(days.saturating_mul(86_400)));
        let item = subscription::new_item(cx, &id, &price, 1, trial_end);
        let currency = self.currency();
        let mut made = subscription::blank(cx, &id, customer, &currency, &[item], trial_end);
        set(&mut made, "metadata", Value::Object(self.metadata()));
        if trial.is_some() {
            set(&mut made, "status", json!("trialing"));
        }
        let draft = invoice::for_subscription(
            cx,
            &SubscriptionInvoice { subscription: &made, reason: "subscription_create", trial: trial.is_some(), discount: 0 },
        );
        set(&mut made, "latest_invoice", json!(text(&draft, "id")));
        cx.save("subscription", &made);
        event::emit(cx, "customer.subscription.created", &made, None);
        let open = invoice::finalize(cx, draft);
        if text(&open, "status") != "paid" {
            let method = payment_method::card_for(cx, None);
            invoice::attempt(cx, open, &method, None);
        }
        made
    }

    /// Returns the subscription that is named, else the customer's last, else a new one.
    fn some_subscription(&self, cx: &mut Cx<'_>) -> Result<Value, String> {
        if let Some(id) = self.word("subscription") {
            return cx.find("subscription", id).ok_or_else(|| format!("there is no subscription `{id}`"));
        }
        let customer = self.known_customer(cx);
        let id = text(&customer, "id").to_owned();
        let last = cx
            .state
            .table("subscription")
            .rows()
            .rev()
            .find(|row| text(row, "customer") == id && text(row, "status") != "canceled")
            .cloned();
        Ok(last.unwrap_or_else(|| self.running_subscription(cx, &id)))
    }
}

/// Fills an empty shop with a few products and customers, without events.
pub(crate) fn seed(cx: &mut Cx<'_>) {
    for (product, amount, interval) in
        [("Teapot", 3_900, None), ("Green tea, 100 g", 1_250, None), ("Tea club", 1_900, Some("month"))]
    {
        let fields = json!({"product": product, "amount": amount, "currency": "usd", "interval": interval});
        if let Some(fields) = fields.as_object() {
            Scene { fields, email: None, name: None }.price(cx, interval.is_some());
        }
    }
    let none = Map::new();
    for (name, email) in PEOPLE.iter().take(3) {
        let scene = Scene { fields: &none, email: Some((*email).to_owned()), name: Some((*name).to_owned()) };
        scene.known_customer(cx);
    }
}
