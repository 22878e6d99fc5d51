//! The inbox in front of the store: durable before the store has sorted it in, and sorted in once, whatever happens between.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use flow_plan::{Effect, Flow, Limits};
use flow_runtime::event::Accepted;
use flow_runtime::journal::{Entry, What};
use flow_runtime::limit::{LimitKey, Limited};
use flow_runtime::run::Status;
use flow_runtime::store::{
    AcceptBatch, AcceptedEvent, Admission, After, Disk, OpenFile, RedbStore, RunHead, RunUpdate, Store, StoreError, TakenIn,
};
use flow_runtime::world::BoxFuture;
use futures_util::future::{join, join_all};

use crate::disk::{SimDisk, Unsynced};
use crate::fixture::{at, flow, op};
use crate::store::{event, head, new};

/// A disk whose files can be full one by one, and whose inbox can be slow.
#[derive(Clone, Default)]
pub(crate) struct Machine {
    disk: SimDisk,
    trouble: Arc<Trouble>,
}

#[derive(Debug, Default)]
struct Trouble {
    /// Writes to these files are refused; a refused one gets half-way.
    full: Mutex<BTreeSet<String>>,
    /// Syncs of the inbox wait.
    shut: Mutex<bool>,
    opened: Condvar,
}

#[derive(Debug)]
struct Device(OpenFile, String, Arc<Trouble>);

pub(crate) const DATABASE: &str = "flow.redb";
const INBOX: [&str; 2] = ["inbox.1", "inbox.2"];

impl Machine {
    fn of(disk: SimDisk) -> Self {
        Self { disk, trouble: Arc::default() }
    }

    pub(crate) fn store(&self) -> Result<Arc<RedbStore>, StoreError> {
        RedbStore::on(Arc::new(self.clone())).map(Arc::new)
    }

    pub(crate) fn fill(&self, name: &str, full: bool) {
        let mut names = self.trouble.full.lock().unwrap();
        if full {
            names.insert(name.to_owned())
        } else {
            names.remove(name)
        };
    }

    fn shut(&self, shut: bool) {
        *self.trouble.shut.lock().unwrap() = shut;
        self.trouble.opened.notify_all();
    }
}

impl Disk for Machine {
    fn open(&self, name: &str) -> io::Result<OpenFile> {
        Ok(Box::new(Device(self.disk.open(name)?, name.to_owned(), Arc::clone(&self.trouble))))
    }
    fn create(&self, name: &str) -> io::Result<OpenFile> {
        Ok(Box::new(Device(self.disk.create(name)?, name.to_owned(), Arc::clone(&self.trouble))))
    }
    fn exists(&self, name: &str) -> io::Result<bool> {
        self.disk.exists(name)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }
    fn sync(&self) -> io::Result<()> {
        self.disk.sync()
    }
}

impl redb::StorageBackend for Device {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut shut = self.2.shut.lock().unwrap();
        while *shut && INBOX.contains(&self.1.as_str()) {
            shut = self.2.opened.wait(shut).unwrap();
        }
        drop(shut);
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if self.2.full.lock().unwrap().contains(&self.1) {
            self.0.write(offset, &data[..data.len() / 2])?;
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.0.write(offset, data)
    }
}

fn batch(number: u64) -> AcceptBatch {
    let event = event(number, &format!("evt_{number}"), at("2026-11-22T12:00:00Z"));
    let head = head(number, &format!("run_{number}"), &event, Status::Running);
    AcceptBatch { events: vec![new(event, head)], ..AcceptBatch::default() }
}

/// What the store has decided, as soon as it has.
type Decided = Arc<Mutex<Vec<Result<Vec<AcceptedEvent>, StoreError>>>>;

fn noting(decided: &Decided) -> After {
    let decided = Arc::clone(decided);
    Box::new(move |result| {
        decided.lock().unwrap().push(result.clone());
        let accepted = |event: AcceptedEvent| Accepted { id: String::new(), duplicate: event.duplicate, runs: Vec::new() };
        result.map(|events| events.into_iter().map(accepted).collect())
    })
}

