use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flow_plan::{Duration, Env, Expr, Value, Webhook};
use flow_runtime::live::LiveConnection;
use flow_runtime::scheme::{SchemeError, SignatureError, Verifier};
use flow_runtime::secret::Secret;
use hmac::{Hmac, KeyInit, Mac};
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use jiff::Timestamp;
use sha2::Sha256;

use crate::support::{connection, secret, shared, text};

const SECRET: &str = "whsec_flowtestsecret0001";
const NOW: i64 = 1_795_000_000;

fn with_secret(value: &str) -> LiveConnection {
    let mut connection = connection("any", "https://api.example");
    connection.secrets.insert("webhook_secret".to_owned(), Secret::new(value.to_owned()));
    connection
}

fn verifier(scheme: &str, value: &str, params: &[(&str, Expr)]) -> Result<Verifier, SchemeError> {
    let mut all: BTreeMap<String, Expr> = params.iter().map(|(name, expr)| ((*name).to_owned(), expr.clone())).collect();
    all.insert("secret".to_owned(), secret("webhook_secret"));
    Verifier::new(&Webhook { scheme: scheme.to_owned(), params: all, whole: false }, &with_secret(value))
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(crate) fn hmac_hex(key: &[u8], parts: &[&[u8]]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    hex::encode(mac.finalize().into_bytes())
}

fn stripe(t: i64, body: &[u8]) -> String {
    hmac_hex(SECRET.as_bytes(), &[t.to_string().as_bytes(), b".", body])
}

#[test]
fn stripe_vectors() {
    let Some(data) = shared("stripe/signatures.json") else { return };
    let cases = data["cases"].as_array().unwrap();
    assert!(cases.len() >= 8);
    for case in cases {
        let tolerance = Value::Number(case["tolerance"].as_i64().unwrap().into());
        let verifier = verifier(
            "stripe_signature",
            case["secret"].as_str().unwrap(),
            &[("header", text("Stripe-Signature")), ("tolerance", Expr::Const(tolerance))],
        );
        let headers = headers(&[("stripe-signature", case["header"].as_str().unwrap())]);
        let body = case["payload"].as_str().unwrap().as_bytes();
        let verdict = verifier.unwrap().verify(&headers, "", body, at(case["now"].as_i64().unwrap()));
        assert_eq!(verdict.is_ok(), case["expected"] == "valid", "{}: {verdict:?}", case["name"]);
    }
}

#[test]
fn stripe_edges() {
    let body: &[u8] = b"\xff\r\n not even JSON";
    let good = stripe(NOW, body);
    let check = |header: &str, now: i64| {
        let verifier = verifier("stripe_signature", SECRET, &[("header", text("Stripe-Signature"))]).unwrap();
        verifier.verify(&headers(&[("Stripe-Signature", header)]), "", body, at(now)).map(|verified| verified.signed_at)
    };
    let accepted = Ok(Some(at(NOW)));
    assert_eq!(check(&format!("t={NOW},v1={good}"), NOW), accepted);
    assert_eq!(check(&format!("v1={good},t={NOW}"), NOW), accepted);
    assert_eq!(check(&format!("t={NOW},v1={},v1={good},v2=x,", "0".repeat(64)), NOW), accepted);
    assert_eq!(check(&format!("t={NOW},v1={good}"), NOW + 300), accepted);
    assert_eq!(check(&format!("t={NOW},v1={good}"), NOW + 301), Err(SignatureError::Stale));
    // The service's libraries accept an instant in the future.
    assert_eq!(check(&format!("t={NOW},v1={good}"), NOW - 100_000), accepted);
    assert_eq!(check(&format!("t={NOW}, v1={good}"), NOW), Err(SignatureError::Mismatch));
    assert_eq!(check(&format!("t={NOW},v1={}", good.to_uppercase()), NOW), Err(SignatureError::Mismatch));
    assert_eq!(check(&format!("t={NOW},v0={good}"), NOW), Err(SignatureError::Mismatch));
    assert_eq!(check(&format!("t={NOW},V1={good}"), NOW), Err(SignatureError::Mismatch));
    assert_eq!(check(&format!("t={NOW},v1={good}00"), NOW), Err(SignatureError::Mismatch));
    assert_eq!(check(&format!("t={NOW},v1="), NOW), Err(SignatureError::Mismatch));
    assert_eq!(check(&format!("t={NOW},t={NOW},v1={good}"), NOW), Err(SignatureError::Malformed));
    assert_eq!(check(&format!("v1={good}"), NOW), Err(SignatureError::Malformed));
    for t in ["", "-1", "+1", "1.5", " 1", "1795000000 ", "99999999999999999999", "١٧"] {
        assert_eq!(check_raw(t, &good, body), Err(SignatureError::Malformed), "{t}");
    }
    assert_eq!(check("", NOW), Err(SignatureError::Malformed));
}

fn check_raw(t: &str, signature: &str, body: &[u8]) -> Result<(), SignatureError> {
    let verifier = verifier("stripe_signature", SECRET, &[]).unwrap();
    let value = HeaderValue::from_bytes(format!("t={t},v1={signature}").as_bytes()).unwrap();
    let headers = HeaderMap::from_iter([(HeaderName::from_static("stripe-signature"), value)]);
    verifier.verify(&headers, "", body, at(NOW)).map(drop)
}

#[test]
fn doubled_and_missing_headers_are_refused() {
    let verifier = verifier("stripe_signature", SECRET, &[]).unwrap();
    let good = format!("t={NOW},v1={}", stripe(NOW, b"{}"));
    let doubled = headers(&[("stripe-signature", &good), ("stripe-signature", &good)]);
    assert_eq!(verifier.verify(&doubled, "", b"{}", at(NOW)), Err(SignatureError::Malformed));
    assert_eq!(verifier.verify(&HeaderMap::new(), "", b"{}", at(NOW)), Err(SignatureError::Missing));
}

#[test]
fn a_tolerance_of_nothing_cannot_be_configured() {
    for nothing in
        [Value::Number(0.into()), Value::Number((-5).into()), Value::Duration(Duration::from_millis(0)), Value::text("x")]
    {
        for scheme in ["stripe_signature", "standard_webhooks"] {
            let made = verifier(scheme, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &[("tolerance", Expr::Const(nothing.clone()))]);
            assert_eq!(made.map(drop), Err(SchemeError::Parameter("tolerance")));
        }
    }
    assert!(
        verifier("stripe_signature", SECRET, &[("tolerance", Expr::Const(Value::Duration(Duration::from_millis(60_000))))])
            .is_ok()
    );
}

#[test]
fn a_scheme_without_its_secret_verifies_nothing() {
    assert_eq!(verifier("stripe_signature", "", &[]).map(drop), Err(SchemeError::NoSecret));
    assert_eq!(verifier("hmac_sha256", "x", &[]).map(drop), Err(SchemeError::Parameter("header")));
    assert_eq!(verifier("md5", "x", &[]).map(drop), Err(SchemeError::Unknown("md5".to_owned())));
    assert_eq!(verifier("standard_webhooks", "whsec_***", &[]).map(drop), Err(SchemeError::BadSecret("standard_webhooks")));
    assert_eq!(format!("{:?}", verifier("stripe_signature", SECRET, &[]).unwrap()), "stripe_signature");
}

/// With a secret of blanks alone an empty token would be the right one.
#[test]
fn a_secret_of_blanks_is_none() {
    for blank in ["", " ", "\t ", "\r\n", "\u{a0}"] {
        for scheme in ["token", "basic", "stripe_signature", "standard_webhooks", "hmac_sha1", "hmac_sha256", "hmac_sha512"] {
            let made = verifier(
                scheme,
                blank,
                &[("header", text("X-Sender"))].into_iter().filter(|_| scheme != "basic").collect::<Vec<_>>(),
            );
            assert_eq!(made.map(drop), Err(SchemeError::NoSecret), "{scheme} {blank:?}");
        }
    }
    let token = verifier("token", " s3cret ", &[("header", text("X-Token"))]).unwrap();
    for empty in ["", " ", "Bearer ", "Bearer  "] {
        let mut given = HeaderMap::new();
        given.append("x-token", HeaderValue::from_str(empty).unwrap());
        assert_eq!(token.verify(&given, "", b"{}", at(NOW)).map(drop), Err(SignatureError::Mismatch), "{empty:?}");
    }
    assert!(token.verify(&headers(&[("x-token", "s3cret")]), "", b"{}", at(NOW)).is_ok());
}

/// The specification says 24 to 64 bytes.
#[test]
fn a_key_of_standard_webhooks_that_could_be_guessed_is_refused() {
    let key = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
    for short in [1, 8, 23] {
        let made = verifier("standard_webhooks", &key(short), &[]).map(drop);
        assert_eq!(made, Err(SchemeError::BadSecret("standard_webhooks")), "{short}");
    }
    for long in [24, 32, 64] {
        assert!(verifier("standard_webhooks", &key(long), &[]).is_ok(), "{long}");
    }
}

#[test]
fn kustomer_vectors() {
    let Some(data) = shared("kustomer/webhook_signatures.json") else { return };
    for case in data["cases"].as_array().unwrap() {
        let header = ("header", text("X-Kustomer-Webhook-Signature"));
        let verifier = verifier("hmac_sha256", case["token"].as_str().unwrap(), &[header]).unwrap();
        let body = case["body"].as_str().unwrap().as_bytes();
        let signature = case["signature"].as_str().unwrap();
        let check = |signature: &str, body: &[u8]| {
            verifier.verify(&headers(&[("x-kustomer-webhook-signature", signature)]), "", body, at(NOW)).map(drop)
        };
        assert_eq!(check(signature, body), Ok(()));
        assert_eq!(check(&signature.to_uppercase(), body), Err(SignatureError::Mismatch));
        assert_eq!(check(&format!("{signature}0"), body), Err(SignatureError::Mismatch));
        assert_eq!(check(signature, &[body, b" "].concat()), Err(SignatureError::Mismatch));
    }
}

/// A version, a time and the body are signed; the header has the digits alone.
#[test]
fn customerio_vectors() {
    let Some(data) = shared("customerio/webhook_signatures.json") else { return };
    let signed = Expr::Text(vec![text("v0:"), Expr::Env(Env::SentAt), text(":"), Expr::Env(Env::SentBody)]);
    for case in data["cases"].as_array().unwrap() {
        let params = [("header", text("X-CIO-Signature")), ("timestamp", text("X-CIO-Timestamp")), ("signed", signed.clone())];
        let verifier = verifier("hmac_sha256", case["signing_key"].as_str().unwrap(), &params).unwrap();
        let body = case["body"].as_str().unwrap().as_bytes();
        let (signature, second) = (case["signature"].as_str().unwrap(), case["timestamp"].as_i64().unwrap());
        let check = |signature: &str, timestamp: i64, body: &[u8], now: i64| {
            let timestamp = timestamp.to_string();
            let headers = headers(&[("x-cio-signature", signature), ("x-cio-timestamp", &timestamp)]);
            verifier.verify(&headers, "", body, at(now)).map(drop)
        };
        assert_eq!(check(signature, second, body, second + 299), Ok(()));
        assert_eq!(check(signature, second, body, second + 301), Err(SignatureError::Stale));
        assert_eq!(check(signature, second + 1, body, second), Err(SignatureError::Mismatch));
        assert_eq!(check(signature, second, &[body, b" "].concat(), second), Err(SignatureError::Mismatch));
        assert_eq!(check(&signature.to_uppercase(), second, body, second), Err(SignatureError::Mismatch));
        assert!(check(&format!("v0={signature}"), second, body, second).is_err());
    }
}

#[test]
fn hmac_in_base64_and_with_a_prefix() {
    let body = b"{\"a\":1}\r\n";
    let hex = hmac_hex(b"k", &[body]);
    let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, hex::decode(&hex).unwrap());
    let params = [("header", text("X-Sig")), ("prefix", text("sha256=")), ("encoding", text("hex"))];
    let prefixed = verifier("hmac_sha256", "k", &params).unwrap();
    assert!(prefixed.verify(&headers(&[("x-sig", &format!("sha256={hex}"))]), "", body, at(NOW)).is_ok());
    assert_eq!(prefixed.verify(&headers(&[("x-sig", &hex)]), "", body, at(NOW)), Err(SignatureError::Malformed));
    let encoded = verifier("hmac_sha256", "k", &[("header", text("X-Sig")), ("encoding", text("base64"))]).unwrap();
    assert!(encoded.verify(&headers(&[("x-sig", &base64)]), "", body, at(NOW)).is_ok());
    assert_eq!(encoded.verify(&headers(&[("x-sig", &hex)]), "", body, at(NOW)), Err(SignatureError::Mismatch));
}

