//! Invoices and their items.

use serde_json::{Map, Value, json};

use super::charge::Attempt;
use super::error::ApiError;
use super::payment_method::{self, Decline};
use super::state::{Cx, apply, integer, param, set, text};
use super::{customer, list, money, payment_intent, spec};
use crate::form::Fields;

const KIND: &str = "invoice";
/// How long after a failed attempt the next one is planned, in seconds.
const NEXT_ATTEMPT: i64 = 3 * 24 * 3_600;

/// `POST /v1/invoices`
pub(crate) fn create(cx: &mut Cx<'_>, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read(
        "customer! account_tax_ids[] application_fee_amount:i auto_advance:b automatic_tax:o automatically_finalizes_at:i collection_method(charge_automatically|send_invoice) currency custom_fields[name! value!] customer_account days_until_due:i default_payment_method default_source default_tax_rates[] description discounts:o due_date:i effective_at:i footer from_invoice:o issuer:o metadata:m number on_behalf_of payment_settings:o pending_invoice_items_behavior(exclude|include) rendering:o shipping_cost:o shipping_details:o statement_descriptor subscription transfer_data:o",
        form,
    )?;
    let customer_id = param(&params, "customer").unwrap_or_default();
    let customer = customer::named(cx, customer_id)?;
    let sends = param(&params, "collection_method") == Some("send_invoice");
    let days = params.get("days_until_due").and_then(Value::as_i64);
    if sends && days.is_none() && !params.contains_key("due_date") {
        return Err(ApiError::parameter(
            "parameter_missing",
            "days_until_due",
            "If invoice collection method is 'send_invoice', you must specify either 'due_date' or 'days_until_due'.",
        ));
    }
    if !sends && days.is_some() {
        return Err(ApiError::parameter(
            "parameter_invalid",
            "days_until_due",
            "You can only set 'days_until_due' if invoice collection method is 'send_invoice'.",
        ));
    }
    let currency = match params.get("currency") {
        Some(_) => money::currency(&params)?,
        None => "usd".to_owned(),
    };
    let mut invoice = blank(cx, &customer, &currency, "manual");
    apply(
        &mut invoice,
        &params,
        &[
            "auto_advance",
            "automatically_finalizes_at",
            "collection_method",
            "custom_fields",
            "default_payment_method",
            "description",
            "due_date",
            "effective_at",
            "footer",
            "number",
            "on_behalf_of",
            "statement_descriptor",
        ],
    );
    if let Some(days) = days {
        let due = cx.now.saturating_add(days.saturating_mul(86_400));
        set(&mut invoice, "due_date", json!(due));
    }
    let invoice = cx.create(KIND, invoice, None);
    let id = text(&invoice, "id").to_owned();
    if param(&params, "pending_invoice_items_behavior") == Some("include") {
        let pending: Vec<Value> = cx
            .state
            .table("invoiceitem")
            .rows()
            .filter(|item| text(item, "customer") == customer_id && item.get("invoice").is_none_or(Value::is_null))
            .cloned()
            .collect();
        for mut item in pending {
            set(&mut item, "invoice", json!(id));
            cx.save("invoiceitem", &item);
        }
    }
    let invoice = recount(cx, &id)?;
    cx.emit("invoice.created", &invoice);
    Ok(invoice)
}