fn ids(batch: &AcceptBatch) -> Vec<&str> {
    batch.events.iter().map(|new| new.event.id.as_str()).collect()
}

/// Takes events in as the engine does: where somebody else has them in hand it is looked when the store has caught up.
fn take_in(store: &Arc<RedbStore>, batch: AcceptBatch, decided: &Decided) -> BoxFuture<'static, Result<TakenIn, StoreError>> {
    let hold = store.hold("svc", &ids(&batch));
    let (store, after) = (Arc::clone(store), noting(decided));
    Box::pin(async move {
        if hold.is_contested() {
            store.caught_up().await?;
        }
        let known = store.event_seq("svc", &batch.events[0].event.id)?;
        if known.is_some() {
            let accepted = Accepted { id: String::new(), duplicate: true, runs: Vec::new() };
            return Ok(TakenIn::Applied(vec![accepted]));
        }
        store.take_in(batch, hold, after).await
    })
}

fn is_new(taken: &TakenIn) -> bool {
    match taken {
        TakenIn::Durable => true,
        TakenIn::Applied(accepted) => !accepted[0].duplicate,
    }
}

#[tokio::test]
async fn what_is_answered_is_sorted_in_before_everything_that_comes_after_it() {
    let machine = Machine::default();
    let store = machine.store().unwrap();
    let decided = Decided::default();
    assert_eq!(take_in(&store, batch(1), &decided).await, Ok(TakenIn::Durable));
    // The end of a run that began with the event: without it there would be a conflict.
    let ended = RunHead {
        status: Status::Done,
        ended_at: Some(at("2026-11-22T12:00:01Z")),
        entries: 2,
        ..batch(1).events[0].starts[0].runs[0].head.clone()
    };
    let entries = vec![Entry::new(at("2026-11-22T12:00:01Z"), What::Woken)];
    store.update(vec![RunUpdate { head: ended.clone(), entries }]).await.unwrap();
    assert_eq!(store.run("run_1").unwrap(), Some(ended));
    let known = decided.lock().unwrap().clone();
    assert_eq!(known[0].as_ref().unwrap()[0].admissions, [[Admission::Started { seq: 1, cancelled: None }]]);
    // Two ways in: what came by the inbox first is known to what comes by a transaction of its own.
    assert_eq!(take_in(&store, batch(2), &decided).await, Ok(TakenIn::Durable));
    assert!(store.accept(batch(2)).await.unwrap()[0].duplicate);
    assert_eq!(take_in(&store, batch(3), &decided).await, Ok(TakenIn::Durable));
    store.caught_up().await.unwrap();
    assert_eq!(store.event_seq("svc", "evt_3"), Ok(Some(3)));
    assert_eq!(store.event(3).unwrap().unwrap(), batch(3).events[0].event);
    assert_eq!(store.runs_of_event(3).unwrap(), ["run_3"]);
    assert_eq!(store.journal("run_3").unwrap(), batch(3).events[0].starts[0].runs[0].entries);
}

#[tokio::test]
async fn of_the_same_event_at_the_same_time_one_is_new() {
    let machine = Machine::default();
    let store = machine.store().unwrap();
    let decided = Decided::default();
    for number in 1..=20 {
        let polled = store.accept(batch(number));
        let taken = join_all((0..12).map(|_| tokio::spawn(take_in(&store, batch(number), &decided)))).await;
        let new = taken.into_iter().filter(|taken| is_new(taken.as_ref().unwrap().as_ref().unwrap())).count();
        let polled = !polled.await.unwrap()[0].duplicate;
        assert!(new <= 1 && (new == 1 || polled), "{new} webhooks and {polled} of a poll");
        store.caught_up().await.unwrap();
        assert_eq!(store.runs_of_event(number).unwrap().len(), 1);
        assert_eq!(store.event_seqs(&format!("evt_{number}")).unwrap().len(), 1);
    }
    let first = decided.lock().unwrap().iter().filter(|result| !result.as_ref().unwrap()[0].duplicate).count();
    assert!(first <= 20);
}

