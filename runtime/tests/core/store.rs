//! What every backend of the store must do, and what the one on disk must do beside.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flow_plan::{Effect, Limits, Value};
use flow_runtime::event::{Cursor, Via};
use flow_runtime::journal::{Awaits, Came, Entry, EventHead, Outcome, Start, Waits, What};
use flow_runtime::key;
use flow_runtime::limit::{LimitKey, Limited};
use flow_runtime::run::{Run, Status, apply};
use flow_runtime::store::{
    AcceptBatch, Admission, AwaitKind, AwaitedBy, Before, BookChange, BookKey, BookRow, EventQuery, MemoryStore, NewEvent,
    NewRun, NewStart, PruneBite, PruneFrom, RedbStore, RunHead, RunQuery, RunUpdate, Store, StoreError, StoredEvent, Turn,
    Waiting,
};
use jiff::Timestamp;

use crate::disk::{SimDisk, Unsynced};
use crate::fixture::{at, flow, op};

pub(crate) fn event(seq: u64, id: &str, received_at: Timestamp) -> StoredEvent {
    StoredEvent {
        seq,
        id: id.to_owned(),
        connection: "svc".to_owned(),
        source: "events".to_owned(),
        event_type: None,
        triggers: vec!["happened".to_owned()],
        occurred_at: None,
        signed_at: None,
        received_at,
        via: Via::Webhook,
        origin: flow_runtime::event::Origin::External,
        depth: 0,
        cause: None,
        misfits: Vec::new(),
        payload: Bytes::from_static(b"{\"a\": 1}"),
    }
}

pub(crate) fn head(seq: u64, id: &str, event: &StoredEvent, status: Status) -> RunHead {
    RunHead {
        id: id.to_owned(),
        seq,
        flow: "f".to_owned(),
        plan: "hash".to_owned(),
        event: event.seq,
        event_id: event.id.clone(),
        connection: event.connection.clone(),
        trigger: "happened".to_owned(),
        status,
        death: None,
        reason: None,
        started_at: event.received_at,
        ended_at: (!status.is_active()).then_some(event.received_at),
        wake_at: None,
        entries: 1,
        replay: None,
        waits: Waiting::default(),
    }
}

pub(crate) fn new(event: StoredEvent, head: RunHead) -> NewEvent {
    let start = Start {
        run: head.id.clone(),
        replay: 0,
        replayed: false,
        event: EventHead {
            seq: event.seq,
            id: event.id.clone(),
            connection: event.connection.clone(),
            event_type: None,
            occurred_at: None,
            signed_at: None,
            received_at: event.received_at,
            via: Via::Webhook,
            origin: flow_runtime::event::Origin::External,
            depth: 0,
        },
        trigger: "happened".to_owned(),
        slots: vec![Value::text("a"), Value::Missing],
        raw: Vec::new(),
        misfit: None,
        held: None,
    };
    let key = key::start_key("svc", "happened", &event.id);
    let entries = vec![Entry::new(event.received_at, What::Started(Box::new(start)))];
    NewEvent {
        starts: vec![NewStart {
            trigger: "happened".to_owned(),
            key,
            runs: vec![NewRun { head, entries, limited: None, tally: None, flood: None, follows: Vec::new() }],
        }],
        ..NewEvent::new(event)
    }
}

fn change(key: &BookKey, row: Option<&BookRow>, before: Before) -> BookChange {
    BookChange { key: key.clone(), row: row.cloned(), before }
}

/// Rows of the book: found by kind, owner and instant, and changed in the transaction of what they belong to, or not at all.
fn under(plan: &flow_plan::Flow, head: RunHead) -> RunHead {
    RunHead { plan: plan.hash.clone(), ..head }
}

