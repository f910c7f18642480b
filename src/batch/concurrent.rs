//! Runs several calls at once.

use futures::stream::{self, StreamExt};

/// Returns the outputs of `futures` in order, running up to `width` of them at once. It takes a list because an
/// iterator that borrows would keep the whole from being `Send`.
pub async fn bounded<F: Future>(futures: Vec<F>, width: usize) -> Vec<F::Output> {
    stream::iter(futures).buffered(width.max(1)).collect().await
}
