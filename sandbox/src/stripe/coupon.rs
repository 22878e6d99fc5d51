//! Coupons and promotion codes.

use serde_json::{Value, json};

use super::error::ApiError;
use super::state::{Cx, apply, integer, param, set, text};
use super::{list, money, spec};
use crate::form::Fields;

/// `POST /v1/coupons`
pub(crate) fn create(cx: &mut Cx<'_>, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read(
        "amount_off:i applies_to:o currency currency_options:o duration(forever|once|repeating) duration_in_months:i id max_redemptions:i metadata:m name percent_off:d redeem_by:i",
        form,
    )?;
    if params.contains_key("amount_off") == params.contains_key("percent_off") {
        return Err(ApiError::parameter("parameter_missing", "percent_off", "You must pass either percent_off or amount_off."));
    }
    if let Some(amount) = params.get("amount_off").and_then(Value::as_i64) {
        let currency = money::currency(&params)?;
        money::check_step(amount, &currency, "amount_off")?;
    }
    if param(&params, "duration") == Some("repeating") && !params.contains_key("duration_in_months") {
        return Err(ApiError::missing("duration_in_months"));
    }
    let percent = match param(&params, "percent_off").map(str::parse::<f64>) {
        None => Value::Null,
        Some(Ok(percent)) if percent > 0.0 && percent <= 100.0 => json!(percent),
        Some(_) => {
            return Err(ApiError::parameter(
                "parameter_invalid",
                "percent_off",
                "Invalid percent_off: must be greater than 0 and at most 100.",
            ));
        }
    };
    let id = match param(&params, "id") {
        Some(id) if cx.state.table("coupon").get(id).is_some() => {
            return Err(ApiError::state("resource_already_exists", "Coupon already exists."));
        }
        Some(id) => id.to_owned(),
        None => cx.id("", 8),
    };
    let mut coupon = json!({
        "id": id,
        "object": "coupon",
        "amount_off": null,
        "created": cx.now,
        "currency": null,
        "duration": "once",
        "duration_in_months": null,
        "livemode": false,
        "max_redemptions": null,
        "metadata": {},
        "name": null,
        "percent_off": percent,
        "redeem_by": null,
        "times_redeemed": 0,
        "valid": true,
    });
    apply(
        &mut coupon,
        &params,
        &["amount_off", "currency", "duration", "duration_in_months", "max_redemptions", "name", "redeem_by"],
    );
    Ok(cx.create("coupon", coupon, Some("coupon.created")))
}

/// `DELETE /v1/coupons/{id}`
pub(crate) fn delete(cx: &mut Cx<'_>, id: &str) -> Result<Value, ApiError> {
    let coupon = cx.get("coupon", id)?;
    cx.state.table("coupon").remove(id);
    cx.emit("coupon.deleted", &coupon);
    Ok(json!({"id": id, "object": "coupon", "deleted": true}))
}

