//! Stripe through the real daemon: every trigger by webhook and by poll, every action and query against the emulator, what the
//! official library sends, the events of other projects and versions, and what must not lead to anything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use flow_compiler::connector::builtin;
use flow_runtime::decode::{Root, decode_field};
use flow_runtime::eval::path_get;
use serde_json::{Value as Json, json};

use crate::support::daemon::Daemon;
use crate::support::recorder::Recorder;
use crate::support::sandbox::Emulators;
use crate::support::{eventually, http, stripe};

/// flow.toml for the emulators, with lines of the connection's own.
fn toml(emulators: &Emulators, more: &str) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.stripe]\n{}{more}",
        emulators.settings("stripe")
    )
}

fn start(emulators: &Emulators, more: &str, flows: &str) -> Daemon {
    Daemon::start_with(&[("flow.toml", &toml(emulators, more)), ("main.flow", flows)], &["--allow-literal-secrets"])
}

// ------------------------------------------------------------------------------------------------ triggers

/// What starts flows, each with options where there are several ways.
const TRIGGERS: &[(&str, &str)] = &[
    ("charge_failed", ""),
    ("failed_payment", "(ignore_payment_intents: true)"),
    ("any_failed_payment", "(ignore_payment_intents: false)"),
    ("new_payment", ""),
    ("charge_refunded", ""),
    ("refund_created", ""),
    ("checkout_completed", ""),
    ("checkout_paid", ""),
    ("new_customer", ""),
    ("new_invoice", ""),
    ("finalized_invoice", "(when: \"finalized\")"),
    ("invoice_paid", ""),
    ("invoice_payment_failed", ""),
    ("new_subscription", ""),
    ("subscription_updated", ""),
    ("subscription_canceled", ""),
    ("trial_will_end", ""),
    ("new_dispute", ""),
    ("dispute_closed", ""),
    ("payout_failed", ""),
    ("payout_paid", "(type: \"payout.paid\")"),
    ("customer_updated", "(type: \"customer.updated\")"),
    ("odd", "(type: \"treasury.odd\")"),
];

/// Each flow leaves a product behind that is named after it.
fn trigger_flows() -> String {
    let flow = |(name, options): &(&str, &str)| {
        let trigger = match *name {
            "any_failed_payment" => "failed_payment",
            "finalized_invoice" => "new_invoice",
            "payout_paid" | "customer_updated" | "odd" => "event",
            name => name,
        };
        format!("flow {name} when stripe.{trigger}{options} do stripe.create_product(name: \"{name}\")\n")
    };
    TRIGGERS.iter().map(flow).collect()
}

/// A checkout that is over, with a payment status.
fn completed(id: &str, payment_status: &str) -> Json {
    let session = json!({
        "id": id, "object": "checkout.session", "mode": "payment", "payment_status": payment_status, "status": "complete",
        "amount_total": 0, "amount_subtotal": 0, "currency": "usd", "customer": null, "created": 1_795_000_000, "livemode": false,
        "metadata": {},
    });
    json!({ "type": "checkout.session.completed", "object": session })
}

/// What happens, and the flows that it starts.
fn happenings() -> Vec<(Json, Vec<&'static str>)> {
    let subscription = ["new_invoice", "new_subscription", "finalized_invoice", "new_payment", "invoice_paid"];
    vec![
        (json!({ "type": "charge.failed" }), vec!["charge_failed", "failed_payment", "any_failed_payment"]),
        (
            json!({ "type": "charge.failed", "payment_intent": false }),
            vec!["charge_failed", "failed_payment", "any_failed_payment"],
        ),
        (json!({ "type": "charge.succeeded" }), vec!["new_payment"]),
        // Reserved first, then taken: one payment.
        (json!({ "type": "charge.captured" }), vec!["new_payment"]),
        (json!({ "type": "charge.refunded" }), vec!["new_payment", "refund_created", "charge_refunded"]),
        (json!({ "type": "checkout.session.completed" }), vec!["new_payment", "checkout_completed", "checkout_paid"]),
        // Completed without the money, which comes later: paid once.
        (json!({ "type": "checkout.session.async_payment_succeeded" }), vec!["checkout_completed", "checkout_paid"]),
        // Nothing to pay is paid; what nobody knows is not.
        (completed("cs_test_free", "no_payment_required"), vec!["checkout_completed", "checkout_paid"]),
        (completed("cs_test_odd", "brand_new"), vec!["checkout_completed"]),
        (json!({ "type": "customer.created", "email": "x@example.com" }), vec!["new_customer"]),
        (json!({ "type": "customer.updated", "email": "x@example.com", "phone": "+33400000000" }), vec!["customer_updated"]),
        (json!({ "type": "invoice.created" }), vec!["new_invoice"]),
        (
            json!({ "type": "invoice.payment_failed" }),
            vec![
                "new_invoice",
                "finalized_invoice",
                "charge_failed",
                "failed_payment",
                "any_failed_payment",
                "invoice_payment_failed",
                "subscription_updated",
            ],
        ),
        (json!({ "type": "customer.subscription.created" }), subscription.to_vec()),
        (json!({ "type": "customer.subscription.updated" }), vec!["subscription_updated"]),
        (json!({ "type": "customer.subscription.deleted" }), vec!["subscription_canceled"]),
        (json!({ "type": "customer.subscription.trial_will_end" }), vec!["trial_will_end"]),
        (json!({ "type": "charge.dispute.created" }), vec!["new_payment", "new_dispute"]),
        (json!({ "type": "charge.dispute.closed" }), vec!["new_payment", "new_dispute", "dispute_closed"]),
        (json!({ "type": "payout.failed" }), vec!["payout_failed"]),
        (json!({ "type": "payout.paid" }), vec!["payout_paid"]),
        (json!({ "type": "treasury.odd", "object": { "object": "treasury.odd" } }), vec!["odd"]),
        (json!({ "type": "plan.created", "object": { "id": "p", "object": "plan" } }), vec![]),
    ]
}

