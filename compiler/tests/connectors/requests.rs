//! What the operations send, against what the services document.

use std::sync::Arc;

use flow_compiler::catalog::OperationBody;
use flow_compiler::connector::builtin;
use flow_plan::{Currency, Env, Expr, Function, Money, Operation, Value};
use serde_json::json;

use crate::sent::{Sent, sent};

fn operation(path: &str) -> Arc<Operation> {
    let (connector, name) = path.split_once('.').unwrap();
    match &builtin().connectors[connector].operations[name].body {
        OperationBody::Http(http) => http.clone(),
        OperationBody::Steps(_) => panic!("{path} is made of steps"),
    }
}

/// A form, its pairs sorted as records are.
fn form(path: &str, inputs: &[(&str, Value)], line: &str, pairs: &[&str]) {
    let mut form: Vec<String> = pairs.iter().map(|pair| (*pair).to_owned()).collect();
    let mut actual = sent(&operation(path), inputs);
    form.sort();
    actual.form.sort();
    assert_eq!(actual, Sent { line: line.to_owned(), form, json: json!(null) }, "{path}");
}

fn body(path: &str, inputs: &[(&str, Value)], line: &str, json: serde_json::Value) {
    assert_eq!(sent(&operation(path), inputs), Sent { line: line.to_owned(), form: Vec::new(), json }, "{path}");
}

fn text(text: &str) -> Value {
    Value::text(text)
}

fn number(number: i64) -> Value {
    Value::Number(number.into())
}

fn map(pairs: &[(&str, &str)]) -> Value {
    Value::record(pairs.iter().map(|(key, value)| (Arc::from(*key), text(value))))
}

#[test]
fn stripe_customers() {
    form(
        "stripe.create_customer",
        &[
            ("email", text("ada@example.com")),
            ("name", text("Ada Exemple")),
            ("metadata", map(&[("order", "1042")])),
            ("address", map(&[("line1", "4 rue des Essais"), ("country", "FR")])),
        ],
        "POST /v1/customers",
        &[
            "email=ada@example.com",
            "name=Ada Exemple",
            "metadata[order]=1042",
            "address[line1]=4 rue des Essais",
            "address[country]=FR",
        ],
    );
    form("stripe.customer_by_id", &[("id", text("cus_1"))], "GET /v1/customers/cus_1", &[]);
    let by_email = "GET /v1/customers?email=ada@example.com&limit=1";
    form("stripe.customer_by_email", &[("email", text("ada@example.com"))], by_email, &[]);
}

#[test]
fn stripe_payment_links() {
    let line = "POST /v1/payment_links";
    let plain = [("price", text("price_9")), ("quantity", number(1))];
    form("stripe.create_payment_link", &plain, line, &["line_items[0][price]=price_9", "line_items[0][quantity]=1"]);
    let all = [
        ("price", text("price_9")),
        ("quantity", number(4)),
        ("metadata", map(&[("from", "flow")])),
        ("allow_promotion_codes", Value::Bool(true)),
        ("after_completion_url", text("https://shop.example.com/thanks?a=1&b=2")),
    ];
    form(
        "stripe.create_payment_link",
        &all,
        line,
        &[
            "line_items[0][price]=price_9",
            "line_items[0][quantity]=4",
            "after_completion[type]=redirect",
            "after_completion[redirect][url]=https://shop.example.com/thanks?a=1&b=2",
            "allow_promotion_codes=true",
            "metadata[from]=flow",
        ],
    );
}

#[test]
fn stripe_subscriptions() {
    form(
        "stripe.create_subscription",
        &[
            ("customer", text("cus_1")),
            ("price", text("price_9")),
            ("quantity", number(2)),
            ("trial_period_days", number(30)),
            ("collection_method", text("send_invoice")),
            ("days_until_due", number(14)),
            ("payment_behavior", text("error_if_incomplete")),
        ],
        "POST /v1/subscriptions",
        &[
            "customer=cus_1",
            "items[0][price]=price_9",
            "items[0][quantity]=2",
            "trial_period_days=30",
            "collection_method=send_invoice",
            "days_until_due=14",
            "payment_behavior=error_if_incomplete",
        ],
    );
    let cancel = [("subscription", text("sub_1")), ("cancel", Value::Bool(true))];
    form("stripe.cancel_at_period_end", &cancel, "POST /v1/subscriptions/sub_1", &["cancel_at_period_end=true"]);
}

/// Amounts are whole numbers of what Stripe counts, which is not always what ISO 4217 counts. An amount in another currency, or
/// with more decimals than there are, makes no request: see `what_cannot_be_sent_is_not_sent` of the runtime's tests.
#[test]
fn stripe_refunds() {
    let line = "POST /v1/refunds";
    form("stripe.post_refund", &[("charge", text("ch_1"))], line, &["charge=ch_1"]);
    form(
        "stripe.post_refund",
        &[("payment_intent", text("pi_1")), ("reason", text("duplicate"))],
        line,
        &["payment_intent=pi_1", "reason=duplicate"],
    );
    for (amount, currency, sent) in
        [("12.50", "usd", "1250"), ("70", "ISK", "7000"), ("5000", "jpy", "5000"), ("1.230", "kwd", "1230")]
    {
        let amount = Money { amount: amount.parse().unwrap(), currency: Currency::parse(currency).unwrap() };
        form(
            "stripe.post_refund",
            &[("charge", text("ch_1")), ("amount", Value::Money(amount)), ("currency", text(currency))],
            line,
            &[&format!("amount={sent}"), "charge=ch_1"],
        );
    }
}

