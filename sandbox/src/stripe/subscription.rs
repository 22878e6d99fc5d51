//! Subscriptions. Time does not renew them: a test or the demo says when something happens.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde_json::{Value, json};

use super::error::ApiError;
use super::invoice::{self, SubscriptionInvoice};
use super::state::{Cx, apply, integer, param, set, text};
use super::{coupon, customer, list, spec};
use crate::form::Fields;

const KIND: &str = "subscription";

/// `POST /v1/subscriptions`
pub(crate) fn create(cx: &mut Cx<'_>, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read(
        "customer! items[price price_data{currency! unit_amount:i unit_amount_decimal:d product! recurring{interval(day|week|month|year)! interval_count:i}! tax_behavior} quantity:i metadata:m billing_thresholds:o discounts:o tax_rates[] plan trial:o]! add_invoice_items:o application_fee_percent:d automatic_tax:o backdate_start_date:i billing_cycle_anchor:i billing_cycle_anchor_config:o billing_mode:o billing_schedules:o billing_thresholds:o cancel_at:x cancel_at_period_end:b collection_method(charge_automatically|send_invoice) currency customer_account days_until_due:i default_payment_method default_source default_tax_rates[] description discounts[coupon discount promotion_code settings:o] invoice_settings:o metadata:m off_session:b on_behalf_of payment_behavior(allow_incomplete|default_incomplete|error_if_incomplete|pending_if_incomplete) payment_settings:o pending_invoice_item_interval:o proration_behavior(always_invoice|create_prorations|none) transfer_data:o trial_end:x trial_from_plan:b trial_period_days:i trial_settings:o",
        form,
    )?;
    let customer_id = param(&params, "customer").unwrap_or_default().to_owned();
    let customer = customer::named(cx, &customer_id)?;
    let sends = param(&params, "collection_method") == Some("send_invoice");
    if sends && !params.contains_key("days_until_due") {
        return Err(ApiError::parameter(
            "parameter_missing",
            "days_until_due",
            "If subscription collection method is 'send_invoice', you must specify 'days_until_due'.",
        ));
    }
    let trial_end = match (params.get("trial_period_days").and_then(Value::as_i64), param(&params, "trial_end")) {
        (Some(days), None) if days > 0 => Some(cx.now.saturating_add(days.saturating_mul(86_400))),
        (None, Some(end)) if end != "now" => match end.parse::<i64>() {
            Ok(end) if end > cx.now => Some(end),
            _ => {
                return Err(ApiError::parameter("parameter_invalid_integer", "trial_end", "Timestamps must be in the future."));
            }
        },
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid("You may only specify one of these parameters: trial_end, trial_period_days."));
        }
        _ => None,
    };
    if let Some(method) = param(&params, "default_payment_method") {
        cx.get_param("payment_method", method, "default_payment_method")?;
    }
    let id = cx.id("sub_1", 23);
    let items = new_items(cx, &id, params.get("items").unwrap_or(&Value::Null), trial_end)?;
    if items.is_empty() {
        return Err(ApiError::missing("items"));
    }
    let currency =
        items.first().and_then(|item| item.get("price")).map(|price| text(price, "currency").to_owned()).unwrap_or_default();
    let (discounts, off) = discounts(cx, params.get("discounts"), total(&items))?;
    let mut subscription = blank(cx, &id, &customer_id, &currency, &items, trial_end);
    set(&mut subscription, "discounts", json!(discounts));
    apply(
        &mut subscription,
        &params,
        &["cancel_at_period_end", "collection_method", "days_until_due", "default_payment_method", "description", "on_behalf_of"],
    );
    schedule_end(&mut subscription, &params, cx.now)?;

    let has_method = params.get("default_payment_method").is_some_and(|method| !method.is_null())
        || customer
            .get("invoice_settings")
            .and_then(|settings| settings.get("default_payment_method"))
            .is_some_and(|method| !method.is_null());
    let behavior = param(&params, "payment_behavior").unwrap_or("allow_incomplete");
    let amount = integer_total(&subscription).saturating_sub(off);
    let charges = trial_end.is_none() && !sends && amount > 0;
    if charges && !has_method && behavior != "default_incomplete" {
        return Err(ApiError::state(
            "resource_missing",
            "This customer has no attached payment source or default payment method. Please consider adding a default payment method. For more information, visit https://stripe.com/docs/billing/subscriptions/payment-methods-setting#payment-method-priority.",
        ));
    }
    if charges && has_method && behavior == "error_if_incomplete" {
        would_fail(cx, &subscription, &customer)?;
    }
    let status = match (trial_end, charges) {
        (Some(_), _) => "trialing",
        (None, true) => "incomplete",
        (None, false) => "active",
    };
    set(&mut subscription, "status", json!(status));
    cx.created = Some(id.clone());
    cx.save(KIND, &subscription);
    let draft = invoice::for_subscription(
        cx,
        &SubscriptionInvoice {
            subscription: &subscription,
            reason: "subscription_create",
            trial: trial_end.is_some(),
            discount: off,
        },
    );
    set(&mut subscription, "latest_invoice", json!(text(&draft, "id")));
    cx.save(KIND, &subscription);
    cx.emit("customer.subscription.created", &subscription);
    if sends && trial_end.is_none() {
        return Ok(subscription);
    }
    let open = invoice::finalize(cx, draft);
    if charges && behavior != "default_incomplete" && invoice::collect(cx, &open, None).is_ok() {
        let before = subscription.clone();
        set(&mut subscription, "status", json!("active"));
        return Ok(cx.update(KIND, &before, subscription, "customer.subscription.updated"));
    }
    Ok(subscription)
}

