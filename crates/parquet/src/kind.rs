//! The values of a column as JSON.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use parquet::basic::{ConvertedType, LogicalType, TimeUnit};
use parquet::schema::types::ColumnDescriptor;
use serde_json::value::RawValue;

use crate::error::Error;
use crate::{decimal, time};

/// The largest scale of a decimal that is written out in digits.
const LARGEST_SCALE: i32 = 1000;
/// How deep a JSON value in a column may be nested to be embedded; readers give up at about 128 in all.
const DEEPEST_JSON: usize = 60;

/// A value as it is stored.
#[derive(Clone, Copy)]
pub(crate) enum Value<'a> {
    Bool(bool),
    I32(i32),
    I64(i64),
    I96(&'a [u32]),
    F32(f32),
    F64(f64),
    Bytes(&'a [u8]),
}

/// How the values of a column are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As they are stored: truth values, numbers, INT96, bytes in base64.
    Plain,
    Unsigned,
    Text,
    Json,
    Uuid,
    Float16,
    Decimal(usize),
    Date,
    Time(TimeUnit, bool),
    Timestamp(TimeUnit, bool),
    Interval,
}

/// Why a value is not what its column promises; a text for it was written nonetheless.
pub(crate) type Fault = &'static str;

const NOT_FINITE: Fault = "the value is not a finite number, which JSON cannot express";
const NOT_UTF8: Fault = "the text is not UTF-8";
const NOT_IN_A_DAY: Fault = "the time is not within a day";
const NOT_DECIMAL: Fault = "the decimal has too many digits";

impl Kind {
    /// The kind of a column.
    ///
    /// # Errors
    /// `Unsupported` for a decimal of an absurd scale.
    pub(crate) fn of(column: &ColumnDescriptor) -> Result<Self, Error> {
        let kind = Self::logical(column).unwrap_or_else(|| Self::converted(column));
        if kind == Self::Decimal(0) {
            let scale = column.type_scale();
            return match usize::try_from(scale) {
                Ok(digits) if scale <= LARGEST_SCALE => Ok(Self::Decimal(digits)),
                _ => Err(Error::Unsupported(format!("column {}: a decimal of scale {scale}", column.path().string()))),
            };
        }
        Ok(kind)
    }

    fn logical(column: &ColumnDescriptor) -> Option<Self> {
        Some(match column.logical_type_ref()? {
            LogicalType::String | LogicalType::Enum => Self::Text,
            LogicalType::Json => Self::Json,
            LogicalType::Uuid => Self::Uuid,
            LogicalType::Float16 => Self::Float16,
            LogicalType::Decimal(_) => Self::Decimal(0),
            LogicalType::Date => Self::Date,
            LogicalType::Time(of) => Self::Time(of.unit, of.is_adjusted_to_u_t_c),
            LogicalType::Timestamp(of) => Self::Timestamp(of.unit, of.is_adjusted_to_u_t_c),
            LogicalType::Integer(of) if !of.is_signed => Self::Unsigned,
            _ => return None,
        })
    }

    fn converted(column: &ColumnDescriptor) -> Self {
        match column.converted_type() {
            ConvertedType::UTF8 | ConvertedType::ENUM => Self::Text,
            ConvertedType::JSON => Self::Json,
            ConvertedType::DECIMAL => Self::Decimal(0),
            ConvertedType::DATE => Self::Date,
            // These two annotations always mean UTC.
            ConvertedType::TIME_MILLIS => Self::Time(TimeUnit::MILLIS, true),
            ConvertedType::TIME_MICROS => Self::Time(TimeUnit::MICROS, true),
            ConvertedType::TIMESTAMP_MILLIS => Self::Timestamp(TimeUnit::MILLIS, true),
            ConvertedType::TIMESTAMP_MICROS => Self::Timestamp(TimeUnit::MICROS, true),
            ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64 => {
                Self::Unsigned
            }
            ConvertedType::INTERVAL => Self::Interval,
            _ => Self::Plain,
        }
    }

