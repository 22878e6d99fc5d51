//! What requests are signed with: bytes, and what is computed over them.
//!
//! Between two functions bytes are a text of hexadecimal digits. The compiler lets them go nowhere but into another of
//! these functions, so nobody sees that form. What cannot be computed is missing, and a request with a missing signature is
//! not sent.

use aes::Aes128;
use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use cmac::Cmac;
use flow_plan::{Function, Value};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Whoever copies base64 by hand may lose its padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Returns the value of a function over bytes; `None` where it cannot be computed, or is none of these.
pub(crate) fn call(function: &Function, args: &[Value]) -> Option<Value> {
    let first = args.first()?;
    Some(match function {
        Function::Bytes => of(first.as_text()?.as_bytes()),
        Function::Unhex => of(&Zeroizing::new(hex::decode(first.as_text()?.trim()).ok()?)),
        Function::Unbase64 => of(&Zeroizing::new(from_base64(first.as_text()?)?)),
        // Bytes are in this form already.
        Function::Hex => Value::text(hex::encode(&*bytes(first)?)),
        Function::BytesToBase64 => Value::text(STANDARD.encode(&*bytes(first)?)),
        Function::Le32 => of(&le32(first)?),
        Function::SliceBytes => of(slice(&bytes(first)?, args.get(1)?, args.get(2)?)?),
        Function::AesCmac => of(&aes_cmac(&bytes(first)?, &bytes(args.get(1)?)?)?),
        Function::HmacSha256 => of(&hmac_sha256(&bytes(first)?, &bytes(args.get(1)?)?)?),
        Function::Md5 => of(&Md5::digest(&*bytes(first)?)),
        Function::Sha256 => of(&Sha256::digest(&*bytes(first)?)),
        Function::Behind => {
            let text = first.as_text()?;
            Value::text(text.strip_prefix(args.get(1)?.as_text()?).unwrap_or(text))
        }
        // What is missing stays so, for an `else` around it.
        Function::EscapeMarkup => match first {
            Value::Missing => return None,
            Value::Text(text) => Value::text(escape_markup(text)),
            value => Value::text(escape_markup(&value.to_string())),
        },
        Function::Md5Sorted => Value::text(md5_sorted(first.as_text()?, &pairs(args.get(1)?)?)),
        _ => return None,
    })
}

/// Returns the bytes of a base64 text, with or without padding.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    LENIENT.decode(text.trim()).ok()
}

/// Returns a text in which nothing is markup: `&`, `<` and `>` as entities.
fn escape_markup(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn of(bytes: &[u8]) -> Value {
    Value::text(hex::encode(bytes))
}

fn bytes(value: &Value) -> Option<Zeroizing<Vec<u8>>> {
    hex::decode(value.as_text()?).ok().map(Zeroizing::new)
}

/// The lowest 32 bits, least significant byte first: bits above are cut off.
fn le32(value: &Value) -> Option<[u8; 4]> {
    let Value::Number(number) = value else { return None };
    let number = number.trunc().to_i64()?;
    u32::try_from(number & i64::from(u32::MAX)).ok().map(u32::to_le_bytes)
}

/// From one place, counted from 0, to before another. Places beyond the end are the end.
fn slice<'a>(bytes: &'a [u8], from: &Value, to: &Value) -> Option<&'a [u8]> {
    let place = |value: &Value| match value {
        Value::Number(number) => number.max(&Decimal::ZERO).to_usize(),
        _ => None,
    };
    let to = place(to)?.min(bytes.len());
    bytes.get(place(from)?.min(to)..to)
}

/// RFC 4493. `None` where the key has not 16 bytes.
fn aes_cmac(key: &[u8], message: &[u8]) -> Option<[u8; 16]> {
    let mut mac = <Cmac<Aes128> as KeyInit>::new_from_slice(key).ok()?;
    mac.update(message);
    Some(mac.finalize().into_bytes().into())
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> Option<[u8; 32]> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).ok()?;
    mac.update(message);
    Some(mac.finalize().into_bytes().into())
}

