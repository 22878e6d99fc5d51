//! Numbers and amounts as people write them: `$1,000`, `1.000,50 EUR`, `1 000 EUR`, `US$100`.
//!
//! The whole of what was written is taken, and no fix changes the value in silence: what can be read in two ways
//! gets both, to choose from.

use super::amount::currency_of;
use super::look::Look;
use crate::error::SyntaxError;
use crate::grammar::Rule;
use crate::span::Span;

/// Currencies with three decimal places.
const THREE_PLACES: [&str; 7] = ["KWD", "BHD", "OMR", "JOD", "TND", "IQD", "LYD"];

/// A number as written, with what stands around it.
struct Written<'s> {
    /// All of it.
    span: Span,
    /// The digits with what separates them.
    digits: &'s str,
    /// Where the digits begin.
    start: usize,
    /// `$` and the like, before or behind.
    sign: Option<&'s str>,
    /// A currency before the digits.
    before: Option<String>,
    /// A currency behind them.
    behind: Option<String>,
    /// `k` stands right behind the digits.
    thousands: bool,
}

/// What the digits say.
enum Reading {
    /// As Flow has it.
    Plain,
    /// One value: the form to write.
    One(String),
    /// A group of three digits, or three decimal places.
    Two { grouped: String, decimal: String },
    /// No value at all.
    None,
}

/// An amount in another form at the place where the parser stopped.
pub(super) fn find(look: &Look<'_>) -> Option<SyntaxError> {
    let span = look.span(look.found);
    let here = Written::at(look.source, span.start as usize);
    let here = here.or_else(|| {
        let before = look.span(look.found.checked_sub(1)?);
        let written = Written::at(look.source, before.start as usize)?;
        // `[1,2 x]` is wrong somewhere else.
        // Two numbers in a row look like the count of a window to the parser.
        let grouped = written.digits.contains(' ') && look.expects_rule(Rule::w_times);
        (written.before.is_some() || written.sign.is_some() || grouped).then_some(written)
    })?;
    here.error()
}

/// A number that was read but may be part of something else: `1.000`, `x: 1,000`.
pub(super) fn number(source: &str, span: Span) -> Option<Option<SyntaxError>> {
    let written = Written::at(source, span.start as usize)?;
    let groups: Vec<&str> = written.digits.split(',').collect();
    let zeros = groups.iter().skip(1).any(|group| group.len() > 1 && group.starts_with('0') && !group.starts_with("0."));
    let before = source.get(..written.span.start as usize).unwrap_or("").trim_end_matches(' ');
    let thousand = groups.first().is_some_and(|first| first.ends_with(".000"));
    let places = groups.len() == 1
        && written.behind.is_some()
        && written.digits.split_once('.').is_some_and(|(_, fraction)| fraction.len() == 3 && fraction.ends_with('0'));
    if !(thousand || places || groups.len() > 1 && (zeros || before.ends_with(':'))) {
        return None;
    }
    // The first of its groups speaks for all.
    Some(if written.start == span.start as usize { written.error() } else { None })
}