    /// Appends a value as JSON. If it is not what the column promises, a text for it is appended all the same, and
    /// the reason is returned.
    pub(crate) fn write(self, value: Value<'_>, out: &mut Vec<u8>) -> Option<Fault> {
        match (self, value) {
            (Self::Unsigned, Value::I32(value)) => number(value as u32, out),
            (Self::Unsigned, Value::I64(value)) => number(value as u64, out),
            (Self::Decimal(scale), Value::I32(value)) => decimal::integer(value.into(), scale, out),
            (Self::Decimal(scale), Value::I64(value)) => decimal::integer(value.into(), scale, out),
            (Self::Date, Value::I32(value)) => time::date(value.into(), out),
            (Self::Time(unit, utc), Value::I32(value)) => return time_of_day(value.into(), unit, utc, out),
            (Self::Time(unit, utc), Value::I64(value)) => return time_of_day(value, unit, utc, out),
            (Self::Timestamp(unit, utc), Value::I64(value)) => time::timestamp(value, unit, utc, out),
            (_, Value::Bool(value)) => out.extend_from_slice(if value { b"true" } else { b"false" }),
            (_, Value::I32(value)) => number(value, out),
            (_, Value::I64(value)) => number(value, out),
            (_, Value::I96(words)) => time::int96(words, out),
            (_, Value::F32(value)) if value.is_finite() => number(value, out),
            (_, Value::F64(value)) if value.is_finite() => number(value, out),
            (_, Value::F32(value)) => return not_finite(value.into(), out),
            (_, Value::F64(value)) => return not_finite(value, out),
            (_, Value::Bytes(value)) => return self.write_bytes(value, out),
        }
        None
    }

    fn write_bytes(self, value: &[u8], out: &mut Vec<u8>) -> Option<Fault> {
        match self {
            Self::Text => return text(value, out),
            Self::Json => return json(value, out),
            Self::Decimal(scale) if decimal::bytes(value, scale, out).is_none() => {
                base64(value, out);
                return Some(NOT_DECIMAL);
            }
            Self::Decimal(_) => {}
            Self::Uuid if value.len() == 16 => uuid(value, out),
            Self::Float16 => match *value {
                [low, high] => return Self::Plain.write(Value::F32(half(u16::from_le_bytes([low, high]))), out),
                _ => base64(value, out),
            },
            Self::Interval => match value.try_into() {
                Ok(value) => time::interval(value, out),
                Err(_) => base64(value, out),
            },
            _ => base64(value, out),
        }
        None
    }
}

/// Appends a number in its shortest digits.
fn number(value: impl serde::Serialize, out: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(out, &value);
}

fn time_of_day(value: i64, unit: TimeUnit, utc: bool, out: &mut Vec<u8>) -> Option<Fault> {
    if time::time(value, unit, utc, out).is_some() {
        return None;
    }
    number(value, out);
    Some(NOT_IN_A_DAY)
}

fn not_finite(value: f64, out: &mut Vec<u8>) -> Option<Fault> {
    out.extend_from_slice(if value.is_nan() {
        b"\"NaN\""
    } else if value > 0.0 {
        b"\"Infinity\""
    } else {
        b"\"-Infinity\""
    });
    Some(NOT_FINITE)
}

/// Appends a string; what is not UTF-8 in it becomes U+FFFD.
pub(crate) fn text(value: &[u8], out: &mut Vec<u8>) -> Option<Fault> {
    match String::from_utf8_lossy(value) {
        Cow::Borrowed(text) => {
            let _ = serde_json::to_writer(out, text);
            None
        }
        Cow::Owned(text) => {
            let _ = serde_json::to_writer(out, &text);
            Some(NOT_UTF8)
        }
    }
}

