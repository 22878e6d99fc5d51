use std::sync::Arc;
use std::time::Duration;

use flow_plan::{Effect, Expr, FieldShape, FieldSource, Operation, Shape, Value};
use flow_runtime::answer::{self, Outcome};
use flow_runtime::eval::Nothing;
use flow_runtime::live::LiveConnection;
use flow_runtime::world::HttpAnswer;

use crate::support::{answer, connection, operation, path, request};

fn any() -> LiveConnection {
    connection("any", "https://api.example")
}

fn op() -> Operation {
    operation(request("GET", Vec::new()))
}

fn read(op: &Operation, connection: &LiveConnection, answer: &HttpAnswer) -> Outcome {
    answer::read(op, connection, answer, &Nothing)
}

fn record(name: &str, shape: Shape, optional: bool) -> Shape {
    let from = vec![FieldSource::at(path(name))];
    Shape::Record(vec![FieldShape { name: name.to_owned(), from, shape, optional, personal: false, default: None }])
}

fn class(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done(_) => "done",
        Outcome::NotDone { .. } => "not done",
        Outcome::Unknown { .. } => "unknown",
        Outcome::Refused { .. } => "refused",
        Outcome::Broken { .. } => "broken",
    }
}

#[test]
fn statuses_have_the_classes_of_the_table() {
    let class_of = |status, headers: &[(&str, &str)]| class(&read(&op(), &any(), &answer(status, headers, "")));
    for (status, wanted) in [
        (200, "done"),
        (201, "done"),
        (204, "done"),
        (301, "refused"),
        (302, "refused"),
        (304, "refused"),
        (400, "refused"),
        (401, "broken"),
        (402, "refused"),
        (403, "refused"),
        (404, "refused"),
        (408, "unknown"),
        (409, "refused"),
        (410, "refused"),
        (422, "refused"),
        (425, "not done"),
        (429, "not done"),
        (500, "unknown"),
        (501, "refused"),
        (502, "unknown"),
        (503, "unknown"),
        (504, "unknown"),
        (522, "unknown"),
    ] {
        assert_eq!(class_of(status, &[]), wanted, "{status}");
    }
    assert_eq!(class_of(503, &[("retry-after", "7")]), "not done");
    assert_eq!(class_of(500, &[("retry-after", "7")]), "unknown");
}

#[test]
fn a_connector_widens_not_done_but_not_for_once() {
    let mut connection = any();
    Arc::make_mut(&mut connection.plan.api).retry_on = vec![423];
    Arc::make_mut(&mut connection.plan.api).broken_on = vec![403, 404];
    let mut op = op();
    op.retry_on = vec![409, 500];
    op.answer.none_on = vec![404];
    let of = |op: &Operation, status| class(&read(op, &connection, &answer(status, &[], ""))).to_owned();
    assert_eq!([of(&op, 423), of(&op, 409), of(&op, 500)], ["not done", "not done", "not done"]);
    assert_eq!([of(&op, 403), of(&op, 401), of(&op, 404)], ["broken", "broken", "done"]);
    op.effect = Effect::Once;
    assert_eq!([of(&op, 423), of(&op, 409), of(&op, 500)], ["refused", "refused", "unknown"]);
    assert_eq!([of(&op, 429), of(&op, 503)], ["not done", "unknown"]);
}

#[test]
fn waits_are_read_in_all_their_forms() {
    let date = ("date", "Sun, 22 Nov 2026 12:00:00 GMT");
    let wait = |headers: &[(&str, &str)]| match read(&op(), &any(), &answer(429, headers, "")) {
        Outcome::NotDone { retry_after, .. } => retry_after,
        other => panic!("{other:?}"),
    };
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(wait(&[("retry-after", "120")]), seconds(120));
    assert_eq!(wait(&[("retry-after", "0.5")]), Some(Duration::from_millis(500)));
    assert_eq!(wait(&[("retry-after", "Sun, 22 Nov 2026 12:01:30 GMT"), date]), seconds(90));
    assert_eq!(wait(&[("retry-after", "Sun, 22 Nov 2026 11:00:00 GMT"), date]), seconds(0));
    assert_eq!(wait(&[("x-ratelimit-reset", "1795348810"), date]), seconds(10));
    assert_eq!(wait(&[("x-ratelimit-reset", "15")]), seconds(15));
    assert_eq!(wait(&[("retry-after", "99999999999999999999999999999")]), Some(Duration::MAX), "too long for any step");
    assert_eq!(wait(&[("retry-after", "999999999")]), seconds(999_999_999));
    for nonsense in ["-5", "soon", "", "1e309", "NaN"] {
        assert_eq!(wait(&[("retry-after", nonsense)]), None, "{nonsense}");
    }
}