/// Fails as the first payment would.
fn would_fail(cx: &mut Cx<'_>, subscription: &Value, customer: &Value) -> Result<(), ApiError> {
    let method = subscription
        .get("default_payment_method")
        .and_then(Value::as_str)
        .or_else(|| customer.get("invoice_settings")?.get("default_payment_method")?.as_str())
        .and_then(|id| cx.find("payment_method", id))
        .unwrap_or_default();
    match super::payment_method::decline_of(&method) {
        Some(decline) => Err(ApiError::card(decline.code, Some(decline.decline_code), decline.message)),
        None => Ok(()),
    }
}

/// Makes an active subscription, not yet kept.
pub(crate) fn blank(cx: &mut Cx<'_>, id: &str, customer: &str, currency: &str, items: &[Value], trial_end: Option<i64>) -> Value {
    json!({
        "id": id,
        "object": KIND,
        "application": null,
        "application_fee_percent": null,
        "automatic_tax": {"disabled_reason": null, "enabled": false, "liability": null},
        "billing_cycle_anchor": trial_end.unwrap_or(cx.now),
        "billing_cycle_anchor_config": null,
        "billing_mode": {"flexible": null, "type": "classic"},
        "billing_schedules": [],
        "billing_thresholds": null,
        "cancel_at": null,
        "cancel_at_period_end": false,
        "canceled_at": null,
        "cancellation_details": {"comment": null, "feedback": null, "reason": null},
        "collection_method": "charge_automatically",
        "created": cx.now,
        "currency": currency,
        "customer": customer,
        "customer_account": null,
        "days_until_due": null,
        "default_payment_method": null,
        "default_source": null,
        "default_tax_rates": [],
        "description": null,
        "discounts": [],
        "ended_at": null,
        "invoice_settings": {"account_tax_ids": null, "issuer": {"type": "self"}},
        "items": {
            "object": "list",
            "data": items,
            "has_more": false,
            "total_count": items.len(),
            "url": format!("/v1/subscription_items?subscription={id}"),
        },
        "latest_invoice": null,
        "livemode": false,
        "managed_payments": null,
        "metadata": {},
        "next_pending_invoice_item_invoice": null,
        "on_behalf_of": null,
        "pause_collection": null,
        "payment_settings": {"payment_method_options": null, "payment_method_types": null, "save_default_payment_method": "off"},
        "pending_invoice_item_interval": null,
        "pending_setup_intent": null,
        "pending_update": null,
        "schedule": null,
        "start_date": cx.now,
        "status": "active",
        "test_clock": null,
        "transfer_data": null,
        "trial_end": trial_end,
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
        "trial_start": trial_end.map(|_| cx.now),
    })
}

