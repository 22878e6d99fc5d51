//! Payment intents: from the wish for a payment to a charge that succeeds.

use serde_json::{Map, Value, json};

use super::charge::{self, Attempt};
use super::error::ApiError;
use super::payment_method::{self, Decline};
use super::state::{Cx, apply, integer, param, set, text};
use super::{customer, list, money, search, spec};
use crate::form::Fields;

const KIND: &str = "payment_intent";

/// `POST /v1/payment_intents`
pub(crate) fn create(cx: &mut Cx<'_>, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read(
        "amount:i! currency! allowed_payment_method_types[] amount_details:o application_fee_amount:i automatic_payment_methods{enabled:b! allow_redirects(always|never)} capture_method(automatic|automatic_async|manual) confirm:b confirmation_method(automatic|manual) confirmation_token customer customer_account description error_on_requires_action:b excluded_payment_method_types[] hooks:o mandate mandate_data:o metadata:m off_session:x on_behalf_of payment_details:o payment_method payment_method_configuration payment_method_data:o payment_method_options:o radar_options:o receipt_email return_url setup_future_usage(off_session|on_session) shipping:o statement_descriptor statement_descriptor_suffix transfer_data:o transfer_group use_stripe_sdk:b",
        form,
    )?;
    let currency = money::currency(&params)?;
    let amount = params.get("amount").and_then(Value::as_i64).unwrap_or_default();
    money::check_charge(amount, &currency)?;
    if let Some(id) = param(&params, "customer") {
        customer::named(cx, id)?;
    }
    let method = match param(&params, "payment_method") {
        Some(id) => Some(payment_method::resolve(cx, id)?),
        None => None,
    };
    let mut intent = blank(cx, amount, &currency);
    apply(
        &mut intent,
        &params,
        &[
            "allowed_payment_method_types",
            "application_fee_amount",
            "capture_method",
            "confirmation_method",
            "customer",
            "customer_account",
            "description",
            "on_behalf_of",
            "receipt_email",
            "setup_future_usage",
            "shipping",
            "statement_descriptor",
            "statement_descriptor_suffix",
            "transfer_group",
        ],
    );
    if let Some(automatic) = params.get("automatic_payment_methods") {
        let redirects = automatic.get("allow_redirects").cloned().unwrap_or(json!("always"));
        let enabled = automatic.get("enabled").cloned().unwrap_or_default();
        set(&mut intent, "automatic_payment_methods", json!({"allow_redirects": redirects, "enabled": enabled}));
    }
    if let Some(method) = &method {
        set(&mut intent, "payment_method", json!(text(method, "id")));
        set(&mut intent, "status", json!("requires_confirmation"));
    }
    let intent = cx.create(KIND, intent, Some("payment_intent.created"));
    if params.get("confirm") == Some(&json!(true)) {
        return match method {
            Some(method) => pay(cx, intent, &method),
            None => Err(no_method()),
        };
    }
    Ok(intent)
}

/// Makes an intent that waits for a payment method, not yet kept.
pub(crate) fn blank(cx: &mut Cx<'_>, amount: i64, currency: &str) -> Value {
    let id = cx.id("pi_3", 23);
    let secret = cx.id(&format!("{id}_secret_"), 25);
    json!({
        "id": id,
        "object": KIND,
        "allowed_payment_method_types": null,
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": null,
        "application_fee_amount": null,
        "automatic_payment_methods": null,
        "canceled_at": null,
        "cancellation_reason": null,
        "capture_method": "automatic_async",
        "client_secret": secret,
        "confirmation_method": "automatic",
        "created": cx.now,
        "currency": currency,
        "customer": null,
        "customer_account": null,
        "description": null,
        "excluded_payment_method_types": null,
        "last_payment_error": null,
        "latest_charge": null,
        "livemode": false,
        "managed_payments": null,
        "metadata": {},
        "next_action": null,
        "on_behalf_of": null,
        "payment_method": null,
        "payment_method_configuration_details": null,
        "payment_method_options": {"card": {"installments": null, "mandate_options": null, "network": null, "request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "payment_record": null,
        "processing": null,
        "receipt_email": null,
        "review": null,
        "setup_future_usage": null,
        "shipping": null,
        "source": null,
        "statement_descriptor": null,
        "statement_descriptor_suffix": null,
        "status": "requires_payment_method",
        "transfer_data": null,
        "transfer_group": null,
    })
}

/// `GET /v1/payment_intents/{id}`
pub(crate) fn get(cx: &mut Cx<'_>, id: &str, form: &Fields) -> Result<Value, ApiError> {
    spec::read("client_secret", form)?;
    cx.get(KIND, id)
}

/// `POST /v1/payment_intents/{id}`
pub(crate) fn update(cx: &mut Cx<'_>, id: &str, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read(
        "amount:i currency customer description metadata:m payment_method receipt_email shipping:o statement_descriptor statement_descriptor_suffix transfer_group setup_future_usage",
        form,
    )?;
    let mut after = cx.get(KIND, id)?;
    apply(
        &mut after,
        &params,
        &[
            "amount",
            "customer",
            "description",
            "payment_method",
            "receipt_email",
            "shipping",
            "statement_descriptor",
            "statement_descriptor_suffix",
            "transfer_group",
        ],
    );
    money::check_charge(integer(&after, "amount"), text(&after, "currency"))?;
    cx.save(KIND, &after);
    Ok(after)
}

/// `POST /v1/payment_intents/{id}/confirm`
pub(crate) fn confirm(cx: &mut Cx<'_>, id: &str, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read(
        "allowed_payment_method_types[] amount_details:o amount_to_confirm:i capture_method(automatic|automatic_async|manual) confirmation_token error_on_requires_action:b excluded_payment_method_types[] hooks:o mandate mandate_data:o off_session:x payment_details:o payment_method payment_method_data:o payment_method_options:o radar_options:o receipt_email return_url setup_future_usage shipping:o use_stripe_sdk:b",
        form,
    )?;
    let mut intent = cx.get(KIND, id)?;
    expect_status(&intent, &["requires_payment_method", "requires_confirmation", "requires_action"], "confirm")?;
    apply(&mut intent, &params, &["capture_method", "receipt_email", "shipping"]);
    let method = param(&params, "payment_method")
        .map(str::to_owned)
        .or_else(|| intent.get("payment_method").and_then(Value::as_str).map(str::to_owned));
    let Some(method) = method else {
        return Err(no_method());
    };
    let method = payment_method::resolve(cx, &method)?;
    pay(cx, intent, &method)
}

