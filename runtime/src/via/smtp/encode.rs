//! How texts are written so that any server passes them on: words of headers (RFC 2047), quoted-printable, base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A line of a header is not longer where it can be broken.
const FOLD: usize = 76;

pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Base64 in lines.
pub(super) fn base64_lines(bytes: &[u8]) -> String {
    let text = base64(bytes);
    let mut out = String::with_capacity(text.len() + text.len() / 38);
    for line in text.as_bytes().chunks(76) {
        out.push_str(std::str::from_utf8(line).unwrap_or_default());
        out.push_str("\r\n");
    }
    out
}

/// The text of a header, behind `used` characters of its line.
pub(super) fn header_text(text: &str, used: usize) -> String {
    let plain = text.chars().all(|c| c == ' ' || c.is_ascii_graphic())
        && !text.contains("=?")
        && text.split(' ').all(|word| word.len() < FOLD)
        && !text.starts_with(' ')
        && !text.ends_with(' ')
        && !text.contains("  ");
    if plain { folded(text, used) } else { encoded_words(text, used) }
}

/// Breaks a line at its blanks.
fn folded(text: &str, used: usize) -> String {
    let (mut out, mut length) = (String::with_capacity(text.len()), used);
    for (at, word) in text.split(' ').enumerate() {
        if at > 0 && length + 1 + word.len() > FOLD {
            out.push_str("\r\n");
            length = 0;
        }
        if at > 0 {
            out.push(' ');
            length += 1;
        }
        out.push_str(word);
        length += word.len();
    }
    out
}

/// Words that stand for any text: none is longer than 75 characters, none cuts a character in two.
pub(super) fn encoded_words(text: &str, used: usize) -> String {
    let mut words = Vec::new();
    let mut piece = String::new();
    // 45 bytes make 60 characters. The first line has its name in front.
    let mut room = 45_usize.saturating_sub(used * 3 / 4).max(12);
    for character in text.chars() {
        if piece.len() + character.len_utf8() > room {
            words.push(std::mem::take(&mut piece));
            room = 45;
        }
        piece.push(character);
    }
    words.push(piece);
    let words: Vec<String> = words.iter().map(|word| format!("=?utf-8?B?{}?=", base64(word.as_bytes()))).collect();
    words.join("\r\n ")
}

/// Quoted-printable, with the line ends of the wire.
pub(super) fn quoted_printable(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for line in text.split('\n') {
        let mut length = 0;
        let bytes = line.as_bytes();
        for (at, byte) in bytes.iter().enumerate() {
            let last = at + 1 == bytes.len();
            let plain = matches!(byte, b'!'..=b'<' | b'>'..=b'~') || matches!(byte, b' ' | b'\t') && !last;
            let width = if plain { 1 } else { 3 };
            // One place is for the `=` that says that the line goes on.
            if length + width > 75 {
                out.push_str("=\r\n");
                length = 0;
            }
            if plain {
                out.push(char::from(*byte));
            } else {
                out.push_str(&format!("={byte:02X}"));
            }
            length += width;
        }
        out.push_str("\r\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_written_as_the_standards_say() {
        assert_eq!(header_text("Your card was declined", 9), "Your card was declined");
        assert_eq!(header_text("Grüße", 9), "=?utf-8?B?R3LDvMOfZQ==?=");
        assert!(header_text("=?utf-8?B?SGk=?=", 9).starts_with("=?utf-8?B?PT91"), "no text is taken for an encoded one");
        let long = header_text(&"ä🚪 ".repeat(60), 9);
        assert!(long.split("\r\n").all(|line| line.len() <= 76), "{long}");
        assert!(header_text("word ".repeat(40).trim_end(), 9).split("\r\n").all(|line| line.len() <= 77));
        assert_eq!(quoted_printable("a=b \nÄ\r\nc\t"), "a=3Db=20\r\n=C3=84\r\nc=09\r\n");
        assert!(quoted_printable(&"x".repeat(500)).split("\r\n").all(|line| line.len() <= 76));
    }
}
