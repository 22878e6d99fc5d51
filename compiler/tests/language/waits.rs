use flow_plan::{Expr, Instr, Wait, WaitFor};

use crate::flow;

fn wait_for(program: &str) -> (WaitFor, Vec<Instr>) {
    let flow = flow(program);
    let instrs = flow.program.instrs.clone();
    let found = instrs.iter().find_map(|instr| match instr {
        Instr::WaitFor(wait) => Some(wait.as_ref().clone()),
        _ => None,
    });
    (found.unwrap(), instrs)
}

#[test]
fn what_identifies_the_awaited_event_is_found() {
    let (wait, _) = wait_for(
        "when stripe.invoice_payment_failed do { \
         wait for stripe.invoice_paid where amount_due is event.amount_due and event.id is id up to 1 hour  metrics.sample }",
    );
    let (slot, value) = wait.key.unwrap();
    assert_eq!(wait.reads[usize::from(slot)].name, "id");
    assert!(matches!(value, Expr::Event(_)));
    assert!(!wait.from_now && wait.up_to.is_some());
}

#[test]
fn what_is_not_demanded_is_no_key() {
    let (wait, _) = wait_for(
        "when stripe.invoice_payment_failed do { \
         wait for stripe.invoice_paid where id is event.id or amount_due > 5 USD from now up to 1 hour  metrics.sample }",
    );
    assert_eq!(wait.key, None);
    assert!(wait.from_now);
}

#[test]
fn else_is_entered_when_the_bound_is_reached_and_skipped_otherwise() {
    let (wait, instrs) = wait_for(
        "when stripe.invoice_payment_failed do { \
         wait for stripe.invoice_paid up to 1 hour else { stop }  metrics.sample }",
    );
    let at = instrs.iter().position(|instr| matches!(instr, Instr::WaitFor(_))).unwrap();
    let Instr::Jump(end) = instrs[at + 1] else { panic!("{instrs:?}") };
    assert!(matches!(instrs[wait.otherwise as usize], Instr::Stop { .. }));
    assert!(matches!(instrs[end as usize], Instr::Call(_)));
}

#[test]
fn without_else_the_run_goes_on_in_both_cases() {
    let (wait, instrs) =
        wait_for("when stripe.invoice_payment_failed do { wait for stripe.invoice_paid up to 1 hour  metrics.sample }");
    assert!(matches!(instrs[wait.otherwise as usize], Instr::Call(_)));
}

#[test]
fn what_was_known_before_a_wait_is_known_behind_it() {
    flow(
        "when stripe.charge_failed where customer_email is present do { wait 1 hour  \
         wait until 09:00 in \"Asia/Tokyo\"  sms.send(to: \"+81312345678\", text: customer_email) }",
    );
}

#[test]
fn a_time_of_day_has_a_zone_and_an_instant_has_none() {
    let flow =
        flow("when stripe.charge_failed do { wait until 09:00  wait until created_at + 1 hour  wait 2 days  metrics.sample }");
    let waits: Vec<&Wait> = flow
        .program
        .instrs
        .iter()
        .filter_map(|instr| match instr {
            Instr::Wait(wait) => Some(wait.as_ref()),
            _ => None,
        })
        .collect();
    assert!(matches!(waits[0], Wait::Until { zone: Some(zone), .. } if zone == "Europe/Paris"));
    assert!(matches!(waits[1], Wait::Until { zone: None, .. }));
    assert!(matches!(waits[2], Wait::For(span) if span.zone.as_deref() == Some("Europe/Paris")));
    let kinds: Vec<&str> = flow.outline.iter().map(|step| step.kind.as_str()).collect();
    assert_eq!(kinds, ["wait", "wait", "wait", "call"]);
}