impl<'s> Written<'s> {
    /// Finds the amount around a place.
    fn at(source: &'s str, at: usize) -> Option<Self> {
        let from = source.get(..at)?.rfind('\n').map_or(0, |line| line + 1);
        // The line before may be long: what belongs together is short.
        let mut begin = from.max(at.saturating_sub(80));
        while !source.is_char_boundary(begin) {
            begin += 1;
        }
        let mut word = source.get(..begin).is_some_and(|before| before.ends_with(|c: char| c.is_alphanumeric() || c == '_'));
        while begin <= at {
            let rest = source.get(begin..)?;
            let first = rest.chars().next()?;
            if !word && let Some(written) = Self::read(source, begin) {
                let end = written.span.end as usize;
                if end > at {
                    return Some(written);
                }
                begin = end;
            } else {
                begin += first.len_utf8();
            }
            word = source.get(..begin)?.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | ')' | ']'));
        }
        None
    }

    /// Reads an amount that begins at `start`.
    fn read(source: &'s str, start: usize) -> Option<Self> {
        let rest = source.get(start..)?;
        let mut len = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let word = rest.get(..len)?;
        let mut before = None;
        let mut sign = None;
        let mark = sign_at(rest.get(len..)?);
        if let Some(mark) = mark {
            if len > 0 {
                before = Some(dollar(word)?.to_owned());
            }
            sign = Some(mark);
            len += mark.len();
        } else if len > 0 {
            before = Some(currency_of(word)?);
        }
        if before.is_some() || sign.is_some() {
            len += blanks(rest.get(len..)?);
        }
        let digits = digits(rest.get(len..)?)?;
        let at = start + len;
        let mut end = at + digits.len();
        let word = |text: &str| text.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        let thousands = source.get(end..).is_some_and(|text| text.starts_with(['k', 'K']) && word(text) == 1);
        end += usize::from(thousands);
        let behind_digits = source.get(end..)?;
        if behind_digits.starts_with(':') && behind_digits.as_bytes().get(1).is_some_and(u8::is_ascii_digit) {
            return None;
        }
        let gap = blanks(behind_digits);
        let tail = behind_digits.get(gap..)?;
        let mut behind = None;
        if sign.is_none()
            && let Some(mark) = sign_at(tail)
        {
            sign = Some(mark);
            end += gap + mark.len();
        }
        let gap = blanks(source.get(end..)?);
        let tail = source.get(end + gap..)?;
        let len = tail.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        if let Some(code) = tail.get(..len).and_then(|word| {
            let three = word.len() == 3 && word.bytes().all(|b| b.is_ascii_uppercase());
            if three && !matches!(word, "AND" | "NOT") { Some(word.to_owned()) } else { currency_of(word) }
        }) {
            behind = Some(code);
            end += gap + len;
        }
        Some(Self { span: Span::new(start, end), digits, start: at, sign, before, behind, thousands })
    }

    /// The code of its currency, whether it is certain, or `None` where there are two.
    fn currency(&self) -> Option<(Option<String>, bool)> {
        let of_sign = match self.sign {
            Some("$") => Some("USD"),
            Some("€") => Some("EUR"),
            Some("£") => Some("GBP"),
            Some("¥") => Some("JPY"),
            Some("₹") => Some("INR"),
            _ => None,
        };
        let named = match (&self.before, &self.behind) {
            (Some(a), Some(b)) if a != b => return None,
            (Some(code), _) | (None, Some(code)) => Some(code.clone()),
            (None, None) => None,
        };
        match (named, of_sign) {
            (Some(code), Some(sign)) => {
                let dollars = ["USD", "CAD", "AUD", "NZD", "SGD", "HKD", "MXN"];
                let yuan = sign == "JPY" && code == "CNY";
                let fits = code == sign || yuan || self.sign == Some("$") && dollars.contains(&code.as_str());
                fits.then_some((Some(code), true))
            }
            (Some(code), None) => Some((Some(code), true)),
            (None, Some(sign)) => Some((Some(sign.to_owned()), !matches!(sign, "USD" | "JPY" | "GBP"))),
            (None, None) => Some((None, true)),
        }
    }

    fn error(&self) -> Option<SyntaxError> {
        let currency = self.currency();
        let code = currency.as_ref().and_then(|(code, _)| code.clone());
        let mut reading = reading(self.digits, code.as_deref());
        let turned = self.sign.is_some() || self.before.is_some();
        if matches!(reading, Reading::Plain) && !turned {
            return None;
        }
        let spaced = self.digits.contains([' ', '\u{A0}', '\u{202F}']);
        let loose = spaced && code.is_none();
        if self.thousands {
            let whole = self.digits.bytes().all(|b| b.is_ascii_digit());
            reading = if whole { Reading::One(format!("{}_000", self.digits)) } else { Reading::None };
        }
        let Some((code, certain)) = currency else {
            return Some(
                SyntaxError::new("E108", self.span, "this amount names two currencies")
                    .label("one amount has one currency")
                    .help("write the number and the code of its currency: `100 USD`"),
            );
        };
        let with = |number: &str| code.as_ref().map_or_else(|| number.to_owned(), |code| format!("{number} {code}"));
        let message = if turned {
            "money is written with its currency code"
        } else if self.digits.starts_with('.') {
            "a number begins with a digit"
        } else {
            "digits are grouped with `_`, decimal places begin with `.`"
        };
        let error = SyntaxError::new("E108", self.span, message);
        Some(match reading {
            Reading::Two { grouped, decimal } => {
                let (more, less) = (with(&grouped), with(&decimal));
                let (much, little) = said(&grouped, &decimal);
                error
                    .label("this can be read in two ways")
                    .help(format!("write `{more}` for {much}, `{less}` for {little}"))
                    .guess(format!("write `{more}`, which is {much}"), self.span, more)
                    .guess(format!("write `{less}`, which is {little}"), self.span, less)
            }
            Reading::None => {
                let label = if self.thousands {
                    "`k` is not part of Flow"
                } else if self.digits.contains(',') {
                    "these groups make no number"
                } else {
                    "a number has one `.` at most"
                };
                error.label(label).help("write the number with one `.` at most, and `_` between groups: `1_000.50`")
            }
            Reading::One(number) => self.one(error, &with(&number), certain && !loose && !half_sure(self.digits)),
            Reading::Plain => self.one(error, &with(self.digits), certain),
        })
    }

    fn one(&self, error: SyntaxError, form: &str, certain: bool) -> SyntaxError {
        let error = match self.sign {
            Some(sign) if !certain && self.before.is_none() && self.behind.is_none() => error
                .label(format!("`{sign}` can be the money of several countries"))
                .help(format!("write `{form}`, or another code")),
            _ => error.label("not a form of Flow").help(format!("write `{form}`")),
        };
        let title = format!("write `{form}`");
        if certain { error.fix(title, self.span, form) } else { error.guess(title, self.span, form) }
    }
}

/// A single comma may as well be between two values.
fn half_sure(digits: &str) -> bool {
    digits.contains(',') && !digits.contains('.') && digits.matches(',').count() == 1
}

