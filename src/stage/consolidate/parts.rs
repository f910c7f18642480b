//! The parts of a report in their order, each with its rows, by the results of its batch.

use std::future::ready;

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt, TryStreamExt};

use crate::model::error::{Error, Result};
use crate::model::record::Outcome;
use crate::model::reporting::part::{Part, Rows};
use crate::store::Clock;
use crate::store::blob::{Blob, Body};
use crate::store::items::Items;

/// Parts whose rows are read at the same time: items of at most 400 KB.
const WIDTH: usize = 16;

/// What there is of a part.
#[derive(Debug)]
pub enum Found {
    /// Its rows.
    Rows(Rows),
    /// Nothing, for this reason.
    Missing(String),
    /// It had rows.
    Expired,
}

/// The parts of a report that the results under a key tell of, with their places. Nobody but the API writes files of reports; of
/// what somebody else wrote, that counts which was asked for.
///
/// # Errors
/// Those of the stores; `Missing` if there are no results.
pub async fn parts<'a, B: Blob, I: Items, K: Clock>(
    output: &B,
    results: &str,
    asked: &'a [Part],
    rows: &'a I,
    clock: &'a K,
) -> Result<impl Stream<Item = Result<(usize, Found)>> + 'a> {
    let body = output.get(results, None).await?.ok_or_else(|| Error::missing(format!("{results} is not there")))?;
    let known = lines(body).try_filter_map(|line| ready(part(&line, asked)));
    let found = known.map(move |known| async move {
        let (place, outcome) = known?;
        Ok((place, find(&asked[place], &outcome, rows, clock).await?))
    });
    Ok(found.buffered(WIDTH))
}

/// What became of a part, with its place; `None` of a record that is none of these.
fn part(line: &[u8], asked: &[Part]) -> Result<Option<(usize, Outcome)>> {
    let unreadable = |e| Error::internal("a result of a report is not readable").because(e);
    let outcome: Outcome = serde_json::from_slice(line).map_err(unreadable)?;
    let Ok(part) = serde_json::from_str::<Part>(outcome.request.get()) else {
        return Ok(None);
    };
    let place =
        part.report.place_of(&part.part).filter(|place| asked.get(*place).is_some_and(|asked| asked.is_same(&part)));
    Ok(place.map(|place| (place, outcome)))
}

async fn find(part: &Part, outcome: &Outcome, rows: &impl Items, clock: &impl Clock) -> Result<Found> {
    if !outcome.response.success {
        return Ok(Found::Missing(for_readers(&outcome.response.message).to_owned()));
    }
    Ok(match rows.read(&part.part).await? {
        None => Found::Expired,
        Some(item) => match Rows::of_item(&item.fields, part) {
            Ok(rows) if rows.is_expired(clock.now()) => Found::Expired,
            Ok(rows) => Found::Rows(rows),
            Err(why) => Found::Missing(why),
        },
    })
}

/// A reason without the line of a file that nobody wrote by hand, and without the last error of a function, which names what the system
/// is made of.
fn for_readers(reason: &str) -> &str {
    let reason = reason.split_once("; the last error: ").map_or(reason, |(told, _)| told);
    let line = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_digit());
    let placed = reason.strip_prefix("line ").and_then(|rest| rest.split_once(": ")).filter(|(number, _)| line(number));
    placed.map_or(reason, |(_, rest)| rest)
}

/// The lines of a body, without their ends.
fn lines(body: Body) -> impl Stream<Item = Result<Vec<u8>>> {
    let pieces = body.map_ok(Some).chain(stream::once(ready(Ok(None))));
    let split = pieces.scan(Vec::new(), |rest: &mut Vec<u8>, piece| {
        let lines = match piece {
            Ok(Some(piece)) => whole(rest, &piece).into_iter().map(Ok).collect(),
            Ok(None) => vec![Ok(std::mem::take(rest))],
            Err(error) => vec![Err(error)],
        };
        ready(Some(stream::iter(lines)))
    });
    split.flatten().try_filter(|line| ready(!line.is_empty()))
}

/// Appends a piece to what is left of the last, and takes the lines that are whole.
fn whole(rest: &mut Vec<u8>, piece: &Bytes) -> Vec<Vec<u8>> {
    rest.extend_from_slice(piece);
    let Some(end) = rest.iter().rposition(|byte| *byte == b'\n') else {
        return Vec::new();
    };
    let after = rest.split_off(end + 1);
    let lines = std::mem::replace(rest, after);
    lines.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}
