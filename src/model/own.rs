//! The attributes that fanfold adds to each item.

use crate::model::error::{Error, Result};

/// The names of these attributes; a record cannot have fields of these names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnAttributes {
    /// Holds the batch that wrote the item.
    pub batch: &'static str,
    /// Holds the record's place in the batch.
    pub index: &'static str,
    /// Holds when the item was written, in ms.
    pub updated_at: &'static str,
}

/// The attribute by which ordered writes compare items.
pub const ORDER: &str = "fanfoldOrder";

impl OwnAttributes {
    /// Names that no column of a file has.
    pub const PREFIXED: Self =
        Self { batch: "fanfoldBatchId", index: "fanfoldRecordIndex", updated_at: "fanfoldUpdatedAt" };
    /// Those of deployments that are older than the prefix.
    pub const BARE: Self = Self { batch: "batchId", index: "recordIndex", updated_at: "updatedAt" };

    /// The names called so, as in `ITEM_ATTRIBUTES`.
    ///
    /// # Errors
    /// `Config`, which lists the valid names.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "prefixed" => Ok(Self::PREFIXED),
            "bare" => Ok(Self::BARE),
            _ => Err(Error::config(format!("ITEM_ATTRIBUTES is {name:?}; it can be prefixed or bare"))),
        }
    }

    /// Checks that a field may be the key of records.
    ///
    /// # Errors
    /// `Config` if it is one of them.
    pub fn check_key_field(&self, key_field: &str) -> Result<()> {
        if self.names().contains(&key_field) {
            let message = format!("KEY_FIELD is {key_field:?}, which every item has already; name another field");
            return Err(Error::config(message));
        }
        Ok(())
    }

    /// All of them.
    pub fn names(&self) -> [&'static str; 4] {
        [self.batch, self.index, self.updated_at, ORDER]
    }
}

impl Default for OwnAttributes {
    fn default() -> Self {
        Self::PREFIXED
    }
}