/// Embeds a JSON value, on one line; what is not JSON becomes a string.
fn json(value: &[u8], out: &mut Vec<u8>) -> Option<Fault> {
    let valid = std::str::from_utf8(value).ok().and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
    match valid {
        Some(raw) if nesting(raw.get().as_bytes()) <= DEEPEST_JSON => {
            // A line break can only stand between tokens.
            out.extend(raw.get().bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
            None
        }
        _ => text(value, out),
    }
}

/// How deep valid JSON is nested.
fn nesting(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn base64(value: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + value.len().div_ceil(3) * 4, b'=');
    // The room is exact, so this does not fail.
    let _ = BASE64_STANDARD.encode_slice(value, &mut out[start..]);
    out.push(b'"');
}

fn uuid(value: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for (at, byte) in value.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    out.push(b'"');
}

/// A number of IEEE 754's half precision.
fn half(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    sign * match (exponent, bits & 0x3ff) {
        (31, 0) => f32::INFINITY,
        (31, _) => f32::NAN,
        (0, _) => fraction * 2_f32.powi(-24),
        _ => (1.0 + fraction / 1024.0) * 2_f32.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(kind: Kind, value: Value<'_>) -> (String, Option<Fault>) {
        let mut out = Vec::new();
        let fault = kind.write(value, &mut out);
        (String::from_utf8(out).unwrap(), fault)
    }

    #[test]
    fn numbers_keep_every_digit_and_no_more() {
        for (kind, value, expected) in [
            (Kind::Plain, Value::I64(i64::MIN), "-9223372036854775808"),
            (Kind::Unsigned, Value::I64(-1), "18446744073709551615"),
            (Kind::Unsigned, Value::I32(-1), "4294967295"),
            (Kind::Plain, Value::F32(0.1), "0.1"),
            (Kind::Plain, Value::F64(0.1 + 0.2), "0.30000000000000004"),
            (Kind::Plain, Value::F64(-0.0), "-0.0"),
            (Kind::Float16, Value::Bytes(&[0x00, 0x3e]), "1.5"),
            (Kind::Float16, Value::Bytes(&[0x01, 0x80]), "-5.9604645e-8"),
            (Kind::Decimal(2), Value::Bytes(&[0xff]), "-0.01"),
        ] {
            assert_eq!(written(kind, value), (expected.to_owned(), None));
        }
    }

    #[test]
    fn what_json_cannot_express_is_a_fault_and_a_text() {
        for (kind, value, expected, fault) in [
            (Kind::Plain, Value::F64(f64::NAN), "\"NaN\"", NOT_FINITE),
            (Kind::Plain, Value::F32(f32::NEG_INFINITY), "\"-Infinity\"", NOT_FINITE),
            (Kind::Float16, Value::Bytes(&[0x00, 0x7c]), "\"Infinity\"", NOT_FINITE),
            (Kind::Text, Value::Bytes(b"a\xffb"), "\"a\u{fffd}b\"", NOT_UTF8),
            (Kind::Time(TimeUnit::MILLIS, true), Value::I32(-1), "-1", NOT_IN_A_DAY),
        ] {
            assert_eq!(written(kind, value), (expected.to_owned(), Some(fault)));
        }
        assert_eq!(written(Kind::Decimal(0), Value::Bytes(&[1; 70])).1, Some(NOT_DECIMAL));
    }

    #[test]
    fn json_is_embedded_on_one_line_if_it_is_json() {
        let deep = "[".repeat(100) + &"]".repeat(100);
        for (value, expected) in [
            ("{\"a\":\n 1}", "{\"a\":  1}"),
            (" 1.10 ", "1.10"),
            ("nul", "\"nul\""),
            ("\"[[\\\"\"", "\"[[\\\"\""),
            (deep.as_str(), &format!("\"{deep}\"")),
        ] {
            assert_eq!(written(Kind::Json, Value::Bytes(value.as_bytes())), (expected.to_owned(), None));
        }
    }

    #[test]
    fn bytes_and_uuids() {
        for (bytes, expected) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v")] {
            assert_eq!(written(Kind::Plain, Value::Bytes(bytes.as_bytes())).0, format!("\"{expected}\""));
        }
        let bytes: Vec<u8> = (0xf0..=0xff).collect();
        assert_eq!(written(Kind::Uuid, Value::Bytes(&bytes)).0, "\"f0f1f2f3-f4f5-f6f7-f8f9-fafbfcfdfeff\"");
        assert_eq!(written(Kind::Uuid, Value::Bytes(b"f")).0, "\"Zg==\"");
    }
}

#[cfg(test)]
mod refusals {
    use fanfold::model::refusal::{ROWS, Refusal};

    use super::{NOT_DECIMAL, NOT_FINITE, NOT_IN_A_DAY, NOT_UTF8};

    #[test]
    fn every_fault_of_a_row_is_on_the_list_of_refusals() {
        let mut listed = Vec::new();
        for fault in [NOT_FINITE, NOT_UTF8, NOT_IN_A_DAY, NOT_DECIMAL, crate::reader::TOO_DEEP] {
            let found = Refusal::of(&format!("row 3: column a.b: {fault}")).unwrap();
            assert_eq!(found.len(), 1, "{fault}");
            listed.extend(found);
        }
        assert!(ROWS.iter().eq(listed));
    }
}
