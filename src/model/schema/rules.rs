//! What a deployment asks of records. A batch keeps what it began with, whatever is deployed meanwhile.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::cells::Cells;

/// What makes a record valid, as it is kept for the batches that began with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rules {
    /// The field that is the items' key.
    pub key_field: String,
    /// The record schema, as text.
    pub schema: String,
    /// Which texts stand for a value in the cells of CSV files.
    #[serde(default)]
    pub cells: Cells,
}

impl Rules {
    /// A name for them, of 16 hexadecimal digits: the same rules have the same name, and others another.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for text in [&self.key_field, &self.schema] {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        let Cells { null_values, true_values, false_values } = &self.cells;
        for texts in [null_values, true_values, false_values] {
            hash.update((texts.len() as u64).to_le_bytes());
            for text in texts {
                hash.update((text.len() as u64).to_le_bytes());
                hash.update(text);
            }
        }
        hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_rules_have_other_names() {
        let rules = |key: &str, schema: &str, nulls: &[&str], trues: &[&str]| Rules {
            key_field: key.into(),
            schema: schema.into(),
            cells: Cells {
                null_values: nulls.iter().map(|&text| text.into()).collect(),
                true_values: trues.iter().map(|&text| text.into()).collect(),
                false_values: Vec::new(),
            },
        };
        let all = [
            rules("id", "{}", &[], &[]),
            rules("i", "d{}", &[], &[]),
            rules("id", "{} ", &[], &[]),
            rules("id", "{}", &["NA"], &[]),
            rules("id", "{}", &["N", "A"], &[]),
            rules("id", "{}", &[], &["NA"]),
        ];
        let names: std::collections::BTreeSet<String> = all.iter().map(Rules::digest).collect();
        assert_eq!(names.len(), all.len());
        assert!(names.iter().all(|name| name.len() == 16));
        let again: Rules = serde_json::from_str(&serde_json::to_string(&all[3]).unwrap()).unwrap();
        assert_eq!(again.digest(), all[3].digest());
    }
}
