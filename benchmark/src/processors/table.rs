//! The table of the medians.

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Run {
    /// How long it took.
    pub seconds: f64,
    /// Requests that were made.
    pub requests: u64,
}

/// What was measured of a pipeline.
#[derive(Debug)]
pub struct Row {
    name: String,
    floors: Vec<Run>,
    pipelines: Vec<Run>,
}

impl Row {
    /// Nothing yet.
    pub fn new(name: String) -> Self {
        Self { name, floors: Vec::new(), pipelines: Vec::new() }
    }

    /// Adds a run of the loop and one of the pipeline.
    pub fn add(&mut self, floor: Run, pipeline: Run) {
        self.floors.push(floor);
        self.pipelines.push(pipeline);
    }
}

/// The one in the middle, by seconds.
fn median(runs: &[Run]) -> Option<Run> {
    let mut sorted = runs.to_vec();
    sorted.sort_by(|one, other| one.seconds.total_cmp(&other.seconds));
    sorted.get(sorted.len() / 2).copied()
}

/// The rows as a table.
pub fn markdown(rows: &[Row]) -> String {
    let mut table = String::from(
        "| pipeline | runs | seconds | least to most | loop, seconds | least to most | times | requests | of the loop |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for Row { name, floors, pipelines } in rows {
        let (Some(floor), Some(pipeline)) = (median(floors), median(pipelines)) else {
            continue;
        };
        let band = |runs: &[Run]| {
            let all = || runs.iter().map(|run| run.seconds);
            format!("{:.2} to {:.2}", all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max))
        };
        table.push_str(&format!(
            "| `{name}` | {} | {:.3} | {} | {:.3} | {} | {:.2} | {} | {} |\n",
            pipelines.len(),
            pipeline.seconds,
            band(pipelines),
            floor.seconds,
            band(floors),
            pipeline.seconds / floor.seconds,
            pipeline.requests,
            floor.requests,
        ));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_their_ratio_are_shown() {
        let run = |seconds, requests| Run { seconds, requests };
        let mut row = Row::new("http".into());
        for (floor, pipeline) in [(1.0, 1.5), (9.0, 1.2), (2.0, 8.0)] {
            row.add(run(floor, 100), run(pipeline, 120));
        }
        let table = markdown(&[row, Row::new("none".into())]);
        let last = table.lines().last().unwrap();
        assert_eq!(last, "| `http` | 3 | 1.500 | 1.20 to 8.00 | 2.000 | 1.00 to 9.00 | 0.75 | 120 | 100 |");
    }
}