/// How often each name of a product is there.
fn made(emulators: &Emulators) -> BTreeMap<String, usize> {
    let state = emulators.state("stripe");
    let mut counts = BTreeMap::new();
    for product in state["products"].as_array().unwrap() {
        *counts.entry(product["name"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    // What the scenes themselves sell.
    counts.retain(|name, _| TRIGGERS.iter().any(|(known, _)| known == name));
    counts
}

fn expected(happened: &[(Json, Vec<&'static str>)]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for name in happened.iter().flat_map(|(_, names)| names) {
        *counts.entry((*name).to_owned()).or_default() += 1;
    }
    counts
}

#[test]
fn every_trigger_starts_its_flows_by_webhook() {
    let emulators = Emulators::start();
    let daemon = start(&emulators, "poll = false\n", &trigger_flows());
    emulators.deliver_to("stripe", &format!("{}/v1/webhooks/stripe", daemon.server));
    let happenings = happenings();
    let mut runs = 0;
    for (at, (happening, names)) in happenings.iter().enumerate() {
        emulators.happen("stripe", happening);
        runs += names.len();
        daemon.settled(runs);
        assert_eq!(made(&emulators), expected(&happenings[..=at]), "{happening}");
    }
    assert!(daemon.runs().iter().all(|run| run["status"] == "done"));
    let started: Vec<&str> = happenings.iter().flat_map(|(_, names)| names).copied().collect();
    for (name, _) in TRIGGERS {
        assert!(started.contains(name), "nothing starts {name}");
    }
}

#[test]
fn every_trigger_starts_its_flows_by_poll_with_more_types_than_one_request_can_name() {
    let emulators = Emulators::start();
    let daemon = start(&emulators, "poll = \"1 second\"\n", &trigger_flows());
    let polled = || {
        let status = daemon.ask(&["status"]);
        let connection = status["connections"].as_array()?.iter().find(|one| one["name"] == "stripe")?.clone();
        (!connection["polls"][0]["polled_at"].is_null()).then_some(())
    };
    eventually("the first poll", polled);
    let happenings = happenings();
    for (happening, _) in &happenings {
        emulators.happen("stripe", happening);
    }
    // One that is dated before the newest, and comes to light after it.
    eventually("all are there", || (made(&emulators) == expected(&happenings)).then_some(()));
    // What is from before the first poll is old.
    let started: jiff::Timestamp = daemon.ask(&["status"])["started_at"].as_str().unwrap().parse().unwrap();
    eventually("two seconds are over", || (jiff::Timestamp::now().as_second() > started.as_second() + 2).then_some(()));
    emulators.happen("stripe", &json!({ "type": "customer.created", "created_offset_seconds": -1 }));
    eventually("the late one", || (made(&emulators)["new_customer"] == 2).then_some(()));
    assert!(daemon.runs().iter().all(|run| run["status"] == "done"));
}

/// A flow asks Stripe for the types that it takes, and for no others: Stripe waits for those who listen to drafts.
#[test]
fn only_types_that_a_flow_takes_are_asked_for() {
    let stripe = Recorder::start(|_, _| Some((200, json!({ "object": "list", "data": [], "has_more": false }))));
    let flows = "flow a when stripe.new_invoice(when: \"finalized\") do stripe.create_product(name: \"a\")\n\
                 flow b when stripe.failed_payment(ignore_payment_intents: true) do stripe.create_product(name: \"b\")\n\
                 flow c when stripe.event(type: \"payout.created\") do stripe.create_product(name: \"c\")\n";
    let toml = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.stripe]\nkey = \"sk_test_x\"\nbase_url = \"{}\"\npoll = \"1 second\"\n",
        stripe.url
    );
    let _daemon = Daemon::start_with(&[("flow.toml", &toml), ("main.flow", flows)], &["--allow-literal-secrets"]);
    let line = eventually("a poll", || stripe.lines().into_iter().find(|line| line.starts_with("GET /v1/events?")));
    let types: Vec<String> = pairs(line.split_once('?').unwrap().1)
        .into_iter()
        .filter(|(name, _)| name == "types[]")
        .map(|(_, value)| value)
        .collect();
    assert_eq!(types, ["charge.failed", "invoice.finalized", "payout.created"]);
}

#[test]
fn what_changed_about_a_subscription_can_be_asked() {
    let emulators = Emulators::start();
    let flows = "flow ending when stripe.subscription_updated where cancel_at_period_end and cancel_at_period_end_before is false and before.canceled_at is missing\n\
                 do stripe.create_product(name: \"ending {id}\")\n\
                 flow stays when stripe.subscription_updated where status_before is present do stripe.create_product(name: \"no\")\n\
                 flow generic when stripe.event(type: \"customer.subscription.updated\") where object.cancel_at_period_end is true and before.cancel_at_period_end is false and object_type is \"subscription\" and not livemode\n\
                 do stripe.create_product(name: \"{type} {require object_id} {id}\")\n";
    let daemon = start(&emulators, "poll = false\n", flows);
    emulators.deliver_to("stripe", &format!("{}/v1/webhooks/stripe", daemon.server));
    emulators.happen("stripe", &json!({ "type": "customer.subscription.updated" }));
    daemon.settled(2);
    let state = emulators.state("stripe");
    let id = state["subscriptions"][0]["id"].as_str().unwrap();
    let names: Vec<&str> = state["products"].as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
    assert!(names.contains(&format!("ending {id}").as_str()), "{names:?}");
    assert!(names.iter().any(|name| name.starts_with(&format!("customer.subscription.updated {id} evt_"))), "{names:?}");
    assert!(!names.contains(&"no"));
}

// ------------------------------------------------------------------------------------------------ actions and queries

/// One flow for each operation. The event that starts it has the ids that it needs.
const OPERATIONS: &str = r#"
flow create_customer when stripe.event(type: "do.create_customer") do stripe.create_customer(email: "ada@example.com", name: "Ada", phone: "+33400000000", description: "the first", address: { line1: "1 Main St", country: "US" }, metadata: { a: "1", b: "2" }, payment_method: "pm_card_visa", tax_exempt: "exempt")
flow update_customer when stripe.event(type: "do.update_customer") do stripe.update_customer(customer: require object.customer, name: "Ada King", description: "", metadata: { a: "", c: "3" }, address: { city: "Lyon" })
flow add_customer_credit when stripe.event(type: "do.add_customer_credit") do stripe.add_customer_credit(customer: require object.customer, amount: 12.50 USD, description: "sorry")
flow create_billing_portal_session when stripe.event(type: "do.create_billing_portal_session") do stripe.create_billing_portal_session(customer: require object.customer, return_url: "https://example.com/back")
flow create_product when stripe.event(type: "do.create_product") do stripe.create_product(name: "Club", description: "Tea", price: 19 USD, interval: "month", metadata: { a: "1" })
flow create_price when stripe.event(type: "do.create_price") do stripe.create_price(amount: 29.90 USD, product: require object.product, interval: "month", interval_count: 3, nickname: "quarterly", lookup_key: "q")
flow create_payment_link when stripe.event(type: "do.create_payment_link") do stripe.create_payment_link(amount: 5 EUR, name: "Cup", quantity: 2, after_completion_url: "https://example.com/ok?x=1&y=2", allow_promotion_codes: true, metadata: { source: "flow" })
flow cheap_link when stripe.event(type: "do.cheap_link") do stripe.create_payment_link(line_items: [{ price_data: { currency: "usd", unit_amount_decimal: "0.35", product_data: { name: "Bolt" } }, quantity: 300 }])
flow deactivate_payment_link when stripe.event(type: "do.deactivate_payment_link") do stripe.deactivate_payment_link(payment_link: require object.link, inactive_message: "over")
flow create_checkout_session when stripe.event(type: "do.create_checkout_session") do stripe.create_checkout_session(price: require object.price, mode: "subscription", success_url: "https://example.com/ok?s=\{CHECKOUT_SESSION_ID}", customer_email: "c@example.com", client_reference_id: "cart-1", expires_at: now + 2 hours, trial_period_days: 7)
flow expire_checkout_session when stripe.event(type: "do.expire_checkout_session") do stripe.expire_checkout_session(checkout: require object.checkout)
flow create_payment_intent when stripe.event(type: "do.create_payment_intent") do stripe.create_payment_intent(amount: 10.99 USD, customer: require object.customer, automatic_payment_methods: true, allow_redirects: "never", capture_method: "manual", receipt_email: "r@example.com", description: "tea", metadata: { a: "1" })
flow confirm_payment_intent when stripe.event(type: "do.confirm_payment_intent") do stripe.confirm_payment_intent(payment_intent: require object.payment, payment_method: "pm_card_visa")
flow capture_payment when stripe.event(type: "do.capture_payment") do stripe.capture_payment(payment_intent: require object.payment, amount: 10 USD)
flow cancel_payment_intent when stripe.event(type: "do.cancel_payment_intent") do stripe.cancel_payment_intent(payment_intent: require object.payment, cancellation_reason: "abandoned")
flow update_charge when stripe.event(type: "do.update_charge") do stripe.update_charge(charge: require object.charge, description: "Tea and cake", metadata: { cake: "yes" }, user_report: "safe")
flow create_refund when stripe.event(type: "do.create_refund") do stripe.create_refund(charge: require object.charge, amount: 2.50 USD, reason: "requested_by_customer")
flow refund_the_rest when stripe.event(type: "do.refund_the_rest") do stripe.create_refund(payment_intent: require object.payment)
flow create_invoice when stripe.event(type: "do.create_invoice") do stripe.create_invoice(customer: require object.customer, collection_method: "send_invoice", days_until_due: 30, auto_advance: false, custom_fields: [{ name: "PO", value: "42" }], description: "May", footer: "thanks")
flow add_invoice_item when stripe.event(type: "do.add_invoice_item") do stripe.add_invoice_item(customer: require object.customer, invoice: require object.invoice, amount: 25 USD, description: "Cake")
flow finalize_invoice when stripe.event(type: "do.finalize_invoice") do stripe.finalize_invoice(invoice: require object.invoice, auto_advance: false)
flow send_invoice when stripe.event(type: "do.send_invoice") do stripe.send_invoice(invoice: require object.invoice)
flow pay_invoice when stripe.event(type: "do.pay_invoice") do stripe.pay_invoice(invoice: require object.invoice, paid_out_of_band: true)
flow void_invoice when stripe.event(type: "do.void_invoice") do stripe.void_invoice(invoice: require object.invoice)
flow mark_invoice_uncollectible when stripe.event(type: "do.mark_invoice_uncollectible") do stripe.mark_invoice_uncollectible(invoice: require object.invoice)
flow create_coupon when stripe.event(type: "do.create_coupon") do stripe.create_coupon(percent_off: 12.5, duration: "repeating", duration_in_months: 3, id: "TEA", name: "Tea time", max_redemptions: 100)
flow create_money_coupon when stripe.event(type: "do.create_money_coupon") do stripe.create_coupon(amount_off: 500 JPY, id: "YEN")
flow create_promotion_code when stripe.event(type: "do.create_promotion_code") do stripe.create_promotion_code(coupon: require object.coupon, code: "TEA5", max_redemptions: 5, first_time_transaction: true, minimum_amount: 20 EUR)
flow create_subscription when stripe.event(type: "do.create_subscription") do stripe.create_subscription(customer: require object.customer, price: require object.price, quantity: 2, coupon: require object.coupon, metadata: { a: "1" })
flow update_subscription when stripe.event(type: "do.update_subscription") do stripe.update_subscription(subscription: require object.subscription, price: require object.price, quantity: 3, proration_behavior: "none", description: "bigger")
flow pause_subscription when stripe.event(type: "do.pause_subscription") do stripe.update_subscription(subscription: require object.subscription, pause_collection: "void", resumes_at: now + 720 hours)
flow unpause_subscription when stripe.event(type: "do.unpause_subscription") do stripe.unpause_subscription(subscription: require object.subscription)
flow cancel_later when stripe.event(type: "do.cancel_later") do stripe.cancel_subscription(subscription: require object.subscription, at_period_end: true)
flow keep when stripe.event(type: "do.keep") do stripe.cancel_at_period_end(subscription: require object.subscription, cancel: false)
flow cancel_subscription when stripe.event(type: "do.cancel_subscription") do stripe.cancel_subscription(subscription: require object.subscription, invoice_now: true, prorate: true)
flow update_dispute when stripe.event(type: "do.update_dispute") do stripe.update_dispute(dispute: require object.dispute, evidence: { product_description: "A teapot", shipping_tracking_number: "1Z" }, metadata: { who: "ops" })
flow submit_dispute when stripe.event(type: "do.submit_dispute") do stripe.update_dispute(dispute: require object.dispute, submit: true)
flow close_dispute when stripe.event(type: "do.close_dispute") do stripe.close_dispute(dispute: require object.dispute)
flow delete_customer when stripe.event(type: "do.delete_customer") do stripe.delete_customer(customer: require object.customer)
flow reads when stripe.event(type: "do.reads") do {
  let by_id = stripe.find_customer(id: require object.customer)
  let by_email = stripe.find_customer(email: "ada@example.com")
  let other_case = stripe.find_customer(email: "ADA@example.com")
  let all = stripe.list_customers(email: "ada@example.com")
  let searched = stripe.search_customers(email: "ADA@example.com", name: "king")
  let charge = stripe.find_charge(id: require object.charge)
  let payment = stripe.find_payment(id: require object.payment)
  let invoice = stripe.find_invoice(id: require object.invoice)
  let nothing = stripe.find_invoice(id: "in_missing")
  let subscription = stripe.find_subscription(id: require object.subscription)
  let product = stripe.find_product(id: require object.product)
  let price = stripe.find_price(id: require object.price)
  let invoices = stripe.list_invoices(customer: require object.customer, status: "paid")
  let refunds = stripe.list_refunds(charge: require object.charge)
  let balance = stripe.get_balance()
  let lines = stripe.list_checkout_items(checkout: require object.checkout)
  let subscriptions = stripe.list_subscriptions(customer: require object.customer)
  let checkout = stripe.find_checkout(id: require object.checkout)
  require charge
  require payment
  require invoice
  require subscription
  require product
  require price
  require checkout
  stripe.create_customer(name: "{by_id.name else "none"}|{by_email.name else "none"}|{other_case.name else "none"}|{length(all)}|{length(searched)}|{charge.amount}|{payment.status}|{invoice.total}|{nothing.id else "none"}|{require subscription.quantity}|{product.name}|{require price.unit_amount}|{length(invoices)}|{length(refunds)}|{length(balance.available)}|{length(lines)}|{length(subscriptions)}|{checkout.payment_status}")
}
flow deleted when stripe.event(type: "do.deleted") do {
  let gone = stripe.find_customer(id: require object.customer)
  stripe.create_product(name: "deleted: {gone.id else "none"}")
}
"#;

/// A shop that is told what to do by events.
struct Shop {
    emulators: Emulators,
    daemon: Daemon,
    /// The runs that are known.
    runs: BTreeSet<String>,
}

impl Shop {
    fn open(flows: &str) -> Self {
        let emulators = Emulators::start();
        let daemon = start(&emulators, "poll = false\n", flows);
        emulators.deliver_to("stripe", &format!("{}/v1/webhooks/stripe", daemon.server));
        Self { emulators, daemon, runs: BTreeSet::new() }
    }

    /// Lets a flow run; returns how it ended.
    fn ask(&mut self, name: &str, mut object: Json) -> Json {
        object["object"] = json!("wish");
        object["id"] = json!(format!("wish_{}", self.runs.len()));
        self.emulators.happen("stripe", &json!({ "type": format!("do.{name}"), "object": object }));
        let runs = self.daemon.settled(self.runs.len() + 1);
        let new: Vec<&Json> = runs.iter().filter(|run| !self.runs.contains(run["id"].as_str().unwrap())).collect();
        assert_eq!((new.len(), &new[0]["flow"]), (1, &json!(name)), "{new:#?}");
        let id = new[0]["id"].as_str().unwrap().to_owned();
        self.runs.insert(id.clone());
        self.daemon.get(&format!("runs/{id}?personal=true"))
    }

    /// Lets a flow run, which has to be done; returns what there is then.
    fn act(&mut self, name: &str, object: Json) -> Json {
        let run = self.ask(name, object);
        assert_eq!(run["status"], "done", "{name}: {run:#}");
        self.emulators.state("stripe")
    }
}

/// The last of a kind.
fn last<'j>(state: &'j Json, kind: &str) -> &'j Json {
    state[kind].as_array().unwrap().last().unwrap_or_else(|| panic!("there are no {kind}"))
}

