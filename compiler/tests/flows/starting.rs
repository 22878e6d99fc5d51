//! Mistakes about what starts a flow, what limits it and what it waits for.

use flow_compiler::settings::ConnectionSettings;

use crate::harness::{Project, group_in};

/// A gate with states, a bell that anybody can ring, and a button whose signature covers neither a time nor an id.
const GATE: &str = r#"
connector gate "Gate" {
  base "https://gate.example"
  record Passage { id: id<Passage> @key  at: datetime iso  plate: text? }
  record Level { value: number  charge: money decimal from (amount, currency) }
  source history {
    poll GET "/history" every 1 minute
    items "items"  type "type"  id "id"  at "at" iso
  }
  trigger passed: Passage from history "passed"
  source list {
    poll GET "/list" every 1 minute
    items "items"  id "id"
  }
  trigger listed: Level from list
  query status() -> { standing: open | closed, level: number, working: bool } { GET "/status" }
  state standing: open | closed from query status().standing every 2 minutes
  state level: number from query status().level
  state working: bool from query status().working
  action open @dangerous(default: 30 seconds, limit: 2 minutes) { POST "/open"  effect once }
  action close { POST "/close"  effect set  emits passed }
  action let_in @dangerous { POST "/in"  effect once }
}
connector bell "Bell" {
  setting verify: text = "none"
  secret signing
  record Ring { id: text }
  source hook { webhook verify chosen(by: verify, secret: signing)  id "id" }
  trigger rang: Ring from hook
}
connector button "Button" {
  secret key
  record Press { id: text }
  source hook { webhook verify token(secret: key)  id "id" }
  trigger pressed: Press from hook
}
"#;

fn project() -> Project {
    Project::with(|settings| settings.timezone = Some("Europe/Paris".to_owned())).and(GATE)
}

fn group(name: &str, cases: &[&str]) {
    group_in(name, project, cases);
}

#[test]
fn keys() {
    group(
        "start_keys",
        &[
            "when stripe.charge_failed once per customer do crm.count(name: \"x\")",
            "when stripe.charge_failed once per amount do crm.count(name: \"x\")",
            "when stripe.charge_failed once per \"a\" do crm.count(name: \"x\")",
            "when stripe.charge_failed once per id, id do crm.count(name: \"x\")",
            "when stripe.charge_failed once per raw.data.object.customer do crm.count(name: \"x\")",
            "when stripe.charge_failed once per livemod do crm.count(name: \"x\")",
            "when kustomer.conversation_updated once per tags do crm.count(name: \"x\")",
            "when no stripe.charge_failed within 1 hour once per id do crm.count(name: \"x\")",
        ],
    );
}

#[test]
fn limits() {
    group(
        "start_limits",
        &[
            "when stripe.charge_failed at most 3 per hour otherwise drop do crm.count(name: \"x\")",
            "when stripe.charge_failed at most 3 per hour otherwise wait do crm.count(name: \"x\")",
            "when stripe.charge_failed at most 3 per hour otherwise quue do crm.count(name: \"x\")",
            "when stripe.charge_failed at most 3 per hour otherwise mail do crm.count(name: \"x\")",
            "when stripe.charge_failed at most 3 per hour at most 5 per hour do crm.count(name: \"x\")",
            "when stripe.charge_failed at most 0 per hour do crm.count(name: \"x\")",
            "when stripe.charge_failed once per day do crm.count(name: \"x\")",
            "when stripe.charge_failed one at a time per id while running queue do crm.count(name: \"x\")",
            "when stripe.charge_failed while running parallel do crm.count(name: \"x\")",
            "when stripe.charge_failed while running ignore do crm.count(name: \"x\")",
            "when stripe.charge_failed while running restrt do crm.count(name: \"x\")",
            "when stripe.charge_failed 1 times within 1 hour do crm.count(name: \"x\")",
            "when stripe.charge_failed fresh within 0 seconds do crm.count(name: \"x\")",
            "when stripe.charge_failed at most 1 per day per id do crm.count(name: \"x\")",
        ],
    );
}

