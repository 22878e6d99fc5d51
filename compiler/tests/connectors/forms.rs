//! A connector of a user's own, with the forms that the built-in ones do without.

use std::sync::Arc;

use flow_compiler::catalog::{Connector, OperationBody};
use flow_compiler::connector::declare;
use flow_grammar::syntax::Item;
use flow_plan::ty::Type;
use flow_plan::{AnswerForm, Effect, Env, Expr, JsonPath, Length, MoneyUnit, PathPart, Shape, TimeFormat, Value};

const SOURCE: &str = r#"
connector depot "Depot" {
  secret user
  secret password: text "ask the depot"
  setting site: text = "north"
  base "https://{site}.depot.example/v3/"
  auth basic(user, password)
  header "X-Site" site
  limit 5 per second
  retry on 409, 423
  broken on 403

  record Line { sku: text  count: int 0..999  price: money decimal from ("price.amount", "price.currency") }
  record Parcel {
    id: id<Parcel> @key
    owner: id<Parcel>?
    state: packed | sent | other from "state" else "status" when "version" in [1, 2]
    lines: list<Line>
    labels: map<text>
    sent: datetime unix_ms? from "times.sent"
    due: date?
    old: text? @deprecated("3.1", use: "state")
  }

  source feed {
    poll GET "/parcels?since={cursor}&size=50" every 30 seconds
    items "parcels"
    cursor "next"
    order oldest by "times.sent"
    seen ("id", "state")
    id "id"
    at "times.sent" unix_ms
    first all
  }
  trigger parcel_sent: Parcel from feed where state is "sent"
  trigger parcel_late(by: int = 3): Parcel { poll GET "/late" query { days: 3 } every 1 hour items "parcels" id "id" }

  query parcel(id: id<Parcel>) -> Parcel? {
    GET "/parcels/{id}"
    none on 404, 410
    refused unless "ok" is true or "code" is missing
  }
  query newest(site: text?) -> Parcel? { GET "/parcels" query { site } at "parcels" first where "state" is not "packed" and "lines" is not empty }

  action send(parcel: id<Parcel>, note: text?, at: datetime?) -> { parcel: id<Parcel>, cost: number } {
    PUT "/parcels/{parcel}/send" form { note: cut(note else run.flow, 20), at: unix(at), by: "flow {run.id}" }
    header "X-Attempt" unix_ms(sent_at)
    at "result"
    refused when "code" >= 400 and not ("code" in 409..410)
    retry on 425
    effect findable by parcel_sent_as(parcel: parcel, key: run.key) on 409, 410 find
  }
  query parcel_sent_as(parcel: id<Parcel>, key: text) -> { parcel: id<Parcel>, cost: number }? { GET "/parcels/{parcel}/sent/{key}" none on 404 }
  action recall(parcel: id<Parcel>) @dangerous { DELETE "/parcels/{parcel}" effect once emits parcel_sent }
}
"#;

fn depot() -> Connector {
    let parsed = flow_grammar::parse(SOURCE);
    assert!(parsed.errors.is_empty(), "{:#?}", parsed.errors);
    let [Item::Connector(node)] = parsed.file.items.as_slice() else { panic!("one connector") };
    let (connector, diagnostics) = declare(&Arc::from("depot.flow"), SOURCE, node);
    assert!(diagnostics.is_empty(), "{diagnostics:#?}");
    connector
}

#[test]
fn api() {
    let depot = depot();
    let setting = Expr::Env(Env::Setting("site".to_owned()));
    let text = |text: &str| Expr::Const(Value::text(text));
    assert_eq!(depot.api.base, Expr::Text(vec![text("https://"), setting.clone(), text(".depot.example/v3")]));
    assert_eq!(depot.api.headers, [("X-Site".to_owned(), setting)]);
    assert_eq!((depot.api.retry_on.as_slice(), depot.api.broken_on.as_slice()), ([409, 423].as_slice(), [403].as_slice()));
    assert_eq!(depot.settings[0].default, Some(Value::text("north")));
    assert!(depot.settings[0].in_base && depot.secrets.iter().all(|secret| secret.for_requests && !secret.for_webhooks));
}

