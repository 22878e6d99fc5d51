//! Numbers with a wrong unit, and times in a wrong form.

use super::look::{Look, is_reserved};
use super::shape::inserting;
use super::similar::nearest;
use super::token::Kind;
use crate::error::SyntaxError;
use crate::grammar::Rule;

/// Numbers with a wrong unit, and times in a wrong form.
pub(super) fn amount(look: &Look<'_>) -> Option<SyntaxError> {
    let at = look.found;
    let duration_word = |at: usize| {
        matches!(
            look.word_before(at, 1),
            "wait" | "within" | "to" | "timeout" | "over" | "every" | "history" | "after" | "for" | "per" | "-" | "+"
        )
    };
    let wants_duration = look.expects(|rule| matches!(rule, Rule::duration | Rule::unit))
        && (duration_word(at) || at > 0 && duration_word(at - 1));
    if look.kind(at) == Some(Kind::Time) && wants_duration && !look.expects_rule(Rule::every_at) {
        return Some(time_as_duration(look, at));
    }
    // `9am`, `9 pm`, `9.30`, `9` where a time stands.
    let wants_time = look.expects_rule(Rule::time) || look.word_before(at, 1) == "at" || look.word_before(at, 2) == "at";
    let number_at = if look.kind(at) == Some(Kind::Number) {
        Some(at)
    } else {
        at.checked_sub(1).filter(|n| look.kind(*n) == Some(Kind::Number))
    };
    let number_at = number_at?;
    let number = look.word(number_at);
    let number_span = look.span(number_at);
    if wants_time
        && look.place_is_flow()
        && matches!(look.word_before(number_at, 1), "at" | "until" | "," | "and")
        && !look.expects_rule(Rule::expr)
    {
        return clock(look, number_at);
    }
    let unit_at = number_at + 1;
    let unit = look.word(unit_at);
    if unit_at == at && look.kind(unit_at) == Some(Kind::Word) && !is_reserved(unit) {
        let span = number_span.to(look.span(unit_at));
        if let Some(error) = scaled(look, number, unit, unit_at) {
            return Some(error);
        }
        if let Some(code) = currency_of(unit) {
            let form = format!("{number} {code}");
            return Some(
                SyntaxError::new("E111", look.span(unit_at), "a currency is written as its three capitals")
                    .label(format!("did you mean `{code}`?"))
                    .help(format!("write `{form}`"))
                    .guess(format!("write `{form}`"), span, form),
            );
        }
        let near = nearest(unit, &["seconds", "minutes", "hours", "days", "weeks", "months", "years", "milliseconds", "times"]);
        if wants_duration && let Some(near) = near {
            let form = format!("{number} {near}");
            return Some(
                SyntaxError::new("E111", look.span(unit_at), format!("`{unit}` is no unit of time"))
                    .label(format!("did you mean `{near}`?"))
                    .help(format!("write `{form}`"))
                    .guess(format!("write `{form}`"), span, form),
            );
        }
    }
    // `wait 15`, `within 5`.
    if unit_at == at && wants_duration && !look.expects_rule(Rule::w_times) {
        return Some(inserting(
            SyntaxError::new("E111", number_span, "this duration has no unit")
                .label(format!("{number} of what?"))
                .help(format!("write `{number} minutes`, or another unit: seconds, hours, days")),
            look,
            "add `minutes`",
            " minutes",
        ))
        .map(|mut error| {
            error.fixes.iter_mut().for_each(|fix| fix.safe = false);
            error
        });
    }
    None
}

