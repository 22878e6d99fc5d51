//! The accounts of the live connections: those that have the same key share one.

use std::collections::BTreeMap;

use flow_plan::Quota;
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;

use super::account::{Account, Level, Standing};
use super::state::{QuotaState, TokenState};
use super::tokens::Tokens;
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
    /// What the answers of connections cost, where that is bounded or was.
    tokens: BTreeMap<String, Tokens>,
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
        self.tokens.values_mut().for_each(|tokens| tokens.allow(None));
        for (connection, configured) in &live.connections {
            let Some(most) = configured.plan.daily_tokens() else { continue };
            let counted = &mut self.counted;
            let known = || Tokens::new(&counted.remove(&Tokens::name(connection)).unwrap_or_default());
            self.tokens.entry(connection.clone()).or_insert_with(known).allow(Some(most));
        }
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
        let spent = || self.tokens.get(connection).filter(|_| purpose != Purpose::Confirm)?.holds(connection, now);
        let spent = spent();
        let used_up = self.account(connection, now).and_then(|account| account.holds(connection, purpose, now));
        // The later one, so that nobody is let go to be held by the other.
        spent.into_iter().chain(used_up).max_by_key(|hold| hold.until)
    }

    /// Counts what an answer has cost; returns what the store has to count.
    pub(crate) fn spend(&mut self, connection: &str, tokens: u64, now: Timestamp) -> Option<MeterChange> {
        let meter = self.tokens.get_mut(connection)?;
        let before = meter.state(now).is_some_and(TokenState::is_spent);
        let change = meter.spend(connection, tokens, now);
        if let Some(state) = meter.state(now).filter(|state| state.is_spent() && !before) {
            let (used, most, resets_at) = (state.used, state.most, flow_functions::rfc3339(state.resets_at));
            tracing::error!(
                connection,
                used,
                most,
                resets_at,
                "the tokens of the day are spent: steps wait until they are counted anew"
            );
        }
        change
    }

    pub(crate) fn tokens(&self, connection: &str, now: Timestamp) -> Option<TokenState> {
        self.tokens.get(connection)?.state(now)
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