/// An event whose flow lets one run at a time begin, with its plan.
fn in_turn(number: u64) -> (AcceptBatch, Arc<Flow>) {
    let mut turned = flow("f", vec![op("set", Effect::Set)]);
    turned.limits = Limits { one_at_a_time: Some(Vec::new()), ..Limits::default() };
    let turned = Arc::new(turned);
    let mut batch = batch(number);
    let run = &mut batch.events[0].starts[0].runs[0];
    run.head.plan.clone_from(&turned.hash);
    run.head.waits.limited = true;
    run.tally = Some(2);
    run.limited = Some(Box::new(Limited {
        flow: Arc::clone(&turned),
        too_old: None,
        happened: at("2026-11-22T12:00:00Z"),
        window: None,
        once: None,
        at_most: Vec::new(),
        turn: Some(LimitKey { hash: [7; 16], text: " for customer c".to_owned() }),
        throttle: None,
    }));
    batch.plans = vec![Arc::clone(&turned)];
    (batch, turned)
}

#[tokio::test]
async fn what_is_left_in_the_inbox_is_decided_at_the_next_start_as_it_would_have_been() {
    let (_, turned) = in_turn(0);
    let limited = |number: u64| in_turn(number).0;
    let machine = Machine::default();
    let store = machine.store().unwrap();
    let decided = Decided::default();
    // Nothing gets into the database any more, and the inbox does not know that yet.
    store.accept(batch(100)).await.unwrap();
    machine.fill(DATABASE, true);
    // All three are on their way before one of them is durable.
    machine.shut(true);
    let all = join_all((1..=3).map(|number| take_in(&store, limited(number), &decided)));
    let (taken, ()) = join(all, async { machine.shut(false) }).await;
    assert!(taken.iter().all(|taken| *taken == Ok(TakenIn::Durable)), "{taken:?}");
    assert!(decided.lock().unwrap().is_empty());
    // The process ends without having sorted them in.
    let store = Machine::of(machine.disk.after_cut(Unsynced::Lost)).store().unwrap();
    assert_eq!(store.run("run_1").unwrap().unwrap().status, Status::Running);
    let held = store.run("run_2").unwrap().unwrap();
    assert_eq!(held.reason.as_deref(), Some("waits for its turn behind run_1"));
    assert!(store.run("run_3").unwrap().unwrap().waits.held);
    assert_eq!(store.plan(&turned.hash).unwrap().as_deref(), Some(&*turned));
    assert_eq!(store.book_row(&flow_runtime::store::BookKey::new("starts", "f", "")).unwrap().map(|row| row.due), Some(None));
    // They have their numbers from there, in the order in which they were taken in.
    let seq = |number: u64| (store.event_seq("svc", &format!("evt_{number}")), store.run(&format!("run_{number}")));
    for number in 1..=3 {
        let (event, run) = seq(number);
        assert_eq!((event, run.unwrap().unwrap().seq), (Ok(Some(number + 1)), number + 1));
    }
    assert_eq!(store.last_numbers(), Ok((4, 4)));
}

/// The log says a plan once in a segment, before the first event that needs it.
#[tokio::test]
async fn what_is_left_needs_a_plan_that_was_said_before_what_is_sorted_in_already() {
    let (first, turned) = in_turn(1);
    let machine = Machine::default();
    let store = machine.store().unwrap();
    let decided = Decided::default();
    assert_eq!(take_in(&store, first, &decided).await, Ok(TakenIn::Durable));
    eventually("the first one is sorted in", || !decided.lock().unwrap().is_empty()).await;
    machine.fill(DATABASE, true);
    assert_eq!(take_in(&store, in_turn(2).0, &decided).await, Ok(TakenIn::Durable));
    let store = Machine::of(machine.disk.after_cut(Unsynced::Lost)).store().unwrap();
    let held = store.run("run_2").unwrap().unwrap();
    assert_eq!(held.reason.as_deref(), Some("waits for its turn behind run_1"));
    assert_eq!(store.plan(&turned.hash).unwrap().as_deref(), Some(&*turned));
    assert_eq!(store.runs_of_event(1).unwrap(), ["run_1"]);
}

