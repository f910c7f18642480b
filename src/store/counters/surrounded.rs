//! A counters table whose calls are surrounded.

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::model::error::Result;
use crate::model::fold::{Group, Totals};
use crate::model::ids::{BatchId, ChunkIndex};
use crate::store::counters::Counters;
use crate::store::faults::fault;
use crate::store::surround::{Surround, Surrounded};

/// Makes a call on many things, and makes it again for those that it left undone.
async fn whole<'a, A: Surround, T: Clone + Send + Sync + 'a>(
    around: &'a A,
    call: &'static str,
    things: &'a [T],
    make: impl Fn(Vec<T>) -> BoxFuture<'a, Result<Vec<usize>>> + Send + Sync + 'a,
) -> Result<Vec<usize>> {
    if let Some(reached) = around.midway(call, things.len()) {
        around.call(call, || make(things[..reached].to_vec())).await?;
        return Err(fault(call));
    }
    let (mut places, mut patience): (Vec<usize>, _) = ((0..things.len()).collect(), around.patience());
    loop {
        let left: Vec<T> = places.iter().map(|place| things[*place].clone()).collect();
        let undone = around.call(call, || make(left.clone())).await?;
        let undone: Vec<usize> = undone.iter().map(|place| places[*place]).collect();
        if undone.is_empty() {
            return Ok(undone);
        }
        patience.renewed(undone.len() < places.len());
        if !around.again(&mut patience).await? {
            return Ok(undone);
        }
        places = undone;
    }
}

impl<C: Counters, A: Surround> Counters for Surrounded<C, A> {
    async fn set(&self, batch: &BatchId, chunk: ChunkIndex, rows: &[(Group, Totals)]) -> Result<Vec<usize>> {
        let set = |rows: Vec<(Group, Totals)>| async move { self.store.set(batch, chunk, &rows).await }.boxed();
        whole(&self.around, "counters.set", rows, set).await
    }

    async fn read(&self, group: &Group) -> Result<Totals> {
        self.around.call("counters.read", || self.store.read(group).boxed()).await
    }

    async fn forget(&self, batch: &BatchId, chunk: ChunkIndex, groups: &[Group]) -> Result<Vec<usize>> {
        let forget = |groups: Vec<Group>| async move { self.store.forget(batch, chunk, &groups).await }.boxed();
        whole(&self.around, "counters.forget", groups, forget).await
    }
}
