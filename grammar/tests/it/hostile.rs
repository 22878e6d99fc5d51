//! Texts made to break the parser: deep, long, cut off.

use flow_grammar::parse;

/// Runs on a stack of 2 MiB, as threads of the runtime have it.
fn on_small_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(work)
        .unwrap()
        .join()
        .unwrap()
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
