//! The accounts of the live connections: those that have the same key share one.

use std::collections::BTreeMap;

use flow_plan::Quota;
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;

use super::account::{Account, Level, Standing};
use super::state::QuotaState;
use super::{Hold, Purpose};
use crate::live::{Live, LiveConnection};
use crate::store::{MeterChange, MeterKind, MeterRow};

/// The accounts.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    accounts: BTreeMap<String, Account>,
    /// The account of each connection that has a quota.
    of: BTreeMap<String, String>,
    /// What the store had of accounts at the start.
    counted: BTreeMap<String, Vec<(i64, u64)>>,
    standings: BTreeMap<String, Standing>,
}

impl Ledger {
    /// Takes over what the store has.
    pub(crate) fn recall(&mut self, rows: &[MeterRow]) {
        for row in rows {
            match row.kind {
                MeterKind::Quota => drop(self.counted.insert(row.name.clone(), row.slots())),
                MeterKind::Account => {
                    if let Some(standing) = row.note() {
                        self.standings.insert(row.name.clone(), standing);
                    }
                }
                MeterKind::Rate | MeterKind::Connection => {}
            }
        }
    }

    /// Makes the accounts those of what is live. One that is gone is remembered, should its key come back.
    pub(crate) fn configure(&mut self, live: &Live, now: Timestamp) {
        self.of.clear();
        self.accounts.values_mut().for_each(|account| account.connections.clear());
        let mut seen: BTreeMap<String, Quota> = BTreeMap::new();
        for (connection, configured) in &live.connections {
            let Some(quota) = configured.plan.quota() else { continue };
            let name = account_of(configured, &quota);
            // The plan of a key is one: where two connections say different things, the smaller is safe.
            let known = seen.entry(name.clone()).or_insert_with(|| quota.clone());
            if quota.is_below(known) {
                *known = quota;
            }
            self.of.insert(connection.clone(), name);
        }
        for (name, quota) in seen {
            match self.accounts.get_mut(&name) {
                Some(account) if *account.quota() != quota => account.set_quota(quota, now),
                Some(_) => {}
                None => {
                    let used = self.counted.remove(&name).unwrap_or_default();
                    let standing = self.standings.remove(&name).unwrap_or_default();
                    self.accounts.insert(name.clone(), Account::new(&name, quota, &used, standing, now));
                }
            }
        }
        for (connection, name) in &self.of {
            if let Some(account) = self.accounts.get_mut(name) {
                account.connections.push(connection.clone());
            }
        }
    }

    /// Returns the account of a connection that has a quota, as it is now.
    pub(crate) fn account(&mut self, connection: &str, now: Timestamp) -> Option<&mut Account> {
        let account = self.accounts.get_mut(self.of.get(connection)?)?;
        account.steady(now);
        Some(account)
    }

    pub(crate) fn holds(&mut self, connection: &str, purpose: Purpose, now: Timestamp) -> Option<Hold> {
        self.account(connection, now)?.holds(connection, purpose, now)
    }

    pub(crate) fn count(&mut self, connection: &str, purpose: Purpose, now: Timestamp) -> Option<MeterChange> {
        let account = self.account(connection, now)?;
        let change = account.count(purpose, now);
        if let Some(level) = account.reached() {
            announce(connection, level, &account.state(connection, now));
        }
        change
    }

    pub(crate) fn was_not_made(&mut self, connection: &str, written: bool, now: Timestamp) {
        if let Some(account) = self.account(connection, now) {
            account.was_not_made(written);
        }
    }

    /// The service answered as it should. Returns the connections that have calls again.
    pub(crate) fn works(&mut self, connection: &str, now: Timestamp, notes: &mut Vec<MeterChange>) -> Vec<String> {
        let Some(account) = self.account(connection, now) else { return Vec::new() };
        let (note, freed) = account.works();
        notes.extend(note);
        if freed {
            tracing::info!(connection, "the service accepts calls again; what waited for them goes on");
            return account.connections.clone();
        }
        Vec::new()
    }

    /// The service refused with this status. Returns whether that means that the quota is used up.
    pub(crate) fn refuses(&mut self, connection: &str, status: u16, now: Timestamp, notes: &mut Vec<MeterChange>) -> bool {
        let Some(account) = self.account(connection, now) else { return false };
        if !account.quota().spent_on.contains(&status) {
            return false;
        }
        let Some(note) = account.refuses(now) else { return false };
        notes.push(note);
        if let Some(level) = account.reached() {
            announce(connection, level, &account.state(connection, now));
        }
        true
    }

    pub(crate) fn came_to_nothing(&mut self, connection: &str, now: Timestamp) {
        if let Some(account) = self.account(connection, now) {
            account.came_to_nothing();
        }
    }

    /// Lets all be tried now whose service says that nothing is left: the key may be another one.
    pub(crate) fn try_all(&mut self, now: Timestamp) {
        self.accounts.values_mut().for_each(|account| account.try_at(now));
    }

    /// The clock was set back by so much.
    pub(crate) fn set_back(&mut self, by: SignedDuration, now: Timestamp) {
        self.accounts.values_mut().for_each(|account| account.set_back(by, now));
    }

    /// Returns what was counted ahead, to be taken back.
    pub(crate) fn take_back(&mut self) -> Vec<MeterChange> {
        self.accounts.values_mut().filter_map(Account::take_back).collect()
    }

    pub(crate) fn state(&mut self, connection: &str, now: Timestamp) -> Option<QuotaState> {
        self.account(connection, now).map(|account| account.state(connection, now))
    }
}

fn announce(connection: &str, level: Level, state: &QuotaState) {
    let (used, count, resets_at) = (state.used, state.count, flow_functions::rfc3339(state.resets_at));
    match level {
        Level::Free => {}
        Level::Most => tracing::warn!(
            connection,
            used,
            count,
            resets_at,
            "most of the quota is used: what is left is kept for actions, and polls and states wait"
        ),
        Level::All => tracing::error!(
            connection,
            used,
            count,
            resets_at,
            refused = state.refused_since.is_some(),
            "the quota is used up: steps wait until it is counted anew"
        ),
    }
}

/// The name of an account: a keyed hash of the secret that its connections share, or the one connection. The secret is the
/// key of the hash, so that nothing of it can be read from the name.
fn account_of(connection: &LiveConnection, quota: &Quota) -> String {
    let plan = &connection.plan;
    let secret = quota.shared_by.as_ref().and_then(|name| connection.secrets.get(name));
    match secret.and_then(|secret| Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).ok()) {
        Some(mut hash) => {
            hash.update(b"flow account of ");
            hash.update(plan.connector.as_bytes());
            let hash = hash.finalize().into_bytes();
            format!("key {}", hex::encode(hash.get(..16).unwrap_or_default()))
        }
        None => format!("connection {}", plan.name),
    }
}