/// The two readings in words.
fn said(grouped: &str, decimal: &str) -> (String, String) {
    if grouped == "1_000" {
        return ("one thousand".to_owned(), "one".to_owned());
    }
    let much = grouped.strip_suffix("_000").map_or_else(|| grouped.replace('_', " "), |whole| format!("{whole} thousand"));
    (much, decimal.to_owned())
}

fn reading(digits: &str, code: Option<&str>) -> Reading {
    if digits.starts_with('.') {
        return if digits.matches('.').count() == 1 && !digits.contains(',') {
            Reading::One(format!("0{digits}"))
        } else {
            Reading::None
        };
    }
    let last = digits.rfind([',', '.']);
    let spaces = |c: char| matches!(c, ' ' | '\u{A0}' | '\u{202F}' | '\'' | '’');
    let (dots, commas) = (digits.matches('.').count(), digits.matches(',').count());
    let other = digits.contains(spaces);
    let places = last.map_or(0, |at| digits.len() - at - 1);
    let split = |at: usize| (digits.get(..at).unwrap_or(""), digits.get(at + 1..).unwrap_or(""));
    let whole = |text: &str| {
        let groups: Vec<&str> = text.split(|c: char| spaces(c) || matches!(c, ',' | '.')).collect();
        let first = groups.first().is_some_and(|group| !group.is_empty() && (groups.len() == 1 || group.len() <= 3));
        let rest = groups.iter().skip(1).all(|group| group.len() == 3);
        (first && rest).then(|| groups.join("_"))
    };
    let joined =
        |whole: Option<String>, fraction: &str| whole.map_or(Reading::None, |whole| Reading::One(format!("{whole}.{fraction}")));
    match last {
        None if other => whole(digits).map_or(Reading::None, Reading::One),
        None => Reading::Plain,
        // Both: the last one begins the decimal places, and stands there once.
        Some(at) if dots > 0 && commas > 0 => {
            let (before, fraction) = split(at);
            let mark = digits.get(at..=at).unwrap_or(".");
            if before.contains(mark) { Reading::None } else { joined(whole(before), fraction) }
        }
        Some(_) if dots + commas > 1 => whole(digits).map_or(Reading::None, Reading::One),
        Some(at) => {
            let (before, fraction) = split(at);
            if other {
                return joined(whole(before), fraction);
            }
            let three = code.is_some_and(|code| THREE_PLACES.contains(&code));
            let could_group = places == 3 && before.len() <= 3 && before != "0" && !fraction.contains('_');
            let decimal = dots == 1;
            if could_group && !(decimal && (three || code.is_none() && fraction != "000")) {
                let short = fraction.trim_end_matches('0');
                let short = match short.len() {
                    0 => before.to_owned(),
                    1 => format!("{before}.{short}0"),
                    _ => format!("{before}.{short}"),
                };
                return Reading::Two { grouped: format!("{before}_{fraction}"), decimal: short };
            }
            if decimal { Reading::Plain } else { joined(whole(before), fraction) }
        }
    }
}

/// Cuts the digits and what separates them.
fn digits(rest: &str) -> Option<&str> {
    let run = |from: usize| {
        rest.as_bytes().get(from..).unwrap_or_default().iter().take_while(|b| b.is_ascii_digit() || **b == b'_').count()
    };
    let starts = rest.starts_with('.') && run(1) > 0 && rest.as_bytes().get(1) != Some(&b'_');
    let mut len = if starts { 1 + run(1) } else { run(0) };
    if len == 0 || rest.starts_with('_') {
        return None;
    }
    loop {
        let mark = rest.get(len..)?.chars().next();
        let Some(mark) = mark else { break };
        let behind = len + mark.len_utf8();
        let next = run(behind);
        let group = next == 3;
        let goes_on = match mark {
            '.' | ',' => next > 0 && rest.as_bytes().get(behind) != Some(&b'_'),
            '\'' | '’' | ' ' | '\u{A0}' | '\u{202F}' => group,
            _ => false,
        };
        if !goes_on {
            break;
        }
        len = behind + next;
    }
    rest.get(..len)
}

fn blanks(rest: &str) -> usize {
    rest.len() - rest.trim_start_matches([' ', '\u{A0}', '\u{202F}']).len()
}

fn sign_at(rest: &str) -> Option<&str> {
    let first = rest.chars().next().filter(|c| matches!(c, '$' | '€' | '£' | '¥' | '₹'))?;
    rest.get(..first.len_utf8())
}

/// `US$` and its kin.
fn dollar(word: &str) -> Option<&'static str> {
    Some(match word {
        "US" | "USD" => "USD",
        "C" | "CA" | "CAD" => "CAD",
        "A" | "AU" | "AUD" => "AUD",
        "NZ" | "NZD" => "NZD",
        "HK" | "HKD" => "HKD",
        "S" | "SG" | "SGD" => "SGD",
        "MX" | "MXN" => "MXN",
        _ => return None,
    })
}
