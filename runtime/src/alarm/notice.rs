//! Announcements that could not be made together with their cause.
//!
//! Whether a flow is flooded is known only in the transaction that takes the event in, and of many deaths those behind the
//! first few are announced together. The store keeps a notice with the cause; here it becomes an event, in the transaction
//! that takes the notice out, so that it is announced once whatever happens in between.

use std::sync::Arc;

use jiff::Timestamp;

use crate::engine::{self, FLOW, Refused, Shared, take_in};
use crate::event::Incoming;
use crate::store::{Before, BookChange, BookKey, BookRow, NOTICE, Notice, StoreError};
use flow_functions::rfc3339;

/// So many are announced by one transaction.
const AT_ONCE: usize = 64;

/// Announces what is due. Returns when the next is.
pub(crate) async fn announce_due(shared: &Arc<Shared>, now: Timestamp) -> Result<Option<Timestamp>, Refused> {
    loop {
        let (due, next) = shared.store.book_due(NOTICE, now, AT_ONCE)?;
        if due.is_empty() {
            return Ok(next);
        }
        let mut events = Vec::new();
        let mut book = Vec::with_capacity(due.len());
        for (key, row) in due {
            let notice: Notice = row.read()?;
            events.extend(event(shared, &key.owner, &key.key, &notice));
            book.push(taken_out(key, row, &notice, now)?);
        }
        match take_in(shared, FLOW, events, None, book).await {
            // One more death was counted meanwhile: it is read again.
            Ok(_) | Err(Refused::Conflict) => {}
            Err(refused) => return Err(refused),
        }
    }
}

/// The row of deaths stays, so that a burst that goes on is announced together again; all others have said what they had to.
fn taken_out(key: BookKey, row: BookRow, notice: &Notice, now: Timestamp) -> Result<BookChange, StoreError> {
    let goes_on = notice.untold > 0;
    let next = Notice { from: now, told: 0, untold: 0, run: None, ..notice.clone() };
    let next = if goes_on { Some(BookRow::of(&next, None)?) } else { None };
    Ok(BookChange { key, row: next, before: Before::Row(Some(row)) })
}

fn event(shared: &Shared, flow: &str, key: &str, notice: &Notice) -> Option<Incoming> {
    let mut error = notice.error.clone();
    if notice.untold > 0 {
        let (runs, s) = (notice.untold, if notice.untold == 1 { "" } else { "s" });
        error = format!("{runs} more run{s} died since {}; the last: {error}", rfc3339(notice.from));
        tracing::error!(flow, runs, "runs died that were not announced one by one; `flowd dead` lists them");
    }
    let id = format!("{flow}@{}:{key}", rfc3339(notice.from));
    engine::announce_notice(shared, id, flow, &error, notice)
}
