//! The project as a picture: the same for the same flows, well formed whatever it is made of, and nothing on top of anything.

use std::sync::Arc;

use flow_compiler::graph::{Graph, mermaid, svg};
use flow_compiler::settings::Settings;
use flow_plan::{Absence, DayTime, Days, Flow, Missed, Rule, Schedule, Span, StartKind, StateOp, StateStart};

use crate::support::compile;

const SHOP: &str = include_str!("shop.flow");

/// A service whose actions cause its own events.
const DESK: &str = r#"
connector board "Board" {
  base "https://board.example"
  secret signing
  record Card { id: id<Card> @key  email: email? @customer @personal  title: text }
  source events { webhook verify hmac_sha256(header: "X-Signature", secret: signing)  type "type"  id "id"  object "data" }
  trigger card_opened: Card from events "a"
  trigger card_closed: Card from events "b"
  query find(title: text) -> Card? { GET "/cards" query { title } none on 404 }
  action open(title: text @accepts_personal) { POST "/a" json { title } effect set emits card_opened }
  action close(card: id<Card>) { POST "/b" json { card } effect set emits card_closed }
  action close_all(title: text) { close(card: "c") }
}
"#;

const FLOWS: &str = r#"
flow welcome "Welcome a buyer"
  when shop.ordered
  where email is present and total > 5
  do { desk.post(text: "{email}")  board.open(title: "x") }

## Cards are closed when they are old.
flow tidy
  when board.card_opened
  do {
    let other = board.find(title: title)
    if other is missing { board.close_all(title: title) }
  }

when board.card_closed where title is not "x" do desk.post(text: title)
"#;

