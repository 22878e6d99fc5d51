//! Texts made to break the parser: deep, long, cut off.

use std::time::{Duration, Instant};

use flow_grammar::parse;

/// Runs on a stack of 2 MiB, as threads of the runtime have it.
fn on_small_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(2 << 20).spawn(work).unwrap().join().unwrap()
}

/// As deep as is allowed: everything is read.
#[test]
fn sixty_levels_are_read() {
    let n = 60;
    for (open, middle, close) in [
        ("(", "a", ")"),
        ("[", "a", "]"),
        ("{ a: ", "b", " }"),
        ("f(", "a", ")"),
        ("f(x: [{ a: ", "b", " }])"),
        ("a[", "b", "]"),
        ("a + (", "b", ") is 3"),
        ("not (", "b", ")"),
    ] {
        let n = n / open.matches(['(', '[', '{']).count();
        let text = format!("when a.b where {}{middle}{} do c.d", open.repeat(n), close.repeat(n));
        let errors = on_small_stack(move || parse(&text).errors);
        assert_eq!(errors, [], "{open}");
    }
    for (open, middle, close) in [
        ("if x { ", "a.b", "}"),
        ("if x { a.b } else { ", "a.b", "}"),
        ("for a in b { ", "a.b", "}"),
        ("match a { \"x\" => ", "a.b", "}"),
        ("match a { \"x\" => { ", "a.b", "}}"),
        ("a.b on error { ", "a.b", "}"),
        ("wait for a.b else { ", "a.b", "}"),
    ] {
        let n = n / open.split('}').next_back().unwrap().matches('{').count();
        let text = format!("when a.b do {{ {}{middle}{} }}", open.repeat(n), close.repeat(n));
        let errors = on_small_stack(move || parse(&text).errors);
        assert_eq!(errors, [], "{open}");
    }
    let text = format!("when a.b do c.d(e: {}x{})", "\"{f + ".repeat(30), "}\"".repeat(30));
    assert_eq!(on_small_stack(move || parse(&text).errors), []);
}

/// One level more is one error, and the other items stay.
#[test]
fn too_deep_is_one_error() {
    for (name, piece) in [
        ("parentheses", "("),
        ("lists", "["),
        ("objects", "{ a: "),
        ("calls", "f("),
        ("texts in texts", "\"{"),
        ("blocks", "if x { "),
        ("long texts", "\"\"\"{"),
    ] {
        for head in ["when a.b where ", "when a.b do { let x = ", "when a.b do c.d(e: "] {
            let text = format!("when x.y do z.z\n{head}{}\nwhen v.w do u.t\n", piece.repeat(5_000));
            let parsed = on_small_stack(move || parse(&text));
            let codes: Vec<&str> = parsed.errors.iter().map(|error| error.code).collect();
            assert_eq!(codes, ["E106"], "{name} {head}");
            assert_eq!(parsed.file.items.len(), 3, "{name} {head}");
        }
    }
}

/// Chains have no brackets, but their trees are deep as well.
#[test]
fn long_chains_are_one_error() {
    for (name, piece, end) in [
        ("not", "not ", "x"),
        ("!", "!", "x"),
        ("minus", "-", "1"),
        ("plus", "1 + ", "1"),
        ("and", "x and ", "x"),
        ("mixed", "x and 1 + 2 * 3 > 4 or not ", "x"),
        ("else", "x else ", "1"),
        ("fields", "x.", "x"),
        ("require", "require ", "x"),
    ] {
        let text = format!("when x.y do z.z\nwhen a.b where {}{end} do c.d\nwhen v.w do u.t\n", piece.repeat(40_000));
        let codes = on_small_stack(move || parse(&text).errors.iter().map(|error| error.code).collect::<Vec<_>>());
        assert!(codes.contains(&"E106"), "{name}: {codes:?}");
        assert!(codes.len() <= 2, "{name}: {codes:?}");
    }
    let text = format!("when a.b do {{ if x {{ c.d }}{} }}\nwhen v.w do u.t\n", " else if x { c.d }".repeat(5_000));
    let parsed = on_small_stack(move || parse(&text));
    assert_eq!(parsed.errors.iter().map(|error| error.code).collect::<Vec<_>>(), ["E106"]);
    assert_eq!(parsed.file.items.len(), 2);
}

/// `is present` compares as any other operator does, and its canonical form would be another tree.
#[test]
fn a_comparison_behind_is_present_is_one_in_a_row() {
    for behind in ["in \"E\"", "is present", "is 1", "> 2", "contains 3"] {
        for before in ["x is present", "x.y is not missing", "not x is empty", "x + 1 is missing"] {
            let parsed = parse(&format!("when a.b where {before} {behind} do c.d"));
            let codes: Vec<&str> = parsed.errors.iter().map(|error| error.code).collect();
            assert_eq!(codes, ["E114"], "{before} {behind}");
        }
    }
    let fine = "when a.b where (x is present) is true and not y is present or x is missing and z in [1] do c.d";
    assert_eq!(parse(fine).errors, []);
}

/// For how long this thread has had a processor, where the system tells it: who else wants one is no matter then.
fn processor_time() -> Option<Duration> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    told.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// Time grows with the length of the text, whatever is in it.
#[test]
fn hostile_texts_take_linear_time() {
    let size = if cfg!(debug_assertions) { 1 << 15 } else { 1 << 20 };
    for piece in [
        "(",
        "{",
        "[",
        "\"",
        "\"{",
        "\"\"\"{",
        "if x {\n",
        "{\n",
        "}\n",
        "when a.b do { if x { c.d(e: [{ f: \"{g\"\n",
        "a and not -",
        "when where do ",
        "# x\n",
        "## x\n",
        "when a.b were c > 5 do { d.e(f: g, h: \"i\") }\n",
        "when a.b do {\n c.d(e f)\n g.h(i: )\n}\n",
        "\"\"\"",
        "\"\"\"\n",
        "`",
        "'{'",
        "connector a { record B { c: ",
        "x matches \"{",
        "else if x { } ",
        "match x { \"a\" => ",
        "\u{FEFF}",
        "é",
        "{{",
        "a.b(",
        "1:",
        "2026-",
        "\\",
    ] {
        for start in ["", "when a.b do { ", "when a.b where ", "when a.b do c.d(e: \"{", "connector a { ", "test \"a\" { "] {
            let text = format!("{start}{}", piece.repeat(size / piece.len()));
            let took = on_small_stack(move || {
                let (at, before) = (Instant::now(), processor_time());
                let _ = parse(&text).errors.len();
                processor_time().zip(before).map_or_else(|| at.elapsed(), |(now, before)| now - before)
            });
            let limit = if cfg!(debug_assertions) { 4_000 } else { 3_000 };
            let ms = took.as_millis();
            assert!(ms < limit, "{piece:?} behind {start:?} took {ms} ms");
        }
    }
}

/// A file cut off anywhere is read up to there.
#[test]
fn cut_off_files_are_read() {
    for (_, source) in crate::support::fixtures() {
        for end in (0..source.len()).filter(|at| source.is_char_boundary(*at)).step_by(3) {
            let parsed = parse(&source[..end]);
            assert!(parsed.errors.len() <= 3, "{:#?}\n{}", parsed.errors, &source[..end]);
        }
    }
}