#[test]
fn results_are_found_and_read() {
    let mut find = op();
    find.answer.shape = Some(record("id", Shape::Token, false));
    find.answer.at = path("data");
    let done = |op: &Operation, body: &str| read(op, &any(), &answer(200, &[], body));
    let customer = Value::record([("id".into(), Value::text("cus_1"))]);
    assert_eq!(done(&find, r#"{"data":{"id":"cus_1","more":1}}"#), Outcome::Done(customer.clone()));
    for unfit in [r#"{"data":{}}"#, r#"{"data":null}"#, "{}", "", "<html>", r#"{"data":{"id":[7]}}"#, r#"{"data":[]}"#] {
        assert_eq!(class(&done(&find, unfit)), "refused", "{unfit}");
    }
    find.answer.optional = true;
    assert_eq!(done(&find, "{}"), Outcome::Done(Value::Missing));
    find.answer.none_when =
        Some(Expr::Equal(Box::new(Expr::Answer(path("data.deleted"))), Box::new(Expr::Const(Value::Bool(true)))));
    assert_eq!(done(&find, r#"{"data":{"id":"cus_1","deleted":true}}"#), Outcome::Done(Value::Missing));
    find.answer.none_when = None;

    find.answer.first = Some(Expr::Const(Value::Bool(true)));
    assert_eq!(done(&find, r#"{"data":[{"id":"cus_1"},{"id":"cus_2"}]}"#), Outcome::Done(customer.clone()));
    assert_eq!(done(&find, r#"{"data":[]}"#), Outcome::Done(Value::Missing));
    find.answer.first = Some(Expr::Equal(Box::new(Expr::Answer(path("live"))), Box::new(Expr::Const(Value::Bool(true)))));
    assert_eq!(done(&find, r#"{"data":[{"id":"x","live":false},{"id":"cus_1","live":true}]}"#), Outcome::Done(customer));
    assert_eq!(class(&done(&find, r#"{"data":{"id":"x"}}"#)), "refused");
}

#[test]
fn a_success_can_be_a_refusal() {
    let mut send = op();
    send.answer.refused_when = Some(Expr::Equal(Box::new(Expr::Answer(path("ok"))), Box::new(Expr::Const(Value::Bool(false)))));
    let of = |body: &str| read(&send, &any(), &answer(200, &[], body));
    assert_eq!(of(r#"{"ok":true}"#), Outcome::Done(Value::Missing));
    let refused = Outcome::Refused { status: Some(200), error: "200: no such channel".to_owned() };
    assert_eq!(of(r#"{"ok":false,"error":{"message":"no such channel"}}"#), refused);
}

#[test]
fn errors_are_for_people_and_hold_no_secret() {
    let error = |headers: &[(&str, &str)], body: &str| match read(&op(), &any(), &answer(400, headers, body)) {
        Outcome::Refused { error, .. } => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        error(&[("request-id", "req_7")], r#"{"error":{"message":"No such customer"}}"#),
        "400: No such customer (request req_7)"
    );
    assert_eq!(error(&[], r#"{"errors":[{"title":"Bad"}]}"#), "400: Bad");
    assert_eq!(error(&[], "<html>secret things</html>"), "400 Bad Request");
    assert_eq!(
        error(&[], r#"{"error":{"message":"key sk_test_vector is\u001b[31m bad\r\nX"}}"#),
        "400: key [secret] is [31m bad  X"
    );
    assert!(error(&[("request-id", "sk_test_vector")], "").contains("[secret]"));
    let long = format!(r#"{{"error":{{"message":"{}"}}}}"#, "é".repeat(10_000));
    assert!(error(&[], &long).chars().count() < 420);
    let deep = format!(r#"{{"error":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(error(&[], &deep), "400 Bad Request");
}

#[test]
fn an_unfit_answer_says_where() {
    let mut find = op();
    find.answer.shape = Some(record("id", Shape::Integer, false));
    find.answer.at = path("data");
    let outcome = read(&find, &any(), &answer(200, &[("request-id", "req_9")], r#"{"data":{"id":"x"}}"#));
    let Outcome::Refused { status: Some(200), error } = outcome else { panic!("{outcome:?}") };
    assert!(
        error.starts_with("the answer does not fit") && error.contains("id") && error.ends_with("(request req_9)"),
        "{error}"
    );
    // Nothing is read where nothing is wanted.
    assert_eq!(read(&op(), &any(), &answer(200, &[], "ok")), Outcome::Done(Value::Missing));
}
