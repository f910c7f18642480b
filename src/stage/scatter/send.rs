//! Sends the chunks of a batch, group by group, and seals it. What is not sent when the time is up, another invocation
//! goes on with: the ledger has a bookmark before which each chunk was written and sent.

use std::collections::BTreeMap;
use std::future::ready;

use futures::stream::{BoxStream, Stream, StreamExt, TryStreamExt};

use crate::batch::{dispatch, objects};
use crate::model::error::{Error, ErrorKind, Result};
use crate::model::ids::ChunkIndex;
use crate::model::manifest::ObjectEnd;
use crate::model::message::ProcessMessage;
use crate::model::progress::{Batch, Bookmark, Opening, Sealing};
use crate::model::timestamp::Timestamp;
use crate::stage::Disposition;
use crate::stage::scatter::cut::{Chunk, Cut, End};
use crate::stage::scatter::objects::Listed;
use crate::stage::scatter::{Cuts, Scatter, manifest};
use crate::store::ledger::{CLAIMS, Claims, Ledger};
use crate::store::{Clock, Stores};

/// The seconds before an invocation goes on after one that an error ended.
const PAUSE: i64 = 5;

/// Claim checks that go out in one request.
const MESSAGES: usize = CLAIMS as usize;

/// A cut, or a group of them, that was sent, or what was learnt instead.
#[derive(Default)]
struct Sent {
    /// The first chunk among them.
    first: Option<Bookmark>,
    /// The object that has no more.
    object: Option<(usize, ObjectEnd)>,
    end: Option<End>,
}

/// How sending ended.
enum Sending {
    /// There are no more chunks.
    Ended(End),
    /// Another invocation has to go on.
    Left(Disposition),
}

/// What was sent, with its place in the order in which it was begun.
type Numbered = (usize, Sent);

/// What is known of a batch while its chunks are sent.
struct Course {
    noted_at: Timestamp,
    /// How much was sent without a gap, and what was sent after the first gap.
    whole: usize,
    beyond: BTreeMap<usize, Sent>,
    /// Where another invocation would go on: with the last chunk before the gap.
    bookmark: Option<Bookmark>,
    /// What came of the batch's objects before the gap, if there are many.
    ends: Vec<ObjectEnd>,
    end: Option<End>,
}

impl Course {
    /// Takes note of what was sent.
    fn take(&mut self, sent: Vec<Numbered>) {
        self.beyond.extend(sent);
        while let Some(Sent { first, object, end }) = self.beyond.remove(&self.whole) {
            self.whole += 1;
            self.bookmark = first.or(self.bookmark);
            self.end = end.or(self.end.take());
            if let Some((number, end)) = object {
                self.ends[number] = end;
            }
        }
    }
}

impl<S: Stores> Scatter<S> {
    /// Finishes what the earlier scatter that sealed the batch may have left undone.
    pub(super) async fn resume(&self, batch: &Batch) -> Result<()> {
        let (progress, waiting) = self.batches.resume(batch).await?;
        for chunks in waiting.chunks(MESSAGES) {
            self.send_again(&batch.opening, chunks).await?;
        }
        self.batches.announce(&batch.opening.id, progress).await
    }

    async fn send_again(&self, opening: &Opening, chunks: &[ChunkIndex]) -> Result<()> {
        let mut checks = Vec::new();
        for &chunk in chunks {
            if let Some(entries) = self.batches.chunks.pending(&opening.id, chunk).await? {
                checks.push(dispatch::copied(opening, chunk, entries.len())?);
            }
        }
        self.workers.send(opening, checks).await
    }

    /// Sends the chunks of a batch, from its bookmark on, and seals it; or sends as many as there is time for until
    /// `until`.
    pub(super) async fn run(
        &self,
        batch: &Batch,
        cuts: Cuts<'_>,
        listed: Listed<'_>,
        until: Timestamp,
    ) -> Result<Disposition> {
        let (id, found) = (&batch.opening.id, listed.found);
        let mut end = match self.send(batch, cuts, listed, until).await? {
            Sending::Ended(end) => end,
            Sending::Left(disposition) => return Ok(disposition),
        };
        if !found.is_empty() {
            objects::keep_read(&self.work, id, &end.objects).await?;
            end = manifest::ended(end, found);
        }
        self.workers.all_put(&self.work, &batch.opening, end.chunks).await?;
        tracing::info!(batch_id = %id, records = end.records, chunks = end.chunks, "batch scattered");
        let progress = self.batches.seal(id, &self.sealing(end)).await?;
        self.batches.announce(id, progress).await?;
        Ok(Disposition::Done)
    }

