//! `# allow CODE: reason`.

use flow_compiler::allow::Allows;
use flow_compiler::settings::Settings;

use crate::support::{apply, compile, diagnostics, reports, said};

/// A flow with a W203, with something in front of each of its lines and behind the one that matters.
fn hiding(item: &str, step: &str, behind: &str) -> String {
    format!(
        "{item}when stripe.charge_failed\nwhere customer_email is present\ndo {{\n{step}  let amount = event.amount * 2{behind}\n  \
         kustomer.create_conversation(name: \"{{amount}}\")\n}}\n"
    )
}

#[test]
fn a_comment_silences_at_its_place_only() {
    assert_eq!(
        said(&hiding("", "", "")),
        ["W203 `amount` `amount` hides the field `amount`, which is `event.amount` from here on"]
    );
    for source in [
        hiding("", "", "  # allow W203: the word of the house"),
        hiding("", "  # allow W203: the word of the house\n", ""),
        hiding("", "  # allow w203: lower case\n\n  # and a blank line and another comment\n", ""),
        hiding("# allow W203: for all of it\n", "", ""),
        hiding("# allow W203: above the doc comment\n## Documented.\nflow x\n  ", "", ""),
        hiding("## Documented.\n# allow W203: below the doc comment\nflow x\n  ", "", ""),
        hiding("\u{feff}# allow W203: behind a byte order mark\n", "", ""),
        hiding("", "", "  # allow W203, W311: two at once")
            .replace("where customer", "where amount > 100 # allow W311: any\n  and customer")
            .replace("W203, W311", "W203"),
    ] {
        assert_eq!(said(&source), [""; 0], "{source}");
    }
    // At another place it silences nothing, and both are said.
    for source in [
        hiding("", "", "").replace("where", "# allow W203: not here\nwhere"),
        hiding("", "", "").replace("  kustomer", "  # allow W203: too late\n  kustomer"),
        format!("{}# allow W203: at the end of the file\n", hiding("", "", "")),
    ] {
        let said = said(&source);
        assert_eq!(said.len(), 2, "{source}\n{said:#?}");
        assert!(said.iter().any(|one| one.starts_with("W203")) && said.iter().any(|one| one.starts_with("W901")), "{said:#?}");
    }
}

#[test]
fn a_comment_in_every_kind_of_place_finds_what_stands_below_it() {
    for (inside, count) in [
        ("if livemode {\n# allow W203: x\nlet amount = 1 }", 0),
        ("if livemode { stop } else {\n# allow W203: x\nlet amount = 1 }", 0),
        ("if livemode { stop } else if paid {\n# allow W203: x\nlet amount = 1 }", 0),
        ("match status {\n# allow W203: x\n\"failed\" => { let amount = 1 } else => stop }", 0),
        ("match status { \"failed\" => {\n# allow W203: x\nlet amount = 1 } else => stop }", 0),
        (
            "for amount in stripe.list_refunds(charge: id) up to 3 {\n# allow W203: not in here\nstripe.create_refund(charge: id) }",
            2,
        ),
        ("# allow W203: x\nfor amount in stripe.list_refunds(charge: id) up to 3 { stripe.create_refund(charge: id) }", 0),
        ("stripe.create_refund(charge: id) on error {\n# allow W203: x\nlet amount = 1 }", 0),
    ] {
        let source = format!("when stripe.charge_failed\ndo {{\n{inside}\nstripe.create_refund(charge: id)\n}}\n");
        let said = said(&source);
        let said: Vec<_> = said.iter().filter(|one| one.contains("W203") || one.contains("W901")).collect();
        assert_eq!(said.len(), count, "{source}\n{said:#?}");
    }
}