#[test]
fn records() {
    let depot = depot();
    let parcel = &depot.records["Parcel"];
    let shape = |name: &str| &parcel.field(name).unwrap().shape;
    assert_eq!(parcel.field("owner").unwrap().ty.to_string(), "id<depot.Parcel>?");
    assert_eq!(parcel.field("state").unwrap().wire, "state, else status when \"version\" in [1, 2]");
    assert!(matches!(&shape("state").from[1].when, Some(Expr::OneOf(..))));
    assert_eq!(shape("sent").shape, Shape::Instant(TimeFormat::UnixMillis));
    assert_eq!(parcel.field("old").unwrap().deprecated, Some(("3.1".to_owned(), Some("state".to_owned()))));
    let Shape::List(line) = &shape("lines").shape else { panic!("a list") };
    let Shape::Record(fields) = line.as_ref() else { panic!("of records") };
    assert!(matches!(&fields[2].shape, Shape::Money { unit: MoneyUnit::Decimal, .. }));
}

#[test]
fn sources() {
    let depot = depot();
    let [feed, late] = depot.sources.as_slice() else { panic!("{:?}", depot.sources) };
    let poll = feed.poll.as_ref().unwrap();
    assert_eq!(poll.request.path, [PathPart::Literal("/parcels".to_owned())]);
    assert_eq!(poll.request.query[0].value, Expr::Env(Env::Cursor));
    assert_eq!(poll.request.query[1].value, Expr::Const(Value::text("50")));
    assert!(!poll.newest_first && !poll.first_now && poll.seen.len() == 2 && poll.cursor.is_some());
    assert_eq!((late.name.as_str(), depot.triggers["parcel_late"].source.as_str()), ("parcel_late", "parcel_late"));
}

#[test]
fn operations() {
    let depot = depot();
    let http = |name: &str| match &depot.operations[name].body {
        OperationBody::Http(http) => http.clone(),
        OperationBody::Steps(_) => panic!("{name} is one request"),
    };
    let send = http("send");
    assert_eq!((send.request.method.as_str(), send.retry_on.as_slice()), ("PUT", [425].as_slice()));
    assert!(matches!(&send.effect, Effect::Findable { find_on, .. } if *find_on == [409, 410]));
    assert!(matches!(&send.answer.refused_when, Some(Expr::And(parts)) if parts.len() == 2));
    assert!(matches!(&http("parcel").answer.refused_when, Some(Expr::Not(_))));
    assert!(matches!(&http("newest").answer.first, Some(Expr::And(_))));
    let recall = &depot.operations["recall"];
    assert!(recall.dangerous.is_some() && recall.output == Type::Nothing && recall.emits == ["parcel_sent"]);
}