/// Makes an empty draft, not yet kept.
pub(crate) fn blank(cx: &mut Cx<'_>, customer: &Value, currency: &str, reason: &str) -> Value {
    let id = cx.id("in_1", 23);
    let field = |name: &str| customer.get(name).cloned().unwrap_or_default();
    json!({
        "id": id,
        "object": KIND,
        "account_country": "US",
        "account_name": "Flow Sandbox",
        "account_tax_ids": null,
        "amount_due": 0,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_remaining": 0,
        "amount_shipping": 0,
        "application": null,
        "attempt_count": 0,
        "attempted": false,
        "auto_advance": false,
        "automatic_tax": {"disabled_reason": null, "enabled": false, "liability": null, "provider": null, "status": null},
        "automatically_finalizes_at": null,
        "billing_reason": reason,
        "collection_method": "charge_automatically",
        "created": cx.now,
        "currency": currency,
        "custom_fields": null,
        "customer": field("id"),
        "customer_account": null,
        "customer_address": field("address"),
        "customer_email": field("email"),
        "customer_name": field("name"),
        "customer_phone": field("phone"),
        "customer_shipping": field("shipping"),
        "customer_tax_exempt": field("tax_exempt"),
        "customer_tax_ids": [],
        "default_payment_method": null,
        "default_source": null,
        "default_tax_rates": [],
        "description": null,
        "discounts": [],
        "due_date": null,
        "effective_at": null,
        "ending_balance": null,
        "footer": null,
        "from_invoice": null,
        "hosted_invoice_url": null,
        "invoice_pdf": null,
        "issuer": {"type": "self"},
        "last_finalization_error": null,
        "latest_revision": null,
        "lines": {"object": "list", "data": [], "has_more": false, "total_count": 0, "url": format!("/v1/invoices/{id}/lines")},
        "livemode": false,
        "metadata": {},
        "next_payment_attempt": null,
        "number": null,
        "on_behalf_of": null,
        "parent": null,
        "payment_settings": {"default_mandate": null, "payment_method_options": null, "payment_method_types": null},
        "period_end": cx.now,
        "period_start": cx.now,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "receipt_number": null,
        "rendering": null,
        "shipping_cost": null,
        "shipping_details": null,
        "starting_balance": 0,
        "statement_descriptor": null,
        "status": "draft",
        "status_transitions": {"finalized_at": null, "marked_uncollectible_at": null, "paid_at": null, "voided_at": null},
        "subtotal": 0,
        "subtotal_excluding_tax": 0,
        "test_clock": null,
        "total": 0,
        "total_discount_amounts": [],
        "total_excluding_tax": 0,
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
        "webhooks_delivered_at": null,
    })
}

/// `POST /v1/invoiceitems`
pub(crate) fn create_item(cx: &mut Cx<'_>, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read(
        "customer! amount:i currency customer_account description discountable:b discounts:o invoice metadata:m period{end:i! start:i!} price_data:o pricing{price} quantity:i quantity_decimal:d subscription tax_behavior tax_code tax_rates[] unit_amount_decimal:d",
        form,
    )?;
    let customer_id = param(&params, "customer").unwrap_or_default();
    customer::named(cx, customer_id)?;
    let quantity = params.get("quantity").and_then(Value::as_i64).unwrap_or(1);
    let price = params.get("pricing").map(|pricing| text(pricing, "price")).unwrap_or_default();
    let (amount, currency, description) = match params.get("amount").and_then(Value::as_i64) {
        Some(amount) => {
            let currency = money::currency(&params)?;
            money::check_step(amount, &currency, "amount")?;
            (amount, currency, Value::Null)
        }
        None if !price.is_empty() => {
            let price = cx.get_param("price", price, "pricing[price]")?;
            let product = cx.find("product", text(&price, "product")).unwrap_or_default();
            (super::money::of_units(&price, quantity), text(&price, "currency").to_owned(), json!(text(&product, "name")))
        }
        None => return Err(ApiError::missing("amount")),
    };
    if let Some(invoice) = param(&params, "invoice") {
        let invoice = cx.get_param(KIND, invoice, "invoice")?;
        if text(&invoice, "status") != "draft" {
            return Err(ApiError::state("invoice_not_editable", "You can only add or modify invoice items on draft invoices."));
        }
        if text(&invoice, "currency") != currency {
            return Err(ApiError::invalid("The currency of the invoice item does not match the currency of the invoice."));
        }
    }
    let id = cx.id("ii_1", 23);
    let mut item = json!({
        "id": id,
        "object": "invoiceitem",
        "amount": amount,
        "currency": currency,
        "customer": customer_id,
        "customer_account": null,
        "date": cx.now,
        "description": description,
        "discountable": true,
        "discounts": [],
        "invoice": null,
        "livemode": false,
        "metadata": {},
        "net_amount": amount,
        "parent": null,
        "period": {"end": cx.now, "start": cx.now},
        "pricing": if price.is_empty() { Value::Null } else { json!({"price_details": {"price": price}, "type": "price_details"}) },
        "proration": false,
        "quantity": quantity,
        "quantity_decimal": quantity.to_string(),
        "tax_rates": [],
        "test_clock": null,
    });
    apply(&mut item, &params, &["description", "discountable", "invoice", "period"]);
    let item = cx.create("invoiceitem", item, Some("invoiceitem.created"));
    if let Some(invoice) = param(&params, "invoice") {
        recount(cx, invoice)?;
    }
    Ok(item)
}