#[test]
fn stripe_invoices_and_lists() {
    form("stripe.finalize_invoice", &[("invoice", text("in_1"))], "POST /v1/invoices/in_1/finalize", &[]);
    form("stripe.send_invoice", &[("invoice", text("in_1"))], "POST /v1/invoices/in_1/send", &[]);
    form("stripe.find_charge", &[("id", text("ch_1"))], "GET /v1/charges/ch_1", &[]);
    form("stripe.list_refunds", &[("charge", text("ch_1"))], "GET /v1/refunds?charge=ch_1&limit=100", &[]);
}

#[test]
fn stripe_asks_for_events_of_the_live_types_since_a_minute_before_the_watermark() {
    let stripe = &builtin().connectors["stripe"];
    let poll = stripe.sources[0].poll.as_ref().unwrap();
    let [types, since, limit] = poll.request.query.as_slice() else { panic!("{:?}", poll.request.query) };
    assert_eq!((types.name.as_str(), &types.value, types.chunk), ("types[]", &Expr::Env(Env::LiveTypes), Some(20)));
    assert_eq!(since.name, "created[gte]");
    assert!(matches!(&since.value, Expr::Call(Function::Unix, args) if matches!(args.as_slice(), [Expr::Arithmetic(..)])));
    assert_eq!((limit.name.as_str(), &limit.value), ("limit", &Expr::Const(number(100))));
    assert!(poll.newest_first && poll.first_now);
    assert_eq!((poll.every_ms, poll.history_ms), (60_000, Some(30 * 86_400_000)));
}

#[test]
fn stripe_pins_its_version() {
    let stripe = &builtin().connectors["stripe"];
    assert!(stripe.api.headers.contains(&("Stripe-Version".to_owned(), Expr::Const(text("2026-10-28.endive")))));
    assert_eq!(stripe.api.retry_on, [409]);
}

#[test]
fn kustomer_is_at_the_address_of_the_organisation() {
    let setting = Expr::Env(Env::Setting("org".to_owned()));
    let base = vec![Expr::Const(text("https://")), setting, Expr::Const(text(".api.kustomerapp.com/v1"))];
    assert_eq!(builtin().connectors["kustomer"].api.base, Expr::Text(base));
    assert_eq!(builtin().connectors["stripe"].api.base, Expr::Const(text("https://api.stripe.com")));
}

#[test]
fn kustomer_customers() {
    let email = [("email", text("ada+test@example.com"))];
    body("kustomer.customer_by_email", &email, "GET /customers/email=ada+test@example.com", json!(null));
    body(
        "kustomer.post_customer_with_email",
        &email,
        "POST /customers",
        json!({ "emails": [{ "email": "ada+test@example.com" }] }),
    );
    let inputs = [("name", text("Ada")), ("phone", text("+33400000000"))];
    let expected = json!({ "name": "Ada", "phones": [{ "phone": "+33400000000" }], "externalId": "the-key" });
    body("kustomer.post_customer", &inputs, "POST /customers", expected);
}

#[test]
fn kustomer_search() {
    let inputs = [("name", text("Ada")), ("tag", text("vip")), ("limit", number(25))];
    let expected = json!({
        "queryContext": "customer",
        "and": [{ "customer_name": { "contains": "Ada" } }, { "customer_tags": { "in": ["vip"] } }],
        "sort": [{ "customer_updated_at": "desc" }],
    });
    body("kustomer.search_customers", &inputs, "POST /customers/search?page=1&pageSize=25", expected);
}

#[test]
fn kustomer_conversations() {
    let inputs = [("customer", text("0a1")), ("name", text("Payment failed")), ("priority", number(3))];
    let expected = json!({ "customer": "0a1", "name": "Payment failed", "priority": 3, "externalId": "the-key" });
    body("kustomer.post_conversation", &inputs, "POST /conversations", expected);
    let note = [("conversation", text("0b1")), ("text", text("Payment failed"))];
    body("kustomer.add_note", &note, "POST /conversations/0b1/notes", json!({ "body": "Payment failed" }));
    let tag = [("conversation", text("0b1")), ("tag", text("0c1"))];
    body("kustomer.add_tag", &tag, "POST /conversations/0b1/tags", json!(["0c1"]));
    body("kustomer.close_conversation", &note[..1], "PATCH /conversations/0b1", json!({ "status": "done" }));
}

/// What is not scheduled may never be delivered.
#[test]
fn kustomer_drafts_are_scheduled() {
    let inputs = [("customer", text("0a1")), ("conversation", text("0b1")), ("channel", text("email")), ("text", text("Hello"))];
    let expected = json!({
        "channel": "email", "conversation": "0b1", "body": "Hello", "scheduled": true, "sendAt": "2026-11-22T12:00:10.000Z",
    });
    body("kustomer.post_draft", &inputs, "POST /customers/0a1/drafts", expected);
}