fn id(object: &Json) -> Json {
    object["id"].clone()
}

#[test]
fn every_action_does_what_it_says() {
    let mut shop = Shop::open(OPERATIONS);

    let state = shop.act("create_customer", json!({}));
    let customer = id(last(&state, "customers"));
    let of_customer = json!({ "customer": customer });
    assert_eq!(last(&state, "customers")["tax_exempt"], "exempt");
    assert_eq!(last(&state, "customers")["address"]["country"], "US");
    let state = shop.act("update_customer", of_customer.clone());
    let ada = last(&state, "customers");
    assert_eq!((&ada["name"], &ada["description"], &ada["email"]), (&json!("Ada King"), &Json::Null, &json!("ada@example.com")));
    assert_eq!(ada["metadata"], json!({ "b": "2", "c": "3" }));
    assert_eq!(ada["address"]["city"], "Lyon");
    let state = shop.act("add_customer_credit", of_customer.clone());
    assert_eq!((&last(&state, "customers")["balance"], state["customers"].as_array().unwrap().len()), (&json!(-1_250), 1));
    let state = shop.act("create_billing_portal_session", of_customer.clone());
    assert_eq!(last(&state, "billing_portal.sessions")["return_url"], "https://example.com/back");

    let state = shop.act("create_product", json!({}));
    let (product, monthly) = (id(last(&state, "products")), id(last(&state, "prices")));
    assert_eq!(last(&state, "prices")["unit_amount"], 1_900);
    assert_eq!(last(&state, "products")["default_price"], monthly);
    let state = shop.act("create_price", json!({ "product": product }));
    let quarterly = id(last(&state, "prices"));
    assert_eq!(last(&state, "prices")["unit_amount"], 2_990);
    assert_eq!(last(&state, "prices")["recurring"]["interval_count"], 3);
    assert_eq!(last(&state, "prices")["lookup_key"], "q");

    let state = shop.act("create_payment_link", json!({}));
    let link = last(&state, "payment_links");
    assert_eq!((&link["currency"], &link["active"]), (&json!("eur"), &json!(true)));
    assert_eq!(link["after_completion"]["redirect"]["url"], "https://example.com/ok?x=1&y=2");
    let state = shop.act("deactivate_payment_link", json!({ "link": id(link) }));
    let link = last(&state, "payment_links");
    assert_eq!((&link["active"], &link["inactive_message"]), (&json!(false), &json!("over")));
    let cheap = shop.act("cheap_link", json!({}));
    let price = last(&cheap, "prices");
    assert_eq!((&price["unit_amount"], &price["unit_amount_decimal"]), (&json!(null), &json!("0.35")));

    let state = shop.act("create_checkout_session", json!({ "price": monthly }));
    let checkout = last(&state, "checkout_sessions").clone();
    assert_eq!(checkout["success_url"], "https://example.com/ok?s={CHECKOUT_SESSION_ID}");
    assert_eq!((&checkout["mode"], &checkout["client_reference_id"]), (&json!("subscription"), &json!("cart-1")));
    let state = shop.act("expire_checkout_session", json!({ "checkout": id(&checkout) }));
    assert_eq!(last(&state, "checkout_sessions")["status"], "expired");

    let state = shop.act("create_payment_intent", of_customer.clone());
    let payment = id(last(&state, "payment_intents"));
    let intent = last(&state, "payment_intents");
    assert_eq!((&intent["amount"], &intent["currency"]), (&json!(1_099), &json!("usd")));
    assert_eq!(intent["automatic_payment_methods"], json!({ "enabled": true, "allow_redirects": "never" }));
    let of_payment = json!({ "payment": payment });
    let state = shop.act("confirm_payment_intent", of_payment.clone());
    assert_eq!(last(&state, "payment_intents")["status"], "requires_capture");
    let state = shop.act("capture_payment", of_payment.clone());
    assert_eq!(last(&state, "payment_intents")["amount_received"], 1_000);
    let charge = id(last(&state, "charges"));
    let of_charge = json!({ "charge": charge });
    let state = shop.act("update_charge", of_charge.clone());
    assert_eq!(last(&state, "charges")["description"], "Tea and cake");
    assert_eq!(last(&state, "charges")["fraud_details"]["user_report"], "safe");
    let state = shop.act("create_refund", of_charge);
    assert_eq!(
        (&last(&state, "refunds")["amount"], &last(&state, "refunds")["reason"]),
        (&json!(250), &json!("requested_by_customer"))
    );
    let state = shop.act("refund_the_rest", of_payment);
    assert_eq!((&last(&state, "refunds")["amount"], &last(&state, "charges")["refunded"]), (&json!(651), &json!(true)));
    let state = shop.act("create_payment_intent", of_customer.clone());
    let state = shop.act("cancel_payment_intent", json!({ "payment": id(last(&state, "payment_intents")) }));
    let canceled = last(&state, "payment_intents");
    assert_eq!((&canceled["status"], &canceled["cancellation_reason"]), (&json!("canceled"), &json!("abandoned")));

    let mut invoice = Json::Null;
    for end in ["pay_invoice", "void_invoice", "mark_invoice_uncollectible"] {
        let state = shop.act("create_invoice", of_customer.clone());
        assert_eq!(last(&state, "invoices")["custom_fields"], json!([{ "name": "PO", "value": "42" }]));
        let of_invoice = json!({ "customer": customer, "invoice": id(last(&state, "invoices")) });
        let state = shop.act("add_invoice_item", of_invoice.clone());
        assert_eq!((&last(&state, "invoices")["total"], &last(&state, "invoices")["status"]), (&json!(2_500), &json!("draft")));
        let state = shop.act("finalize_invoice", of_invoice.clone());
        assert_eq!(last(&state, "invoices")["status"], "open");
        shop.act("send_invoice", of_invoice.clone());
        let state = shop.act(end, of_invoice);
        let status = last(&state, "invoices")["status"].clone();
        assert_eq!(
            status,
            json!({ "pay_invoice": "paid", "void_invoice": "void" }).get(end).cloned().unwrap_or(json!("uncollectible"))
        );
        if end == "pay_invoice" {
            invoice = id(last(&state, "invoices"));
        }
    }

    let state = shop.act("create_coupon", json!({}));
    let coupon = last(&state, "coupons");
    assert_eq!((&coupon["id"], &coupon["percent_off"], &coupon["duration_in_months"]), (&json!("TEA"), &json!(12.5), &json!(3)));
    let state = shop.act("create_money_coupon", json!({}));
    assert_eq!((&last(&state, "coupons")["amount_off"], &last(&state, "coupons")["currency"]), (&json!(500), &json!("jpy")));
    let state = shop.act("create_promotion_code", json!({ "coupon": "TEA" }));
    let code = last(&state, "promotion_codes");
    assert_eq!(
        (&code["code"], &code["promotion"]["coupon"], &code["max_redemptions"]),
        (&json!("TEA5"), &json!("TEA"), &json!(5))
    );
    assert_eq!(
        code["restrictions"],
        json!({ "first_time_transaction": true, "minimum_amount": 2_000, "minimum_amount_currency": "eur" })
    );

    let state = shop.act("create_subscription", json!({ "customer": customer, "price": monthly, "coupon": "TEA" }));
    let subscription = id(last(&state, "subscriptions"));
    let of_subscription = json!({ "subscription": subscription, "price": quarterly });
    assert_eq!(last(&state, "subscriptions")["items"]["data"][0]["quantity"], 2);
    let item = id(&last(&state, "subscriptions")["items"]["data"][0]);
    let state = shop.act("update_subscription", of_subscription.clone());
    let items = last(&state, "subscriptions")["items"]["data"].as_array().unwrap();
    // Its item has another price; there is no second one.
    assert_eq!(
        (items.len(), &items[0]["id"], &items[0]["price"]["id"], &items[0]["quantity"]),
        (1, &item, &quarterly, &json!(3))
    );
    let state = shop.act("pause_subscription", of_subscription.clone());
    assert_eq!(last(&state, "subscriptions")["pause_collection"]["behavior"], "void");
    let state = shop.act("unpause_subscription", of_subscription.clone());
    assert_eq!(last(&state, "subscriptions")["pause_collection"], Json::Null);
    let state = shop.act("cancel_later", of_subscription.clone());
    assert_eq!(last(&state, "subscriptions")["cancel_at_period_end"], true);
    let state = shop.act("keep", of_subscription.clone());
    assert_eq!(last(&state, "subscriptions")["cancel_at_period_end"], false);

    shop.act(
        "reads",
        json!({
            "customer": customer, "charge": charge, "payment": payment, "invoice": invoice, "subscription": subscription,
            "product": product, "price": quarterly, "checkout": id(&checkout),
        }),
    );
    let state = shop.emulators.state("stripe");
    let read = last(&state, "customers")["name"].as_str().unwrap().to_owned();
    assert_eq!(read, "Ada King|Ada King|none|1|1|10.99 USD|succeeded|25.00 USD|none|3|Club|29.90 USD|2|2|1|1|1|unpaid",);

    let state = shop.act("cancel_subscription", of_subscription.clone());
    assert_eq!(last(&state, "subscriptions")["status"], "canceled");
    // Again: Stripe says that there is none, and that is what was wanted.
    shop.act("cancel_subscription", of_subscription);

    shop.emulators.happen("stripe", &json!({ "type": "charge.dispute.created" }));
    let dispute = json!({ "dispute": id(last(&shop.emulators.state("stripe"), "disputes")) });
    let state = shop.act("update_dispute", dispute.clone());
    let evidence = &last(&state, "disputes")["evidence"];
    assert_eq!((&evidence["product_description"], &evidence["shipping_tracking_number"]), (&json!("A teapot"), &json!("1Z")));
    assert_eq!(last(&state, "disputes")["status"], "needs_response");
    let state = shop.act("submit_dispute", dispute);
    assert_eq!(last(&state, "disputes")["status"], "under_review");
    shop.emulators.happen("stripe", &json!({ "type": "charge.dispute.created" }));
    let dispute = json!({ "dispute": id(last(&shop.emulators.state("stripe"), "disputes")) });
    let state = shop.act("close_dispute", dispute);
    assert_eq!(last(&state, "disputes")["status"], "lost");

    let state = shop.act("delete_customer", of_customer.clone());
    assert_eq!(state["customers"].as_array().unwrap().iter().filter(|one| one["deleted"] == true).count(), 1);
    shop.act("delete_customer", of_customer.clone());
    let state = shop.act("deleted", of_customer);
    assert_eq!(last(&state, "products")["name"], "deleted: none");

    // The emulator has every call; each POST had a key of its own.
    let calls = state["calls"].as_array().unwrap();
    let keys: Vec<&str> =
        calls.iter().filter(|call| call["method"] == "POST").filter_map(|call| call["idempotency_key"].as_str()).collect();
    let distinct: std::collections::BTreeSet<&&str> = keys.iter().collect();
    assert_eq!(keys.len(), calls.iter().filter(|call| call["method"] == "POST").count());
    assert_eq!(distinct.len(), keys.len());
}