#[test]
fn checks() {
    let source = r#"
connector region "Region" {
  secret key starts with "rk_", "tk_"
  secret cut "where it is" of 32 hex digits
  secret other
  setting region: eu | us = "eu"
  base "https://region.example"
  auth basic(key)
  check { GET "/me" query { full: true } at "account.id" none on 403 refused unless "region" is region }
  check { GET "/other" sign { "header.X-Other": hex(hmac_sha256(other, "{unix(sent_at)}")) } }
}
"#;
    let declared = |source: &str| {
        let parsed = flow_grammar::parse(source);
        assert!(parsed.errors.is_empty(), "{:#?}", parsed.errors);
        let [Item::Connector(node)] = parsed.file.items.as_slice() else { panic!("one connector") };
        let (connector, diagnostics) = declare(&Arc::from("region.flow"), source, node);
        (connector, diagnostics.into_iter().map(|one| one.message).collect::<Vec<_>>())
    };
    let (region, problems) = declared(source);
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(region.secrets[0].starts_with, ["rk_", "tk_"]);
    assert_eq!((region.secrets[0].hex_digits, region.secrets[1].hex_digits), (None, Some(32)));
    let [me, other] = &*region.checks else { panic!("{:?}", region.checks) };
    assert_eq!((me.answer.at.to_string().as_str(), me.answer.none_on.as_slice()), ("account.id", [403].as_slice()));
    assert!(me.answer.refused_when.is_some() && me.effect == Effect::Read);
    assert_eq!(other.sign.len(), 1);
    for (check, problem) in [
        (r#"check { POST "/me" }"#, "a check changes nothing"),
        (r#"check { GET "/me" effect set }"#, "this says nothing about a check"),
        (r#"check { GET "/me" refused when key is "x" }"#, "the secret `key` may not stand here"),
    ] {
        let source = format!("connector c {{ secret key base \"https://c.example\" auth bearer(key) {check} }}\n");
        let (_, problems) = declared(&source);
        assert!(problems.iter().any(|one| one == problem), "{check}: {problems:?}");
    }
}

/// Requests to whole addresses, answers that are no JSON, and what few operations say.
#[test]
fn addresses_answers_and_bounds() {
    let source = r#"
connector bell "Bell" {
  secret hook: text?
  secret token: text?
  one of (hook, token)
  setting model: text = "loud"
  base "https://bell.example"
  auth bearer(token)
  retry after "wait"
  broken when "error" is "gone"
  action ring(text: text @escaped @length(1..140), url: text, method: GET | POST, fields: map<text>?, model: text?, expect: list<int>?) {
    SEND method at url query fields json { text, model: model else settings.model } form fields headers fields
    answer text
    done on expect
    refuse when model is "silent" because "nobody would hear it"
    refused unless body is "ok" because "it did not ring"
    body up to 500 bytes
    timeout 3 seconds
    effect once
    retry after 0 seconds, 1 minute
  }
  action strike(count: int) {
    POST "/strike" json { count }
    effect once
    retry never
  }
  query heard(text: text, most: int) -> text @within(most) @derived {
    POST at hook else "https://bell.example/heard" json { text, mistake }
    answer json in "said.text"
    at "word"
    once more
  }
}
"#;
    let parsed = flow_grammar::parse(source);
    assert!(parsed.errors.is_empty(), "{:#?}", parsed.errors);
    let [Item::Connector(node)] = parsed.file.items.as_slice() else { panic!("one connector") };
    let (bell, diagnostics) = declare(&Arc::from("bell.flow"), source, node);
    assert!(diagnostics.is_empty(), "{diagnostics:#?}");
    assert!(bell.secrets.iter().all(|secret| secret.optional));
    assert_eq!(bell.api.one_of, [["hook".to_owned(), "token".to_owned()]]);
    assert!(bell.api.broken_when.is_some() && bell.api.wait_at == JsonPath::parse("wait").ok());
    let http = |name: &str| match &bell.operations[name].body {
        OperationBody::Http(http) => http.clone(),
        OperationBody::Steps(_) => panic!("{name} is one request"),
    };
    let (ring, heard) = (http("ring"), http("heard"));
    assert_eq!([ring.peculiar.retry_never, http("strike").peculiar.retry_never], [false, true]);
    assert_eq!((&ring.request.address, &ring.request.chosen_method), (&Some(Expr::Input(1)), &Some(Expr::Input(2))));
    assert!(ring.request.more_query.is_some() && ring.request.more_headers.is_some() && ring.request.other_bodies.len() == 1);
    assert_eq!((ring.answer.form.clone(), ring.answer.done_on.clone()), (AnswerForm::Text, Some(Expr::Input(5))));
    assert_eq!(ring.answer.refused[0].because, "it did not ring");
    assert_eq!((ring.peculiar.max_body, ring.peculiar.pauses_ms.as_slice()), (Some(500), [0, 60_000].as_slice()));
    assert_eq!(ring.peculiar.refuse[0].because, "nobody would hear it");
    assert_eq!(ring.inputs[0].length, Some(Length { least: 1, most: 140, bytes: false }));
    assert!(bell.operations["ring"].inputs[0].escaped && bell.operations["heard"].derived);
    assert_eq!(heard.answer.form, AnswerForm::JsonIn(JsonPath::parse("said.text").unwrap()));
    assert_eq!((heard.answer.longest, heard.peculiar.once_more), (Some(1), true));
    // The written form is the same connector.
    let written = flow_grammar::format(source).unwrap();
    assert_eq!(flow_grammar::format(&written).unwrap(), written);
    assert!(written.contains("SEND method at url") && written.contains("secret hook: text?"), "{written}");
}
