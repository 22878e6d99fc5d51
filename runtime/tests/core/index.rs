//! The matcher's index against a loop over all flows: whatever flows, payloads and reloads, the same starts in the same order.
//!
//! `FLOW_MATCH_SEEDS` says how many worlds are tried; a world is made of its number alone.

mod draw;
mod plain;

use std::collections::BTreeMap;
use std::sync::Arc;

use flow_plan::{Flow, Value};
use flow_runtime::event::{Origin, Via};
use flow_runtime::journal::EventHead;
use flow_runtime::live::Live;
use flow_runtime::matcher::{MatchedStart, Matcher};

use crate::fixture::{at, live};
use draw::Draw;

fn head(event_type: Option<&str>) -> EventHead {
    EventHead {
        seq: 1,
        id: "evt".to_owned(),
        connection: "svc".to_owned(),
        event_type: event_type.map(str::to_owned),
        occurred_at: None,
        signed_at: None,
        received_at: at("2026-11-22T12:00:00Z"),
        via: Via::Webhook,
        origin: Origin::External,
        depth: 0,
    }
}

/// A start: what it is of, its key, its flows with what does not fit.
type Short = (String, String, Vec<(String, Option<String>)>);

/// What the matcher makes of an event, and what a loop makes of it.
fn compare(matcher: &Matcher, flows: &[Arc<Flow>], draw: &mut Draw, world: &str) -> usize {
    let event_type = draw.one_of(&[Some("happened"), Some("happened"), Some("other"), Some("unknown"), None]);
    let event = head(event_type);
    let payload = draw.payload();
    let only = draw.one_of(&[None, None, None, Some("happened"), Some("picky")]);
    let skipped = draw.number(4);
    let skip = |flow: &str| skipped == 0 && flow.ends_with('3');
    let settings = BTreeMap::new();
    let expected = plain::starts(flows, &event, &payload, only, &skip);
    let group = matcher.group_of("svc", "events", event_type);
    let told = || format!("{world}: {event_type:?} only {only:?} skips {}: {payload}", skipped == 0);
    let Some(group) = group else {
        assert_eq!(expected, Vec::<MatchedStart>::new(), "{}", told());
        return 0;
    };
    let read = group.read(payload.as_bytes()).unwrap();
    let found = read.starts(&event, &settings, only, &skip);
    let short = |starts: &[MatchedStart]| -> Vec<Short> {
        let flows = |start: &MatchedStart| start.flows.iter().map(|flow| (flow.flow.id.clone(), flow.misfit.clone())).collect();
        starts.iter().map(|start| (start.identity.clone(), start.key.clone(), flows(start))).collect()
    };
    assert_eq!(short(&found), short(&expected), "{}", told());
    assert_eq!(found, expected, "{}", told());
    let ended: Vec<String> = read.watched(&event, &settings).into_iter().map(|row| row.owner).collect();
    assert_eq!(ended, plain::ended(flows, &event, &payload), "{}", told());
    found.iter().map(|start| start.flows.len()).sum::<usize>() + ended.len()
}

/// Changes some flows as edits do: in place, at the ends, by moving, in many places at once.
fn edit(live: &mut Live, draw: &mut Draw, next: &mut usize) {
    for _ in 0..draw.one_of(&[1, 1, 1, 3, 40]) {
        let at = draw.number(live.flows.len() + 1);
        let is_there = at < live.flows.len();
        match draw.number(6) {
            0 if is_there => drop(live.flows.remove(at)),
            1 if is_there => {
                let moved = live.flows.remove(at);
                let to = draw.number(live.flows.len() + 1);
                live.flows.insert(to, moved);
            }
            2 if is_there => {
                // The same flow, some lines further down.
                let mut same = (*live.flows[at]).clone();
                same.line += 1;
                live.flows[at] = Arc::new(same);
            }
            3 if is_there => {
                let id = live.flows[at].id.clone();
                live.flows[at] = Arc::new(draw.flow(&id));
            }
            _ => {
                *next += 1;
                live.flows.insert(at, Arc::new(draw.flow(&format!("f{next}"))));
            }
        }
    }
    if draw.number(12) == 0 {
        live.flows.clear();
    }
}

#[test]
fn the_index_starts_what_a_loop_over_all_flows_starts() {
    let seeds = std::env::var("FLOW_MATCH_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(60u64);
    let mut matched = 0;
    for seed in 0..seeds {
        let mut draw = Draw::new(seed);
        let mut next = draw.one_of(&[0, 1, 5, 30, 120, 400]);
        let mut live = live((0..next).map(|number| draw.flow(&format!("f{number}"))).collect());
        let mut matcher = Matcher::build(&live, None);
        for reload in 0..draw.one_of(&[1, 4, 12]) {
            let world = format!("seed {seed}, reload {reload}");
            for _ in 0..6 {
                matched += compare(&matcher, &live.flows, &mut draw, &world);
            }
            for flow in &live.flows {
                assert!(matcher.flow(&flow.id).is_some_and(|known| Arc::ptr_eq(known, flow)), "{world}: {}", flow.id);
            }
            assert!(matcher.flow("nobody").is_none());
            edit(&mut live, &mut draw, &mut next);
            matcher = Matcher::build(&live, Some(&matcher));
        }
    }
    // Were nothing ever to match, the two would agree on nothing.
    assert!(matched > seeds as usize * 20, "{matched}");
}

/// Flows come and go for long, and always near the same place.
#[test]
fn a_thousand_reloads_of_one_place_leave_nothing_behind() {
    let mut draw = Draw::new(7);
    let mut live = live((0..300).map(|number| draw.flow(&format!("f{number}"))).collect());
    let mut matcher = Matcher::build(&live, None);
    for reload in 0..1_000 {
        let id = format!("new{reload}");
        let at = 150 + reload % 3;
        if reload % 2 == 0 {
            live.flows.insert(at, Arc::new(draw.flow(&id)));
        } else {
            live.flows.remove(at);
        }
        matcher = Matcher::build(&live, Some(&matcher));
        if reload % 50 == 0 {
            compare(&matcher, &live.flows, &mut draw, &format!("reload {reload}"));
        }
    }
    assert!(live.flows.iter().all(|flow| matcher.flow(&flow.id).is_some()));
}

/// Another version of a connector may have its object elsewhere.
#[test]
fn where_the_object_lies_may_change() {
    let mut draw = Draw::new(1);
    let mut flow = draw.flow("f");
    (flow.filter, flow.triggers) = (None, vec![crate::fixture::trigger("happened")]);
    let mut live = live(vec![flow]);
    let before = Matcher::build(&live, None);
    let name = |matcher: &Matcher| {
        let group = matcher.group_of("svc", "events", Some("happened")).unwrap();
        let text = br#"{"data":{"object":{"name":"here"}},"other":{"name":"there"}}"#;
        let mut starts = group.read(text).unwrap().starts(&head(Some("happened")), &BTreeMap::new(), None, &|_| false);
        let flow = starts.remove(0).flows.remove(0);
        flow.slots.into_iter().find(|slot| matches!(slot, Value::Text(_))).unwrap()
    };
    assert_eq!(name(&before), Value::text("here"));
    let mut moved = crate::fixture::connection("svc");
    Arc::make_mut(&mut moved.plan.sources[0]).envelope.object = crate::fixture::path("other");
    live.connections.insert("svc".to_owned(), Arc::new(moved));
    assert_eq!(name(&Matcher::build(&live, Some(&before))), Value::text("there"));
}
