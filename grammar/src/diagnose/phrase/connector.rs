//! Connectors: `base: "…"`, `post "/path"`, `POST /path`, `bearer token`, `text id`, `): Order {`.

use super::{instead, said};
use crate::diagnose::look::Look;
use crate::diagnose::token::Kind;
use crate::error::SyntaxError;
use crate::span::Span;

pub(super) fn find(look: &Look<'_>) -> Option<SyntaxError> {
    let at = look.found;
    path(look, at)
        .or_else(|| method(look, at))
        .or_else(|| colon(look, at))
        .or_else(|| auth(look, at))
        .or_else(|| input(look, at))
        .or_else(|| returns(look, at))
        .or_else(|| wire(look, at))
        .or_else(|| effect(look, at))
}

/// `POST /buy`.
fn path(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    if look.word(at) != "/" || !matches!(look.word_before(at, 1), "GET" | "POST" | "PUT" | "PATCH" | "DELETE") {
        return None;
    }
    let rest = look.source.get(look.span(at).start as usize..)?;
    let len = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let start = look.span(at).start as usize;
    let span = Span::new(start, start + len);
    Some(instead(span, span, "a path is a text", &format!("\"{}\"", span.text(look.source))))
}

/// `post "/buy"`.
fn method(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let at = (at.saturating_sub(1)..=at).find(|i| {
        matches!(look.word(*i), "get" | "post" | "put" | "patch" | "delete" | "Get" | "Post" | "Put" | "Patch" | "Delete")
            && look.kind(i + 1) == Some(Kind::Text)
    })?;
    let with = look.word(at).to_uppercase();
    Some(instead(look.span(at), look.span(at), "a method is written in capitals", &with))
}

/// `base: "…"`.
fn colon(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let word = look.word_before(at, 1);
    let known =
        matches!(word, "base" | "docs" | "secret" | "auth" | "header" | "limit" | "items" | "type" | "seen" | "effect" | "retry");
    (look.word(at) == ":" && known).then(|| {
        let span = look.span(at);
        SyntaxError::new("E108", span, format!("no colon stands behind `{word}`"))
            .label("`:` is not part of Flow here")
            .help(format!("write `{word} {}`", look.word(at + 1)))
            .fix("remove `:`", span, "")
    })
}

/// `auth bearer token`, `auth "Bearer …"`.
fn auth(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    if look.word_before(at, 1) == "auth" && look.kind(at) == Some(Kind::Text) {
        let form = "auth bearer(token)";
        return Some(
            said(look.span(at), "`auth` names a scheme, and the secret that it takes", form)
                .help(format!("write `secret token` and `{form}`: the secret itself stands in flow.toml, never in a source")),
        );
    }
    if look.word_before(at, 2) == "auth" && look.kind(at) == Some(Kind::Word) {
        let (scheme, secret) = (look.word_before(at, 1), look.word(at));
        let whole = look.span(at - 1).to(look.span(at));
        return Some(instead(look.span(at), whole, "what a scheme takes stands in brackets", &format!("{scheme}({secret})")));
    }
    None
}

/// `buy(text id)`, `record Order { text id }`.
fn input(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let kind = look.word_before(at, 1);
    let known = matches!(
        kind,
        "text"
            | "bool"
            | "int"
            | "number"
            | "date"
            | "time"
            | "datetime"
            | "duration"
            | "json"
            | "email"
            | "phone"
            | "url"
            | "string"
            | "integer"
    );
    if !known || look.kind(at) != Some(Kind::Word) || !matches!(look.word_before(at, 2), "(" | "," | "{") {
        return None;
    }
    let kind = match kind {
        "string" => "text",
        "integer" => "int",
        kind => kind,
    };
    let whole = look.span(at - 1).to(look.span(at));
    Some(instead(whole, whole, "the name comes first, and its type behind `:`", &format!("{}: {kind}", look.word(at))))
}

/// `query q(id: text): Order {`.
fn returns(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let open = look.last_of(at, &["query", "action"])?;
    let sign = matches!(look.word(at), ":" | "=>" | "returns") && at - open > 1 && look.word(at + 1) != "{";
    let near = look.word_before(at, 1) == ")" || at - open == 2;
    (sign && near && look.kind(at + 1) == Some(Kind::Word)).then(|| {
        let place = look.gap(at).to(look.span(at));
        let with = format!("-> {}", look.word(at + 1));
        said(look.span(at), "what an operation gives stands behind `->`", &with).fix("write `->`", place, " ->")
    })
}

/// `at: datetime at "created"`.
fn wire(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    if look.kind(at) != Some(Kind::Text) || look.word_before(at, 1) != "at" {
        return None;
    }
    let behind = look.word_before(at, 2);
    let typed =
        matches!(behind, "?" | "text" | "int" | "bool" | "number" | "datetime" | "date" | "json" | "email" | "phone" | "url");
    typed.then(|| {
        let span = look.span(at - 1);
        instead(span, span, "the name of a field on the wire stands behind `from`", "from")
            .help(format!("write `from {}`", look.word(at)))
    })
}

/// `effect idempotent`.
fn effect(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    if look.word_before(at, 1) != "effect" || look.kind(at) != Some(Kind::Word) {
        return None;
    }
    let word = look.word(at);
    let near = crate::diagnose::similar::nearest(word, &["read", "set", "keyed", "findable", "once"]);
    if near.is_some() || matches!(word, "read" | "set" | "keyed" | "findable" | "once") {
        return None;
    }
    Some(
        SyntaxError::new("E108", look.span(at), format!("there is no effect `{word}`"))
            .label("expected `read`, `set`, `keyed`, `findable` or `once`")
            .help("`set`: twice is as good as once; `keyed header \"Idempotency-Key\" for 24 hours`: the service drops what it has seen; `findable by QUERY(…)`: one can ask whether it happened; `once`: it cannot be repeated"),
    )
}
