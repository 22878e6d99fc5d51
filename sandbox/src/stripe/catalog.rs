//! Products, prices, and line items that name them.

use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::state::{Cx, apply, integer, param, set, text};
use super::{list, money, spec};
use crate::form::Fields;

/// Line items of payment links and checkout sessions, by the id of those.
const LINE_ITEMS: &str = "line_items:by_owner";

/// `POST /v1/products`
pub(crate) fn create_product(cx: &mut Cx<'_>, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read(
        "name! active:b default_price_data{currency! unit_amount:i unit_amount_decimal:d product recurring{interval(day|week|month|year)! interval_count:i} metadata:m tax_behavior custom_unit_amount:o} description id images[] marketing_features:o metadata:m package_dimensions:o shippable:b statement_descriptor tax_code tax_details:o type(good|service) unit_label url",
        form,
    )?;
    new_product(cx, &params)
}

/// Makes a product, and its price where the data brings one.
fn new_product(cx: &mut Cx<'_>, params: &Map<String, Value>) -> Result<Value, ApiError> {
    let id = match param(params, "id") {
        Some(id) if cx.state.table("product").get(id).is_some() => {
            return Err(ApiError::state("resource_already_exists", "Product already exists."));
        }
        Some(id) => id.to_owned(),
        None => cx.id("prod_", 14),
    };
    let mut product = json!({
        "id": id,
        "object": "product",
        "active": true,
        "created": cx.now,
        "default_price": null,
        "description": null,
        "images": [],
        "livemode": false,
        "marketing_features": [],
        "metadata": {},
        "name": null,
        "package_dimensions": null,
        "shippable": null,
        "statement_descriptor": null,
        "tax_code": null,
        "tax_details": null,
        "type": "service",
        "unit_label": null,
        "updated": cx.now,
        "url": null,
    });
    apply(
        &mut product,
        params,
        &[
            "name",
            "active",
            "description",
            "images",
            "shippable",
            "statement_descriptor",
            "tax_code",
            "type",
            "unit_label",
            "url",
        ],
    );
    cx.created = Some(id.clone());
    cx.save("product", &product);
    let price = match params.get("default_price_data").and_then(Value::as_object) {
        Some(data) => {
            let mut data = data.clone();
            data.insert("product".to_owned(), json!(id));
            let price = new_price(cx, &data)?;
            set(&mut product, "default_price", json!(text(&price, "id")));
            Some(price)
        }
        None => None,
    };
    let product = cx.create("product", product, Some("product.created"));
    if let Some(price) = price {
        cx.create("price", price, Some("price.created"));
    }
    Ok(product)
}

/// `POST /v1/products/{id}`
pub(crate) fn update_product(cx: &mut Cx<'_>, id: &str, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read(
        "active:b default_price description images[] marketing_features:o metadata:m name package_dimensions:o shippable:b statement_descriptor tax_code tax_details:o unit_label url",
        form,
    )?;
    let before = cx.get("product", id)?;
    let mut after = before.clone();
    apply(
        &mut after,
        &params,
        &[
            "active",
            "default_price",
            "description",
            "images",
            "name",
            "shippable",
            "statement_descriptor",
            "tax_code",
            "unit_label",
            "url",
        ],
    );
    if after != before {
        set(&mut after, "updated", json!(cx.now));
    }
    Ok(cx.update("product", &before, after, "product.updated"))
}

/// `DELETE /v1/products/{id}`: only without prices.
pub(crate) fn delete_product(cx: &mut Cx<'_>, id: &str) -> Result<Value, ApiError> {
    let product = cx.get("product", id)?;
    if cx.state.table("price").rows().any(|price| text(price, "product") == id) {
        return Err(ApiError::state(
            "resource_in_use",
            "This product cannot be deleted because it has one or more user-created prices.",
        ));
    }
    cx.state.table("product").remove(id);
    cx.emit("product.deleted", &product);
    Ok(json!({"id": id, "object": "product", "deleted": true}))
}

/// `GET /v1/products`
pub(crate) fn list_products(cx: &mut Cx<'_>, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read("active:b created:r ids[] shippable:b type url limit:i starting_after ending_before", form)?;
    let page = list::page(&params)?;
    list::list(
        cx.state.table("product"),
        "/v1/products",
        &page,
        |row| {
            params.get("active").is_none_or(|active| row.get("active") == Some(active))
                && list::within(params.get("created"), integer(row, "created"))
                && params.get("ids").and_then(Value::as_array).is_none_or(|ids| ids.iter().any(|id| row.get("id") == Some(id)))
        },
        |id, param| ApiError::no_such("product", id, param),
    )
}

