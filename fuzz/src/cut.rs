//! Ways to cut a file into pieces, and pseudo-random numbers.

/// A generator of the same numbers on every machine (Marsaglia's xorshift).
pub struct Xorshift(u64);

impl Xorshift {
    /// A generator that starts from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// A number from 0 up to, but not including, `end`, which must not be 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap_or(0)
    }
}

/// One way to cut a file into pieces, chosen by a byte.
#[derive(Debug, Clone, Copy)]
pub struct Cut(pub u8);

impl Cut {
    /// The whole file in one piece.
    pub const WHOLE: Self = Self(0);

    /// The pieces: the whole file, or pieces of 1 to 191 bytes each, or of changing sizes.
    pub fn pieces(self, mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
        let mut random = Xorshift::new(u64::from(self.0));
        std::iter::from_fn(move || {
            let size = match self.0 {
                0 => bytes.len(),
                size @ 1..=191 => usize::from(size),
                _ => 1 + random.below(64),
            };
            let (piece, rest) = bytes.split_at(size.min(bytes.len()));
            bytes = rest;
            (!piece.is_empty()).then_some(piece)
        })
    }
}
