//! Webhook endpoints: where events are delivered.

use serde_json::{Map, Value, json};
use url::{Host, Url};

use super::error::ApiError;
use super::event::type_matches;
use super::state::{Cx, State, apply, param, set, text};
use super::{list, spec};
use crate::form::Fields;

/// How many endpoints an account may have.
const MOST: usize = 16;
/// The secrets, which only the answer to the creation shows.
const SECRETS: &str = "webhook_endpoint:secret";
const KIND: &str = "webhook_endpoint";

/// Where an event has to go.
#[derive(Debug)]
pub(crate) struct Destination {
    /// `None` for the sandbox's own target.
    pub(crate) endpoint: Option<String>,
    pub(crate) url: String,
    pub(crate) secret: Option<String>,
}

/// Returns where an event of this type goes.
pub(crate) fn destinations(state: &mut State, event_type: &str) -> Vec<Destination> {
    let own = state.webhook_target.clone().map(|url| Destination { endpoint: None, url, secret: None });
    let matching: Vec<(String, String)> = state
        .table(KIND)
        .rows()
        .filter(|endpoint| {
            text(endpoint, "status") == "enabled"
                && endpoint
                    .get("enabled_events")
                    .and_then(Value::as_array)
                    .is_some_and(|types| types.iter().filter_map(Value::as_str).any(|pattern| type_matches(pattern, event_type)))
        })
        .map(|endpoint| (text(endpoint, "id").to_owned(), text(endpoint, "url").to_owned()))
        .collect();
    let secrets = state.table(SECRETS);
    let registered = matching.into_iter().map(|(id, url)| Destination {
        secret: secrets.get(&id).map(|row| text(row, "secret").to_owned()),
        endpoint: Some(id),
        url,
    });
    own.into_iter().chain(registered).collect()
}

/// `POST /v1/webhook_endpoints`
pub(crate) fn create(cx: &mut Cx<'_>, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read("url! enabled_events[]! api_version description metadata:m connect:b", form)?;
    check_url(param(&params, "url").unwrap_or_default())?;
    check_events(&params)?;
    if cx.state.table(KIND).len() >= MOST {
        return Err(ApiError::state(
            "resource_limit_exceeded",
            format!("You have reached the maximum of {MOST} test webhook endpoints."),
        ));
    }
    let id = cx.id("we_1", 23);
    let mut endpoint = json!({
        "id": id,
        "object": KIND,
        "api_version": null,
        "application": null,
        "created": cx.now,
        "description": null,
        "enabled_events": [],
        "livemode": false,
        "metadata": {},
        "status": "enabled",
        "url": null,
    });
    apply(&mut endpoint, &params, &["url", "enabled_events", "api_version", "description"]);
    let secret = cx.id("whsec_", 32);
    cx.state.table(SECRETS).put(&id, json!({"id": id, "secret": secret}));
    let mut shown = cx.create(KIND, endpoint, None);
    set(&mut shown, "secret", json!(secret));
    Ok(shown)
}

/// `POST /v1/webhook_endpoints/{id}`
pub(crate) fn update(cx: &mut Cx<'_>, id: &str, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read("url enabled_events[] description disabled:b metadata:m", form)?;
    let mut endpoint = cx.get(KIND, id)?;
    if let Some(url) = param(&params, "url") {
        check_url(url)?;
    }
    check_events(&params)?;
    apply(&mut endpoint, &params, &["url", "enabled_events", "description"]);
    if let Some(disabled) = params.get("disabled").and_then(Value::as_bool) {
        let status = if disabled { "disabled" } else { "enabled" };
        set(&mut endpoint, "status", json!(status));
    }
    cx.save(KIND, &endpoint);
    Ok(endpoint)
}

/// `DELETE /v1/webhook_endpoints/{id}`
pub(crate) fn delete(cx: &mut Cx<'_>, id: &str) -> Result<Value, ApiError> {
    cx.get(KIND, id)?;
    cx.state.table(KIND).remove(id);
    cx.state.table(SECRETS).remove(id);
    Ok(json!({"id": id, "object": KIND, "deleted": true}))
}

/// `GET /v1/webhook_endpoints`
pub(crate) fn list(cx: &mut Cx<'_>, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read("limit:i starting_after ending_before", form)?;
    let page = list::page(&params)?;
    list::list(cx.state.table(KIND), "/v1/webhook_endpoints", &page, |_| true, |id, param| ApiError::no_such(KIND, id, param))
}

/// What there is of the events that flows are about; of other objects anything is taken.
const EVENTS: &[(&str, &str)] = &[
    ("charge", "captured expired failed pending refunded succeeded updated"),
    ("charge.dispute", "closed created funds_reinstated funds_withdrawn updated"),
    ("charge.refund", "updated"),
    ("checkout.session", "async_payment_failed async_payment_succeeded completed expired"),
    ("coupon", "created deleted updated"),
    ("customer", "created deleted updated"),
    ("customer.discount", "created deleted updated"),
    ("customer.source", "created deleted expiring updated"),
    (
        "customer.subscription",
        "created deleted paused pending_update_applied pending_update_expired resumed trial_will_end updated",
    ),
    (
        "invoice",
        "created deleted finalization_failed finalized marked_uncollectible overdue overpaid paid payment_action_required \
         payment_attempt_required payment_failed payment_succeeded sent upcoming updated voided will_be_due",
    ),
    ("invoiceitem", "created deleted updated"),
    (
        "payment_intent",
        "amount_capturable_updated canceled created partially_funded payment_failed processing requires_action succeeded",
    ),
    ("payment_link", "created updated"),
    ("payout", "canceled created failed paid reconciliation_completed updated"),
    ("price", "created deleted updated"),
    ("product", "created deleted updated"),
    ("promotion_code", "created updated"),
    ("refund", "created failed updated"),
    ("setup_intent", "canceled created requires_action setup_failed succeeded"),
];

/// Refuses types of events that there are none of.
fn check_events(params: &Map<String, Value>) -> Result<(), ApiError> {
    let wanted = params.get("enabled_events").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for (index, event) in wanted.iter().filter_map(Value::as_str).enumerate() {
        let is_known = match event.rsplit_once('.') {
            Some((object, what)) => EVENTS
                .iter()
                .find(|(known, _)| *known == object)
                .is_none_or(|(_, all)| what == "*" || all.split_whitespace().any(|known| known == what)),
            None => event == "*",
        };
        if !is_known {
            let place = format!("enabled_events[{index}]");
            let shown: String = event.chars().take(60).collect();
            return Err(ApiError::parameter("parameter_invalid", &place, format!("Invalid {place}: there is no event {shown}")));
        }
    }
    Ok(())
}

fn check_url(url: &str) -> Result<(), ApiError> {
    let refused = || {
        ApiError::parameter(
            "url_invalid",
            "url",
            "Invalid URL: An explicit scheme (such as https) must be provided, and the host must be publicly accessible.",
        )
    };
    let parsed = Url::parse(url).map_err(|_| refused())?;
    let local = match parsed.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    // Unlike Stripe, the sandbox takes plain HTTP to this machine: it has no other way to deliver.
    match parsed.scheme() {
        "https" => Ok(()),
        "http" if local => Ok(()),
        _ => Err(refused()),
    }
}