async fn book_conforms(store: &dyn Store, at: jiff::Timestamp) {
    let [one, two, other] = [("f", "a"), ("f", "b"), ("fg", "a")].map(|(owner, key)| BookKey::new("test", owner, key));
    let row = |text: &str, due| BookRow::of(&text, due).unwrap();
    let (first, second) = (row("one", Some(at)), row("two", None));
    let write = |book| store.accept(AcceptBatch { book, ..AcceptBatch::default() });
    let all = [(&one, &first), (&two, &second), (&other, &second)];
    write(all.map(|(key, row)| change(key, Some(row), Before::Row(None))).to_vec()).await.unwrap();
    assert_eq!(store.book_row(&one).unwrap(), Some(first.clone()));
    assert_eq!(store.book_row(&BookKey::new("tes", "tf", "a")).unwrap(), None);
    let keys = |rows: Vec<(BookKey, BookRow)>| rows.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(keys(store.book("test", None).unwrap()), [one.clone(), two.clone(), other.clone()]);
    assert_eq!(keys(store.book("test", Some("f")).unwrap()), [one.clone(), two.clone()]);
    assert_eq!(keys(store.book("tes", None).unwrap()), []);
    let before = at.checked_sub(Duration::from_millis(1)).unwrap();
    assert_eq!(store.book_due("test", before, 10).unwrap(), (Vec::new(), Some(at)));
    assert_eq!(store.book_due("test", at, 10).unwrap(), (vec![(one.clone(), first.clone())], None));
    // A row that is not as it was expected keeps the whole transaction from happening, journals included.
    let event = event(77, "evt_77", at);
    let stale = AcceptBatch {
        events: vec![new(event.clone(), head(77, "run_77", &event, Status::Running))],
        book: vec![change(&two, None, Before::Any), change(&one, None, Before::Row(Some(second.clone())))],
        ..AcceptBatch::default()
    };
    assert_eq!(store.accept(stale.clone()).await, Err(StoreError::Conflict));
    let waiting = store.run("run_a").unwrap().unwrap();
    let entries = vec![Entry::new(at, What::Woken)];
    let longer = RunHead { entries: waiting.entries + 1, ..waiting.clone() };
    let update = vec![RunUpdate { head: longer, entries }];
    assert_eq!(store.update_and_accept(update.clone(), stale).await, Err(StoreError::Conflict));
    assert_eq!(store.run("run_a").unwrap(), Some(waiting.clone()));
    assert_eq!(store.event(77), Ok(None));
    assert_eq!(store.book_row(&two).unwrap(), Some(second.clone()));
    // And the other way round: a journal that grew meanwhile keeps the row from changing.
    let behind = vec![RunUpdate { head: waiting.clone(), entries: update[0].entries.clone() }];
    let fits = AcceptBatch { book: vec![change(&one, None, Before::Row(Some(first)))], ..AcceptBatch::default() };
    assert_eq!(store.update_and_accept(behind, fits.clone()).await, Err(StoreError::Conflict));
    store.update_and_accept(Vec::new(), fits).await.unwrap();
    assert_eq!(store.book_row(&one).unwrap(), None);
    assert_eq!(store.book_due("test", at, 10).unwrap(), (Vec::new(), None));
    write(vec![change(&two, None, Before::Any), change(&other, Some(&row("later", Some(at))), Before::Any)]).await.unwrap();
    assert_eq!(keys(store.book_due("test", at, 10).unwrap().0), [other]);
}

