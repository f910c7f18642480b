//! Where the keys are kept that webhooks are signed with.

use std::future::Future;

use crate::model::error::Result;
use crate::model::reporting::signature::Keys;

/// Gives out keys.
pub trait Keyring: Send + Sync + 'static {
    /// The keys.
    ///
    /// # Errors
    /// Those of what keeps them.
    fn keys(&self) -> impl Future<Output = Result<Keys>> + Send;
}

/// Keys that are known.
impl Keyring for Keys {
    async fn keys(&self) -> Result<Keys> {
        Ok(self.clone())
    }
}
