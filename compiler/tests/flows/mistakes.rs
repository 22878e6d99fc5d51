use crate::harness::{Project, group, group_in};

#[test]
fn names() {
    group(
        "names",
        &[
            "when stripe.charge_failed where amuont > 100 USD do chat.post_message(channel: \"#a\", text: \"x\")",
            "when stripe.charge_failed where amount_due > 100 USD do chat.post_message(channel: \"#a\", text: \"x\")",
            "when stripe.charge_failed where temperature > 20 do chat.post_message(channel: \"#a\", text: \"x\")",
            "when stripe.charge_failed where customer.email is present do chat.post_message(channel: \"#a\", text: \"x\")",
            "when stripe.charge_failed where stripe.amount > 100 USD do chat.post_message(channel: \"#a\", text: \"x\")",
            "when stripe.charge_failed where event.amuont > 100 USD do chat.post_message(channel: \"#a\", text: \"x\")",
            "when stripe.charge_failed where event > 100 USD do chat.post_message(channel: \"#a\", text: \"x\")",
            "when strip.charge_failed do chat.post_message(channel: \"#a\", text: \"x\")",
            "when paypal.charge_failed do chat.post_message(channel: \"#a\", text: \"x\")",
            "when stripe.charge_fail do chat.post_message(channel: \"#a\", text: \"x\")",
            "when stripe.invoice_overdue do chat.post_message(channel: \"#a\", text: \"x\")",
            "when charge_failed do chat.post_message(channel: \"#a\", text: \"x\")",
            "when stripe do chat.post_message(channel: \"#a\", text: \"x\")",
            "when stripe.charge.failed do chat.post_message(channel: \"#a\", text: \"x\")",
            "when kustomer.create_conversation do chat.post_message(channel: \"#a\", text: \"x\")",
            "when stripe.find_customer do chat.post_message(channel: \"#a\", text: \"x\")",
            "when stripe.charge_failed do stripe.charge_failed",
            "when stripe.charge_failed do slack.post_message(channel: \"#a\", text: \"x\")",
            "when stripe.charge_failed do chat.post_mesage(channel: \"#a\", text: \"x\")",
            "when stripe.charge_failed do chat.send(channel: \"#a\", text: \"x\")",
            "when stripe.charge_failed do post_message(channel: \"#a\", text: \"x\")",
            "when stripe.charge_failed do chat.post_message(chanel: \"#a\", text: \"x\")",
            "when stripe.charge_failed do chat.post_message(\"#a\", \"x\")",
            "when stripe.charge_failed do chat.post_message(channel: \"#a\", channel: \"#b\", text: \"x\")",
            "when stripe.charge_failed do chat.post_message(channel: \"#a\", text: \"{lowr(description else \"\")}\")",
            "when stripe.charge_failed do chat.post_message(channel: \"#a\", text: \"{round(risk_score else 0)}\")",
            "when stripe.charge_failed do chat.post_message(channel: \"#a\", text: run.name)",
            "when stripe.charge_failed do chat.post_message(channel: \"#a\", text: kustomer)",
            "when stripe.charge_failed do { chat.post_message(channel: \"#a\", text: \"x\") as note  chat.post_message(channel: \"#b\", text: \"{note.idd}\") }",
            "when stripe.charge_failed do { chat.post_message(channel: \"#a\", text: \"x\") as note  chat.post_message(channel: \"#b\", text: \"{notte.id}\") }",
            "when stripe.charge_failed do { let x = 1  let x = 2 }",
            "when stripe.charge_failed do { let amount = 1 }",
            "when stripe.charge_failed do { let chat = 1 }",
            "when stripe.charge_failed do { let n = metadata.order_id  chat.post_message(channel: \"#a\", text: \"{n else \"none\"}\") }",
            "when stripe.charge_failed where raw.data.object.source.brand is \"Visa\" do chat.post_message(channel: \"#a\", text: \"x\")",
            "when crm.person_created do crm.set_level(level: \"gold\")",
            "when crm.person_created(imported: true, leevl: \"gold\") do crm.set_level(level: \"gold\")",
            "when crm.person_created(imported: true, imported: false) do crm.set_level(level: \"gold\")",
            "when crm.person_created(imported: \"yes\") do crm.set_level(level: \"gold\")",
            "when crm.person_created(score: 3, imported: true) do crm.set_level(level: \"gold\")",
            "when stripe.charge_failed(amount: 100) do chat.post_message(channel: \"#a\", text: \"x\")",
            "when stripe.charge_failed do crm.post_person(email: \"a@example.com\")",
        ],
    );
}