#[test]
fn standard_webhooks_vectors() {
    let Some(data) = shared("standardwebhooks.json") else { return };
    for case in data["sign"].as_array().unwrap() {
        let verifier = verifier("standard_webhooks", case["secret"].as_str().unwrap(), &[]).unwrap();
        let (id, timestamp) = (case["id"].as_str().unwrap(), case["timestamp"].as_i64().unwrap());
        let headers = headers(&[
            ("webhook-id", id),
            ("webhook-timestamp", &timestamp.to_string()),
            ("webhook-signature", case["signature"].as_str().unwrap()),
        ]);
        let verified = verifier.verify(&headers, "", case["payload"].as_str().unwrap().as_bytes(), at(timestamp)).unwrap();
        assert_eq!((verified.id.as_deref(), verified.signed_at), (Some(id), Some(at(timestamp))), "{}", case["name"]);
    }
    for case in data["verify"].as_array().unwrap() {
        let verifier = verifier("standard_webhooks", case["secret"].as_str().unwrap(), &[]).unwrap();
        let pairs: Vec<_> = case["headers"].as_object().unwrap().iter().map(|(k, v)| (k.as_str(), v.as_str().unwrap())).collect();
        let body = case["payload"].as_str().unwrap().as_bytes();
        let verdict = verifier.verify(&headers(&pairs), "", body, at(case["now"].as_i64().unwrap()));
        assert_eq!(verdict.is_ok(), case["accept"].as_bool().unwrap(), "{}: {verdict:?}", case["name"]);
    }
}
