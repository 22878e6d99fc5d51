//! Programs that cover every construct: each is read without errors and formatted without a change of meaning.

use flow_grammar::{format, parse};

use crate::support::{checked_format, fixtures};

#[test]
fn every_fixture_is_read_and_formatted() {
    for (name, source) in fixtures() {
        let parsed = parse(&source);
        assert_eq!(parsed.errors, [], "{name}");
        let text = checked_format(&source);
        insta::with_settings!({ snapshot_suffix => name, omit_expression => true }, {
            insta::assert_snapshot!("formatted", text);
        });
    }
}

/// Windows line ends and a byte order mark make no difference.
#[test]
fn line_ends_and_byte_order_mark_are_dropped() {
    for (name, source) in fixtures() {
        let windows = format!("\u{FEFF}{}", source.replace('\n', "\r\n"));
        assert_eq!(parse(&windows).errors, [], "{name}");
        assert_eq!(format(&windows), format(&source), "{name}");
    }
}

/// The layout means nothing: all on one line is the same program, comments aside.
#[test]
fn layout_means_nothing() {
    for (name, source) in fixtures() {
        let source = format(&source).unwrap();
        let lines: Vec<&str> = source.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
        if source.contains("\"\"\"") {
            continue;
        }
        let one_line = lines.join(" ");
        assert_eq!(parse(&one_line).errors, [], "{name}");
        let text = checked_format(&one_line);
        let without_blanks = |text: &str| text.lines().filter(|l| !l.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(without_blanks(&text), without_blanks(&lines.join("\n")), "{name}");
    }
}
