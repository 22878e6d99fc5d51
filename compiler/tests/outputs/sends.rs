//! Which fields go where: nothing that a service gave reaches another one unlisted, whatever way it takes.

use flow_compiler::settings::Settings;

use crate::support::compile;

const SHOP: &str = include_str!("shop.flow");

/// Returns what the one flow sends, one line per target.
fn sends(steps: &str) -> Vec<String> {
    let source = format!("when shop.ordered do {{\n{steps}\n}}\n");
    let (compilation, _) = compile(&[("a.flow", &source), ("shop.flow", SHOP)], Settings::default());
    let wrong: Vec<_> = compilation.errors().map(|one| format!("{} {}", one.code, one.message)).collect();
    assert!(wrong.is_empty(), "{source}\n{wrong:#?}");
    let flow = compilation.flows().next().unwrap();
    flow.sends.iter().map(|send| format!("{}: {}", send.to, send.fields.join(", "))).collect()
}

fn posted(steps: &str) -> String {
    sends(steps).into_iter().find_map(|line| line.strip_prefix("desk.post: ").map(str::to_owned)).unwrap_or_default()
}

#[test]
fn fields_of_the_event() {
    for (text, expected) in [
        ("fixed", ""),
        ("{total}", "shop.total"),
        ("{total + 1}", "shop.total"),
        ("{email else \"nobody\"}", "shop.email (personal)"),
        ("{comment else email else \"\"}", "shop.comment, shop.email (personal)"),
        ("{lower(email else \"\")}", "shop.email (personal)"),
        ("{length(email else \"\")}", "shop.email (personal)"),
        ("{event.total}", "shop.total"),
        ("{run.id} {now}", ""),
        ("{raw.data.secret_of_theirs else \"\"}", "shop.raw.data.secret_of_theirs"),
        ("{first(labels) else \"\"} {labels[1] else \"\"}", "shop.labels"),
        ("{extra.size else \"\"} {extra[\"colour\"] else \"\"}", "shop.extra, shop.extra.size"),
        ("{address.city else \"\"}", "shop.address.city"),
        ("{address.street else \"\"}", "shop.address.street (personal)"),
        ("{lines[0].sku else \"\"}", "shop.lines.sku"),
        ("{lines[0].note else \"\"}", "shop.lines.note (personal)"),
    ] {
        assert_eq!(posted(&format!("desk.post(text: \"{text}\")")), expected, "{text}");
    }
}

#[test]
fn through_names_branches_and_loops() {
    for (steps, expected) in [
        ("let x = email else \"\"\nlet y = \"<{x}>\"\nlet z = y\ndesk.post(text: z)", "shop.email (personal)"),
        ("if total > 5 { let x = comment else \"\"\ndesk.post(text: x) } else { desk.post(text: \"few\") }", "shop.comment"),
        (
            "match total { 1 => desk.post(text: \"{email else \"\"}\") else => desk.post(text: \"{total}\") }",
            "shop.email (personal), shop.total",
        ),
        ("for line in lines up to 3 { desk.post(text: line.sku) }", "shop.lines.sku"),
        ("for line in lines up to 3 { desk.post(text: line.note else \"\") }", "shop.lines.note (personal)"),
        ("for label in labels up to 3 { desk.post(text: label) }", "shop.labels"),
        ("for part in [email else \"\", \"x\"] { desk.post(text: part) }", "shop.email (personal)"),
        (
            "for buyer in shop.list_buyers(level: \"gold\") up to 3 { desk.post(text: buyer.name else \"\") }",
            "shop.name (personal)",
        ),
        ("for buyer in shop.list_buyers(level: \"gold\") up to 3 { let it = buyer\ndesk.post(text: it.level) }", "shop.level"),
        // In a list that is written out, values are not told apart: rather too much than too little.
        (
            "let b = first(shop.list_buyers(level: \"x\"))\nfor it in [b] { desk.post(text: it.level else \"\") }",
            "shop.list_buyers (personal)",
        ),
        ("shop.ship(order: id) on error { desk.post(text: error.message) }", "shop.error"),
    ] {
        assert_eq!(posted(steps), expected, "{steps}");
    }
}

#[test]
fn results_whole_and_in_parts() {
    for (steps, expected) in [
        ("let b = shop.find_buyer(id: buyer)\ndesk.post(text: b.level else \"\")", "shop.level"),
        ("let b = shop.find_buyer(id: buyer)\ndesk.post(text: b.email else \"\")", "shop.email (personal)"),
        ("let b = shop.find_buyer(id: buyer)\ndesk.post(text: b.home.city else \"\")", "shop.home.city"),
        // What lies in something personal is personal.
        ("let b = shop.find_buyer(id: buyer)\ndesk.post(text: b.work.city else \"\")", "shop.work.city (personal)"),
        ("let b = shop.find_buyer(id: buyer)\ndesk.post(text: \"x\", data: b)", "shop.find_buyer (personal)"),
        ("let b = shop.list_buyers(level: \"x\")\ndesk.post(text: \"x\", data: b)", "shop.list_buyers (personal)"),
        ("let b = shop.list_buyers(level: \"x\")\ndesk.post(text: b[0].level else \"\")", "shop.level"),
        ("let b = shop.list_buyers(level: \"x\")\ndesk.post(text: \"x\", data: first(b))", "shop.list_buyers (personal)"),
        ("desk.post(text: \"x\", data: { a: address, b: [total] })", "shop.address (personal), shop.total"),
        ("desk.post(text: \"x\", data: lines)", "shop.lines (personal)"),
        ("desk.post(text: \"x\", tags: [email else \"\", comment else \"\"])", "shop.comment, shop.email (personal)"),
        ("shop.ship(order: id) as done\ndesk.post(text: done.tracking)", "shop.tracking"),
        ("shop.ship(order: id) as done\ndesk.post(text: \"x\", data: done)", "shop.ship"),
        ("let e = shop.email_of(id: buyer)\ndesk.post(text: e)", "shop.email_of (personal)"),
    ] {
        assert_eq!(posted(steps), expected, "{steps}");
    }
}