/// `GET /v1/invoiceitems`
pub(crate) fn list_items(cx: &mut Cx<'_>, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read("created:r customer customer_account invoice pending:b limit:i starting_after ending_before", form)?;
    let page = list::page(&params)?;
    let pending = params.get("pending").and_then(Value::as_bool);
    list::list(
        cx.state.table("invoiceitem"),
        "/v1/invoiceitems",
        &page,
        |row| {
            ["customer", "invoice"].iter().all(|name| params.get(*name).is_none_or(|wanted| row.get(*name) == Some(wanted)))
                && pending.is_none_or(|pending| row.get("invoice").is_none_or(Value::is_null) == pending)
                && list::within(params.get("created"), integer(row, "created"))
        },
        |id, param| ApiError::no_such("invoiceitem", id, param),
    )
}

/// `GET /v1/invoices/{id}/lines`
pub(crate) fn list_lines(cx: &mut Cx<'_>, id: &str, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read("limit:i starting_after ending_before", form)?;
    let page = list::page(&params)?;
    let invoice = cx.get(KIND, id)?;
    let mut table = crate::table::Table::default();
    let lines = invoice.get("lines").and_then(|lines| lines.get("data")).and_then(Value::as_array);
    for line in lines.into_iter().flatten().rev() {
        table.put(text(line, "id"), line.clone());
    }
    list::list(
        &table,
        &format!("/v1/invoices/{id}/lines"),
        &page,
        |_| true,
        |id, param| ApiError::no_such("line_item", id, param),
    )
}

/// Adds up a draft from its items.
fn recount(cx: &mut Cx<'_>, id: &str) -> Result<Value, ApiError> {
    let mut invoice = cx.get(KIND, id)?;
    let items: Vec<Value> = cx.state.table("invoiceitem").rows().filter(|item| text(item, "invoice") == id).cloned().collect();
    let mut lines = Vec::new();
    for item in &items {
        let line_id = cx.id("il_1", 23);
        lines.push(line(
            &line_id,
            id,
            integer(item, "amount"),
            text(item, "currency"),
            text(item, "description"),
            integer(item, "quantity"),
            &json!({"invoice_item_details": {"invoice_item": text(item, "id"), "proration": false, "subscription": null}, "subscription_item_details": null, "type": "invoice_item_details"}),
            item.get("pricing").unwrap_or(&Value::Null),
            (cx.now, cx.now),
        ));
    }
    set_lines(&mut invoice, lines, 0);
    cx.save(KIND, &invoice);
    Ok(invoice)
}

#[expect(clippy::too_many_arguments, reason = "a line has that many parts, and all callers know them")]
fn line(
    id: &str,
    invoice: &str,
    amount: i64,
    currency: &str,
    description: &str,
    quantity: i64,
    parent: &Value,
    pricing: &Value,
    period: (i64, i64),
) -> Value {
    json!({
        "id": id,
        "object": "line_item",
        "amount": amount,
        "currency": currency,
        "description": description,
        "discount_amounts": [],
        "discountable": true,
        "discounts": [],
        "invoice": invoice,
        "livemode": false,
        "metadata": {},
        "parent": parent,
        "period": {"end": period.1, "start": period.0},
        "pretax_credit_amounts": [],
        "pricing": pricing,
        "quantity": quantity,
        "quantity_decimal": quantity.to_string(),
        "subscription": null,
        "subtotal": amount,
        "taxes": [],
    })
}

