//! Runs the steps one by one, and keeps each row as soon as it is there.

use std::process::ExitCode;

use fanfold::model::error::{Error, Result};
use fanfold::model::timestamp::Timestamp;
use fanfold::store::Clock;
use fanfold::store::clock::SystemClock;

use crate::batch::{self, Observation};
use crate::calls::Requests;
use crate::floor::{self, BATCH_ITEMS};
use crate::measurements::Measurements;
use crate::options::Common;
use crate::plan::{self, FLOOR, Step};
use crate::progress::Progress;
use crate::records::Records;
use crate::row::{Row, SUCCESS, failure};
use crate::site::Site;

/// The exit status that a shell expects of a command ended by Ctrl-C.
const INTERRUPTED: u8 = 130;

/// Runs all steps. The exit status is a failure if a batch failed, and 130 after Ctrl-C.
///
/// # Errors
/// What prevents the run from starting, or its rows from being kept.
pub async fn run(variants: &[String], counts: &[u64], repeats: u32, common: Common) -> Result<ExitCode> {
    let steps = plan::steps(variants, counts, repeats, common.lift_caps)?;
    let site = Site::open(&common.deployment, variants, common.labels.clone()).await?;
    let (mut file, note) = Measurements::open(&common.measurements)?;
    let mut progress = Progress::new(&steps);
    if let Some(note) = note {
        progress.note(&note);
    }
    let code = tokio::select! {
        ended = all(&site, &common, &steps, &mut file, &mut progress) => ended?,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted.map_err(|e| Error::internal("no signals can be received").because(e))?;
            progress.note("interrupted: the batch that runs is dropped, the rows before it are kept");
            ExitCode::from(INTERRUPTED)
        }
    };
    progress.close();
    eprintln!("rows are in {}", common.measurements.display());
    Ok(code)
}

async fn all(
    site: &Site,
    common: &Common,
    steps: &[Step],
    file: &mut Measurements,
    progress: &mut Progress,
) -> Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for (place, step) in steps.iter().enumerate() {
        progress.begin(step);
        let seen = measure(site, common, step, place).await?;
        let row = row_of(site, common, step, &seen);
        file.append(&row)?;
        progress.end(step, &row);
        if let Some(note) = &seen.note {
            progress.note(note);
        }
        if !row.succeeded() {
            code = ExitCode::FAILURE;
        }
        if seen.still_running {
            progress.note("that batch may still be running and would disturb those after it: the run ends here");
            break;
        }
    }
    Ok(code)
}

async fn measure(site: &Site, common: &Common, step: &Step, place: usize) -> Result<Observation> {
    let tag = format!("{:x}.{place:x}", SystemClock.now().0);
    let records = Records { seed: common.seed, repeat: step.repeat, tag, count: step.count };
    if step.variant == FLOOR {
        let (items, table) = site.floor_items()?;
        return Ok(floor::run(&items, table, &records, common.width as usize).await);
    }
    Ok(batch::run(&site.pipeline(&step.variant)?, step, &records).await)
}

fn row_of(site: &Site, common: &Common, step: &Step, seen: &Observation) -> Row {
    let labels = &site.labels;
    let is_floor = step.variant == FLOOR;
    let time = |at: Option<Timestamp>| at.unwrap_or_else(|| SystemClock.now()).to_string();
    let mut row = Row {
        commitish: labels.commitish.clone(),
        variant: step.variant.clone(),
        env: labels.env.clone(),
        scope: labels.scope.clone(),
        batch_id: seen.batch_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        count: step.count,
        scatter_duration_in_seconds: None,
        scatter_duration_per_record_in_seconds: None,
        gather_duration_in_seconds: None,
        gather_duration_per_record_in_seconds: None,
        batch_start_time: time(seen.started_at),
        batch_end_time: time(seen.ended_at),
        batch_duration_in_seconds: None,
        batch_duration_per_record_in_seconds: None,
        outcome: seen.failure.as_deref().map_or_else(|| SUCCESS.to_owned(), failure),
        chunk_size: if is_floor { Some(BATCH_ITEMS as u32) } else { labels.chunk_size.0 },
        concurrency: if is_floor { Some(common.width) } else { labels.concurrency.0 },
        memory_mb: labels.memory_mb.0.filter(|_| !is_floor),
        seed: common.seed,
        repeat: step.repeat,
        target: labels.target.clone(),
        calls: Requests::new(),
    };
    if let Some(seconds) = seen.seconds {
        let (scatter, gather) = seen.stages.unzip();
        row.set_durations(seconds, scatter, gather);
        row.calls.clone_from(&seen.calls);
    }
    row
}