/// Makes subscription items from `items[n][price]`.
fn new_items(cx: &mut Cx<'_>, subscription: &str, items: &Value, trial_end: Option<i64>) -> Result<Vec<Value>, ApiError> {
    let mut made = Vec::new();
    for (index, item) in items.as_array().into_iter().flatten().enumerate() {
        let place = format!("items[{index}][price]");
        let price = match (item.get("price").and_then(Value::as_str), item.get("price_data")) {
            (Some(price), _) => cx.get_param("price", price, &place)?,
            (None, Some(Value::Object(data))) => {
                let price = super::catalog::new_price(cx, data)?;
                cx.create("price", price, Some("price.created"))
            }
            _ => return Err(ApiError::missing(&place)),
        };
        if text(&price, "type") != "recurring" {
            return Err(ApiError::parameter(
                "parameter_invalid",
                &place,
                format!(
                    "The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`: {}",
                    text(&price, "id")
                ),
            ));
        }
        let quantity = item.get("quantity").and_then(Value::as_i64).unwrap_or(1);
        made.push(new_item(cx, subscription, &price, quantity, trial_end));
    }
    Ok(made)
}

/// Makes one subscription item.
pub(crate) fn new_item(cx: &mut Cx<'_>, subscription: &str, price: &Value, quantity: i64, trial_end: Option<i64>) -> Value {
    let id = cx.id("si_", 14);
    let recurring = price.get("recurring").cloned().unwrap_or_default();
    let end =
        trial_end.unwrap_or_else(|| period_end(cx.now, text(&recurring, "interval"), integer(&recurring, "interval_count")));
    json!({
        "id": id,
        "object": "subscription_item",
        "billing_thresholds": null,
        "created": cx.now,
        "current_period_end": end,
        "current_period_start": cx.now,
        "current_trial": null,
        "discounts": [],
        "metadata": {},
        "plan": {
            "id": text(price, "id"),
            "object": "plan",
            "active": true,
            "amount": price.get("unit_amount"),
            "amount_decimal": price.get("unit_amount_decimal"),
            "billing_scheme": "per_unit",
            "created": price.get("created"),
            "currency": text(price, "currency"),
            "interval": text(&recurring, "interval"),
            "interval_count": integer(&recurring, "interval_count"),
            "livemode": false,
            "metadata": {},
            "meter": null,
            "nickname": price.get("nickname"),
            "product": price.get("product"),
            "tiers_mode": null,
            "transform_usage": null,
            "trial_period_days": null,
            "usage_type": "licensed",
        },
        "price": price,
        "quantity": quantity,
        "subscription": subscription,
        "tax_rates": [],
    })
}

/// Returns the end of a period that begins at `start`, by the calendar.
fn period_end(start: i64, interval: &str, count: i64) -> i64 {
    let count = count.clamp(1, 36);
    let span = match interval {
        "day" => Span::new().try_days(count),
        "week" => Span::new().try_weeks(count),
        "year" => Span::new().try_years(count),
        _ => Span::new().try_months(count),
    };
    let end = Timestamp::from_second(start)
        .and_then(|start| start.to_zoned(TimeZone::UTC).checked_add(span?))
        .map(|end| end.timestamp().as_second());
    end.unwrap_or(start)
}

fn items_of(subscription: &Value) -> Vec<Value> {
    subscription.get("items").and_then(|items| items.get("data")).and_then(Value::as_array).cloned().unwrap_or_default()
}

