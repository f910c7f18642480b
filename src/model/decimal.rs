//! Decimal numbers by their digits: exact, whatever their size.

/// A decimal number: `digits` times ten to the power of `exponent`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    /// Without zeros at either end; empty for zero.
    digits: String,
    exponent: i64,
}

impl Decimal {
    /// Reads a number in JSON's notation. `None` if its exponent is beyond all use.
    pub fn parse(number: &str) -> Option<Self> {
        let unsigned = number.strip_prefix('-').unwrap_or(number);
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits = format!("{whole}{fraction}");
        let zeros = digits.len() - digits.trim_start_matches('0').len();
        digits.drain(..zeros);
        if digits.is_empty() || digits.bytes().all(|digit| digit == b'0') {
            return Some(Self { negative: false, digits: String::new(), exponent: 0 });
        }
        let length = digits.trim_end_matches('0').len();
        let shift = (digits.len() - length) as i64 - fraction.len() as i64;
        digits.truncate(length);
        let exponent = exponent.parse::<i64>().ok()?.checked_add(shift)?;
        Some(Self { negative: number.starts_with('-'), digits, exponent })
    }

    /// The number of significant digits; none for zero.
    pub fn significant(&self) -> usize {
        self.digits.len()
    }

    /// The power of ten of the first significant digit.
    pub fn magnitude(&self) -> i64 {
        self.exponent.saturating_add(self.digits.len() as i64 - 1)
    }

    /// Whether it is a whole number.
    pub fn is_whole(&self) -> bool {
        self.exponent >= 0
    }

    /// The one plain notation of the number: no exponent, no zeros that say nothing, no sign of zero. `None` if it
    /// takes more than that many bytes, which is known before it is written.
    pub fn plain(&self, most: usize) -> Option<String> {
        if self.digits.is_empty() {
            return Some("0".to_owned());
        }
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let point = self.exponent.checked_add(self.digits.len() as i64)?;
        if point > most || self.exponent < most.saturating_neg() {
            return None;
        }
        let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
        let digits = self.digits.as_str();
        let unsigned = if self.exponent >= 0 {
            format!("{digits}{}", zeros(self.exponent))
        } else if point <= 0 {
            format!("0.{}{digits}", zeros(-point))
        } else {
            let (whole, fraction) = digits.split_at(usize::try_from(point).ok()?);
            format!("{whole}.{fraction}")
        };
        let text = if self.negative { format!("-{unsigned}") } else { unsigned };
        (text.len() as i64 <= most).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MOST: usize = 2048;

    fn plain(number: &str) -> Option<String> {
        Decimal::parse(number)?.plain(MOST)
    }

    /// Moves the point place by place, as one would on paper.
    fn by_hand(negative: bool, whole: &str, fraction: &str, exponent: i32) -> String {
        let (mut whole, mut fraction) = (whole.to_owned(), fraction.to_owned());
        for _ in 0..exponent.abs() {
            if exponent > 0 {
                whole.push(if fraction.is_empty() { '0' } else { fraction.remove(0) });
            } else {
                fraction.insert(0, whole.pop().unwrap_or('0'));
            }
        }
        while whole.starts_with('0') {
            whole.remove(0);
        }
        while fraction.ends_with('0') {
            fraction.pop();
        }
        let nothing = whole.is_empty() && fraction.is_empty();
        let whole = if whole.is_empty() { "0".to_owned() } else { whole };
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{}{whole}{point}{fraction}", if negative && !nothing { "-" } else { "" })
    }

    #[test]
    fn a_number_has_one_plain_notation() {
        for one in ["1", "1.0", "1e0", "10e-1", "0.1E+1", "1.000e00"] {
            assert_eq!(plain(one).as_deref(), Some("1"), "{one}");
        }
        for zero in ["0", "-0", "0.000", "-0e99999999999999999999", "0e5"] {
            assert_eq!(plain(zero).as_deref(), Some("0"), "{zero}");
        }
        for (number, want) in [("-12.50", "-12.5"), ("1e3", "1000"), ("1.5e-3", "0.0015"), ("120e-1", "12")] {
            assert_eq!(plain(number).as_deref(), Some(want));
        }
        assert_eq!(plain("1e30"), Some(format!("1{}", "0".repeat(30))));
        assert_eq!(plain("1e-30"), Some(format!("0.{}1", "0".repeat(29))));
    }

    #[test]
    fn a_number_of_too_many_digits_is_never_written_out() {
        for number in [
            "1e2048",
            "1e-2047",
            "-1e2047",
            "1e9223372036854775807",
            "1e-9223372036854775808",
            "1e99999999999999999999",
        ] {
            assert_eq!(plain(number), None, "{number}");
        }
        assert_eq!(plain("1e2047").map(|text| text.len()), Some(2048));
        assert_eq!(plain("1e-2046").map(|text| text.len()), Some(2048));
    }

    proptest! {
        #[test]
        fn the_plain_notation_is_that_of_a_slow_hand(
            negative: bool, whole in "0|[1-9][0-9]{0,8}", fraction in "[0-9]{0,8}", exponent in -40..40_i32,
        ) {
            let point = if fraction.is_empty() { "" } else { "." };
            let sign = if negative { "-" } else { "" };
            let number = format!("{sign}{whole}{point}{fraction}e{exponent}");
            let want = by_hand(negative, &whole, &fraction, exponent);
            prop_assert_eq!(plain(&number), Some(want.clone()));
            // What is plain stays as it is.
            prop_assert_eq!(plain(&want), Some(want.clone()));
            prop_assert_eq!(Decimal::parse(&number).map(|n| n.is_whole()), Some(!want.contains('.')));
        }
    }
}
