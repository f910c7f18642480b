//! Several calls under way at once.

use futures::stream::{self, StreamExt};

/// What futures come to, in their order; `width` of them are under way at once. They come as a list,
/// since an iterator that borrows keeps the whole from being `Send`.
pub async fn bounded<F: Future>(futures: Vec<F>, width: usize) -> Vec<F::Output> {
    stream::iter(futures).buffered(width.max(1)).collect().await
}
