//! Of reports: how they are set up, and their parts.

use super::{Refusal, refusal};

/// What is said of the settings of `usage`, after `PROCESSORS`.
pub const USAGE_SETTINGS: &[Refusal] = &[
    refusal(
        "USAGE_NOT_OBJECT",
        "usage must be an object such as {\"counters_of\":\"metering\",\"sum\":[\"kwh\"]}",
        "`usage` is among the processors without saying whose counters a report is made of.",
        "Write an object with `counters_of`.",
    ),
    refusal(
        "USAGE_WITHOUT_COUNTERS",
        "usage: counters_of must name the pipeline whose counters the report is made of",
        "`usage` does not say which pipeline counts.",
        "Name a pipeline with `aggregate` among its processors, grouped by an asset and a day.",
    ),
    refusal(
        "USAGE_NOT_SUMS",
        "usage: sum must be a list of at most {most} names of fields that the other pipeline sums, each given once",
        "`sum` of `usage` is no list, has something else than names in it, a name twice, or `day` or `records`, which are columns anyway.",
        "Name fields that `aggregate` of the other pipeline has in its `sum`.",
    ),
    refusal(
        "USAGE_NOT_HOURS",
        "usage: keep_hours must be a whole number from 1 to {most}",
        "`keep_hours` of `usage` is no number, or not one that can be used.",
        "Give a number of that range, or leave it out for a week.",
    ),
    refusal(
        "USAGE_UNKNOWN",
        "usage: {name} is no setting; there is counters_of, sum, keep_hours",
        "`usage` has a member that it does not know.",
        "Take it out.",
    ),
];

/// What a part of a report is told that is not in the report.
pub const PARTS: &[Refusal] = &[
    refusal(
        "NO_PART",
        "it is no part of a report: {reason}",
        "The file of a report holds something else; the API writes these files.",
        "Ask for reports by the API, or write records as it does.",
    ),
    refusal(
        "DEADLINE_PASSED",
        "the deadline of the report passed before it was made",
        "The part was not worked on before the deadline that the report was asked for with.",
        "Redrive the report, which makes them without a deadline, or ask for it again with a later one.",
    ),
    refusal(
        "COUNTERS_NOT_READ",
        "the counters could not be read{tries}",
        "The table of counters did not answer, or the function may not read it; the function's log says why.",
        "Redrive the report.",
    ),
];