/// Decodes the parameters of a form or an address.
fn pairs(encoded: &str) -> Vec<(String, String)> {
    let decode = |text: &str| percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8().unwrap().into_owned();
    encoded.split('&').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (decode(name), decode(value))).collect()
}

// ------------------------------------------------------------------------------------------------ as the official library sends it

/// For each request of the vectors the call that makes it. The library needs no look before a refund; we do, for the currency.
const AS_THE_LIBRARY: &str = r#"
flow create_customer when stripe.event(type: "do.create_customer") do stripe.create_customer(email: "zoë+test@example.com", name: "Zoë & Søn \"Ltd\"", metadata: { order_id: "6735", "key with space": "a=b&c" }, address: { line1: "1 Main St", country: "US" })
flow delete_customer when stripe.event(type: "do.delete_customer") do stripe.delete_customer(customer: "cus_123")
flow by_id when stripe.event(type: "do.find_customer_by_id") do { let found = stripe.find_customer(id: "cus_123") stop because "{found.id else "none"}" }
flow by_email when stripe.event(type: "do.find_customer_by_email_list") do { let found = stripe.find_customer(email: "a+b@example.com") stop because "{found.id else "none"}" }
flow search when stripe.event(type: "do.search_customers") do { let found = stripe.search_customers(email: "sally@rocketrides.io", limit: 1) stop because "{length(found)}" }
flow link when stripe.event(type: "do.create_payment_link") do stripe.create_payment_link(line_items: [{ price: "price_1", quantity: 2 }, { price_data: { currency: "usd", unit_amount: 1099, product_data: { name: "T-shirt" } }, quantity: 1 }], after_completion_url: "https://example.com/ok?x=1&y=2", allow_promotion_codes: true, metadata: { source: "flow" })
flow subscribe when stripe.event(type: "do.create_subscription") do stripe.create_subscription(customer: "cus_123", price: "price_1", quantity: 3, trial_period_days: 14, collection_method: "charge_automatically", payment_behavior: "default_incomplete", expand: ["latest_invoice.confirmation_secret", "pending_setup_intent"])
flow change when stripe.event(type: "do.update_subscription") do stripe.update_subscription(subscription: "sub_123", cancel_at_period_end: true)
flow refund when stripe.event(type: "do.create_refund") do stripe.create_refund(payment_intent: "pi_123", amount: 5 USD, reason: "requested_by_customer")
flow checkout when stripe.event(type: "do.create_checkout_session") do stripe.create_checkout_session(price: "price_1", success_url: "https://example.com/ok?session_id=\{CHECKOUT_SESSION_ID}", customer_email: "a@b.co")
flow invoice when stripe.event(type: "do.create_invoice") do stripe.create_invoice(customer: "cus_123", collection_method: "send_invoice", days_until_due: 30, auto_advance: false, custom_fields: [{ name: "PO", value: "42" }])
flow finalize when stripe.event(type: "do.finalize_invoice") do stripe.finalize_invoice(invoice: "in_123")
flow send when stripe.event(type: "do.send_invoice") do stripe.send_invoice(invoice: "in_123")
flow pay when stripe.event(type: "do.create_payment_intent") do stripe.create_payment_intent(amount: 10.99 USD, automatic_payment_methods: true, metadata: { a: "1" })
"#;

