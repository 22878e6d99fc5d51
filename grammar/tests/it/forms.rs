//! Small facts about the tree and the canonical form.

use flow_grammar::syntax::{ClauseKind, ExprKind, Item, StepKind, TextPart};
use flow_grammar::{format, normalized_text, parse, print_expr, print_flow};

use crate::support::checked_format;

/// The condition of a one-line flow.
fn condition(text: &str) -> flow_grammar::syntax::Expr {
    let source = format!("when a.b where {text} do c.d");
    let parsed = parse(&source);
    assert_eq!(parsed.errors, [], "{text}");
    let Some(Item::Flow(flow)) = parsed.file.items.into_iter().next() else { panic!() };
    let Some(ClauseKind::Where(expr)) = flow.clauses.into_iter().next().map(|clause| clause.kind) else { panic!() };
    expr
}

/// Returns the tree of an expression with all its parentheses.
fn grouped(expr: &flow_grammar::syntax::Expr) -> String {
    match &*expr.kind {
        ExprKind::Binary(op, _, a, b) => format!("({} {op:?} {})", grouped(a), grouped(b)),
        ExprKind::Is { value, negated, test } => match test {
            flow_grammar::syntax::IsTest::Value(b) => {
                format!("({} is{} {})", grouped(value), if *negated { "nt" } else { "" }, grouped(b))
            }
            test => format!("({} is{} {test:?})", grouped(value), if *negated { "nt" } else { "" }),
        },
        ExprKind::In { value, negated, set } => {
            format!("({} in{} {})", grouped(value), if *negated { "nt" } else { "" }, grouped(set))
        }
        ExprKind::Range(a, b) => format!("({}..{})", grouped(a), grouped(b)),
        ExprKind::Else(a, b) => format!("({} else {})", grouped(a), grouped(b)),
        ExprKind::Not(a) => format!("(not {})", grouped(a)),
        ExprKind::Negate(a) => format!("(-{})", grouped(a)),
        ExprKind::Require(a) => format!("(require {})", grouped(a)),
        ExprKind::Paren(a) => grouped(a),
        _ => print_expr(expr),
    }
}

#[test]
fn operators_bind_as_they_read() {
    for (text, tree) in [
        ("a or b and c", "(a Or (b And c))"),
        ("a and b or c", "((a And b) Or c)"),
        ("not a and b", "((not a) And b)"),
        ("not a is b", "(not (a is b))"),
        ("a + b * c - d", "((a Add (b Multiply c)) Subtract d)"),
        ("a > b + 1 and c", "((a Greater (b Add 1)) And c)"),
        ("a else 0 > 5", "((a else 0) Greater 5)"),
        ("a + b else 0", "(a Add (b else 0))"),
        ("-a * b", "((-a) Multiply b)"),
        ("require a.b > 5", "((require a.b) Greater 5)"),
        ("a is present and b is not missing", "((a is Present) And (b isnt Missing))"),
        ("a not in 08:00..09:00 or b", "((a innt (08:00..09:00)) Or b)"),
        ("a == 5 && b != 6 || !c", "(((a is 5) And (b isnt 6)) Or (not c))"),
        ("a starts with \"x\" and b matches \"^{2}$\"", "((a StartsWith \"x\") And (b Matches \"^{2}$\"))"),
        ("a is not \"x\" + \"y\"", "(a isnt (\"x\" Add \"y\"))"),
    ] {
        assert_eq!(grouped(&condition(text)), tree, "{text}");
    }
}

/// Each of these prints as it is written.
#[test]
fn expressions_print_as_written() {
    for text in [
        "f(a, b: 1)",
        "a.b.c",
        "a[0].b",
        "f(x).y",
        "f(x)[1]",
        "any(100 USD, 90 EUR)",
        "99.95 EUR",
        "15_000",
        "1234",
        "0.5",
        "3 days",
        "1 hour 30 minutes",
        "21 bytes",
        "09:00",
        "23:59:30",
        "2026-11-22",
        "2026-11-22 22:05",
        "true",
        "[1, 2, 3]",
        "{}",
        "{ a, b: 1, \"c d\": 2, e.f: 3 }",
        "(a, b)",
        "(a + b) * c",
        "`when`",
        "event.when",
        "not (a or b)",
        "\"a {b} c {d else \"e\"} \\{ \\\" \\\\ \\n\"",
        "x else y",
        "require x",
        "-x",
        "a matches \"\\d{3}\"",
        "a is present",
        "a is not empty",
        "a in [1, 2]",
        "a not in 1..5",
        "x is \"{a.b(c: [1], d: { e })}\"",
    ] {
        assert_eq!(print_expr(&condition(text)), text);
    }
}

