//! Inline tests by the thousand, for measurements.

/// So many tests are beside each three flows of [`project`].
const PER_GROUP: usize = 10;

/// Returns a project with so many tests: of conditions, repetitions, faults, restarts, waits and schedules.
pub(crate) fn project(count: usize) -> Vec<(String, String)> {
    (0..count / PER_GROUP).map(|group| (format!("flows/{group:04}.flow"), TESTS.replace("{group}", &group.to_string()))).collect()
}

const TESTS: &str = r#"
flow big_{group}
  when stripe.charge_failed
  where amount > any(100 USD, 15_000 JPY) and customer_email is present
  do kustomer.create_conversation(name: "List {group}", priority: 4)

test "yen are not cents: {group}" for flow big_{group} {
  given stripe.charge_failed { amount: 5_000 JPY }
  expect no kustomer.create_conversation
}

test "a small amount: {group}" for flow big_{group} {
  given stripe.charge_failed { amount: 50 USD }
  expect no kustomer.create_conversation
}

test "once, however often it is said: {group}" for flow big_{group} {
  given stripe.charge_failed { amount: 250 USD, customer_email: "ada@example.com" } twice
  expect kustomer.create_conversation once with { priority: 4 }
}

test "a timeout does not open a second one: {group}" for flow big_{group} {
  given kustomer.create_conversation fails once with timeout_after_effect
  given stripe.charge_failed { amount: 250 USD, customer_email: "ada@example.com" } twice
  after 1 hour
  given restart
  expect kustomer.create_conversation once
}

test "an outage: {group}" for flow big_{group} {
  given kustomer.create_conversation fails 3 times with 503
  given stripe.charge_failed { amount: 250 USD, customer_email: "ada@example.com" }
  after 1 hour
  expect kustomer.create_conversation once
}

flow remind_{group}
  when stripe.charge_failed
  where customer is present and customer_email is present
  at most 1 per customer per 24 hours
  do {
    kustomer.find_or_create_customer(email: customer_email) as buyer
    kustomer.create_conversation(customer: buyer.id, name: "First of {group}")
    wait 72 hours
    kustomer.create_conversation(customer: buyer.id, name: "Second of {group}")
  }

test "not before three days: {group}" for flow remind_{group} {
  given stripe.charge_failed { customer: "cus_1", customer_email: "ada@example.com" }
  after 71 hours
  expect kustomer.find_or_create_customer once
  expect kustomer.create_conversation once
}

test "after three days: {group}" for flow remind_{group} {
  given stripe.charge_failed { customer: "cus_1", customer_email: "ada@example.com" }
  after 73 hours
  expect kustomer.find_or_create_customer once
  expect kustomer.create_conversation twice
}

test "once a day for each: {group}" for flow remind_{group} {
  given stripe.charge_failed { customer: "cus_1", customer_email: "ada@example.com" }
  given stripe.charge_failed { customer: "cus_1", customer_email: "ada@example.com" }
  given stripe.charge_failed { customer: "cus_2", customer_email: "eve@example.com" }
  expect kustomer.find_or_create_customer twice
  expect kustomer.create_conversation twice
}

flow round_{group}
  every weekday at 08:45 in "Europe/Paris"
  do {
    kustomer.find_or_create_customer(email: "desk@example.com") as desk
    kustomer.create_conversation(customer: desk.id, name: "Open payments {group}")
  }

test "each morning: {group}" for flow round_{group} {
  after 72 hours
  expect kustomer.find_or_create_customer 3 times
  expect kustomer.create_conversation 3 times
}

test "not on the same day: {group}" for flow round_{group} {
  after 10 hours
  expect no kustomer.create_conversation
}
"#;