/// The parts of a form or an address as they are encoded, in no order: ours has that of the names.
fn parts(encoded: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = encoded.split('&').filter(|part| !part.is_empty()).collect();
    parts.sort_unstable();
    parts
}

#[test]
fn requests_are_what_the_official_library_sends() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/stripe/requests.json");
    let Ok(text) = std::fs::read_to_string(file) else { return };
    let vectors: Json = serde_json::from_str(&text).unwrap();
    let service = Recorder::start(|request, _| {
        let payment =
            json!({ "id": "pi_123", "amount": 1099, "currency": "usd", "status": "succeeded", "livemode": false, "created": 1 });
        Some((200, if request.method == "GET" { payment } else { json!({}) }))
    });
    let toml = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.stripe]\nkey = \"sk_test_vector\"\nwebhook_secret = {{ env = \"TEST_WEBHOOK_SECRET\" }}\nbase_url = \"{}\"\npoll = false\n",
        service.url
    );
    let daemon = Daemon::start_with(&[("flow.toml", &toml), ("main.flow", AS_THE_LIBRARY)], &["--allow-literal-secrets"]);
    let mut compared = 0;
    for vector in vectors["requests"].as_array().unwrap() {
        let name = vector["name"].as_str().unwrap().replace(['(', ')'], "").replace(' ', "_");
        if !AS_THE_LIBRARY.contains(&format!("\"do.{name}\"")) {
            // How a webhook is registered has tests of its own.
            assert_eq!(name, "create_webhook_endpoint");
            continue;
        }
        let before = service.arrived().len();
        let wish = json!({ "id": format!("evt_{compared}"), "object": "event", "created": jiff::Timestamp::now().as_second(),
            "livemode": false, "type": format!("do.{name}"), "data": { "object": { "id": "x", "object": "wish" } } });
        assert_eq!(stripe::post(&daemon.server, &wish.to_string()).status, 200);
        compared += 1;
        daemon.settled(compared);
        let method = vector["method"].as_str().unwrap();
        let arrived = service.arrived()[before..].iter().rfind(|one| one.method == method).cloned().unwrap();
        let (path, query) = arrived.path.split_once('?').unwrap_or((&arrived.path, ""));
        let wanted = vector["path"].as_str().unwrap();
        let (wanted_path, wanted_query) = wanted.split_once('?').unwrap_or((wanted, ""));
        assert_eq!((path, parts(query)), (wanted_path, parts(wanted_query)), "{name}");
        assert_eq!(parts(&arrived.body), parts(vector["body"].as_str().unwrap_or_default()), "{name}");
        assert_eq!(arrived.header("authorization"), Some("Bearer sk_test_vector"), "{name}");
        assert_eq!(arrived.header("stripe-version"), vectors["api_version"].as_str(), "{name}");
        let is_post = method == "POST";
        assert_eq!(arrived.header("idempotency-key").is_some_and(|key| !key.is_empty() && key.len() <= 255), is_post, "{name}");
        if !arrived.body.is_empty() {
            assert_eq!(arrived.header("content-type"), Some("application/x-www-form-urlencoded"), "{name}");
        }
    }
    assert_eq!(compared, AS_THE_LIBRARY.lines().filter(|line| line.starts_with("flow ")).count());
}

