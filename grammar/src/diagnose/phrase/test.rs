//! Tests: `assert`, `expect … called once`, `expect not`, `when` for `given`.

use super::{between, instead, path_at, path_before, perhaps, said};
use crate::diagnose::look::Look;
use crate::diagnose::token::Kind;
use crate::error::SyntaxError;
use crate::grammar::Rule;
use crate::span::Span;

pub(super) fn find(look: &Look<'_>) -> Option<SyntaxError> {
    let at = look.found;
    if look.place == Rule::only_tests {
        return number_word(look, at).or_else(|| line(look, at)).or_else(|| expected(look, at)).or_else(|| fails(look, at));
    }
    if look.place != Rule::only_items {
        return None;
    }
    head(look, at)
}

/// `test a {`, `test "a":`, `it("…"`, `given …` outside of a test.
fn head(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let first = look.span(0);
    match look.word(0) {
        "test" if at == 1 && look.kind(1) == Some(Kind::Word) && look.word(1) != "for" => {
            let last = (1..8).find(|i| look.word(*i + 1) == "{")?;
            let span = look.span(1).to(look.span(last));
            let name = span.text(look.source);
            Some(instead(span, span, "a test is named by a text", &format!("\"{name}\"")))
        }
        "it" | "describe" | "scenario" | "Scenario" if look.word(1) == "(" || look.kind(1) == Some(Kind::Text) => {
            let name = (1..3).find(|i| look.kind(*i) == Some(Kind::Text)).map_or("\"what it shows\"", |i| look.word(i));
            Some(
                SyntaxError::new("E101", first, "a test begins with `test`")
                    .label("comes from another tool")
                    .help(format!("write `test {name} {{ given service.event  expect service.action once }}`")),
            )
        }
        "given" | "expect" if at == 0 && look.word(1) != "." => {
            let word = look.word(0);
            Some(
                SyntaxError::new("E101", first, format!("`{word}` stands in a test"))
                    .label("outside of a test")
                    .help("write `test \"what it shows\" { given …  expect … }`"),
            )
        }
        _ => None,
    }
}

/// Words that begin a line elsewhere.
fn line(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let span = look.span(at);
    // The name of a field.
    if look.word(at + 1) == ":" {
        return None;
    }
    let with = match look.word(at) {
        ";" => {
            let mut error =
                SyntaxError::new("E108", span, "the lines of a test need nothing between them").label("`;` is not part of Flow");
            let edits = look.tokens.iter().filter(|token| token.text == ";").map(|token| (token.span, String::new())).collect();
            error.fixes.push(crate::error::Fix { title: "remove `;`".to_owned(), edits, safe: true });
            return Some(error);
        }
        "then" | "and" if matches!(look.word(at + 1), "expect" | "given" | "after") => {
            let whole = Span { start: span.start, end: look.span(at + 1).start };
            return Some(
                SyntaxError::new("E108", span, "the lines of a test need nothing between them")
                    .label("this word is too many")
                    .fix(format!("remove `{}`", look.word(at)), whole, ""),
            );
        }
        "then" | "and" if path_at(look, at + 1).is_some() => "expect",
        "assert" | "should" | "verify" | "check" | "ensure" | "expects" => "expect",
        "when" | "if" | "trigger" | "send" | "emit" | "fire" => "given",
        "wait" | "sleep" | "advance" | "delay" => "after",
        _ => return None,
    };
    Some(
        instead(span, span, &format!("a line of a test begins with `{with}` here"), with)
            .help("`given` says what happens, `after` lets time pass, `expect` says what is done"),
    )
}

