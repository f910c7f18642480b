//! How the end of a batch is noticed.

use serde::{Deserialize, Serialize};

use crate::model::ids::{MAX_CHUNKS, MAX_TREE_CHUNKS};

/// How the end of a batch is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Condition {
    /// All leaves of the ledger's completion tree are full.
    Tree,
    /// The batch is sealed, and no pending chunk is left in the work bucket.
    Listing,
}

impl Condition {
    /// Whether the ledger counts chunks, and so knows which are done and with what outcomes.
    pub fn has_tree(self) -> bool {
        self == Self::Tree
    }

    /// How many chunks a batch can have. A listing bounds them only by what keys can name: what they cost is bounded by
    /// [`Limits`](crate::model::limits::Limits), which a chunk of one record meets long before.
    pub fn most_chunks(self) -> u32 {
        match self {
            Self::Tree => MAX_TREE_CHUNKS,
            Self::Listing => MAX_CHUNKS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_has_no_tree_to_fill() {
        assert!(Condition::Listing.most_chunks() > Condition::Tree.most_chunks());
    }
}
