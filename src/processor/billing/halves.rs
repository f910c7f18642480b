//! Closes the half months that a file lists, and says of each how it stands.

use futures::stream::{self, StreamExt};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use crate::model::billing::calendar::HalfMonth;
use crate::model::billing::statement::Statement;
use crate::model::error::{Error, Result};
use crate::model::timestamp::Timestamp;
use crate::processor::billing::close::{Close, Closed};
use crate::processor::billing::daily::Daily;
use crate::processor::billing::failed;
use crate::processor::{Chunk, MAX_RESULT_BYTES, Processor, Reply};
use crate::store::Clock;
use crate::store::billing::{Aggregates, Clients, Events, Packages};
use crate::store::blob::Blob;

/// Statements that are made at the same time.
const WIDTH: usize = 4;

/// Closes the half month of each record, sets what was used by days, and answers with its statement.
#[derive(Debug, Clone)]
pub struct Halves<E, P, C, B, K, A> {
    /// What closes.
    pub close: Close<E, P, C, B, K>,
    /// What sets the rows of days.
    pub daily: Daily<A>,
}

/// A half month of a client, as a record says it.
#[derive(Deserialize)]
struct Half {
    client: String,
    half: String,
}

fn half(fields: &Map<String, Value>) -> std::result::Result<(String, HalfMonth), String> {
    let read = serde_json::from_value(Value::Object(fields.clone()));
    let read: Half = read.map_err(|e| format!("it is no half month: {e}"))?;
    let half = HalfMonth::parse(&read.half);
    let half =
        half.ok_or_else(|| format!("it is no half month: {:?}, which is written as in 2026-02-H2", read.half))?;
    Ok((read.client, half))
}

impl<E: Events, P: Packages, C: Clients, B: Blob, K: Clock, A: Aggregates> Halves<E, P, C, B, K, A> {
    async fn reply(&self, (client, half): &(String, HalfMonth), closed: Result<Closed>, until: Timestamp) -> Reply {
        let closed = match closed {
            Ok(closed) => closed,
            Err(error) => return failed(&error),
        };
        if matches!(closed, Closed::Moving | Closed::Overtaken) {
            return Reply::temporary("events came in, or a second run closed it, meanwhile");
        }
        if self.close.clock.now() >= until {
            return Reply::Untried("no time was left".to_owned());
        }
        let stated = self.stated(client, *half).await;
        stated.map_or_else(|error| failed(&error), |statement| Reply::Done(Some(statement)))
    }

    /// The statement of a half month, whose days are set as far as they can be.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn stated(&self, client: &str, half: HalfMonth) -> Result<Box<RawValue>> {
        let before = self.daily.before(client, half).await?;
        let found = self.close.found(client, half).await?;
        let uncounted = self.daily.set(client, &before, &found.events).await?;
        written(Statement { uncounted, ..self.close.statement(found).await? })
    }
}

/// A statement as the result of its record, without the first of its packages if it would be too long.
fn written(mut statement: Statement) -> Result<Box<RawValue>> {
    loop {
        let written = to_raw_value(&statement);
        let written = written.map_err(|e| Error::internal("a statement cannot be written").because(e))?;
        if written.get().len() <= MAX_RESULT_BYTES || statement.packages.is_empty() {
            return Ok(written);
        }
        statement.packages.remove(0);
        statement.earlier += 1;
    }
}

impl<E: Events, P: Packages, C: Clients, B: Blob, K: Clock, A: Aggregates> Processor for Halves<E, P, C, B, K, A> {
    async fn process(&self, chunks: Vec<Chunk>) -> Vec<Result<Vec<Reply>>> {
        let read: Vec<_> =
            chunks.iter().flat_map(|chunk| chunk.records.iter().map(|record| half(&record.fields))).collect();
        let until = chunks.iter().map(|chunk| chunk.until).min().unwrap_or(self.close.clock.now());
        // Those of all chunks together, since all of them wait for the index for some seconds.
        let halves: Vec<_> = read.iter().flatten().cloned().collect();
        let late = || Reply::Untried("no time was left".to_owned());
        let mut stated = Vec::with_capacity(halves.len());
        if self.close.clock.now() < until {
            let closed = self.close.close(&halves).await;
            // As a list, whose type says nothing of how it was made: the future may be sent.
            let replies: Vec<_> =
                halves.iter().zip(closed).map(|(half, closed)| self.reply(half, closed, until)).collect();
            stated = stream::iter(replies).buffered(WIDTH).collect().await;
        }
        let mut stated = stated.into_iter();
        let replies = read.into_iter().map(|half| match half {
            Err(reason) => Reply::Failed(reason),
            Ok(_) => stated.next().unwrap_or_else(late),
        });
        let mut replies = replies.collect::<Vec<_>>().into_iter();
        chunks.iter().map(|chunk| Ok(replies.by_ref().take(chunk.records.len()).collect())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::billing::package::PackageId;
    use crate::model::billing::sending::SendState;
    use crate::model::billing::statement::{Counts, Invoiced};

    #[test]
    fn a_statement_fits_into_a_result_whatever_its_names_are() {
        let half = HalfMonth::parse("2026-02-H2").unwrap();
        for client in ["\"".repeat(256), "\u{1}".repeat(256), "株".repeat(85)] {
            let invoiced = |sequence| Invoiced {
                id: PackageId { client: client.clone(), half, sequence },
                events: u64::MAX,
                total: None,
                currency: None,
                state: SendState::Rejected,
                invoice: Some("\u{1}".repeat(256)),
                reason: Some("\"".repeat(100)),
            };
            let statement = Statement::new(&client, half, Counts::default(), (0..20).map(invoiced).collect());
            let written = written(statement).unwrap();
            assert!(written.get().len() <= MAX_RESULT_BYTES, "{}", written.get().len());
            let read: Statement = serde_json::from_str(written.get()).unwrap();
            assert_eq!((read.packages.len() + read.earlier, read.packages.last().unwrap().id.sequence), (20, 19));
        }
    }
}