/// Puts lines on an invoice, and the sums that follow; `discount` is taken off the whole.
fn set_lines(invoice: &mut Value, lines: Vec<Value>, discount: i64) {
    let subtotal = lines.iter().fold(0_i64, |sum, line| sum.saturating_add(integer(line, "amount")));
    let total = subtotal.saturating_sub(discount);
    if let Some(list) = invoice.get_mut("lines") {
        set(list, "total_count", json!(lines.len()));
        set(list, "data", Value::Array(lines));
    }
    for name in ["subtotal", "subtotal_excluding_tax"] {
        set(invoice, name, json!(subtotal));
    }
    for name in ["total", "total_excluding_tax"] {
        set(invoice, name, json!(total));
    }
    for name in ["amount_due", "amount_remaining"] {
        set(invoice, name, json!(total.max(0)));
    }
}

/// What an invoice of a subscription is made from.
#[derive(Debug)]
pub(crate) struct SubscriptionInvoice<'a> {
    pub(crate) subscription: &'a Value,
    pub(crate) reason: &'a str,
    /// Whether the items cost nothing yet.
    pub(crate) trial: bool,
    pub(crate) discount: i64,
}

/// Makes the draft of a subscription's invoice, and emits `invoice.created`.
pub(crate) fn for_subscription(cx: &mut Cx<'_>, from: &SubscriptionInvoice<'_>) -> Value {
    let subscription = from.subscription;
    let customer = cx.find("customer", text(subscription, "customer")).unwrap_or_default();
    let mut invoice = blank(cx, &customer, text(subscription, "currency"), from.reason);
    let invoice_id = text(&invoice, "id").to_owned();
    let items =
        subscription.get("items").and_then(|items| items.get("data")).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut lines = Vec::new();
    let mut period = (cx.now, cx.now);
    for item in &items {
        let price = item.get("price").cloned().unwrap_or_default();
        let quantity = integer(item, "quantity");
        let amount = if from.trial { 0 } else { super::money::of_units(&price, quantity) };
        period = (integer(item, "current_period_start"), integer(item, "current_period_end"));
        let product = cx.find("product", text(&price, "product")).unwrap_or_default();
        let line_id = cx.id("il_1", 23);
        lines.push(line(
            &line_id,
            &invoice_id,
            amount,
            text(&price, "currency"),
            &format!("{quantity} × {}", text(&product, "name")),
            quantity,
            &json!({"invoice_item_details": null, "subscription_item_details": {"invoice_item": null, "proration": false, "proration_details": {"credited_items": null}, "subscription": text(subscription, "id"), "subscription_item": text(item, "id")}, "type": "subscription_item_details"}),
            &json!({"price_details": {"price": text(&price, "id"), "product": text(&price, "product")}, "type": "price_details", "unit_amount_decimal": price.get("unit_amount_decimal")}),
            period,
        ));
    }
    set_lines(&mut invoice, lines, from.discount);
    set(&mut invoice, "period_start", json!(period.0));
    set(&mut invoice, "period_end", json!(period.1));
    set(&mut invoice, "auto_advance", json!(true));
    let method = text(subscription, "collection_method");
    set(&mut invoice, "collection_method", json!(method));
    if let Some(days) = subscription.get("days_until_due").and_then(Value::as_i64) {
        let due = cx.now.saturating_add(days.saturating_mul(86_400));
        set(&mut invoice, "due_date", json!(due));
    }
    set(
        &mut invoice,
        "parent",
        json!({
            "quote_details": null,
            "subscription_details": {
                "metadata": subscription.get("metadata"),
                "subscription": text(subscription, "id"),
            },
            "type": "subscription_details",
        }),
    );
    cx.create(KIND, invoice, Some("invoice.created"))
}

