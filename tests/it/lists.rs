//! Lists that are not what their connectors say, or not whole: no flow acts on a hole, on a part, or on "there is none" where nobody
//! can tell.

use serde_json::{Value, json};

use crate::support::daemon::Daemon;
use crate::support::http;
use crate::support::recorder::{Arrived, Recorder, Reply};

const SVC: &str = r#"connector svc "Svc" {
  secret hook
  base "https://svc.example"
  record Thing { id: text @key n: int? ref: text? }
  record Told {
    id: id<Told> @key
    tags: list<text>
    maybe: list<text?>?
    things: list<Thing>?
    days: list<datetime iso>?
    words: list<text> comma
    any: list<json>?
  }
  query list -> list<Thing> { GET "/list" at "data" }
  query maybe -> list<text?> { GET "/list" at "data" }
  query colours -> list<red | green> { GET "/list" at "data" }
  query paged(at_most: int?) -> list<Thing> { GET "/paged" at "data" pages after last.id while "more" up to at_most }
  query cursors -> list<Thing> { GET "/paged" at "data" pages after "next" }
  query numbered -> list<Thing> { GET "/paged" at "data" pages after after + 1 }
  query first(ok: bool) -> Thing? { GET "/first" at "data" first where "ok" is ok and "n" > 1 }
  query by_ref(ref: text) -> Thing? @internal { GET "/find" query { ref } at "data" first where "ref" is ref }
  action make(name: text) -> Thing { POST "/make" json { name, ref: run.key } effect findable by by_ref(ref: run.key) }
  action note(names: list<text>) -> Thing { POST "/note" json { names } effect set }
  source ev { webhook verify token(header: "X-T", secret: hook) type "type" id "id" object "o" }
  trigger got: Told from ev "got"
}
"#;

/// A daemon whose flows do this for a delivery to `hk`, and where the service tells that it got something.
fn daemon(service: &Recorder, steps: &str, got: &str) -> Daemon {
    let toml = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.hk]\nconnector = \"http\"\nverify = \"none\"\n[connections.svc]\nhook = {{ env = \"TEST_KUSTOMER_KEY\" }}\nbase_url = \"{}\"\n",
        service.url
    );
    let flows = format!(
        "flow asks\n  when hk.received\n  unverified\n  do {{\n{steps}\n  }}\nflow told\n  when svc.got\n  do {{\n{got}\n  }}\n"
    );
    Daemon::start(&[("flow.toml", &toml), ("svc.flow", SVC), ("a.flow", &flows)])
}

/// Sends something and returns the run that it starts, once it has ended: what became of it, and why.
fn run(daemon: &Daemon, at: &str, headers: &[(&str, &str)], body: &Value) -> (String, String) {
    let before = daemon.runs();
    let headers = [&[("content-type", "application/json")], headers].concat();
    let answer = http::send(&daemon.server, "POST", &format!("/v1/webhooks/{at}"), &headers, body.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.body);
    let runs = daemon.settled(before.len() + 1);
    let new = runs.iter().find(|run| before.iter().all(|known| known["id"] != run["id"])).unwrap();
    let whole = daemon.get(&format!("runs/{}?personal=true", new["id"].as_str().unwrap()));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&whole["status"]), text(&whole["reason"]))
}

fn asked(daemon: &Daemon) -> (String, String) {
    run(daemon, "hk", &[], &json!({}))
}

fn things(ids: &[&str]) -> Value {
    ids.iter().map(|id| json!({ "id": id })).collect()
}

fn list(items: &Value) -> Reply {
    (200, json!({ "data": items }))
}

#[test]
fn an_item_that_is_nothing_does_not_fit_and_nothing_is_done_with_it() {
    let service = Recorder::start(|_, _| Some(list(&json!([{ "id": "a" }, null, { "id": "b" }]))));
    let each = |query: &str, text: &str| format!("for x in svc.{query}() up to 9 {{ svc.make(name: {text}) }}");
    let of_things = daemon(&service, &each("list", "x.id"), "stop");
    let (status, reason) = asked(&of_things);
    assert_eq!(status, "dead");
    assert!(reason.contains("[1]: expected a record, found nothing"), "{reason}");

    let matched =
        "for x in svc.colours() up to 9 { match x { \"red\" => svc.make(name: \"r\") \"green\" => svc.make(name: \"g\") } }";
    let of_colours = daemon(&service, matched, "stop");
    service.answer(|_, _| Some(list(&json!(["red", null]))));
    let (status, reason) = asked(&of_colours);
    assert_eq!(status, "dead");
    assert!(reason.contains("[1]: expected text, found nothing"), "{reason}");
    assert!(service.lines().iter().all(|line| line.starts_with("GET")), "{:?}", service.lines());

    // A list says where its items may be nothing.
    let of_maybe = daemon(&service, &each("maybe", "x else \"none\""), "stop");
    service.answer(|asked, _| Some(if asked.method == "GET" { list(&json!(["a", null])) } else { (200, json!({ "id": "m" })) }));
    assert_eq!(asked(&of_maybe).0, "done");
    let names: Vec<Value> =
        service.arrived().iter().filter(|one| one.method == "POST").map(|one| one.json()["name"].clone()).collect();
    assert_eq!(names, [json!("a"), json!("none")]);
}

