//! Which request goes where.

use serde_json::{Value, json};

use super::error::ApiError;
use super::state::Cx;
use super::{
    catalog, charge, checkout, coupon, customer, dispute, endpoint, event, expand, invoice, payment_intent, payment_link,
    payment_method, payout, portal, refund, spec, subscription,
};
use crate::form::{self, Fields};
use crate::http::Request;

/// Answers an admitted request.
pub(crate) fn answer(cx: &mut Cx<'_>, request: &Request) -> Result<Value, ApiError> {
    let form = form::decode(&[request.query.as_bytes(), &request.body])
        .map_err(|error| ApiError::invalid(format!("Invalid request: {error}")))?;
    let unknown = || ApiError::unknown_url(&request.method, &request.path);
    let path = request.path.strip_prefix("/v1/").ok_or_else(unknown)?;
    let decoded: Vec<String> = path
        .trim_end_matches('/')
        .split('/')
        .map(|part| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned())
        .collect();
    let path: Vec<&str> = decoded.iter().map(String::as_str).collect();
    let expansions = expand::paths(&form)?;
    let object = dispatch(cx, &request.method, &path, &form).unwrap_or_else(|| Err(unknown()))?;
    expand::expand(cx, object, &expansions)
}

fn dispatch(cx: &mut Cx<'_>, method: &str, path: &[&str], form: &Fields) -> Option<Result<Value, ApiError>> {
    Some(match (method, path) {
        ("POST", ["customers"]) => customer::create(cx, form),
        ("GET", ["customers"]) => customer::list(cx, form),
        ("GET", ["customers", "search"]) => customer::search(cx, form),
        ("GET", ["customers", id]) => plain(form, || customer::get(cx, id)),
        ("POST", ["customers", id]) => customer::update(cx, id, form),
        ("DELETE", ["customers", id]) => plain(form, || customer::delete(cx, id)),
        ("POST", ["customers", id, "balance_transactions"]) => customer::add_balance(cx, id, form),
        ("GET", ["customers", id, "balance_transactions"]) => customer::list_balance(cx, id, form),
        ("GET", ["customers", id, "payment_methods"]) => payment_method::list(cx, Some(id), form),

        ("POST", ["products"]) => catalog::create_product(cx, form),
        ("GET", ["products"]) => catalog::list_products(cx, form),
        ("GET", ["products", id]) => plain(form, || cx.get("product", id)),
        ("POST", ["products", id]) => catalog::update_product(cx, id, form),
        ("DELETE", ["products", id]) => plain(form, || catalog::delete_product(cx, id)),
        ("POST", ["prices"]) => catalog::create_price(cx, form),
        ("GET", ["prices"]) => catalog::list_prices(cx, form),
        ("GET", ["prices", id]) => plain(form, || cx.get("price", id)),
        ("POST", ["prices", id]) => catalog::update_price(cx, id, form),

        ("POST", ["coupons"]) => coupon::create(cx, form),
        ("GET", ["coupons"]) => simple_list(cx, form, "coupon", "/v1/coupons"),
        ("GET", ["coupons", id]) => plain(form, || cx.get("coupon", id)),
        ("POST", ["coupons", id]) => coupon::update(cx, id, form),
        ("DELETE", ["coupons", id]) => plain(form, || coupon::delete(cx, id)),
        ("POST", ["promotion_codes"]) => coupon::create_promotion_code(cx, form),
        ("GET", ["promotion_codes"]) => coupon::list_promotion_codes(cx, form),
        ("POST", ["promotion_codes", id]) => coupon::update_promotion_code(cx, id, form),
        ("GET", ["promotion_codes", id]) => plain(form, || cx.get("promotion_code", id)),

        ("POST", ["payment_links"]) => payment_link::create(cx, form),
        ("GET", ["payment_links"]) => payment_link::list(cx, form),
        ("GET", ["payment_links", id]) => plain(form, || cx.get("payment_link", id)),
        ("POST", ["payment_links", id]) => payment_link::update(cx, id, form),
        ("GET", ["payment_links", id, "line_items"]) => catalog::list_line_items(cx, "payment_link", id, form),
        ("POST", ["checkout", "sessions"]) => checkout::create(cx, form),
        ("GET", ["checkout", "sessions"]) => checkout::list(cx, form),
        ("GET", ["checkout", "sessions", id]) => plain(form, || cx.get("checkout.session", id)),
        ("POST", ["checkout", "sessions", id, "expire"]) => plain(form, || checkout::expire(cx, id)),
        ("GET", ["checkout", "sessions", id, "line_items"]) => catalog::list_line_items(cx, "checkout.session", id, form),

        ("POST", ["payment_intents"]) => payment_intent::create(cx, form),
        ("GET", ["payment_intents"]) => payment_intent::list(cx, form),
        ("GET", ["payment_intents", "search"]) => payment_intent::search(cx, form),
        ("GET", ["payment_intents", id]) => payment_intent::get(cx, id, form),
        ("POST", ["payment_intents", id]) => payment_intent::update(cx, id, form),
        ("POST", ["payment_intents", id, "confirm"]) => payment_intent::confirm(cx, id, form),
        ("POST", ["payment_intents", id, "capture"]) => payment_intent::capture(cx, id, form),
        ("POST", ["payment_intents", id, "cancel"]) => payment_intent::cancel(cx, id, form),
        ("GET", ["charges"]) => charge::list(cx, form),
        ("GET", ["charges", id]) => plain(form, || cx.get("charge", id)),
        ("POST", ["charges", id]) => charge::update(cx, id, form),
        ("POST", ["refunds"]) => refund::create(cx, form),
        ("GET", ["refunds"]) => refund::list(cx, form),
        ("GET", ["refunds", id]) => plain(form, || cx.get("refund", id)),
        ("GET", ["payment_methods"]) => payment_method::list(cx, None, form),
        ("GET", ["payment_methods", id]) => plain(form, || cx.get("payment_method", id)),
        ("POST", ["payment_methods", id, "attach"]) => payment_method::attach(cx, id, form),
        ("POST", ["payment_methods", id, "detach"]) => plain(form, || payment_method::detach(cx, id)),

        ("POST", ["invoices"]) => invoice::create(cx, form),
        ("GET", ["invoices"]) => invoice::list(cx, form),
        ("GET", ["invoices", id]) => plain(form, || cx.get("invoice", id)),
        ("POST", ["invoices", id]) => invoice::update(cx, id, form),
        ("DELETE", ["invoices", id]) => plain(form, || invoice::delete(cx, id)),
        ("POST", ["invoices", id, "finalize"]) => invoice::finalize_request(cx, id, form),
        ("POST", ["invoices", id, "send"]) => plain(form, || invoice::send(cx, id)),
        ("POST", ["invoices", id, "pay"]) => invoice::pay(cx, id, form),
        ("POST", ["invoices", id, "void"]) => plain(form, || invoice::void(cx, id)),
        ("POST", ["invoices", id, "mark_uncollectible"]) => plain(form, || invoice::mark_uncollectible(cx, id)),
        ("POST", ["invoiceitems"]) => invoice::create_item(cx, form),
        ("GET", ["invoiceitems"]) => invoice::list_items(cx, form),
        ("GET", ["invoices", id, "lines"]) => invoice::list_lines(cx, id, form),
        ("GET", ["invoiceitems", id]) => plain(form, || cx.get("invoiceitem", id)),

        ("POST", ["subscriptions"]) => subscription::create(cx, form),
        ("GET", ["subscriptions"]) => subscription::list(cx, form),
        ("GET", ["subscription_items"]) => subscription::list_items(cx, form),
        ("GET", ["subscriptions", id]) => plain(form, || cx.get("subscription", id)),
        ("POST", ["subscriptions", id]) => subscription::update(cx, id, form),
        ("DELETE", ["subscriptions", id]) => subscription::cancel(cx, id, form),
        ("POST", ["subscriptions", id, "resume"]) => subscription::resume(cx, id, form),

        ("GET", ["disputes"]) => simple_list(cx, form, "dispute", "/v1/disputes"),
        ("GET", ["disputes", id]) => plain(form, || cx.get("dispute", id)),
        ("POST", ["disputes", id]) => dispute::update(cx, id, form),
        ("POST", ["disputes", id, "close"]) => plain(form, || dispute::close(cx, id)),

        ("POST", ["billing_portal", "sessions"]) => portal::create(cx, form),
        ("GET", ["payouts"]) => payout::list(cx, form),
        ("GET", ["payouts", id]) => plain(form, || cx.get("payout", id)),
        ("GET", ["balance"]) => plain(form, || Ok(charge::balance(cx))),
        ("GET", ["account"]) => plain(form, || Ok(account())),

        ("GET", ["events"]) => event::list(cx, form),
        ("GET", ["events", id]) => plain(form, || event::get(cx, id)),
        ("POST", ["webhook_endpoints"]) => endpoint::create(cx, form),
        ("GET", ["webhook_endpoints"]) => endpoint::list(cx, form),
        ("GET", ["webhook_endpoints", id]) => plain(form, || cx.get("webhook_endpoint", id)),
        ("POST", ["webhook_endpoints", id]) => endpoint::update(cx, id, form),
        ("DELETE", ["webhook_endpoints", id]) => plain(form, || endpoint::delete(cx, id)),
        _ => return None,
    })
}

/// Answers a request that takes no parameters.
fn plain(form: &Fields, answer: impl FnOnce() -> Result<Value, ApiError>) -> Result<Value, ApiError> {
    spec::read("", form)?;
    answer()
}

/// A list without filters of its own.
fn simple_list(cx: &mut Cx<'_>, form: &Fields, kind: &'static str, url: &str) -> Result<Value, ApiError> {
    let params = spec::read("created:r limit:i starting_after ending_before", form)?;
    let page = super::list::page(&params)?;
    super::list::list(
        cx.state.table(kind),
        url,
        &page,
        |row| super::list::within(params.get("created"), super::state::integer(row, "created")),
        |id, param| ApiError::no_such(kind, id, param),
    )
}

fn account() -> Value {
    json!({
        "id": "acct_1Sandbox000000000",
        "object": "account",
        "business_profile": {"name": "Flow Sandbox"},
        "charges_enabled": true,
        "country": "US",
        "default_currency": "usd",
        "email": "sandbox@example.com",
        "settings": {"dashboard": {"display_name": "Flow Sandbox", "timezone": "Etc/UTC"}},
        "type": "standard",
    })
}