/// `POST /v1/invoices/{id}`
pub(crate) fn update(cx: &mut Cx<'_>, id: &str, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read(
        "auto_advance:b automatic_tax:o automatically_finalizes_at:i collection_method(charge_automatically|send_invoice) custom_fields[name! value!] days_until_due:i default_payment_method default_source description discounts:o due_date:i effective_at:i footer metadata:m number statement_descriptor",
        form,
    )?;
    let before = cx.get(KIND, id)?;
    let mut after = before.clone();
    apply(
        &mut after,
        &params,
        &[
            "auto_advance",
            "collection_method",
            "custom_fields",
            "default_payment_method",
            "description",
            "due_date",
            "footer",
            "number",
            "statement_descriptor",
        ],
    );
    Ok(cx.update(KIND, &before, after, "invoice.updated"))
}

/// `DELETE /v1/invoices/{id}`: drafts only.
pub(crate) fn delete(cx: &mut Cx<'_>, id: &str) -> Result<Value, ApiError> {
    let invoice = cx.get(KIND, id)?;
    expect_status(&invoice, &["draft"], "deleted")?;
    cx.state.table(KIND).remove(id);
    cx.emit("invoice.deleted", &invoice);
    Ok(json!({"id": id, "object": KIND, "deleted": true}))
}

/// `POST /v1/invoices/{id}/finalize`
pub(crate) fn finalize_request(cx: &mut Cx<'_>, id: &str, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read("auto_advance:b", form)?;
    let mut invoice = cx.get(KIND, id)?;
    expect_status(&invoice, &["draft"], "finalized")?;
    apply(&mut invoice, &params, &["auto_advance"]);
    Ok(finalize(cx, invoice))
}

/// Turns a draft into an open invoice; one over nothing is paid at once.
pub(crate) fn finalize(cx: &mut Cx<'_>, mut invoice: Value) -> Value {
    let customer_id = text(&invoice, "customer").to_owned();
    let mut prefix = String::new();
    let mut sequence = 1;
    if let Some(mut customer) = cx.find("customer", &customer_id) {
        text(&customer, "invoice_prefix").clone_into(&mut prefix);
        sequence = integer(&customer, "next_invoice_sequence").max(1);
        if customer.get("deleted").is_none() {
            set(&mut customer, "next_invoice_sequence", json!(sequence + 1));
            cx.save("customer", &customer);
        }
    }
    let id = text(&invoice, "id").to_owned();
    if invoice.get("number").is_none_or(Value::is_null) {
        set(&mut invoice, "number", json!(format!("{prefix}-{sequence:04}")));
    }
    set(&mut invoice, "status", json!("open"));
    set(&mut invoice, "effective_at", json!(cx.now));
    set(&mut invoice, "ending_balance", json!(0));
    set(&mut invoice, "hosted_invoice_url", json!(format!("https://invoice.stripe.com/i/acct_1Sandbox000000000/test_{id}")));
    set(&mut invoice, "invoice_pdf", json!(format!("https://pay.stripe.com/invoice/acct_1Sandbox000000000/test_{id}/pdf")));
    transition(&mut invoice, "finalized_at", cx.now);
    cx.save(KIND, &invoice);
    cx.emit("invoice.finalized", &invoice);
    if integer(&invoice, "amount_due") == 0 {
        return mark_paid(cx, invoice, false);
    }
    invoice
}

/// `POST /v1/invoices/{id}/send`
pub(crate) fn send(cx: &mut Cx<'_>, id: &str) -> Result<Value, ApiError> {
    let mut invoice = cx.get(KIND, id)?;
    expect_status(&invoice, &["draft", "open"], "sent")?;
    if text(&invoice, "collection_method") != "send_invoice" {
        return Err(ApiError::state(
            "invoice_not_editable",
            "You can only manually send an invoice if its collection method is 'send_invoice'.",
        ));
    }
    if text(&invoice, "status") == "draft" {
        invoice = finalize(cx, invoice);
    }
    cx.emit("invoice.sent", &invoice);
    Ok(invoice)
}

