use flow_plan::{Condition, Expr, Gaps, Otherwise, Rate, StartKind, StateOp, Value, WhileRunning};

use crate::{flow, flows};

#[test]
fn a_field_of_several_records_is_one_slot_with_the_shape_of_each() {
    let flow = flow(
        "when stripe.charge_failed or kustomer.customer_created where created_at is present \
         do slack.post_message(channel: \"#a\", text: \"{trigger.name} {created_at}\")",
    );
    assert_eq!(flow.reads.len(), 1, "{:?}", flow.reads);
    let paths = |at: usize| -> Vec<String> {
        let shapes: Vec<_> = flow.reads_of(&flow.triggers[at]).collect();
        shapes[0].unwrap().from.iter().map(|source| source.path.to_string()).collect()
    };
    assert_eq!(paths(0), ["created"]);
    assert_eq!(paths(1), ["data.attributes.createdAt", "attributes.createdAt"]);
    // That of the first trigger is the flow's own, and stands once.
    assert!(flow.triggers[0].reads.is_empty() && !flow.triggers[1].reads.is_empty());
}

#[test]
fn a_field_of_one_trigger_is_missing_in_the_events_of_the_other() {
    let flow = flow(
        "when stripe.charge_failed or stripe.new_dispute \
         do { if trigger.name is \"new_dispute\" { slack.post_message(channel: \"#a\", text: reason) } }",
    );
    let shapes: Vec<Option<&str>> =
        flow.reads_of(&flow.triggers[0]).map(|shape| shape.map(|shape| shape.name.as_str())).collect();
    assert_eq!(shapes, [None]);
    let shapes: Vec<Option<&str>> =
        flow.reads_of(&flow.triggers[1]).map(|shape| shape.map(|shape| shape.name.as_str())).collect();
    assert_eq!(shapes, [Some("reason")]);
}

#[test]
fn an_absence_has_the_condition_and_its_event_has_no_fields() {
    let flow = flow(
        "flow quiet when no stripe.charge_failed where amount > 5 USD within 2 hours \
         do slack.post_message(channel: \"#a\", text: \"quiet\")",
    );
    let [used] = flow.triggers.as_slice() else { panic!() };
    assert_eq!(
        (used.connection.as_str(), used.source.as_str(), used.types.as_slice()),
        ("stripe", "absence", &["quiet".to_owned()][..])
    );
    let StartKind::Absence(absence) = &used.kind else { panic!("{:?}", used.kind) };
    assert_eq!(absence.awaited.types, ["charge.failed"]);
    assert_eq!(absence.within.length.to_string(), "2 hours");
    assert!(matches!(&absence.filter, Some(Condition::Test { text, .. }) if text == "amount > 5 USD"));
    assert_eq!(flow.filter, None);
    assert!(flow.reads_of(used).all(|shape| shape.is_none()));
    assert!(flow.reads_of(&absence.awaited).all(|shape| shape.is_some()));
}

#[test]
fn states_start_a_flow_each_with_a_type_of_its_own() {
    let flow = flow(
        "flow door when front_door is unlocked for 10 minutes or front_door.standing becomes locked across gaps assume \
         do notify.phone(text: \"{value}\")",
    );
    let [first, second] = flow.triggers.as_slice() else { panic!() };
    assert_eq!((first.types.as_slice(), second.types.as_slice()), (&["door".to_owned()][..], &["door#1".to_owned()][..]));
    let StartKind::State(state) = &first.kind else { panic!() };
    assert_eq!((state.state.as_str(), state.op, state.gaps), ("standing", StateOp::Is, Gaps::Assume));
    assert_eq!(state.value, Value::text("unlocked"));
    let StartKind::State(state) = &second.kind else { panic!() };
    assert_eq!((state.op, state.lasting.is_none()), (StateOp::Becomes, true));
}

#[test]
fn limits_have_their_keys_and_times() {
    let flow = flow(
        "when stripe.charge_failed where customer is present \
         fresh within 90 seconds once per id at most twice per customer per day otherwise queue while running skip \
         do metrics.sample",
    );
    let limits = &flow.limits;
    assert_eq!(limits.fresh_ms, Some(90_000));
    assert_eq!(limits.while_running, Some(WhileRunning::Skip));
    let [limit] = limits.at_most.as_slice() else { panic!() };
    assert_eq!((limit.count, limit.otherwise), (2, Otherwise::Queue));
    assert!(matches!(&limit.every, Rate::Calendar { zone, .. } if zone == "Europe/Paris"));
    let name = |key: &Expr| match key {
        Expr::Event(slot) => flow.reads[usize::from(*slot)].name.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(limit.per.iter().map(name).collect::<Vec<_>>(), ["customer"]);
    assert_eq!(limits.once_per.as_ref().unwrap().iter().map(name).collect::<Vec<_>>(), ["id"]);
}

#[test]
fn a_dangerous_step_bounds_the_age_of_what_has_no_clause_for_it() {
    let schedule = flow("every day at 08:00 in \"Asia/Tokyo\" missed skip do front_door.unlock");
    assert_eq!(schedule.limits.fresh_ms, Some(120_000), "the limit of the connector");
    let event = flow("when front_door.locked fresh within 20 seconds do front_door.unlock");
    assert_eq!(event.limits.fresh_ms, Some(20_000));
}

#[test]
fn the_layout_of_conditions_does_not_change_what_a_flow_is() {
    let hash = |gap: &str| {
        let program = format!(
            "flow a when no stripe.charge_failed where amount{gap}>{gap}5 USD within 2 hours do {{ \
             wait for stripe.charge_failed where amount{gap}>{gap}9 USD up to 1 hour  metrics.sample }}"
        );
        flow(&program).hash.clone()
    };
    assert_eq!(hash(" "), hash("   "));
}

#[test]
fn the_events_of_flows_need_no_connection() {
    let flows = flows("when flow.dead do metrics.sample\nwhen flow.silent or flow.failed do metrics.sample");
    assert_eq!(flows[0].triggers[0].source, "engine");
    let used = crate::compile(&[("a.flow", "when flow.dead do metrics.sample")]);
    assert!(used.connections.contains_key("flow"));
    let unused = crate::compile(&[("a.flow", "when front_door.locked do metrics.sample")]);
    assert!(!unused.connections.contains_key("flow"));
}
