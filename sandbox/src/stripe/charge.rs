//! Charges: one attempt each to take money from a card.

use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::payment_method::Decline;
use super::state::{Cx, apply, integer, param, set, text};
use super::{list, spec};
use crate::form::Fields;

const KIND: &str = "charge";

/// What is known before an attempt.
#[derive(Debug, Default)]
pub(crate) struct Attempt {
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) customer: Option<String>,
    pub(crate) payment_intent: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) receipt_email: Option<String>,
    pub(crate) metadata: Map<String, Value>,
    /// False only reserves the amount.
    pub(crate) capture: bool,
}

/// Makes a charge with its outcome, not yet kept.
pub(crate) fn new(cx: &mut Cx<'_>, attempt: &Attempt, method: &Value, decline: Option<&Decline>) -> Value {
    let id = cx.id("ch_3", 23);
    let succeeded = decline.is_none();
    let captured = succeeded && attempt.capture;
    let transaction = captured.then(|| cx.id("txn_3", 23));
    let receipt = cx.id("https://pay.stripe.com/receipts/payment/", 40);
    let risk_score = 5 + cx.state.ids.below(40);
    let mut billing = method.get("billing_details").cloned().unwrap_or(json!({
        "address": {"city": null, "country": null, "line1": null, "line2": null, "postal_code": null, "state": null},
        "email": null, "name": null, "phone": null, "tax_id": null,
    }));
    for (name, value) in [("email", &attempt.email), ("name", &attempt.name), ("phone", &attempt.phone)] {
        if let Some(value) = value {
            set(&mut billing, name, json!(value));
        }
    }
    json!({
        "id": id,
        "object": KIND,
        "amount": attempt.amount,
        "amount_captured": if captured { attempt.amount } else { 0 },
        "amount_refunded": 0,
        "application": null,
        "application_fee": null,
        "application_fee_amount": null,
        "balance_transaction": transaction,
        "billing_details": billing,
        "calculated_statement_descriptor": "FLOW SANDBOX",
        "captured": captured,
        "created": cx.now,
        "currency": attempt.currency,
        "customer": attempt.customer,
        "description": attempt.description,
        "disputed": false,
        "failure_balance_transaction": null,
        "failure_code": decline.map(|decline| decline.code),
        "failure_message": decline.map(|decline| decline.message),
        "fraud_details": {},
        "livemode": false,
        "metadata": attempt.metadata,
        "on_behalf_of": null,
        "outcome": {
            "advice_code": decline.and_then(|decline| decline.advice),
            "network_advice_code": null,
            "network_decline_code": decline.map(|decline| decline.network_code),
            "network_status": if succeeded { "approved_by_network" } else { "declined_by_network" },
            "reason": decline.map(|decline| decline.decline_code),
            "risk_level": "normal",
            "risk_score": risk_score,
            "seller_message": match decline {
                None => "Payment complete.".to_owned(),
                Some(decline) => format!("The bank returned the decline code `{}`.", decline.decline_code),
            },
            "type": if succeeded { "authorized" } else { "issuer_declined" },
        },
        "paid": succeeded,
        "payment_intent": attempt.payment_intent,
        "payment_method": text(method, "id"),
        "payment_method_details": {"card": card_details(method, attempt.amount, succeeded), "type": "card"},
        "radar_options": {},
        "receipt_email": attempt.receipt_email,
        "receipt_number": null,
        "receipt_url": succeeded.then_some(receipt),
        "refunded": false,
        "review": null,
        "shipping": null,
        "source": null,
        "source_transfer": null,
        "statement_descriptor": null,
        "statement_descriptor_suffix": null,
        "status": if succeeded { "succeeded" } else { "failed" },
        "transfer_data": null,
        "transfer_group": null,
    })
}

fn card_details(method: &Value, amount: i64, succeeded: bool) -> Value {
    let card = method.get("card").cloned().unwrap_or_default();
    let field = |name: &str| card.get(name).cloned().unwrap_or_default();
    json!({
        "amount_authorized": succeeded.then_some(amount),
        "authorization_code": null,
        "brand": field("brand"),
        "checks": field("checks"),
        "country": field("country"),
        "electronic_commerce_indicator": null,
        "exp_month": field("exp_month"),
        "exp_year": field("exp_year"),
        "extended_authorization": {"status": "disabled"},
        "fingerprint": field("fingerprint"),
        "funding": field("funding"),
        "incremental_authorization": {"status": "unavailable"},
        "installments": null,
        "last4": field("last4"),
        "mandate": null,
        "multicapture": {"status": "unavailable"},
        "network": field("brand"),
        "network_token": {"used": false},
        "network_transaction_id": null,
        "overcapture": {"maximum_amount_capturable": if succeeded { amount } else { 0 }, "status": "unavailable"},
        "regulated_status": "unregulated",
        "three_d_secure": null,
        "transaction_link_id": null,
        "wallet": null,
    })
}

/// `POST /v1/charges/{id}`
pub(crate) fn update(cx: &mut Cx<'_>, id: &str, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read(
        "customer description fraud_details{user_report(fraudulent|safe)} metadata:m receipt_email shipping:o transfer_group",
        form,
    )?;
    let before = cx.get(KIND, id)?;
    if let Some(customer) = param(&params, "customer") {
        super::customer::named(cx, customer)?;
    }
    let mut after = before.clone();
    apply(&mut after, &params, &["customer", "description", "fraud_details", "receipt_email", "shipping", "transfer_group"]);
    Ok(cx.update(KIND, &before, after, "charge.updated"))
}

/// `GET /v1/charges`
pub(crate) fn list(cx: &mut Cx<'_>, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read("created:r customer payment_intent transfer_group limit:i starting_after ending_before", form)?;
    let page = list::page(&params)?;
    list::list(
        cx.state.table(KIND),
        "/v1/charges",
        &page,
        |row| {
            ["customer", "payment_intent", "transfer_group"]
                .iter()
                .all(|name| params.get(*name).is_none_or(|wanted| row.get(*name) == Some(wanted)))
                && list::within(params.get("created"), integer(row, "created"))
        },
        |id, param| ApiError::no_such(KIND, id, param),
    )
}

/// `GET /v1/balance`: what was captured and not refunded, all of it available.
pub(crate) fn balance(cx: &mut Cx<'_>) -> Value {
    let mut sums = std::collections::BTreeMap::<String, i64>::new();
    for charge in cx.state.table(KIND).rows() {
        let sum = sums.entry(text(charge, "currency").to_owned()).or_default();
        let kept = integer(charge, "amount_captured").saturating_sub(integer(charge, "amount_refunded"));
        *sum = sum.saturating_add(kept);
    }
    if sums.is_empty() {
        sums.insert("usd".to_owned(), 0);
    }
    let available: Vec<Value> = sums
        .iter()
        .map(|(currency, amount)| json!({"amount": amount, "currency": currency, "source_types": {"card": amount}}))
        .collect();
    let pending: Vec<Value> =
        sums.keys().map(|currency| json!({"amount": 0, "currency": currency, "source_types": {"card": 0}})).collect();
    json!({"object": "balance", "available": available, "livemode": false, "pending": pending})
}