/// `POST /v1/invoices/{id}/pay`
pub(crate) fn pay(cx: &mut Cx<'_>, id: &str, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read("forgive:b mandate off_session:b paid_out_of_band:b payment_method source", form)?;
    let mut invoice = cx.get(KIND, id)?;
    if text(&invoice, "status") == "paid" {
        return Err(ApiError::state("invoice_already_paid", "Invoice is already paid"));
    }
    expect_status(&invoice, &["draft", "open", "uncollectible"], "paid")?;
    if text(&invoice, "status") == "draft" {
        invoice = finalize(cx, invoice);
        if text(&invoice, "status") == "paid" {
            return Ok(invoice);
        }
    }
    if params.get("paid_out_of_band") == Some(&json!(true)) {
        return Ok(mark_paid(cx, invoice, true));
    }
    let method = param(&params, "payment_method").map(str::to_owned);
    collect(cx, &invoice, method.as_deref())
}

/// Charges the payment method for an open invoice.
pub(crate) fn collect(cx: &mut Cx<'_>, invoice: &Value, method: Option<&str>) -> Result<Value, ApiError> {
    let method = match method.map(str::to_owned).or_else(|| default_method(cx, invoice)) {
        Some(method) => payment_method::resolve(cx, &method)?,
        None => {
            return Err(ApiError::state(
                "resource_missing",
                "There is no `default_payment_method` set on this Customer or Invoice. You can either set a `default_payment_method`, or pass a `payment_method` with this request.",
            ));
        }
    };
    let decline = payment_method::decline_of(&method);
    let (invoice, intent, charge) = attempt(cx, invoice.clone(), &method, decline);
    match decline {
        None => Ok(invoice),
        Some(decline) => Err(ApiError::card(decline.code, Some(decline.decline_code), decline.message)
            .extra("charge", json!(text(&charge, "id")))
            .extra("payment_intent", intent)),
    }
}

/// Makes one attempt to collect an open invoice, with a known outcome. Returns invoice, intent and charge.
pub(crate) fn attempt(cx: &mut Cx<'_>, mut invoice: Value, method: &Value, decline: Option<&Decline>) -> (Value, Value, Value) {
    let amount = integer(&invoice, "amount_remaining");
    let currency = text(&invoice, "currency").to_owned();
    let word = |name: &str| invoice.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut intent = payment_intent::blank(cx, amount, &currency);
    set(&mut intent, "customer", json!(word("customer")));
    set(&mut intent, "description", json!("Payment for invoice"));
    cx.save("payment_intent", &intent);
    cx.emit("payment_intent.created", &intent);
    let details = Attempt {
        amount,
        currency,
        customer: word("customer"),
        payment_intent: Some(text(&intent, "id").to_owned()),
        email: word("customer_email"),
        name: word("customer_name"),
        phone: word("customer_phone"),
        description: Some("Payment for invoice".to_owned()),
        receipt_email: None,
        metadata: Map::new(),
        capture: true,
    };
    let (intent, charge) = payment_intent::attempt_with(cx, intent, &details, method, decline);
    set(&mut invoice, "attempted", json!(true));
    let count = integer(&invoice, "attempt_count") + 1;
    set(&mut invoice, "attempt_count", json!(count));
    if decline.is_some() {
        let automatic = text(&invoice, "collection_method") == "charge_automatically";
        let next = (automatic && count < 4).then_some(cx.now + NEXT_ATTEMPT);
        set(&mut invoice, "next_payment_attempt", json!(next));
        cx.save(KIND, &invoice);
        cx.emit("invoice.payment_failed", &invoice);
    } else {
        invoice = mark_paid(cx, invoice, false);
    }
    (invoice, intent, charge)
}

