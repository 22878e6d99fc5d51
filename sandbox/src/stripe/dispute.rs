//! Disputes.

use serde_json::{Value, json};

use super::error::ApiError;
use super::spec;
use super::state::{Cx, apply, integer, set, text};
use crate::form::Fields;

const KIND: &str = "dispute";
const EVIDENCE: &[&str] = &[
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
];
/// How long evidence may be sent, in seconds.
const RESPONSE_TIME: i64 = 14 * 24 * 3_600;

/// Opens a dispute about a charge.
pub(crate) fn open(cx: &mut Cx<'_>, mut charge: Value, reason: &str) -> Value {
    let id = cx.id("du_1", 23);
    let mut evidence: Value =
        EVIDENCE.iter().map(|name| ((*name).to_owned(), Value::Null)).collect::<serde_json::Map<_, _>>().into();
    set(&mut evidence, "enhanced_evidence", json!({}));
    let dispute = json!({
        "id": id,
        "object": KIND,
        "amount": integer(&charge, "amount"),
        "balance_transactions": [],
        "charge": text(&charge, "id"),
        "created": cx.now,
        "currency": text(&charge, "currency"),
        "enhanced_eligibility_types": [],
        "evidence": evidence,
        "evidence_details": {
            "due_by": cx.now + RESPONSE_TIME,
            "enhanced_eligibility": {},
            "has_evidence": false,
            "past_due": false,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "intended_submission_method": null,
        "is_charge_refundable": false,
        "livemode": false,
        "metadata": {},
        "network_reason_code": "10.4",
        "payment_intent": charge.get("payment_intent"),
        "payment_method_details": {
            "card": {"brand": "visa", "case_type": "chargeback", "network_reason_code": "10.4"},
            "type": "card",
        },
        "reason": reason,
        "status": "needs_response",
    });
    set(&mut charge, "disputed", json!(true));
    cx.save("charge", &charge);
    cx.create(KIND, dispute, Some("charge.dispute.created"))
}

/// Decides a dispute as the bank does: "won" or "lost".
pub(crate) fn decide(cx: &mut Cx<'_>, mut dispute: Value, status: &str) -> Value {
    set(&mut dispute, "status", json!(status));
    cx.save(KIND, &dispute);
    cx.emit("charge.dispute.closed", &dispute);
    dispute
}

/// `POST /v1/disputes/{id}`
pub(crate) fn update(cx: &mut Cx<'_>, id: &str, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read("evidence:o intended_submission_method metadata:m submit:b", form)?;
    let before = cx.get(KIND, id)?;
    expect_open(&before)?;
    let mut after = before.clone();
    apply(&mut after, &params, &["intended_submission_method"]);
    let submitted = params.get("submit") == Some(&json!(true));
    let sent = params.get("evidence").and_then(Value::as_object);
    for (name, value) in sent.into_iter().flatten() {
        if !EVIDENCE.contains(&name.as_str()) && name != "enhanced_evidence" {
            return Err(ApiError::parameter(
                "parameter_unknown",
                &format!("evidence[{name}]"),
                format!("Received unknown parameter: evidence[{name}]"),
            ));
        }
        if let Some(evidence) = after.get_mut("evidence") {
            set(evidence, name, value.clone());
        }
    }
    if let Some(details) = after.get_mut("evidence_details") {
        if sent.is_some_and(|sent| !sent.is_empty()) {
            set(details, "has_evidence", json!(true));
        }
        if submitted {
            let count = integer(details, "submission_count") + 1;
            set(details, "submission_count", json!(count));
            set(details, "submission_method", json!("manual"));
        }
    }
    if submitted {
        set(&mut after, "status", json!("under_review"));
    }
    Ok(cx.update(KIND, &before, after, "charge.dispute.updated"))
}

/// `POST /v1/disputes/{id}/close`: concedes.
pub(crate) fn close(cx: &mut Cx<'_>, id: &str) -> Result<Value, ApiError> {
    let dispute = cx.get(KIND, id)?;
    expect_open(&dispute)?;
    Ok(decide(cx, dispute, "lost"))
}

fn expect_open(dispute: &Value) -> Result<(), ApiError> {
    match text(dispute, "status") {
        "needs_response" | "warning_needs_response" => Ok(()),
        status => {
            Err(ApiError::state("dispute_already_responded", format!("This dispute is {status}; it can no longer be changed.")))
        }
    }
}
