//! Answers parts of reports from counters: a row for each day on which something was counted of the asset.

use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::civil::Date;
use serde_json::Value;

use crate::model::error::{ErrorKind, Result};
use crate::model::fold::{Group, Totals};
use crate::model::processing::usage::UsageSettings;
use crate::model::reporting::part::{Part, Rows};
use crate::model::timestamp::Timestamp;
use crate::processor::{Chunk, Processor, Record, Reply};
use crate::store::Clock;
use crate::store::counters::Counters;

/// Counters that are read at the same time.
const WIDTH: usize = 16;

/// Answers each part with an item that holds its rows.
///
/// The answer is kept with the first try, although the counters could be read again: they may have grown by then, and a part
/// has one answer.
#[derive(Debug, Clone)]
pub struct Usage<C, K> {
    /// Which counters make the rows.
    pub settings: UsageSettings,
    /// The counters of the other pipeline.
    pub counters: C,
    /// The time.
    pub clock: K,
}

impl<C: Counters, K: Clock> Usage<C, K> {
    async fn answer(&self, record: &Record, chunk: &Chunk) -> Reply {
        let part: Part = match serde_json::from_value(Value::Object(record.fields.clone())) {
            Ok(part) => part,
            Err(error) => return Reply::Failed(format!("it is no part of a report: {error}")),
        };
        let (Ok(from), Ok(to)) = (part.from.parse::<Date>(), part.to.parse::<Date>()) else {
            return Reply::Failed("it is no part of a report: from and to are no days".to_owned());
        };
        let as_of = self.clock.now();
        // Who has failed parts made again does not ask for those that come in time.
        let deadline = part.deadline.filter(|_| chunk.batch.generation() == 0);
        if deadline.is_some_and(|deadline| deadline <= as_of) {
            return Reply::Failed("the deadline of the report passed before it was made".to_owned());
        }
        if as_of >= chunk.until {
            return Reply::Untried("no time was left".to_owned());
        }
        match self.rows(&part.asset, from, to, as_of).await {
            Ok(rows) => match rows.into_item(&part) {
                Ok(item) => Reply::Replaced { item, result: None },
                Err(error) => Reply::Failed(format!("its rows cannot be written: {error}")),
            },
            Err(error) => {
                // Names of tables are not the concern of whoever reads the report.
                tracing::warn!(%error, part = part.part, "counters not read");
                match error.kind {
                    ErrorKind::Busy => Reply::Untried("the counters are too busy".to_owned()),
                    _ => Reply::temporary("the counters could not be read"),
                }
            }
        }
    }

    async fn rows(&self, asset: &str, from: Date, to: Date, as_of: Timestamp) -> Result<Rows> {
        let days = stream::iter(from.series(jiff::Span::new().days(1)).take_while(|day| *day < to));
        let read = days.map(|day| async move {
            let day = day.to_string();
            // What is too long for a group was never counted.
            let totals = match Group::new(vec![asset.to_owned(), day.clone()]) {
                Some(group) => self.counters.read(&group).await?,
                None => Totals::default(),
            };
            Ok((day, totals))
        });
        let counted: Vec<(String, Totals)> = read.buffered(WIDTH).try_collect().await?;
        let (mut rows, mut all) = (Vec::new(), Totals::default());
        for (day, totals) in counted.into_iter().filter(|(_, totals)| totals.count > 0) {
            rows.push(self.settings.row(day.into(), &totals));
            all.merge(totals);
        }
        let expires_at = as_of.plus_seconds(self.settings.keep_hours * 3600).epoch_seconds();
        Ok(Rows {
            columns: self.settings.columns(),
            rows,
            totals: Some(self.settings.row(Value::Null, &all)),
            as_of,
            expires_at: Some(expires_at),
        })
    }
}

impl<C: Counters, K: Clock> Processor for Usage<C, K> {
    async fn process(&self, chunks: Vec<Chunk>) -> Vec<Result<Vec<Reply>>> {
        let mut answered = Vec::with_capacity(chunks.len());
        for chunk in &chunks {
            let mut replies = Vec::with_capacity(chunk.records.len());
            for record in &chunk.records {
                replies.push(self.answer(record, chunk).await);
            }
            answered.push(Ok(replies));
        }
        answered
    }
}
