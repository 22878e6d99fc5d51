//! Payment methods: Stripe's test cards, and how they fail.

use serde_json::{Value, json};

use super::error::ApiError;
use super::state::{Cx, param, set, text};
use super::{customer, spec};
use crate::form::Fields;

const KIND: &str = "payment_method";

/// A reason for a card to be declined.
#[derive(Debug)]
pub(crate) struct Decline {
    pub(crate) code: &'static str,
    pub(crate) decline_code: &'static str,
    pub(crate) message: &'static str,
    pub(crate) network_code: &'static str,
    pub(crate) advice: Option<&'static str>,
    /// The last digits of the test card that fails so.
    last4: &'static str,
}

const GENERIC: Decline = Decline {
    code: "card_declined",
    decline_code: "generic_decline",
    message: "Your card was declined.",
    network_code: "05",
    advice: Some("try_again_later"),
    last4: "0002",
};

const DECLINES: [Decline; 8] = [
    GENERIC,
    Decline {
        decline_code: "insufficient_funds",
        message: "Your card has insufficient funds.",
        network_code: "51",
        last4: "9995",
        ..GENERIC
    },
    Decline { decline_code: "lost_card", network_code: "41", advice: Some("do_not_try_again"), last4: "9987", ..GENERIC },
    Decline { decline_code: "stolen_card", network_code: "43", advice: Some("do_not_try_again"), last4: "9979", ..GENERIC },
    Decline {
        code: "expired_card",
        decline_code: "expired_card",
        message: "Your card has expired.",
        network_code: "54",
        advice: Some("do_not_try_again"),
        last4: "0069",
    },
    Decline {
        code: "incorrect_cvc",
        decline_code: "incorrect_cvc",
        message: "Your card's security code is incorrect.",
        network_code: "82",
        advice: Some("confirm_card_data"),
        last4: "0127",
    },
    Decline {
        code: "processing_error",
        decline_code: "processing_error",
        message: "An error occurred while processing your card. Try again in a little bit.",
        network_code: "96",
        advice: Some("try_again_later"),
        last4: "0119",
    },
    Decline { decline_code: "fraudulent", network_code: "59", advice: Some("do_not_try_again"), last4: "0019", ..GENERIC },
];

/// Test payment methods: name, brand, last digits.
const TOKENS: [(&str, &str, &str); 15] = [
    ("pm_card_visa", "visa", "4242"),
    ("pm_card_visa_debit", "visa", "5556"),
    ("pm_card_mastercard", "mastercard", "4444"),
    ("pm_card_amex", "amex", "8431"),
    ("pm_card_discover", "discover", "9424"),
    ("pm_card_chargeDeclined", "visa", "0002"),
    ("pm_card_visa_chargeDeclined", "visa", "0002"),
    ("pm_card_chargeCustomerFail", "visa", "0341"),
    ("pm_card_chargeDeclinedInsufficientFunds", "visa", "9995"),
    ("pm_card_visa_chargeDeclinedInsufficientFunds", "visa", "9995"),
    ("pm_card_visa_chargeDeclinedLostCard", "visa", "9987"),
    ("pm_card_visa_chargeDeclinedStolenCard", "visa", "9979"),
    ("pm_card_chargeDeclinedExpiredCard", "visa", "0069"),
    ("pm_card_chargeDeclinedProcessingError", "visa", "0119"),
    ("pm_card_authenticationRequired", "visa", "3155"),
];

/// Returns the reason with this decline code; a general one where none has it.
pub(crate) fn decline_named(decline_code: &str) -> &'static Decline {
    DECLINES.iter().find(|decline| decline.decline_code == decline_code || decline.code == decline_code).unwrap_or(&GENERIC)
}

/// Returns why a card fails when it is charged.
pub(crate) fn decline_of(method: &Value) -> Option<&'static Decline> {
    match last4(method) {
        "0341" => Some(&GENERIC),
        last4 => DECLINES.iter().find(|decline| decline.last4 == last4),
    }
}

/// True where the card's holder has to confirm each payment.
pub(crate) fn needs_action(method: &Value) -> bool {
    last4(method) == "3155"
}

fn last4(method: &Value) -> &str {
    method.get("card").map(|card| text(card, "last4")).unwrap_or_default()
}