#[test]
fn types() {
    group(
        "types",
        &[
            "when stripe.charge_failed where amount > \"100\" do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount > \"100 USD\" do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount > \"100 €\" do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount > \"$100\" do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount > \"100 of them\" do crm.count(name: \"x\")",
            "when stripe.charge_failed where risk_score > 100 USD do crm.count(name: \"x\")",
            "when stripe.charge_failed where description > 100 USD do crm.count(name: \"x\")",
            "when stripe.charge_failed where raw.data.x > 100 USD do crm.count(name: \"x\")",
            "when stripe.charge_failed do stripe.create_refund(charge: id, amount: \"10.50 EUR\")",
            "when stripe.charge_failed do stripe.create_refund(charge: id, amount: \"10\")",
            "when stripe.charge_failed do stripe.create_refund(charge: id, amount: \"all of it\")",
            "when stripe.charge_failed do stripe.create_refund(charge: id, amount: risk_score else 1)",
            "when stripe.charge_failed do crm.count(name: \"x\", by: 5 USD)",
            "when stripe.charge_failed do { let x = \"5 EUR\" + amount  crm.count(name: \"{x}\") }",
            "when stripe.charge_failed do crm.count(name: metadata[\"order id\"])",
            "when stripe.charge_failed where metadata[\"order id\"] is present do crm.count(name: metadata[\"order id\"])",
            "when stripe.charge_failed do crm.count(name: cut(raw.data.x else \"\", 10))",
            "when stripe.charge_failed where amount > risk_score do crm.count(name: \"x\")",
            "when stripe.charge_failed where currency > 100 do crm.count(name: \"x\")",
            "when stripe.charge_failed where currency > \"a\" do crm.count(name: \"x\")",
            "when stripe.charge_failed where risk_score > \"50\" do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount do crm.count(name: \"x\")",
            "when stripe.charge_failed where customer_email do crm.count(name: \"x\")",
            "when stripe.charge_failed where livemode is \"true\" do crm.count(name: \"x\")",
            "when stripe.charge_failed where livemode > 3 do crm.count(name: \"x\")",
            "when stripe.charge_failed where created_at > 3 days do crm.count(name: \"x\")",
            "when stripe.charge_failed where created_at > 2026-01-01 do crm.count(name: \"x\")",
            "when stripe.charge_failed where now - created_at < 3 days do crm.count(name: \"x\")",
            "when stripe.charge_failed where now.time in 08:00..20:00 do crm.count(name: \"x\")",
            "when stripe.charge_failed where status is failed do crm.count(name: \"x\")",
            "when stripe.charge_failed where status is paid do crm.count(name: \"x\")",
            "when stripe.charge_failed where status is \"faild\" do crm.count(name: \"x\")",
            "when stripe.charge_failed where status is \"unheard_of\" do crm.count(name: \"x\")",
            "when crm.person_updated where level is \"glod\" do crm.count(name: \"x\")",
            "when crm.person_updated where level is \"silver\" do crm.count(name: \"x\")",
            "when crm.person_updated where level in [gold, \"platinum\"] do crm.count(name: \"x\")",
            "when crm.person_updated where level is 3 do crm.count(name: \"x\")",
            "when stripe.charge_failed where customer is kustomer do crm.count(name: \"x\")",
            "when stripe.charge_failed where failure_code in \"card_declined\" do crm.count(name: \"x\")",
            "when stripe.charge_failed where failure_code contains 3 do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount contains \"3\" do crm.count(name: \"x\")",
            "when stripe.charge_failed where metadata contains \"vip\" do crm.count(name: \"x\")",
            "when stripe.charge_failed where description ends with [\"a\", \"b\"] do crm.count(name: \"x\")",
            "when stripe.charge_failed where customer_email is not none do crm.count(name: \"x\")",
            "when stripe.charge_failed where description starts with 3 do crm.count(name: \"x\")",
            "when stripe.charge_failed where description matches \"^[a-z\" do crm.count(name: \"x\")",
            "when stripe.charge_failed where description matches \"(?=x)y\" do crm.count(name: \"x\")",
            "when stripe.charge_failed where risk_score in 90..10 do crm.count(name: \"x\")",
            "when stripe.charge_failed where id is missing do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount is empty do crm.count(name: \"x\")",
            "when stripe.charge_failed do crm.count(name: amount)",
            "when stripe.charge_failed do crm.count(name: 3)",
            "when stripe.charge_failed do crm.count(name: \"x\", by: \"3\")",
            "when stripe.charge_failed do crm.count(name: \"x\", by: 2.5)",
            "when stripe.charge_failed do crm.count(name: \"x\", by: \"many\")",
            "when stripe.charge_failed do crm.count(name: \"x \" + 3)",
            "when stripe.charge_failed do crm.count(name: \"x \" + currency)",
            "when stripe.charge_failed do crm.count(name: \"x\", by: amount)",
            "when stripe.charge_failed where amount + 5 > 10 USD do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount * amount > 10 USD do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount.currency is \"eur\" do crm.count(name: \"x\")",
            "when stripe.charge_failed where currency(amount) is \"eur\" do crm.count(name: \"x\")",
            "when stripe.charge_failed where currency.lower() is \"eur\" do crm.count(name: \"x\")",
            "when stripe.charge_failed where length(amount) > 3 do crm.count(name: \"x\")",
            "when stripe.charge_failed do { let r = stripe.find_customer(emial: \"a@example.com\", x: 1)  if r.balance > 5 USD { crm.count(name: \"x\") } }",
            "when stripe.charge_failed do { let r = nothing.ask(x: 1)  if r.body.x > 5 and r.y is \"a\" { crm.count(name: \"x\") } }",
            "when stripe.charge_failed where length(description, 3) > 3 do crm.count(name: \"x\")",
            "when stripe.charge_failed where length(description) > 3 do crm.count(name: \"x\")",
            "when stripe.charge_failed do crm.subscribe(email: \"nobody\", list: \"a\")",
            "when crm.person_updated do crm.add_note(person: id, title: \"x\", priority: 9)",
            "when crm.person_updated do crm.add_note(person: id, title: \"x\", labels: \"vip\")",
            "when crm.person_updated do crm.add_note(person: id, title: \"x\", labels: [1, \"vip\"])",
            "when crm.person_updated do crm.add_note(person: id, title: \"x\", public: \"true\")",
            "when crm.person_updated do crm.add_note(person: id, title: \"x\", kind: mail)",
            "when crm.person_updated do crm.add_note(person: id, title: \"x\", kind: \"fax\")",
            "when crm.person_updated do crm.add_note(person: id, title: \"x\", amount: 100)",
            "when crm.person_updated do crm.add_note(person: id, title: \"x\", due: \"tomorrow\")",
            "when stripe.charge_failed do { let p = crm.find_person(email: require customer_email)  if p is present { crm.set_level(person: p, level: \"gold\") } }",
            "when stripe.charge_failed do crm.set_level(person: require customer, level: \"gold\")",
            "when crm.person_updated do { crm.set_level(person: id, level: \"gold\") as x }",
            "when stripe.charge_failed do { let refunds = stripe.list_refunds(charge: id)  chat.post_message(channel: \"#a\", text: \"{refunds.amount}\") }",
            "when stripe.charge_failed do { for r in amount { stop } }",
            "when stripe.charge_failed do { for r in stripe.list_refunds(charge: id) { chat.post_message(channel: \"#a\", text: r.id) } }",
            "when stripe.charge_failed do { for r in stripe.list_refunds(charge: id) up to 0 { stop } }",
            "when stripe.charge_failed where 100 USD do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount > (1, 2) do crm.count(name: \"x\")",
            "when stripe.charge_failed do { let big = any(100 USD) }",
        ],
    );
}