fn flows(text: &str) -> Vec<Arc<Flow>> {
    let (compilation, _) = compile(&[("a.flow", text), ("board.flow", DESK), ("shop.flow", SHOP)], Settings::default());
    let wrong: Vec<_> = compilation.errors().map(|one| format!("{} {}", one.code, one.message)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    compilation.flows().cloned().collect()
}

/// `count` flows that do different things at several services.
fn many(count: usize) -> Vec<Arc<Flow>> {
    let starts = ["shop.ordered", "board.card_opened", "board.card_closed", "stripe.charge_failed", "kustomer.customer_created"];
    let acts = ["desk.post(text: \"x\")", "board.open(title: \"x\")", "board.close_all(title: \"x\")", "desk.count(name: \"x\")"];
    let text: String = (0..count)
        .map(|at| {
            let (start, first, second) = (starts[at * 7 % starts.len()], acts[at % acts.len()], acts[(at / 3 + 1) % acts.len()]);
            format!("flow f{at} \"Number {at}\"\n  when {start}\n  where event.id is not \"{at}\"\n  do {{\n    {first}\n    {second}\n  }}\n\n")
        })
        .collect();
    flows(&text)
}

#[test]
fn both_forms() {
    let graph = Graph::of(&flows(FLOWS));
    insta::assert_snapshot!("svg", svg::draw(&graph));
    insta::assert_snapshot!("mermaid", mermaid::draw(&graph));
}

#[test]
fn everything_is_there() {
    let graph = Graph::of(&flows(FLOWS));
    let names = |services: &[flow_compiler::graph::Service]| -> Vec<String> {
        services.iter().flat_map(|service| service.ports.iter().map(move |port| format!("{}.{port}", service.name))).collect()
    };
    assert_eq!(names(&graph.sources), ["board.card_closed", "board.card_opened", "shop.ordered"]);
    // Composite actions as their callers see them.
    assert_eq!(names(&graph.targets), ["board.close_all", "board.find", "board.open", "desk.post"]);
    let asked: Vec<_> = graph.calls.iter().filter(|tie| tie.asks).map(|tie| tie.port).collect();
    assert_eq!(asked, [(0, 1)]);
    let personal: Vec<_> = graph.calls.iter().flat_map(|tie| &tie.personal).collect();
    assert_eq!(personal, ["shop.email"]);
    // What an action causes, through what it consists of.
    assert_eq!(graph.causes, [((0, 0), (0, 0)), ((0, 2), (0, 1))]);
}

#[test]
fn the_order_of_the_flows_in_files_does_not_matter_for_what_is_drawn() {
    let one = flows(FLOWS);
    assert_eq!(svg::draw(&Graph::of(&one)), svg::draw(&Graph::of(&flows(FLOWS))));
    let graph = Graph::of(&[]);
    well_formed(&svg::draw(&graph));
    assert_eq!(mermaid::draw(&graph), "flowchart LR\n");
}

#[test]
fn nothing_is_on_top_of_anything() {
    for count in [1, 2, 3, 10, 40, 100] {
        let picture = svg::draw(&Graph::of(&many(count)));
        well_formed(&picture);
        let boxes = boxes(&picture);
        assert!(boxes.len() > count, "{count}");
        let width = attribute(&picture, "width").unwrap();
        let height = attribute(&picture, "height").unwrap();
        for (at, one) in boxes.iter().enumerate() {
            let [x, y, w, h] = *one;
            assert!(x >= 0.0 && y >= 60.0 && x + w <= width && y + h <= height, "{count} {one:?} is outside");
            for other in &boxes[at + 1..] {
                let [a, b, c, d] = *other;
                let apart = x + w < a || a + c < x || y + h < b || b + d < y;
                assert!(apart, "{count}: {one:?} and {other:?} overlap");
            }
        }
    }
}

#[test]
fn other_starts_are_told_in_words() {
    let mut flow = (*flows("flow x\n  when shop.ordered\n  do desk.post(text: \"x\")\n")[0]).clone();
    let mut labels = Vec::new();
    let awaited = flow.triggers[0].clone();
    let schedule = |rule| {
        let zone = Some("Asia/Tokyo".to_owned());
        let schedule =
            Schedule { rule, zone, location: None, missed: Missed::Skip, clock_change: flow_plan::ClockChange::Natural };
        StartKind::Schedule(Box::new(schedule))
    };
    let clock = DayTime::Clock { hour: 8, minute: 5, second: 0 };
    let sun = DayTime::Sun { rise: false, offset_ms: -900_000 };
    for kind in [
        schedule(Rule::Calendar { days: vec![Days::Weekday(vec![1, 2, 3, 4, 5])], times: vec![clock] }),
        schedule(Rule::Calendar { days: vec![Days::Every], times: vec![sun] }),
        StartKind::Absence(Box::new(Absence { awaited, filter: None, within: Span::exact(21_600_000) })),
        StartKind::State(Box::new(StateStart {
            state: "lock".to_owned(),
            op: StateOp::Is,
            value: flow_plan::Value::text("unlocked"),
            lasting: Some(Span::exact(600_000)),
            gaps: flow_plan::Gaps::Verify,
        })),
    ] {
        flow.triggers[0].kind = kind;
        let graph = Graph::of(&[Arc::new(flow.clone())]);
        labels.push(format!("{}: {}", graph.sources[0].name, graph.sources[0].ports[0]));
    }
    assert_eq!(
        labels,
        [
            "time: every weekday at 08:05 in Asia/Tokyo",
            "time: every day at sunset - 15 minutes in Asia/Tokyo",
            "shop: no ordered within 6 hours",
            "shop: lock is unlocked for 10 minutes",
        ]
    );
}

/// Titles that mean something to XML, HTML, Markdown or Mermaid.
const HOSTILE: [&str; 14] = [
    "<script>alert(1)</script>",
    "\"]) --> f0",
    "' onload='x",
    "a & b &amp; &#x41; ]]>",
    "%%{init: {}}%%",
    "`markdown`",
    "1. a list",
    "- a list",
    "end",
    "#quot; #35;",
    "\u{202e}turned\u{202c}",
    "\u{1}\u{7f}\u{85}\u{fffe}\u{ffff}",
    "name that goes on and on and on and on and on and on and on and on and on",
    "日本語 e\u{301} 👩‍👩‍👧",
];

fn hostile() -> Graph {
    let mut flow = (*flows("flow x\n  when shop.ordered\n  do desk.post(text: \"x\")\n")[0]).clone();
    let mut all = Vec::new();
    for name in HOSTILE {
        flow.name = Some(name.to_owned());
        flow.title = Some(name.to_owned());
        flow.file = name.to_owned();
        flow.triggers[0].connection = name.to_owned();
        flow.triggers[0].name = name.to_owned();
        all.push(Arc::new(flow.clone()));
    }
    Graph::of(&all)
}

#[test]
fn no_name_breaks_the_picture() {
    let picture = svg::draw(&hostile());
    well_formed(&picture);
    assert!(!picture.contains("<script") && !picture.contains('\u{202e}'), "{picture}");
    assert!(picture.contains("日本語") && picture.contains("&lt;script&gt;"), "{picture}");
}

#[test]
fn no_name_breaks_the_chart() {
    let chart = mermaid::draw(&hostile());
    for line in chart.lines().skip(1) {
        // Each text is between two quotes, and has nothing in it but letters, harmless signs, and numbers of others.
        let inside = match line.split('"').collect::<Vec<_>>().as_slice() {
            [_, text, _] => text.to_owned().to_owned(),
            parts => {
                assert_eq!(parts.len(), 1, "{line}");
                continue;
            }
        };
        let harmless = |c: char| c.is_alphanumeric() || " _.,/():-#;<>".contains(c);
        assert!(inside.chars().all(harmless), "{line}");
        assert!(inside.replace("<br>", "").chars().all(|c| c != '<' && c != '>'), "{line}");
        assert!(!inside.starts_with(['-', '`']) && !inside.starts_with("1. "), "{line}");
    }
}

/// The rectangles of services and flows.
fn boxes(picture: &str) -> Vec<[f64; 4]> {
    picture
        .match_indices("<rect class=\"")
        .map(|(at, _)| &picture[at..at + picture[at..].find('>').unwrap()])
        .filter(|tag| tag.contains("\"card\"") || tag.contains("\"flow\""))
        .map(|tag| ["x", "y", "width", "height"].map(|name| attribute(tag, name).unwrap()))
        .collect()
}

fn attribute(tag: &str, name: &str) -> Option<f64> {
    let rest = tag.split_once(&format!(" {name}=\""))?.1;
    rest.split('"').next()?.parse().ok()
}

/// Checks what XML 1.0 asks of a document of elements, attributes and text.
fn well_formed(text: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text;
    let mut roots = 0;
    for c in text.chars() {
        assert!(matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..), "{c:?}");
    }
    while let Some(at) = rest.find('<') {
        entities(&rest[..at]);
        assert!(!rest[..at].contains('>') || open.last() == Some(&"style"), "a bare > in {:?}", &rest[..at]);
        let end = at + rest[at..].find('>').expect("a tag without its end");
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{tag}");
            continue;
        }
        let (inner, closed) = tag.strip_suffix('/').map_or((tag, false), |inner| (inner, true));
        let name = inner.split(char::is_whitespace).next().unwrap();
        assert!(!name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric()), "{tag}");
        let mut attributes = inner[name.len()..].trim_start();
        let mut seen = Vec::new();
        while !attributes.is_empty() {
            let (key, value) = attributes.split_once("=\"").unwrap_or_else(|| panic!("{tag}"));
            let (value, behind) = value.split_once('"').unwrap_or_else(|| panic!("{tag}"));
            assert!(!seen.contains(&key) && !value.contains('<'), "{tag}");
            entities(value);
            seen.push(key);
            attributes = behind.trim_start();
        }
        roots += usize::from(open.is_empty());
        if !closed {
            open.push(name);
        }
    }
    assert!(open.is_empty() && roots == 1 && rest.trim().is_empty(), "{open:?} {roots}");
}

fn entities(text: &str) {
    for (at, _) in text.match_indices('&') {
        let known = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"].iter().any(|entity| text[at..].starts_with(entity));
        assert!(known, "{:?}", &text[at..]);
    }
}
