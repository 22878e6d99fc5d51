//! Patterns for numbers: `#,##0.00`.

use flow_plan::Currency;
use rust_decimal::{Decimal, RoundingStrategy};

use super::{Of, Problem, quoted, unclosed};

/// What stands for the currency.
const CURRENCY: &str = "CCC";

/// A pattern that was read.
#[derive(Debug, Default, PartialEq)]
struct Form {
    before: Vec<Piece>,
    /// The least digits before the decimal point.
    whole: usize,
    /// What stands at each thousand.
    group: Option<char>,
    point: char,
    /// The least and the most digits behind the decimal point.
    decimals: (usize, usize),
    behind: Vec<Piece>,
}

#[derive(Debug, PartialEq)]
enum Piece {
    Text(String),
    Currency,
}

/// Returns a number in the form of a pattern; `None` where the pattern cannot be read, or shows a currency and there is none.
pub fn write(pattern: &str, number: Decimal, currency: Option<Currency>) -> Option<String> {
    let form = read(pattern).ok()?;
    let most = u32::try_from(form.decimals.1).unwrap_or(u32::MAX).min(Decimal::MAX_SCALE);
    let number = number.round_dp_with_strategy(most, RoundingStrategy::MidpointNearestEven).normalize();
    let digits = number.abs().to_string();
    let (whole, decimals) = digits.split_once('.').unwrap_or((&digits, ""));
    let mut shown = grouped(if whole == "0" && form.whole == 0 { "" } else { whole }, &form);
    if decimals.len().max(form.decimals.0) > 0 {
        shown.push(form.point);
        shown.push_str(decimals);
        shown.extend(std::iter::repeat_n('0', form.decimals.0.saturating_sub(decimals.len())));
    }
    if shown.is_empty() {
        shown.push('0');
    }
    let before = pieces(&form.before, currency)?;
    let minus = if number.is_sign_negative() && !number.is_zero() { "-" } else { "" };
    let behind = pieces(&form.behind, currency)?;
    // `-$5`, but `USD -5`.
    let stands_apart = before.ends_with(char::is_whitespace);
    Some(if stands_apart { format!("{before}{minus}{shown}{behind}") } else { format!("{minus}{before}{shown}{behind}") })
}

fn grouped(whole: &str, form: &Form) -> String {
    let padded = format!("{}{whole}", "0".repeat(form.whole.saturating_sub(whole.len())));
    let Some(group) = form.group else { return padded };
    let mut out = String::new();
    for (at, digit) in padded.chars().enumerate() {
        if at > 0 && (padded.len() - at) % 3 == 0 {
            out.push(group);
        }
        out.push(digit);
    }
    out
}

fn pieces(pieces: &[Piece], currency: Option<Currency>) -> Option<String> {
    let mut out = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Currency => out.push_str(currency?.code()),
        }
    }
    Some(out)
}

/// Tells what is wrong with a pattern for a number or money.
///
/// # Errors
/// Where it cannot be read, or names a currency that the value may not have.
pub fn check(pattern: &str, of: Of) -> Result<(), Problem> {
    let form = read(pattern)?;
    let all = || form.before.iter().chain(&form.behind);
    if of == Of::Money {
        let symbols = ['$', '€', '£', '¥'];
        let symbol = all().find_map(|piece| match piece {
            Piece::Text(text) => text.chars().find(|letter| symbols.contains(letter)),
            Piece::Currency => None,
        });
        if let Some(symbol) = symbol {
            return Err(Problem::new(
                format!("`{symbol}` would stand before amounts in every currency"),
                "`CCC` is the currency that the amount has, such as USD",
            )
            .instead(with_currency(pattern, symbol)));
        }
    } else if all().any(|piece| *piece == Piece::Currency) {
        return Err(Problem::new("a number has no currency", "`CCC` is the currency of money"));
    }
    Ok(())
}

/// The pattern with the code in the place of a symbol, behind the number.
fn with_currency(pattern: &str, symbol: char) -> String {
    format!("{} {CURRENCY}", pattern.replace(symbol, "").replace(CURRENCY, "").trim())
}

fn read(pattern: &str) -> Result<Form, Problem> {
    if let Some(at) = pattern.find('%')
        && pattern.get(at..).is_some_and(|rest| rest.ends_with(['f', 'd', 's']) && rest.len() <= 5)
    {
        let decimals: usize = pattern.chars().filter_map(|digit| digit.to_digit(10)).next_back().map_or(0, |n| n as usize);
        let instead = if decimals == 0 { "0".to_owned() } else { format!("0.{}", "0".repeat(decimals)) };
        return Err(Problem::new("a pattern shows its digits", "`0.00` is a number with two decimals").instead(instead));
    }
    let (before, rest) = literal(pattern)?;
    let end = rest.find(|letter: char| !is_digit(letter) && !is_separator(letter)).unwrap_or(rest.len());
    // A separator is one only between two digits.
    let end = rest.get(..end).unwrap_or("").trim_end_matches(is_separator).len();
    let (digits, rest) = (rest.get(..end).unwrap_or(""), rest.get(end..).unwrap_or(""));
    if digits.is_empty() {
        return Err(Problem::new(
            "this pattern shows no digit",
            "`0` is a digit that always stands there, `#` one that need not: `0.00`, `#,##0.00`",
        ));
    }
    let (behind, rest) = literal(rest)?;
    if !rest.is_empty() {
        return Err(Problem::new(
            "this pattern shows two numbers",
            "words with `0` or `#` in them stand in single quotes: `0 'of 10'`",
        ));
    }
    Ok(Form { before, behind, ..shape(digits)? })
}

fn is_digit(letter: char) -> bool {
    matches!(letter, '0' | '#')
}