#[test]
fn the_same_holds_for_an_event_and_for_a_record_in_place() {
    let service = Recorder::start(|_, _| Some((200, json!({ "id": "m" }))));
    let got = "svc.note(names: tags)\nfor x in maybe else [] up to 9 { svc.make(name: x else \"none\") }\nfor t in things else [] up to 9 { svc.make(name: t.id) }\nstop because \"{length(days else [])} {join(words, \"|\")} {length(any else [])}\"";
    let daemon = daemon(&service, "stop", got);
    let mut number = 0;
    let mut tell = |object: Value| {
        number += 1;
        let mut object = object;
        object["id"] = json!(format!("o{number}"));
        let body = json!({ "id": format!("e{number}"), "type": "got", "o": object });
        run(&daemon, "svc", &[("x-t", crate::support::daemon::KUSTOMER_KEY)], &body)
    };
    for (object, place) in [
        (json!({ "tags": ["a", null], "words": "" }), "tags[1]"),
        (json!({ "tags": [], "words": "", "things": [{ "id": "a" }, null] }), "things[1]"),
        (json!({ "tags": [], "words": "", "things": [{ "id": "a" }, "b"] }), "things[1]"),
        (json!({ "tags": [], "words": "", "days": ["2026-11-22T12:00:00Z", null] }), "days[1]"),
    ] {
        let (status, reason) = tell(object.clone());
        assert_eq!(status, "dead", "{object}: {reason}");
        assert!(reason.contains(place), "{object}: {reason}");
    }
    assert!(service.lines().iter().all(|line| line.starts_with("GET")), "{:?}", service.lines());
    let fits = json!({ "tags": ["a"], "maybe": ["b", null], "things": [], "days": null, "words": "x, ,y", "any": [1, null] });
    assert_eq!(tell(fits), ("stopped".to_owned(), "0 x|y 2".to_owned()));
    assert_eq!(service.count("POST", "/make"), 2);
}

/// Serves pages by the id of the last item, or by number.
fn pages(
    page: impl Fn(&str) -> Reply + Send + Sync + 'static,
) -> impl Fn(&Arrived, usize) -> Option<Reply> + Send + Sync + 'static {
    move |asked, _| Some(page(asked.path.split_once("after=").map_or("", |(_, after)| after)))
}

#[test]
fn a_part_of_a_list_is_not_the_whole() {
    let service = Recorder::start(|_, _| None);
    let of = |query: &str| daemon(&service, &format!("let l = svc.{query}\nstop because \"{{length(l)}}\""), "stop");
    let stopped = |items: usize| ("stopped".to_owned(), items.to_string());
    let dead = |(status, reason): (String, String), why: &str| {
        assert_eq!(status, "dead", "{reason}");
        assert!(reason.contains(why), "{reason}");
    };
    // So many pages of two.
    let many = |count: usize| {
        pages(move |after| {
            let at = after.trim_start_matches('i').parse::<usize>().map_or(0, |at| at + 1);
            (200, json!({ "data": things(&[&format!("i{at}"), &format!("i{}", at + 1)]), "more": at + 2 < count * 2 }))
        })
    };
    let (paged, few) = (of("paged()"), of("paged(at_most: 5)"));
    service.answer(many(50));
    assert_eq!(asked(&paged), stopped(100));
    service.answer(many(51));
    dead(asked(&paged), "the list has more than 50 pages");
    dead(asked(&paged), "`at_most`");
    assert_eq!(asked(&few), stopped(5));

    // A page without items that says that there are more, and no way to them.
    service.answer(pages(|after| (200, json!({ "data": things(if after.is_empty() { &["a"] } else { &[] }), "more": true }))));
    dead(asked(&paged), "page 2 of the list says that there are more");
    service.answer(pages(|_| (200, json!({ "data": [], "more": true }))));
    dead(asked(&paged), "page 1 of the list");
    // The same one again.
    service.answer(pages(|_| (200, json!({ "data": things(&["a"]), "more": true }))));
    dead(asked(&paged), "page 2 of the list is the one before");
    service.answer(pages(|_| (200, json!({ "data": [] }))));
    assert_eq!(asked(&paged), stopped(0));

    let cursors = of("cursors()");
    let with_holes = |after: &str| match after {
        "" => (200, json!({ "data": things(&["a"]), "next": "1" })),
        "1" => (200, json!({ "data": [], "next": "2" })),
        "2" => (200, json!({ "data": things(&["b"]), "next": "3" })),
        // As some end: what is asked for next is what was asked for.
        _ => (200, json!({ "data": [], "next": "3" })),
    };
    service.answer(pages(with_holes));
    assert_eq!(asked(&cursors), stopped(2));
    let without_end = |after: &str| {
        let next = after.parse::<usize>().unwrap_or(0) + 1;
        (200, json!({ "data": if next > 5 { things(&[]) } else { things(&[&next.to_string()]) }, "next": next.to_string() }))
    };
    service.answer(pages(without_end));
    dead(asked(&cursors), "the list has more than 50 pages");

    // Behind the last numbered page there is none; but what has no list is no page.
    let numbered =
        daemon(&service, "let l = svc.cursors()\nlet n = svc.numbered()\nstop because \"{length(l)} {length(n)}\"", "stop");
    service.answer(pages(|after| match after {
        "" => (200, json!({ "data": things(&["a"]) })),
        _ => (404, json!({})),
    }));
    assert_eq!(asked(&numbered), ("stopped".to_owned(), "1 1".to_owned()));
    service.answer(pages(|after| match after {
        "" => (200, json!({ "data": things(&["a"]) })),
        _ => (200, json!({ "data": null })),
    }));
    dead(asked(&numbered), "`data` is missing");
}

