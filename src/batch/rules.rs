//! The rules that a batch began with: which of them a stage has to go by, whatever is deployed meanwhile.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::batch::Batches;
use crate::model::error::{Error, Result};
use crate::model::fault::{Fault, FaultCode};
use crate::model::own::OwnAttributes;
use crate::model::schema::{RecordSchema, Rules};
use crate::store::Stores;
use crate::store::ledger::RuleBook;

/// The most schemas of earlier deployments that are kept in memory.
const MOST: usize = 16;

/// The deployed schema, and those of batches that began before it was.
#[derive(Debug)]
pub struct Schemas {
    deployed: RecordSchema,
    key_field: String,
    digest: String,
    earlier: Mutex<HashMap<String, RecordSchema>>,
}

impl Schemas {
    /// The deployed schema, so far alone.
    pub fn new(deployed: RecordSchema) -> Self {
        let rules = deployed.rules();
        let digest = rules.digest();
        Self { deployed, key_field: rules.key_field, digest, earlier: Mutex::default() }
    }

    /// The schema of a batch, by the digest of its rules; the deployed one for a batch of before these were kept. Or why
    /// no record can be stored by it: the items table that the batch began with is gone, if its key was another.
    ///
    /// # Errors
    /// Those of the ledger; `Internal` if it does not know the rules, or they cannot be compiled.
    pub async fn of<S: Stores>(
        &self,
        batches: &Batches<S>,
        digest: Option<&str>,
    ) -> Result<std::result::Result<RecordSchema, String>> {
        let Some(digest) = digest.filter(|digest| *digest != self.digest) else {
            return Ok(Ok(self.deployed.clone()));
        };
        let earlier = || self.earlier.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(schema) = earlier().get(digest) {
            return Ok(Ok(schema.clone()));
        }
        let rules = batches.rules(digest).await?;
        if rules.key_field != self.key_field {
            return Ok(Err(other_key(&rules.key_field, &self.key_field)));
        }
        let schema = self.deployed.under(&rules)?;
        let mut earlier = earlier();
        if earlier.len() >= MOST {
            earlier.clear();
        }
        earlier.insert(digest.to_owned(), schema.clone());
        Ok(Ok(schema))
    }
}

fn other_key(began: &str, now: &str) -> String {
    format!(
        "the batch began when the key field was {began:?}, and the key of the items table is {now:?} now; redrive the batch \
         to store its records under that"
    )
}

/// The deployed rules, for the stage that begins batches with them.
#[derive(Debug)]
pub struct Deployed {
    rules: Rules,
    digest: String,
    kept: AtomicBool,
    fault: OnceLock<Option<Fault>>,
}

impl Deployed {
    /// Rules that were not looked at yet.
    pub fn new(rules: Rules) -> Self {
        let digest = rules.digest();
        Self { rules, digest, kept: AtomicBool::new(false), fault: OnceLock::new() }
    }

    /// Makes sure that the ledger keeps them, and returns their digest for a batch to begin with.
    ///
    /// # Errors
    /// Those of the ledger.
    pub async fn keep<S: Stores>(&self, batches: &Batches<S>) -> Result<String> {
        if !self.kept.load(Ordering::Relaxed) {
            batches.ledger.put_rules(&self.rules).await?;
            self.kept.store(true, Ordering::Relaxed);
        }
        Ok(self.digest.clone())
    }

    /// The rules that a batch began with, by their digest, or why they cannot be used.
    ///
    /// # Errors
    /// Those of the ledger; `Internal` if it does not know the rules.
    pub async fn of<S: Stores>(
        &self,
        batches: &Batches<S>,
        digest: Option<&str>,
    ) -> Result<std::result::Result<Cow<'_, Rules>, Fault>> {
        if let Some(digest) = digest.filter(|digest| *digest != self.digest) {
            let rules = batches.rules(digest).await?;
            return Ok(fault_of(&rules).map_or(Ok(Cow::Owned(rules)), Err));
        }
        let fault = self.fault.get_or_init(|| fault_of(&self.rules));
        Ok(fault.clone().map_or(Ok(Cow::Borrowed(&self.rules)), Err))
    }
}

fn fault_of(rules: &Rules) -> Option<Fault> {
    let error = RecordSchema::of(rules, OwnAttributes::default()).err()?;
    Some(Fault::new(FaultCode::BadSchema, error.to_string()))
}

impl<S: Stores> Batches<S> {
    /// The rules with a digest, which a batch began with.
    ///
    /// # Errors
    /// Those of the ledger; `Internal` if it does not know them.
    pub async fn rules(&self, digest: &str) -> Result<Rules> {
        let unknown = || Error::internal(format!("the ledger does not know the rules {digest}"));
        self.ledger.read_rules(digest).await?.ok_or_else(unknown)
    }
}
