//! Traces of secrets in what a service says: a service may send back what it was sent, as it is, cut, or encoded.
//!
//! A text is read as it stands, without the escapes of addresses, JSON and HTML, and as hexadecimal and base64 wherever it
//! could be that, at each alignment, so that `Basic …` of a user and a secret is found as well. What is looked for are pieces
//! of eight bytes of the secret; what follows one another is one trace, and a long one is taken out though the rest is not
//! there. Nothing here finds a secret that was encrypted, reversed, or spelled in another way.

use std::ops::Range;

use zeroize::Zeroizing;

use super::Secret;

/// What stands where a secret stood.
const MARK: &str = "[secret]";
/// Very short secrets would mangle every text.
const SHORTEST: usize = 4;
/// So many bytes are compared at once.
const PIECE: usize = 8;
/// A name in front of a secret, as in `sk_live_…`, is no longer than this.
const LONGEST_LABEL: usize = 12;
/// So many characters behind its name make a piece one of the secret.
const BEHIND_LABEL: usize = 4;

/// How much of a secret is a trace of it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Least {
    /// In texts for people: a few characters that stand in the secret.
    Few = 8,
    /// In values that are worked with: so many that they stand there by no accident.
    Many = 16,
}

/// The secrets that are looked for. Made for an answer, and wiped behind it.
pub(crate) struct Traces(Vec<Pieces>);

/// The pieces of one secret.
struct Pieces {
    /// Each with whether it says more than the name in front of the secret; sorted.
    pieces: Zeroizing<Vec<(u64, bool)>>,
    /// The bytes that one of them ends with.
    ends: [bool; 256],
    /// How long each of them is.
    length: usize,
    /// How long the secret is.
    whole: usize,
}

/// A byte that a place of a text stands for.
#[derive(Clone, Copy)]
struct Unit {
    byte: u8,
    begin: usize,
    end: usize,
}

impl Traces {
    /// Takes the secrets that are to be found.
    pub(crate) fn of<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let texts = secrets.into_iter().map(Secret::expose).filter(|secret| secret.len() >= SHORTEST);
        Self(texts.map(Pieces::of).collect())
    }

    /// Returns a text without the secrets of which it holds a trace; `None` where it holds none.
    pub(crate) fn without(&self, text: &str, least: Least) -> Option<String> {
        if self.0.is_empty() || text.len() < SHORTEST {
            return None;
        }
        let mut found = Vec::new();
        let as_it_is: Zeroizing<Vec<u8>> = Zeroizing::new(text.as_bytes().to_vec());
        let raw = as_it_is.iter().enumerate().map(|(at, byte)| Unit { byte: *byte, begin: at, end: at + 1 });
        self.search(&raw, least, &mut found);
        let plain: Vec<Unit> = if text.contains(['%', '\\', '&']) { unescaped(text.as_bytes()) } else { raw.collect() };
        self.search(&plain.iter().copied(), least, &mut found);
        self.search_encoded(&plain, least, &mut found);
        replace(text, found)
    }

    /// Looks into whatever could be hexadecimal or base64.
    fn search_encoded(&self, plain: &[Unit], least: Least, found: &mut Vec<Range<usize>>) {
        let shortest = self.0.iter().map(|pieces| pieces.length).min().unwrap_or(PIECE);
        for run in runs(plain, |byte| byte.is_ascii_hexdigit()).filter(|run| run.len() >= shortest * 2) {
            for skipped in 0..2 {
                self.search(&decoded(run.get(skipped..).unwrap_or_default(), 4, hex_digit), least, found);
            }
        }
        for run in runs(plain, |byte| base64_digit(byte).is_some()).filter(|run| run.len() * 3 >= shortest * 4) {
            for skipped in 0..4 {
                self.search(&decoded(run.get(skipped..).unwrap_or_default(), 6, base64_digit), least, found);
            }
        }
    }

    fn search(&self, units: &(impl Iterator<Item = Unit> + Clone), least: Least, found: &mut Vec<Range<usize>>) {
        for pieces in &self.0 {
            pieces.search(units.clone(), least, found);
        }
    }
}