/// `POST /v1/payment_intents/{id}/capture`
pub(crate) fn capture(cx: &mut Cx<'_>, id: &str, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read(
        "amount_details:o amount_to_capture:i application_fee_amount:i final_capture:b hooks:o metadata:m payment_details:o statement_descriptor statement_descriptor_suffix transfer_data:o",
        form,
    )?;
    let mut intent = cx.get(KIND, id)?;
    expect_status(&intent, &["requires_capture"], "capture")?;
    let capturable = integer(&intent, "amount_capturable");
    let amount = params.get("amount_to_capture").and_then(Value::as_i64).unwrap_or(capturable);
    money::check_step(amount, text(&intent, "currency"), "amount_to_capture")?;
    if amount < 1 || amount > capturable {
        return Err(ApiError::state("amount_too_large", format!("The amount to capture must be from 1 to {capturable}.")));
    }
    let mut charge = cx.get("charge", text(&intent, "latest_charge"))?;
    let transaction = cx.id("txn_3", 23);
    set(&mut charge, "captured", json!(true));
    set(&mut charge, "amount_captured", json!(amount));
    set(&mut charge, "amount_refunded", json!(capturable - amount));
    set(&mut charge, "balance_transaction", json!(transaction));
    cx.save("charge", &charge);
    apply(&mut intent, &params, &["statement_descriptor", "statement_descriptor_suffix"]);
    set(&mut intent, "amount_capturable", json!(0));
    set(&mut intent, "amount_received", json!(amount));
    set(&mut intent, "status", json!("succeeded"));
    cx.save(KIND, &intent);
    cx.emit("charge.captured", &charge);
    cx.emit("payment_intent.succeeded", &intent);
    Ok(intent)
}

/// `POST /v1/payment_intents/{id}/cancel`
pub(crate) fn cancel(cx: &mut Cx<'_>, id: &str, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read("cancellation_reason(abandoned|duplicate|fraudulent|requested_by_customer)", form)?;
    let mut intent = cx.get(KIND, id)?;
    expect_status(
        &intent,
        &["requires_payment_method", "requires_confirmation", "requires_action", "requires_capture", "processing"],
        "cancel",
    )?;
    apply(&mut intent, &params, &["cancellation_reason"]);
    set(&mut intent, "status", json!("canceled"));
    set(&mut intent, "canceled_at", json!(cx.now));
    set(&mut intent, "amount_capturable", json!(0));
    cx.save(KIND, &intent);
    cx.emit("payment_intent.canceled", &intent);
    Ok(intent)
}

/// `GET /v1/payment_intents`
pub(crate) fn list(cx: &mut Cx<'_>, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read("created:r customer limit:i starting_after ending_before", form)?;
    let page = list::page(&params)?;
    list::list(
        cx.state.table(KIND),
        "/v1/payment_intents",
        &page,
        |row| {
            params.get("customer").is_none_or(|wanted| row.get("customer") == Some(wanted))
                && list::within(params.get("created"), integer(row, "created"))
        },
        |id, param| ApiError::no_such(KIND, id, param),
    )
}

