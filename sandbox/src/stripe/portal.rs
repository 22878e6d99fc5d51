//! Sessions of the billing portal.

use serde_json::{Value, json};

use super::error::ApiError;
use super::state::{Cx, apply, param};
use super::{customer, spec};
use crate::form::Fields;

/// `POST /v1/billing_portal/sessions`
pub(crate) fn create(cx: &mut Cx<'_>, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read(
        "customer! configuration customer_account flow_data:o locale on_behalf_of return_url after_expiration:o",
        form,
    )?;
    let id = param(&params, "customer").unwrap_or_default();
    customer::named(cx, id)?;
    let session_id = cx.id("bps_1", 23);
    let url = cx.id("https://billing.stripe.com/p/session/test_", 24);
    let mut session = json!({
        "id": session_id,
        "object": "billing_portal.session",
        "configuration": "bpc_1Sandbox00000000000000",
        "created": cx.now,
        "customer": id,
        "customer_account": null,
        "flow": null,
        "livemode": false,
        "locale": null,
        "on_behalf_of": null,
        "return_url": null,
        "url": url,
    });
    apply(&mut session, &params, &["configuration", "locale", "on_behalf_of", "return_url"]);
    Ok(cx.create("billing_portal.session", session, Some("billing_portal.session.created")))
}
