//! The floor: how long the target takes to write the items and nothing else. No pipeline that produces the same
//! items can be faster with as many requests under way, so that a variant's multiple of the floor is the cost
//! of the pipeline, whatever the target.

use fanfold::model::error::{Error, Result};
use fanfold::model::ids::{BatchId, Revision};
use fanfold::model::item::Item;
use fanfold::model::timestamp::Timestamp;
use fanfold::store::Clock;
use fanfold::store::clock::SystemClock;
use fanfold::store::items::Items;
use fanfold::store::pace::Pace;
use fanfold_aws::items::DynamoItems;
use futures::{StreamExt, TryStreamExt, stream};

use crate::batch::Observation;
use crate::check;
use crate::plan::FLOOR;
use crate::records::Records;
use crate::stopwatch::Stopwatch;

/// Items per `BatchWriteItem`, its maximum:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>
pub const BATCH_ITEMS: u64 = 25;

/// Writes all items with `width` requests under way, and checks them as those of a batch.
pub async fn run(items: &DynamoItems, table: &str, records: &Records, width: usize) -> Observation {
    let name = format!("{FLOOR}-{}.csv", records.count);
    let batch = BatchId::of(table, &name, &Revision::Version(records.tag.clone()));
    let started_at = SystemClock.now();
    let watch = Stopwatch::start();
    let paced = Pace::new(SystemClock).keep(items.clone());
    let written = write(&paced, &batch, records, width, started_at).await;
    let seconds = watch.seconds();
    let mut seen =
        Observation { batch_id: Some(batch.clone()), started_at: Some(started_at), ..Observation::default() };
    seen.ended_at = Some(SystemClock.now());
    let checked = match written {
        Ok(()) => check::items(items, &batch, records).await,
        Err(error) => Err(error),
    };
    match checked {
        Ok(()) => {
            let requests = records.count.div_ceil(BATCH_ITEMS);
            let counted = [("dynamodb.BatchWriteItem".to_owned(), requests)];
            seen.calls.insert(FLOOR.to_owned(), counted.into());
            seen.seconds = Some(seconds);
        }
        Err(error) => seen.failure = Some(error.to_string()),
    }
    seen
}

async fn write(
    items: &impl Items,
    batch: &BatchId,
    records: &Records,
    width: usize,
    updated_at: Timestamp,
) -> Result<()> {
    let starts = (0..records.count).step_by(BATCH_ITEMS as usize);
    // Built when their turn comes, so that memory does not grow with the count.
    let writes = starts.map(|from| async move {
        let until = records.count.min(from + BATCH_ITEMS);
        let some: Vec<Item> = (from..until).map(|index| item(batch, records, index, updated_at)).collect();
        match items.write(&some).await?.rejected.first() {
            None => Ok(()),
            Some(rejection) => Err(Error::internal(format!("the table refused an item: {}", rejection.reason))),
        }
    });
    stream::iter(writes).buffer_unordered(width).try_collect().await
}

fn item(batch: &BatchId, records: &Records, index: u64, updated_at: Timestamp) -> Item {
    let record = records.get(index);
    Item { fields: record.fields(), key: record.item_no, batch: batch.clone(), index, updated_at, sequence: updated_at }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fanfold::store::items::memory::MemoryItems;

    #[tokio::test]
    async fn the_floor_writes_every_item_as_process_would() {
        for count in [1, 25, 26, 1003] {
            let records = Records { seed: 3, repeat: 1, tag: "t".into(), count };
            let batch = BatchId::parse("floor-0123456789ab").unwrap();
            let table = MemoryItems::new();
            write(&table, &batch, &records, 4, Timestamp(5)).await.unwrap();
            assert_eq!(table.all().len() as u64, count);
            check::items(&table, &batch, &records).await.unwrap();
        }
    }
}
