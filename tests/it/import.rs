//! `flowc import openapi`: what it writes checks, reads well, and calls what was described.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flow_sandbox::{Options, Sandbox};
use serde_json::{Value, json};

use crate::support::daemon::Daemon;
use crate::support::program::{Outcome, flowc_within, project};
use crate::support::recorder::{Arrived, Recorder};
use crate::support::stripe;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn described(name: &str) -> PathBuf {
    root().join("tests/fixtures/openapi").join(name)
}

/// Seconds of a processor on any machine, where a mistake would take minutes.
const SECONDS: u32 = 30;

fn flowc(folder: &Path, args: &[&str]) -> Outcome {
    flowc_within(SECONDS, folder, args, b"")
}

fn flowc_with(folder: &Path, args: &[&str], input: &[u8]) -> Outcome {
    flowc_within(SECONDS, folder, args, input)
}

/// Imports a description as `acme`; returns the connector and what was said.
fn imported(spec: &Path, more: &[&str]) -> (String, String) {
    let args = [&["import", "openapi", spec.to_str().unwrap(), "--name", "acme"], more].concat();
    let outcome = flowc(Path::new("."), &args);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    (outcome.out, outcome.err)
}

/// What is imported checks without a word, advice included, and is in its canonical form.
fn sound(source: &str) {
    let folder = project(&[("acme.flow", source)]);
    let check = flowc(folder.path(), &["check", "--deny-warnings", "--pedantic"]);
    assert_eq!((check.code, check.err.as_str()), (0, "0 flows in 1 file: no problems\n"));
    let fmt = flowc(folder.path(), &["fmt", "--diff"]);
    assert_eq!(fmt.code, 0, "{}", fmt.out);
    let docs = flowc(folder.path(), &["docs", "acme"]);
    assert!(docs.code == 0 && docs.out.starts_with("# "), "{}", docs.err);
}

#[test]
fn a_description_in_json_becomes_a_connector_that_can_be_read() {
    let (source, said) = imported(&described("tickets.json"), &[]);
    sound(&source);
    insta::assert_snapshot!("import_tickets", format!("{source}\n# On standard error:\n{said}"));
}

#[test]
fn a_description_in_yaml_becomes_a_connector_that_can_be_read() {
    let (source, said) = imported(&described("parcels.yaml"), &[]);
    sound(&source);
    insta::assert_snapshot!("import_parcels", format!("{source}\n# On standard error:\n{said}"));
}

#[test]
fn a_description_of_version_2_becomes_a_connector_that_can_be_read() {
    let (source, said) = imported(&described("shelf.yaml"), &[]);
    sound(&source);
    insta::assert_snapshot!("import_shelf", format!("{source}\n# On standard error:\n{said}"));
}

/// Three that are written as real ones are: with numbered pages and links in headers, with cursors in bodies and types of JSON Schema, and an
/// old one with forms and a key in the address.
#[test]
fn descriptions_in_the_style_of_real_ones_become_connectors() {
    for name in ["forge.json", "slate.yaml", "telegraph.json"] {
        let (source, said) = imported(&described(name), &[]);
        sound(&source);
        let snapshot = format!("import_{}", name.split('.').next().unwrap());
        insta::assert_snapshot!(snapshot, format!("{source}\n# On standard error:\n{said}"));
    }
}

/// Runs flows over an imported connector, one after the other, against a service that answers as told.
fn called(
    source: &str,
    settings: &str,
    flow: &str,
    answer: impl Fn(&Arrived) -> (u16, Value) + Send + Sync + 'static,
) -> Vec<Arrived> {
    let service = Recorder::start(move |request, _| Some(answer(request)));
    let toml = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.stripe]\nwebhook_secret = {{ env = \"TEST_WEBHOOK_SECRET\" }}\n[connections.acme]\nbase_url = \"{}\"\n{settings}",
        service.url
    );
    let daemon = Daemon::start(&[("flow.toml", &toml), ("acme.flow", source), ("main.flow", flow)]);
    let event = stripe::charge_failed("1", 25_000, "usd", Some("ada@example.com")).to_string();
    assert_eq!(stripe::post(&daemon.server, &event).status, 200);
    let runs = daemon.settled(1);
    assert_eq!(runs[0]["status"], "done", "{runs:#?}\n{:#?}", service.lines());
    service.arrived()
}

