//! Whether a request may be sent to a connection, whatever it is for, and what its answer says of the connection.
//!
//! The lane knows rate and health, the ledger the calls of its account: both are asked, and both are told.

use std::time::Duration;

use jiff::Timestamp;

use super::lane::{Readiness, later};
use super::queue::{Passes, Queue, Sends};
use crate::connection::{Asked, Cause, Heard, Hold, Purpose, Target};
use crate::store::{MeterChange, MeterKind};

/// Who finds no place looks again after this.
const PLACE: Duration = Duration::from_millis(100);
/// Who finds a probe under way looks again after this.
const MOMENT: Duration = Duration::from_secs(1);

impl Queue {
    /// What a step could do now at a target.
    pub(super) fn readiness(&mut self, target: &Target, now: Timestamp) -> Readiness {
        let name = &target.connection;
        // What speaks with no connection.
        if name.is_empty() {
            return Readiness::Ready;
        }
        let (Some(lane), Some(bounds)) = (self.lanes.get_mut(target), self.bounds.get(name)) else { return Readiness::Busy };
        match lane.readiness(target, bounds, now) {
            Readiness::Ready => match self.ledger.holds(name, Purpose::Act, now) {
                Some(hold) => Readiness::Parks(hold),
                None => Readiness::Ready,
            },
            other => other,
        }
    }

    /// Counts a request that is about to be sent. Returns what the store has to count with it.
    pub(super) fn count(&mut self, target: &Target, purpose: Purpose, now: Timestamp) -> Sends {
        let name = &target.connection;
        let Some(lane) = self.lanes.get_mut(target).filter(|_| !name.is_empty()) else { return Sends::default() };
        // Whether credentials work polls find out for themselves: they may have other rights than steps.
        let is_broken = lane.circuit.open().is_some_and(|open| open.cause == Cause::Broken);
        let tries = match purpose {
            Purpose::Act => true,
            Purpose::Watch | Purpose::Page => !is_broken,
            Purpose::Confirm | Purpose::Follow => false,
        };
        let probe = tries && lane.circuit.sends();
        let of_rate = self.bounds.get_mut(name).and_then(|bounds| bounds.count(target, now));
        Sends { probe, counts: of_rate.into_iter().chain(self.ledger.count(name, purpose, now)).collect() }
    }

    /// A request that was counted was not sent; `unwritten` is what the store has not counted of it.
    pub(crate) fn was_not_sent(&mut self, target: &Target, probe: bool, unwritten: &[MeterChange], now: Timestamp) {
        let of_quota = |change: &MeterChange| matches!(change, MeterChange::Count { kind: MeterKind::Quota, .. });
        self.ledger.was_not_made(&target.connection, !unwritten.iter().any(of_quota), now);
        if probe {
            self.lane(target).circuit.came_to_nothing(now);
        }
    }

    /// Lets a request be sent that is no turn of a run, or says why and until when not.
    pub(crate) fn pass(&mut self, target: &Target, purpose: Purpose, now: Timestamp) -> Passes {
        let name = &target.connection;
        let lane = self.lane(target);
        lane.circuit.steady(now);
        if purpose != Purpose::Confirm
            && let Some(open) = lane.circuit.open().filter(|open| open.cause == Cause::Silent)
            && !lane.circuit.may_probe(now)
        {
            let reason = format!("the service does not answer: {}", open.error);
            return Passes::Hold(Hold { cause: Cause::Silent, reason, until: later(open.next_probe.max(now), MOMENT) });
        }
        let watches = matches!(purpose, Purpose::Watch | Purpose::Page);
        let paused = lane.paused(now);
        let bounds = self.bounds(name);
        let place = (watches && bounds.has_no_place()).then(|| later(now, PLACE));
        if let Some(until) = paused.into_iter().chain(bounds.rate(target).free_at(now)).chain(place).max() {
            return Passes::Wait(until);
        }
        if let Some(hold) = self.ledger.holds(name, purpose, now) {
            return Passes::Hold(hold);
        }
        if watches {
            self.bounds(name).asking += 1;
        }
        Passes::Goes(self.count(target, purpose, now))
    }

