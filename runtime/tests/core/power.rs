//! The power goes, or the disk refuses, at any write of a day in which everything happens that the engine knows. In the end
//! all is as if nothing had been.
//!
//! Each run of the tests takes a sample of the writes; with `FLOW_POWER_CUTS=all` it is all of them, with `400..420` those.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::Arc;

use flow_runtime::store::RedbStore;

use crate::day::{Daemon, Outcome, service};
use crate::disk::{SimDisk, Unsynced};
use crate::fixture::ManualClock;

/// Returns the operations of a day at which something goes wrong, one after the other.
fn places(operations: u64, sample: u64) -> Vec<u64> {
    let which = std::env::var("FLOW_POWER_CUTS").unwrap_or_default();
    if which == "all" {
        return (0..operations).collect();
    }
    if let Some((from, to)) = which.split_once("..") {
        return (from.parse().unwrap()..to.parse::<u64>().unwrap().min(operations)).collect();
    }
    // Spread over the day; a little off, so that it is not the same kind of write each time.
    (0..sample).map(|number| number * operations / sample + number % 7).collect()
}

/// Lives a day on a disk of its own. Returns the outcome, how many operations the disk had, and how often its power went.
async fn day(cuts: VecDeque<(u64, Unsynced)>) -> ([Outcome; 2], u64, usize) {
    let disk = SimDisk::default();
    let daemon = Daemon::start(disk.clone(), ManualClock::new(), service(), cuts);
    let (outcome, last, outages) = daemon.lives().await;
    // It can be opened once more, whatever was not synced at the end.
    drop(RedbStore::on(Arc::new(last.after_cut(Unsynced::Torn(1)))).unwrap());
    (outcome, disk.operations(), outages)
}

#[tokio::test]
async fn a_cut_at_any_write_of_a_day_changes_nothing() {
    let (expected, operations, _) = day(VecDeque::new()).await;
    assert!(operations > 500, "{operations}");
    let [evening, later] = &expected;
    let ran = |outcome: &Outcome, flow: &str| outcome.runs.get(flow).map_or(0, Vec::len);
    // The day is what it is meant to be: something of everything, and the old goes.
    assert_eq!((ran(evening, "order"), ran(evening, "tick"), ran(evening, "item")), (5, 3, 2), "{evening:#?}");
    assert!(ran(evening, "alarm") >= 1 && evening.dropped.len() == 3, "{evening:#?}");
    assert_eq!((ran(later, "order"), ran(later, "fail")), (0, 1), "{later:#?}");
    for (number, cut) in (0..).zip(places(operations, 24)) {
        let mut cuts = VecDeque::from([(cut, Unsynced::of(number))]);
        if number % 3 == 0 {
            // Soon after it is back the power goes again.
            cuts.push_back((cut % 61, Unsynced::of(number + 1)));
        }
        let planned = cuts.len();
        let (found, _, outages) = day(cuts.clone()).await;
        assert_eq!(found, expected, "cuts {cuts:?} of {operations}");
        assert!(outages <= planned && (outages > 0 || cut + 40 > operations), "{outages} of {cuts:?} of {operations}");
    }
}

/// On a disk that refuses some operations, without a restart.
#[tokio::test]
async fn a_disk_that_refuses_any_write_is_waited_for() {
    let (expected, operations, _) = day(VecDeque::new()).await;
    let begin = {
        let disk = SimDisk::default();
        drop(Daemon::start(disk.clone(), ManualClock::new(), service(), VecDeque::new()));
        disk.operations()
    };
    let errors = [ErrorKind::StorageFull, ErrorKind::ReadOnlyFilesystem, ErrorKind::Other];
    // At first what is to be waited for is looked up, which has to be done in the end though it cannot be read.
    let at_first = (0..12).map(|place| (place, 7));
    let later = (0..).zip(places(operations - begin, 18)).map(|(number, place)| (place, [1, 2, 7][number % 3]));
    for (number, (place, count)) in at_first.chain(later).enumerate() {
        let disk = SimDisk::default();
        let daemon = Daemon::start(disk.clone(), ManualClock::new(), service(), VecDeque::new());
        let from = begin + place;
        let (found, left, outages) = daemon.troubled(from, from + count, errors[number % 2]).lives().await;
        assert_eq!(outages, 0);
        assert_eq!(found, expected, "{count} refused from {from} on");
        drop(RedbStore::on(Arc::new(left.after_cut(Unsynced::Lost))).unwrap());
    }
}
