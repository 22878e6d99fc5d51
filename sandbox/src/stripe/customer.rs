//! Customers, and the search among them.

use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::state::{Cx, apply, integer, param, set, text};
use super::{list, money, payment_method, search, spec, subscription};
use crate::form::Fields;

const KIND: &str = "customer";
const FIELDS: &str = "address{city country line1 line2 postal_code state} balance:i business_name cash_balance:o default_source description email individual_name invoice_prefix invoice_settings{custom_fields:o default_payment_method footer rendering_options:o} metadata:m name next_invoice_sequence:i payment_method phone preferred_locales[] shipping{address{city country line1 line2 postal_code state} name phone} source tax:o tax_exempt(none|exempt|reverse) tax_id_data:o test_clock validate:b";
const COPIED: &[&str] = &[
    "balance",
    "business_name",
    "description",
    "email",
    "individual_name",
    "invoice_prefix",
    "name",
    "next_invoice_sequence",
    "phone",
    "preferred_locales",
    "tax_exempt",
];
const ADDRESS: &[&str] = &["city", "country", "line1", "line2", "postal_code", "state"];

/// `POST /v1/customers`
pub(crate) fn create(cx: &mut Cx<'_>, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read(FIELDS, form)?;
    check_email(&params)?;
    let method = param(&params, "payment_method").map(str::to_owned);
    let customer = blank(cx);
    let id = text(&customer, "id").to_owned();
    let mut customer = changed(customer, &params);
    if let Some(method) = method {
        let method = payment_method::attach_new(cx, &method, &id)?;
        if let Some(settings) = customer.get_mut("invoice_settings") {
            set(settings, "default_payment_method", json!(text(&method, "id")));
        }
    }
    Ok(cx.create(KIND, customer, Some("customer.created")))
}

/// `POST /v1/customers/{id}`
pub(crate) fn update(cx: &mut Cx<'_>, id: &str, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read(FIELDS, form)?;
    check_email(&params)?;
    let before = existing(cx, id)?;
    if let Some(method) =
        params.get("invoice_settings").and_then(|settings| settings.get("default_payment_method")).and_then(Value::as_str)
    {
        let method = cx.get_param("payment_method", method, "invoice_settings[default_payment_method]")?;
        if text(&method, "customer") != id {
            return Err(ApiError::state(
                "resource_missing",
                "The customer does not have a payment method with this ID. The payment method must be attached to the customer.",
            ));
        }
    }
    let after = changed(before.clone(), &params);
    Ok(cx.update(KIND, &before, after, "customer.updated"))
}

/// `GET /v1/customers/{id}`: a deleted one too, as `deleted`.
pub(crate) fn get(cx: &mut Cx<'_>, id: &str) -> Result<Value, ApiError> {
    cx.get(KIND, id)
}

/// `DELETE /v1/customers/{id}`: ends its subscriptions as well.
pub(crate) fn delete(cx: &mut Cx<'_>, id: &str) -> Result<Value, ApiError> {
    let customer = existing(cx, id)?;
    subscription::cancel_all_of(cx, id);
    let deleted = json!({"id": id, "object": KIND, "deleted": true});
    cx.save(KIND, &deleted);
    cx.emit("customer.deleted", &customer);
    Ok(deleted)
}

/// `GET /v1/customers`
pub(crate) fn list(cx: &mut Cx<'_>, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read("created:r email test_clock limit:i starting_after ending_before", form)?;
    let page = list::page(&params)?;
    let email = param(&params, "email").map(str::to_owned);
    list::list(
        cx.state.table(KIND),
        "/v1/customers",
        &page,
        |row| {
            row.get("deleted").is_none()
                && email.as_ref().is_none_or(|email| text(row, "email") == email)
                && list::within(params.get("created"), integer(row, "created"))
        },
        |id, param| ApiError::no_such(KIND, id, param),
    )
}

/// `GET /v1/customers/search`
pub(crate) fn search(cx: &mut Cx<'_>, form: &Fields) -> Result<Value, ApiError> {
    search::search(cx, KIND, "/v1/customers/search", form)
}