#[test]
fn clauses_that_do_not_fit() {
    group(
        "start_misfits",
        &[
            "when stripe.charge_failed within 1 hour do crm.count(name: \"x\")",
            "when stripe.charge_failed missed skip do crm.count(name: \"x\")",
            "when stripe.charge_failed on clock change skip do crm.count(name: \"x\")",
            "when stripe.charge_failed across gaps verify do crm.count(name: \"x\")",
            "when gate.level rises above 5 across gaps verify do crm.count(name: \"x\")",
            "when gate.standing is open for 5 minutes across gaps check do crm.count(name: \"x\")",
            "when gate.standing is open for 5 minutes unverified do crm.count(name: \"x\")",
            "when no stripe.charge_failed within 1 hour fresh within 1 minute do crm.count(name: \"x\")",
            "when no stripe.charge_failed 3 times within 1 hour within 1 hour do crm.count(name: \"x\")",
            "every 5 minutes fresh within 1 minute do crm.count(name: \"x\")",
            "every 5 minutes 3 times within 1 hour do crm.count(name: \"x\")",
            "when stripe.charge_failed unverified do crm.count(name: \"x\")",
            "when bell.rang do crm.count(name: \"x\")",
            "when bell.rang unverified do crm.count(name: \"x\")",
            "when gate.passed do { wait for bell.rang up to 1 minute  crm.count(name: \"x\") }",
            "when gate.passed where plate is \"x\" do { wait for bell.rang where id is \"1\" up to 1 minute else { stop }  crm.count(name: \"x\") }",
            "when gate.passed unverified do { wait for bell.rang up to 1 minute else { stop }  crm.count(name: \"x\") }",
            "when gate.passed unverified do { wait for gate.passed up to 1 minute else { stop }  crm.count(name: \"x\") }",
            "every 1 hour do { wait for bell.rang up to 1 minute else { stop }  crm.count(name: \"x\") }",
            "every 1 hour unverified do { wait for bell.rang up to 1 minute else { stop }  crm.count(name: \"x\") }",
            "every 1 hour unverified do crm.count(name: \"x\")",
        ],
    );
}

#[test]
fn words_of_elsewhere() {
    group(
        "start_words",
        &[
            "when stripe.charge_failed throttle 10 per minute do crm.count(name: \"x\")",
            "when stripe.charge_failed max 3 per hour do crm.count(name: \"x\")",
            "when stripe.charge_failed limit 3 per hour do crm.count(name: \"x\")",
            "when stripe.charge_failed debounce 5 minutes do crm.count(name: \"x\")",
            "when stripe.charge_failed cooldown 5 minutes do crm.count(name: \"x\")",
            "when stripe.charge_failed mode: restart do crm.count(name: \"x\")",
            "when stripe.charge_failed once a day do crm.count(name: \"x\")",
            "when stripe.charge_failed at most 3 a day do crm.count(name: \"x\")",
            "when stripe.charge_failed at most 3 times per hour do crm.count(name: \"x\")",
            "when stripe.charge_failed for 10 minutes do crm.count(name: \"x\")",
            "when stripe.charge_failed do { sleep 5 minutes  crm.count(name: \"x\") }",
            "when stripe.charge_failed do { delay 5 minutes  crm.count(name: \"x\") }",
            "when stripe.charge_failed do { wait(5)  crm.count(name: \"x\") }",
            "when stripe.charge_failed do { wait for 5 minutes  crm.count(name: \"x\") }",
            "when stripe.charge_failed do { wait for stripe.new_payment within 2 hours  crm.count(name: \"x\") }",
        ],
    );
}

#[test]
fn states() {
    group(
        "start_states",
        &[
            "when gate.standing is open do crm.count(name: \"x\")",
            "when gate is open for 5 minutes do crm.count(name: \"x\")",
            "when gate.standng becomes open do crm.count(name: \"x\")",
            "when gate.standing becomes opn do crm.count(name: \"x\")",
            "when gate.standing becomes \"opn\" do crm.count(name: \"x\")",
            "when gate.standing becomes unavailable do crm.count(name: \"x\")",
            "when gate.standing becomes ajar do crm.count(name: \"x\")",
            "when gate.passed becomes open do crm.count(name: \"x\")",
            "when gate.standing rises above 5 do crm.count(name: \"x\")",
            "when gate.level drops below limit do crm.count(name: \"x\")",
            "when gate.level drops below 20 USD do crm.count(name: \"x\")",
            "when gate.level drops below 20 do crm.count(name: \"{value} {was else 0} {since} {before}\")",
            "when gate.working becomes on do crm.count(name: \"x\")",
            "when gate.working becomes false do crm.count(name: \"x\")",
            "when stripe.balance is open for 5 minutes do crm.count(name: \"x\")",
            "when stripe becomes open do crm.count(name: \"x\")",
            "when gate.standing is open for 1 minute do crm.count(name: \"x\")",
            "when gate.standing.now becomes open do crm.count(name: \"x\")",
            "when gate.standing changes for 5 minutes do crm.count(name: \"x\")",
            "when gate.standing changes do crm.count(name: \"{value} {since}\")",
            "when gate.level is unknown do crm.count(name: \"x\")",
            "when gate.level is unknown for 1 minute do crm.count(name: \"{was else 0} {value}\")",
            "when gate.level becomes unreadable do crm.count(name: \"{since}\")",
            "when gate.level becomes known where since <= now - 1 hour do crm.count(name: \"{value}\")",
            "when gate.level becomes known for 5 minutes do crm.count(name: \"x\")",
        ],
    );
    let never = || {
        Project::with(|settings| {
            let gate = ConnectionSettings { connector: "gate".to_owned(), never_polls: true, ..ConnectionSettings::default() };
            settings.connections = Some([("gate".to_owned(), gate)].into());
        })
        .and(GATE)
    };
    group_in("start_states_never", never, &["when gate.standing becomes open do crm.count(name: \"x\")"]);
}

