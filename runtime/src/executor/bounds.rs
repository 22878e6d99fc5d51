//! What all that a connection leads to shares: the places for requests at once, and the rates.
//!
//! Each lane has its own health; what the connection may do at all is counted here, so that a run that names a new server with
//! each request makes no more of them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::connection::{Rate, Target};
use crate::live::Live;
use crate::store::MeterChange;

/// At most so many steps are performed at one connection at once, however many are performed in all.
const MOST_IN_FLIGHT: usize = 32;

/// The places and rates of one connection.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    pub(super) in_flight: usize,
    /// Runs in memory that wait for their turn.
    pub(super) queued: usize,
    /// Polls and readings of states that are under way.
    pub(super) asking: usize,
    /// Of those in flight, what tries servers that did not answer.
    pub(super) trying: usize,
    /// At most so many requests at once, where that is said.
    at_once: Option<usize>,
    /// Its lanes.
    pub(super) lanes: usize,
    rate: Rate,
    /// Of APIs that have a limit of their own; the others count with the service.
    rates: BTreeMap<String, Rate>,
}

impl Bounds {
    /// Takes over what is live.
    pub(super) fn configure(&mut self, live: &Live, name: &str) {
        let plan = live.connections.get(name).map(|connection| &connection.plan);
        let limit = |api: &flow_plan::Api| api.limit.as_ref().map(|limit| (limit.count, Duration::from_millis(limit.per_ms)));
        self.at_once = plan.and_then(|plan| plan.api.at_once).map(|at_once| at_once as usize);
        self.rate.set(plan.and_then(|plan| limit(&plan.api)));
        let apis = plan.into_iter().flat_map(|plan| plan.apis.iter());
        let limits: BTreeMap<_, _> = apis.filter_map(|(api, of)| Some((api.clone(), limit(of)?))).collect();
        self.rates.retain(|api, _| limits.contains_key(api));
        for (api, limit) in limits {
            self.rates.entry(api).or_default().set(Some(limit));
        }
    }

    /// Takes over what the store has counted before this start: `counted` by the name of each.
    pub(super) fn recall(&mut self, name: &str, counted: impl Fn(&str) -> Vec<(i64, u64)>, now: Timestamp) {
        self.rate.recall(&counted(name), now);
        for (api, rate) in &mut self.rates {
            rate.recall(&counted(&rate_of(name, api)), now);
        }
    }

    /// Returns the rate that requests to a target count with.
    pub(super) fn rate(&self, target: &Target) -> &Rate {
        target.api.as_ref().and_then(|api| self.rates.get(api)).unwrap_or(&self.rate)
    }

    /// Counts a request that is about to be sent; returns what the store has to count with it.
    pub(super) fn count(&mut self, target: &Target, now: Timestamp) -> Option<MeterChange> {
        let name = &target.connection;
        match target.api.as_ref().and_then(|api| Some((api, self.rates.get_mut(api)?))) {
            Some((api, rate)) => rate.count(&rate_of(name, api), now),
            None => self.rate.count(name, now),
        }
    }

    /// At most so many steps are performed at once.
    pub(super) fn most(&self) -> usize {
        self.at_once.unwrap_or(MOST_IN_FLIGHT).clamp(1, MOST_IN_FLIGHT)
    }

    /// So many more may be.
    pub(super) fn free(&self) -> usize {
        // Polls take a place only where places are few by what somebody said.
        let asking = if self.at_once.is_some() { self.asking } else { 0 };
        self.most().saturating_sub(self.in_flight + asking)
    }

    /// Tells whether a poll has to wait for a place.
    pub(super) fn has_no_place(&self) -> bool {
        self.at_once.is_some() && self.free() == 0
    }

    /// Tells whether a lane that has so many turns leaves this one to others: one server that hangs takes no turn from the
    /// other servers of the connection. Where somebody has said how many there are, all are used while nobody else wants any.
    pub(super) fn are_for_others(&self, of_lane: usize, queued: usize) -> bool {
        let others = self.queued > queued || self.in_flight > of_lane;
        self.lanes > 1 && of_lane > 0 && (others || self.at_once.is_none()) && of_lane >= share(of_lane, self.free())
    }

    /// Tells whether enough is tried of servers that did not answer: what works needs the places.
    pub(super) fn tries_enough(&self) -> bool {
        self.trying >= (self.most() / 4).max(1)
    }

    /// The clock was set back by so much.
    pub(super) fn set_back(&mut self, by: SignedDuration, now: Timestamp) {
        self.rate.set_back(by, now);
        self.rates.values_mut().for_each(|rate| rate.set_back(by, now));
    }
}

/// What somebody has who leaves a quarter of what there could be to others.
pub(super) fn share(taken: usize, free: usize) -> usize {
    (taken + free).saturating_mul(3).div_ceil(4)
}

/// The name under which the store counts the requests to an API.
fn rate_of(connection: &str, api: &str) -> String {
    Target { api: Some(api.to_owned()), ..Target::service(connection) }.to_string()
}