/// `POST /v1/prices`
pub(crate) fn create_price(cx: &mut Cx<'_>, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read(
        "currency! active:b billing_scheme(per_unit|tiered) currency_options:o custom_unit_amount{enabled:b! maximum:i minimum:i preset:i} lookup_key metadata:m nickname product product_data{name! active:b id metadata:m statement_descriptor tax_code unit_label} recurring{interval(day|week|month|year)! interval_count:i meter trial_period_days:i usage_type(licensed|metered)} tax_behavior(exclusive|inclusive|unspecified) tiers:o tiers_mode transfer_lookup_key:b transform_quantity:o unit_amount:i unit_amount_decimal:d",
        form,
    )?;
    let price = new_price(cx, &params)?;
    Ok(cx.create("price", price, Some("price.created")))
}

/// `POST /v1/prices/{id}`
pub(crate) fn update_price(cx: &mut Cx<'_>, id: &str, form: &Fields) -> Result<Value, ApiError> {
    let params =
        spec::read("active:b currency_options:o lookup_key metadata:m nickname tax_behavior transfer_lookup_key:b", form)?;
    let before = cx.get("price", id)?;
    let mut after = before.clone();
    apply(&mut after, &params, &["active", "lookup_key", "nickname", "tax_behavior"]);
    Ok(cx.update("price", &before, after, "price.updated"))
}

/// `GET /v1/prices`
pub(crate) fn list_prices(cx: &mut Cx<'_>, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read(
        "active:b created:r currency lookup_keys[] product recurring:o type(one_time|recurring) limit:i starting_after ending_before",
        form,
    )?;
    let page = list::page(&params)?;
    list::list(
        cx.state.table("price"),
        "/v1/prices",
        &page,
        |row| {
            ["active", "currency", "product", "type"]
                .iter()
                .all(|name| params.get(*name).is_none_or(|wanted| row.get(*name) == Some(wanted)))
                && list::within(params.get("created"), integer(row, "created"))
                && params
                    .get("lookup_keys")
                    .and_then(Value::as_array)
                    .is_none_or(|keys| keys.iter().any(|key| row.get("lookup_key") == Some(key)))
        },
        |id, param| ApiError::no_such("price", id, param),
    )
}

/// Makes a price, and its product where the data brings one. The price is not yet kept.
pub(crate) fn new_price(cx: &mut Cx<'_>, data: &Map<String, Value>) -> Result<Value, ApiError> {
    let currency = money::currency(data)?;
    let amount = data.get("unit_amount").and_then(Value::as_i64);
    let decimal = data.get("unit_amount_decimal").and_then(Value::as_str);
    let has_other = ["custom_unit_amount", "tiers"].iter().any(|name| data.contains_key(*name));
    if amount.is_none() && decimal.is_none() && !has_other {
        return Err(ApiError::parameter(
            "parameter_missing",
            "unit_amount",
            "Price requires one of `unit_amount`, `unit_amount_decimal`, `custom_unit_amount`, or `tiers`.",
        ));
    }
    if amount.is_some_and(i64::is_negative) {
        return Err(ApiError::parameter(
            "parameter_invalid_integer",
            "unit_amount",
            "This value must be greater than or equal to 0.",
        ));
    }
    if let Some(amount) = amount {
        money::check_step(amount, &currency, "unit_amount")?;
    }
    let product = match (data.get("product").and_then(Value::as_str), data.get("product_data")) {
        (Some(id), None) => text(&cx.get_param("product", id, "product")?, "id").to_owned(),
        (None, Some(product_data)) => {
            let fields = product_data.as_object().cloned().unwrap_or_default();
            text(&new_product(cx, &fields)?, "id").to_owned()
        }
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid("You may only specify one of these parameters: product, product_data."));
        }
        (None, None) => return Err(ApiError::missing("product")),
    };
    let recurring = match data.get("recurring") {
        Some(recurring @ Value::Object(_)) => json!({
            "interval": text(recurring, "interval"),
            "interval_count": integer(recurring, "interval_count").max(1),
            "meter": recurring.get("meter"),
            "trial_period_days": recurring.get("trial_period_days"),
            "usage_type": recurring.get("usage_type").cloned().unwrap_or(json!("licensed")),
        }),
        Some(_) | None => Value::Null,
    };
    let whole = decimal.and_then(|decimal| decimal.parse::<i64>().ok());
    let id = cx.id("price_1", 23);
    let mut price = json!({
        "id": id,
        "object": "price",
        "active": true,
        "billing_scheme": "per_unit",
        "created": cx.now,
        "currency": currency,
        "custom_unit_amount": null,
        "livemode": false,
        "lookup_key": null,
        "metadata": {},
        "nickname": null,
        "product": product,
        "recurring": recurring,
        "tax_behavior": "unspecified",
        "tiers_mode": null,
        "transform_quantity": null,
        "type": if recurring.is_null() { "one_time" } else { "recurring" },
        "unit_amount": amount.or(whole),
        "unit_amount_decimal": decimal.map(str::to_owned).or(amount.map(|amount| amount.to_string())),
    });
    apply(
        &mut price,
        data,
        &["active", "billing_scheme", "custom_unit_amount", "lookup_key", "nickname", "tax_behavior", "tiers_mode"],
    );
    Ok(price)
}