/// `POST /v1/customers/{id}/balance_transactions`: a negative amount is a credit.
pub(crate) fn add_balance(cx: &mut Cx<'_>, id: &str, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read("amount:i! currency! description metadata:m", form)?;
    let before = existing(cx, id)?;
    let amount = params.get("amount").and_then(Value::as_i64).unwrap_or_default();
    let currency = money::currency(&params)?;
    money::check_step(amount, &currency, "amount")?;
    let known = text(&before, "currency");
    if !known.is_empty() && known != currency {
        return Err(ApiError::state(
            "customer_tax_location_invalid",
            format!("This customer's balance is counted in {known}; a transaction in {currency} cannot be added."),
        )
        .param("currency"));
    }
    let balance = integer(&before, "balance").saturating_add(amount);
    let mut after = before.clone();
    set(&mut after, "balance", json!(balance));
    set(&mut after, "currency", json!(currency));
    cx.update(KIND, &before, after, "customer.updated");
    let transaction_id = cx.id("cbtxn_1", 23);
    let mut transaction = json!({
        "id": transaction_id,
        "object": "customer_balance_transaction",
        "amount": amount,
        "checkout_session": null,
        "created": cx.now,
        "credit_note": null,
        "currency": currency,
        "customer": id,
        "description": null,
        "ending_balance": balance,
        "invoice": null,
        "livemode": false,
        "metadata": {},
        "type": "adjustment",
    });
    apply(&mut transaction, &params, &["description"]);
    Ok(cx.create("customer_balance_transaction", transaction, None))
}

/// `GET /v1/customers/{id}/balance_transactions`
pub(crate) fn list_balance(cx: &mut Cx<'_>, id: &str, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read("created:r limit:i starting_after ending_before", form)?;
    let page = list::page(&params)?;
    existing(cx, id)?;
    list::list(
        cx.state.table("customer_balance_transaction"),
        &format!("/v1/customers/{id}/balance_transactions"),
        &page,
        |row| text(row, "customer") == id && list::within(params.get("created"), integer(row, "created")),
        |id, param| ApiError::no_such("customer_balance_transaction", id, param),
    )
}

/// Returns a customer that was not deleted.
pub(crate) fn existing(cx: &mut Cx<'_>, id: &str) -> Result<Value, ApiError> {
    let customer = cx.get(KIND, id)?;
    if customer.get("deleted").is_some() {
        return Err(ApiError::not_found(KIND, id));
    }
    Ok(customer)
}

/// Returns the customer that a parameter names, if it was not deleted.
pub(crate) fn named(cx: &mut Cx<'_>, id: &str) -> Result<Value, ApiError> {
    existing(cx, id).map_err(|_| ApiError::no_such(KIND, id, "customer"))
}

/// Makes an empty customer, not yet kept.
pub(crate) fn blank(cx: &mut Cx<'_>) -> Value {
    let id = cx.id("cus_", 14);
    let prefix = cx.id("", 8).to_uppercase();
    json!({
        "id": id,
        "object": KIND,
        "address": null,
        "balance": 0,
        "created": cx.now,
        "currency": null,
        "customer_account": null,
        "default_source": null,
        "delinquent": false,
        "description": null,
        "discount": null,
        "email": null,
        "invoice_prefix": prefix,
        "invoice_settings": {
            "custom_fields": null,
            "default_payment_method": null,
            "footer": null,
            "rendering_options": null,
        },
        "livemode": false,
        "metadata": {},
        "name": null,
        "next_invoice_sequence": 1,
        "phone": null,
        "preferred_locales": [],
        "shipping": null,
        "tax_exempt": "none",
        "test_clock": null,
    })
}

fn changed(mut customer: Value, params: &Map<String, Value>) -> Value {
    apply(&mut customer, params, COPIED);
    if let Some(address) = params.get("address") {
        set(&mut customer, "address", whole_address(address));
    }
    if let Some(shipping) = params.get("shipping") {
        let shipping = match shipping {
            Value::Object(_) => json!({
                "address": whole_address(shipping.get("address").unwrap_or(&Value::Null)),
                "name": shipping.get("name"),
                "phone": shipping.get("phone"),
            }),
            _ => Value::Null,
        };
        set(&mut customer, "shipping", shipping);
    }
    if let Some(Value::Object(changes)) = params.get("invoice_settings")
        && let Some(settings) = customer.get_mut("invoice_settings")
    {
        for (name, value) in changes {
            set(settings, name, value.clone());
        }
    }
    customer
}

/// Returns an address with all its fields, or null.
fn whole_address(address: &Value) -> Value {
    if !address.is_object() {
        return Value::Null;
    }
    ADDRESS.iter().map(|name| ((*name).to_owned(), address.get(*name).cloned().unwrap_or_default())).collect::<Map<_, _>>().into()
}

fn check_email(params: &Map<String, Value>) -> Result<(), ApiError> {
    let Some(email) = param(params, "email") else {
        return Ok(());
    };
    let sound = email.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
        && !email.contains(char::is_whitespace)
        && email.len() <= 512;
    if sound {
        return Ok(());
    }
    Err(ApiError::parameter("email_invalid", "email", format!("Invalid email address: {email}")))
}
