//! Truth that comes late: for a while after their upload, reads of objects are answered as if there were none, or are
//! refused. That is also what an event meets which comes before its object.

use std::ops::Range;

use fanfold::model::error::Error;
use fanfold::model::fault::FaultCode;
use fanfold::model::progress::Batch;
use fanfold::model::summary::Summary;
use fanfold::store::blob::Pin;
use fastrand::Rng;

use super::invariant::{Broken, kept};
use super::objects::Flaw;
use super::plan::{File, Plan};
use super::state::State;

pub const WAITS: &str = "I11 nothing is given up because it could not be read for 15 minutes";

/// What the late inputs of a seed are drawn by.
const LATE: u64 = 0x1a7e_7047_b00c_5eed;
const REFUSED: &str = "AccessDenied, for a while";

/// Objects that cannot always be read at first.
#[derive(Debug, Clone, Copy)]
pub struct Absent {
    /// For how many milliseconds after their upload.
    pub until: i64,
    /// The percentage of reads that find none.
    pub percent: u32,
    /// Whether reads are refused instead.
    pub refused: bool,
}

impl Plan {
    /// The same plan, perhaps with inputs that can be read only after a while, of up to 15 minutes.
    pub fn late(mut self) -> Self {
        let mut rng = Rng::with_seed(self.seed ^ LATE);
        let most: Range<i64> = [0..20_000, 0..900_000, 880_000..900_000][rng.usize(..3)].clone();
        let (until, percent) = (rng.i64(most), [40, 80, 100][rng.usize(..3)]);
        let absent = Absent { until, percent, refused: rng.u32(..3) == 0 };
        self.absent = (rng.u32(..8) == 0).then_some(absent);
        self
    }
}

impl State {
    /// Notes that a version of an object was uploaded.
    pub fn uploaded(&mut self, key: &str, version: &str) {
        self.uploads.insert((key.to_owned(), version.to_owned()), self.clockwork.now);
    }

    /// How a read of an object is answered that comes too early: there is none, or it is refused.
    pub fn too_early(&mut self, key: &str, pin: &Pin) -> Option<Option<Error>> {
        let absent = self.plan.absent?;
        // A name alone may just as well be wrong: nobody looks for it again.
        let Pin::Version(version) = pin else { return None };
        let since = self.clockwork.now - self.uploads.get(&(key.to_owned(), version.clone()))?;
        if since >= absent.until || self.rng.u32(..100) >= absent.percent {
            return None;
        }
        self.reach(if absent.refused { "input refused for a while" } else { "input missing for a while" });
        self.tell(|| format!("{key} cannot be read YET"));
        Some(absent.refused.then(|| Error::denied(REFUSED)))
    }
}

/// Whether a batch ended without anything that could be read in time.
pub fn in_time(state: &State, file: &File, batch: &Batch, summary: &Summary) -> Result<(), Broken> {
    let id = &batch.opening.id;
    let broken = |why: String| Err(Broken { invariant: WAITS, why });
    if !state.shredded.is_empty() {
        return Ok(());
    }
    if let Some(error) = &summary.error
        && (matches!(error.code, FaultCode::UnavailableObject | FaultCode::InputChanged)
            || error.message.contains(REFUSED))
    {
        return broken(format!("{id} ends with {error:?}"));
    }
    let flawed = |key: &str| file.parts.iter().any(|part| part.key == key && part.flaw != Flaw::None);
    let faults = summary.objects.iter().flat_map(|objects| &objects.faults);
    if let Some(fault) = faults.into_iter().find(|fault| !flawed(&fault.object)) {
        return broken(format!("{id} ends without an object: {fault:?}"));
    }
    let chunks = batch.sealing.as_ref().map_or(0, |sealing| sealing.chunks);
    let expected = !batch.opening.ranged || state.plan.unreadable.is_some() || batch.is_sealed_by_force();
    let lost = (0..if expected { 0 } else { chunks }).find(|chunk| {
        let kept = kept(state, id, *chunk);
        kept.is_some_and(|kept| kept.is_lost())
    });
    lost.map_or(Ok(()), |chunk| broken(format!("{id} ends without the records of chunk {chunk}")))
}