/// Reads line items: keeps them for their owner, and returns the currency and the sum.
pub(crate) fn take_line_items(cx: &mut Cx<'_>, owner: &str, items: &Value) -> Result<Sum, ApiError> {
    let items = items.as_array().cloned().unwrap_or_default();
    let mut sum = Sum::default();
    let mut rows = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let place = format!("line_items[{index}]");
        let price = match (item.get("price").and_then(Value::as_str), item.get("price_data")) {
            (Some(id), None) => {
                let price = cx.get_param("price", id, &format!("{place}[price]"))?;
                if price.get("active") == Some(&json!(false)) {
                    return Err(ApiError::state(
                        "price_inactive",
                        format!("The price specified is inactive. This field only accepts active prices: {id}"),
                    ));
                }
                price
            }
            (None, Some(Value::Object(data))) => {
                let price = new_price(cx, data)?;
                cx.create("price", price, Some("price.created"))
            }
            _ => return Err(ApiError::missing(&format!("{place}[price]"))),
        };
        let quantity =
            item.get("quantity").and_then(Value::as_i64).ok_or_else(|| ApiError::missing(&format!("{place}[quantity]")))?;
        let currency = text(&price, "currency");
        if !sum.currency.is_empty() && sum.currency != currency {
            return Err(ApiError::invalid("All line items must have the same currency."));
        }
        currency.clone_into(&mut sum.currency);
        let amount = money::of_units(&price, quantity);
        sum.amount = sum.amount.saturating_add(amount);
        sum.recurring |= text(&price, "type") == "recurring";
        sum.prices.push((text(&price, "id").to_owned(), quantity));
        let product = cx.find("product", text(&price, "product")).unwrap_or_default();
        let id = cx.id("li_1", 23);
        rows.push(json!({
            "id": id,
            "object": "item",
            "amount_discount": 0,
            "amount_subtotal": amount,
            "amount_tax": 0,
            "amount_total": amount,
            "currency": sum.currency,
            "description": text(&product, "name"),
            "price": price,
            "quantity": quantity,
        }));
    }
    if rows.is_empty() {
        return Err(ApiError::missing("line_items"));
    }
    cx.state.table(LINE_ITEMS).put(owner, json!({"id": owner, "rows": rows}));
    Ok(sum)
}

/// What line items come to.
#[derive(Debug, Default)]
pub(crate) struct Sum {
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) recurring: bool,
    /// Prices with their quantities.
    pub(crate) prices: Vec<(String, i64)>,
}

/// Copies the line items of one owner to another, and returns what they come to.
pub(crate) fn copy_line_items(cx: &mut Cx<'_>, from: &str, to: &str) -> Sum {
    let rows = cx.find(LINE_ITEMS, from).and_then(|row| row.get("rows").cloned()).unwrap_or_default();
    let mut sum = Sum::default();
    for row in rows.as_array().into_iter().flatten() {
        sum.amount = sum.amount.saturating_add(integer(row, "amount_total"));
        text(row, "currency").clone_into(&mut sum.currency);
        if let Some(price) = row.get("price") {
            sum.recurring |= text(price, "type") == "recurring";
            sum.prices.push((text(price, "id").to_owned(), integer(row, "quantity")));
        }
    }
    cx.state.table(LINE_ITEMS).put(to, json!({"id": to, "rows": rows}));
    sum
}

/// Returns the line items of an owner as a list object.
pub(crate) fn line_items(cx: &mut Cx<'_>, owner: &str) -> Value {
    let rows = cx.find(LINE_ITEMS, owner).and_then(|row| row.get("rows").cloned());
    let path = if owner.starts_with("cs_") { "checkout/sessions" } else { "payment_links" };
    json!({
        "object": "list",
        "data": rows.unwrap_or(json!([])),
        "has_more": false,
        "url": format!("/v1/{path}/{owner}/line_items"),
    })
}

/// `GET …/{id}/line_items`, all of them on one page.
pub(crate) fn list_line_items(cx: &mut Cx<'_>, kind: &'static str, id: &str, form: &Fields) -> Result<Value, ApiError> {
    spec::read("limit:i starting_after ending_before", form)?;
    cx.get(kind, id)?;
    Ok(line_items(cx, id))
}