/// `GET /v1/payment_intents/search`
pub(crate) fn search(cx: &mut Cx<'_>, form: &Fields) -> Result<Value, ApiError> {
    search::search(cx, KIND, "/v1/payment_intents/search", form)
}

/// Charges a card for an intent, and says so in events.
pub(crate) fn pay(cx: &mut Cx<'_>, intent: Value, method: &Value) -> Result<Value, ApiError> {
    if payment_method::needs_action(method) {
        let mut intent = intent;
        set(&mut intent, "payment_method", json!(text(method, "id")));
        set(&mut intent, "status", json!("requires_action"));
        set(&mut intent, "next_action", json!({"type": "use_stripe_sdk", "use_stripe_sdk": {}}));
        cx.save(KIND, &intent);
        cx.emit("payment_intent.requires_action", &intent);
        return Ok(intent);
    }
    let attempt = attempt_of(cx, &intent);
    let decline = payment_method::decline_of(method);
    let (intent, charge) = attempt_with(cx, intent, &attempt, method, decline);
    match decline {
        None => Ok(intent),
        Some(decline) => Err(ApiError::card(decline.code, Some(decline.decline_code), decline.message)
            .extra("charge", json!(text(&charge, "id")))
            .extra("payment_intent", intent)
            .extra("payment_method", method.clone())),
    }
}

/// Makes one attempt with a known outcome: keeps intent and charge, emits their events.
pub(crate) fn attempt_with(
    cx: &mut Cx<'_>,
    mut intent: Value,
    attempt: &Attempt,
    method: &Value,
    decline: Option<&Decline>,
) -> (Value, Value) {
    let charge = charge::new(cx, attempt, method, decline);
    set(&mut intent, "latest_charge", json!(text(&charge, "id")));
    set(&mut intent, "next_action", Value::Null);
    let (charge_event, intent_event) = match decline {
        Some(decline) => {
            set(&mut intent, "status", json!("requires_payment_method"));
            set(&mut intent, "payment_method", Value::Null);
            set(
                &mut intent,
                "last_payment_error",
                json!({
                    "charge": text(&charge, "id"),
                    "code": decline.code,
                    "decline_code": decline.decline_code,
                    "doc_url": format!("https://stripe.com/docs/error-codes/{}", decline.code.replace('_', "-")),
                    "message": decline.message,
                    "payment_method": method,
                    "type": "card_error",
                }),
            );
            ("charge.failed", "payment_intent.payment_failed")
        }
        None => {
            set(&mut intent, "payment_method", json!(text(method, "id")));
            set(&mut intent, "last_payment_error", Value::Null);
            if attempt.capture {
                set(&mut intent, "status", json!("succeeded"));
                set(&mut intent, "amount_received", json!(attempt.amount));
                ("charge.succeeded", "payment_intent.succeeded")
            } else {
                set(&mut intent, "status", json!("requires_capture"));
                set(&mut intent, "amount_capturable", json!(attempt.amount));
                ("charge.succeeded", "payment_intent.amount_capturable_updated")
            }
        }
    };
    let charge = cx.create("charge", charge, Some(charge_event));
    cx.save(KIND, &intent);
    cx.emit(intent_event, &intent);
    (intent, charge)
}

/// Returns what an attempt for an intent starts from.
fn attempt_of(cx: &mut Cx<'_>, intent: &Value) -> Attempt {
    let word = |name: &str| intent.get(name).and_then(Value::as_str).map(str::to_owned);
    let customer = word("customer").and_then(|id| cx.find("customer", &id)).unwrap_or_default();
    let of_customer = |name: &str| customer.get(name).and_then(Value::as_str).map(str::to_owned);
    Attempt {
        amount: integer(intent, "amount"),
        currency: text(intent, "currency").to_owned(),
        customer: word("customer"),
        payment_intent: word("id"),
        email: of_customer("email").or_else(|| word("receipt_email")),
        name: of_customer("name"),
        phone: of_customer("phone"),
        description: word("description"),
        receipt_email: word("receipt_email"),
        metadata: intent.get("metadata").and_then(Value::as_object).cloned().unwrap_or_else(Map::new),
        capture: text(intent, "capture_method") != "manual",
    }
}

fn expect_status(intent: &Value, allowed: &[&str], verb: &str) -> Result<(), ApiError> {
    let status = text(intent, "status");
    if allowed.contains(&status) {
        return Ok(());
    }
    Err(ApiError::state(
        "payment_intent_unexpected_state",
        format!(
            "You cannot {verb} this PaymentIntent because it has a status of {status}. Only a PaymentIntent with one of the following statuses may be used so: {}.",
            allowed.join(", ")
        ),
    )
    .extra("payment_intent", intent.clone()))
}

fn no_method() -> ApiError {
    ApiError::state(
        "payment_intent_unexpected_state",
        "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a payment method.",
    )
}