#[test]
fn missing_values() {
    group(
        "missing_values",
        &[
            "when stripe.charge_failed do chat.post_message(channel: \"#a\", text: \"{failure_message}\")",
            "when stripe.charge_failed where livemode do chat.post_message(channel: \"#a\", text: \"{failure_message}\")",
            "when stripe.charge_failed where livemode or paid do chat.post_message(channel: \"#a\", text: \"{failure_message}\")",
            "when stripe.charge_failed do crm.subscribe(email: customer_email, list: \"a\")",
            "when stripe.charge_failed where customer_email is present do crm.subscribe(email: customer_email, list: \"a\")",
            "when stripe.charge_failed where customer_email is \"a@example.com\" do crm.subscribe(email: customer_email, list: \"a\")",
            "when stripe.charge_failed where customer_email is not empty do crm.subscribe(email: customer_email, list: \"a\")",
            "when stripe.charge_failed where customer_email contains \"@\" do crm.subscribe(email: customer_email, list: \"a\")",
            "when stripe.charge_failed where customer_email in [\"a@b.c\"] do crm.subscribe(email: customer_email, list: \"a\")",
            "when stripe.charge_failed where not (customer_email is missing) do crm.subscribe(email: customer_email, list: \"a\")",
            "when stripe.charge_failed where customer_email is present or livemode do crm.subscribe(email: customer_email, list: \"a\")",
            "when stripe.charge_failed where customer_email is missing or customer_email ends with \".org\" do crm.count(name: \"x\")",
            "when stripe.charge_failed do crm.subscribe(email: customer_email else \"a@example.com\", list: \"a\")",
            "when stripe.charge_failed do crm.subscribe(email: require customer_email, list: \"{customer_email}\")",
            "when stripe.charge_failed do { require customer_email  crm.subscribe(email: customer_email, list: \"a\") }",
            "when stripe.charge_failed do { if customer_email is present { crm.subscribe(email: customer_email, list: \"a\") } else { crm.subscribe(email: customer_email, list: \"b\") } }",
            "when stripe.charge_failed do { if customer_email is missing { stop } crm.subscribe(email: customer_email, list: \"a\") }",
            "when stripe.charge_failed do { if customer_email is missing { crm.count(name: \"x\") } crm.subscribe(email: customer_email, list: \"a\") }",
            "when stripe.charge_failed do { match customer_email { \"a@example.com\" => crm.subscribe(email: customer_email, list: \"a\")  else => crm.subscribe(email: customer_email, list: \"b\") } }",
            "when stripe.charge_failed where risk_score > 50 do crm.count(name: \"x\", by: risk_score)",
            "when stripe.charge_failed where not (risk_score > 50) do crm.count(name: \"x\")",
            "when stripe.charge_failed where not (amount > 50 USD) do crm.count(name: \"x\")",
            "when stripe.charge_failed where not (amount > 50) do crm.count(name: \"x\")",
            "when stripe.charge_failed where not (amount_captured > amount_refunded) do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount_captured is present and amount_refunded is present and not (amount_captured > amount_refunded) do crm.count(name: \"x\")",
            "when stripe.charge_failed do { if risk_score > 50 { crm.count(name: \"high\") } else { crm.count(name: \"low\") } }",
            "when stripe.charge_failed do { if risk_score > 50 { crm.count(name: \"high\") } else if risk_score <= 50 { crm.count(name: \"low\") } }",
            "when stripe.charge_failed do { if risk_score > 50 { crm.count(name: \"high\") } else if risk_score <= 50 { crm.count(name: \"low\") } else { crm.count(name: \"none\") } }",
            "when stripe.charge_failed where risk_score is present do { if risk_score > 50 { crm.count(name: \"high\") } else { crm.count(name: \"low\") } }",
            "when stripe.charge_failed do { if amount > 50 USD { crm.count(name: \"high\") } else { crm.count(name: \"low\") } }",
            "when stripe.charge_failed do { if amount > 50 USD { crm.count(name: \"high\") } else if amount <= 50 USD { crm.count(name: \"low\") } }",
            "when stripe.charge_failed where amount > 10 USD do { if amount > 50 USD { crm.count(name: \"high\") } else { crm.count(name: \"low\") } }",
            "when stripe.charge_failed do { let high = risk_score > 50  if high { crm.count(name: \"high\") } }",
            "when stripe.charge_failed where not disputed do crm.count(name: \"x\")",
            "when stripe.charge_failed where disputed do crm.count(name: \"x\")",
            "when stripe.charge_failed where (disputed else false) and not (disputed else true) do crm.count(name: \"x\")",
            "when stripe.charge_failed where risk_score not in 10..50 do crm.count(name: \"x\")",
            "when stripe.charge_failed where risk_score in 10..50 do crm.count(name: \"x\", by: risk_score)",
            "when stripe.charge_failed where require customer_email is \"x\" do crm.count(name: \"x\")",
            "when stripe.charge_failed do { let buyer = stripe.find_customer(id: customer)  chat.post_message(channel: \"#a\", text: \"{buyer.email}\") }",
            "when stripe.charge_failed do { let buyer = stripe.find_customer(id: customer)  if buyer is present and buyer.email is present { crm.subscribe(email: buyer.email, list: \"a\") } }",
            "when stripe.charge_failed do { let buyer = stripe.find_customer(id: customer)  if buyer.email is present { crm.subscribe(email: buyer.email, list: buyer.id) } }",
            "when stripe.charge_failed do { for r in metadata.list up to 3 { crm.count(name: \"x\") } }",
            "when stripe.charge_failed do { require risk_score > 3  crm.count(name: \"x\") }",
            "when stripe.charge_failed do { if now - created_at < 3 days and customer_email is present { stop } crm.subscribe(email: customer_email, list: \"x\") }",
            "when stripe.charge_failed do { chat.post_message(channel: \"#a\", text: \"x\") as m on error { crm.count(name: error.message) }  chat.post_message(channel: \"#a\", text: m.id) }",
            "when stripe.charge_failed do { chat.post_message(channel: \"#a\", text: \"x\") as m on error { crm.count(name: error.message)  stop }  chat.post_message(channel: \"#a\", text: m.id) }",
            "when stripe.charge_failed do { chat.post_message(channel: \"#a\", text: \"x\") as m on error { crm.count(name: error.message) }  chat.post_message(channel: \"#a\", text: m.id else \"none\") }",
            "when stripe.charge_failed do { chat.post_message(channel: \"#a\", text: \"x\") as m on error { crm.count(name: \"x\") }  if m is present { chat.post_message(channel: \"#a\", text: m.id) } }",
            "when stripe.charge_failed do { chat.post_message(channel: \"#a\", text: \"x\") as m on error { crm.count(name: \"x\") }  if m.id is \"3\" { stop } }",
            "when stripe.charge_failed do { chat.post_message(channel: \"#a\", text: \"{error.message}\") }",
            "when stripe.charge_failed do { chat.post_message(channel: \"#a\", text: \"x\") } on error { chat.post_message(channel: \"#a\", text: \"{error.status}: {error.message}\") }",
        ],
    );
}