fn is_separator(letter: char) -> bool {
    matches!(letter, ',' | '.' | ' ' | '\u{a0}' | '\u{202f}' | '’')
}

/// Reads what stands before the first digit.
fn literal(mut rest: &str) -> Result<(Vec<Piece>, &str), Problem> {
    let mut out = Vec::new();
    let mut text = String::new();
    while let Some(letter) = rest.chars().next() {
        if is_digit(letter) {
            break;
        }
        if let Some(behind) = rest.strip_prefix('\'') {
            let (quoted, behind) = quoted(behind).ok_or_else(unclosed)?;
            text.push_str(&quoted);
            rest = behind;
        } else if let Some(behind) = rest.strip_prefix(CURRENCY) {
            if !text.is_empty() {
                out.push(Piece::Text(std::mem::take(&mut text)));
            }
            out.push(Piece::Currency);
            rest = behind;
        } else {
            text.push(letter);
            rest = rest.get(letter.len_utf8()..).unwrap_or("");
        }
    }
    if !text.is_empty() {
        out.push(Piece::Text(text));
    }
    Ok((out, rest))
}

/// Reads the digits with their separators.
fn shape(digits: &str) -> Result<Form, Problem> {
    let point = decimal_point(digits);
    let (whole, decimals) = match point {
        Some(at) => (digits.get(..at).unwrap_or(""), digits.get(at + 1..).unwrap_or("")),
        None => (digits, ""),
    };
    let mut groups = whole.split(is_separator);
    let first = groups.next().unwrap_or("");
    let group = whole.chars().find(|letter| is_separator(*letter));
    let uneven = groups.any(|group| group.len() != 3) || first.is_empty() && !whole.is_empty();
    let two_marks = whole.chars().filter(|letter| is_separator(*letter)).any(|letter| Some(letter) != group);
    let mut marks = whole.chars().filter(|letter| is_digit(*letter)).skip_while(|letter| *letter == '#');
    let bad_whole = marks.any(|letter| letter == '#');
    let zeros = decimals.chars().take_while(|letter| *letter == '0').count();
    let bad_decimals = decimals.chars().skip(zeros).any(|letter| letter != '#');
    if uneven || two_marks || bad_whole || bad_decimals {
        let shown = if decimals.is_empty() { "#,##0".to_owned() } else { format!("#,##0.{}", "0".repeat(decimals.len())) };
        return Err(Problem::new(
            "the digits of this pattern cannot be read",
            "before the point `#` stands before `0`, behind it `0` before `#`, and between thousands are three digits",
        )
        .instead(shown));
    }
    Ok(Form {
        before: Vec::new(),
        whole: whole.chars().filter(|letter| *letter == '0').count(),
        group,
        point: point.and_then(|at| digits.get(at..)?.chars().next()).unwrap_or('.'),
        decimals: (zeros, decimals.len()),
        behind: Vec::new(),
    })
}

/// Returns the place of the decimal point. Both `.` and `,` can be it; where one stands before exactly three digits as at
/// a thousand, it is none.
fn decimal_point(digits: &str) -> Option<usize> {
    let at = digits.rfind(['.', ','])?;
    let mark = digits.get(at..)?.chars().next()?;
    let other = if mark == '.' { ',' } else { '.' };
    if digits.contains(other) {
        return Some(at);
    }
    let tail = digits.get(at + 1..)?;
    let thousand = tail == "##0" || mark == ',' && tail.len() == 3 && tail.chars().all(is_digit);
    (digits.matches(mark).count() == 1 && !thousand).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pattern: &str, number: &str) -> String {
        write(pattern, number.parse().unwrap(), Currency::parse("USD")).unwrap()
    }

    #[test]
    fn shows_numbers_as_the_pattern_does() {
        for (pattern, number, expected) in [
            ("0", "7.5", "8"),
            ("0", "6.5", "6"),
            ("0.00", "1234.5", "1234.50"),
            ("#,##0.00", "1234567.891", "1,234,567.89"),
            ("#,##0", "999", "999"),
            ("0,000", "12", "0,012"),
            ("#.##0,00", "1234.5", "1.234,50"),
            ("# ##0,00", "1234.5", "1 234,50"),
            ("#.##0", "1234.5", "1.234"),
            ("0,00", "1234.5", "1234,50"),
            ("0.###", "1.5", "1.5"),
            ("#.##", "0.5", ".5"),
            ("#", "0", "0"),
            ("000", "-7", "-007"),
            ("$0.00", "-5", "-$5.00"),
            ("CCC 0.00", "-5", "USD -5.00"),
            ("0.0 °C", "21.44", "21.4 °C"),
            ("0 'of 10'", "3", "3 of 10"),
            ("'#'0", "3", "#3"),
            ("0.00", "-0.001", "0.00"),
            ("0.0 %", "12.5", "12.5 %"),
        ] {
            assert_eq!(shown(pattern, number), expected, "{pattern} of {number}");
        }
    }

    #[test]
    fn tells_what_cannot_be_read() {
        for (pattern, instead) in [
            ("%.2f", Some("0.00")),
            ("0,0.00", Some("#,##0.00")),
            ("N2", None),
            ("", None),
            ("0.#0", Some("#,##0.00")),
            ("'0", None),
        ] {
            assert_eq!(check(pattern, Of::Number).unwrap_err().instead.as_deref(), instead, "{pattern}");
        }
        assert_eq!(check("$#,##0.00", Of::Money).unwrap_err().instead.as_deref(), Some("#,##0.00 CCC"));
        assert!(check("0.00 CCC", Of::Number).is_err() && check("0.00 CCC", Of::Money).is_ok());
    }
}
