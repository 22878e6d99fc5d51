//! JSON as services write it.
//!
//! Programs that cut a text after so many UTF-16 units may cut a character in two, and write the half that is left as `\ud83d`.
//! That is JSON by its grammar, but no text has such a character. It is read as U+FFFD, as browsers and databases do: an event
//! must not be lost, nor a field be missing, for the end of a preview.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

/// Reads a value. Halves of characters become U+FFFD.
///
/// # Errors
/// Where it is no JSON, or does not fit the type.
pub fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(json).or_else(|error| match mended(json) {
        Cow::Borrowed(_) => Err(error),
        Cow::Owned(mended) => serde_json::from_slice(&mended),
    })
}

/// The same with `\ufffd` in place of each half of a character that stands alone.
fn mended(json: &[u8]) -> Cow<'_, [u8]> {
    let mut out = Cow::Borrowed(json);
    let mut at = 0;
    while let Some(byte) = json.get(at) {
        if *byte != b'\\' {
            at += 1;
            continue;
        }
        at += match (unit(json, at), unit(json, at + 6)) {
            (Some(0xD800..0xDC00), Some(0xDC00..0xE000)) => 12,
            (Some(0xD800..0xE000), _) => {
                // As long as what it replaces, so that the places stay.
                if let Some(half) = out.to_mut().get_mut(at..at + 6) {
                    half.copy_from_slice(b"\\ufffd");
                }
                6
            }
            // The escaped character is passed over: `\\` escapes nothing behind it.
            _ => 2,
        };
    }
    out
}

/// The UTF-16 unit that an escape at this place stands for.
fn unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn halves_of_characters_are_replaced_and_all_else_stays() {
        let text = |json: &str| read::<String>(json.as_bytes()).ok();
        assert_eq!(text(r#""a\ud83d""#).as_deref(), Some("a\u{FFFD}"));
        assert_eq!(text(r#""\ude00b""#).as_deref(), Some("\u{FFFD}b"));
        assert_eq!(text(r#""\ud83d\ude00\ud83d""#).as_deref(), Some("😀\u{FFFD}"));
        assert_eq!(text(r#""\ud83d\ud83d\ude00""#).as_deref(), Some("\u{FFFD}😀"));
        assert_eq!(text(r#""\\ud83d\uD83D""#).as_deref(), Some("\\ud83d\u{FFFD}"));
        assert_eq!(text(r#""\ud83d\n\ud8""#), None, "what is no JSON stays none");
        assert_eq!(text(r#""\u+123\ud83d""#), None);
    }
}