#[test]
fn money() {
    group(
        "money",
        &[
            "when stripe.charge_failed where amount > 100 USD and amount < 200 EUR do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount > 100 USD + 5 EUR do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount in 100 USD..200 EUR do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount is 100 USD or amount is 90 EUR do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount > 99.999 USD do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount > 99.5 JPY do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount > 99 UDS do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount > 10000 do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount > 9999 do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount > any(100 USD, 90 EUR, 15_000 JPY) do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount > any(100 USD, 90 USD) do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount > any(100, 90) do crm.count(name: \"x\")",
            "when stripe.charge_failed where risk_score > any(100 USD) do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount > any(100 USD, 90 EUR) and amount > 5 JPY do crm.count(name: \"x\")",
            "when stripe.charge_failed where 100 USD < amount do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount > 50 do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount / 2 > 50 USD do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount is 50 do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount in 50..60 do crm.count(name: \"x\")",
            "when stripe.charge_failed where 50 USD > 40 EUR do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount > 1234567890123456789012345678901234567890 do crm.count(name: \"x\")",
        ],
    );
    group_in(
        "money_with_currency",
        || Project::with(|settings| settings.currency = flow_plan::Currency::parse("EUR")),
        &[
            "when stripe.charge_failed where amount > 100 do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount > 100 USD and amount < 200 do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount > 99.999 do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount > 50000 do crm.count(name: \"x\")",
            "when crm.person_updated do crm.add_note(person: id, title: \"x\", amount: 100)",
            "when stripe.charge_failed do { if amount > 100 { crm.count(name: \"x\") } else { crm.count(name: \"y\") } }",
        ],
    );
}

