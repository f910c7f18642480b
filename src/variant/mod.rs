//! The variants: one pipeline, put together from different parts. A variant is a Cargo feature;
//! what is not built in can not be named.

use crate::model::error::{Error, Result};

/// What a variant's pipeline is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// The name, as in `VARIANT`.
    pub name: &'static str,
    /// How many calls to AWS one function has under way at most.
    pub width: usize,
}

/// Calls under way at once where a variant works concurrently.
pub const CONCURRENT: usize = 16;

/// The variants of this build.
pub const BUILT_IN: &[Variant] = &[
    #[cfg(feature = "chunked")]
    Variant { name: "chunked", width: CONCURRENT },
];

impl Variant {
    /// The variant of a name.
    ///
    /// # Errors
    /// `Config` with the names that this build knows.
    pub fn named(name: &str) -> Result<Self> {
        BUILT_IN.iter().find(|variant| variant.name == name).copied().ok_or_else(|| {
            let names: Vec<&str> = BUILT_IN.iter().map(|variant| variant.name).collect();
            Error::config(format!(
                "VARIANT {name:?} is not built in; this build has: {}",
                if names.is_empty() { "none".to_owned() } else { names.join(", ") }
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        for variant in BUILT_IN {
            assert_eq!(&Variant::named(variant.name).unwrap(), variant);
        }
        let refused = Variant::named("serial").unwrap_err().to_string();
        assert!(refused.contains("\"serial\" is not built in"), "{refused}");
    }
}
