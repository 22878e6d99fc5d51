//! Events as Stripe sends them, signed as Stripe signs them.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::http::{self, Answer};

/// The signing secret of the tests.
pub(crate) const SECRET: &str = "whsec_test_0123456789abcdef";

/// Returns the header for a body signed at `at` seconds.
pub(crate) fn signature_at(secret: &str, at: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{at}.").as_bytes());
    mac.update(body);
    format!("t={at},v1={}", hex::encode(mac.finalize().into_bytes()))
}

/// Posts a body to the stripe connection, signed now.
pub(crate) fn post(server: &str, body: &str) -> Answer {
    let header = signature_at(SECRET, jiff::Timestamp::now().as_second(), body.as_bytes());
    let headers = [("content-type", "application/json"), ("stripe-signature", header.as_str())];
    http::send(server, "POST", "/v1/webhooks/stripe", &headers, body.as_bytes())
}

/// Returns a failed charge; `amount` in minor units.
pub(crate) fn charge_failed(id: &str, amount: i64, currency: &str, email: Option<&str>) -> Value {
    json!({
        "id": format!("evt_{id}"), "object": "event", "api_version": "2026-10-28.endive",
        "created": jiff::Timestamp::now().as_second(),
        "data": { "object": {
            "id": format!("ch_{id}"), "object": "charge", "amount": amount, "amount_captured": 0, "amount_refunded": 0,
            "billing_details": { "address": { "country": "FR", "postal_code": "75001" }, "email": email, "name": null, "phone": null },
            "captured": false, "created": jiff::Timestamp::now().as_second(), "currency": currency, "customer": null,
            "description": null, "disputed": false, "failure_code": "card_declined", "failure_message": "Your card was declined.",
            "livemode": false, "metadata": {},
            "outcome": { "network_status": "declined_by_network", "reason": "generic_decline", "risk_level": "normal", "risk_score": 7,
                "seller_message": "The bank did not say why.", "type": "issuer_declined" },
            "paid": false, "payment_intent": null, "payment_method": null,
            "payment_method_details": { "card": { "brand": "visa", "country": "FR", "exp_month": 4, "exp_year": 2030,
                "fingerprint": "fp_1", "funding": "credit", "last4": "0002" }, "type": "card" },
            "receipt_email": null, "receipt_url": null, "refunded": false, "status": "failed"
        } },
        "livemode": false, "pending_webhooks": 1, "request": { "id": null, "idempotency_key": null }, "type": "charge.failed"
    })
}