    /// A poll, or the reading of a state, is over.
    pub(crate) fn asked(&mut self, name: &str) {
        let bounds = self.bounds(name);
        bounds.asking = bounds.asking.saturating_sub(1);
    }

    /// Takes note of what a service had to say. Where that means that the account has no calls left, or that its key is refused
    /// though it worked before, returns until when nothing is asked.
    pub(crate) fn heard(&mut self, target: &Target, heard: &Heard, asked: Asked, now: Timestamp) -> Option<Hold> {
        let name = &target.connection;
        self.note(target, heard, asked, now);
        match heard {
            Heard::Refusal { .. } => self.ledger.account(name, now).and_then(|account| account.refused(name)),
            _ => None,
        }
    }

    fn note(&mut self, target: &Target, heard: &Heard, asked: Asked, now: Timestamp) {
        let name = &target.connection;
        let mut notes = Vec::new();
        let free = match heard {
            Heard::Works | Heard::Slower(_) => self.ledger.works(name, now, &mut notes),
            Heard::Refusal { status: Some(status), .. } if self.ledger.refuses(name, *status, now, &mut notes) => {
                self.notes.extend(notes);
                let lane = self.lane(target);
                if let Some(open) = lane.circuit.works() {
                    tracing::info!(connection = %target, since = %open.since, "the service answers again");
                    lane.is_new = true;
                }
                // With the circuit closed nothing but the quota would let them go.
                lane.wait_for_another(&[Cause::Broken, Cause::Silent], Cause::Spent);
                return;
            }
            Heard::Nothing | Heard::Unreached(_) => {
                self.ledger.came_to_nothing(name, now);
                Vec::new()
            }
            Heard::Silence { .. } | Heard::Refusal { .. } => {
                self.ledger.came_to_nothing(name, now);
                Vec::new()
            }
        };
        self.notes.extend(notes);
        for connection in free {
            self.lanes_of(&connection).for_each(|lane| {
                lane.let_go(&[Cause::Spent]);
            });
        }
        if matches!(heard, Heard::Unreached(_)) {
            self.ledger.was_not_made(name, true, now);
        }
        let lane = self.lane(target);
        if let Heard::Slower(wait) | Heard::Silence { wait: wait @ Some(_), .. } = heard {
            lane.slow_down(now, *wait);
        }
        match heard {
            Heard::Works | Heard::Slower(_) => {
                // A poll that is let in says nothing of steps that are not.
                let broken = lane.circuit.open().is_some_and(|open| open.cause == Cause::Broken);
                if broken && !asked.step {
                    return;
                }
                if let Some(open) = lane.circuit.works() {
                    lane.is_new = true;
                    let runs = lane.let_go(&[Cause::Broken, Cause::Silent]);
                    tracing::info!(connection = %target, runs, since = %open.since, "the connection works again; its runs go on");
                } else if asked.step {
                    // Nobody is left behind, whatever order failures and answers were written in.
                    lane.let_go(&[Cause::Broken, Cause::Silent]);
                }
            }
            Heard::Silence { error, .. } | Heard::Unreached(error) => {
                let open = lane.circuit.fails(now, error, asked.probe);
                lane.is_new |= open || lane.circuit.open().is_some();
                if open {
                    tracing::error!(
                        connection = %target,
                        error,
                        "the service does not answer; its runs wait, and one tries it now and then"
                    );
                }
            }
            Heard::Refusal { error, .. } if asked.step => {
                lane.is_new = true;
                if lane.circuit.breaks(now, error) {
                    tracing::error!(connection = %target, error, "the connection is broken; its runs wait until it works again");
                }
            }
            // It answers, which is what was to be known.
            Heard::Refusal { .. } if asked.probe => {
                lane.is_new |= lane.circuit.works().is_some();
                lane.let_go(&[Cause::Silent]);
            }
            Heard::Nothing if asked.probe => lane.circuit.came_to_nothing(now),
            Heard::Refusal { .. } | Heard::Nothing => {}
        }
    }
}