/// What is accepted, and what it becomes.
#[test]
fn forgiving_forms_are_rewritten() {
    for (text, canonical) in [
        ("when a.b where x=='y' do c.d", "when a.b where x is \"y\" do c.d"),
        ("when a.b where x != 1 && !y || z do c.d", "when a.b where x is not 1 and not y or z do c.d"),
        ("when a.b where n > 10000 do c.d", "when a.b where n > 10_000 do c.d"),
        ("when a.b where n > 5_000 do c.d", "when a.b where n > 5000 do c.d"),
        ("when a.b where x > 100USD do c.d", "when a.b where x > 100 USD do c.d"),
        ("every day at 9:00 and 18:30 do c.d", "every day at 09:00, 18:30 do c.d"),
        ("every day at 9:00, and 18:30 do c.d", "every day at 09:00, 18:30 do c.d"),
        ("every month on day 1 at 9:00 do c.d", "every month on 1 at 09:00 do c.d"),
        ("every month on the 1st and 15th at 9:00 do c.d", "every month on 1, 15 at 09:00 do c.d"),
        ("when a.b do wait 24h then c.d", "when a.b\ndo wait 24 hours\n  then c.d"),
        ("when a.b do wait 1h30m then c.d", "when a.b\ndo wait 1 hour 30 minutes\n  then c.d"),
        ("when a.b do c.d retry 3 within 1h", "when a.b do c.d retry 3 times over 1 hour"),
        ("when a.b do wait for c.d timeout 5 days", "when a.b do wait for c.d up to 5 days"),
        ("when a.b at most 1 per day per id do c.d", "when a.b at most once per id per day do c.d"),
        ("when a.b do c.d()", "when a.b do c.d()"),
        ("when a.b do c.d(x: 1,)", "when a.b do c.d(x: 1)"),
        ("when a.b do { c.d then e.f }", "when a.b\ndo {\n  c.d\n  e.f\n}"),
        ("when a.b do c.d retry 3 times as x", "when a.b do c.d as x retry 3 times"),
        ("when a.b fresh within 3 s where x do c.d", "when a.b where x fresh within 3 seconds do c.d"),
        ("when a.b\u{A0}do c.d", "when a.b do c.d"),
    ] {
        assert_eq!(checked_format(text), format!("{canonical}\n"), "{text}");
    }
}

#[test]
fn comments_stay_where_they_are() {
    let source = r#"# first

# about the flow
flow a # behind the name
  # before the trigger
  when b.c # behind the trigger
  # before the condition
  where x > # why
    5 # five
    # before and
    and y # behind y
  # before the limit
  at most once per day # behind the limit
  # before do
  do { # behind the brace
    # before the step
    d.e( # behind the parenthesis
      f: 1, # behind f
      # before g
      g: [ # in a list
        1, 2
      ], h: 3 # behind h
      # before the end
    ) # behind the call

    # alone
    if x { # behind if
      g.h
      # at the end of the block
    } # behind the block
    else { # behind else
      i.j
    }
    match x { # behind match
      # before an arm
      "a" => k.l # behind an arm
      else => stop
      # behind the arms
    }
    # at the end
  } # behind do
  # before on error
  on error { # in it
    m.n
  } # at the very end

# last
"#;
    insta::assert_snapshot!(checked_format(source));
}

/// Comments in places where nobody would write one are not lost either.
#[test]
fn no_comment_is_lost() {
    let source = "flow a \"b\" when c.d(e: 1) where (f is not present or g in [1, 2]) 3 times within 1 hour per h at most 2 per i per day do { let j = k.l(m) j.n(o: \"p\") as q retry 3 times over 2 hours on error { stop because \"r\" } for s in t up to 5 { u.v } wait for w.x where y up to 3 days else { stop } wait until 09:00 in \"z\" } on error { stop }";
    let mut words: Vec<usize> = source.match_indices(' ').map(|(at, _)| at).collect();
    words.retain(|at| source[..*at].matches('"').count().is_multiple_of(2));
    for at in words {
        for comment in [" # here\n", "\n# here\n", "\n\n# here\n\n"] {
            let text = format!("{}{comment}{}", &source[..at], &source[at..]);
            let parsed = parse(&text);
            // Between two words of one operator or phrase it may be a mistake, but nothing more.
            if !parsed.errors.is_empty() {
                continue;
            }
            let formatted = checked_format(&text);
            assert_eq!(formatted.matches("# here").count(), 1, "{text}\n{formatted}");
        }
    }
}

#[test]
fn doc_comments_belong_to_what_follows() {
    let parsed = parse("## One.\n## Two.\nflow a\n  when b.c\n  do {\n    ## Step.\n    d.e\n  }\n## No owner.\n");
    let Some(Item::Flow(flow)) = parsed.file.items.first() else { panic!() };
    assert_eq!(flow.docs.lines, ["One.", "Two."]);
    assert_eq!(flow.body.steps[0].docs.lines, ["Step."]);
    assert_eq!(parsed.file.comments.len(), 1);
    assert_eq!(parsed.file.comments[0].text, "# No owner.");
}