fn mark_paid(cx: &mut Cx<'_>, mut invoice: Value, out_of_band: bool) -> Value {
    let due = integer(&invoice, "amount_due");
    set(&mut invoice, "status", json!("paid"));
    set(&mut invoice, "attempted", json!(true));
    set(&mut invoice, "amount_paid", json!(due));
    set(&mut invoice, "amount_remaining", json!(0));
    set(&mut invoice, "next_payment_attempt", Value::Null);
    set(&mut invoice, "auto_advance", json!(false));
    transition(&mut invoice, "paid_at", cx.now);
    cx.save(KIND, &invoice);
    cx.emit("invoice.paid", &invoice);
    if !out_of_band {
        cx.emit("invoice.payment_succeeded", &invoice);
    }
    invoice
}

/// `POST /v1/invoices/{id}/void`
pub(crate) fn void(cx: &mut Cx<'_>, id: &str) -> Result<Value, ApiError> {
    close(cx, id, "void", "voided_at", "invoice.voided", &["open", "uncollectible"])
}

/// `POST /v1/invoices/{id}/mark_uncollectible`
pub(crate) fn mark_uncollectible(cx: &mut Cx<'_>, id: &str) -> Result<Value, ApiError> {
    close(cx, id, "uncollectible", "marked_uncollectible_at", "invoice.marked_uncollectible", &["open"])
}

fn close(cx: &mut Cx<'_>, id: &str, status: &str, when: &str, event: &str, allowed: &[&str]) -> Result<Value, ApiError> {
    let mut invoice = cx.get(KIND, id)?;
    expect_status(&invoice, allowed, status)?;
    set(&mut invoice, "status", json!(status));
    set(&mut invoice, "next_payment_attempt", Value::Null);
    set(&mut invoice, "auto_advance", json!(false));
    transition(&mut invoice, when, cx.now);
    cx.save(KIND, &invoice);
    cx.emit(event, &invoice);
    Ok(invoice)
}

/// `GET /v1/invoices`
pub(crate) fn list(cx: &mut Cx<'_>, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read(
        "collection_method created:r customer customer_account due_date:r status(draft|open|paid|uncollectible|void) subscription limit:i starting_after ending_before",
        form,
    )?;
    let page = list::page(&params)?;
    let subscription = param(&params, "subscription").map(str::to_owned);
    list::list(
        cx.state.table(KIND),
        "/v1/invoices",
        &page,
        |row| {
            ["collection_method", "customer", "status"]
                .iter()
                .all(|name| params.get(*name).is_none_or(|wanted| row.get(*name) == Some(wanted)))
                && list::within(params.get("created"), integer(row, "created"))
                && subscription.as_deref().is_none_or(|wanted| subscription_of(row) == wanted)
        },
        |id, param| ApiError::no_such(KIND, id, param),
    )
}

/// Returns the id of the subscription an invoice belongs to; empty where it belongs to none.
pub(crate) fn subscription_of(invoice: &Value) -> &str {
    invoice
        .get("parent")
        .and_then(|parent| parent.get("subscription_details"))
        .map(|details| text(details, "subscription"))
        .unwrap_or_default()
}

/// Returns the payment method that stands on the invoice, its subscription or its customer.
fn default_method(cx: &mut Cx<'_>, invoice: &Value) -> Option<String> {
    let own = |object: &Value| object.get("default_payment_method").and_then(Value::as_str).map(str::to_owned);
    own(invoice).or_else(|| cx.find("subscription", subscription_of(invoice)).and_then(|s| own(&s))).or_else(|| {
        let customer = cx.find("customer", text(invoice, "customer"))?;
        own(customer.get("invoice_settings")?)
    })
}

fn transition(invoice: &mut Value, name: &str, at: i64) {
    if let Some(transitions) = invoice.get_mut("status_transitions") {
        set(transitions, name, json!(at));
    }
}

fn expect_status(invoice: &Value, allowed: &[&str], verb: &str) -> Result<(), ApiError> {
    let status = text(invoice, "status");
    if allowed.contains(&status) {
        return Ok(());
    }
    Err(ApiError::state("invoice_not_editable", format!("This invoice is {status}; it cannot be {verb}.")))
}