#[test]
fn a_comment_must_be_needed_known_and_reasoned() {
    let cases = [
        ("# allow W203: nothing hides here", "W901 `# allow W203: nothing hides here` there is no W203 here to allow"),
        ("# allow E302: we know", "W901 `E302` E302 is an error: it cannot be allowed"),
        ("# allow W999: what is that", "W901 `W999` there is no code W999"),
        ("# allow(W203): in brackets", "W901 `# allow(W203): in brackets` there is no W203 here to allow"),
        ("# allow: W203 the other way round", "W901 `# allow: W203 the other way round` there is no W203 here to allow"),
    ];
    for (comment, expected) in cases {
        let source =
            format!("{comment}\nwhen stripe.charge_failed where customer_email is present do kustomer.create_conversation\n");
        let all = said(&source);
        assert!(all.iter().any(|one| one == expected), "{source}\n{all:#?}");
    }
    for comment in [
        "# allow customers to pay later",
        "# allowed W203",
        "# we allow W203",
        "# allow",
        "# allow W203_x",
        "## allow W203: docs",
    ] {
        let source =
            format!("{comment}\nwhen stripe.charge_failed where customer_email is present do kustomer.create_conversation\n");
        assert_eq!(said(&source), [""; 0], "{comment}");
    }
}

#[test]
fn without_a_reason_it_silences_and_asks_for_one() {
    for (comment, expected, safe) in [
        ("# allow W203", "# allow W203: because …", false),
        ("# allow W203 the word of the house", "# allow W203: the word of the house", true),
        ("# allow W203 - the word of the house", "# allow W203: the word of the house", true),
        ("# allow W203:", "", false),
    ] {
        let source = hiding("", "", &format!("  {comment}"));
        let found = diagnostics(&source);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!(found[0].code.as_str(), "W902");
        if !expected.is_empty() {
            assert_eq!(found[0].fixes[0].safe, safe);
            let mended = apply(&source, &found[0].fixes[0]);
            assert!(mended.contains(expected), "{mended}");
            assert_eq!(said(&mended), [""; 0], "{mended}");
        }
    }
}

#[test]
fn the_fix_takes_the_comment_out_and_nothing_else() {
    let flow = "when stripe.charge_failed where customer_email is present do kustomer.create_conversation";
    for (source, expected) in [
        (format!("# allow W203: x\n{flow}\n"), format!("{flow}\n")),
        (format!("# first\n  # allow W203: x  \n{flow}\n"), format!("# first\n{flow}\n")),
        (format!("{flow}  # allow W203: x\n"), format!("{flow}\n")),
        (format!("{flow}\n# allow W203: x"), format!("{flow}\n")),
        (format!("\u{feff}# allow W203: x\r\n{flow}\r\n"), format!("\u{feff}{flow}\r\n")),
    ] {
        let found = diagnostics(&source);
        assert_eq!(found.len(), 1, "{source:?} {found:#?}");
        assert!(found[0].fixes[0].safe);
        assert_eq!(apply(&source, &found[0].fixes[0]), expected);
    }
}

#[test]
fn what_is_not_looked_for_is_not_missed() {
    let source = "# allow W403: they are kept\nwhen stripe.charge_failed do kustomer.create_conversation\n";
    assert_eq!(said(source), [""; 0]);
    // A quick check gives no advice, so it cannot tell that the comment is needed.
    let quick = Settings { quick: true, ..Settings::default() };
    assert_eq!(compile(&[("a.flow", source)], quick).0.diagnostics(), []);
    // Nor can it where something else is broken.
    let broken = format!("# allow W203: x\n{source}\nwhen stripe.charge_faild do kustomer.create_conversation\n");
    assert_eq!(said(&broken).len(), 1, "{:#?}", said(&broken));
}

#[test]
fn comments_of_flow_toml_speak_for_their_line_or_the_next() {
    let toml = "currency = \"#1\" # allow W706: x\n\n# allow W706: kept for the season\n[connections.shop]\n";
    let allows = Allows::of_toml(&"flow.toml".into(), toml);
    let unused = allows.unused(&"flow.toml".into(), toml, true);
    let at: Vec<&str> = unused.iter().map(|one| one.span.text(toml)).collect();
    assert_eq!(at, ["# allow W706: x", "# allow W706: kept for the season"]);
}

#[test]
fn what_is_said_about_comments() {
    let flow = "when stripe.charge_failed where customer_email is present do kustomer.create_conversation";
    let mut text = String::new();
    for comment in ["# allow W203: x", "# allow E302: x", "# allow W230: x", "# allow W203, W313: x"] {
        text.push_str(&reports(&format!("{comment}\n{flow}\n")));
    }
    text.push_str(&reports(&hiding("", "", "  # allow W203")));
    text.push_str(&reports(&hiding("", "", "  # allow W203 twice is at stake")));
    insta::assert_snapshot!("comments", text);
}