#[test]
fn filling_in() {
    group(
        "filling_in",
        &[
            "when stripe.charge_failed where amount > 100 do kustomer.create_conversation",
            "when stripe.charge_failed where customer_email is present do crm.add_note",
            "when stripe.charge_failed do crm.add_note",
            "when crm.person_updated do crm.add_note",
            "when crm.person_updated do crm.set_level",
            "when crm.person_updated do crm.subscribe(list: \"a\")",
            "when stripe.payout_failed do crm.add_note(title: \"x\")",
            "when stripe.payout_failed do chat.post_message(channel: \"#a\")",
            "when stripe.charge_failed do stripe.create_refund",
            "when stripe.new_payment do { let invoice = stripe.find_invoice()  stop }",
            "when stripe.new_payment do { let buyer = stripe.find_customer()  stop }",
            "when kustomer.message_received do stripe.create_refund",
            "when stripe.charge_failed do { crm.count(name: \"x\")  crm.subscribe(list: \"a\") }",
            "when stripe.charge_failed do { crm.add_note  crm.set_level(level: \"gold\") }",
            "when crm.person_updated do { crm.find_or_create(email: \"a@example.com\") as other  crm.set_level(level: \"gold\") }",
            "when stripe.new_customer do stripe.create_payment_link(amount: 5 USD)",
            "when stripe.new_customer do stripe.create_coupon(percent_off: 5, amount_off: 5 USD)",
            "when stripe.new_customer do stripe.create_coupon(percent_off: 5, duration: \"repeating\")",
            "when stripe.new_customer do stripe.create_invoice(customer: id, collection_method: \"send_invoice\")",
            "when stripe.new_customer do stripe.create_checkout_session(success_url: \"https://a.example\", currency: \"eur\")",
            "when stripe.new_customer do stripe.create_checkout_session(price: \"price_1\")",
            "when stripe.new_customer do stripe.create_price(unit_amount_decimal: \"1.5\", product: \"prod_1\")",
            "when stripe.new_customer do stripe.create_coupon(percent_off: 5, duration_in_months: delinquent)",
            "when stripe.new_customer do customerio.send_email(to: \"a@example.com\", body: \"x\")",
        ],
    );
    group_in(
        "filling_in_strictly",
        || Project::with(|settings| settings.strict = true),
        &[
            "when stripe.charge_failed where amount > 100 USD do kustomer.create_conversation",
            "when stripe.charge_failed where customer_email is present do kustomer.create_conversation",
            "when crm.person_updated do crm.subscribe(list: \"a\")",
        ],
    );
}

#[test]
fn effects() {
    group(
        "effects",
        &[
            "when stripe.charge_failed do chat.post_message(channel: \"#a\", text: \"x\") retry 3 times over 1 hour",
            "when stripe.charge_failed do stripe.create_refund(charge: id) retry 20 times over 20 hours",
            "when stripe.charge_failed do stripe.create_refund(charge: id) retry 20 times over 3 days",
            "when stripe.charge_failed do stripe.create_refund(charge: id) retry 0 times",
            "when stripe.charge_failed do { let note = chat.post_message(channel: \"#a\", text: \"x\") }",
            "when stripe.charge_failed where chat.post_message(channel: \"#a\", text: \"x\") is present do crm.count(name: \"x\")",
            "when stripe.charge_failed do chat.post_message(channel: \"#a\", text: chat.post_message(channel: \"#b\", text: \"x\"))",
            "when stripe.charge_failed where stripe.find_customer(id: customer) is present do crm.count(name: \"x\")",
            "when stripe.charge_failed do { if stripe.find_customer(id: customer) is present { crm.count(name: \"x\") } }",
            "when stripe.charge_failed do stripe.find_customer(id: customer)",
            "when stripe.charge_failed do { stripe.find_customer(id: customer) as buyer  stop }",
            "when stripe.charge_failed do { let buyer = stripe.find_customer  stop }",
            "when stripe.charge_failed do crm.open_door(door: \"a\")",
            "when stripe.charge_failed do { stop  crm.count(name: \"x\") }",
            "when stripe.charge_failed do { if livemode { stop } else { stop because \"test\" } crm.count(name: \"x\") }",
            "when stripe.charge_failed do { return }",
            "when stripe.charge_failed do { stop because 3 }",
            "when stripe.charge_failed do { stop because failure_message }",
        ],
    );
}

#[test]
fn matches() {
    group(
        "matches",
        &[
            "when crm.person_updated do { match level { \"gold\" => stop } }",
            "when crm.person_updated do { match level { \"gold\" => stop \"basic\" | \"platinum\" => crm.count(name: \"x\") } }",
            "when crm.person_updated do { match level { \"gold\" => stop \"basic\" | \"platinum\" => crm.count(name: \"x\") else => stop } }",
            "when crm.person_updated do { match level { gold => stop else => crm.count(name: \"x\") } }",
            "when crm.person_updated do { match level { \"glod\" => stop else => crm.count(name: \"x\") } }",
            "when crm.person_updated do { match level { \"gold\" => stop \"gold\" => stop else => crm.count(name: \"x\") } }",
            "when crm.person_updated do { match level { else => stop \"gold\" => stop } }",
            "when stripe.charge_failed do { match status { \"failed\" => stop } }",
            "when stripe.charge_failed do { match failure_code { \"card_declined\" => stop } }",
            "when stripe.charge_failed do { match livemode { true => stop } }",
            "when stripe.charge_failed do { match disputed { true => stop false => crm.count(name: \"x\") } }",
            "when stripe.charge_failed do { match amount { 100 USD => stop else => stop } }",
            "when stripe.charge_failed do { match failure_code { currency => stop else => stop } }",
            "when stripe.charge_failed do { match failure_code { 3 => stop else => stop } }",
            "when stripe.charge_failed do { match failure_code { \"a\" => crm.count(name: failure_code) else => crm.count(name: failure_code) } }",
        ],
    );
}

#[test]
fn later() {
    group(
        "later",
        &[
            "every day at 09:00 do crm.count(name: \"x\")",
            "when stripe.charge_failed where env.region is \"eu\" do crm.count(name: \"x\")",
            "when stripe.charge_failed where created_at > 2026-01-01 00:00 do crm.count(name: \"x\")",
        ],
    );
}

