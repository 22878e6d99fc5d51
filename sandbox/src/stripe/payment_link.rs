//! Payment links.

use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::state::{Cx, apply, set};
use super::{catalog, list, spec};
use crate::form::Fields;

const KIND: &str = "payment_link";
const COPIED: &[&str] = &[
    "allow_promotion_codes",
    "application_fee_amount",
    "application_fee_percent",
    "billing_address_collection",
    "customer_creation",
    "inactive_message",
    "on_behalf_of",
    "payment_method_collection",
    "payment_method_types",
    "submit_type",
];

/// `POST /v1/payment_links`
pub(crate) fn create(cx: &mut Cx<'_>, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read(
        "line_items[price price_data{currency! unit_amount:i unit_amount_decimal:d product product_data{name! description images[] metadata:m tax_code unit_label} recurring{interval(day|week|month|year)! interval_count:i} tax_behavior} quantity:i adjustable_quantity:o]! after_completion{type(redirect|hosted_confirmation)! redirect{url!} hosted_confirmation{custom_message}} allow_promotion_codes:b application_fee_amount:i application_fee_percent:d automatic_tax:o billing_address_collection(auto|required) consent_collection:o currency custom_fields:o custom_text:o customer_creation(always|if_required) inactive_message invoice_creation:o managed_payments:o metadata:m name_collection:o on_behalf_of optional_items:o payment_intent_data:o payment_method_collection(always|if_required) payment_method_options:o payment_method_types[] phone_number_collection:o restrictions:o shipping_address_collection:o shipping_options:o submit_type(auto|book|donate|pay|subscribe) subscription_data:o tax_id_collection:o transfer_data:o",
        form,
    )?;
    let id = cx.id("plink_1", 23);
    let sum = catalog::take_line_items(cx, &id, params.get("line_items").unwrap_or(&Value::Null))?;
    let url = cx.id("https://buy.stripe.com/test_", 20);
    let mut link = json!({
        "id": id,
        "object": KIND,
        "active": true,
        "after_completion": {"hosted_confirmation": {"custom_message": null}, "type": "hosted_confirmation"},
        "allow_promotion_codes": false,
        "application": null,
        "application_fee_amount": null,
        "application_fee_percent": null,
        "automatic_tax": {"enabled": false, "liability": null},
        "billing_address_collection": "auto",
        "consent_collection": null,
        "currency": sum.currency,
        "custom_fields": [],
        "custom_text": {"after_submit": null, "shipping_address": null, "submit": null, "terms_of_service_acceptance": null},
        "customer_creation": "if_required",
        "inactive_message": null,
        "invoice_creation": null,
        "livemode": false,
        "managed_payments": null,
        "metadata": {},
        "on_behalf_of": null,
        "payment_intent_data": null,
        "payment_method_collection": "always",
        "payment_method_options": null,
        "payment_method_types": null,
        "phone_number_collection": {"enabled": false},
        "restrictions": null,
        "shipping_address_collection": null,
        "shipping_options": [],
        "submit_type": "auto",
        "subscription_data": null,
        "tax_id_collection": {"enabled": false, "required": "never"},
        "transfer_data": null,
        "url": url,
    });
    change(&mut link, &params);
    Ok(cx.create(KIND, link, Some("payment_link.created")))
}

/// `POST /v1/payment_links/{id}`
pub(crate) fn update(cx: &mut Cx<'_>, id: &str, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read(
        "active:b after_completion{type(redirect|hosted_confirmation)! redirect{url!} hosted_confirmation{custom_message}} allow_promotion_codes:b application_fee_amount:i application_fee_percent:d automatic_tax:o billing_address_collection consent_collection:o custom_fields:o custom_text:o customer_creation inactive_message invoice_creation:o line_items:o metadata:m name_collection:o on_behalf_of optional_items:o payment_intent_data:o payment_method_collection payment_method_options:o payment_method_types[] phone_number_collection:o restrictions:o shipping_address_collection:o shipping_options:o submit_type subscription_data:o tax_id_collection:o transfer_data:o",
        form,
    )?;
    let before = cx.get(KIND, id)?;
    let mut after = before.clone();
    apply(&mut after, &params, &["active"]);
    change(&mut after, &params);
    Ok(cx.update(KIND, &before, after, "payment_link.updated"))
}

/// `GET /v1/payment_links`
pub(crate) fn list(cx: &mut Cx<'_>, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read("active:b limit:i starting_after ending_before", form)?;
    let page = list::page(&params)?;
    list::list(
        cx.state.table(KIND),
        "/v1/payment_links",
        &page,
        |row| params.get("active").is_none_or(|active| row.get("active") == Some(active)),
        |id, param| ApiError::no_such(KIND, id, param),
    )
}

fn change(link: &mut Value, params: &Map<String, Value>) {
    apply(link, params, COPIED);
    if let Some(after) = params.get("after_completion") {
        let kind = super::state::text(after, "type").to_owned();
        let mut shown = json!({ "type": kind });
        set(&mut shown, &kind, after.get(kind.as_str()).cloned().unwrap_or(json!({})));
        set(link, "after_completion", shown);
    }
}
