//! The whole of a store over a backend.

/// Gives a backend's wrapper the whole of [`super::Store`].
macro_rules! store_over_db {
    ($name:ty) => {
        impl $crate::store::Store for $name {
            fn accept(
                &self,
                batch: $crate::store::AcceptBatch,
            ) -> $crate::world::BoxFuture<'static, Result<Vec<$crate::store::AcceptedEvent>, $crate::store::StoreError>> {
                self.db.accept(batch)
            }
            fn hold(&self, connection: &str, ids: &[&str]) -> $crate::store::Hold {
                self.db.hold(connection, ids)
            }
            fn take_in(
                &self,
                batch: $crate::store::AcceptBatch,
                hold: $crate::store::Hold,
                after: $crate::store::After,
            ) -> $crate::world::BoxFuture<'static, Result<$crate::store::TakenIn, $crate::store::StoreError>> {
                self.db.take_in(batch, hold, after)
            }
            fn caught_up(&self) -> $crate::world::BoxFuture<'static, Result<(), $crate::store::StoreError>> {
                self.db.caught_up()
            }
            fn update(
                &self,
                runs: Vec<$crate::store::RunUpdate>,
            ) -> $crate::world::BoxFuture<'static, Result<(), $crate::store::StoreError>> {
                self.db.update(runs)
            }
            fn update_and_accept(
                &self,
                runs: Vec<$crate::store::RunUpdate>,
                batch: $crate::store::AcceptBatch,
            ) -> $crate::world::BoxFuture<'static, Result<Vec<$crate::store::AcceptedEvent>, $crate::store::StoreError>> {
                self.db.update_and_accept(runs, batch)
            }
            fn set_paused(
                &self,
                flow: &str,
                at: Option<jiff::Timestamp>,
            ) -> $crate::world::BoxFuture<'static, Result<(), $crate::store::StoreError>> {
                self.db.set_paused(flow, at)
            }
            fn end_alarm(
                &self,
                key: $crate::store::AlarmKey,
            ) -> $crate::world::BoxFuture<'static, Result<(), $crate::store::StoreError>> {
                self.db.end_alarm(key)
            }
            fn alarms(&self) -> Result<Vec<($crate::store::AlarmKey, $crate::store::Alarm)>, $crate::store::StoreError> {
                self.db.read($crate::store::alarms::all)
            }
            fn prune(
                &self,
                bite: $crate::store::PruneBite,
            ) -> $crate::world::BoxFuture<'static, Result<$crate::store::Pruned, $crate::store::StoreError>> {
                self.db.prune(&bite)
            }
            fn replay(
                &self,
                batch: $crate::store::ReplayBatch,
            ) -> $crate::world::BoxFuture<'static, Result<Vec<$crate::store::Replayed>, $crate::store::StoreError>> {
                self.db.replay(batch)
            }
            fn settle(
                &self,
                run: &str,
                entries: u32,
            ) -> $crate::world::BoxFuture<'static, Result<(), $crate::store::StoreError>> {
                self.db.settle(run, entries)
            }
            fn begin_held(
                &self,
                run: &str,
                entries: u32,
                now: jiff::Timestamp,
            ) -> $crate::world::BoxFuture<'static, Result<Option<jiff::Timestamp>, $crate::store::StoreError>> {
                self.db.begin_held(run, entries, now)
            }
            fn offered(&self, events: Vec<u64>) -> $crate::world::BoxFuture<'static, Result<(), $crate::store::StoreError>> {
                self.db.offered(events)
            }
            fn turns(&self) -> Vec<$crate::store::Turn> {
                self.db.turns()
            }
            fn to_offer(&self, limit: usize) -> Result<Vec<u64>, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::awaited::to_offer(from, limit))
            }
            fn await_kinds(
                &self,
                connection: &str,
                source: &str,
            ) -> Result<Vec<(String, $crate::store::AwaitKind)>, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::awaited::kinds(from, connection, source))
            }
            fn awaiting(
                &self,
                by: (&str, &str, &str),
                key: Option<&[u8; 16]>,
                after: Option<&str>,
                limit: usize,
            ) -> Result<Vec<String>, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::awaited::runs(from, by, key, after, limit))
            }
            fn events_after(
                &self,
                after: u64,
                source: (&str, &str),
                limit: usize,
            ) -> Result<(Vec<$crate::store::StoredEvent>, Option<u64>), $crate::store::StoreError> {
                self.db.read(|from| $crate::store::awaited::events_after(from, after, source, limit))
            }
            fn events_from(&self, from: u64, limit: usize) -> Result<Vec<$crate::store::StoredEvent>, $crate::store::StoreError> {
                self.db.read(|reader| $crate::store::query::events_from(reader, from, limit))
            }
            fn drops(&self, event: u64) -> Result<Vec<(String, String)>, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::query::drops(from, event))
            }
            fn check(&self) -> Result<(), $crate::store::StoreError> {
                self.db.check()
            }
            fn event(&self, seq: u64) -> Result<Option<$crate::store::StoredEvent>, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::query::event(from, seq))
            }
            fn event_seq(&self, connection: &str, id: &str) -> Result<Option<u64>, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::query::event_seq(from, connection, id))
            }
            fn event_seqs(&self, id: &str) -> Result<Vec<(String, u64)>, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::query::event_seqs(from, id))
            }
            fn events(
                &self,
                query: &$crate::store::EventQuery,
            ) -> Result<Vec<$crate::store::StoredEvent>, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::query::events(from, query))
            }
            fn runs_of_event(&self, seq: u64) -> Result<Vec<String>, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::query::runs_of_event(from, seq))
            }
            fn run(&self, id: &str) -> Result<Option<$crate::store::RunHead>, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::query::run(from, id))
            }
            fn journal(&self, id: &str) -> Result<Vec<$crate::journal::Entry>, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::query::journal(from, id))
            }
            fn runs(&self, query: &$crate::store::RunQuery) -> Result<Vec<$crate::store::RunHead>, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::query::runs(from, query))
            }
            fn active(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::query::active(from, after, limit))
            }
            fn counts(&self) -> Result<(u64, u64), $crate::store::StoreError> {
                self.db.read($crate::store::query::counts)
            }
            fn plans(&self) -> Result<Vec<String>, $crate::store::StoreError> {
                self.db.read($crate::store::query::plans)
            }
            fn plan(&self, hash: &str) -> Result<Option<std::sync::Arc<flow_plan::Flow>>, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::query::plan(from, hash))
            }
            fn due(
                &self,
                now: jiff::Timestamp,
                limit: usize,
            ) -> Result<(Vec<String>, Option<jiff::Timestamp>), $crate::store::StoreError> {
                self.db.read(|from| $crate::store::query::due(from, now, limit))
            }
            fn timers(
                &self,
                from: jiff::Timestamp,
                until: jiff::Timestamp,
                limit: usize,
            ) -> Result<(Vec<String>, Option<jiff::Timestamp>), $crate::store::StoreError> {
                self.db.read(|reader| $crate::store::query::timers(reader, from, until, limit))
            }
            fn cursors(&self) -> Result<Vec<(String, String, $crate::event::Cursor)>, $crate::store::StoreError> {
                self.db.read($crate::store::query::cursors)
            }
            fn book_row(
                &self,
                key: &$crate::store::BookKey,
            ) -> Result<Option<$crate::store::BookRow>, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::book::get(from, key))
            }
            fn book(
                &self,
                kind: &'static str,
                owner: Option<&str>,
            ) -> Result<Vec<($crate::store::BookKey, $crate::store::BookRow)>, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::book::rows(from, kind, owner))
            }
            fn book_due(
                &self,
                kind: &'static str,
                now: jiff::Timestamp,
                limit: usize,
            ) -> Result<$crate::store::DueRows, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::book::due(from, kind, now, limit))
            }
            fn paused(&self) -> Result<Vec<(String, jiff::Timestamp)>, $crate::store::StoreError> {
                self.db.read($crate::store::query::paused)
            }
            fn meters(&self) -> Result<Vec<$crate::store::MeterRow>, $crate::store::StoreError> {
                self.db.read($crate::store::meters::all)
            }
            fn last_numbers(&self) -> Result<(u64, u64), $crate::store::StoreError> {
                self.db.read($crate::store::query::last_numbers)
            }
        }
    };
}
pub(super) use store_over_db;
