//! Decimals as JSON numbers: all digits, as many behind the point as the column has.

use std::io::Write;

/// The most bytes of a decimal: 76 digits take 32.
const MOST_BYTES: usize = 64;

/// Appends `value` · 10^-`scale`.
pub(crate) fn integer(value: i128, scale: usize, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    let start = out.len();
    // Writing to memory does not fail.
    let _ = write!(out, "{}", value.unsigned_abs());
    point(start, scale, out);
}

/// Appends a decimal from its bytes: two's complement, the highest byte first. `None` if there are too many.
pub(crate) fn bytes(bytes: &[u8], scale: usize, out: &mut Vec<u8>) -> Option<()> {
    let sign = if bytes.first().is_some_and(|first| *first >= 0x80) { 0xff } else { 0 };
    if bytes.len() <= 16 {
        let mut whole = [sign; 16];
        whole[16 - bytes.len()..].copy_from_slice(bytes);
        integer(i128::from_be_bytes(whole), scale, out);
        return Some(());
    }
    if bytes.len() > MOST_BYTES {
        return None;
    }
    let mut whole = [sign; MOST_BYTES];
    whole[MOST_BYTES - bytes.len()..].copy_from_slice(bytes);
    let mut limbs = [0_u32; MOST_BYTES / 4];
    for (limb, four) in limbs.iter_mut().zip(whole.as_chunks::<4>().0) {
        *limb = u32::from_be_bytes(*four);
    }
    if sign != 0 {
        out.push(b'-');
        negate(&mut limbs);
    }
    let start = out.len();
    digits(&mut limbs, out);
    point(start, scale, out);
    Some(())
}

fn negate(limbs: &mut [u32]) {
    let mut carry = true;
    for limb in limbs.iter_mut().rev() {
        (*limb, carry) = (!*limb).overflowing_add(u32::from(carry));
    }
}

/// Appends the digits of a number, which is used up by dividing it.
fn digits(limbs: &mut [u32], out: &mut Vec<u8>) {
    let mut groups = Vec::with_capacity(limbs.len() + 2);
    while limbs.iter().any(|limb| *limb != 0) {
        let mut rest = 0_u64;
        for limb in limbs.iter_mut() {
            let value = rest << 32 | u64::from(*limb);
            *limb = (value / 1_000_000_000) as u32;
            rest = value % 1_000_000_000;
        }
        groups.push(rest);
    }
    let _ = write!(out, "{}", groups.pop().unwrap_or(0));
    while let Some(group) = groups.pop() {
        let _ = write!(out, "{group:09}");
    }
}

/// Puts the point into the digits that begin at `start`.
fn point(start: usize, scale: usize, out: &mut Vec<u8>) {
    if scale == 0 {
        return;
    }
    let missing = (scale + 1).saturating_sub(out.len() - start);
    out.splice(start..start, std::iter::repeat_n(b'0', missing));
    out.insert(out.len() - scale, b'.');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(be: &[u8], scale: usize) -> String {
        let mut out = Vec::new();
        bytes(be, scale, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn points_and_signs() {
        for (value, scale, expected) in [
            (0, 0, "0"),
            (0, 2, "0.00"),
            (5, 2, "0.05"),
            (-5, 2, "-0.05"),
            (1234, 2, "12.34"),
            (-1234, 4, "-0.1234"),
            (i128::MIN, 38, "-1.70141183460469231731687303715884105728"),
        ] {
            let mut out = Vec::new();
            integer(value, scale, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
            // The same number in more bytes than it needs.
            for extra in [0, 1, 16, 48] {
                let mut be = vec![if value < 0 { 0xff } else { 0 }; extra];
                be.extend(value.to_be_bytes());
                assert_eq!(text(&be, scale), expected);
            }
        }
        assert_eq!(text(&[], 1), "0.0");
        assert_eq!(text(&[0x80], 0), "-128");
        assert_eq!(bytes(&[0; 65], 0, &mut Vec::new()), None);
    }

    #[test]
    fn seventy_six_digits() {
        // 10^76 - 1 and its negative, in 32 bytes.
        let most = [
            0x16, 0x1b, 0xcc, 0xa7, 0x11, 0x99, 0x15, 0xb5, 0x07, 0x64, 0xb4, 0xab, 0xe8, 0x65, 0x29, 0x79, 0x77, 0x75,
            0xa5, 0xf1, 0x71, 0x95, 0x0f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        ];
        let least = [
            0xe9, 0xe4, 0x33, 0x58, 0xee, 0x66, 0xea, 0x4a, 0xf8, 0x9b, 0x4b, 0x54, 0x17, 0x9a, 0xd6, 0x86, 0x88, 0x8a,
            0x5a, 0x0e, 0x8e, 0x6a, 0xf0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01,
        ];
        assert_eq!(text(&most, 0), "9".repeat(76));
        assert_eq!(text(&most, 76), format!("0.{}", "9".repeat(76)));
        assert_eq!(text(&least, 10), format!("-{}.{}", "9".repeat(66), "9".repeat(10)));
    }
}