/// The power goes after each write and each sync in turn, and once more while what was left is sorted in.
#[tokio::test]
async fn the_power_may_go_at_any_instant() {
    // Far more are tried where there is time: STEPS=1 tries each one.
    let every: u64 = std::env::var("STEPS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let whole = Machine::default();
    let (_, taken) = load(&whole).await;
    assert_eq!(taken.iter().filter(|(_, new)| **new).count(), 24);
    let steps = whole.disk.operations();
    for cut in (1..=steps + 20).step_by(usize::try_from(every).unwrap()) {
        let machine = Machine::default();
        machine.disk.off_after(cut);
        let (ended, taken) = load(&machine).await;
        // Once more at the next start.
        let again = Machine::of(machine.disk.after_cut(Unsynced::of(cut / every)));
        again.disk.off_after(cut % 61 + 1);
        drop(again.store());
        let store = Machine::of(again.disk.after_cut(Unsynced::of(cut / every / 4))).store();
        let store = store.unwrap_or_else(|error| panic!("cut {cut}: {error}"));
        for number in taken.keys() {
            let known = store.event_seq("svc", &format!("evt_{number}")).unwrap();
            let seq = known.unwrap_or_else(|| panic!("cut {cut}: evt_{number} is lost"));
            let found = store.event(seq).unwrap().unwrap();
            assert_eq!(found, flow_runtime::store::StoredEvent { seq, ..batch(*number).events[0].event.clone() });
        }
        let mut runs = BTreeSet::new();
        for number in 1..=24 {
            let known = store.event_seqs(&format!("evt_{number}")).unwrap();
            assert!(known.len() <= 1, "cut {cut}");
            for run in known.iter().flat_map(|(_, seq)| store.runs_of_event(*seq).unwrap()) {
                assert_eq!(run, format!("run_{number}"));
                assert!(!store.journal(&run).unwrap().is_empty() && runs.insert(run), "cut {cut}");
            }
            assert_eq!(runs.contains(&format!("run_{number}")), !known.is_empty(), "cut {cut}");
        }
        for run in ended {
            let head = store.run(&run).unwrap().unwrap();
            assert_eq!((head.status, head.entries), (Status::Done, 2), "cut {cut}: {run}");
        }
        // Senders without an answer send again.
        let decided = Decided::default();
        for number in 1..=24 {
            let known = runs.contains(&format!("run_{number}"));
            let again = take_in(&store, batch(number), &decided).await.unwrap();
            assert_eq!(is_new(&again), !known, "cut {cut}: evt_{number}");
        }
        store.caught_up().await.unwrap();
        for number in 1..=24 {
            let seq = store.event_seq("svc", &format!("evt_{number}")).unwrap().unwrap();
            assert_eq!(store.runs_of_event(seq).unwrap().len(), 1, "cut {cut}: evt_{number}");
        }
    }
}

/// Takes events in, some at a time, some twice, and ends the runs of some, as long as there is power. Returns the runs whose
/// end was confirmed, and the events that were, with whether they were said to be new.
async fn load(machine: &Machine) -> (Vec<String>, BTreeMap<u64, bool>) {
    let (mut ended, mut taken) = (Vec::new(), BTreeMap::new());
    let Ok(store) = machine.store() else { return (ended, taken) };
    let decided = Decided::default();
    for round in 0..6 {
        let numbers: Vec<u64> = (round * 4 + 1..=round * 4 + 4).collect();
        let twice = numbers[0];
        let all: Vec<_> =
            numbers.iter().copied().chain([twice]).map(|number| (number, take_in(&store, batch(number), &decided))).collect();
        let (numbers, answers): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        for (number, answer) in numbers.into_iter().zip(join_all(answers).await) {
            if let Ok(answer) = answer {
                let new = taken.entry(number).or_insert(false);
                assert!(!(*new && is_new(&answer)), "evt_{number} was new twice");
                *new |= is_new(&answer);
            }
        }
        let head = RunHead {
            status: Status::Done,
            ended_at: Some(at("2026-11-22T12:00:01Z")),
            entries: 2,
            ..batch(twice).events[0].starts[0].runs[0].head.clone()
        };
        let entries = vec![Entry::new(at("2026-11-22T12:00:01Z"), What::Woken)];
        if store.update(vec![RunUpdate { head, entries }]).await.is_ok() {
            ended.push(format!("run_{twice}"));
        }
    }
    (ended, taken)
}

async fn eventually(what: &str, probe: impl Fn() -> bool) {
    let patience = std::time::Instant::now() + Duration::from_secs(150);
    while !probe() {
        assert!(std::time::Instant::now() < patience, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_full_disk_keeps_nothing_of_what_it_refuses_and_goes_on_by_itself() {
    let machine = Machine::default();
    let store = machine.store().unwrap();
    let decided = Decided::default();
    assert_eq!(take_in(&store, batch(1), &decided).await, Ok(TakenIn::Durable));
    store.caught_up().await.unwrap();
    machine.fill(INBOX[0], true);
    machine.fill(INBOX[1], true);
    let refused = take_in(&store, batch(2), &decided).await.unwrap_err();
    assert!(refused.is_retryable(), "{refused}");
    assert!(store.check().is_err(), "whoever asks is told");
    // Of what was refused nothing is found, not even by the next process.
    let found = Machine::of(machine.disk.after_cut(Unsynced::Kept)).store().unwrap();
    assert_eq!((found.event(1).unwrap().is_some(), found.event(2).unwrap()), (true, None));
    machine.fill(INBOX[0], false);
    machine.fill(INBOX[1], false);
    assert!(is_new(&take_in(&store, batch(2), &decided).await.unwrap()));
    let numbers = AtomicU64::new(3);
    eventually("events are appended again", || {
        let taken = take_in(&store, batch(numbers.fetch_add(1, Ordering::SeqCst)), &decided);
        std::thread::scope(|scope| {
            scope.spawn(|| tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(taken)).join().unwrap()
        }) == Ok(TakenIn::Durable)
    })
    .await;
    assert!(store.check().is_ok());
}

#[tokio::test]
async fn what_is_promised_is_sorted_in_as_soon_as_the_database_takes_it() {
    let machine = Machine::default();
    let store = machine.store().unwrap();
    let decided = Decided::default();
    machine.fill(DATABASE, true);
    assert_eq!(take_in(&store, batch(1), &decided).await, Ok(TakenIn::Durable));
    eventually("the failure is known", || store.check().is_err()).await;
    // From here on nothing more is promised.
    let refused = take_in(&store, batch(2), &decided).await.unwrap_err();
    assert!(refused.is_retryable(), "{refused}");
    machine.fill(DATABASE, false);
    eventually("it is sorted in by itself", || matches!(store.event(1), Ok(Some(_)))).await;
    assert_eq!(store.runs_of_event(1).unwrap(), ["run_1"]);
    assert_eq!(store.event(2).unwrap(), None);
}

#[tokio::test]
async fn a_slow_disk_makes_senders_wait_and_refuses_those_beyond_the_bound() {
    let machine = Machine::default();
    let store = machine.store().unwrap();
    let decided = Decided::default();
    machine.shut(true);
    let waiting: Vec<_> = (1..=6000).map(|number| tokio::spawn(take_in(&store, batch(number), &decided))).collect();
    eventually("the bound is reached", || decided.lock().unwrap().len() > 1000).await;
    machine.shut(false);
    let (mut durable, mut refused) = (0, 0);
    for taken in waiting {
        match taken.await.unwrap() {
            Ok(TakenIn::Durable) => durable += 1,
            Err(error) if error.is_retryable() => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(durable >= 4000 && refused >= 1000, "{durable} and {refused}");
    store.caught_up().await.unwrap();
    assert_eq!(store.counts().unwrap().0, durable);
}
