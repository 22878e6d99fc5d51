//! Which currencies there are, and what can be charged in them.

use serde_json::{Map, Value};

use super::error::ApiError;
use super::state::param;

/// The currencies that can be charged in.
const SUPPORTED: &[&str] = &[
    "aed", "afn", "all", "amd", "ang", "aoa", "ars", "aud", "awg", "azn", "bam", "bbd", "bdt", "bgn", "bhd", "bif", "bmd", "bnd",
    "bob", "brl", "bsd", "bwp", "byn", "bzd", "cad", "cdf", "chf", "clp", "cny", "cop", "crc", "cve", "czk", "djf", "dkk", "dop",
    "dzd", "egp", "etb", "eur", "fjd", "fkp", "gbp", "gel", "gip", "gmd", "gnf", "gtq", "gyd", "hkd", "hnl", "htg", "huf", "idr",
    "ils", "inr", "isk", "jmd", "jod", "jpy", "kes", "kgs", "khr", "kmf", "krw", "kwd", "kyd", "kzt", "lak", "lbp", "lkr", "lrd",
    "lsl", "mad", "mdl", "mga", "mkd", "mmk", "mnt", "mop", "mur", "mvr", "mwk", "mxn", "myr", "mzn", "nad", "ngn", "nio", "nok",
    "npr", "nzd", "omr", "pab", "pen", "pgk", "php", "pkr", "pln", "pyg", "qar", "ron", "rsd", "rub", "rwf", "sar", "sbd", "scr",
    "sek", "sgd", "shp", "sle", "sos", "srd", "std", "szl", "thb", "tjs", "tnd", "top", "try", "ttd", "twd", "tzs", "uah", "ugx",
    "usd", "uyu", "uzs", "vnd", "vuv", "wst", "xaf", "xcd", "xof", "xpf", "yer", "zar", "zmw",
];

/// Amounts in these are whole multiples: three decimals of which the last is 0, and two where there are none.
const STEPS: &[(&str, i64)] = &[("bhd", 10), ("isk", 100), ("jod", 10), ("kwd", 10), ("omr", 10), ("tnd", 10), ("ugx", 100)];

/// The least that can be charged, by currency; 1 in those not listed.
const LEAST: &[(&str, i64)] = &[
    ("aed", 200),
    ("aud", 50),
    ("bgn", 100),
    ("brl", 50),
    ("cad", 50),
    ("chf", 50),
    ("czk", 1_500),
    ("dkk", 250),
    ("eur", 50),
    ("gbp", 30),
    ("hkd", 400),
    ("huf", 17_500),
    ("inr", 50),
    ("jpy", 50),
    ("mxn", 1_000),
    ("myr", 200),
    ("nok", 300),
    ("nzd", 50),
    ("pln", 200),
    ("ron", 200),
    ("sek", 300),
    ("sgd", 50),
    ("thb", 1_000),
    ("usd", 50),
];

/// The most: eight digits, and twelve of rupiah.
const MOST: i64 = 99_999_999;
const MOST_IDR: i64 = 999_999_999_999;

/// Returns the currency of some parameters in lower case.
pub(crate) fn currency(params: &Map<String, Value>) -> Result<String, ApiError> {
    let given = param(params, "currency").ok_or_else(|| ApiError::missing("currency"))?;
    let lower = given.to_lowercase();
    if SUPPORTED.binary_search(&lower.as_str()).is_ok() {
        return Ok(lower);
    }
    Err(ApiError::parameter(
        "parameter_invalid",
        "currency",
        format!("Invalid currency: {lower}. Stripe currently supports these currencies: {}", SUPPORTED.join(", ")),
    ))
}

/// What so many of a price cost, exactly: the price may be below the least coin, and the sum is rounded once, the half up.
pub(crate) fn of_units(price: &Value, quantity: i64) -> i64 {
    let decimal = price.get("unit_amount_decimal").and_then(Value::as_str).unwrap_or_default();
    let (whole, rest) = decimal.split_once('.').unwrap_or((decimal, ""));
    let exact = || {
        let units: i128 = format!("{whole}{rest}").parse().ok()?;
        let scale = 10i128.checked_pow(u32::try_from(rest.len()).ok()?)?;
        let sum = units.checked_mul(i128::from(quantity))?.checked_add(scale / 2)?;
        i64::try_from(sum.div_euclid(scale)).ok()
    };
    exact().unwrap_or_else(|| price.get("unit_amount").and_then(Value::as_i64).unwrap_or(0).saturating_mul(quantity))
}

/// Refuses an amount that its currency does not have.
pub(crate) fn check_step(amount: i64, currency: &str, param: &str) -> Result<(), ApiError> {
    match STEPS.iter().find(|(name, _)| *name == currency) {
        Some((_, step)) if amount % step != 0 => Err(ApiError::parameter(
            "parameter_invalid_integer",
            param,
            format!("Invalid amount: {amount}. Amounts in {currency} must be divisible by {step}."),
        )),
        _ => Ok(()),
    }
}

/// Refuses an amount that cannot be charged.
pub(crate) fn check_charge(amount: i64, currency: &str) -> Result<(), ApiError> {
    check_step(amount, currency, "amount")?;
    let least = LEAST.iter().find(|(name, _)| *name == currency).map_or(1, |(_, least)| *least);
    if amount < least {
        return Err(ApiError::parameter(
            "amount_too_small",
            "amount",
            format!("Amount must be at least {least} in the smallest unit of {currency}"),
        ));
    }
    let most = if currency == "idr" { MOST_IDR } else { MOST };
    if amount > most {
        return Err(ApiError::parameter("amount_too_large", "amount", format!("Amount must be no more than {most}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(SUPPORTED.is_sorted());
    }

    #[test]
    fn what_costs_less_than_a_coin_is_summed_exactly() {
        let price = |text: &str| serde_json::json!({ "unit_amount": null, "unit_amount_decimal": text });
        for (unit, quantity, sum) in [
            ("0.5", 3, 2),
            ("0.1", 30, 3),
            ("0.07", 100, 7),
            ("1099", 2, 2198),
            ("0.000000000001", 1, 0),
            ("0.333333333333", 3, 1),
            ("4.35", 100, 435),
        ] {
            assert_eq!(of_units(&price(unit), quantity), sum, "{unit} times {quantity}");
        }
        assert_eq!(of_units(&serde_json::json!({ "unit_amount": 250 }), 4), 1000);
    }

    #[test]
    fn amounts_that_a_currency_does_not_have() {
        assert!(check_step(1_230, "kwd", "amount").is_ok() && check_step(1_234, "kwd", "amount").is_err());
        assert!(check_step(7_000, "isk", "amount").is_ok() && check_step(7_050, "isk", "amount").is_err());
        assert!(check_charge(49, "usd").is_err() && check_charge(50, "usd").is_ok());
        assert!(check_charge(100_000_000, "usd").is_err() && check_charge(100_000_000, "idr").is_ok());
    }
}