fn total(items: &[Value]) -> i64 {
    items.iter().fold(0_i64, |sum, item| {
        let quantity = integer(item, "quantity");
        sum.saturating_add(item.get("price").map_or(0, |price| super::money::of_units(price, quantity)))
    })
}

fn integer_total(subscription: &Value) -> i64 {
    total(&items_of(subscription))
}

/// Reads `discounts`: their ids, and how much they take off.
fn discounts(cx: &mut Cx<'_>, params: Option<&Value>, amount: i64) -> Result<(Vec<String>, i64), ApiError> {
    let mut ids = Vec::new();
    let mut off = 0_i64;
    for (index, discount) in params.and_then(Value::as_array).into_iter().flatten().enumerate() {
        let place = format!("discounts[{index}]");
        let coupon_id = if let Some(code) = discount.get("promotion_code").and_then(Value::as_str) {
            let code = cx.get_param("promotion_code", code, &format!("{place}[promotion_code]"))?;
            code.get("promotion").map(|promotion| text(promotion, "coupon").to_owned()).unwrap_or_default()
        } else {
            text(discount, "coupon").to_owned()
        };
        let mut coupon = cx.get_param("coupon", &coupon_id, &format!("{place}[coupon]"))?;
        off = off.saturating_add(coupon::off(&coupon, amount - off));
        let times = integer(&coupon, "times_redeemed") + 1;
        set(&mut coupon, "times_redeemed", json!(times));
        cx.save("coupon", &coupon);
        ids.push(cx.id("di_1", 23));
    }
    Ok((ids, off.min(amount)))
}

fn schedule_end(subscription: &mut Value, params: &serde_json::Map<String, Value>, now: i64) -> Result<(), ApiError> {
    if let Some(ends) = params.get("cancel_at_period_end").and_then(Value::as_bool) {
        let end = items_of(subscription).first().map(|item| integer(item, "current_period_end"));
        set(subscription, "cancel_at", if ends { json!(end) } else { Value::Null });
        set(subscription, "canceled_at", if ends { json!(now) } else { Value::Null });
        let reason = if ends { json!("cancellation_requested") } else { Value::Null };
        if let Some(details) = subscription.get_mut("cancellation_details") {
            set(details, "reason", reason);
        }
    }
    match params.get("cancel_at") {
        None => {}
        Some(Value::Null) => set(subscription, "cancel_at", Value::Null),
        Some(value) => {
            let at = value.as_str().and_then(|at| at.parse::<i64>().ok()).filter(|at| *at > now);
            let Some(at) = at else {
                return Err(ApiError::parameter("parameter_invalid_integer", "cancel_at", "Timestamps must be in the future."));
            };
            set(subscription, "cancel_at", json!(at));
        }
    }
    Ok(())
}