/// Returns the payment method that a parameter names: one there is, or a test card made anew.
pub(crate) fn resolve(cx: &mut Cx<'_>, id: &str) -> Result<Value, ApiError> {
    if let Some(method) = cx.find(KIND, id) {
        return Ok(method);
    }
    let Some((_, brand, last4)) = TOKENS.iter().find(|(token, ..)| *token == id) else {
        return Err(ApiError::no_such("PaymentMethod", id, "payment_method"));
    };
    let method = new_card(cx, brand, last4);
    cx.save(KIND, &method);
    Ok(method)
}

/// Makes a card that behaves as the decline code says; one that works for `None`.
pub(crate) fn card_for(cx: &mut Cx<'_>, decline: Option<&Decline>) -> Value {
    let method = new_card(cx, "visa", decline.map_or("4242", |decline| decline.last4));
    cx.save(KIND, &method);
    method
}

/// Attaches a payment method to a customer that is about to be made.
pub(crate) fn attach_new(cx: &mut Cx<'_>, id: &str, customer: &str) -> Result<Value, ApiError> {
    let method = resolve(cx, id)?;
    attach_to(cx, method, customer)
}

/// `GET /v1/customers/{id}/payment_methods`, `GET /v1/payment_methods`: those of a customer, of all without one.
pub(crate) fn list(cx: &mut Cx<'_>, customer: Option<&str>, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read("allow_redisplay customer customer_account type limit:i starting_after ending_before", form)?;
    let page = super::list::page(&params)?;
    let owner = match customer {
        Some(id) => Some(text(&customer::existing(cx, id)?, "id").to_owned()),
        None => param(&params, "customer").map(str::to_owned),
    };
    let url = customer.map_or_else(|| "/v1/payment_methods".to_owned(), |id| format!("/v1/customers/{id}/payment_methods"));
    super::list::list(
        cx.state.table(KIND),
        &url,
        &page,
        |row| {
            owner.as_deref().is_none_or(|owner| text(row, "customer") == owner)
                && params.get("type").is_none_or(|wanted| row.get("type") == Some(wanted))
        },
        |id, param| ApiError::no_such("PaymentMethod", id, param),
    )
}

/// `POST /v1/payment_methods/{id}/attach`
pub(crate) fn attach(cx: &mut Cx<'_>, id: &str, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read("customer! customer_account", form)?;
    let customer = param(&params, "customer").unwrap_or_default().to_owned();
    customer::named(cx, &customer)?;
    let method = resolve(cx, id).map_err(|_| ApiError::not_found("PaymentMethod", id))?;
    attach_to(cx, method, &customer)
}

/// `POST /v1/payment_methods/{id}/detach`
pub(crate) fn detach(cx: &mut Cx<'_>, id: &str) -> Result<Value, ApiError> {
    let mut after = cx.get(KIND, id)?;
    set(&mut after, "customer", Value::Null);
    cx.save(KIND, &after);
    cx.emit("payment_method.detached", &after);
    Ok(after)
}

fn attach_to(cx: &mut Cx<'_>, mut method: Value, customer: &str) -> Result<Value, ApiError> {
    let owner = text(&method, "customer");
    if !owner.is_empty() && owner != customer {
        return Err(ApiError::state(
            "payment_method_unexpected_state",
            "The payment method you provided has already been attached to a customer.",
        ));
    }
    // Of the failing cards only this one can be attached: it fails when it is charged.
    if last4(&method) != "0341"
        && let Some(decline) = decline_of(&method)
    {
        return Err(ApiError::card(decline.code, Some(decline.decline_code), decline.message));
    }
    set(&mut method, "customer", json!(customer));
    cx.save(KIND, &method);
    cx.emit("payment_method.attached", &method);
    Ok(method)
}

fn new_card(cx: &mut Cx<'_>, brand: &str, last4: &str) -> Value {
    let id = cx.id("pm_1", 23);
    let fingerprint = cx.id("", 16);
    json!({
        "id": id,
        "object": KIND,
        "allow_redisplay": "unspecified",
        "billing_details": {
            "address": {"city": null, "country": null, "line1": null, "line2": null, "postal_code": null, "state": null},
            "email": null,
            "name": null,
            "phone": null,
            "tax_id": null,
        },
        "card": {
            "brand": brand,
            "checks": {"address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass"},
            "country": "US",
            "display_brand": brand,
            "exp_month": 12,
            "exp_year": 2034,
            "fingerprint": fingerprint,
            "funding": if last4 == "5556" { "debit" } else { "credit" },
            "generated_from": null,
            "last4": last4,
            "networks": {"available": [brand], "preferred": null},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": true},
            "wallet": null,
        },
        "created": cx.now,
        "customer": null,
        "customer_account": null,
        "livemode": false,
        "metadata": {},
        "type": "card",
    })
}