    /// Sends chunks until there are no more, or no time.
    async fn send(&self, batch: &Batch, cuts: Cuts<'_>, listed: Listed<'_>, until: Timestamp) -> Result<Sending> {
        let (opening, before) = (&batch.opening, batch.bookmark.map_or(0, |bookmark| bookmark.chunk));
        let in_time = cuts.take_while(|cut| ready(cut.is_err() || self.clock.now() < until));
        let cuts = in_time.try_filter(|cut| ready(!matches!(cut, Cut::Nothing))).boxed();
        let mut sent = if opening.ranged { self.send_claims(opening, cuts) } else { self.send_copies(opening, cuts) };
        let (noted_at, mut ends) = (self.clock.now(), listed.before);
        ends.resize(listed.found.len(), ObjectEnd::default());
        let mut course = Course { noted_at, whole: 0, beyond: BTreeMap::new(), bookmark: None, ends, end: None };
        loop {
            match sent.try_next().await {
                Ok(Some(sent)) => course.take(sent),
                Ok(None) => break,
                Err(error) => {
                    // The next invocation need not send again what was sent. If that is some, this was no failed try, or the
                    // tries of many invocations would add up.
                    let noted = self.note(batch, &mut course).await;
                    let further = noted.is_ok() && course.bookmark.is_some_and(|bookmark| bookmark.chunk > before);
                    if let Err(error) = noted {
                        tracing::warn!(%error, "bookmark not noted");
                    }
                    if error.kind == ErrorKind::Transient && further {
                        return Ok(Sending::Left(Disposition::Later(self.clock.now().plus_seconds(PAUSE), error)));
                    }
                    return Err(error);
                }
            }
            let due = i64::try_from(self.bookmark_after.as_millis()).unwrap_or(i64::MAX);
            if self.clock.now().0 - course.noted_at.0 >= due {
                self.note(batch, &mut course).await?;
            }
        }
        if let Some(end) = course.end {
            return Ok(Sending::Ended(end));
        }
        if course.bookmark.is_none_or(|bookmark| bookmark.chunk <= before) {
            return Err(Error::transient(format!(
                "scatter came no further than chunk {before} in the time of one invocation; give it more time or memory"
            )));
        }
        self.note(batch, &mut course).await?;
        let error = Error::transient(format!("batch {} is not scattered to its end yet", opening.id));
        Ok(Sending::Left(Disposition::Later(self.clock.now(), error)))
    }

    /// Notes how far scatter came.
    async fn note(&self, batch: &Batch, course: &mut Course) -> Result<()> {
        let id = &batch.opening.id;
        let Some(bookmark) = course.bookmark else {
            return Ok(());
        };
        if !course.ends.is_empty() {
            objects::keep_before(&self.work, id, bookmark.chunk, &course.ends).await?;
        }
        self.batches.ledger.note_bookmark(id, &bookmark).await?;
        course.noted_at = self.clock.now();
        Ok(())
    }

    /// Writes the claims of some chunks at a time, and then sends their claim checks. A repeat writes and sends the
    /// same again.
    fn send_claims<'a>(&'a self, opening: &'a Opening, cuts: Cuts<'a>) -> BoxStream<'a, Result<Vec<Numbered>>> {
        let groups = cuts.try_chunks(MESSAGES).map_err(|error| error.1);
        // A short group, of an invocation whose time is up, could replace the whole one of another.
        let is_whole = |group: &Vec<Cut>| group.len() == MESSAGES || matches!(group.last(), Some(Cut::End(_)));
        let groups = numbered(groups.try_filter(move |group| ready(is_whole(group))));
        let sent = groups.map_ok(move |(number, group)| async move {
            let sent = self.send_group(opening, group).await?;
            Ok(vec![(number, sent)])
        });
        sent.try_buffer_unordered(self.width).boxed()
    }

    async fn send_group(&self, opening: &Opening, group: Vec<Cut>) -> Result<Sent> {
        let (mut claims, mut checks, mut sent) = (Vec::new(), Vec::new(), Sent::default());
        for cut in group {
            sent.first = sent.first.or_else(|| cut.bookmark());
            match cut {
                Cut::Claim(chunk, claim, _) => {
                    checks.push(dispatch::claimed(opening, chunk, &claim)?);
                    claims.push(claim);
                }
                Cut::End(end) => sent.end = Some(end),
                _ => return Err(Error::internal("a copied chunk among ranges")),
            }
        }
        if let Some(first) = sent.first {
            let group = first.chunk / CLAIMS;
            self.batches.ledger.put_claims(&opening.id, group, &claims, self.clock.now()).await?;
            self.workers.fan_out(opening, checks).await?;
        }
        Ok(sent)
    }

    /// Writes each chunk and then sends its claim check. A repeat writes and sends the same again.
    fn send_copies<'a>(&'a self, opening: &'a Opening, cuts: Cuts<'a>) -> BoxStream<'a, Result<Vec<Numbered>>> {
        let put = numbered(cuts).map_ok(move |(number, cut)| async move {
            let (check, sent) = self.put(opening, cut).await?;
            Ok((check, (number, sent)))
        });
        let groups = put.try_buffer_unordered(self.width).try_chunks(MESSAGES).map_err(|error| error.1);
        let sent = groups.and_then(move |group| async move {
            let (checks, sent): (Vec<_>, Vec<_>) = group.into_iter().unzip();
            let checks: Vec<ProcessMessage> = checks.into_iter().flatten().collect();
            if !checks.is_empty() {
                self.workers.fan_out(opening, checks).await?;
            }
            Ok(sent)
        });
        sent.boxed()
    }

    /// Writes a chunk; returns its claim check, if it is one.
    async fn put(&self, opening: &Opening, cut: Cut) -> Result<(Option<ProcessMessage>, Sent)> {
        let mut sent = Sent { first: cut.bookmark(), ..Sent::default() };
        let mut check = None;
        match cut {
            Cut::Chunk(Chunk { index, entries, .. }) => {
                self.batches.chunks.put(&opening.id, index, &entries, self.clock.now()).await?;
                check = Some(dispatch::copied(opening, index, entries.len())?);
            }
            Cut::Object(number, end) => sent.object = Some((number, end)),
            Cut::End(end) => sent.end = Some(end),
            Cut::Nothing => {}
            Cut::Claim(..) => return Err(Error::internal("a range among copied chunks")),
        }
        Ok((check, sent))
    }

    fn sealing(&self, end: End) -> Sealing {
        Sealing {
            records: Some(end.records),
            chunks: end.chunks,
            columns: end.columns,
            head: end.head,
            error: end.fault,
            scattered_at: self.clock.now(),
        }
    }
}

/// Numbers what a stream yields.
fn numbered<T>(stream: impl Stream<Item = Result<T>>) -> impl Stream<Item = Result<(usize, T)>> {
    stream.enumerate().map(|(number, item)| item.map(|item| (number, item)))
}