/// The suite. It ends with what was written still there after `reopen`.
async fn conforms(store: Box<dyn Store>, reopen: impl FnOnce(Box<dyn Store>) -> Box<dyn Store>) {
    let noon = at("2026-11-22T12:00:00Z");
    let later = |minutes: i64| noon.checked_add(Duration::from_secs(u64::try_from(minutes * 60).unwrap())).unwrap();
    assert_eq!(store.last_numbers(), Ok((0, 0)));
    assert_eq!(store.event(1), Ok(None));
    // An event, its start, a cursor and a plan in one transaction.
    let plan = Arc::new(flow("f", vec![op("set", Effect::Set)]));
    let first = event(1, "evt_1", noon);
    let cursor = Cursor { cursor: Some("c".to_owned()), ..Cursor::default() };
    let batch = AcceptBatch {
        events: vec![new(first.clone(), under(&plan, head(1, "run_a", &first, Status::Running)))],
        plans: vec![Arc::clone(&plan)],
        cursor: Some(("svc".to_owned(), "events".to_owned(), cursor.clone())),
        ..AcceptBatch::default()
    };
    let accepted = store.accept(batch.clone()).await.unwrap();
    assert!(!accepted[0].duplicate);
    assert_eq!(accepted[0].started, [true]);
    let again = store.accept(batch).await.unwrap();
    assert!(again[0].duplicate);
    assert_eq!(again[0].started, [false]);
    assert_eq!(store.event(1).unwrap().as_ref(), Some(&first));
    assert_eq!(store.event_seqs("evt_1").unwrap(), [("svc".to_owned(), 1)]);
    assert_eq!(store.event_seqs("evt_").unwrap(), []);
    assert_eq!(store.cursors().unwrap(), [("svc".to_owned(), "events".to_owned(), cursor)]);
    assert_eq!(store.plan(&plan.hash).unwrap().as_deref(), Some(&*plan));
    assert_eq!(store.runs_of_event(1).unwrap(), ["run_a"]);
    assert_eq!(store.journal("run_a").unwrap().len(), 1);
    assert_eq!(store.last_numbers(), Ok((1, 1)));
    // Another event with the same key of its start.
    let mut second = new(event(2, "evt_2", later(1)), head(2, "run_b", &event(2, "evt_2", later(1)), Status::Running));
    second.starts[0].key = key::start_key("svc", "happened", "evt_1");
    let accepted = store.accept(AcceptBatch { events: vec![second], ..AcceptBatch::default() }).await.unwrap();
    assert!(!accepted[0].duplicate);
    assert_eq!(accepted[0].started, [false]);
    assert_eq!(store.run("run_b"), Ok(None));
    // Timers and indexes follow the heads.
    let mut waiting = RunHead {
        status: Status::Waiting,
        wake_at: Some(later(5)),
        entries: 2,
        ..under(&plan, head(1, "run_a", &first, Status::Running))
    };
    let entries = vec![Entry::new(later(1), What::Woken)];
    store.update(vec![RunUpdate { head: waiting.clone(), entries: entries.clone() }]).await.unwrap();
    assert_eq!(store.due(later(4), 10).unwrap(), (Vec::new(), Some(later(5))));
    assert_eq!(store.due(later(5), 10).unwrap(), (vec!["run_a".to_owned()], None));
    // One that merely waits is a row that nobody loads.
    assert_eq!(store.active(None, 10).unwrap(), Vec::<String>::new());
    assert_eq!(store.counts(), Ok((1, 0)));
    let waits = RunQuery { status: Some(Status::Waiting), limit: 10, ..RunQuery::default() };
    assert_eq!(store.runs(&waits).unwrap(), [waiting.clone()]);
    // A journal that grew meanwhile is not written over, and the others of the group do not suffer.
    let stale = store.update(vec![RunUpdate { head: waiting.clone(), entries }]);
    let third = event(3, "evt_3", later(2));
    let good = AcceptBatch { events: vec![new(third.clone(), head(3, "run_c", &third, Status::Done))], ..AcceptBatch::default() };
    let good = store.accept(good);
    assert_eq!(stale.await, Err(StoreError::Conflict));
    assert_eq!(good.await.unwrap()[0].started, [true]);
    assert_eq!(store.journal("run_a").unwrap().len(), 2);
    book_conforms(&*store, later(10)).await;
    // Dead, listed, and alive again.
    waiting.wake_at = None;
    waiting.entries = 3;
    waiting.status = Status::Dead;
    let died = Entry::new(later(6), What::Ended { ms: 3, outcome: Outcome::lost(), jitter: 1 });
    store.update(vec![RunUpdate { head: waiting.clone(), entries: vec![died.clone()] }]).await.unwrap();
    assert_eq!(store.due(later(60), 10).unwrap(), (Vec::new(), None));
    assert_eq!(store.counts(), Ok((0, 1)));
    let dead = RunQuery { status: Some(Status::Dead), limit: 10, ..RunQuery::default() };
    assert_eq!(store.runs(&dead).unwrap(), [waiting.clone()]);
    assert_eq!(store.journal("run_a").unwrap()[2], died);
    // Lists: newest first, by page, by what is asked for.
    let ids = |query: RunQuery| store.runs(&query).unwrap().into_iter().map(|run| run.id).collect::<Vec<_>>();
    assert_eq!(ids(RunQuery { limit: 10, ..RunQuery::default() }), ["run_c", "run_a"]);
    assert_eq!(ids(RunQuery { limit: 1, ..RunQuery::default() }), ["run_c"]);
    assert_eq!(ids(RunQuery { limit: 10, before: Some(2), ..RunQuery::default() }), ["run_a"]);
    assert_eq!(ids(RunQuery { limit: 10, since: Some(later(1)), ..RunQuery::default() }), ["run_c"]);
    assert_eq!(
        ids(RunQuery { limit: 10, flow: Some("f".to_owned()), status: Some(Status::Done), ..RunQuery::default() }),
        ["run_c"]
    );
    assert_eq!(ids(RunQuery { limit: 10, flow: Some("ff".to_owned()), ..RunQuery::default() }), Vec::<String>::new());
    let events = |query: EventQuery| store.events(&query).unwrap().into_iter().map(|event| event.seq).collect::<Vec<_>>();
    assert_eq!(events(EventQuery { limit: 10, ..EventQuery::default() }), [3, 2, 1]);
    assert_eq!(events(EventQuery { limit: 10, before: Some(3), ..EventQuery::default() }), [2, 1]);
    assert_eq!(events(EventQuery { limit: 10, since: Some(later(2)), ..EventQuery::default() }), [3]);
    assert_eq!(events(EventQuery { limit: 10, trigger: Some("failed".to_owned()), ..EventQuery::default() }), [0u64; 0]);
    store.set_paused("f", Some(noon)).await.unwrap();
    store.set_paused("g", Some(noon)).await.unwrap();
    store.set_paused("g", None).await.unwrap();
    // Still there afterwards.
    let store = reopen(store);
    assert_eq!(store.paused().unwrap(), [("f".to_owned(), noon)]);
    assert_eq!(store.runs(&dead).unwrap(), [waiting]);
    assert_eq!(store.event(1).unwrap().map(|event| event.payload), Some(first.payload));
    // What is too old goes; the dead run keeps its event, the keys of starts stay longer.
    let bite = |limit, from: PruneFrom| PruneBite { before: later(100), starts_before: noon, from, limit, look: 1000 };
    let pruned = store.prune(bite(1, PruneFrom::default())).await.unwrap();
    assert!(pruned.next.is_some(), "a little at a time");
    let mut from = pruned.next.clone();
    let (mut runs, mut events) = (pruned.runs, pruned.events);
    while let Some(next) = from {
        let pruned = store.prune(bite(1, next)).await.unwrap();
        (runs, events, from) = (runs + pruned.runs, events + pruned.events, pruned.next);
    }
    assert_eq!((runs, events), (1, 2), "run_c, its event, and the event without a run");
    let pruned = store.prune(bite(10, PruneFrom::default())).await.unwrap();
    assert_eq!((pruned.runs, pruned.events, pruned.starts), (0, 0, 0));
    assert!(store.event(1).unwrap().is_some() && store.journal("run_c").unwrap().is_empty());
    let again = event(9, "evt_3", later(200));
    let again =
        AcceptBatch { events: vec![new(again.clone(), head(9, "run_c", &again, Status::Running))], ..AcceptBatch::default() };
    let again = store.accept(again).await.unwrap();
    assert!(!again[0].duplicate);
    assert_eq!(again[0].started, [false]);
    let pruned = store.prune(PruneBite { starts_before: later(100), ..bite(10, PruneFrom::default()) }).await.unwrap();
    assert_eq!(pruned.starts, 2);
}