#[test]
fn safety() {
    let live = concat!("sk_", "live_abcdefghijklmnop");
    let hook = concat!("whsec_", "abcdefghijklmnopqrst");
    let first = format!("when stripe.charge_failed do chat.post_message(channel: \"{live}\", text: \"x\")");
    let second = format!("when stripe.charge_failed where failure_code is \"{hook}\" do crm.count(name: \"x\")");
    let third = format!("when crm.person_updated where level is \"{live}\" do crm.count(name: \"x\")");
    for source in [&first, &second, &third] {
        let mut project = Project::new();
        let checked = project.check(source);
        let codes: Vec<&str> = checked.diagnostics.iter().map(|diagnostic| diagnostic.code.as_str()).collect();
        assert_eq!(codes, ["E801"], "{source}");
        for diagnostic in &checked.diagnostics {
            let text = format!("{} {} {:?} {:?}", diagnostic.message, diagnostic.label, diagnostic.help, diagnostic.fixes);
            assert!(!text.contains("abcdef"), "{text}");
        }
    }
    group(
        "safety",
        &[
            "when stripe.charge_failed do crm.count(name: customer_email else \"x\")",
            "when stripe.charge_failed do crm.count(name: \"from {customer_email else \"x\"}\")",
            "when stripe.charge_failed do { let who = lower(customer_email else \"x\")  crm.count(name: who) }",
            "when crm.person_updated do { for t in [name] { crm.count(name: \"x\", tag: t) } }",
            "when stripe.charge_failed do { let buyer = stripe.find_customer(id: customer)  crm.count(name: buyer.email else \"x\") }",
            "when stripe.charge_failed do chat.post_message(channel: \"#a\", text: \"from {customer_email else \"x\"}\")",
            "when stripe.charge_failed do crm.count(name: \"x\", by: length(customer_email else \"x\"))",
        ],
    );
}

