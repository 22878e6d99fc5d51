//! Programs at random: formatting changes neither the meaning nor, the second time, the text; no comment is lost;
//! nothing makes the parser panic.

use flow_grammar::{format, parse};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::support::{checked_format, fixtures};

/// A piece of a program: tokens, each to be followed by blanks of any kind.
type Tokens = Vec<String>;

fn words(text: &str) -> Tokens {
    text.split(' ').map(str::to_owned).collect()
}

fn one(text: impl Into<String>) -> Tokens {
    vec![text.into()]
}

fn joined(parts: Vec<Tokens>) -> Tokens {
    parts.into_iter().flatten().collect()
}

fn separated(parts: Vec<Tokens>, separator: &str) -> Tokens {
    let mut out = Vec::new();
    for (at, part) in parts.into_iter().enumerate() {
        if at > 0 {
            out.push(separator.to_owned());
        }
        out.extend(part);
    }
    out
}

fn name() -> impl Strategy<Value = String> {
    select(vec!["amount", "id", "customer_email", "type", "at", "stop", "x", "Upper", "`when`", "flow", "per", "no", "retry"])
        .prop_map(str::to_owned)
}

fn path() -> impl Strategy<Value = String> {
    (select(vec!["shop", "desk", "front_door", "flow"]), select(vec!["paid", "open_case", "lock", "when", "dead"]))
        .prop_map(|(a, b)| format!("{a}.{b}"))
}

fn duration() -> impl Strategy<Value = Tokens> {
    select(vec!["3 days", "24 h", "1 hour 30 minutes", "300 s", "10000 ms", "1 week"]).prop_map(words)
}

fn literal() -> impl Strategy<Value = Tokens> {
    prop_oneof![
        select(vec![
            "1",
            "15_000",
            "0.5",
            "true",
            "\"\"",
            "\"a b\"",
            "'single'",
            "\"{x} and {y else \"z\"}\"",
            "\"\\\"\\{\\n\\\\\"",
            "09:00",
            "9:05",
            "2026-11-22",
            "100 USD",
            "99.95 EUR",
            "21 bytes",
            "\"\"\"\n    a\n      {b}\n  \"\"\"",
            "\"\"\"a \"b\" c\"\"\"",
            "{}",
            "[]",
        ])
        .prop_map(one),
        duration(),
    ]
}

fn expr() -> impl Strategy<Value = Tokens> {
    let leaf = prop_oneof![literal(), name().prop_map(one), path().prop_map(one)];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            (inner.clone(), select(vec!["and", "or", "+", "-", "*", "/", "&&", "||", "else"]), inner.clone())
                .prop_map(|(a, op, b)| joined(vec![one("("), a, one(")"), one(op), one("("), b, one(")")])),
            (inner.clone(), select(vec!["is present", "is not missing", "is empty"])).prop_map(|(a, op)| joined(vec![
                one("("),
                a,
                one(")"),
                words(op)
            ])),
            (
                inner.clone(),
                select(vec!["is", "is not", "==", "!=", ">", "<=", "contains", "starts with", "in", "not in"]),
                inner.clone()
            )
                .prop_map(|(a, op, b)| joined(vec![one("("), a, one(")"), one(op), one("("), b, one(")")])),
            inner.clone().prop_map(|a| joined(vec![one("not"), one("("), a, one(")")])),
            (name(), select(vec!["is", ">", "contains"]), inner.clone()).prop_map(|(a, op, b)| joined(vec![
                one(a),
                one(op),
                one("("),
                b,
                one(")")
            ])),
            vec(inner.clone(), 0..4).prop_map(|values| joined(vec![one("["), separated(values, ","), one("]")])),
            vec((name(), inner.clone()), 1..3).prop_map(|fields| {
                let fields = fields.into_iter().map(|(key, value)| joined(vec![one(key), one(":"), value])).collect();
                joined(vec![one("{"), separated(fields, ","), one("}")])
            }),
            call_with(inner.clone()),
            (name(), inner).prop_map(|(a, b)| joined(vec![
                one(a),
                one("matches"),
                one("\"^{2}\\d\""),
                one("and"),
                one("("),
                b,
                one(")")
            ])),
        ]
    })
}

fn call_with(value: impl Strategy<Value = Tokens> + Clone + 'static) -> impl Strategy<Value = Tokens> {
    (path(), vec((proptest::option::of(name()), value), 0..4), any::<bool>()).prop_map(|(path, args, trailing)| {
        let has_args = !args.is_empty();
        let args = args
            .into_iter()
            .map(|(name, value)| match name {
                Some(name) => joined(vec![one(name), one(":"), value]),
                None => value,
            })
            .collect();
        let comma = if trailing && has_args { one(",") } else { Vec::new() };
        joined(vec![one(path), one("("), separated(args, ","), comma, one(")")])
    })
}