/// What had to stay is not looked at by each pass.
#[tokio::test]
async fn a_pass_behind_another_looks_at_what_was_not_old_enough() {
    let store = MemoryStore::new().unwrap();
    let noon = at("2026-11-22T12:00:00Z");
    let later = |minutes: u64| noon.checked_add(Duration::from_secs(minutes * 60)).unwrap();
    let accept = |seq: u64, status: Status| {
        let event = event(seq, &format!("evt_{seq}"), later(seq));
        let events = vec![new(event.clone(), head(seq, &format!("run_{seq}"), &event, status))];
        store.accept(AcceptBatch { events, ..AcceptBatch::default() })
    };
    let pass = async |mut from: PruneFrom, minutes: u64| {
        let (mut bites, mut removed) = (0, 0);
        loop {
            let bite = PruneBite { before: later(minutes), starts_before: noon, from, limit: 100, look: 10 };
            let pruned = store.prune(bite).await.unwrap();
            (bites, removed) = (bites + 1, removed + pruned.runs + pruned.events);
            match &pruned.next {
                Some(next) => from = next.clone(),
                None => return (bites, removed, PruneFrom::behind(&pruned)),
            }
        }
    };
    for seq in 1..=100 {
        accept(seq, Status::Waiting).await.unwrap();
    }
    let (bites, removed, behind) = pass(PruneFrom::default(), 200).await;
    assert!(bites > 10 && removed == 0, "{bites} bites, {removed} removed");
    for seq in 201..=205 {
        accept(seq, Status::Done).await.unwrap();
    }
    let (bites, removed, behind) = pass(behind, 203).await;
    assert!(bites <= 3 && removed == 4, "{bites} bites, {removed} removed: two runs with their events");
    let (bites, removed, _) = pass(behind, 206).await;
    assert!(bites <= 3 && removed == 6, "{bites} bites, {removed} removed");
    let (bites, removed, _) = pass(PruneFrom::default(), 206).await;
    assert!(bites > 10 && removed == 0, "now and then everything is looked at: {bites} bites, {removed} removed");
}

