//! The figures published for the system that fanfold is compared with: Python on AWS, 2020.

/// A variant's published figures.
pub struct Published {
    /// The variant.
    pub variant: &'static str,
    /// Records and seconds.
    pub figures: &'static [(u64, f64)],
}

/// Their name in the plot.
pub const LABEL: &str = "published, AWS 2020";

/// All published figures; for `sync` the best run.
pub const ALL: [Published; 4] = [
    Published { variant: "sync", figures: &[(10_001, 438.0)] },
    Published { variant: "async", figures: &[(10_001, 146.0)] },
    Published { variant: "dynamodb", figures: &[(10_001, 110.0)] },
    Published { variant: "chunked", figures: &[(10_001, 4.0), (100_001, 21.0), (1_000_001, 171.0)] },
];

impl Published {
    /// The line to draw. A single figure is drawn as a constant rate, down to a tenth of its records.
    pub fn line(&self) -> Vec<(f64, f64)> {
        let points = self.figures.iter().map(|(count, seconds)| (*count as f64, *seconds));
        match self.figures {
            [(count, seconds)] => vec![(*count as f64 / 10.0, seconds / 10.0), (*count as f64, *seconds)],
            _ => points.collect(),
        }
    }
}
