//! What a template is given: a report's data, cut to what a document holds, all of it text that can be shown.

use jiff::ToSpan;
use jiff::civil::Date;
use serde::Serialize;

use crate::chart::{self, Drawing, written};
use crate::check;
use crate::invalid::Invalid;
use crate::layout::{self, Natural, Page, Table};
use crate::report::{Asset, Cell, Kind, Report};
use crate::text::{self, Cleaner};

/// The most rows that all tables of assets have together; of a longer report, the document has the first ones.
pub const MOST_ROWS: usize = 5_000;
/// The most assets that have a table.
pub const MOST_SECTIONS: usize = 500;
/// The most assets that are listed with their totals.
pub const MOST_LISTED: usize = 5_000;
/// The most assets that are listed as missing.
pub const MOST_MISSING: usize = 1_000;
/// The most cells of all tables together, which is what memory goes by: some 20 KB each. The list of totals has half of them
/// at most.
pub const MOST_CELLS: usize = 48_000;
/// The most characters of a name, a title or a cell.
pub const MOST_CHARACTERS: usize = 120;
/// The most characters of a reason.
const MOST_OF_REASON: usize = 400;
/// What a template can count to.
const MOST_COUNTED: u64 = i64::MAX as u64;
/// How wide a word may be before it is broken, in ems of its own size; the title is larger.
const LINE: f64 = 36.0;
const TITLE_LINE: f64 = 20.0;

/// The data, as the template has it in `sys.inputs.data`. docs/REPORTS.md describes the members.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Document {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    title: String,
    from: String,
    to: String,
    last: String,
    zone: String,
    as_of: String,
    partial: bool,
    across: bool,
    columns: Vec<Head>,
    totals: Vec<Figure>,
    chart: Option<Drawing>,
    overview: Option<Overview>,
    sections: Vec<Section>,
    asset_count: usize,
    row_count: u64,
    rows_shown: usize,
    missing: Vec<Absent>,
    missing_count: usize,
    full: Option<String>,
    replaced: u64,
    replaced_named: Vec<String>,
}

/// The head of a column.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    name: String,
    title: String,
    kind: Kind,
    number: bool,
}

/// A total of the report.
#[derive(Serialize)]
struct Figure {
    title: String,
    value: String,
}

/// The totals of the assets.
#[derive(Serialize)]
struct Overview {
    /// The columns that have totals, after that of the names.
    columns: Vec<usize>,
    table: Table,
}

/// The table of an asset.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Section {
    name: String,
    row_count: u64,
    table: Table,
}

#[derive(Serialize)]
struct Absent {
    asset: String,
    reason: String,
}

impl Document {
    pub(crate) fn of(report: &Report) -> Result<Self, Invalid> {
        let mut cleaner = Cleaner::default();
        let clean = |text: &str, cleaner: &mut Cleaner| text::breakable(cleaner.clean(text, MOST_CHARACTERS), LINE);
        let columns: Vec<Head> = report
            .columns
            .iter()
            .map(|column| Head {
                name: column.name.clone(),
                title: cleaner.clean(&column.title, MOST_CHARACTERS),
                kind: column.kind,
                number: column.kind.is_number(),
            })
            .collect();
        let titles: Vec<String> = columns.iter().map(|column| column.title.clone()).collect();
        let of_overview = overview_columns(report);
        let listed = report.assets.len().min(MOST_LISTED).min(MOST_CELLS / 2 / (1 + of_overview.len()));
        let taken = if of_overview.is_empty() { 0 } else { listed * (1 + of_overview.len()) };
        let mut sections = sections(report, MOST_CELLS - taken, &mut cleaner);
        let mut overview = overview(report, of_overview, listed, sections.len(), &mut cleaner);
        let across = lay_out(&titles, &mut sections, overview.as_mut());
        let figures = report.totals.iter().flat_map(|totals| row(totals, &mut cleaner)).zip(&titles);
        let totals = figures.filter(|(value, _)| !value.is_empty());
        let totals = totals.map(|(value, title)| Figure { title: title.clone(), value }).collect();
        let missing = report
            .missing
            .iter()
            .take(MOST_MISSING)
            .map(|missing| Absent {
                asset: clean(&missing.asset, &mut cleaner),
                reason: text::breakable(cleaner.clean(&missing.reason, MOST_OF_REASON), LINE),
            })
            .collect();
        Ok(Self {
            id: clean(&report.id, &mut cleaner),
            kind: clean(&report.kind, &mut cleaner),
            title: text::breakable(cleaner.clean(&report.title, MOST_CHARACTERS), TITLE_LINE),
            from: report.from.clone(),
            to: report.to.clone(),
            last: last_day(check::date("to", &report.to)?),
            zone: clean(&report.zone, &mut cleaner),
            as_of: check::instant(report)?.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
            partial: report.partial || !report.missing.is_empty(),
            across,
            columns,
            totals,
            chart: chart::draw(report),
            overview,
            asset_count: report.assets.len(),
            row_count: report.assets.iter().map(count).fold(0, u64::saturating_add).min(MOST_COUNTED),
            rows_shown: sections.iter().map(|section| section.table.rows.len()).sum(),
            sections,
            missing,
            missing_count: report.missing.len(),
            full: report.full.clone(),
            replaced: cleaner.replaced,
            replaced_named: cleaner.named(),
        })
    }
}