/// A plan is there as long as runs are that began with it.
async fn plans_conform(store: Box<dyn Store>, reopen: impl FnOnce(Box<dyn Store>) -> Box<dyn Store>) {
    let noon = at("2026-11-22T12:00:00Z");
    let later = |minutes: u64| noon.checked_add(Duration::from_secs(minutes * 60)).unwrap();
    let plans = ["set", "other"].map(|name| Arc::new(flow("f", vec![op(name, Effect::Set)])));
    let accept = |seq: u64, plan: &Arc<flow_plan::Flow>, status: Status| {
        let event = event(seq, &format!("evt_{seq}"), later(seq));
        let head = under(plan, head(seq, &format!("run_{seq}"), &event, status));
        let events = vec![new(event, head)];
        store.accept(AcceptBatch { events, plans: plans.to_vec(), ..AcceptBatch::default() })
    };
    let prune = |minutes: u64| {
        let from = PruneFrom::default();
        store.prune(PruneBite { before: later(minutes), starts_before: noon, from, limit: 100, look: 1000 })
    };
    let has = |store: &dyn Store, at: usize| store.plan(&plans[at].hash).unwrap().is_some();
    for (seq, plan, status) in [(1, 0, Status::Done), (2, 0, Status::Done), (3, 1, Status::Done), (4, 1, Status::Running)] {
        assert!(!accept(seq, &plans[plan], status).await.unwrap()[0].duplicate);
        // One that nothing began with is not kept.
        assert_eq!((has(&*store, 0), has(&*store, 1)), (true, seq > 2));
    }
    let removed = prune(2).await.unwrap();
    assert_eq!((removed.runs, removed.plans, has(&*store, 0)), (1, 0, true), "another run is left");
    let removed = prune(60).await.unwrap();
    assert_eq!((removed.runs, removed.plans), (2, 1));
    assert_eq!((has(&*store, 0), has(&*store, 1)), (false, true), "one is not at its end");
    accept(5, &plans[0], Status::Running).await.unwrap();
    let store = reopen(store);
    assert_eq!((has(&*store, 0), has(&*store, 1)), (true, true), "it comes again with the next run");
}

/// Runs with limits, waits and turns. It ends with what was written still there after `reopen`.
async fn limits_conform(store: Box<dyn Store>, reopen: impl FnOnce(Box<dyn Store>) -> Box<dyn Store>) {
    let noon = at("2026-11-22T12:00:00Z");
    let mut turned = flow("f", vec![op("set", Effect::Set)]);
    turned.limits = Limits { one_at_a_time: Some(Vec::new()), once_per: Some(Vec::new()), ..Limits::default() };
    let turned = Arc::new(turned);
    let batch = |number: u64, once: u8| {
        let event = event(number, &format!("evt_{number}"), noon);
        let head = head(number, &format!("run_{number}"), &event, Status::Running);
        let mut new = new(event, head);
        let key = |hash: u8| LimitKey { hash: [hash; 16], text: " for customer c".to_owned() };
        let run = &mut new.starts[0].runs[0];
        run.head.waits.limited = true;
        run.limited = Some(Box::new(Limited {
            flow: Arc::clone(&turned),
            too_old: None,
            happened: noon,
            window: None,
            once: Some(key(once)),
            at_most: Vec::new(),
            turn: Some(key(0)),
            throttle: None,
        }));
        AcceptBatch { events: vec![new], ..AcceptBatch::default() }
    };
    let accepted = store.accept(batch(1, 1)).await.unwrap();
    assert_eq!(accepted[0].admissions, [[Admission::Started { seq: 1, cancelled: None }]]);
    assert_eq!(store.accept(batch(1, 1)).await.unwrap()[0].admissions, [[]; 1]);
    let accepted = store.accept(batch(2, 1)).await.unwrap();
    let reason = "once per customer c: run_1 was started for it".to_owned();
    assert_eq!(accepted[0].admissions, [[Admission::Dropped(reason.clone())]]);
    assert_eq!(store.drops(2).unwrap(), [("f".to_owned(), reason)]);
    assert_eq!(store.run("run_2"), Ok(None));
    for number in [3, 4] {
        let accepted = store.accept(batch(number, u8::try_from(number).unwrap())).await.unwrap();
        assert_eq!(accepted[0].admissions, [[Admission::Held { until: None, cancelled: None }]]);
    }
    let held = store.run("run_3").unwrap().unwrap();
    assert_eq!((held.status, held.waits.held, held.wake_at), (Status::Waiting, true, None));
    assert_eq!(held.reason.as_deref(), Some("waits for its turn behind run_1"));
    assert!(matches!(&store.journal("run_3").unwrap()[0].what, What::Started(start) if start.held.is_some()));
    assert_eq!((store.counts(), store.active(None, 10).unwrap()), (Ok((3, 0)), vec!["run_1".to_owned()]));
    // The end of the first is the turn of the next, in the same transaction.
    assert_eq!(store.turns(), []);
    let ended = RunHead {
        status: Status::Done,
        ended_at: Some(noon),
        entries: 2,
        waits: Waiting { limited: true, ..Waiting::default() },
        ..head(1, "run_1", &event(1, "evt_1", noon), Status::Running)
    };
    let entries = vec![Entry::new(noon, What::Woken)];
    store.update(vec![RunUpdate { head: ended, entries: entries.clone() }]).await.unwrap();
    assert_eq!(store.turns(), [Turn { run: "run_3".to_owned(), at: None }]);
    assert_eq!(store.turns(), [], "told once");
    let store = reopen(store);
    assert_eq!(store.active(None, 10).unwrap(), ["run_3"], "found again by who was not told");
    let mut next = store.run("run_3").unwrap().unwrap();
    assert!(next.waits.attention);
    // One that is cancelled in the line is passed over, and gives back what it used up.
    let mut cancelled = store.run("run_4").unwrap().unwrap();
    (cancelled.status, cancelled.ended_at, cancelled.entries) = (Status::Cancelled, Some(noon), 2);
    cancelled.waits.held = false;
    store.update(vec![RunUpdate { head: cancelled, entries: entries.clone() }]).await.unwrap();
    assert_eq!(store.accept(batch(5, 4)).await.unwrap()[0].admissions, [[Admission::Held { until: None, cancelled: None }]]);
    (next.status, next.ended_at, next.entries) = (Status::Stopped, Some(noon), 2);
    (next.waits.attention, next.waits.held) = (false, false);
    store.update(vec![RunUpdate { head: next, entries }]).await.unwrap();
    assert_eq!(store.turns(), [Turn { run: "run_5".to_owned(), at: None }]);
}