#[test]
fn an_item_that_cannot_be_compared_is_not_one_that_does_not_fit() {
    let service = Recorder::start(|_, _| None);
    let steps = "let x = svc.first(ok: true)\nif x is present { stop because \"{x.id}\" } else { stop because \"none\" }";
    let daemon = daemon(&service, steps, "stop");
    let thing = json!({ "ok": true, "n": 2, "id": "z" });
    for (items, why) in [
        (json!([null]), "[0]: expected a record, found nothing"),
        (json!([null, thing]), "[0]: expected a record, found nothing"),
        (json!(["x", 5]), "[0]: expected a record, found text"),
        (json!([[]]), "[0]: expected a record, found a list"),
        (json!([{ "ok": false }, { "ok": "true", "n": 2, "id": "z" }]), "[1].ok: expected true or false, found text"),
        (json!([{ "ok": true, "n": "2", "id": "z" }]), "[0].n: expected a number, found text"),
    ] {
        let answer = items.clone();
        service.answer(move |_, _| Some(list(&answer)));
        let (status, reason) = asked(&daemon);
        assert_eq!(status, "dead", "{items}: {reason}");
        assert!(reason.contains(why), "{items}: {reason}");
    }
    for (items, found) in [
        (json!([]), "none"),
        (json!([{ "id": "a" }, { "ok": null, "n": "many" }, { "ok": false, "n": 2 }]), "none"),
        (json!([{ "id": "a" }, thing, null]), "z"),
    ] {
        let answer = items.clone();
        service.answer(move |_, _| Some(list(&answer)));
        assert_eq!(asked(&daemon), ("stopped".to_owned(), found.to_owned()), "{items}");
    }
}

/// What may be made already is not made again where the look for it tells nothing.
#[test]
fn an_effect_is_not_repeated_on_a_list_that_tells_nothing() {
    for (found, is_told) in [
        (json!([null]), false),
        (json!(["x"]), false),
        (json!([[]]), false),
        (json!([{ "id": "q", "ref": 5 }]), false),
        (json!([{ "id": "q", "ref": null }, { "id": "q" }, { "id": "q", "ref": "other" }]), true),
    ] {
        let items = found.clone();
        let service = Recorder::start(move |asked, _| match asked.method.as_str() {
            "GET" => Some(list(&items)),
            _ => None,
        });
        let daemon = daemon(&service, "svc.make(name: \"x\")", "stop");
        let answer = http::send(&daemon.server, "POST", "/v1/webhooks/hk", &[("content-type", "application/json")], b"{}");
        assert_eq!(answer.status, 200);
        if is_told {
            crate::support::eventually("it is made again", || (service.count("POST", "/make") > 1).then_some(()));
        } else {
            let runs = daemon.settled(1);
            assert_eq!(runs[0]["status"], "dead", "{found}: {runs:#?}");
            assert_eq!(service.count("POST", "/make"), 1, "{found}: {:?}", service.lines());
        }
    }
}
