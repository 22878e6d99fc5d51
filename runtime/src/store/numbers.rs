//! The numbers of events and runs.
//!
//! They are given in the transaction that takes an event in, one after the other, so that their order is that of all that is
//! decided there: which event was first, which run stands before which in its line. Nothing is given before, since what comes
//! at the same time is put into an order there and nowhere else; and nothing has to be remembered over a start but what is
//! stored.

use super::StoreError;
use super::backend::Read;
use super::query;

/// The numbers that were given last, as far as a transaction has asked.
#[derive(Debug, Default)]
pub(super) struct Numbers(Option<(u64, u64)>);

impl Numbers {
    /// Returns the number of the next event.
    pub(super) fn event(&mut self, from: &dyn Read) -> Result<u64, StoreError> {
        let last = self.last(from)?;
        last.0 += 1;
        Ok(last.0)
    }

    /// Returns the number of the next run.
    pub(super) fn run(&mut self, from: &dyn Read) -> Result<u64, StoreError> {
        let last = self.last(from)?;
        last.1 += 1;
        Ok(last.1)
    }

    fn last(&mut self, from: &dyn Read) -> Result<&mut (u64, u64), StoreError> {
        let last = match self.0 {
            Some(last) => last,
            None => query::last_numbers(from)?,
        };
        Ok(self.0.insert(last))
    }
}
