//! Works on many bytes at a time, in plain loops that compilers vectorise.

use crate::model::format::Dialect;

/// The number of bytes in a block, with one bit for each.
pub const WIDTH: usize = 64;

/// The bytes that matter to CSV, as one bit for each of 64.
pub struct Marks {
    /// Quotes.
    pub quotes: u64,
    /// `\n` and `\r`.
    pub ends: u64,
    /// Delimiters; without a quote that needs them they are not looked for.
    pub delimiters: u64,
}

/// The marks among the bytes from `at` on; there are none past the end. `follows` says whether the byte before closed
/// a field.
#[inline]
pub fn marks(bytes: &[u8], at: usize, follows: bool, dialect: &Dialect) -> Marks {
    match bytes[at..].first_chunk() {
        Some(block) => marks_of(block, follows, dialect),
        None => {
            let mut block = [0; WIDTH];
            block[..bytes.len() - at].copy_from_slice(&bytes[at..]);
            marks_of(&block, follows, dialect)
        }
    }
}

#[inline]
fn marks_of(block: &[u8; WIDTH], follows: bool, dialect: &Dialect) -> Marks {
    let Dialect { quote, delimiter, .. } = *dialect;
    let quotes = places(block, quote);
    let ends = bits(block, |byte| (byte == b'\n') | (byte == b'\r'));
    let delimiters = if quotes != 0 || follows {
        places(block, delimiter)
    } else {
        // The next block may begin with a quote.
        u64::from(block[WIDTH - 1] == delimiter) << (WIDTH - 1)
    };
    Marks { quotes, ends, delimiters }
}

/// Where the byte is. Compilers do better with bytes that they know.
#[inline]
fn places(block: &[u8; WIDTH], byte: u8) -> u64 {
    match byte {
        b'"' => bits(block, |byte| byte == b'"'),
        b',' => bits(block, |byte| byte == b','),
        _ => bits(block, move |other| other == byte),
    }
}

/// Each byte's bit in its word: 1 for the first eight bytes, 2 for the next.
const WORD_BITS: [u8; WIDTH] = {
    let mut bits = [0; WIDTH];
    let mut at = 0;
    while at < WIDTH {
        bits[at] = 1 << (at / 8);
        at += 1;
    }
    bits
};

// If three of these are inlined side by side, they are vectorised together, by a detour through memory that
// takes most of the time.
#[inline(never)]
fn bits(block: &[u8; WIDTH], test: impl Fn(u8) -> bool) -> u64 {
    let mut found = [0; WIDTH];
    for at in 0..WIDTH {
        found[at] = if test(block[at]) { WORD_BITS[at] } else { 0 };
    }
    let (words, _) = found.as_chunks::<8>();
    let word = |at: usize| u64::from_le_bytes(words[at]);
    transposed(word(0) | word(1) | word(2) | word(3) | word(4) | word(5) | word(6) | word(7))
}

/// Transposes eight bytes as a square of bits: bit b of byte a becomes bit a of byte b. (Hacker's Delight, 7-3.)
#[inline]
fn transposed(mut square: u64) -> u64 {
    for (shift, mask) in [(7, 0x00AA_00AA_00AA_00AA), (14, 0x0000_CCCC_0000_CCCC), (28, 0xF0F0_F0F0)] {
        let swapped = (square ^ square >> shift) & mask;
        square ^= swapped ^ swapped << shift;
    }
    square
}

/// The parity of each bit and all before it: all bits are set from an odd quote up to the next even one.
#[inline]
pub fn running_parity(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    proptest! {
        #[test]
        fn marks_are_where_the_bytes_are(bytes in proptest::collection::vec(select(b"\",\n\r\0a\xa2\x8a".to_vec()), 0..100)) {
            for at in 0..bytes.len() {
                let Marks { quotes, ends, delimiters } = marks(&bytes, at, true, &Dialect::STANDARD);
                for place in 0..WIDTH {
                    let byte = bytes.get(at + place).copied().unwrap_or_default();
                    let here = [quotes, ends, delimiters].map(|bits| bits >> place & 1 == 1);
                    prop_assert_eq!(here, [byte == b'"', byte == b'\n' || byte == b'\r', byte == b',']);
                }
            }
        }

        #[test]
        fn parity_runs_from_quote_to_quote(bits: u64) {
            let parity = (0..64).map(|n| u64::from((bits << (63 - n)).count_ones() % 2) << n).sum::<u64>();
            prop_assert_eq!(running_parity(bits), parity);
        }
    }
}