#[test]
fn long_texts_have_no_layout() {
    let source = "when a.b do c.d(e: \"\"\"\n      one {two}\n\n        three \"quoted\"\n      \"\"\")";
    let parsed = parse(source);
    let Some(Item::Flow(flow)) = parsed.file.items.first() else { panic!() };
    let StepKind::Call(call) = &flow.body.steps[0].kind else { panic!() };
    let ExprKind::Text(text) = &*call.call.args[0].value.kind else { panic!() };
    let plain: Vec<&str> = text
        .parts
        .iter()
        .map(|part| match part {
            TextPart::Text(text) => text.as_str(),
            TextPart::Expr(_) => "{}",
        })
        .collect();
    assert_eq!(plain, ["one ", "{}", "\n\n  three \"quoted\""]);
    checked_format(source);
    for odd in [
        "\"\"\"\"\"\"",
        "\"\"\"a\"\"\"",
        "\"\"\"\n\"\"\"",
        "\"\"\"a\n  b\"\"\"",
        "\"\"\"\n  a\n \"\"\"",
        "\"\"\"\n\n\n a \n\"\"\"",
        "\"\"\"\n\ta\n\t\\\"\"\" \\{\n\"\"\"",
        "\"\"\"\n{x}\n  {y}\"\"\"",
    ] {
        checked_format(&format!("when a.b do c.d(e: {odd})"));
    }
}

#[test]
fn a_tree_without_source_prints_with_its_parentheses() {
    let a = condition("a or b");
    let b = condition("c and d");
    let both = flow_grammar::syntax::Expr {
        span: a.span,
        kind: Box::new(ExprKind::Binary(flow_grammar::syntax::BinaryOp::And, a.span, a, b)),
    };
    assert_eq!(print_expr(&both), "(a or b) and (c and d)");
}

#[test]
fn normalized_text_ignores_layout_comments_and_docs() {
    let a = parse("## Docs.\nwhen a.b # x\n where c=='d' do { ## y\n e.f }");
    let b = parse("when a.b where c is \"d\"\ndo {\n\n  e.f\n}");
    let text = |parsed: &flow_grammar::Parsed| match &parsed.file.items[0] {
        Item::Flow(flow) => normalized_text(flow),
        _ => panic!(),
    };
    assert_eq!(text(&a), text(&b));
}

/// Printing without the source gives what formatting gives, comments aside.
#[test]
fn printing_and_formatting_agree() {
    for (name, source) in crate::support::fixtures() {
        let text = format(&source).unwrap();
        for item in parse(&text).file.items {
            if let Item::Flow(flow) = &item
                && !flow.span.text(&text).contains('#')
                && !flow.span.text(&text).contains("\n\n")
                && flow.docs.lines.is_empty()
            {
                assert_eq!(print_flow(flow), flow.span.text(&text), "{name}");
            }
        }
    }
}

#[test]
fn words_of_the_language_are_names_where_they_can_be() {
    for text in [
        "when flow.test where type is \"x\" and at > 5 and wait and stop and per and once do test.flow",
        "when a.b do { stop.now wait.here(x: 1) return.it require.this retry.that as.it on.x let stop = 5 }",
        "when a.b where event.when is present and event.in > 5 and `where` do c.d(`for`: 1)",
        "when no.x do no.y",
        "connector a { record B { type: text id: text at: datetime unix summary: text object: text summary \"x\" } }",
        "when a.b where fresh fresh within 3 days do c.d",
        "when a.b where once once per id do c.d",
        "when a.b(when: \"x\") do c.d(when: 1, in: 2)",
        "when a.b(every: 1 minute) do c.d(every: 1)",
        "connector a { trigger t(when: x | y, in: text): B from s of `when` }",
        "connector a { record B { of: text event: text x: json from event \"data.p\" else \"q\" y: text from event } }",
        "connector a { record B { m: money? minor from (a, b) else (\"c.d\", e) z: text } }",
    ] {
        checked_format(text);
    }
}

/// Before a colon these words can be nothing else.
#[test]
fn words_before_a_colon_stay_as_they_are() {
    let text = "when a.b(every: 1 minute, when: 1, in: 2) do c.d\n";
    assert_eq!(flow_grammar::format(text).unwrap(), text);
}

/// A blank line between things is kept, two are one.
#[test]
fn blank_lines_are_kept_one_at_a_time() {
    let text = "when a.b do c.d\nwhen e.f do g.h\n\n\n\nwhen i.j do k.l\nflow m\n  when n.o\n  do {\n\n    p.q\n\n\n    r.s\n    t.u\n\n  }\nwhen v.w do x.y\n\n\n# end\n\n";
    assert_eq!(
        checked_format(text),
        "when a.b do c.d\nwhen e.f do g.h\n\nwhen i.j do k.l\n\nflow m\n  when n.o\n  do {\n    p.q\n\n    r.s\n    t.u\n  }\n\nwhen v.w do x.y\n\n# end\n"
    );
    assert_eq!(checked_format(""), "");
    assert_eq!(checked_format("\n\n# x"), "# x\n");
}