/// Runs that await events.
async fn awaits_conform(store: Box<dyn Store>, reopen: impl FnOnce(Box<dyn Store>) -> Box<dyn Store>) {
    let noon = at("2026-11-22T12:00:00Z");
    let batch = |number: u64, connection: &str| {
        let event = StoredEvent { connection: connection.to_owned(), ..event(number, &format!("evt_{number}"), noon) };
        AcceptBatch { events: vec![NewEvent::new(event)], ..AcceptBatch::default() }
    };
    let own = event(1, "evt_1", noon);
    let running = head(1, "run_1", &own, Status::Running);
    let begun = AcceptBatch { events: vec![new(own.clone(), running.clone())], ..AcceptBatch::default() };
    assert!(!store.accept(begun).await.unwrap()[0].awaited);
    assert!(!store.accept(batch(2, "svc")).await.unwrap()[0].awaited);
    // It begins to wait, and has not looked through what came before.
    let kind = AwaitKind { trigger: "happened".to_owned(), types: Vec::new(), field: None };
    let by = AwaitedBy { connection: "svc".to_owned(), source: "events".to_owned(), kind: kind.clone(), key: Some([7; 16]) };
    let waits = Waiting { attention: true, awaits: Some(Box::new(by.clone())), ..Waiting::default() };
    let waiting = RunHead { status: Status::Waiting, entries: 2, waits, ..running };
    let entry = |what| vec![Entry::new(noon, what)];
    let began = What::Waits(Waits { until: None, awaits: Some(Awaits { after: 1, key: None }) });
    store.update(vec![RunUpdate { head: waiting.clone(), entries: entry(began) }]).await.unwrap();
    assert_eq!(store.active(None, 10).unwrap(), ["run_1"]);
    let (before, next) = store.events_after(1, ("svc", "events"), 10).unwrap();
    assert_eq!((before.iter().map(|event| event.seq).collect::<Vec<_>>(), next), (vec![2], None));
    assert_eq!(store.events_after(0, ("svc", "events"), 1).unwrap().1, Some(1), "in portions");
    assert_eq!(store.settle("run_1", 1).await, Err(StoreError::Conflict));
    store.settle("run_1", 2).await.unwrap();
    assert_eq!((store.active(None, 10).unwrap(), store.counts()), (Vec::new(), Ok((1, 0))));
    // What comes now is marked, where it is of the kind.
    assert!(store.accept(batch(3, "svc")).await.unwrap()[0].awaited);
    assert!(!store.accept(batch(3, "svc")).await.unwrap()[0].awaited, "it was known");
    assert!(!store.accept(batch(4, "other")).await.unwrap()[0].awaited);
    let store = reopen(store);
    assert_eq!(store.to_offer(10).unwrap(), [3]);
    assert_eq!(store.await_kinds("svc", "events").unwrap(), [(kind.id(), kind.clone())]);
    assert_eq!(store.await_kinds("other", "events").unwrap(), []);
    let (id, found) = (kind.id(), ["run_1".to_owned()]);
    let of = ("svc", "events", id.as_str());
    assert_eq!(store.awaiting(of, Some(&[7; 16]), None, 10).unwrap(), found);
    assert_eq!(store.awaiting(of, Some(&[8; 16]), None, 10).unwrap(), [""; 0]);
    assert_eq!(store.awaiting(of, None, None, 10).unwrap(), [""; 0]);
    assert_eq!(store.awaiting(of, Some(&[7; 16]), Some("run_1"), 10).unwrap(), [""; 0]);
    store.offered(vec![3]).await.unwrap();
    assert_eq!(store.to_offer(10).unwrap(), [0u64; 0]);
    // It came: nothing is left of the wait.
    let on = RunHead { status: Status::Running, entries: 3, waits: Waiting::default(), ..waiting };
    let came = What::Came(Came { seq: 3, id: "evt_3".to_owned(), slots: Vec::new() });
    store.update(vec![RunUpdate { head: on, entries: entry(came) }]).await.unwrap();
    assert_eq!(store.await_kinds("svc", "events").unwrap(), []);
    assert!(!store.accept(batch(5, "svc")).await.unwrap()[0].awaited);
    // Numbers are given once, though what had them is removed.
    let bite =
        PruneBite { before: at("2027-01-01T00:00:00Z"), starts_before: noon, from: PruneFrom::default(), limit: 100, look: 1000 };
    store.prune(bite).await.unwrap();
    assert_eq!(store.event(5), Ok(None));
    assert_eq!(store.last_numbers().unwrap().0, 5);
}