/// `POST /v1/subscriptions/{id}`
pub(crate) fn update(cx: &mut Cx<'_>, id: &str, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read(
        "items[id price price_data:o quantity:i deleted:b clear_usage:b metadata:m billing_thresholds:o discounts:o tax_rates[] plan] add_invoice_items:o application_fee_percent:d automatic_tax:o billing_cycle_anchor(now|unchanged) billing_schedules:o billing_thresholds:o cancel_at:x cancel_at_period_end:b cancellation_details{comment feedback} collection_method(charge_automatically|send_invoice) days_until_due:i default_payment_method default_source default_tax_rates[] description discounts[coupon discount promotion_code settings:o] invoice_settings:o metadata:m off_session:b on_behalf_of pause_collection{behavior(keep_as_draft|mark_uncollectible|void)! resumes_at:i} payment_behavior payment_settings:o pending_invoice_item_interval:o proration_behavior(always_invoice|create_prorations|none) proration_date:i transfer_data:o trial_end:x trial_from_plan:b trial_settings:o",
        form,
    )?;
    let before = cx.get(KIND, id)?;
    if text(&before, "status") == "canceled" {
        return Err(ApiError::state(
            "resource_missing",
            format!("A canceled subscription can only update its cancellation_details and metadata: {id}"),
        ));
    }
    let mut after = before.clone();
    apply(
        &mut after,
        &params,
        &["cancel_at_period_end", "collection_method", "days_until_due", "default_payment_method", "description", "on_behalf_of"],
    );
    schedule_end(&mut after, &params, cx.now)?;
    if let Some(pause) = params.get("pause_collection") {
        let shown = match pause {
            Value::Object(_) => json!({"behavior": text(pause, "behavior"), "resumes_at": pause.get("resumes_at")}),
            _ => Value::Null,
        };
        set(&mut after, "pause_collection", shown);
    }
    if let Some(changes) = params.get("items").and_then(Value::as_array) {
        let items = changed_items(cx, id, items_of(&after), changes)?;
        if let Some(list) = after.get_mut("items") {
            set(list, "total_count", json!(items.len()));
            set(list, "data", Value::Array(items));
        }
    }
    if params.contains_key("discounts") {
        let (ids, _) = discounts(cx, params.get("discounts"), integer_total(&after))?;
        set(&mut after, "discounts", json!(ids));
    }
    match param(&params, "trial_end") {
        None => {}
        Some("now") if text(&after, "status") == "trialing" => {
            set(&mut after, "trial_end", json!(cx.now));
            set(&mut after, "status", json!("active"));
        }
        Some("now") => {}
        Some(end) => {
            let Some(end) = end.parse::<i64>().ok().filter(|end| *end > cx.now) else {
                return Err(ApiError::parameter("parameter_invalid_integer", "trial_end", "Timestamps must be in the future."));
            };
            if after.get("trial_start").is_none_or(Value::is_null) {
                set(&mut after, "trial_start", json!(cx.now));
            }
            set(&mut after, "trial_end", json!(end));
            set(&mut after, "status", json!("trialing"));
        }
    }
    Ok(cx.update(KIND, &before, after, "customer.subscription.updated"))
}

/// Applies `items` of an update: by id they change, without they are added.
fn changed_items(cx: &mut Cx<'_>, subscription: &str, mut items: Vec<Value>, changes: &[Value]) -> Result<Vec<Value>, ApiError> {
    for (index, change) in changes.iter().enumerate() {
        let Some(id) = change.get("id").and_then(Value::as_str) else {
            items.extend(new_items(cx, subscription, &json!([change]), None)?);
            continue;
        };
        let Some(position) = items.iter().position(|item| text(item, "id") == id) else {
            return Err(ApiError::no_such("subscription_item", id, &format!("items[{index}][id]")));
        };
        if change.get("deleted") == Some(&json!(true)) {
            items.remove(position);
            continue;
        }
        let Some(item) = items.get_mut(position) else {
            continue;
        };
        let quantity = change.get("quantity").and_then(Value::as_i64);
        if let Some(price) = change.get("price").and_then(Value::as_str) {
            let price = cx.get_param("price", price, &format!("items[{index}][price]"))?;
            let quantity = quantity.unwrap_or_else(|| integer(item, "quantity"));
            let mut replaced = new_item(cx, subscription, &price, quantity, None);
            set(&mut replaced, "id", json!(id));
            *item = replaced;
        } else if let Some(quantity) = quantity {
            set(item, "quantity", json!(quantity));
        }
    }
    if items.is_empty() {
        return Err(ApiError::invalid("A subscription must have at least one item."));
    }
    Ok(items)
}

/// `DELETE /v1/subscriptions/{id}`
pub(crate) fn cancel(cx: &mut Cx<'_>, id: &str, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read("cancellation_details{comment feedback} invoice_now:b prorate:b", form)?;
    let mut subscription = cx.get(KIND, id)?;
    if text(&subscription, "status") == "canceled" {
        return Err(ApiError::not_found(KIND, id));
    }
    if let Some(Value::Object(given)) = params.get("cancellation_details")
        && let Some(details) = subscription.get_mut("cancellation_details")
    {
        for (name, value) in given {
            set(details, name, value.clone());
        }
    }
    Ok(end(cx, subscription, "cancellation_requested"))
}