/// `1k`, `1e3`, `10000 cents`.
fn scaled(look: &Look<'_>, number: &str, unit: &str, unit_at: usize) -> Option<SyntaxError> {
    let span = look.span(unit_at - 1).to(look.span(unit_at));
    let wrong = |message: &str, form: &str| {
        SyntaxError::new("E111", span, message.to_owned()).label("written in full").help(format!("write `{form}`"))
    };
    let money = |form: String| match look.word(unit_at + 1) {
        code if currency_of(code).is_some() => (format!("{form} {code}"), span.to(look.span(unit_at + 1))),
        _ => (form, span),
    };
    let whole = number.parse::<u64>().ok();
    if look.adjacent(unit_at - 1) && matches!(unit, "k" | "K") {
        let (form, span) = money(whole.map_or_else(|| "1_500".to_owned(), |whole| format!("{whole}_000")));
        let error = wrong("thousands are written out", &form);
        return Some(if whole.is_some() { error.fix(format!("write `{form}`"), span, form) } else { error });
    }
    let power = unit.strip_prefix(['e', 'E']).and_then(|power| power.parse::<usize>().ok());
    if look.adjacent(unit_at - 1)
        && let Some(power) = power.filter(|power| *power < 16)
    {
        let whole = whole?;
        let (form, span) = money(format!("{whole}{}", "0".repeat(power)));
        return Some(wrong("numbers are written without an exponent", &form).fix(format!("write `{form}`"), span, form));
    }
    if matches!(unit, "cent" | "cents" | "pence" | "pennies") {
        let whole = whole?;
        let code = if unit.starts_with("pe") { "GBP" } else { "USD" };
        let form = format!("{}.{:02} {code}", whole / 100, whole % 100);
        return Some(wrong("money is written in whole units, with its currency code", &form).guess(
            format!("write `{form}`"),
            span,
            form,
        ));
    }
    None
}

fn time_as_duration(look: &Look<'_>, at: usize) -> SyntaxError {
    let written = look.word(at);
    let mut numbers = written.split(':').map(|part| part.parse::<u32>().unwrap_or(0));
    let (first, second, third) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0), numbers.next());
    let units = match third {
        Some(third) => [(first, "hour"), (second, "minute"), (third, "second")],
        None => [(first, "hour"), (second, "minute"), (0, "second")],
    };
    let words: Vec<String> = units
        .iter()
        .filter(|(amount, _)| *amount > 0)
        .map(|(amount, unit)| if *amount == 1 { format!("1 {unit}") } else { format!("{amount} {unit}s") })
        .collect();
    let form = if words.is_empty() { "0 seconds".to_owned() } else { words.join(" ") };
    let span = look.span(at);
    SyntaxError::new("E108", span, "a duration is written with its units")
        .label(format!("`{written}` is a time of day"))
        .help(format!("write `{form}`"))
        .guess(format!("write `{form}`"), span, form)
}

/// `9am`, `9`, `9.30` where a time of day belongs.
fn clock(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let number = look.word(at);
    let mut span = look.span(at);
    let (hour, minute) = number.split_once('.').unwrap_or((number, "00"));
    let mut hour: u32 = hour.parse().ok()?;
    let half = look.word(at + 1).to_lowercase();
    if matches!(half.as_str(), "am" | "pm" | "a" | "p" | "uhr" | "h" | "o" | "hours") {
        span = span.to(look.span(at + 1));
        match half.as_str() {
            "pm" | "p" if hour < 12 => hour += 12,
            "am" | "a" if hour == 12 => hour = 0,
            _ => {}
        }
    }
    if hour > 23 || minute.len() > 2 {
        return None;
    }
    let form = format!("{hour:02}:{minute:0<2}");
    Some(
        SyntaxError::new("E111", span, "a time of day is written with hours and minutes")
            .label("from 00:00 to 23:59")
            .help(format!("write `{form}`"))
            .guess(format!("write `{form}`"), span, form),
    )
}

pub(super) fn currency_of(word: &str) -> Option<String> {
    let upper = word.to_uppercase();
    let code = match upper.as_str() {
        "DOLLAR" | "DOLLARS" | "BUCKS" => "USD",
        "EURO" | "EUROS" => "EUR",
        "POUND" | "POUNDS" => "GBP",
        "YEN" => "JPY",
        "FRANC" | "FRANCS" => "CHF",
        "USD" | "EUR" | "GBP" | "JPY" | "CHF" | "CAD" | "AUD" | "SEK" | "NOK" | "DKK" | "PLN" | "CZK" | "INR" | "CNY" | "NZD"
        | "SGD" | "HKD" | "KRW" | "BRL" | "MXN" | "ZAR" | "TRY" | "HUF" | "RON" | "ILS" | "AED" | "THB" | "ISK" => &upper,
        _ => return None,
    };
    Some(code.to_owned())
}
