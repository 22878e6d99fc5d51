//! Refunds.

use serde_json::{Value, json};

use super::error::ApiError;
use super::state::{Cx, apply, integer, param, set, text};
use super::{list, money, spec};
use crate::form::Fields;

/// `POST /v1/refunds`
pub(crate) fn create(cx: &mut Cx<'_>, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read(
        "amount:i charge currency customer instructions_email metadata:m origin payment_intent reason(duplicate|fraudulent|requested_by_customer) refund_application_fee:b reverse_transfer:b",
        form,
    )?;
    let charge_id = match (param(&params, "charge"), param(&params, "payment_intent")) {
        (Some(charge), _) => charge.to_owned(),
        (None, Some(intent)) => {
            let intent = cx.get_param("payment_intent", intent, "payment_intent")?;
            let charge = text(&intent, "latest_charge").to_owned();
            if charge.is_empty() {
                return Err(ApiError::state(
                    "payment_intent_unexpected_state",
                    format!("This PaymentIntent ({}) does not have a successful charge to refund.", text(&intent, "id")),
                ));
            }
            charge
        }
        (None, None) => {
            return Err(ApiError::parameter(
                "parameter_missing",
                "charge",
                "One of the following params should be provided for this request: payment_intent or charge.",
            ));
        }
    };
    let charge = cx.get_param("charge", &charge_id, "charge")?;
    let amount = params.get("amount").and_then(Value::as_i64);
    if let Some(amount) = amount {
        money::check_step(amount, text(&charge, "currency"), "amount")?;
    }
    let mut metadata = json!({});
    apply(&mut metadata, &params, &[]);
    let metadata = metadata.get("metadata").cloned().unwrap_or(json!({}));
    make(cx, charge, amount, param(&params, "reason"), &metadata)
}

/// Refunds a part of a charge, or all that is left.
pub(crate) fn make(
    cx: &mut Cx<'_>,
    mut charge: Value,
    amount: Option<i64>,
    reason: Option<&str>,
    metadata: &Value,
) -> Result<Value, ApiError> {
    let id = text(&charge, "id").to_owned();
    if charge.get("refunded") == Some(&json!(true)) {
        return Err(ApiError::state("charge_already_refunded", format!("Charge {id} has already been refunded.")));
    }
    if charge.get("disputed") == Some(&json!(true)) {
        return Err(ApiError::state("charge_disputed", format!("Charge {id} has been charged back; cannot issue a refund.")));
    }
    if charge.get("paid") != Some(&json!(true)) {
        return Err(ApiError::state(
            "charge_not_refundable",
            format!("Charge {id} cannot be refunded, since it did not succeed."),
        ));
    }
    let captured = integer(&charge, "amount_captured");
    let refunded = integer(&charge, "amount_refunded");
    let left = (captured - refunded).max(0);
    let amount = amount.unwrap_or(left);
    if amount < 1 {
        return Err(ApiError::parameter("parameter_invalid_integer", "amount", "Invalid positive integer"));
    }
    if amount > left {
        let mut error = ApiError::parameter(
            "amount_too_large",
            "amount",
            format!("Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"),
        );
        error.executed = true;
        return Err(error);
    }
    let refund_id = cx.id("re_3", 23);
    let transaction = cx.id("txn_3", 23);
    let refund = json!({
        "id": refund_id,
        "object": "refund",
        "amount": amount,
        "balance_transaction": transaction,
        "charge": id,
        "created": cx.now,
        "currency": text(&charge, "currency"),
        "customer": null,
        "customer_account": null,
        "destination_details": {"card": {"reference": null, "reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"}, "type": "card"},
        "metadata": metadata,
        "payment_intent": charge.get("payment_intent"),
        "payment_method": charge.get("payment_method"),
        "reason": reason,
        "receipt_number": null,
        "source_transfer_reversal": null,
        "status": "succeeded",
        "transfer_reversal": null,
    });
    let before = charge.clone();
    set(&mut charge, "amount_refunded", json!(refunded + amount));
    set(&mut charge, "refunded", json!(refunded + amount >= captured));
    cx.save("charge", &charge);
    let refund = cx.create("refund", refund, Some("refund.created"));
    let previous = json!({
        "amount_refunded": before.get("amount_refunded"),
        "refunded": before.get("refunded"),
    });
    super::event::emit(cx, "charge.refunded", &charge, Some(previous));
    Ok(refund)
}

/// `GET /v1/refunds`
pub(crate) fn list(cx: &mut Cx<'_>, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read("charge payment_intent created:r limit:i starting_after ending_before", form)?;
    let page = list::page(&params)?;
    list::list(
        cx.state.table("refund"),
        "/v1/refunds",
        &page,
        |row| {
            ["charge", "payment_intent"].iter().all(|name| params.get(*name).is_none_or(|wanted| row.get(*name) == Some(wanted)))
                && list::within(params.get("created"), integer(row, "created"))
        },
        |id, param| ApiError::no_such("refund", id, param),
    )
}