/// `expect called a.b`, `expect a.b called once`, `expect a.b 2x`, `expect not a.b`, `expect a.b never`.
fn expected(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let no = "that something is not done is written `expect no`";
    if look.word_before(at, 1) == "expect" && matches!(look.word(at), "not" | "never" | "zero") {
        let name = path_at(look, at + 1).map(|last| between(look, at + 1, last))?;
        let span = look.span(at);
        return Some(instead(span, span, no, "no").help(format!("write `expect no {name}`")));
    }
    if look.word_before(at, 2) == "expect" && matches!(look.word_before(at, 1), "called" | "call" | "that" | "calls") {
        let word = look.span(at - 1);
        let name = between(look, at, path_at(look, at)?);
        let whole = Span { start: word.start, end: look.span(at).start };
        return Some(said(word, "behind `expect` stands the action", &format!("expect {name} once")).fix(
            format!("remove `{}`", word.text(look.source)),
            whole,
            "",
        ));
    }
    let expect = path_before(look, at).and_then(|first| first.checked_sub(1)).filter(|at| look.word(*at) == "expect");
    if let Some(expect) = expect {
        let name = between(look, expect + 1, at - 1);
        let span = look.span(at);
        match look.word(at) {
            "never" | "0" => {
                let whole = look.span(expect).to(span);
                return Some(instead(span, whole, no, &format!("expect no {name}")));
            }
            "called" | "to" | "was" | "is" | "happens" | "runs" | "toBeCalled" | "should" => {
                let last = (at..at + 6)
                    .take_while(|i| {
                        matches!(
                            look.word(*i),
                            "called"
                                | "to"
                                | "was"
                                | "is"
                                | "have"
                                | "been"
                                | "be"
                                | "happens"
                                | "runs"
                                | "toBeCalled"
                                | "should"
                        )
                    })
                    .last()?;
                let not = look.word(last + 1) == "not";
                if not {
                    return None;
                }
                let counted = matches!(look.word(last + 1), "once" | "twice") || look.kind(last + 1) == Some(Kind::Number);
                let span = span.to(look.span(last));
                let (with, form) = if counted {
                    ("", format!("expect {name} {}", look.word(last + 1)))
                } else {
                    ("once", format!("expect {name} once"))
                };
                let whole = if counted { Span { start: span.start, end: look.span(last + 1).start } } else { span };
                return Some(said(span, "behind the action stands how often", &form).fix(format!("write `{form}`"), whole, with));
            }
            _ => {}
        }
    }
    if matches!(look.word(at), "x" | "X" | "×") && look.kind(at.checked_sub(1)?) == Some(Kind::Number) {
        let form = format!("{} times", look.word(at - 1));
        let whole = look.span(at - 1).to(look.span(at));
        return Some(instead(whole, whole, "how often is written with `times`", &form));
    }
    None
}

/// `given a.b fails`, `fails once with "timeout"`.
fn fails(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let fails = (at.saturating_sub(3)..=at).find(|i| matches!(look.word(*i), "fails" | "fail" | "throws" | "errors"))?;
    let name = path_before(look, fails)
        .filter(|first| look.word_before(*first, 1) == "given")
        .map(|first| between(look, first, fails - 1))?;
    let message = "how a call fails is said behind `with`";
    let count = if matches!(look.word(fails + 1), "once" | "twice") { look.word(fails + 1) } else { "once" };
    let counted = usize::from(matches!(look.word(fails + 1), "once" | "twice"));
    let last = if look.word(fails + counted + 1) == "with" && look.kind(fails + counted + 2) == Some(Kind::Text) {
        fails + counted + 2
    } else {
        fails + counted
    };
    let written = look.word(last).trim_matches(['"', '\'']);
    let how = match written {
        "timeout" | "timeout_before_effect" | "timeout_after_effect" => written,
        _ => "timeout",
    };
    let whole = look.span(fails).to(look.span(last));
    let form = format!("fails {count} with {how}");
    Some(
        perhaps(whole, whole, message, &form)
            .help(format!("write `given {name} {form}`, or a status: `{name} fails {count} with 503`")),
    )
}

/// `two times`.
pub(super) fn number_word(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    if look.word(at + 1) != "times" {
        return None;
    }
    let with = match look.word(at) {
        "one" => "once",
        "two" => "twice",
        "three" => "3 times",
        "four" => "4 times",
        "five" => "5 times",
        "ten" => "10 times",
        _ => return None,
    };
    let span = look.span(at).to(look.span(at + 1));
    Some(instead(span, span, "how often is written as a number", with))
}