fn step() -> impl Strategy<Value = Tokens> {
    let simple = prop_oneof![
        4 => (
            prop_oneof![path().prop_map(one), call_with(expr().boxed())],
            select(vec!["", "as case", "retry 3 times", "retry 3 times over 2 hours as case", "as case on error { stop }"])
        )
            .prop_map(|(call, suffix)| joined(vec![call, suffix.split_whitespace().map(str::to_owned).collect()])),
        1 => (name(), expr()).prop_map(|(name, value)| joined(vec![one("let"), one(name), one("="), value])),
        1 => Just(one("stop")),
        1 => expr().prop_map(|value| joined(vec![one("stop"), one("because"), value])),
        1 => duration().prop_map(|time| joined(vec![one("wait"), time])),
        1 => Just(words("wait until 09:00 in \"Europe/Paris\"")),
        1 => (path(), expr()).prop_map(|(path, value)| joined(vec![words("wait for"), one(path), one("where"), value, words("up to 3 days else { stop }")])),
    ];
    simple.prop_recursive(3, 12, 3, |inner| {
        let block = vec(inner, 0..3).prop_map(|steps| joined(vec![one("{"), joined(steps), one("}")]));
        prop_oneof![
            (expr(), block.clone(), proptest::option::of(block.clone())).prop_map(|(condition, then, otherwise)| {
                let otherwise = otherwise.map_or_else(Vec::new, |block| joined(vec![one("else"), block]));
                joined(vec![one("if"), condition, then, otherwise])
            }),
            (expr(), block.clone(), block.clone(), block.clone()).prop_map(|(condition, a, b, c)| joined(vec![
                one("if"),
                condition.clone(),
                a,
                words("else if"),
                condition,
                b,
                one("else"),
                c
            ])),
            (name(), block.clone(), block.clone()).prop_map(|(name, a, b)| joined(vec![
                one("match"),
                one(name),
                one("{"),
                words("\"a\" | \"longer\" =>"),
                a,
                words("else =>"),
                b,
                one("}")
            ])),
            (name(), expr(), block.clone()).prop_map(|(name, list, body)| joined(vec![
                one("for"),
                one(name),
                one("in"),
                list,
                words("up to 20"),
                body
            ])),
            (path(), block).prop_map(|(path, block)| joined(vec![one(path), words("on error"), block])),
        ]
    })
}

fn clauses() -> impl Strategy<Value = Tokens> {
    let condition = prop_oneof![
        Just(Vec::new()),
        vec(expr(), 1..4).prop_map(|parts| {
            let parts = parts.into_iter().map(|part| joined(vec![one("("), part, one(")")])).collect();
            joined(vec![one("where"), separated(parts, "and")])
        })
    ];
    let rest = proptest::sample::subsequence(
        vec![
            "3 times within 1 hour per customer",
            "fresh within 30 s",
            "at most once per customer per day otherwise queue",
            "once per id",
            "one at a time per customer",
            "throttle to 10 per minute",
            "while running restart",
            "missed latest within 2 hours",
            "across gaps verify",
            "on clock change skip",
            "expect at least 1 per 24 hours",
            "unverified",
        ],
        0..5,
    )
    .prop_shuffle();
    (condition, rest).prop_map(|(condition, rest)| joined(vec![condition, rest.into_iter().flat_map(words).collect()]))
}

fn flow() -> impl Strategy<Value = Tokens> {
    let head = prop_oneof![Just(Vec::new()), Just(words("flow a_name")), Just(words("flow other \"Title\""))];
    let start = prop_oneof![
        path().prop_map(|path| joined(vec![one("when"), one(path)])),
        (path(), path()).prop_map(|(a, b)| joined(vec![one("when"), one(a), one("or"), one(b)])),
        Just(words("when front_door is unlocked for 10 minutes")),
        Just(words("when no shop.paid")),
        Just(words("every day at 9:00 , 18:30 in \"Asia/Tokyo\"")),
        Just(words("every month on last day at sunset - 15 minutes")),
        Just(words("every 5 min")),
    ];
    let body = prop_oneof![
        vec(step(), 0..4).prop_map(|steps| joined(vec![one("{"), joined(steps), one("}")])),
        prop_oneof![path().prop_map(one), call_with(expr().boxed())],
        (path(), path()).prop_map(|(a, b)| joined(vec![one(a), one("then"), one(b)])),
    ];
    (head, start, clauses(), body).prop_map(|(head, start, clauses, body)| joined(vec![head, start, clauses, one("do"), body]))
}

