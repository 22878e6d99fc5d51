//! A load of ten kinds of webhooks of three services under three schemes, each as long as the load of the main job.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value as Json, json};
use sha2::Sha256;

use crate::load;

/// What signs those of the courier: the bytes that `COURIER` holds in base64.
const COURIER_KEY: &[u8] = b"a key of the courier, 32 bytes..";
/// The courier's secret as it stands in flow.toml.
pub(crate) const COURIER: &str = "whsec_YSBrZXkgb2YgdGhlIGNvdXJpZXIsIDMyIGJ5dGVzLi4=";
/// What signs those of the shop and of Kustomer.
pub(crate) const SHOP: &str = "a secret of the shop";

/// A flow for each kind, none of which starts: what is measured is accepting.
pub(crate) const FLOWS: &str = r#"
when stripe.charge_failed where amount > 1_000_000 USD do kustomer.create_conversation
when stripe.checkout_completed where amount_total > 1_000_000 USD do kustomer.create_conversation
when stripe.new_customer where email is "nobody@example.org" do kustomer.create_conversation
when stripe.invoice_payment_failed where amount_due > 1_000_000 USD do kustomer.create_conversation
when stripe.new_subscription where status is "unpaid" do stripe.cancel_at_period_end(subscription: id)
when stripe.new_dispute where amount > 1_000_000 USD do kustomer.create_conversation(customer: "5b0a", name: "Dispute {id}")
when kustomer.conversation_created where name is "nothing of this name" do kustomer.close_conversation(conversation: id)
when kustomer.message_received where subject is "nothing of this name" do kustomer.add_note(conversation: require conversation, text: "n")
when courier.received where body.kind is "never" do kustomer.create_conversation(customer: "5b0a", name: "{id}")
when shop.received where body.kind is "never" do kustomer.create_conversation(customer: "5b0a", name: "{id}")
"#;

/// The kinds: the connection, and what an example of the connector has where one is.
const KINDS: [(&str, &str); 10] = [
    ("stripe", include_str!("../../connectors/fixtures/stripe.charge_failed.json")),
    ("stripe", include_str!("../../connectors/fixtures/stripe.checkout_completed.json")),
    ("stripe", include_str!("../../connectors/fixtures/stripe.new_customer.json")),
    ("stripe", include_str!("../../connectors/fixtures/stripe.invoice_payment_failed.json")),
    ("stripe", include_str!("../../connectors/fixtures/stripe.new_subscription.json")),
    ("stripe", include_str!("../../connectors/fixtures/stripe.new_dispute.json")),
    ("kustomer", include_str!("../../connectors/fixtures/kustomer.conversation_created.json")),
    ("kustomer", include_str!("../../connectors/fixtures/kustomer.message_received.json")),
    ("courier", r#"{"kind":"arrived","parcel":"6735"}"#),
    ("shop", r#"{"kind":"sold","article":"6735"}"#),
];

/// Returns the configuration of the four connections, whose services are at `sink`.
pub(crate) fn toml(sink: std::net::SocketAddr) -> String {
    format!(
        r#"[server]
listen = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:0"
[run]
flood = 0
[connections.stripe]
key = "sk_test"
webhook_secret = "{}"
base_url = "http://{sink}"
[connections.kustomer]
api_key = "k"
webhook_secret = "{SHOP}"
base_url = "http://{sink}"
[connections.courier]
connector = "http"
verify = "standard_webhooks"
webhook_secret = "{COURIER}"
[connections.shop]
connector = "http"
verify = "hmac_sha256"
header = "X-Signature"
webhook_secret = "{SHOP}"
"#,
        load::SECRET
    )
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key length is good");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// Returns whole HTTP requests, signed now, the kinds in turns.
pub(crate) fn requests(first: usize, count: usize) -> Vec<Vec<u8>> {
    let at = jiff::Timestamp::now().as_second();
    let length = load::charge(first, 1).len();
    let examples: Vec<Json> = KINDS.iter().map(|(_, text)| serde_json::from_str(text).expect("an example")).collect();
    (first..first + count)
        .map(|number| {
            let kind = number % KINDS.len();
            let (connection, mut body) = (KINDS[kind].0, examples[kind].clone());
            body["id"] = json!(format!("evt_kinds_{number:08}"));
            let missing = length.saturating_sub(body.to_string().len() + r#","filler":"""#.len());
            body["filler"] = json!("x".repeat(missing));
            let body = body.to_string();
            let headers = match connection {
                "stripe" => format!("stripe-signature: t={at},v1={}", load::sign(at, body.as_bytes())),
                "kustomer" => {
                    format!("x-kustomer-webhook-signature: {}", hex::encode(hmac(SHOP.as_bytes(), &[body.as_bytes()])))
                }
                "courier" => {
                    let signed = hmac(COURIER_KEY, &[format!("msg_{number}.{at}.").as_bytes(), body.as_bytes()]);
                    format!(
                        "webhook-id: msg_{number}\r\nwebhook-timestamp: {at}\r\nwebhook-signature: v1,{}",
                        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, signed)
                    )
                }
                _ => format!(
                    "idempotency-key: {number}\r\nx-signature: {}",
                    hex::encode(hmac(SHOP.as_bytes(), &[body.as_bytes()]))
                ),
            };
            format!(
                "POST /v1/webhooks/{connection} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n{headers}\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
            .into_bytes()
        })
        .collect()
}