// ------------------------------------------------------------------------------------------------ all versions

/// Reads the object of an event as every trigger does that takes its type. Returns the fields that have a value.
fn decoded(event: &Json) -> BTreeMap<String, BTreeMap<String, String>> {
    let catalog = builtin();
    let connector = &catalog.connectors["stripe"];
    let kind = event["type"].as_str().unwrap();
    let event = flow_plan::Value::from_json(event);
    let object = path_get(&event, &flow_plan::JsonPath::parse("data.object").unwrap());
    let mut all = BTreeMap::new();
    for trigger in connector.triggers.values() {
        if trigger.types_of.is_none() && !trigger.types.iter().any(|known| known == kind) {
            continue;
        }
        let mut fields = BTreeMap::new();
        for field in &connector.records[&trigger.record].fields {
            let value = decode_field(&field.shape, &|root, path| match root {
                Root::Record => path_get(&object, path),
                Root::Event => path_get(&event, path),
            });
            let value = value.unwrap_or_else(|misfit| panic!("{kind} as {}: {misfit}", trigger.name));
            if !value.is_missing() {
                fields.insert(field.name.clone(), value.to_string());
            }
        }
        all.insert(trigger.name.clone(), fields);
    }
    all
}

/// Each event that was recorded from accounts of versions from 2018 to 2023, and of today's.
#[test]
fn events_of_all_versions_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/stripe/events");
    let mut read = 0;
    for folder in ["recorded", "current-shape"].map(|name| folder.join(name)) {
        let Ok(files) = std::fs::read_dir(folder) else { return };
        for file in files {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let event: Json = serde_json::from_str(&text).unwrap();
            let all = decoded(&event);
            assert!(all.contains_key("event"));
            assert_eq!(all["event"]["type"], event["type"].as_str().unwrap());
            for (name, fields) in &all {
                assert!(fields.len() > 2, "{name} of {}: {fields:?}", event["type"]);
            }
            let old = event["api_version"].as_str().is_some_and(|version| version < "2025");
            match (event["type"].as_str().unwrap(), old) {
                ("invoice.payment_failed", _) => {
                    assert!(all["invoice_payment_failed"].contains_key("amount_due"));
                    if !event["data"]["object"]["subscription"].is_null() {
                        assert!(all["invoice_payment_failed"].contains_key("subscription"));
                    }
                }
                ("customer.subscription.created", _) => {
                    let fields = &all["new_subscription"];
                    assert!(
                        ["price", "current_period_end", "interval", "unit_amount"].iter().all(|name| fields.contains_key(*name)),
                        "{fields:?}"
                    );
                }
                ("payment_intent.payment_failed", _) => {
                    let error = &event["data"]["object"]["last_payment_error"];
                    let has_charge = error["charge"].is_string() || event["data"]["object"]["latest_charge"].is_string();
                    assert_eq!(all["failed_payment"].contains_key("charge"), has_charge);
                }
                _ => {}
            }
            read += 1;
        }
    }
    assert!(read >= 40);
}