#[test]
fn several_triggers() {
    group(
        "start_several",
        &[
            "when stripe.charge_failed or stripe.new_dispute do crm.count(name: failure_code else \"x\")",
            "when stripe.charge_failed or stripe.new_dispute do crm.count(name: event.failure_code else \"x\")",
            "when stripe.charge_failed or crm.person_updated do crm.count(name: id)",
            "when stripe.charge_failed or stripe.new_dispute do crm.count(name: failur_code else \"x\")",
            "when stripe.charge_failed or stripe.new_dispute or stripe.charge_failed do crm.count(name: \"x\")",
            "when stripe.charge_failed or stripe.chrge_refunded do crm.count(name: \"x\")",
            "when stripe.charge_failed or stripe.new_dispute where trigger.name is \"charge_faild\" do crm.count(name: \"x\")",
            "when stripe.charge_failed or stripe.new_dispute do { match trigger.name { \"charge_failed\" => crm.count(name: \"x\") } }",
            "when stripe.charge_failed or stripe.new_dispute do { match trigger.name { \"charge_failed\" => crm.count(name: failure_code else \"x\")  else => crm.count(name: reason) } }",
            "when stripe.charge_failed or stripe.new_dispute where trigger.name is not \"new_dispute\" do crm.count(name: failure_code else \"x\")",
            "when stripe.charge_failed or stripe.new_dispute where trigger.name is \"new_dispute\" and failure_code is \"x\" do crm.count(name: \"x\")",
            "when stripe.charge_failed or stripe.new_dispute do { if trigger.name is \"new_dispute\" { stop }  crm.count(name: failure_code else \"x\") }",
            "when stripe.charge_failed or stripe.new_dispute do { if trigger.name in [\"new_dispute\"] { crm.count(name: reason) } }",
            "when stripe.charge_failed or no stripe.new_payment within 1 hour do crm.count(name: \"x\")",
            "when stripe.charge_failed where origin is \"extern\" do crm.count(name: \"x\")",
            "when flow.ded do crm.count(name: \"x\")",
        ],
    );
}

#[test]
fn absences() {
    group(
        "start_absences",
        &[
            "when no stripe.new_payment do crm.count(name: \"x\")",
            "when no stripe.new_payment where amount > 5 USD do crm.count(name: \"x\")",
            "when no stripe.new_payment within 6 hours do crm.count(name: id)",
            "when no stripe.new_payment within 6 hours do crm.count(name: event.amount)",
            "when no stripe.new_payment within 6 hours do crm.count(name: foo)",
            "when no stripe.new_paymnt within 6 hours do crm.count(name: \"x\")",
            "when no stripe.new_payment within 6 hours do kustomer.create_conversation",
        ],
    );
}

