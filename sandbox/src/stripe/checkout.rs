//! Checkout sessions.

use serde_json::{Value, json};

use super::catalog::{self, Sum};
use super::error::ApiError;
use super::state::{Cx, apply, integer, param, set, text};
use super::{customer, list, spec};
use crate::form::Fields;

const KIND: &str = "checkout.session";
/// How long a session stays open, in seconds.
const OPEN_FOR: i64 = 24 * 3_600;

/// `POST /v1/checkout/sessions`
pub(crate) fn create(cx: &mut Cx<'_>, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read(
        "mode(payment|setup|subscription)! line_items[price price_data{currency! unit_amount:i unit_amount_decimal:d product product_data{name! description images[] metadata:m tax_code unit_label} recurring{interval(day|week|month|year)! interval_count:i} tax_behavior} quantity:i adjustable_quantity:o dynamic_tax_rates[] tax_rates[] metadata:m] success_url cancel_url return_url customer customer_email customer_account client_reference_id customer_creation(always|if_required) customer_update:o currency expires_at:i locale metadata:m adaptive_pricing:o after_expiration:o allow_promotion_codes:b allowed_payment_method_types[] automatic_tax:o billing_address_collection(auto|required) branding_settings:o consent_collection:o custom_fields:o custom_text:o discounts:o excluded_payment_method_types[] integration_identifier invoice_creation:o managed_payments:o name_collection:o optional_items:o origin_context payment_intent_data:o payment_method_collection payment_method_configuration payment_method_data:o payment_method_options:o permissions:o phone_number_collection:o redirect_on_completion saved_payment_method_options:o setup_intent_data:o shipping_address_collection:o shipping_options:o submit_type subscription_data:o tax_id_collection:o ui_mode wallet_options:o",
        form,
    )?;
    let mode = param(&params, "mode").unwrap_or_default().to_owned();
    let hosted = matches!(param(&params, "ui_mode"), None | Some("hosted" | "hosted_page"));
    if hosted && !params.contains_key("success_url") {
        return Err(ApiError::missing("success_url"));
    }
    if params.contains_key("customer") && params.contains_key("customer_email") {
        return Err(ApiError::invalid("You may only specify one of these parameters: customer, customer_email."));
    }
    if let Some(id) = param(&params, "customer") {
        customer::named(cx, id)?;
    }
    if let Some(expires) = params.get("expires_at").and_then(Value::as_i64)
        && !(cx.now + 1_800..=cx.now + OPEN_FOR).contains(&expires)
    {
        return Err(ApiError::parameter(
            "parameter_invalid_integer",
            "expires_at",
            "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation.",
        ));
    }
    let id = cx.id("cs_test_", 58);
    let sum = match (mode.as_str(), params.get("line_items")) {
        ("setup", _) => None,
        (_, Some(items)) => Some(catalog::take_line_items(cx, &id, items)?),
        (_, None) => return Err(ApiError::missing("line_items")),
    };
    if mode == "subscription" && sum.as_ref().is_some_and(|sum| !sum.recurring) {
        return Err(ApiError::invalid("You must provide at least one recurring price in `subscription` mode when using prices."));
    }
    if mode == "payment" && sum.as_ref().is_some_and(|sum| sum.recurring) {
        return Err(ApiError::invalid(
            "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or use only one-time prices.",
        ));
    }
    let mut session = blank(cx, &id, &mode, sum.as_ref());
    apply(
        &mut session,
        &params,
        &[
            "allow_promotion_codes",
            "allowed_payment_method_types",
            "billing_address_collection",
            "cancel_url",
            "client_reference_id",
            "customer",
            "customer_creation",
            "customer_email",
            "expires_at",
            "locale",
            "payment_method_collection",
            "submit_type",
            "success_url",
        ],
    );
    Ok(cx.create(KIND, session, None))
}