/// The old places of fields, in events of our own.
#[test]
fn fields_are_found_where_old_versions_have_them() {
    let event = |kind: &str, object: Json| {
        decoded(&json!({ "id": "evt_1", "object": "event", "api_version": "2018-01-23", "created": 1, "livemode": false,
            "request": "req_1", "type": kind, "data": { "object": object } }))
    };
    let invoice = event(
        "invoice.payment_failed",
        json!({ "id": "in_1", "object": "invoice", "amount_due": 500, "total": 500, "currency": "eur", "attempt_count": 1,
            "charge": "ch_1", "payment_intent": "pi_1", "subscription": "sub_1", "date": 5, "livemode": false, "paid": false }),
    );
    let invoice = &invoice["invoice_payment_failed"];
    assert_eq!((invoice["subscription"].as_str(), invoice["charge"].as_str()), ("sub_1", "ch_1"));
    assert_eq!((invoice["payment_intent"].as_str(), invoice["amount_due"].as_str()), ("pi_1", "5.00 EUR"));
    assert!(invoice.contains_key("created_at"));
    let subscription = event(
        "customer.subscription.updated",
        json!({ "id": "sub_1", "object": "subscription", "customer": "cus_1", "status": "active", "cancel_at_period_end": false,
            "created": 1, "current_period_start": 10, "current_period_end": 20, "livemode": false, "quantity": 4,
            "items": { "data": [{ "id": "si_1", "plan": { "id": "gold", "amount": 2900, "currency": "usd", "interval": "month", "product": "prod_1" } }] },
            "plan": { "id": "gold", "amount": 2900, "currency": "usd", "interval": "month" } }),
    );
    let fields = &subscription["subscription_updated"];
    for (name, value) in [
        ("price", "gold"),
        ("unit_amount", "29.00 USD"),
        ("interval", "month"),
        ("quantity", "4"),
        ("item", "si_1"),
        ("product", "prod_1"),
    ] {
        assert_eq!(fields[name], value, "{name}");
    }
    assert!(fields.contains_key("current_period_end"));
    let customer = event(
        "customer.created",
        json!({ "id": "cus_1", "object": "customer", "account_balance": -250, "currency": "gbp", "created": 1, "livemode": false }),
    );
    assert_eq!(customer["new_customer"]["balance"], "-2.50 GBP");
    let intent = event(
        "payment_intent.payment_failed",
        json!({ "id": "pi_1", "object": "payment_intent", "amount": 100, "currency": "usd", "status": "requires_source", "created": 1,
            "livemode": false, "charges": { "data": [{ "id": "ch_9" }] }, "last_payment_error": { "code": "card_declined" } }),
    );
    assert_eq!(intent["failed_payment"]["charge"], "ch_9");
    // The charge before it is not the one that failed: none did.
    let authentication = event(
        "payment_intent.payment_failed",
        json!({ "id": "pi_1", "object": "payment_intent", "amount": 100, "currency": "usd", "status": "requires_payment_method", "created": 1,
            "livemode": false, "latest_charge": "ch_9", "last_payment_error": { "code": "payment_intent_authentication_failure" } }),
    );
    assert!(!authentication["failed_payment"].contains_key("charge"));
    let charge = event(
        "charge.failed",
        json!({ "id": "ch_1", "object": "charge", "amount": 100, "currency": "usd", "status": "failed", "paid": false, "captured": false,
            "refunded": false, "created": 1, "livemode": false, "invoice": "in_1" }),
    );
    assert_eq!(charge["charge_failed"]["invoice"], "in_1");
    assert_eq!(charge["event"]["created_at"], "1970-01-01T00:00:01Z");
}

// ------------------------------------------------------------------------------------------------ what must lead to nothing

/// A key for real payments takes no test events, and the reverse.
#[test]
fn events_of_the_other_mode_are_refused() {
    for (key, live, taken) in [
        ("sk_live_x", true, true),
        ("sk_live_x", false, false),
        ("rk_live_x", false, false),
        ("sk_test_x", false, true),
        ("sk_test_x", true, false),
        ("rk_test_x", true, false),
    ] {
        let toml = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.stripe]\nkey = \"{key}\"\nwebhook_secret = {{ env = \"TEST_WEBHOOK_SECRET\" }}\npoll = false\n"
        );
        let flows = "when stripe.charge_failed where amount > 1000000 do stripe.create_product(name: \"x\")\n";
        let daemon = Daemon::start_with(&[("flow.toml", &toml), ("main.flow", flows)], &["--allow-literal-secrets"]);
        let mut event = stripe::charge_failed("1", 500, "usd", None);
        event["livemode"] = json!(live);
        let answer = stripe::post(&daemon.server, &event.to_string());
        let kept = daemon.get("events")["events"].as_array().unwrap().len();
        assert_eq!((answer.status, kept), if taken { (200, 1) } else { (400, 0) }, "{key} {live}: {}", answer.body);
        if !taken {
            assert!(answer.body.contains("the key of this connection is for") && !answer.body.contains(key), "{}", answer.body);
        }
    }
}

/// Nor does it take them from the list of events.
#[test]
fn events_of_the_other_mode_are_left_out_of_polls() {
    for (key, live) in [("sk_test_x", true), ("rk_test_x", true), ("sk_live_x", false)] {
        let shop = Recorder::start(move |_, before| {
            let mut of_others = stripe::charge_failed("1", 500, "usd", None);
            let mut ours = stripe::charge_failed("2", 500, "usd", None);
            // The first poll begins, and lists nothing.
            let now = jiff::Timestamp::now().as_second();
            (of_others["created"], of_others["livemode"]) = (json!(now), json!(live));
            (ours["created"], ours["livemode"]) = (json!(now), json!(!live));
            let data = if before == 0 { json!([]) } else { json!([ours, of_others]) };
            Some((200, json!({ "object": "list", "data": data, "has_more": false })))
        });
        let toml = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.stripe]\nkey = \"{key}\"\nbase_url = \"{}\"\npoll = \"1 second\"\n",
            shop.url
        );
        let flows = "when stripe.charge_failed do stop because \"{id}\"\n";
        let daemon = Daemon::start_with(&[("flow.toml", &toml), ("main.flow", flows)], &["--allow-literal-secrets"]);
        let runs = eventually("a run", || Some(daemon.runs()).filter(|runs| !runs.is_empty()));
        // Both were in one answer.
        assert_eq!(runs.iter().map(|run| run["event"].as_str().unwrap()).collect::<Vec<_>>(), ["evt_2"], "{key}: {runs:#?}");
        assert_eq!(daemon.get("events")["events"].as_array().unwrap().len(), 1, "{key}");
    }
}

/// Money is sent exactly as it was written, or not at all.
#[test]
fn amounts_that_cannot_be_sent_are_not_sent() {
    let mut shop = Shop::open(
        r#"
flow too_fine when stripe.event(type: "do.too_fine") do stripe.create_payment_intent(amount: 10.55 USD * 0.1)
flow no_half_yen when stripe.event(type: "do.no_half_yen") do stripe.create_payment_intent(amount: 201 JPY * 0.5)
flow other_currency when stripe.event(type: "do.other_currency") do stripe.create_refund(charge: require object.charge, amount: 2 EUR)
flow other_payment when stripe.event(type: "do.other_payment") do stripe.create_refund(payment_intent: require object.payment, amount: 2 EUR)
flow negative_credit when stripe.event(type: "do.negative_credit") do stripe.add_customer_credit(customer: require object.customer, amount: 0 USD - 5 USD)
flow too_much when stripe.event(type: "do.too_much") do stripe.create_refund(charge: require object.charge, amount: 1000 USD)
flow kroner when stripe.event(type: "do.kroner") do stripe.create_payment_intent(amount: 1500 ISK)
flow dinar when stripe.event(type: "do.dinar") do stripe.create_payment_intent(amount: 12.340 KWD)
flow half_fils when stripe.event(type: "do.half_fils") do stripe.create_payment_intent(amount: 12.345 KWD)
flow yen when stripe.event(type: "do.yen") do stripe.create_payment_intent(amount: 1500 JPY)
flow two_items when stripe.event(type: "do.two_items") do stripe.update_subscription(subscription: require object.subscription, quantity: 5)
"#,
    );
    shop.emulators.happen("stripe", &json!({ "type": "charge.succeeded", "amount": 2_000 }));
    shop.emulators.happen("stripe", &json!({ "type": "customer.created" }));
    shop.emulators.happen("stripe", &json!({ "type": "customer.subscription.created" }));
    let state = shop.emulators.state("stripe");
    let charge = id(last(&state, "charges"));
    let wish =
        json!({ "charge": charge, "payment": last(&state, "charges")["payment_intent"], "customer": id(&state["customers"][0]) });
    for name in ["too_fine", "no_half_yen", "other_currency", "other_payment", "negative_credit", "too_much", "half_fils"] {
        let run = shop.ask(name, wish.clone());
        assert_eq!(run["status"], "dead", "{name}: {run:#}");
    }
    let state = shop.emulators.state("stripe");
    assert_eq!(state["refunds"].as_array().unwrap().len(), 0);
    assert!(state["customers"].as_array().unwrap().iter().all(|one| one["balance"] == 0));
    // Only what Stripe itself has to refuse was sent at all.
    let posted = state["calls"].as_array().unwrap().iter().filter(|call| call["method"] == "POST").count();
    assert_eq!(posted, 2, "{:#}", state["calls"]);
    for (name, amount, currency) in [("kroner", 150_000, "isk"), ("dinar", 12_340, "kwd"), ("yen", 1_500, "jpy")] {
        let state = shop.act(name, json!({}));
        let intent = last(&state, "payment_intents");
        assert_eq!((&intent["amount"], &intent["currency"]), (&json!(amount), &json!(currency)));
    }
}

