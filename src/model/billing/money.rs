//! Amounts of money: exact products of quantities and prices, rounded once, where they become a line of an invoice.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::model::fold::Exact;

/// Currencies without a minor unit, and those whose minor unit is a thousandth or less; of all others it is a hundredth:
/// <https://www.six-group.com/en/products-services/financial-information/data-standards.html>
const NONE: [&str; 16] =
    ["BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"];
const THOUSANDTHS: [&str; 7] = ["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"];
const TEN_THOUSANDTHS: [&str; 2] = ["CLF", "UYW"];

/// A currency by its code of ISO 4217.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Currency(String);

impl Currency {
    /// The currency of this code: three capital letters.
    pub fn parse(code: &str) -> Option<Self> {
        let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
        is_code.then(|| Self(code.to_owned()))
    }

    /// The decimal places of its amounts.
    pub fn places(&self) -> u8 {
        match self.0.as_str() {
            code if NONE.contains(&code) => 0,
            code if THOUSANDTHS.contains(&code) => 3,
            code if TEN_THOUSANDTHS.contains(&code) => 4,
            _ => 2,
        }
    }

    /// What a quantity costs at a price for one: rounded to what can be paid, half to even.
    pub fn amount(&self, quantity: &Exact, price: &Exact) -> Exact {
        quantity.times(price).rounded(self.places())
    }

    /// An amount as people write it: with all places of the currency, as in `1061.80`.
    pub fn written(&self, amount: &Exact) -> String {
        let (text, places) = (amount.to_string(), usize::from(self.places()));
        let there = text.split_once('.').map_or(0, |(_, digits)| digits.len());
        let point = if there == 0 && places > 0 { "." } else { "" };
        format!("{text}{point}{}", "0".repeat(places.saturating_sub(there)))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Self::parse(&code).ok_or_else(|| de::Error::custom("a currency is three capital letters, as in EUR"))
    }
}

/// What is charged for one of what is metered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// The currency of all of them.
    pub currency: Currency,
    /// By meter. What has no price is listed with its quantity alone.
    pub meters: BTreeMap<String, Exact>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> Exact {
        Exact::of_text(text).unwrap()
    }

    fn currency(code: &str) -> Currency {
        Currency::parse(code).unwrap()
    }

    #[test]
    fn amounts_are_written_with_all_places_of_the_currency() {
        for (code, amount, written) in [
            ("EUR", "1061.8", "1061.80"),
            ("EUR", "-3", "-3.00"),
            ("EUR", "0", "0.00"),
            ("EUR", "0.05", "0.05"),
            ("JPY", "31", "31"),
            ("KWD", "2.5", "2.500"),
            ("CLF", "1", "1.0000"),
        ] {
            assert_eq!(currency(code).written(&number(amount)), written);
        }
    }

    #[test]
    fn amounts_are_rounded_once_and_half_to_even() {
        for (code, quantity, price, amount) in [
            ("EUR", "3", "0.335", "1"), // 1.005
            ("EUR", "1", "0.015", "0.02"),
            ("EUR", "1", "0.025", "0.02"),
            ("EUR", "1", "0.0250000000000000000000000000000000000001", "0.03"),
            ("EUR", "-1", "0.025", "-0.02"),
            ("EUR", "-1", "0.035", "-0.04"),
            ("JPY", "1", "0.5", "0"),
            ("JPY", "1", "1.5", "2"),
            ("KWD", "1", "0.0005", "0"),
            ("KWD", "1", "0.0015", "0.002"),
            ("CLF", "1", "0.00015", "0.0002"),
            ("EUR", "99999999999999999999999999999999999999", "0.1", "9999999999999999999999999999999999999.9"),
        ] {
            assert_eq!(
                currency(code).amount(&number(quantity), &number(price)),
                number(amount),
                "{quantity} at {price} {code}"
            );
        }
    }

    #[test]
    fn only_codes_are_currencies() {
        for wrong in ["", "eur", "EURO", "E1R", "ÄBC"] {
            assert_eq!(Currency::parse(wrong), None, "{wrong}");
        }
        let read = |text: &str| serde_json::from_str::<Prices>(text);
        let prices = read(r#"{"currency": "EUR", "meters": {"kwh": "0.25"}}"#).unwrap();
        assert_eq!(prices.meters["kwh"].to_string(), "0.25");
        assert!(read(r#"{"currency": "euro", "meters": {}}"#).unwrap_err().to_string().contains("as in EUR"));
        assert!(read(r#"{"currency": "EUR", "meters": {"kwh": "cheap"}}"#).is_err());
        assert!(read(r#"{"currency": "EUR", "prices": {}}"#).is_err());
    }

    proptest! {
        /// Whole numbers of the smallest unit, held against integers.
        #[test]
        fn amounts_are_those_of_whole_numbers(quantity in -1_000_000_i64..1_000_000, price in 0_i64..1_000_000) {
            let thousandths = |whole: i64| number(&format!("{}{}.{:03}", if whole < 0 { "-" } else { "" }, whole.abs() / 1000, whole.abs() % 1000));
            let amount = currency("EUR").amount(&number(&quantity.to_string()), &thousandths(price));
            let product = i128::from(quantity) * i128::from(price); // thousandths
            let (floor, rest) = (product.div_euclid(10), product.rem_euclid(10));
            let up = rest > 5 || (rest == 5 && floor % 2 != 0);
            let cents = floor + i128::from(up);
            let sign = if cents < 0 { "-" } else { "" };
            prop_assert_eq!(amount, number(&format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100)));
        }
    }
}