/// The fields of a record as they are sent: texts, one for each name.
fn pairs(fields: &Value) -> Option<Vec<(String, String)>> {
    let Value::Record(fields) = fields else { return None };
    Some(fields.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect())
}

/// Returns MD5 over a key and all parameters, sorted by the bytes of their names, as `name=value` with nothing between, in
/// lower-case hexadecimal digits. What is signed is what is sent, before it is encoded.
///
/// MD5 with a key in front is weak, and without separators two calls can have one signature. It is what some services ask
/// for, and it is used for nothing else.
pub fn md5_sorted(key: &str, pairs: &[(String, String)]) -> String {
    let mut sorted: Vec<&(String, String)> = pairs.iter().collect();
    sorted.sort_by(|one, other| one.0.cmp(&other.0));
    let mut digest = Md5::new();
    digest.update(key.as_bytes());
    for (name, value) in sorted {
        digest.update(name.as_bytes());
        digest.update(b"=");
        digest.update(value.as_bytes());
    }
    hex::encode(digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex_of(function: &Function, args: &[&str]) -> String {
        let args: Vec<Value> = args.iter().map(|arg| Value::text(*arg)).collect();
        call(function, &args).and_then(|value| value.as_text().map(str::to_owned)).unwrap_or_default()
    }

    /// The examples of RFC 4493, section 4.
    #[test]
    fn aes_cmac_of_the_standard() {
        let key = "2b7e151628aed2a6abf7158809cf4f3c";
        let block = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
        for (length, mac) in [
            (0, "bb1d6929e95937287fa37d129b756746"),
            (16, "070a16b46b4d4144f79bdd9dd04a287c"),
            (40, "dfa66747de9ae63030ca32611497c827"),
            (64, "51f0bebf7e3b9d92fc49741779363cfe"),
        ] {
            assert_eq!(hex_of(&Function::AesCmac, &[key, &block[..length * 2]]), mac);
        }
        assert_eq!(hex_of(&Function::AesCmac, &[&key[2..], ""]), "", "a key of another length signs nothing");
    }

    /// The examples of RFC 1321, appendix A.5.
    #[test]
    fn md5_of_the_standard() {
        for (text, digest) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
        ] {
            assert_eq!(hex_of(&Function::Md5, &[&hex::encode(text)]), digest);
        }
    }

    /// The second example of RFC 4231.
    #[test]
    fn hmac_sha256_of_the_standard() {
        let args = [hex::encode("Jefe"), hex::encode("what do ya want for nothing?")];
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex_of(&Function::HmacSha256, &[&args[0], &args[1]]), expected);
    }

    #[test]
    fn bytes_of_numbers_and_texts() {
        let number = |number: i64| Value::Number(number.into());
        let le = |n| call(&Function::Le32, &[number(n)]);
        assert_eq!(le(0x60AB_88F8), Some(Value::text("f888ab60")));
        assert_eq!(le(0x1_0000_0001), Some(Value::text("01000000")), "bits above 32 are cut off");
        let slice = |from, to| call(&Function::SliceBytes, &[Value::text("f888ab60"), number(from), number(to)]);
        assert_eq!(slice(1, 4), Some(Value::text("88ab60")));
        assert_eq!(slice(2, 9), Some(Value::text("ab60")));
        assert_eq!(slice(3, 1), Some(Value::text("")));
        assert_eq!(hex_of(&Function::Unhex, &["0A0b"]), "0a0b");
        assert_eq!(hex_of(&Function::Unhex, &["0g"]), "");
        assert_eq!(hex_of(&Function::Unbase64, &["aGk"]), hex::encode("hi"));
        assert_eq!(hex_of(&Function::BytesToBase64, &["6869"]), "aGk=");
        assert_eq!(hex_of(&Function::Behind, &["whsec_abc", "whsec_"]), "abc");
        assert_eq!(hex_of(&Function::Behind, &["abc", "whsec_"]), "abc");
        assert_eq!(hex_of(&Function::EscapeMarkup, &["<!channel> & &lt;"]), "&lt;!channel&gt; &amp; &amp;lt;");
    }
}
