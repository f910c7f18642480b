//! A function whose calls are surrounded.

use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;

use crate::store::function::{CallError, Function, Returned};
use crate::store::surround::{Surround, Surrounded};

impl<F: Function, A: Surround> Function for Surrounded<F, A> {
    async fn invoke(&self, payload: Bytes, patience: Duration) -> Result<Returned, CallError> {
        // A function's own errors are none of a store's: nothing is to be repeated for them.
        let call = || self.store.invoke(payload.clone(), patience).map(Ok).boxed();
        match self.around.call("function.invoke", call).await {
            Ok(answer) => answer,
            Err(fault) => Err(CallError::Unknown(fault.to_string())),
        }
    }
}