fn last_day(to: Date) -> String {
    to.saturating_sub(1.day()).to_string()
}

fn count(asset: &Asset) -> u64 {
    asset.row_count.unwrap_or(asset.rows.len() as u64).min(MOST_COUNTED)
}

fn row(cells: &[Cell], cleaner: &mut Cleaner) -> Vec<String> {
    cells.iter().map(|cell| cleaner.clean(&written(cell), MOST_CHARACTERS)).collect()
}

/// The tables of the first assets, with rows as long as there is room for some.
fn sections(report: &Report, cells: usize, cleaner: &mut Cleaner) -> Vec<Section> {
    let mut room = MOST_ROWS.min(cells / report.columns.len());
    let mut sections = Vec::new();
    for asset in report.assets.iter().take(MOST_SECTIONS) {
        if room == 0 {
            break;
        }
        let rows: Vec<Vec<String>> = asset.rows.iter().take(room).map(|cells| row(cells, cleaner)).collect();
        room -= rows.len();
        let totals = asset.totals.as_ref().map(|totals| row(totals, cleaner));
        let table = Table { widths: Vec::new(), rows, totals, flat: false };
        sections.push(Section {
            name: text::breakable(cleaner.clean(&asset.name, MOST_CHARACTERS), LINE),
            row_count: count(asset),
            table,
        });
    }
    sections
}

/// The columns that have totals, if there are several assets to list with them.
fn overview_columns(report: &Report) -> Vec<usize> {
    if report.assets.len() < 2 {
        return Vec::new();
    }
    let all = || report.assets.iter().filter_map(|asset| asset.totals.as_ref()).chain(&report.totals);
    let has_total = |&column: &usize| all().any(|totals| !totals[column].is_null());
    (0..report.columns.len()).filter(has_total).collect()
}

/// The totals of the first `listed` assets, of which `sections` have tables.
fn overview(
    report: &Report,
    columns: Vec<usize>,
    listed: usize,
    sections: usize,
    cleaner: &mut Cleaner,
) -> Option<Overview> {
    if columns.is_empty() {
        return None;
    }
    // Names that a section bears as well are not to be counted twice.
    let mut counted = Cleaner::default();
    let line = |name: &str, totals: Option<&Vec<Cell>>, cleaner: &mut Cleaner| {
        let mut cells = vec![cleaner.clean(name, MOST_CHARACTERS)];
        for &column in &columns {
            cells
                .push(totals.map_or(String::new(), |totals| cleaner.clean(&written(&totals[column]), MOST_CHARACTERS)));
        }
        cells
    };
    let listed = report.assets.iter().take(listed).enumerate();
    let rows = listed
        .map(|(index, asset)| {
            let cleaner = if index < sections { &mut counted } else { &mut *cleaner };
            line(&asset.name, asset.totals.as_ref(), cleaner)
        })
        .collect();
    let totals = report.totals.as_ref().map(|totals| line("All assets", Some(totals), &mut counted));
    Some(Overview { columns, table: Table { widths: Vec::new(), rows, totals, flat: false } })
}

/// Sets the widths of all columns, those of the assets' tables alike. Tells whether pages lie across.
fn lay_out(titles: &[String], sections: &mut [Section], overview: Option<&mut Overview>) -> bool {
    let heads = std::iter::once(titles);
    let tables = sections.iter().map(|section| &section.table);
    let rows = tables.flat_map(|table| table.rows.iter().chain(&table.totals)).map(Vec::as_slice);
    let of_sections = Natural::of(titles.len(), heads.chain(rows));
    let of_overview = overview.as_ref().map(|overview| {
        let head: Vec<String> = overview.columns.iter().map(|&column| titles[column].clone()).collect();
        let head: Vec<String> = std::iter::once("Asset".to_owned()).chain(head).collect();
        let rows = overview.table.rows.iter().chain(&overview.table.totals).map(Vec::as_slice);
        Natural::of(head.len(), std::iter::once(head.as_slice()).chain(rows))
    });
    let page = Page::of(std::iter::once(&of_sections).chain(&of_overview));
    let widths = of_sections.fitted(page);
    for section in sections {
        layout::break_words(&mut section.table, &widths);
        section.table.widths.clone_from(&widths);
    }
    if let (Some(overview), Some(natural)) = (overview, of_overview) {
        overview.table.widths = natural.fitted(page);
        let widths = overview.table.widths.clone();
        layout::break_words(&mut overview.table, &widths);
    }
    page == Page::Across
}