/// Numbers are in the order in which things take place, whoever asked for what first and whatever was thought of them.
async fn numbers_conform(store: Box<dyn Store>, reopen: impl FnOnce(Box<dyn Store>) -> Box<dyn Store>) {
    let noon = at("2026-11-22T12:00:00Z");
    let batch = |number: u64| {
        let event = event(number, &format!("evt_{number}"), noon);
        let head = head(number, &format!("run_{number}"), &event, Status::Running);
        AcceptBatch { events: vec![new(event, head)], ..AcceptBatch::default() }
    };
    let seqs = |store: &dyn Store, number: u64| {
        let event = store.event_seq("svc", &format!("evt_{number}")).unwrap().unwrap();
        let run = store.run(&format!("run_{number}")).unwrap().unwrap();
        let began = store.journal(&run.id).unwrap().remove(0);
        let What::Started(start) = began.what else { panic!("{began:?}") };
        assert_eq!((store.event(event).unwrap().unwrap().seq, run.event, start.event.seq), (event, event, event));
        assert_eq!(store.runs_of_event(event).unwrap(), [format!("run_{number}")]);
        (event, run.seq)
    };
    let two = AcceptBatch { events: [batch(90).events, batch(7).events].concat(), ..AcceptBatch::default() };
    let together = [store.accept(two), store.accept(batch(50)), store.accept(batch(7)), store.accept(batch(3))];
    let mut given = Vec::new();
    for accepted in together {
        given.extend(accepted.await.unwrap().into_iter().map(|event| (event.seq, event.duplicate)));
    }
    assert_eq!(given, [(1, false), (2, false), (3, false), (2, true), (4, false)]);
    assert_eq!([90, 7, 50, 3].map(|number| seqs(&*store, number)), [(1, 1), (2, 2), (3, 3), (4, 4)]);
    let store = reopen(store);
    store.accept(batch(1)).await.unwrap();
    assert_eq!((seqs(&*store, 1), seqs(&*store, 50)), ((5, 5), (3, 3)));
    let lists = store.runs(&RunQuery { limit: 2, ..RunQuery::default() }).unwrap();
    assert_eq!(lists.into_iter().map(|run| run.id).collect::<Vec<_>>(), ["run_1", "run_3"]);
}

#[tokio::test]
async fn memory_conforms() {
    numbers_conform(Box::new(MemoryStore::new().unwrap()), |store| store).await;
    limits_conform(Box::new(MemoryStore::new().unwrap()), |store| store).await;
    awaits_conform(Box::new(MemoryStore::new().unwrap()), |store| store).await;
    plans_conform(Box::new(MemoryStore::new().unwrap()), |store| store).await;
    conforms(Box::new(MemoryStore::new().unwrap()), |store| store).await;
}

