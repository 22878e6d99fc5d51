//! Characters that cannot be seen, or look like others.

use super::look::Look;
use super::token::Kind;
use crate::error::SyntaxError;
use crate::span::Span;

/// An invisible character, or a letter of another alphabet, at the place where the parser stopped.
pub(super) fn find(look: &Look<'_>) -> Option<SyntaxError> {
    let found = look.span(look.found);
    let text = found.text(look.source);
    if look.kind(look.found) == Some(Kind::Sign)
        && let Some(c) = text.chars().next()
        && let Some(name) = name(c)
    {
        let span = Span::new(found.start as usize, found.start as usize + c.len_utf8());
        return Some(
            SyntaxError::new("E102", span, format!("an invisible character stands here: U+{:04X}, {name}", c as u32))
                .label("not seen on the screen")
                .help("such characters come along with pasted text; remove it")
                .fix("remove it", span, ""),
        );
    }
    let at = if look.kind(look.found) == Some(Kind::Word) && !text.is_ascii() {
        look.found
    } else {
        // `amоunt`: the parser took the letters before it.
        look.found.checked_sub(1).filter(|at| look.kind(*at) == Some(Kind::Word) && !look.word(*at).is_ascii())?
    };
    let word = look.word(at);
    if word.starts_with('`') {
        return None;
    }
    let strange = word.chars().find(|c| !c.is_ascii())?;
    let latin = word.chars().map(|c| if c.is_ascii() { Some(c) } else { twin(c) }).collect::<Option<String>>();
    let span = look.span(at);
    let code = strange as u32;
    Some(match latin {
        Some(latin) => {
            let like = twin(strange).unwrap_or('a');
            let alphabet = if (0x370..0x400).contains(&code) { "Greek" } else { "Cyrillic" };
            SyntaxError::new("E102", span, format!("a letter of another alphabet: U+{code:04X}, {alphabet}, looks like `{like}`"))
                .label("not the word it looks like")
                .help(format!("write `{latin}` in Latin letters"))
                .guess(format!("write `{latin}`"), span, latin)
        }
        None => SyntaxError::new("E102", span, format!("`{word}` is no name: it has the letter `{strange}` (U+{code:04X})"))
            .label("names consist of the letters a to z, digits and `_`")
            .help("a text stands in double quotes; a field of a service with such a name stands in backticks"),
    })
}

/// What an invisible character is.
fn name(c: char) -> Option<&'static str> {
    Some(match c {
        '\0' => "the NUL character",
        '\u{1}'..='\u{8}' | '\u{B}' | '\u{C}' | '\u{E}'..='\u{1F}' | '\u{7F}'..='\u{9F}' => "a control character",
        '\u{AD}' => "a soft hyphen",
        '\u{200B}' => "a zero-width space",
        '\u{200C}' | '\u{200D}' => "a zero-width joiner",
        '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => "which changes the direction of writing",
        '\u{2060}'..='\u{2064}' => "a word joiner",
        '\u{2028}' | '\u{2029}' => "a separator of lines",
        _ => return None,
    })
}

/// The Latin letter that a letter looks like.
fn twin(c: char) -> Option<char> {
    Some(match c {
        'а' | 'α' => 'a',
        'е' => 'e',
        'о' | 'ο' => 'o',
        'р' | 'ρ' => 'p',
        'с' => 'c',
        'у' => 'y',
        'х' => 'x',
        'і' | 'ι' => 'i',
        'ј' => 'j',
        'ѕ' => 's',
        'ν' => 'v',
        'А' | 'Α' => 'A',
        'В' | 'Β' => 'B',
        'Е' | 'Ε' => 'E',
        'К' | 'Κ' => 'K',
        'М' | 'Μ' => 'M',
        'Н' | 'Η' => 'H',
        'О' | 'Ο' => 'O',
        'Р' | 'Ρ' => 'P',
        'С' => 'C',
        'Т' | 'Τ' => 'T',
        'Х' | 'Χ' => 'X',
        _ => return None,
    })
}
