//! Payouts: the account's money on its way to a bank. They only happen; nobody asks for them here.

use serde_json::{Value, json};

use super::error::ApiError;
use super::state::{Cx, integer};
use super::{list, spec};
use crate::form::Fields;

const KIND: &str = "payout";

/// Makes a payout that arrived, or did not, and emits its event.
pub(crate) fn end(cx: &mut Cx<'_>, amount: i64, currency: &str, failed: bool) -> Value {
    let id = cx.id("po_1", 23);
    let transaction = cx.id("txn_1", 23);
    let destination = cx.id("ba_1", 23);
    let payout = json!({
        "id": id,
        "object": KIND,
        "amount": amount,
        "application_fee": null,
        "application_fee_amount": null,
        "arrival_date": cx.now,
        "automatic": true,
        "balance_transaction": transaction,
        "created": cx.now,
        "currency": currency,
        "description": "STRIPE PAYOUT",
        "destination": destination,
        "failure_balance_transaction": null,
        "failure_code": failed.then_some("account_closed"),
        "failure_message": failed.then_some("The bank account has been closed"),
        "livemode": false,
        "metadata": {},
        "method": "standard",
        "original_payout": null,
        "reconciliation_status": "completed",
        "reversed_by": null,
        "source_type": "card",
        "statement_descriptor": null,
        "status": if failed { "failed" } else { "paid" },
        "trace_id": null,
        "type": "bank_account",
    });
    cx.create(KIND, payout, Some(if failed { "payout.failed" } else { "payout.paid" }))
}

/// `GET /v1/payouts`
pub(crate) fn list(cx: &mut Cx<'_>, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read("arrival_date:r created:r destination status limit:i starting_after ending_before", form)?;
    let page = list::page(&params)?;
    list::list(
        cx.state.table(KIND),
        "/v1/payouts",
        &page,
        |row| {
            params.get("status").is_none_or(|wanted| row.get("status") == Some(wanted))
                && list::within(params.get("created"), integer(row, "created"))
        },
        |id, param| ApiError::no_such(KIND, id, param),
    )
}