#[tokio::test]
async fn redb_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| -> Box<dyn Store> { Box::new(RedbStore::open(&folder.path().join(name)).unwrap()) };
    let again = |name: &'static str| {
        move |store: Box<dyn Store>| {
            drop(store);
            open(name)
        }
    };
    conforms(open("a"), again("a")).await;
    limits_conform(open("b"), again("b")).await;
    awaits_conform(open("c"), again("c")).await;
    plans_conform(open("d"), again("d")).await;
    numbers_conform(open("e"), again("e")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_share_commits() {
    let store = Arc::new(MemoryStore::new().unwrap());
    let mut waiting = Vec::new();
    for number in 1..=1000 {
        let event = event(number, &format!("evt_{number}"), at("2026-11-22T12:00:00Z"));
        let head = head(number, &format!("run_{number}"), &event, Status::Running);
        waiting.push(store.accept(AcceptBatch { events: vec![new(event, head)], ..AcceptBatch::default() }));
    }
    for accepted in waiting {
        assert!(!accepted.await.unwrap()[0].duplicate);
    }
    assert!(store.faults().commits() < 900, "{}", store.faults().commits());
    assert_eq!(store.counts(), Ok((1000, 0)));
}

#[test]
fn a_second_opener_is_refused_and_told_who() {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(folder.path()).unwrap();
    match RedbStore::open(folder.path()) {
        Err(StoreError::Held { by, .. }) => assert_eq!(by, Some(std::process::id())),
        other => panic!("{:?}", other.err()),
    }
    drop(store);
    assert!(RedbStore::open(folder.path()).is_ok());
}

#[test]
fn a_first_start_that_was_cut_off_does_not_stand_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("flow.redb.new"), b"torn").unwrap();
    let store = RedbStore::open(folder.path()).unwrap();
    assert_eq!(store.last_numbers(), Ok((0, 0)));
}

#[cfg(unix)]
#[test]
fn files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b");
    let _store = RedbStore::open(&path).unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    // Copied back so that all may enter it.
    let copied = folder.path().join("c");
    std::fs::create_dir(&copied).unwrap();
    std::fs::set_permissions(&copied, std::fs::Permissions::from_mode(0o777)).unwrap();
    drop(RedbStore::open(&copied).unwrap());
    assert_eq!(mode(&copied), 0o700);
    for file in std::fs::read_dir(&path).unwrap() {
        let file = file.unwrap().path();
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_room_mends_it() {
    let disk = SimDisk::default();
    let store = RedbStore::on(Arc::new(disk.clone())).unwrap();
    let batch = |number: u64| {
        let event = event(number, &format!("evt_{number}"), at("2026-11-22T12:00:00Z"));
        let head = head(number, &format!("run_{number}"), &event, Status::Running);
        AcceptBatch { events: vec![new(event, head)], ..AcceptBatch::default() }
    };
    store.accept(batch(1)).await.unwrap();
    disk.refuse_all(std::io::ErrorKind::StorageFull);
    for _ in 0..3 {
        let refused = store.accept(batch(2)).await.unwrap_err();
        assert!(refused.is_retryable(), "{refused}");
    }
    disk.heal();
    assert!(!store.accept(batch(2)).await.unwrap()[0].duplicate);
    assert_eq!(store.counts(), Ok((2, 0)));
    assert_eq!(store.journal("run_1").unwrap().len(), 1);
}

#[tokio::test]
async fn what_was_accepted_survives_a_power_cut_at_any_instant() {
    let disk = SimDisk::default();
    let store = RedbStore::on(Arc::new(disk.clone())).unwrap();
    for number in 1..=25 {
        let event = event(number, &format!("evt_{number}"), at("2026-11-22T12:00:00Z"));
        let head = head(number, &format!("run_{number}"), &event, Status::Running);
        store.accept(AcceptBatch { events: vec![new(event, head)], ..AcceptBatch::default() }).await.unwrap();
        // The next one is on its way when the power goes.
        let next = self::event(number + 100, &format!("evt_{}", number + 100), at("2026-11-22T12:00:00Z"));
        let next_head = self::head(number + 100, &format!("run_{}", number + 100), &next, Status::Running);
        let on_its_way = store.accept(AcceptBatch { events: vec![new(next, next_head)], ..AcceptBatch::default() });
        for seed in 0..4 {
            let rest = RedbStore::on(Arc::new(disk.after_cut(Unsynced::of(number * 32 + seed)))).unwrap();
            for earlier in 1..=number {
                assert_eq!(rest.journal(&format!("run_{earlier}")).unwrap().len(), 1, "{earlier} of {number}");
                assert!(rest.event_seq("svc", &format!("evt_{earlier}")).unwrap().is_some());
            }
            assert!(rest.counts().unwrap().0 >= number);
        }
        on_its_way.await.unwrap();
    }
}

#[test]
fn journals_survive_their_serialisation() {
    let flow = flow("f", vec![op("set", Effect::Set)]);
    let event = event(1, "evt", at("2026-11-22T12:00:00Z"));
    let entry = new(event.clone(), head(1, "run", &event, Status::Running)).starts.remove(0).runs.remove(0).entries.remove(0);
    let text = serde_json::to_string(&entry).unwrap();
    let read: Entry = serde_json::from_str(&text).unwrap();
    assert_eq!(read, entry);
    let mut run = Run::default();
    apply(&flow, &mut run, &read);
    assert_eq!(run.status, Status::Running);
}