#[test]
fn waits() {
    group(
        "start_waits",
        &[
            "when stripe.invoice_payment_failed do { wait for stripe.invoice_paid where id is event.id  crm.count(name: \"x\") }",
            "when stripe.invoice_payment_failed do { wait for stripe.invoice_paid else { stop }  crm.count(name: \"x\") }",
            "when stripe.invoice_payment_failed do { wait for no stripe.invoice_paid up to 1 hour  crm.count(name: \"x\") }",
            "when stripe.invoice_payment_failed do { wait for gate.standing becomes open up to 1 hour  crm.count(name: \"x\") }",
            "when stripe.invoice_payment_failed do { wait for stripe.invoice_piad up to 1 hour  crm.count(name: \"x\") }",
            "when stripe.invoice_payment_failed do { wait for stripe.invoice_paid where id is id up to 1 hour  crm.count(name: \"x\") }",
            "when stripe.charge_failed do { wait for kustomer.message_received where failure_code is \"x\" up to 1 hour  crm.count(name: \"x\") }",
            "when stripe.charge_failed do { wait for kustomer.message_received where subjct is \"x\" up to 1 hour  crm.count(name: \"x\") }",
            "when stripe.charge_failed do { wait for kustomer.message_received where raw.id is \"x\" up to 1 hour  crm.count(name: \"x\") }",
            "when stripe.charge_failed do { wait for kustomer.message_received where not (created_at > event.created_at) up to 1 hour  crm.count(name: \"x\") }",
            "when stripe.charge_failed do { wait until 5 minutes  crm.count(name: \"x\") }",
            "when stripe.charge_failed do { wait until livemode  crm.count(name: \"x\") }",
            "when stripe.charge_failed do { wait until \"09:00\"  crm.count(name: \"x\") }",
            "when stripe.charge_failed do { wait until created_at in \"Europe/Paris\"  crm.count(name: \"x\") }",
            "when stripe.charge_failed do { wait until 09:00 in \"Paris\"  crm.count(name: \"x\") }",
            "when kustomer.conversation_updated do { wait until created_at  crm.count(name: \"x\") }",
            "when stripe.charge_failed do { wait 0 minutes  crm.count(name: \"x\") }",
            "when stripe.charge_failed do { wait 5 minutes }",
            "connector late \"Late\" { base \"https://late.example\"  action a { wait 5 minutes } }\nwhen stripe.charge_failed do late.a",
        ],
    );
}

#[test]
fn dangerous() {
    group(
        "start_dangerous",
        &[
            "when gate.passed do gate.open",
            "when gate.passed fresh within 10 minutes do gate.open",
            "when gate.passed fresh within 1 minute do gate.open",
            "when button.pressed fresh within 1 minute do gate.open",
            "when bell.rang unverified fresh within 1 minute do gate.open",
            "when gate.passed fresh within 1 minute do { wait 5 minutes  gate.open }",
            "when gate.passed fresh within 1 minute do { if plate is present { wait 5 minutes }  gate.open }",
            "when gate.standing becomes closed fresh within 1 minute do gate.let_in",
            "when gate.listed fresh within 1 minute do gate.open",
            "when gate.passed or gate.listed fresh within 1 minute do gate.open",
            "when gate.passed fresh within 1 minute do { wait for bell.rang up to 20 seconds else { stop }  gate.open }",
            "when gate.passed fresh within 1 minute do { wait for gate.passed up to 20 seconds else { stop }  gate.open }",
            "when gate.passed fresh within 1 minute do wait for bell.rang up to 20 seconds else { gate.open }",
            "when gate.passed fresh within 1 minute do { for side in [\"a\", \"b\"] { gate.open  wait for button.pressed up to 5 seconds else { stop } } }",
            "when gate.passed fresh within 1 minute do { for side in [\"a\", \"b\"] { gate.open  wait for gate.passed up to 5 seconds else { stop } } }",
            "when gate.passed unverified fresh within 1 minute do { wait for bell.rang up to 20 seconds else { stop }  gate.open }",
            "when no gate.passed within 10 minutes do gate.open",
            "when flow.dead fresh within 1 minute do gate.open",
            "when gate.standing is closed for 5 minutes across gaps assume fresh within 1 minute do gate.open",
            "when gate.standing is closed for 5 minutes across gaps restart fresh within 1 minute do gate.open",
        ],
    );
}

/// Mailboxes that take whole requests: of which a time is signed with the body, or an id and a time, or the body alone.
const BOXES: &str = r#"
connector timed "Timed" {
  secret key
  record Request { id: text @key  path: text?  body: json }
  source inbox { webhook whole verify hmac_sha256(header: "X-Signature", secret: key, timestamp: "X-Time")  id "id" }
  trigger received: Request from inbox
}
connector stripy "Stripy" {
  secret key
  record Request { id: text @key  path: text?  body: json }
  source inbox { webhook whole verify stripe_signature(header: "X-Signature", secret: key)  id "id" }
  trigger received: Request from inbox
}
connector timeless "Timeless" {
  secret key
  record Request { id: text @key  path: text?  body: json }
  source inbox { webhook whole verify hmac_sha256(header: "X-Signature", secret: key)  id "id" }
  trigger received: Request from inbox
}
connector standard "Standard" {
  secret key
  record Request { id: text @key  path: text?  body: json }
  source inbox { webhook whole verify standard_webhooks(secret: key)  id "id" }
  trigger received: Request from inbox
}
connector parcel "Parcel" {
  secret key
  record Sent { id: text @key }
  source inbox { webhook verify hmac_sha256(header: "X-Signature", secret: key, timestamp: "X-Time")  id "id" }
  trigger sent: Sent from inbox
}
"#;