/// What a service answers that is broken, or that speaks of what nobody knows, leads to no further step.
#[test]
fn broken_answers_end_the_run_and_what_is_new_is_read() {
    let mut shop = Shop::open(
        r#"
flow sell when stripe.event(type: "do.sell") do {
  stripe.create_product(name: "first") as made
  stripe.create_product(name: "then {made.id}")
}
flow look when stripe.event(type: "do.look") do {
  let charge = stripe.find_charge(id: "ch_1")
  require charge
  match charge.status {
    "failed" => stripe.create_product(name: "failed")
    else => stripe.create_product(name: "another status: {charge.currency}")
  }
}
"#,
    );
    let html = json!({ "content-type": "text/html" });
    for (what, fault) in [
        ("a page", json!({ "status": 200, "headers": html, "body": "<html><body>Maintenance</body></html>" })),
        ("nothing", json!({ "status": 200, "body": "" })),
        ("null", json!({ "status": 200, "body": { "id": null, "name": "first", "active": true, "livemode": false } })),
        ("another type", json!({ "status": 200, "body": { "id": "prod_1", "name": 5, "active": true, "livemode": false } })),
        ("a list", json!({ "status": 200, "body": [] })),
        (
            "no key",
            json!({ "status": 403, "body": { "error": { "type": "invalid_request_error", "message": "The provided key does not have the required permissions" } } }),
        ),
    ] {
        let mut rule = json!({ "match": { "method": "POST", "path": "/v1/products" }, "fault": "status", "times": 1 });
        for (name, value) in fault.as_object().unwrap() {
            rule[name] = value.clone();
        }
        shop.emulators.fault("stripe", &rule);
        let run = shop.ask("sell", json!({}));
        assert_eq!(run["status"], "dead", "{what}: {run:#}");
        let state = shop.emulators.state("stripe");
        assert_eq!(state["products"], json!([]), "{what}");
    }
    // Cut off in the middle, the answer to the same key is asked for again: made once.
    let rule = json!({ "match": { "method": "POST", "path": "/v1/products" }, "fault": "truncated", "times": 1 });
    shop.emulators.fault("stripe", &rule);
    let state = shop.act("sell", json!({}));
    assert_eq!(state["products"].as_array().unwrap().len(), 2);
    // Sent to somewhere else: nobody goes there; the same is asked for here again.
    let rule = json!({ "match": { "method": "POST", "path": "/v1/products" }, "fault": "status", "times": 1, "status": 302,
        "headers": { "location": "https://elsewhere.example/v1/products" }, "body": "" });
    shop.emulators.fault("stripe", &rule);
    let state = shop.act("sell", json!({}));
    assert_eq!(state["products"].as_array().unwrap().len(), 4);
    let charge = |fields: Json| {
        let mut charge = json!({ "id": "ch_1", "amount": 100, "currency": "usd", "status": "failed", "paid": false, "captured": false,
            "refunded": false, "livemode": false, "created": 1 });
        for (name, value) in fields.as_object().unwrap() {
            charge[name] = value.clone();
        }
        json!({ "match": { "method": "GET", "path": "/v1/charges" }, "fault": "status", "status": 200, "times": 1, "body": charge })
    };
    shop.emulators.fault("stripe", &charge(json!({ "status": "in_review" })));
    let state = shop.act("look", json!({}));
    assert_eq!(last(&state, "products")["name"], "another status: usd");
    for fields in [json!({ "currency": "xqz" }), json!({ "amount": "ten" }), json!({ "paid": "yes" }), json!({ "status": null })]
    {
        shop.emulators.fault("stripe", &charge(fields.clone()));
        let run = shop.ask("look", json!({}));
        assert_eq!(run["status"], "dead", "{fields}: {run:#}");
    }
    assert_eq!(shop.emulators.state("stripe")["products"].as_array().unwrap().len(), 5);
}

/// An event that does not fit starts its flow dead, says why, and has no effect.
#[test]
fn events_that_do_not_fit_start_nothing() {
    let service = Recorder::start(|_, _| Some((200, json!({}))));
    let toml = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.stripe]\nkey = \"sk_test_x\"\nwebhook_secret = {{ env = \"TEST_WEBHOOK_SECRET\" }}\nbase_url = \"{}\"\npoll = false\n",
        service.url
    );
    let flows = "when stripe.charge_failed where amount > 100 and not paid do stripe.create_product(name: \"big\")\n";
    let daemon = Daemon::start_with(&[("flow.toml", &toml), ("main.flow", flows)], &["--allow-literal-secrets"]);
    let cases = [
        ("currency", json!("xqz")),
        ("currency", json!(null)),
        ("currency", json!(7)),
        ("amount", json!("many")),
        ("amount", json!(null)),
        ("amount", json!(20000.5)),
        ("paid", json!("no")),
        ("paid", json!(null)),
    ];
    for (at, (field, value)) in cases.iter().enumerate() {
        let mut event = stripe::charge_failed(&format!("misfit_{at}"), 20_000, "usd", None);
        event["data"]["object"][*field] = value.clone();
        assert_eq!(stripe::post(&daemon.server, &event.to_string()).status, 200, "{field}: {value}");
        let runs = daemon.settled(at + 1);
        assert!(runs.iter().all(|run| run["status"] == "dead"), "{field} {value}: {runs:#?}");
    }
    for cut in [r#"{"id":"evt_cut","type":"charge.fai"#, "<html></html>", "[]", "null", ""] {
        assert_eq!(stripe::post(&daemon.server, cut).status, 400, "{cut}");
    }
    // A new value of an open enum and a field that nobody knows are no misfit.
    let mut event = stripe::charge_failed("new", 20_000, "usd", None);
    event["data"]["object"]["status"] = json!("quarantined");
    event["data"]["object"]["novelty"] = json!({ "a": [1] });
    assert_eq!(stripe::post(&daemon.server, &event.to_string()).status, 200);
    daemon.settled(cases.len() + 1);
    assert_eq!(service.count("POST", "/v1/products"), 1);
    assert!(http::try_send(&daemon.server, "GET", "/readyz", &[], b"").is_some());
}