impl Pieces {
    fn of(secret: &str) -> Self {
        let whole = secret.len();
        let length = whole.min(PIECE);
        let label = secret.bytes().take(LONGEST_LABEL).rposition(|byte| matches!(byte, b'_' | b'-')).map_or(0, |at| at + 1);
        let label = if whole - label >= PIECE { label } else { 0 };
        let mut ends = [false; 256];
        let mut pieces = Zeroizing::new(Vec::new());
        // In a form a space is a plus.
        for text in [secret.to_owned(), secret.replace(' ', "+")].map(Zeroizing::new) {
            for (at, piece) in text.as_bytes().windows(length).enumerate() {
                let behind_label = label == 0 || at + length >= label + BEHIND_LABEL;
                pieces.push((packed(piece), behind_label && is_its_own(piece)));
                if let Some(last) = piece.last() {
                    ends[usize::from(*last)] = true;
                }
            }
        }
        pieces.sort_unstable();
        // Of those that are equal the last says more.
        pieces.reverse();
        pieces.dedup_by_key(|(piece, _)| *piece);
        pieces.reverse();
        Self { pieces, ends, length, whole }
    }

    fn search(&self, units: impl Iterator<Item = Unit>, least: Least, found: &mut Vec<Range<usize>>) {
        let needed = self.whole.min(least as usize);
        let mask = u64::MAX >> (64 - 8 * self.length);
        let mut recent = [0usize; PIECE];
        let (mut piece, mut seen) = (0u64, 0usize);
        // The pieces that follow one another: where the first begins and the last ends, how many, whether one says something.
        let mut run: Option<(Range<usize>, usize, bool)> = None;
        let mut finish = |run: Option<(Range<usize>, usize, bool)>| {
            if let Some((range, count, says)) = run
                && ((says && count + self.length > needed) || count + self.length > self.whole)
            {
                found.push(range);
            }
        };
        for unit in units {
            piece = (piece << 8 | u64::from(unit.byte)) & mask;
            recent[seen % PIECE] = unit.begin;
            seen += 1;
            let is_end = seen >= self.length && self.ends[usize::from(unit.byte)];
            let known = is_end.then(|| self.pieces.binary_search_by_key(&piece, |(piece, _)| *piece).ok()).flatten();
            let Some((_, says)) = known.and_then(|at| self.pieces.get(at)) else {
                finish(run.take());
                continue;
            };
            let begin = recent[(seen - self.length) % PIECE];
            run = Some(match run {
                Some((range, count, said)) => (range.start..unit.end, count + 1, said || *says),
                None => (begin..unit.end, 1, *says),
            });
        }
        finish(run);
    }
}

/// Tells whether a piece would hardly stand somewhere else: a run of zeros is in many a number.
fn is_its_own(piece: &[u8]) -> bool {
    let mut seen = [false; 256];
    piece.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    seen.iter().filter(|seen| **seen).count() > 3
}

fn packed(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |packed, byte| packed << 8 | u64::from(*byte))
}

/// Returns the longest parts of which each byte is of a kind.
fn runs(units: &[Unit], is: impl Fn(u8) -> bool + Copy) -> impl Iterator<Item = &[Unit]> {
    units.split(move |unit| !is(unit.byte)).filter(|run| !run.is_empty())
}