#[test]
fn what_is_filled_in_and_what_a_resolver_does_is_listed() {
    assert_eq!(
        sends("desk.note(text: \"{total}\")"),
        ["desk.by_email: shop.email (personal)", "desk.create: shop.email (personal)", "desk.note: shop.total"]
    );
    // The message of an error may be that of any service before it.
    let source =
        "when shop.ordered do {\nshop.ship(order: id)\ndesk.post(text: \"x\")\n} on error { desk.post(text: error.message) }\n";
    let (compilation, _) = compile(&[("a.flow", source), ("shop.flow", SHOP)], Settings::default());
    assert_eq!(compilation.flows().next().unwrap().sends[0].fields, ["shop.error"]);
    // What a service is told of itself is no news.
    assert_eq!(sends("shop.ship(order: id, note: \"{email else \"\"}\")"), [""; 0]);
}

#[test]
fn personal_data_does_not_pass_inside_of_something_else() {
    for steps in [
        "desk.count(name: email else \"\")",
        "desk.count(name: \"<{email else \"\"}>\")",
        "desk.count(name: address.street else \"\")",
        "desk.count(name: \"x\", data: address)",
        "desk.count(name: \"x\", data: lines)",
        "desk.count(name: \"x\", data: { a: { b: [lines[0]] } })",
        "desk.count(name: \"x\", more: { a: address })",
        "let b = shop.find_buyer(id: buyer)\ndesk.count(name: \"x\", data: b)",
        "let b = shop.find_buyer(id: buyer)\ndesk.count(name: b.work.city else \"\")",
        "let e = shop.email_of(id: buyer)\ndesk.count(name: e)",
        "let e = shop.email_of(id: buyer)\nlet f = \"{e}\"\ndesk.count(name: f)",
        "for b in shop.list_buyers(level: \"x\") up to 3 { desk.count(name: b.email else \"\") }",
        "let b = shop.list_buyers(level: \"x\")\ndesk.count(name: join(map(b, it.email), \", \"))",
        "let b = shop.list_buyers(level: \"x\")\nlet n = map(b, it.name)\ndesk.count(name: n[0] else \"\")",
        "let b = shop.list_buyers(level: \"x\")\nlet g = filter(b, it.level is \"x\")\ndesk.count(name: first(g).email else \"\")",
        "desk.count(name: replace(email else \"\", \"@\", \"\"))",
        "desk.count(name: split(email else \"\", \"@\")[0] else \"\")",
        "for b in shop.list_buyers(level: \"x\") up to 3 { desk.count(name: \"x\", data: b) }",
    ] {
        let source = format!("when shop.ordered do {{\n{steps}\n}}\n");
        let (compilation, _) = compile(&[("a.flow", &source), ("shop.flow", SHOP)], Settings::default());
        let found: Vec<_> = compilation.errors().map(|one| one.code.as_str()).collect();
        assert_eq!(found, ["E803"], "{steps}");
    }
    for steps in [
        "desk.count(name: \"x\", data: total)",
        "desk.count(name: address.city else \"\")",
        "let b = shop.list_buyers(level: \"x\")\ndesk.count(name: join(map(b, it.level), \", \"))",
        "for line in lines up to 3 { desk.count(name: line.sku) }",
        "let b = shop.find_buyer(id: buyer)\ndesk.count(name: b.home.city else \"\")",
    ] {
        sends(steps);
    }
}

#[test]
fn the_listing() {
    let source = "## Tells the desk.\nflow tell \"Tell the desk\"\n  when shop.ordered\n  where total > 5 and email is present\n  do {\n    let b = shop.find_buyer(id: buyer)\n    \
                  desk.note(text: \"{total} by {b.name else \"somebody\"}\")\n    if total > 100 { desk.post(text: \"large\", data: { address, of: total, also: \"a text that is long enough to be cut in the listing\" }) }\n  }\n\n\
                  flow ship\n  when shop.ordered\n  do shop.ship(order: id)\n";
    let (compilation, _) = compile(&[("a.flow", source), ("shop.flow", SHOP)], Settings::default());
    assert_eq!(compilation.errors().next(), None);
    let flows: Vec<_> = compilation.flows().cloned().collect();
    let listing = flow_compiler::listing::human(&flows);
    // Hashes change with everything that decides what a run does.
    let listing = flows.iter().fold(listing, |text, flow| text.replace(&flow.hash[..12], "HASH"));
    insta::assert_snapshot!("listing", listing);
    let json = flow_compiler::listing::json(&flows);
    assert_eq!(json["flows"][0]["sends"][0], serde_json::json!({ "to": "desk.by_email", "fields": ["shop.email (personal)"] }));
}