/// Makes an open session, not yet kept.
pub(crate) fn blank(cx: &mut Cx<'_>, id: &str, mode: &str, sum: Option<&Sum>) -> Value {
    let url = cx.id(&format!("https://checkout.stripe.com/c/pay/{id}#"), 30);
    json!({
        "id": id,
        "object": KIND,
        "adaptive_pricing": {"enabled": false},
        "after_expiration": null,
        "allow_promotion_codes": null,
        "allowed_payment_method_types": null,
        "amount_subtotal": sum.map(|sum| sum.amount),
        "amount_total": sum.map(|sum| sum.amount),
        "automatic_tax": {"enabled": false, "liability": null, "provider": null, "status": null},
        "billing_address_collection": null,
        "cancel_url": null,
        "client_reference_id": null,
        "client_secret": null,
        "collected_information": null,
        "consent": null,
        "consent_collection": null,
        "created": cx.now,
        "currency": sum.map(|sum| sum.currency.clone()),
        "currency_conversion": null,
        "custom_fields": [],
        "custom_text": {"after_submit": null, "shipping_address": null, "submit": null, "terms_of_service_acceptance": null},
        "customer": null,
        "customer_account": null,
        "customer_creation": if mode == "payment" { json!("if_required") } else { Value::Null },
        "customer_details": null,
        "customer_email": null,
        "discounts": [],
        "expires_at": cx.now + OPEN_FOR,
        "integration_identifier": null,
        "invoice": null,
        "invoice_creation": null,
        "livemode": false,
        "locale": null,
        "managed_payments": null,
        "metadata": {},
        "mode": mode,
        "origin_context": null,
        "payment_intent": null,
        "payment_link": null,
        "payment_method_collection": if mode == "subscription" { json!("always") } else { json!("if_required") },
        "payment_method_configuration_details": null,
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "payment_status": if mode == "setup" { "no_payment_required" } else { "unpaid" },
        "permissions": null,
        "recovered_from": null,
        "saved_payment_method_options": null,
        "setup_intent": null,
        "shipping_address_collection": null,
        "shipping_cost": null,
        "shipping_options": [],
        "status": "open",
        "submit_type": null,
        "subscription": null,
        "success_url": null,
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": url,
        "wallet_options": null,
    })
}

/// `POST /v1/checkout/sessions/{id}/expire`
pub(crate) fn expire(cx: &mut Cx<'_>, id: &str) -> Result<Value, ApiError> {
    let session = cx.get(KIND, id)?;
    let status = text(&session, "status");
    if status != "open" {
        return Err(ApiError::state(
            "checkout_session_unexpected_state",
            format!(
                "Only Checkout Sessions with a status in [\"open\"] can be expired. This Checkout Session has a status of {status}."
            ),
        ));
    }
    Ok(end(cx, session))
}

/// Expires the sessions whose time has come.
pub(crate) fn expire_due(cx: &mut Cx<'_>) {
    let now = cx.now;
    let due: Vec<Value> = cx
        .state
        .table(KIND)
        .rows()
        .filter(|row| text(row, "status") == "open" && integer(row, "expires_at") <= now)
        .cloned()
        .collect();
    for session in due {
        end(cx, session);
    }
}

fn end(cx: &mut Cx<'_>, mut session: Value) -> Value {
    set(&mut session, "status", json!("expired"));
    set(&mut session, "url", Value::Null);
    cx.save(KIND, &session);
    cx.emit("checkout.session.expired", &session);
    session
}

/// `GET /v1/checkout/sessions`
pub(crate) fn list(cx: &mut Cx<'_>, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read(
        "created:r customer customer_details{email} payment_intent payment_link status(open|complete|expired) subscription limit:i starting_after ending_before",
        form,
    )?;
    let page = list::page(&params)?;
    let email = params.get("customer_details").map(|details| text(details, "email").to_owned());
    list::list(
        cx.state.table(KIND),
        "/v1/checkout/sessions",
        &page,
        |row| {
            ["customer", "payment_intent", "payment_link", "status", "subscription"]
                .iter()
                .all(|name| params.get(*name).is_none_or(|wanted| row.get(*name) == Some(wanted)))
                && email
                    .as_deref()
                    .is_none_or(|email| row.get("customer_details").is_some_and(|details| text(details, "email") == email))
                && list::within(params.get("created"), integer(row, "created"))
        },
        |id, param| ApiError::no_such(KIND, id, param),
    )
}