/// Reads digits of so many bits as bytes.
fn decoded(digits: &[Unit], bits: u32, digit: impl Fn(u8) -> Option<u8> + Copy) -> impl Iterator<Item = Unit> + Clone {
    let (mut held, mut count, mut begin) = (0u32, 0, 0);
    let mut digits = digits.iter();
    std::iter::from_fn(move || {
        loop {
            let unit = digits.next()?;
            if count == 0 {
                begin = unit.begin;
            }
            held = held << bits | u32::from(digit(unit.byte)?);
            count += bits;
            if count >= 8 {
                count -= 8;
                let byte = u8::try_from(held >> count & 0xff).ok()?;
                let made = Unit { byte, begin, end: unit.end };
                // The rest of this digit begins the next byte.
                begin = unit.begin;
                held &= (1 << count) - 1;
                return Some(made);
            }
        }
    })
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Both alphabets.
fn base64_digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

/// Reads a text without the escapes of addresses (`%2F`), JSON (`\/`, `\u002f`, and `\x2f`) and HTML (`&#47;`, `&#x2f;`).
fn unescaped(text: &[u8]) -> Vec<Unit> {
    let mut units = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let (made, length) = escape(text.get(at..).unwrap_or_default()).unwrap_or((u32::from(*byte), 1));
        match char::from_u32(made).filter(|c| length > 1 && !c.is_ascii()) {
            // `%C3%A9` is two bytes as it is; what names a character is all of its bytes.
            Some(c) if *byte != b'%' => {
                let mut buffer = [0; 4];
                units.extend(c.encode_utf8(&mut buffer).bytes().map(|byte| Unit { byte, begin: at, end: at + length }));
            }
            _ => units.push(Unit { byte: u8::try_from(made).unwrap_or(0), begin: at, end: at + length }),
        }
        at += length;
    }
    units
}

/// Returns what an escape stands for, and its length.
fn escape(text: &[u8]) -> Option<(u32, usize)> {
    let hex = |from: usize, to: usize| {
        let digits = text.get(from..to)?;
        digits.iter().try_fold(0u32, |number, digit| Some(number * 16 + u32::from(hex_digit(*digit)?)))
    };
    match (text.first()?, text.get(1)) {
        (b'%', _) => Some((hex(1, 3)?, 3)),
        (b'\\', Some(b'u')) => Some((hex(2, 6)?, 6)),
        (b'\\', Some(b'x')) => Some((hex(2, 4)?, 4)),
        (b'\\', Some(quoted @ (b'"' | b'\'' | b'\\' | b'/'))) => Some((u32::from(*quoted), 2)),
        (b'&', _) => {
            let name = text.get(1..)?.iter().take(8).position(|byte| *byte == b';')?;
            let length = name + 2;
            let name = std::str::from_utf8(text.get(1..=name)?).ok()?;
            let number = match name.strip_prefix('#') {
                Some(number) => match number.strip_prefix(['x', 'X']) {
                    Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                    None => number.parse().ok()?,
                },
                None => u32::from(match name {
                    "amp" => '&',
                    "lt" => '<',
                    "gt" => '>',
                    "quot" => '"',
                    "apos" => '\'',
                    _ => return None,
                }),
            };
            Some((number, length))
        }
        _ => None,
    }
}

