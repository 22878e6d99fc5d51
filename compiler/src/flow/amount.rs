//! Amounts that were written as texts: `"100 USD"`, `"$5"`, `"12.50 €"`.

use std::str::FromStr;

use flow_plan::Currency;
use rust_decimal::Decimal;

/// Signs that stand for one currency more often than for any other.
const SIGNS: [(char, &str); 4] = [('$', "USD"), ('€', "EUR"), ('£', "GBP"), ('¥', "JPY")];

/// A number with the currency that stands beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Amount {
    /// As written.
    pub(super) number: String,
    /// Its currency; `None` where there is none.
    pub(super) currency: Option<String>,
    /// A sign stood for the currency.
    pub(super) by_sign: bool,
}

impl Amount {
    /// Reads a text; `None` where it is more, or less, than an amount.
    pub(super) fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let first = text.find(|c: char| c.is_ascii_digit())?;
        let rest = text.get(first..)?;
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(rest.len());
        let (number, behind) = rest.split_at(end);
        let before = text.get(..first)?.trim();
        Decimal::from_str(number).ok()?;
        let beside = match (before.is_empty(), behind.trim()) {
            (true, behind) => behind,
            (false, "") => before,
            (false, _) => return None,
        };
        if beside.is_empty() {
            return Some(Self { number: number.to_owned(), currency: None, by_sign: false });
        }
        let sign = SIGNS.iter().find(|(sign, _)| beside.strip_prefix(*sign).is_some_and(str::is_empty));
        let code = match sign {
            Some((_, code)) => (*code).to_owned(),
            None => beside.to_uppercase(),
        };
        let currency = Currency::parse(&code).filter(Currency::is_listed)?;
        Some(Self { number: number.to_owned(), currency: Some(currency.to_string()), by_sign: sign.is_some() })
    }
}