#[test]
fn each_form_of_a_request_arrives_as_it_was_described() {
    let (source, _) = imported(&described("tickets.json"), &[]);
    let flow = r#"
        when stripe.charge_failed do {
          acme.create_ticket(
            subject: "Payment of {amount} failed",
            requester_email: require customer_email,
            due_date: 2026-12-01,
            labels: ["a", "b"],
            locale: "fr",
          ) as ticket
          acme.tickets_comments_add(
            ticket_id: ticket.id,
            body: "See {ticket.subject}",
            `in`: "internal only",
            body_ticket_id: "7",
            remind_at: happened_at,
            options: { notify: true, sendVia: "push" },
          ) as comment
          let open = acme.list_tickets(status: ["open", "on-hold"], tag: ["x", "y z"], filter: { assignee: "p/1" }, page_size: 5)
          for one in open up to 2 {
            let person = acme.read_person(id: require one.requester.id, x_trace: "t1")
            acme.delete_ticket(ticket_id: one.id)
          }
        }
    "#;
    let flow = flow.replace("happened_at", "now");
    let settings =
        "api_key = { env = \"TEST_STRIPE_KEY\" }\nx_workspace = { env = \"TEST_KUSTOMER_KEY\" }\nsubdomain = \"desk\"\n";
    let ticket = |id: u32| json!({ "id": id, "subject": "S", "status": "brand-new", "createdAt": "2026-11-22T12:00:00Z", "requester": { "id": "p/1", "email": "eve@example.com" } });
    let arrived = called(&source, settings, &flow, move |request| {
        let path = request.path.split('?').next().unwrap_or("").to_owned();
        match (request.method.as_str(), path.as_str()) {
            ("POST", "/api/v4/tickets") => (201, ticket(7)),
            ("POST", "/api/v4/tickets/7/comments") => {
                (201, json!({ "id": "c1", "body": "B", "inReplyTo": { "id": "c0", "body": "A" } }))
            }
            ("GET", "/api/v4/tickets") => (200, json!({ "tickets": [ticket(8), ticket(9)], "nextCursor": null, "total": 2 })),
            ("GET", "/api/v4/people/p%2F1") => (404, json!({ "errors": [{ "detail": "nobody" }] })),
            ("DELETE", _) => (204, Value::Null),
            _ => (500, json!({})),
        }
    });
    let lines: Vec<String> = arrived.iter().map(Arrived::line).collect();
    assert_eq!(
        lines,
        [
            "POST /api/v4/tickets?locale=fr",
            "POST /api/v4/tickets/7/comments",
            "GET /api/v4/tickets?status=open&status=on-hold&tag=x%2Cy%20z&filter[assignee]=p%2F1&pageSize=5",
            "GET /api/v4/people/p%2F1",
            "DELETE /api/v4/tickets/8",
            "GET /api/v4/people/p%2F1",
            "DELETE /api/v4/tickets/9",
        ]
    );
    let first = &arrived[0];
    assert_eq!(
        first.json(),
        json!({ "subject": "Payment of 250.00 USD failed", "requesterEmail": "ada@example.com", "dueDate": "2026-12-01", "labels": ["a", "b"] })
    );
    assert!(first.header("idempotency-key").is_some_and(|key| !key.is_empty()), "{first:?}");
    assert_eq!(first.header("x-api-key"), Some(crate::support::daemon::STRIPE_KEY));
    assert_eq!(first.header("x-workspace"), Some(crate::support::daemon::KUSTOMER_KEY));
    let mut comment = arrived[1].json();
    let at = comment.as_object_mut().unwrap().remove("remind-at").unwrap();
    assert!(at.as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{at}");
    assert_eq!(
        comment,
        json!({ "body": "See S", "in": "internal only", "ticketId": "7", "options": { "notify": true, "sendVia": "push" } })
    );
    assert_eq!(arrived[3].header("x-trace"), Some("t1"));
}

#[test]
fn forms_texts_and_what_is_gone_are_as_they_were_described() {
    let (source, _) = imported(&described("parcels.yaml"), &[]);
    let flow = r#"
        when stripe.charge_failed do {
          acme.create_parcel(
            to: { name: "Ada & Co", line1: "1 rue X", country: "FR" },
            weight_grams: 500,
            services: ["signature", "insured"],
            references: ["r1", "r2"],
          ) as parcel
          acme.put_note(parcel: parcel.id, body: "Handle with care")
          let again = acme.get_parcel(parcel: parcel.id)
          if again is missing {
            let label = acme.get_parcel_label_format(parcel: parcel.id, format: "json")
            acme.create_invoice_payment(invoice: require parcel.invoice, body: { kind: "card", last4: "4242" }) as invoice
            if invoice.total < 12 { stop because "too little" }
          }
          let rate = acme.get_rate(from: "EUR", to: "USD")
        }
    "#;
    let settings = "user = { env = \"TEST_STRIPE_KEY\" }\npassword = { env = \"TEST_KUSTOMER_KEY\" }\n";
    let arrived = called(&source, settings, flow, |request| match request.line().as_str() {
        "POST /v2/parcels" => {
            let to = json!({ "name": "Ada & Co", "line1": "1 rue X", "country": "FR" });
            let invoice = json!({ "id": "inv_1", "number": "1" });
            (
                201,
                json!({ "id": "pcl_1", "state": "announced", "to": to, "created": 1_790_000_000, "invoice": invoice, "extra": 3 }),
            )
        }
        "PUT /v2/parcels/pcl_1/note" => (204, Value::Null),
        "GET /v2/parcels/pcl_1" => (200, json!({ "id": "pcl_1", "deleted": true })),
        "GET /v2/parcels/pcl_1/label.json" => (200, json!({ "lines": ["a"] })),
        "POST /v2/invoices/inv_1/payments" => {
            (200, json!({ "id": "inv_1", "number": "1", "state": "past due", "total": "12.50", "currency": "EUR", "lines": [] }))
        }
        "GET /v2/rates/EUR:USD" => (200, json!({ "now": 1.09 })),
        other => (404, json!({ "detail": other })),
    });
    assert_eq!(
        arrived[0].body,
        "references=r1&references=r2&services=signature%2Cinsured&to[country]=FR&to[line1]=1%20rue%20X&to[name]=Ada%20%26%20Co&weight_grams=500"
    );
    assert_eq!(arrived[0].header("content-type"), Some("application/x-www-form-urlencoded"));
    assert!(arrived[0].header("authorization").is_some_and(|value| value.starts_with("Basic ")));
    assert_eq!(
        (arrived[1].body.as_str(), arrived[1].header("content-type")),
        ("Handle with care", Some("text/plain; charset=utf-8"))
    );
    assert_eq!(arrived[4].json(), json!({ "kind": "card", "last4": "4242" }));
    assert_eq!(arrived.last().unwrap().line(), "GET /v2/rates/EUR:USD");
}

#[test]
fn numbered_pages_are_asked_for_until_there_is_none() {
    let (source, _) = imported(&described("forge.json"), &[]);
    let flow = r#"
        when stripe.charge_failed do {
          let open = acme.issues_list_for_repo(owner: "ada", repo: "a b", state: "open", per_page: 2)
          if length(open) is not 5 { stop because "{length(open)}" }
          let found = acme.search_issues(q: "x", at_most: 3)
          if length(found) is not 3 { stop because "{length(found)}" }
          let none = acme.repos_list_branches(owner: "ada", repo: "b", page: 7)
          acme.issues_create(owner: "ada", repo: "b", title: "Broken", labels: ["bug"]) as made
          acme.issues_lock(owner: "ada", repo: "b", issue_number: made.number, lock_reason: "too heated")
        }
    "#;
    let issue = |number: u32| json!({ "id": number, "number": number, "state": "open", "title": "T", "user": null, "labels": [], "created_at": "2026-11-22T12:00:00Z" });
    let issues = move |numbers: &[u32]| -> Value { numbers.iter().map(|number| issue(*number)).collect() };
    let arrived = called(&source, "token = { env = \"TEST_STRIPE_KEY\" }\n", flow, move |request| {
        match request.line().as_str() {
            "GET /repos/ada/a%20b/issues?state=open&per_page=2" => (200, issues(&[1, 2])),
            "GET /repos/ada/a%20b/issues?state=open&per_page=2&page=2" => (200, issues(&[3, 4])),
            "GET /repos/ada/a%20b/issues?state=open&per_page=2&page=3" => (200, issues(&[5])),
            "GET /repos/ada/a%20b/issues?state=open&per_page=2&page=4" => (200, json!([])),
            "GET /search/issues?q=x" => (200, json!({ "total_count": 9, "items": issues(&[1, 2]) })),
            "GET /search/issues?q=x&page=2" => (200, json!({ "total_count": 9, "items": issues(&[3, 4]) })),
            // Some services have an empty page behind the last, and some have none.
            "GET /repos/ada/b/branches?page=7" => {
                (200, json!([{ "name": "main", "commit": { "sha": "1", "url": "https://forge.example/1" }, "protected": true }]))
            }
            "POST /repos/ada/b/issues" => (201, issue(42)),
            "PUT /repos/ada/b/issues/42/lock" => (204, Value::Null),
            _ => (404, json!({ "message": "Not Found" })),
        }
    });
    let lines: Vec<String> = arrived.iter().map(Arrived::line).collect();
    assert_eq!(lines.len(), 10, "{lines:#?}");
    assert!(lines.contains(&"GET /repos/ada/b/branches?page=8".to_owned()), "{lines:#?}");
    assert_eq!(arrived[8].json(), json!({ "title": "Broken", "labels": ["bug"] }));
    assert_eq!(arrived[9].json(), json!({ "lock_reason": "too heated" }));
}

#[test]
fn cursors_counts_and_constants_are_sent_as_described() {
    let (source, _) = imported(&described("slate.yaml"), &[]);
    let flow = r#"
        when stripe.charge_failed do {
          let people = acme.list_users(page_size: 2)
          if length(people) is not 3 { stop because "{length(people)}" }
          let done = acme.list_audit(limit: 2)
          if length(done) is not 3 { stop because "{length(done)}" }
          let templates = acme.list_templates()
          if length(templates) is not 2 { stop because "{length(templates)}" }
          acme.post_page(parent: { type: "page_id", page_id: "p" }, properties: {})
        }
    "#;
    let settings = "token = { env = \"TEST_STRIPE_KEY\" }\nregion = \"api-eu\"\n";
    let user = |id: &str| json!({ "object": "user", "id": id, "name": null });
    let page = move |ids: &[&str], next: Value| json!({ "object": "list", "type": "user", "request_id": "r", "has_more": !next.is_null(), "next_cursor": next, "results": ids.iter().map(|id| user(id)).collect::<Value>() });
    let ids = |ids: &[&str]| -> Value { ids.iter().map(|id| json!({ "id": id })).collect() };
    let arrived = called(&source, settings, flow, move |request| match request.line().as_str() {
        "GET /v1/users?page_size=2" => (200, page(&["a", "b"], json!("c/2"))),
        "GET /v1/users?page_size=2&start_cursor=c%2F2" => (200, page(&["c"], Value::Null)),
        "GET /v1/audit?limit=2" => (200, json!({ "entries": ids(&["1", "2"]) })),
        "GET /v1/audit?limit=2&offset=2" => (200, json!({ "entries": ids(&["3"]) })),
        "GET /v1/audit?limit=2&offset=3" => (200, json!({ "entries": [] })),
        "GET /v1/templates?page=0" => (200, json!({ "items": ids(&["1"]), "has_next": true })),
        "GET /v1/templates?page=1" => (200, json!({ "items": ids(&["2"]), "has_next": false })),
        "POST /v1/pages" => (200, json!({ "object": "page", "id": "n", "properties": {} })),
        other => (400, json!({ "message": other })),
    });
    assert_eq!(arrived.len(), 8, "{:#?}", arrived.iter().map(Arrived::line).collect::<Vec<_>>());
    assert!(arrived.iter().all(|one| one.header("slate-version") == Some("2026-03-01")));
}

#[test]
fn an_old_description_with_forms_and_a_key_in_the_address_is_called() {
    let (source, _) = imported(&described("telegraph.json"), &[]);
    let flow = r#"
        when stripe.charge_failed do {
          acme.create_telegram(to: "+33 1", body: "Stop & go", media_url: ["https://a.example/1", "https://a.example/2"], flags: ["urgent", "collect"], max_price: 0.1) as sent
          let all = acme.list_telegrams(status: ["queued", "sent"], at_most: 3)
          acme.delete_telegram(sid: sent.sid)
        }
    "#;
    let arrived = called(&source, "api_key = { env = \"TEST_STRIPE_KEY\" }\n", flow, |request| {
        match (request.method.as_str(), request.path.split('?').next().unwrap_or("")) {
            ("POST", "/api/1.0/telegrams.json") => (201, json!({ "sid": "TG 1" })),
            ("GET", _) => (200, json!({ "telegrams": [{ "sid": request.path }, { "sid": "b" }], "count": 4 })),
            _ => (204, Value::Null),
        }
    });
    let lines: Vec<String> = arrived.iter().map(Arrived::line).collect();
    let [sent, first, second, gone] = lines.as_slice() else { panic!("{lines:#?}") };
    assert!(
        sent.starts_with("POST /api/1.0/telegrams.json?api_key=") && gone.starts_with("DELETE /api/1.0/telegrams/TG%201.json?"),
        "{lines:#?}"
    );
    assert!(first.contains("status=queued%7Csent") && second.contains("offset=2"), "{lines:#?}");
    assert_eq!(
        arrived[0].body,
        "Body=Stop%20%26%20go&Flags=urgent%2Ccollect&MaxPrice=0.1&MediaUrl=https%3A%2F%2Fa.example%2F1&MediaUrl=https%3A%2F%2Fa.example%2F2&To=%2B33%201"
    );
}

/// A list of parcels under `data`, with what stands beside it.
fn page_of(beside: &Value) -> Value {
    let mut properties = json!({ "data": { "type": "array", "items": { "$ref": "#/components/schemas/Parcel" } } });
    properties.as_object_mut().unwrap().extend(beside.as_object().unwrap().clone());
    json!({ "200": { "description": "", "content": { "application/json": { "schema": { "type": "object", "properties": properties, "required": ["has_more"] } } } } })
}

fn asked(names: &[&str]) -> Value {
    names.iter().map(|name| json!({ "name": name, "in": "query", "schema": { "type": "string" } })).collect()
}

#[test]
fn further_pages_are_asked_for_as_the_description_says() {
    let next = json!({ "type": "string", "nullable": true });
    let more = json!({ "type": "boolean" });
    let spec = json!({
        "openapi": "3.0.0", "info": { "title": "P", "version": "1" }, "servers": [{ "url": "https://p.example" }],
        "paths": {
            "/cursors": { "get": { "operationId": "cursors", "parameters": asked(&["cursor", "kind"]), "responses": page_of(&json!({ "next_cursor": next })) } },
            "/deep": { "get": { "operationId": "deep", "parameters": asked(&["page[after]"]), "responses": page_of(&json!({ "paging": { "type": "object", "properties": { "cursors": { "type": "object", "properties": { "after": next } } } } })) } },
            "/ids": { "get": { "operationId": "ids", "parameters": asked(&["starting_after", "ending_before"]), "responses": page_of(&json!({ "has_more": more })) } },
            "/unknown": { "get": { "operationId": "unknown", "parameters": asked(&["cursor"]), "responses": page_of(&json!({ "meta": {} })) } },
            "/links": { "get": { "operationId": "links", "parameters": asked(&["cursor"]), "responses": page_of(&json!({ "next": { "type": "string", "format": "uri" } })) } },
            "/numbers": { "get": { "operationId": "numbers", "parameters": asked(&["page"]), "responses": page_of(&json!({ "page": { "type": "integer" } })) } },
            "/search": { "post": { "operationId": "search", "requestBody": { "content": { "application/json": { "schema": { "type": "object", "properties": { "cursor": { "type": "string" } } } } } }, "responses": page_of(&json!({ "next_cursor": next })) } },
        },
        "components": { "schemas": { "Parcel": { "type": "object", "required": ["id"], "properties": { "id": { "type": "string" } } } } },
    });
    let (code, source, said) = import_text(&spec.to_string());
    assert_eq!((code, said.as_str()), (0, "7 of 7 operations imported\n"));
    sound(&source);
    for expected in [
        "at \"data\"\n    pages cursor \"next_cursor\"\n    up to at_most",
        "pages `page[after]` \"paging.cursors.after\"",
        "pages starting_after last.id while \"has_more\"",
        "# not imported: `ending_before`: pages are asked for in the other direction",
        "query unknown(cursor: text?) -> { data: list<Parcel>?, meta: json? }",
        "query links(cursor: text?) -> { data: list<Parcel>?, next: url? }",
        "## One page; `page` asks for another.\n  query numbers(page: text?) -> list<Parcel>",
        "action search(cursor: text?) -> { data: list<Parcel>?, next_cursor: text? }",
    ] {
        assert!(source.contains(expected), "`{expected}` is not in {source}");
    }
    let flow = r#"
        when stripe.charge_failed do {
          let all = acme.cursors(kind: "a", at_most: 5)
          if length(all) is not 5 { stop because "{length(all)}" }
          let rest = acme.ids(starting_after: "p0")
          if length(rest) is not 3 { stop because "{length(rest)}" }
          let deep = acme.deep()
        }
    "#;
    let items = |ids: &[u32]| -> Value { ids.iter().map(|id| json!({ "id": format!("p{id}") })).collect() };
    let arrived = called(&source, "", flow, move |request| match request.line().as_str() {
        "GET /cursors?kind=a" => (200, json!({ "data": items(&[1, 2, 3]), "next_cursor": "c/2" })),
        "GET /cursors?kind=a&cursor=c%2F2" => (200, json!({ "data": items(&[4, 5]), "next_cursor": "c3" })),
        "GET /ids?starting_after=p0" => (200, json!({ "data": items(&[1, 2]), "has_more": true })),
        "GET /ids?starting_after=p2" => (200, json!({ "data": items(&[3]), "has_more": false })),
        "GET /deep" => (200, json!({ "data": items(&[1]), "paging": { "cursors": { "after": "x" } } })),
        "GET /deep?page[after]=x" => (200, json!({ "data": items(&[2]), "paging": {} })),
        other => (404, json!({ "error": other })),
    });
    // What is enough is not gone beyond.
    assert_eq!(arrived.len(), 6, "{:?}", arrived.iter().map(Arrived::line).collect::<Vec<_>>());
}

#[test]
fn what_a_description_does_not_say_is_marked_and_what_cannot_be_sent_is_left_out() {
    let answer = json!({ "200": { "description": "", "content": { "application/json": { "schema": { "type": "object", "required": ["id"], "properties": {
        "Name": { "type": "string" }, "name": { "type": "string" }, "id": { "type": "string" }, "meta": true, "never": false, "odd": 7,
    } } } } } });
    let file = json!({ "type": "object", "properties": { "file": { "type": "string", "format": "binary" } } });
    let key = json!([{ "name": "Idempotency-Key", "in": "header", "description": "Remembered for 7 days.", "schema": { "type": "string" } }]);
    let spec = json!({
        "openapi": "3.2.0", "info": { "title": "P", "version": "1" }, "servers": [{ "url": "https://p.example/v1?x=1#y" }],
        "paths": {
            "/pay": { "post": { "operationId": "pay", "parameters": key, "responses": answer } },
            "/photo": { "post": { "operationId": "photo", "requestBody": { "content": { "multipart/form-data": { "schema": file } } }, "responses": answer } },
            "/scan": { "post": { "operationId": "scan", "requestBody": { "content": { "application/x-www-form-urlencoded": { "schema": file } } }, "responses": answer } },
            "/part": { "patch": { "operationId": "part", "requestBody": { "content": { "application/merge-patch+json": { "schema": { "type": "object", "required": ["a"], "properties": { "a": { "type": "string" } } } } } }, "responses": answer } },
            "/größe x": { "get": { "operationId": "size", "responses": answer }, "query": { "operationId": "asks", "responses": answer }, "additionalOperations": { "COPY": { "operationId": "copies", "responses": answer } } },
        },
    });
    let (code, source, said) = import_text(&spec.to_string());
    assert_eq!(code, 0, "{said}");
    sound(&source);
    assert!(said.starts_with("3 of 7 operations imported"), "{said}");
    for expected in [
        "not imported: POST /photo: its body is multipart/form-data, which a connector cannot send",
        "not imported: POST /scan: its body is no more than the field `file`, which is a file",
        "not imported: QUERY /größe x: a connector has no requests by QUERY",
        "not imported: COPY /größe x: a connector has no requests by COPY",
        "note: the field `odd` is left out: what stands in place of its schema is none",
    ] {
        assert!(said.contains(expected), "`{expected}` is not in {said}");
    }
    for expected in [
        "# 1 hour is a guess: look up for how long the service remembers keys. Of the header it says:\n  # Remembered for 7 days.",
        "effect keyed header \"Idempotency-Key\" for 1 hour",
        "{ name_2: text? from \"Name\", id: text, meta: json?, name: text? }",
        "action part(a: text?)",
        "json { a } header \"Content-Type\" \"application/merge-patch+json\"",
        "GET \"/gr%C3%B6%C3%9Fe%20x\"",
        "base \"https://p.example/v1\"",
    ] {
        assert!(source.contains(expected), "`{expected}` is not in {source}");
    }
    assert!(!source.contains("never") && !source.contains("action photo"), "{source}");
}

/// Stripe's whole description, where it is at hand.
fn stripes() -> Option<(tempfile::TempDir, PathBuf)> {
    let packed = root().join("../shared/data/stripe/spec3-2023-08-16.json.gz");
    if !packed.exists() {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let spec = folder.path().join("stripe.json");
    let file = std::fs::File::create(&spec).unwrap();
    let status = Command::new("gzip").arg("-dc").arg(&packed).stdout(Stdio::from(file)).status().unwrap();
    assert!(status.success());
    Some((folder, spec))
}

#[test]
fn stripes_whole_description_is_imported_and_reaches_the_sandbox() {
    let Some((_folder, spec)) = stripes() else { return };
    let (source, said) = imported(&spec, &[]);
    sound(&source);
    let (done, all) = said.lines().next().unwrap().strip_suffix(" operations imported").unwrap().split_once(" of ").unwrap();
    let (done, all): (u32, u32) = (done.parse().unwrap(), all.parse().unwrap());
    assert!(all == 468 && done * 100 >= all * 95, "{said}");

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let sandbox = runtime.block_on(Sandbox::start(Options::default())).unwrap();
    let key = Sandbox::secrets("stripe").iter().find(|(name, _)| *name == "key").unwrap().1;
    let flow = r#"
        when stripe.charge_failed do {
          acme.create_customer(
            email: require customer_email,
            name: "Ada",
            address: { city: "Paris", line1: "1 rue X" },
            metadata: { order: "7" },
            preferred_locales: ["fr", "en"],
          ) as made
          let read = acme.get_customer(customer: made.id)
          acme.update_customer(customer: made.id, description: "Was {read.name else "nobody"}") as changed
          let gone = acme.get_customer(customer: "cus_nobody")
          if gone is missing { acme.delete_customer(customer: made.id) as deleted }
          let after = acme.get_customer(customer: made.id)
          if after is present { stop because "it is still there" }
        }
    "#;
    let toml = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.stripe]\nwebhook_secret = {{ env = \"TEST_WEBHOOK_SECRET\" }}\n[connections.acme]\nbase_url = \"{}\"\ntoken = {{ file = \"token\" }}\n",
        sandbox.base_url("stripe").unwrap()
    );
    let folder = project(&[("flow.toml", &toml), ("acme.flow", &source), ("main.flow", flow), ("token", key)]);
    private(&folder.path().join("token"));
    let daemon = Daemon::over(folder);
    let event = stripe::charge_failed("1", 25_000, "usd", Some("ada@example.com")).to_string();
    assert_eq!(stripe::post(&daemon.server, &event).status, 200);
    let runs = daemon.settled(1);
    assert_eq!(runs[0]["status"], "done", "{runs:#?}");
    let calls = sandbox.snapshot()["stripe"]["calls"].clone();
    let made = calls.as_array().unwrap().iter().find(|call| call["method"] == "POST" && call["path"] == "/v1/customers");
    let made = made.unwrap_or_else(|| panic!("{calls:#}"));
    assert!(made.to_string().contains("ada@example.com") && made.to_string().contains("Paris"), "{made:#}");
}

fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_part_is_chosen_by_tag_and_a_key_may_be_named() {
    let spec = described("parcels.yaml");
    let (source, said) = imported(&spec, &["--only", "Invoices", "--keyed-by", "Idempotency-Key"]);
    sound(&source);
    assert!(said.starts_with("3 of 3 operations imported"), "{said}");
    assert!(
        source.contains("effect keyed header \"Idempotency-Key\" for 1 hour") && !source.contains("create_parcel"),
        "{source}"
    );
    let unknown = flowc(Path::new("."), &["import", "openapi", spec.to_str().unwrap(), "--name", "acme", "--only", "people"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.err.contains("there is parcels (7), invoices (3), rates (2)"), "{}", unknown.err);
}

#[test]
fn nothing_that_is_there_is_overwritten_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let spec = std::fs::read(described("tickets.json")).unwrap();
    let args = ["import", "openapi", "-", "--name", "desk", "--out", "desk.flow"];
    let first = flowc_with(folder.path(), &args, &spec);
    assert_eq!((first.code, first.out.as_str()), (0, ""), "{}", first.err);
    std::fs::write(folder.path().join("desk.flow"), "# mine\n").unwrap();
    let second = flowc_with(folder.path(), &args, &spec);
    assert_eq!(second.code, 2);
    assert!(second.err.contains("desk.flow is there already: --force overwrites it"), "{}", second.err);
    assert_eq!(std::fs::read_to_string(folder.path().join("desk.flow")).unwrap(), "# mine\n");
    let third = flowc_with(folder.path(), &[&args[..], &["--force"]].concat(), &spec);
    assert_eq!(third.code, 0, "{}", third.err);
    assert!(std::fs::read_to_string(folder.path().join("desk.flow")).unwrap().contains("connector desk"));
}

/// Imports a text; returns exit code, output and what was said.
fn import_text(text: &str) -> (i32, String, String) {
    let outcome = flowc_with(Path::new("."), &["import", "openapi", "-", "--name", "acme"], text.as_bytes());
    (outcome.code, outcome.out, outcome.err)
}

#[test]
fn what_is_no_description_is_refused_with_a_reason() {
    let deep = format!("{{\"openapi\":\"3.0.0\",\"paths\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let deep_yaml = format!("openapi: 3.0.0\npaths: {}", "[".repeat(100_000));
    let deep_block = format!("openapi: 3.0.0\npaths:\n  {}x", "- ".repeat(300));
    let laughs: String = (1..30).fold("openapi: 3.0.0\na0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, at| {
        let before = format!("*a{}", at - 1);
        format!("{text}a{at}: &a{at} [{}]\n", [before.as_str(); 9].join(", "))
    });
    for (text, expected) in [
        ("", "there is nothing in it"),
        ("hello", "this is no OpenAPI document: it is no object"),
        ("[1, 2]", "this is no OpenAPI document: it is no object"),
        ("{\"openapi\": \"3.0.0\", ", "cannot be read as JSON: EOF while parsing"),
        ("openapi: [3", "cannot be read as YAML: line"),
        ("{}", "it has no `openapi: 3…`"),
        ("swagger: '1.2'\npaths: {}", "this is Swagger 1.2, and versions 2.0 and 3.0 to 3.2 are read"),
        ("swagger: '2.0'\npaths: {}", "it describes no operation"),
        ("openapi: 4.0.0", "this is OpenAPI 4.0.0"),
        ("openapi: 3.0.0\npaths: {}", "it describes no operation"),
        ("openapi: 3.1.0\npaths: 7\ncomponents: x", "it describes no operation"),
        (&deep, "cannot be read"),
        (&deep_yaml, "recursion limit exceeded"),
        (&deep_block, "it is nested too deeply"),
        (&laughs, "it is too large: more than 4000000 values"),
    ] {
        let (code, out, said) = import_text(text);
        assert_eq!((code, out.as_str()), (1, ""), "{said}");
        assert!(said.contains(expected), "`{expected}` is not in {said}");
    }
    let name = flowc_with(Path::new("."), &["import", "openapi", "-", "--name", "a b\n"], b"openapi: 3.0.0");
    assert!(name.code == 2 && name.err.contains("`a b` is no name for a connector"), "{}", name.err);
    let zipped = flowc_with(Path::new("."), &["import", "openapi", "-", "--name", "acme"], &[0x1f, 0x8b, 8, 0]);
    assert!(zipped.code == 2 && zipped.err.contains("it is no text in UTF-8; unpack"), "{}", zipped.err);
}

/// What descriptions have that nobody thought of becomes a connector that checks, in all of these.
#[test]
fn odd_descriptions_become_connectors_that_check() {
    let answer = json!({ "200": { "content": { "application/json": { "schema": { "type": "array", "items": { "type": "object", "properties": { "id": { "type": "string" } } } } } } } });
    let named = |names: &[&str], ty: &str| -> Value {
        names.iter().map(|name| json!({ "name": name, "in": "query", "schema": { "type": ty } })).collect()
    };
    let document = |server: &str, paths: Value, schemas: Value| json!({ "openapi": "3.1.0", "info": { "title": "T", "version": "1" }, "servers": [{ "url": server, "variables": { "when": { "default": "a" }, "port": { "enum": ["443", "8443"], "default": "443" } } }], "paths": paths, "components": { "schemas": schemas, "parameters": { "P": { "$ref": "#/components/parameters/P" } } } });
    let words = [
        "when", "where", "do", "if", "let", "", "every", "true", "last", "items", "run", "event", "now", "json", "form",
        "at_most",
    ];
    let of = |schema: Value| json!({ "/a": { "post": { "responses": answer, "requestBody": { "content": { "application/json": { "schema": schema } } } }, "get": { "responses": { "200": { "content": { "application/json": { "schema": schema } } } } } } });
    let deep = (0..40)
        .fold(json!({ "type": "string" }), |inner, at| json!({ "type": "object", "properties": { format!("p{at}"): inner } }));
    let kinds = json!({ "type": "object", "required": ["a", "c", "nope"], "properties": {
        "a": { "type": ["string", "null"] }, "b": { "type": ["string", "integer"] }, "c": { "const": "x" }, "d": { "const": 3 }, "f": { "enum": ["a", 1, null] },
        "h": { "additionalProperties": true }, "j": { "additionalProperties": { "type": "array", "items": { "type": "array", "items": {} } } }, "k": { "oneOf": [] },
        "l": { "anyOf": [{ "type": "null" }] }, "m": { "allOf": [{ "type": "string" }, { "maxLength": 3 }] }, "n": { "not": {} }, "p": { "type": "array", "items": [{ "type": "string" }] },
        "s": false, "t": null, "v": "string", "w": { "type": "foo" }, "y": { "$ref": 7 }, "z": { "$ref": "#" }, "gg": { "enum": ["", " ", "\n", "\"", "\\", "{x}", "`", "é", "when", "-1"] },
    } });
    let circle = json!({ "A": { "allOf": [{ "$ref": "#/components/schemas/B" }] }, "B": { "allOf": [{ "$ref": "#/components/schemas/A" }, { "type": "object", "properties": { "x": { "$ref": "#/components/schemas/A" } } }] } });
    let names = ["when", "Text", "text", "a/b", "", "1", "é", "Id", "Json", "acme", "A_B", "AB", "a-b"];
    let paths: serde_json::Map<String, Value> = names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let to = json!({ "$ref": format!("#/components/schemas/{}", name.replace('/', "~1")) });
            (
                format!("/n{at}"),
                json!({ "get": { "responses": { "200": { "content": { "application/json": { "schema": to } } } } } }),
            )
        })
        .collect();
    let called_so: serde_json::Map<String, Value> = names
        .iter()
        .map(|name| ((*name).to_owned(), json!({ "type": "object", "properties": { "id": { "type": "string" } } })))
        .collect();
    let pages = json!({
        "/a": { "get": { "parameters": [{ "name": "page", "in": "query", "required": true, "schema": { "type": "integer" } }, { "name": "at_most", "in": "query", "schema": {} }], "responses": answer } },
        "/b": { "get": { "parameters": named(&["page[number]", "page[size]"], "integer"), "responses": answer } },
        "/c": { "get": { "parameters": named(&["items", "$skip", "$top"], "integer"), "responses": answer } },
        "/d": { "get": { "parameters": named(&["when", "Page"], "integer"), "responses": answer } },
        "/e": { "get": { "parameters": [{ "name": "page", "in": "query", "required": true, "schema": { "enum": ["a \"{b}\\"] } }], "responses": answer } },
        "/f": { "get": { "parameters": [{ "$ref": "#/components/parameters/P" }, { "name": "page", "in": "query", "schema": { "type": "integer", "minimum": 0 } }], "responses": answer } },
    });
    let same = json!({ "operationId": "foo-bar", "parameters": named(&["a_b", "aB", "a-b", "query_a_b"], "string"), "responses": answer });
    let none = json!({ "responses": answer });
    let all = [
        document(
            "https://t.example",
            json!({ "/a": { "get": { "operationId": "when", "parameters": named(&words, "string"), "responses": answer } } }),
            json!({}),
        ),
        document("/v1", json!({ "/a": { "get": same }, "/b": { "get": same }, "/fooBar": { "post": none } }), json!({})),
        document(
            "https://{when}.{b}.t.example:{port}/",
            json!({ "/a/{x}": { "get": none, "post": none, "put": none, "patch": none, "delete": none }, "/": { "get": none }, "": { "post": none }, "/{id}": { "get": none } }),
            json!({}),
        ),
        document("ht!tp://", of(kinds), json!({})),
        document("file:///etc", of(deep), json!({})),
        document("wss://t.example", of(json!({ "$ref": "#/components/schemas/A" })), circle),
        document("", Value::Object(paths), Value::Object(called_so)),
        document("https://t.example", pages, json!({})),
    ];
    let folder = project(&[]);
    for (at, spec) in all.iter().enumerate() {
        let args = ["import", "openapi", "-", "--name", &format!("a{at}"), "--out", &format!("a{at}.flow")];
        let outcome = flowc_with(folder.path(), &args, spec.to_string().as_bytes());
        assert_eq!(outcome.code, 0, "{at}: {}", outcome.err);
        assert!(!outcome.err.starts_with("0 of"), "{at}: {}", outcome.err);
    }
    let check = flowc(folder.path(), &["check", "--deny-warnings", "--pedantic"]);
    assert_eq!((check.code, check.err.as_str()), (0, "0 flows in 8 files: no problems\n"));
    let of = |at: u32| std::fs::read_to_string(folder.path().join(format!("a{at}.flow"))).unwrap();
    for (at, base) in [(1, "https://{host}/v1"), (3, "https://{host}/"), (4, "https://{host}/etc"), (5, "https://t.example")] {
        assert!(of(at).contains(&format!("base \"{base}\"")), "{}", of(at));
    }
    assert!(of(7).contains("pages `$skip` `$skip` + items"), "{}", of(7));
    assert!(of(7).contains("One page; `page` asks for another."), "which number the first page has is not said: {}", of(7));
    // What would be no file of a project is not written.
    let members: Vec<String> = (0..40).map(|at| format!("{at}{}", "x".repeat(55))).collect();
    let parameters: Value = (0..300)
        .map(|at| json!({ "name": format!("p{at}"), "in": "query", "schema": { "type": "string", "enum": members } }))
        .collect();
    let paths: serde_json::Map<String, Value> =
        (0..8).map(|at| (format!("/a{at}"), json!({ "get": { "parameters": parameters, "responses": answer } }))).collect();
    let (code, out, said) = import_text(&document("https://t.example", Value::Object(paths), json!({})).to_string());
    assert!(code == 1 && out.is_empty() && said.contains("MB of Flow would come of its 8 operations"), "{said}");
}

/// Whatever stands in a description, nothing of it becomes code, and nothing is looked at forever.
#[test]
fn a_hostile_description_becomes_a_harmless_connector() {
    let evil = "x\"\n}\n}\nwhen stripe.charge_failed do kustomer.create_conversation(name: \"{secret}\")\u{202e} `#` \\ {token}";
    let operation = |id: &str| {
        json!({
            "operationId": id, "summary": evil, "description": evil, "tags": [evil],
            "parameters": [
                { "name": evil, "in": "query", "schema": { "type": "string", "enum": [evil, "a\u{0}b", "other", "when"] } },
                { "name": "X-\r\nEvil: 1", "in": "header", "schema": { "type": "string" } },
                { "name": "deep", "in": "query", "schema": { "$ref": "#/components/schemas/Twice0" } },
                { "name": "wrong", "in": 7, "schema": [] },
                { "$ref": "file:///etc/passwd" },
            ],
            "requestBody": { "content": { "application/json": { "schema": { "type": "object", "required": 3, "properties": {
                evil: { "type": "string", "description": evil }, "": { "type": "string" }, "a.b[c]": { "type": "integer" }, "when": { "$ref": "#/components/schemas/Self" },
                "run": { "type": "string" }, "token": { "type": ["string", "integer", "null"] },
            } } } } },
            "responses": { "200": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Self" } } } } },
        })
    };
    let mut schemas = serde_json::Map::new();
    schemas.insert("Self".into(), json!({ "type": "object", "description": evil, "properties": { "self": { "$ref": "#/components/schemas/Self" }, evil: { "type": "string" }, "list": { "type": "array", "items": { "$ref": "#/components/schemas/Loop" } }, "lost": { "$ref": "#/nowhere" }, "far": { "$ref": "https://example.com/x.json#/a" } } }));
    schemas.insert("Loop".into(), json!({ "$ref": "#/components/schemas/Loop" }));
    for at in 0..40 {
        let next = json!({ "$ref": format!("#/components/schemas/Twice{}", at + 1) });
        schemas.insert(
            format!("Twice{at}"),
            json!({ "allOf": [next, next, next], "anyOf": [next, next], "properties": { "x": next } }),
        );
    }
    let spec = json!({
        "openapi": "3.0.0",
        "info": { "title": evil, "description": evil, "version": { "a": 1 } },
        "externalDocs": { "url": format!("https://{evil}") },
        "servers": [{ "url": format!("https://{{host}}.example/{evil}"), "variables": { "host": { "default": evil, "description": evil } } }],
        "security": [{ "key": [] }],
        "paths": {
            "/a/{x": { "get": operation("open") },
            "/a/{x}\"b": { "get": operation("quote") },
            "/a/:x": { "get": operation("colon") },
            "/things/{id}": { "get": operation("same"), "post": operation("same"), "put": operation("when"), "delete": operation(evil), "patch": 7 },
            "/things/{id}/{id}": { "get": operation(""), "post": operation("1") },
        },
        "components": { "schemas": schemas, "securitySchemes": { "key": { "type": "apiKey", "in": "header", "name": "X\r\n" , "description": evil } } },
    });
    let (code, source, said) = import_text(&spec.to_string());
    assert_eq!(code, 0, "{said}");
    let folder = project(&[("acme.flow", &source)]);
    let check = flowc(folder.path(), &["check", "--deny-warnings"]);
    assert_eq!((check.code, check.err.as_str()), (0, "0 flows in 1 file: no problems\n"), "{source}");
    assert!(!source.chars().any(|c| c == '\u{202e}' || (c.is_control() && c != '\n')), "{source}");
    assert!(said.contains("leads to another document, which is not read"), "{said}");
    assert!(said.starts_with("6 of 9 operations imported"), "{said}");
}