/// Puts a mark in each of the places.
fn replace(text: &str, mut found: Vec<Range<usize>>) -> Option<String> {
    if found.is_empty() {
        return None;
    }
    found.sort_unstable_by_key(|range| range.start);
    let mut without = String::with_capacity(text.len());
    let mut from = 0;
    for range in found {
        let begin = text.floor_char_boundary(range.start);
        let end = text.ceil_char_boundary(range.end);
        if begin >= from && (begin > from || from == 0) {
            without.push_str(text.get(from..begin).unwrap_or_default());
            without.push_str(MARK);
        }
        from = from.max(end);
    }
    without.push_str(text.get(from..).unwrap_or_default());
    Some(without)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "sk_live_51H/q+\"Zz?é~9876543210";

    fn cleaned(secret: &str, text: &str, least: Least) -> String {
        let secret = Secret::new(secret.to_owned());
        Traces::of([&secret]).without(text, least).unwrap_or_else(|| text.to_owned())
    }

    fn percent(text: &str) -> String {
        text.bytes().map(|byte| format!("%{byte:02X}")).collect()
    }

    #[test]
    fn each_form_is_found() {
        let forms = [
            SECRET.to_owned(),
            hex::encode(SECRET),
            hex::encode_upper(SECRET),
            percent(SECRET),
            percent(SECRET).to_lowercase(),
            SECRET.replace('/', "%2F").replace('+', "%2B").replace('"', "%22"),
            serde_json::to_string(SECRET).unwrap().trim_matches('"').to_owned(),
            SECRET.replace('/', "\\/").replace('"', "\\u0022").replace('é', "\\u00e9"),
            SECRET.replace('"', "&quot;").replace('/', "&#x2F;").replace('+', "&#43;"),
        ];
        for form in forms {
            for least in [Least::Few, Least::Many] {
                let text = format!("no such key: {form} (sorry)");
                assert_eq!(cleaned(SECRET, &text, least), "no such key: [secret] (sorry)", "{form}");
            }
        }
    }

    #[test]
    fn base64_is_found_wherever_it_stands() {
        for before in ["", "x", "xx", "user:", "a longer name:"] {
            for text in [format!("{before}{SECRET}"), format!("{before}{SECRET}:behind it")] {
                for encoded in [STANDARD.encode(&text), URL_SAFE_NO_PAD.encode(&text), percent(&STANDARD.encode(&text))] {
                    let found = cleaned(SECRET, &format!("Basic {encoded} is wrong"), Least::Many);
                    assert!(found.contains(MARK) && found.ends_with(" is wrong"), "{found}");
                    let rest = found.replace(MARK, "").replace(' ', "");
                    for skipped in 0..rest.len().min(8) {
                        let rest = rest.get(skipped..).unwrap_or_default().trim_end_matches("iswrong");
                        let read = STANDARD.decode(rest.trim_end_matches('=')).unwrap_or_default();
                        assert!(!String::from_utf8_lossy(&read).contains("98765"), "{found}");
                    }
                }
            }
        }
    }

    #[test]
    fn parts_are_found_and_what_is_no_secret_stays() {
        let key = "sk_live_51HabcdefGHIJKLmnopqrstu";
        let few = |text: &str| cleaned(key, text, Least::Few);
        assert_eq!(few("key sk_live_51Habcdef… is wrong"), "key [secret]… is wrong");
        assert_eq!(few("key …KLmnopqrstu is wrong"), "key …[secret] is wrong");
        assert_eq!(few("sk_live_****rstu"), "sk_live_****rstu", "as services shorten it themselves");
        assert_eq!(few("use a key that begins with sk_live_ or sk_live_x"), "use a key that begins with sk_live_ or sk_live_x");
        // A value is worked with.
        let many = |text: &str| cleaned("company-2026-password", text, Least::Many);
        assert_eq!(many("company-2026"), "company-2026");
        assert_eq!(many("company-2026-password"), "[secret]");
        // Runs of one character are in many a number.
        let zeros = "sandbox_00000000000000000000_key";
        assert_eq!(cleaned(zeros, "60000000000000000000b001", Least::Many), "60000000000000000000b001");
        assert_eq!(cleaned(zeros, &format!("it is {zeros}"), Least::Many), "it is [secret]");
        assert_eq!(cleaned("0000000000000000", "it is 0000000000000000.", Least::Many), "it is [secret].");
        assert_eq!(cleaned("hush", "hush, he said; hus", Least::Many), "[secret], he said; hus");
        assert_eq!(cleaned("hush", &hex::encode("hush"), Least::Few), "[secret]");
        assert_eq!(cleaned("abc", "abc", Least::Few), "abc", "too short to be one");
        assert_eq!(cleaned("a pass phrase", "q=a+pass+phrase", Least::Few), "q=[secret]");
    }

    proptest! {
        /// A text that holds nothing of it is left as it is, and nothing goes wrong, whatever the texts are.
        #[test]
        fn others_are_left_alone(text in "[ -~é\u{202e}]{0,200}", secret in "[0-9]{12,40}") {
            let holds = |piece: &str| text.contains(piece);
            let found = cleaned(&secret, &text, Least::Few);
            prop_assert!(!found.contains(&secret));
            let pieces = secret.as_bytes().windows(8).any(|piece| holds(std::str::from_utf8(piece).unwrap()));
            if !pieces && !text.contains(['%', '\\', '&']) && found != text {
                prop_assert!(found.contains(MARK));
            }
            let planted = format!("{text}{secret}{text}");
            prop_assert!(!cleaned(&secret, &planted, Least::Many).contains(&secret));
        }
    }
}