/// `POST /v1/promotion_codes`
pub(crate) fn create_promotion_code(cx: &mut Cx<'_>, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read(
        "promotion{type(coupon)! coupon!}! active:b code customer customer_account expires_at:i max_redemptions:i metadata:m restrictions:o",
        form,
    )?;
    let coupon = params.get("promotion").map(|promotion| text(promotion, "coupon")).unwrap_or_default();
    cx.get_param("coupon", coupon, "promotion[coupon]")?;
    if let Some(customer) = param(&params, "customer") {
        super::customer::named(cx, customer)?;
    }
    let code = match param(&params, "code") {
        Some(code) => code.to_owned(),
        None => cx.id("", 8).to_uppercase(),
    };
    let taken = cx
        .state
        .table("promotion_code")
        .rows()
        .any(|row| text(row, "code").eq_ignore_ascii_case(&code) && row.get("active") == Some(&json!(true)));
    if taken {
        return Err(ApiError::state(
            "resource_already_exists",
            format!("An active promotion code with `code: {code}` already exists."),
        ));
    }
    let id = cx.id("promo_1", 23);
    let mut promotion = json!({
        "id": id,
        "object": "promotion_code",
        "active": true,
        "code": code,
        "created": cx.now,
        "customer": null,
        "customer_account": null,
        "expires_at": null,
        "livemode": false,
        "max_redemptions": null,
        "metadata": {},
        "promotion": {"coupon": coupon, "type": "coupon"},
        "restrictions": {"first_time_transaction": false, "minimum_amount": null, "minimum_amount_currency": null},
        "times_redeemed": 0,
    });
    apply(&mut promotion, &params, &["active", "customer", "expires_at", "max_redemptions"]);
    if let (Some(Value::Object(given)), Some(shown)) = (params.get("restrictions"), promotion.get_mut("restrictions")) {
        for (name, value) in given {
            let read = match (name.as_str(), value.as_str()) {
                ("first_time_transaction", Some(text)) => text.parse::<bool>().map(Value::from).ok(),
                ("minimum_amount", Some(text)) => text.parse::<i64>().map(Value::from).ok(),
                ("minimum_amount_currency", Some(_)) => Some(value.clone()),
                _ => None,
            };
            let place = format!("restrictions[{name}]");
            let read = read.ok_or_else(|| ApiError::parameter("parameter_invalid", &place, format!("Invalid {name}")))?;
            set(shown, name, read);
        }
    }
    set(&mut promotion, "code", json!(code));
    Ok(cx.create("promotion_code", promotion, Some("promotion_code.created")))
}

/// `POST /v1/coupons/{id}`
pub(crate) fn update(cx: &mut Cx<'_>, id: &str, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read("currency_options:o metadata:m name", form)?;
    let before = cx.get("coupon", id)?;
    let mut after = before.clone();
    apply(&mut after, &params, &["name"]);
    Ok(cx.update("coupon", &before, after, "coupon.updated"))
}

/// `GET /v1/promotion_codes`
pub(crate) fn list_promotion_codes(cx: &mut Cx<'_>, form: &Fields) -> Result<Value, ApiError> {
    let params =
        spec::read("active:b code coupon customer customer_account created:r limit:i starting_after ending_before", form)?;
    let page = list::page(&params)?;
    let is = |name: &str, found: Option<&Value>| params.get(name).is_none_or(|wanted| found == Some(wanted));
    let has_code = |row: &Value| param(&params, "code").is_none_or(|code| text(row, "code").eq_ignore_ascii_case(code));
    list::list(
        cx.state.table("promotion_code"),
        "/v1/promotion_codes",
        &page,
        |row| {
            has_code(row)
                && is("active", row.get("active"))
                && is("coupon", row.pointer("/promotion/coupon"))
                && is("customer", row.get("customer"))
                && list::within(params.get("created"), integer(row, "created"))
        },
        |id, param| ApiError::no_such("promotion_code", id, param),
    )
}

/// `POST /v1/promotion_codes/{id}`
pub(crate) fn update_promotion_code(cx: &mut Cx<'_>, id: &str, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read("active:b metadata:m restrictions:o", form)?;
    let before = cx.get("promotion_code", id)?;
    let mut after = before.clone();
    apply(&mut after, &params, &["active"]);
    Ok(cx.update("promotion_code", &before, after, "promotion_code.updated"))
}

/// Returns how much a coupon takes off an amount.
pub(crate) fn off(coupon: &Value, amount: i64) -> i64 {
    if let Some(off) = coupon.get("amount_off").and_then(Value::as_i64) {
        return off.min(amount);
    }
    // A percentage has at most two decimals: hundredths of a percent are whole numbers.
    let percent = coupon.get("percent_off").and_then(Value::as_f64).unwrap_or_default();
    let share = format!("{:.0}", percent * 100.0).parse::<i128>().unwrap_or_default();
    let off = (i128::from(amount) * share + 5_000) / 10_000;
    i64::try_from(off).unwrap_or(amount).min(amount)
}
