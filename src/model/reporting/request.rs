//! A report that was asked for: who did, and for what.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::error::{Error, Result};
use crate::model::reporting::id::ReportId;
use crate::model::reporting::order::{Assets, Order, Wrong};
use crate::model::reporting::part::Part;
use crate::model::timestamp::Timestamp;

/// Whose reports are those that are asked for without a gateway: whoever is let in has one and the same token, and operates the system.
pub const OPERATOR: &str = "here";

/// What stands in a report's request: written once, before its file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportRequest {
    /// The version of this form: 1.
    pub v: u32,
    /// The report.
    pub id: ReportId,
    /// Who asked for it, and alone is told of it.
    pub owner: String,
    /// When that was.
    pub at: Timestamp,
    /// What was asked for, as it was written.
    pub order: Value,
    /// The assets that there were, if it was asked for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Vec<String>>,
}

impl ReportRequest {
    /// A request of now.
    pub fn new(id: ReportId, owner: impl Into<String>, at: Timestamp, order: Value) -> Self {
        Self { v: 1, id, owner: owner.into(), at, order, found: None }
    }

    /// Reads it from its object.
    ///
    /// # Errors
    /// `Internal` if it is none.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|e| Error::internal("the request of a report is not readable").because(e))
    }

    /// What was asked for.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn order(&self) -> std::result::Result<Order, Wrong> {
        Order::parse(&self.order)
    }

    /// The report's parts, one for each asset, in the order of the request.
    ///
    /// # Errors
    /// `Malformed` for days that no moment begins.
    pub fn parts<'a>(&'a self, order: &'a Order) -> Result<impl Iterator<Item = Part> + 'a> {
        let (since, until) = order.moments().ok_or_else(|| Error::malformed("these days are beyond all calendars"))?;
        let (id, deadline) = (&self.id, order.deadline.map(|seconds| self.at.plus_seconds(seconds)));
        let assets = match &order.assets {
            Assets::Named(assets) => assets.as_slice(),
            Assets::All => self.found.as_deref().unwrap_or_default(),
        };
        Ok(assets.iter().enumerate().map(move |(place, asset)| Part {
            part: id.part_key(place),
            report: id.clone(),
            kind: order.kind.clone(),
            asset: asset.clone(),
            from: order.from.to_string(),
            to: order.to.to_string(),
            zone: order.zone_name.clone(),
            since,
            until,
            deadline,
        }))
    }

    /// The report's file: a line for each part.
    ///
    /// # Errors
    /// Those of [`Self::parts`].
    pub fn file(&self, order: &Order) -> Result<Vec<u8>> {
        let mut lines = Vec::new();
        for part in self.parts(order)? {
            serde_json::to_writer(&mut lines, &part)
                .map_err(|e| Error::internal("a part cannot be written").because(e))?;
            lines.push(b'\n');
        }
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_file_has_a_line_for_each_asset() {
        let order = json!({"type": "usage", "from": "2026-03-29", "to": "2026-03-30", "zone": "Europe/Berlin", "assets": ["../../x", "a\"\n"]});
        let request = ReportRequest::new(ReportId::of_bits(7), "anna", Timestamp(0), order);
        let back = ReportRequest::read(&serde_json::to_vec(&request).unwrap()).unwrap();
        let order = back.order().unwrap();
        let file = String::from_utf8(back.file(&order).unwrap()).unwrap();
        let parts: Vec<Part> = file.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(parts.iter().map(|part| part.asset.as_str()).collect::<Vec<_>>(), ["../../x", "a\"\n"]);
        assert_eq!(parts[1].part, "00000000000000000000000000000007/000001");
        assert_eq!(parts[0].until.0 - parts[0].since.0, 23 * 3_600_000, "the day on which clocks went forward");
        assert_eq!(parts[0].deadline, None);
    }

    #[test]
    fn a_report_of_all_assets_has_those_that_there_were() {
        let order =
            json!({"type": "usage", "from": "2026-03-29", "to": "2026-03-30", "assets": "all", "deadline": 600});
        let mut request = ReportRequest::new(ReportId::of_bits(7), "anna", Timestamp(1_000), order);
        request.found = Some(vec!["a".to_owned(), "b".to_owned()]);
        let back = ReportRequest::read(&serde_json::to_vec(&request).unwrap()).unwrap();
        let order = back.order().unwrap();
        let parts: Vec<Part> = back.parts(&order).unwrap().collect();
        assert_eq!(parts.iter().map(|part| part.asset.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(parts[1].deadline, Some(Timestamp(601_000)));
    }
}