/// Blanks between tokens: mostly one, now and then a line break or a comment.
fn gap() -> impl Strategy<Value = (&'static str, bool)> {
    prop_oneof![
        60 => Just((" ", false)),
        10 => Just(("\n  ", false)),
        3 => Just(("\n\n    ", false)),
        2 => Just((" # a comment\n ", true)),
        2 => Just(("\n # a comment\n  ", true)),
        1 => Just(("\r\n\t", false)),
        1 => Just(("\n\n### a comment\n\n", true)),
    ]
}

/// Words that belong together are not torn apart: a comment within them would have to move.
fn file() -> impl Strategy<Value = (String, usize)> {
    (vec(flow(), 1..4), vec(gap(), 400)).prop_map(|(flows, gaps)| {
        let mut out = String::new();
        let mut comments = 0;
        let mut gaps = gaps.into_iter().cycle();
        for flow in flows {
            for token in flow {
                out.push_str(&token);
                let (gap, comment) = gaps.next().unwrap();
                comments += usize::from(comment);
                out.push_str(gap);
            }
            out.push('\n');
        }
        (out, comments)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(debug_assertions) { 100 } else { 1_000 }, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn formatting_is_safe_and_stable((source, comments) in file()) {
        let parsed = parse(&source);
        prop_assert!(parsed.errors.is_empty(), "{:#?}\n{}", parsed.errors, source);
        let text = checked_format(&source);
        let count = |text: &str| text.matches("# a comment").count();
        prop_assert_eq!(count(&source), comments);
        prop_assert_eq!(count(&text), comments, "{}\n{}", source, text);
        prop_assert!(text.lines().all(|line| line.trim_end() == line || line.contains('"') || source.contains("\"\"\"")), "{}", text);
    }

    #[test]
    fn any_text_is_read(text in "\\PC{0,200}") {
        let _ = parse(&text);
        let _ = format(&text);
    }

    #[test]
    fn any_tokens_are_read(tokens in vec(select(TOKENS.to_vec()), 0..60)) {
        let text = tokens.join(" ");
        let parsed = parse(&text);
        for error in &parsed.errors {
            prop_assert!(text.get(error.span.range()).is_some(), "{:?}\n{}", error, text);
            prop_assert!(!error.message.is_empty());
        }
        if parsed.errors.is_empty() {
            checked_format(&text);
        }
    }

    #[test]
    fn damaged_programs_are_read(at in any::<prop::sample::Index>(), len in 0_usize..40, insert in "\\PC{0,6}") {
        for (_, source) in fixtures() {
            let start = at.index(source.len());
            let end = (start + len).min(source.len());
            let (Some(before), Some(behind)) = (source.get(..start), source.get(end..)) else { continue };
            let text = format!("{before}{insert}{behind}");
            let parsed = parse(&text);
            prop_assert!(parsed.errors.len() < 12, "{:#?}", parsed.errors);
            if parsed.errors.is_empty() {
                checked_format(&text);
            }
        }
    }
}

/// Words and signs that mean something somewhere.
const TOKENS: &[&str] = &[
    "when",
    "every",
    "where",
    "do",
    "then",
    "and",
    "or",
    "not",
    "is",
    "in",
    "contains",
    "else",
    "if",
    "match",
    "let",
    "for",
    "true",
    "false",
    "flow",
    "test",
    "connector",
    "a",
    "b.c",
    ".",
    "..",
    ",",
    ":",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "=",
    "==",
    "=>",
    "->",
    "|",
    "||",
    "&&",
    "&",
    "!",
    "?",
    "@",
    "+",
    "-",
    "*",
    "/",
    "<",
    ">",
    ">=",
    "\"text\"",
    "\"{a}\"",
    "\"",
    "'",
    "\"\"\"",
    "# comment\n",
    "## doc\n",
    "\n",
    "1",
    "15_000",
    "1.5",
    "09:00",
    "3 days",
    "100 USD",
    "present",
    "missing",
    "wait",
    "stop",
    "because",
    "return",
    "require",
    "retry",
    "times",
    "within",
    "as",
    "on error",
    "record",
    "trigger",
    "query",
    "action",
    "GET",
    "json",
    "given",
    "expect",
    "after",
    "once",
    "per",
    "at most",
    "`",
    "\\",
    "#",
    "{{",
    "é",
    "$",
    ";",
    "//",
];