#[test]
fn connectors() {
    group(
        "connectors",
        &[r#"
connector shop "Shop" {
  base "https://shop.example"
  record Order { id: id<Order> @key  total: money? minor from (total, currency)  summary "Order {idd}" }
  source events { webhook verify hmac_sha256(header: "X", secret: signing)  type "type"  id "id"  object "data" }
  secret signing
  trigger order_paid: Order from events "order.paid" where totl is present
  query order(id: id<Order>) -> Order? @internal { GET "/orders/{id}"  none on 404 }
  action post_order(id: id<Order>) -> Order @internal { POST "/orders" json { id }  effect once }
  action make(id: id<Order>) -> Order { let found = ordr(id: id)  return found }
  action make_again(id: id<Order>) -> Order { let found = order(id: id)  return found }
  action make_never(id: id<Order>) -> Order { let found = order(id: id)  if found is present { return found } }
  action make_event(id: id<Order>) -> Order { post_order(id: event.id) as made  return made }
  action make_self(id: id<Order>) -> Order { shop.post_order(id: id) as made  return made }
}
"#],
    );
}

/// What people wrote who did not know the language.
#[test]
fn slips() {
    group(
        "slips_money",
        &[
            "when stripe.charge_failed do crm.add_note(person: \"p\", title: \"x\", amount: -5 USD)",
            "when stripe.charge_failed do crm.add_note(person: \"p\", title: \"x\", amount: 0 USD)",
            "when stripe.charge_failed do crm.add_note(person: \"p\", title: \"x\", amount: amount - amount / 2)",
            "when stripe.charge_failed where amount / 0 > 50 USD do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount / 0 USD > 5 do crm.count(name: \"x\")",
            "when stripe.charge_failed do { for a in [1, 2, 3] up to 1000 { for b in [1, 2, 3] up to 1000 { crm.count(name: \"x\") } } }",
            "when stripe.charge_failed do { for a in [1, 2] up to 10000 { for b in [1] up to 10000 { for c in [1] up to 10000 { crm.count(name: \"x\") } } } }",
            "when stripe.charge_failed do { for a in [1, 2] up to 100 { for b in [1] up to 100 { crm.count(name: \"x\") } } }",
            "when stripe.charge_failed do { for a in stripe.list_refunds(charge: id) up to 1000 { for b in stripe.list_refunds(charge: id) up to 1000 { crm.count(name: \"x\") } } }",
            "when stripe.charge_failed do { for a in stripe.list_refunds(charge: id) up to 10000 { for b in [1, 2] { for c in stripe.list_refunds(charge: id) up to 10000 { for d in stripe.list_refunds(charge: id) up to 10000 { for e in stripe.list_refunds(charge: id) up to 10000 { crm.count(name: \"x\") } } } } } }",
            "when stripe.charge_failed do { let all = stripe.list_refunds(charge: id)  for a in all up to 200 { for b in all up to 200 { let x = 1 } } crm.count(name: \"x\") }",
            "when stripe.charge_failed do { let all = stripe.list_refunds(charge: id)  for a in all up to 100 { for b in all up to 99 { crm.count(name: \"x\") } } }",
            "when stripe.charge_failed where raw.data.object.amount > 100 USD do crm.count(name: \"x\")",
            "when stripe.charge_failed where raw.data.object.amount is 100 USD do crm.count(name: \"x\")",
            "when stripe.charge_failed where raw.data.object.amount > 100 do crm.count(name: \"x\")",
            "when stripe.charge_failed where raw.data.object.risk > 100 do crm.count(name: \"x\")",
        ],
    );
    group(
        "slips_conditions",
        &[
            "when stripe.charge_failed where false do crm.count(name: \"x\")",
            "when stripe.charge_failed where livemode and not true do crm.count(name: \"x\")",
            "when stripe.charge_failed where failure_code in [] do crm.count(name: \"x\")",
            "when stripe.charge_failed where failure_code not in [] do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount > 100 USD and amount < 50 USD do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount > 100 USD and amount <= 100 USD do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount >= 100 USD and amount <= 100 USD do crm.count(name: \"x\")",
            "when stripe.charge_failed where failure_code is \"a\" and livemode and failure_code is \"b\" do crm.count(name: \"x\")",
            "when stripe.charge_failed where failure_code is \"a\" or failure_code is \"b\" do crm.count(name: \"x\")",
            "when stripe.charge_failed where not (failure_code is \"a\" and failure_code is \"b\") do crm.count(name: \"x\")",
            "when stripe.charge_failed where failure_code is \"a\" and failure_code is not \"a\" do crm.count(name: \"x\")",
            "when stripe.charge_failed where livemode and not livemode do crm.count(name: \"x\")",
            "when stripe.charge_failed where risk_score > 50 and risk_score < 50 do crm.count(name: \"x\")",
            "when stripe.charge_failed where risk_score > 50 and risk_score < 51 do crm.count(name: \"x\")",
            "when stripe.charge_failed where customer_email is missing and customer_email is \"a@example.com\" do crm.count(name: \"x\")",
            "when stripe.charge_failed do { if risk_score > 50 and risk_score < 5 { crm.count(name: \"x\") } }",
            "when stripe.charge_failed where status in [\"faild\", \"other\"] do crm.count(name: \"x\")",
            "when stripe.charge_failed where currency is \"USD\" do crm.count(name: \"x\")",
            "when stripe.charge_failed where currency in [\"USD\", \"eur\"] do crm.count(name: \"x\")",
            "when stripe.charge_failed where currency(amount) is \"USD\" do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount.currency is \"USD\" do crm.count(name: \"x\")",
            "when stripe.charge_failed where card_country is \"US\" do crm.count(name: \"x\")",
        ],
    );
    group(
        "slips_nothing_done",
        &[
            "when kustomer.create_conversation do kustomer.create_conversation(customer: \"c\", name: \"x\")",
            "when kustomer.create_conversation do chat.post_message(channel: \"#a\", text: \"x\")",
            "when stripe.charge_failed do stripe.find_customer(id: customer)",
            "when stripe.charge_failed do {}",
            "when stripe.charge_failed do { let x = 5 }",
            "when stripe.charge_failed do { let buyer = stripe.find_customer(id: customer) }",
            "when stripe.charge_failed do { if livemode { let x = 5 } }",
            "when stripe.charge_failed do { require customer_email }",
            "when stripe.charge_failed do { stop }",
            "when stripe.charge_failed do { if livemode { } crm.count(name: \"x\") }",
        ],
    );
    group(
        "slips_once",
        &[
            "when stripe.charge_failed do kustomer.find_or_create_customer(email: \"not an email\")",
            "when stripe.charge_failed do { let buyer = stripe.find_customer(email: \"x\")  crm.count(name: \"x\") }",
            "when stripe.charge_failed do kustomer.create_conversation(customer: 3, name: 4)",
            "when stripe.charge_failed where failure_code is null do crm.count(name: \"x\")",
            "when stripe.charge_failed where failure_code is not null and livemode do crm.count(name: \"x\")",
            "when stripe.charge_failed where failure_code.startsWith(\"card\") do crm.count(name: \"x\")",
            "when stripe.charge_failed do print(\"x\")",
            "when stripe.charge_failed do print(amount)",
            "when stripe.chrge_failed where amount > 100 USD do { kustomer.create_conversation(name: \"{amount} {id}\")  crm.add_note }",
            "when stripe.chrge_failed where event.amount > 100 USD and raw.x is 3 do { if currency(amount) is \"usd\" { crm.count(name: \"x\") } else { crm.count(name: \"y\") } }",
            "when stripe.chrge_failed where trigger.name is \"charge_failed\" do { match status { \"failed\" => stop else => crm.count(name: \"{failure_code else \"x\"}\") } }",
            "when stripe.charge_failed where failure_code == \"a\" && livemode do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount > $100 do crm.count(name: \"x\")",
            "when stripe.charge_failed where amount > 100 bucks do crm.count(name: \"x\")",
            "when stripe.charge_failed where !livemode do crm.count(name: \"x\")",
            "when stripe.charge_failed where description.length > 3 do crm.count(name: \"x\")",
            "when stripe.charge_failed where description.length() > 3 do crm.count(name: \"x\")",
            "when stripe.charge_failed where description.toLowerCase() contains \"a b\" do crm.count(name: \"x\")",
            "when stripe.charge_failed where failure_code is None do crm.count(name: \"x\")",
            "when stripe.charge_failed where failure_code is undefined do crm.count(name: \"x\")",
            "when stripe.charge_failed where nonsense > 3 and failure_code == null do crm.count(name: \"x\")",
            "when crm.person_created(ignore: true) do crm.set_level(level: \"gold\")",
            "when crm.person_created(leevl: \"gold\") do crm.set_level(level: \"gold\")",
        ],
    );
    group(
        "slips_words",
        &[
            "when stripe.charge_failed where failure_code is card_declined do crm.count(name: \"x\")",
            "when stripe.charge_failed where currency is USD do crm.count(name: \"x\")",
            "when stripe.charge_failed where currency is usd do crm.count(name: \"x\")",
            "when stripe.charge_failed where currency in [usd, eur] do crm.count(name: \"x\")",
            "when stripe.charge_failed where livemode is True do crm.count(name: \"x\")",
            "when stripe.charge_failed where livemode is yes do crm.count(name: \"x\")",
            "when stripe.charge_failed where livemode is \"yes\" do crm.count(name: \"x\")",
            "when kustomer.conversation_created do kustomer.update_conversation(priority: high)",
            "when stripe.charge_failed do crm.count(name: hello)",
            "when stripe.charge_failed where card_last4 is 4242 do crm.count(name: \"x\")",
            "when stripe.charge_failed where card_last4 is 0012 do crm.count(name: \"x\")",
            "when stripe.charge_failed do crm.count(name: failure_message || \"x\")",
            "when stripe.charge_failed do crm.count(name: failure_message or \"x\")",
            "when stripe.charge_failed do crm.count(name: \"{failure_message or \"x\"}\")",
            "when stripe.charge_failed where charge.amount > 100 USD do crm.count(name: \"x\")",
            "when stripe.charge_failed where $event.amount > 100 USD do crm.count(name: \"x\")",
            "when stripe.charge_failed where trigger.amount > 100 USD do crm.count(name: \"x\")",
            "when stripe.charge_failed where payload.data.amount > 100 USD do crm.count(name: \"x\")",
            "when stripe.charge_failed where stripe.charge_failed.amount > 100 USD do crm.count(name: \"x\")",
            "when stripe.charge_failed where now() - created_at > 3 hours do crm.count(name: \"x\")",
            "when stripe.charge_failed do crm.count(name: \"x\", by: len(failure_code else \"\"))",
            "when stripe.charge_failed do crm.count(name: \"x\", by: size(failure_code else \"\"))",
            "when stripe.charge_failed do crm.count(name: \"x\", by: count(metadata))",
            "when stripe.charge_failed do crm.count(name: \"x\", by: round(risk_score else 3))",
            "when stripe.charge_failed do slack.send(channel: \"#a\", text: \"x\")",
            "when shopify.order_created do crm.count(name: \"x\")",
            "when stripe.charge_failed do { if livemode { crm.find_or_create(email: \"a@example.com\") as who } crm.count(name: who.name else \"x\") }",
            "when stripe.charge_failed do { for x in [\"a\"] { let y = x } crm.count(name: y) }",
            "when stripe.charge_failed do kustomer.create_conversation(customer: customer_email, name: \"x\")",
            "when stripe.charge_failed do { require amount > 100 USD  crm.count(name: \"x\") }",
            "when stripe.charge_failed throttle to 10 per minute do crm.count(name: \"x\")",
        ],
    );
}

/// What a service has given up is said where a flow reads it, and the fix is safe where the other field is of one type.
#[test]
fn deprecated_fields() {
    const SHOP: &str = "connector shop \"Shop\" { secret key  record Order { id: id<Order> @key  kind: text? @deprecated(\"2.3\", use: \"category\")  category: text?  size: text? @deprecated(\"2.4\", use: \"count\")  count: int?  old: text? @deprecated(\"1.0\") }  source events { webhook verify hmac_sha256(header: \"X\", secret: key) id \"id\" }  trigger ordered: Order from events }";
    let flows = [
        "when shop.ordered where kind is \"gift\" do crm.count(name: id)",
        "when shop.ordered do { let category = \"none\" crm.count(name: kind else category) }",
        "when shop.ordered do crm.count(name: \"{event.kind else \"-\"}\")",
        "when shop.ordered where size is present do crm.count(name: id)",
        "when shop.ordered where old is present do crm.count(name: id)",
    ];
    let cases: Vec<String> = flows.iter().map(|flow| format!("{SHOP}\n{flow}")).collect();
    group("deprecated_fields", &cases.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn money_in_json() {
    group(
        "money_in_json",
        &[
            "when stripe.charge_failed do http.post(url: \"https://a.example\", json: { id, amount })",
            "when stripe.charge_failed do http.post(url: \"https://a.example\", form: { total: amount })",
            "when stripe.charge_failed do http.request(method: \"POST\", url: \"https://a.example\", json: [{ deep: { amount } }])",
            "when stripe.charge_failed do http.request(method: \"POST\", url: \"https://a.example\", json: amount, query: { amount })",
            "when stripe.charge_failed do http.post(url: \"https://a.example\", json: 19.50 USD, headers: { amount })",
            "when stripe.charge_failed do webhook.send(type: \"x\", data: { amount: amount * 2 })",
            "when stripe.charge_failed do { let data = { a: [{ amount }] }  webhook.send(type: \"x\", data: data) }",
            "when stripe.charge_failed do { let charge = stripe.find_charge(id: id)  webhook.send(type: \"x\", data: charge) }",
            "when stripe.charge_failed do { let charge = stripe.find_charge(id: id)  webhook.send(type: \"x\", data: { charge }) }",
            "when stripe.charge_failed do mqtt.publish(topic: \"a\", payload: raw.a else amount)",
            "when stripe.charge_refunded do webhook.send(type: \"x\", data: amount_refunded)",
            // What says how money is written takes it, and so does whoever says it.
            "when stripe.charge_failed where customer_email is present do customerio.track(person: customer_email, event: \"a\", data: { amount, all: [amount] })",
            "when stripe.charge_failed do webhook.send(type: \"x\", data: { amount: amount(amount), currency: currency(amount), text: \"{amount}\", all: [1, \"a\", created_at], at: { created_at, livemode } })",
        ],
    );
}