#[test]
fn dangerous_whole_requests() {
    group_in(
        "start_dangerous_whole",
        || project().and(BOXES),
        &[
            "when timed.received where path is \"front\" fresh within 1 minute do gate.open",
            "when timed.received fresh within 1 minute do gate.open",
            "when stripy.received fresh within 1 minute do gate.open",
            "when timeless.received fresh within 1 minute do gate.open",
            "when standard.received where body.kind is \"ring\" fresh within 1 minute do gate.open",
            "when parcel.sent fresh within 1 minute do gate.open",
            "when gate.passed or timed.received fresh within 1 minute do gate.open",
            "when gate.passed fresh within 1 minute do { wait for timed.received up to 20 seconds else { stop }  gate.open }",
            "when timed.received do crm.count(name: \"x\")",
        ],
    );
}

#[test]
fn the_clock() {
    group(
        "start_clock",
        &[
            "when sunset do crm.count(name: \"x\")",
            "when hourly do crm.count(name: \"x\")",
            "when mondays where livemode do crm.count(name: \"x\")",
            "when time is 9:00 do crm.count(name: \"x\")",
            "when it is 09:30 do crm.count(name: \"x\")",
            "when now.weekday is monday do crm.count(name: \"x\")",
            "when today is \"friday\" do crm.count(name: \"x\")",
            "when now.time is 9 do crm.count(name: \"x\")",
            "when time is 9:00 or stripe.charge_failed do crm.count(name: \"x\")",
            "when stripe.charge_failed rises above 100 USD do crm.count(name: \"x\")",
            "when stripe.charge_failed drops below 5 do crm.count(name: \"x\")",
            "when bell.rang rises above 5 unverified do crm.count(name: \"x\")",
        ],
    );
}

/// What has to be seen to happen, and whose failure somebody wants to hear of.
const LOCK: &str = r#"
connector lock "Lock" {
  base "https://lock.example"
  query status() -> { standing: open | closed, at: datetime unix } { GET "/status" }
  state standing: open | closed from query status().standing every 2 minutes
  action close { POST "/close"  effect set  confirm status every 3 s up to 15 s where standing is "closed" and at >= sent_at }
  action sound { POST "/sound"  effect set }
  action shut { close() }
  action press {
    POST "/press"
    retry after 1 second, 5 seconds
    effect set
    confirm status every 3 s up to 15 s where standing is "closed" and at >= sent_at
  }
}
"#;

#[test]
fn told_late() {
    group_in(
        "start_told_late",
        || project().and(LOCK),
        &[
            "every day at 22:30 do lock.close on error { crm.count(name: \"x\") }",
            "every day at 22:30 do { lock.close } on error { crm.count(name: \"x\") }",
            "every day at 22:30 do lock.shut on error { crm.count(name: \"x\") }",
            "every day at 22:30 do lock.close retry 3 times over 1 minute on error { crm.count(name: \"x\") }",
            "when gate.passed fresh within 1 minute do lock.close on error { crm.count(name: \"x\") }",
            "every day at 22:30 do lock.close",
            "every day at 22:30 do lock.sound on error { crm.count(name: \"x\") }",
            "every day at 22:30 do lock.press on error { crm.count(name: \"x\") }",
            "every day at 22:30 do { lock.sound on error { lock.close } }",
            "every day at 22:30 do { crm.count(name: \"x\") } on error { lock.close }",
        ],
    );
}

/// What keeps the names of headers in lower case.
#[test]
fn headers() {
    group(
        "start_headers",
        &[
            "when http.received where headers[\"X-GitHub-Event\"] is \"push\" do crm.count(name: \"x\")",
            "when http.received where headers.Host is \"a\" do crm.count(name: \"x\")",
            "when http.received where headers.X_GitHub_Event is \"push\" do crm.count(name: \"x\")",
            "when http.received do crm.count(name: headers[\"X-Order\"])",
        ],
    );
}
