//! Flows by the thousand, for measurements: the same for each number, so that a figure can be repeated.

use std::fmt::Write;

/// What the flows of a project are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One line each, which all do the same for most events: each of them meets the check of overlapping flows.
    Overlap,
    /// One line each, which do different things.
    Lines,
    /// A third with several steps, waits and limits, the others of one line; no two do the same.
    Mixed,
}

/// So many flows are in one file.
pub(crate) const PER_FILE: usize = 100;

/// Returns a project: the names and texts of its files.
pub(crate) fn project(kind: Kind, flows: usize) -> Vec<(String, String)> {
    let per_file = PER_FILE.min(flows);
    (0..flows / per_file)
        .map(|file| {
            let mut text = String::with_capacity(per_file * 256);
            (file * per_file..(file + 1) * per_file).for_each(|number| flow(kind, number, &mut text));
            (format!("flows/{file:04}.flow"), text)
        })
        .collect()
}

fn flow(kind: Kind, number: usize, into: &mut String) {
    let written = match (kind, number % 3, number / 3 % 4) {
        (Kind::Overlap, ..) => {
            writeln!(into, "when stripe.charge_failed where amount > {} do kustomer.create_conversation", 100 + number)
        }
        (Kind::Mixed, 2, shape) => steps(shape, number, into),
        (Kind::Lines | Kind::Mixed, _, shape) => line(shape, number, into),
    };
    // INVARIANT: writing into a text does not fail.
    assert!(written.is_ok(), "a text takes what is written into it");
}

fn line(shape: usize, number: usize, into: &mut String) -> std::fmt::Result {
    match shape {
        0 => writeln!(
            into,
            "when stripe.charge_failed where amount > {number} USD do kustomer.create_conversation(name: \"More than {number}\")"
        ),
        1 => writeln!(
            into,
            "when stripe.new_customer where email is \"ada{number}@example.com\" do kustomer.find_or_create_customer(email: email)"
        ),
        2 => writeln!(
            into,
            "when stripe.invoice_payment_failed where attempt_count > 2 and customer_email ends with \"@shop{number}.example\"\n  \
             do kustomer.create_conversation(priority: 4, name: \"Invoice {{id}} of shop {number}\")"
        ),
        _ => writeln!(
            into,
            "when kustomer.message_received where subject contains \"order {number}\" and conversation is present\n  \
             do kustomer.add_tag(conversation: conversation, tag: \"order-{number}\")"
        ),
    }
}

fn steps(shape: usize, number: usize, into: &mut String) -> std::fmt::Result {
    match shape {
        0 => writeln!(
            into,
            r#"
## Somebody calls after three days.
flow remind_{number} "A reminder after three days"
  when stripe.charge_failed
  where amount > {number} USD and customer_email is present and customer is present
  at most 3 per customer per 24 hours
  do {{
    kustomer.find_or_create_customer(email: customer_email) as buyer
    kustomer.create_conversation(customer: buyer.id, name: "Reminder {number} for {{amount}}") as talk
    wait 72 hours
    kustomer.add_note(conversation: talk.id, text: "Three days are over: {number}")
  }}
"#
        ),
        1 => writeln!(
            into,
            r#"
flow triage_{number} "Sort failed charges by their reason"
  when stripe.charge_failed
  where livemode is false and customer_email is present
    and amount > any({number} USD, {number} EUR)
  do {{
    let buyer = stripe.find_customer(email: customer_email)
    match decline_reason {{
      "insufficient_funds" | "do_not_honor" => kustomer.create_conversation(priority: 2, name: "Queue {number}")
      "expired_card" => stop because "the bank asks for a new card by itself"
      else => {{
        kustomer.create_conversation(priority: 5, name: "Urgent {number}") as conversation
        if buyer is present {{
          kustomer.add_note(conversation: conversation.id, text: "Stripe customer {{buyer.id}}, list {number}")
        }}
      }}
    }}
  }}
"#
        ),
        2 => writeln!(
            into,
            r#"
flow second_chance_{number} "A new payment link for an unpaid checkout"
  when stripe.checkout_completed
  where payment_status is "unpaid" and customer_email is present and amount_total is present
  once per id
  do {{
    stripe.create_payment_link(price: "price_{number}", quantity: 1)
      as link
      retry 5 times over 1 hour
    kustomer.create_conversation(
      name: "Checkout of {{amount_total}} was not paid: list {number}",
      note: "Send this link: {{link.url}}",
    )
  }}
  on error {{
    kustomer.create_conversation(name: "No payment link for {{id}}: {{error.message}} ({number})", priority: 5)
  }}
"#
        ),
        _ => writeln!(
            into,
            r#"
flow wait_{number}
  when stripe.invoice_payment_failed
  where attempt_count > 2 and customer_email is present
  one at a time per id
  do {{
    let failed = id
    wait for stripe.invoice_paid where id is failed up to 168 hours else {{
      kustomer.create_conversation(name: "Invoice {{failed}} is still open: list {number}", priority: 5)
      stop
    }}
    kustomer.create_conversation(name: "Invoice {{failed}} was paid after all: list {number}", priority: 1)
  }}
"#
        ),
    }
}