/// Ends a subscription now, and emits `customer.subscription.deleted`.
pub(crate) fn end(cx: &mut Cx<'_>, mut subscription: Value, reason: &str) -> Value {
    set(&mut subscription, "status", json!("canceled"));
    set(&mut subscription, "ended_at", json!(cx.now));
    if subscription.get("canceled_at").is_none_or(Value::is_null) {
        set(&mut subscription, "canceled_at", json!(cx.now));
    }
    if let Some(details) = subscription.get_mut("cancellation_details") {
        set(details, "reason", json!(reason));
    }
    cx.save(KIND, &subscription);
    cx.emit("customer.subscription.deleted", &subscription);
    subscription
}

/// Ends all subscriptions of a customer.
pub(crate) fn cancel_all_of(cx: &mut Cx<'_>, customer: &str) {
    let running: Vec<Value> = cx
        .state
        .table(KIND)
        .rows()
        .filter(|row| text(row, "customer") == customer && text(row, "status") != "canceled")
        .cloned()
        .collect();
    for subscription in running {
        end(cx, subscription, "cancellation_requested");
    }
}

/// `POST /v1/subscriptions/{id}/resume`
pub(crate) fn resume(cx: &mut Cx<'_>, id: &str, form: &Fields) -> Result<Value, ApiError> {
    spec::read("billing_cycle_anchor(now|unchanged) payment_behavior proration_behavior proration_date:i", form)?;
    let before = cx.get(KIND, id)?;
    if text(&before, "status") != "paused" {
        return Err(ApiError::state(
            "subscription_unexpected_state",
            "Only a subscription with the status `paused` can be resumed.",
        ));
    }
    let mut after = before.clone();
    set(&mut after, "status", json!("active"));
    Ok(cx.update(KIND, &before, after, "customer.subscription.updated"))
}

/// `GET /v1/subscription_items`
pub(crate) fn list_items(cx: &mut Cx<'_>, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read("subscription! limit:i starting_after ending_before", form)?;
    let page = list::page(&params)?;
    let id = param(&params, "subscription").unwrap_or_default();
    let subscription = cx.get_param(KIND, id, "subscription")?;
    let mut table = crate::table::Table::default();
    for item in items_of(&subscription).iter().rev() {
        table.put(text(item, "id"), item.clone());
    }
    list::list(&table, "/v1/subscription_items", &page, |_| true, |id, param| ApiError::no_such("subscription_item", id, param))
}

/// `GET /v1/subscriptions`: without canceled ones, unless `status` asks for them.
pub(crate) fn list(cx: &mut Cx<'_>, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read(
        "automatic_tax:o collection_method created:r current_period_end:r current_period_start:r customer customer_account plan price status(active|all|canceled|ended|incomplete|incomplete_expired|past_due|paused|trialing|unpaid) test_clock limit:i starting_after ending_before",
        form,
    )?;
    let page = list::page(&params)?;
    let status = param(&params, "status").map(str::to_owned);
    let price = param(&params, "price").map(str::to_owned);
    list::list(
        cx.state.table(KIND),
        "/v1/subscriptions",
        &page,
        |row| {
            let own = text(row, "status");
            let status_fits = match status.as_deref() {
                None => own != "canceled",
                Some("all") => true,
                Some("ended") => matches!(own, "canceled" | "incomplete_expired"),
                Some(wanted) => own == wanted,
            };
            status_fits
                && ["collection_method", "customer"]
                    .iter()
                    .all(|name| params.get(*name).is_none_or(|wanted| row.get(*name) == Some(wanted)))
                && list::within(params.get("created"), integer(row, "created"))
                && price.as_deref().is_none_or(|wanted| {
                    items_of(row).iter().any(|item| item.get("price").is_some_and(|price| text(price, "id") == wanted))
                })
        },
        |id, param| ApiError::no_such(KIND, id, param),
    )
}
