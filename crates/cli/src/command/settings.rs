//! What a pipeline is told about its records, as options of the commands that need no deployment.

use std::path::PathBuf;

use clap::Args;

use fanfold::model::error::{Error, Result};
use fanfold::model::format::settings::FormatSettings;
use fanfold::model::limits::Limits;
use fanfold::model::own::OwnAttributes;
use fanfold::model::schema::{Cells, RecordSchema};

/// The schema and key field that a deployment uses by default.
const ORDERS: &str = include_str!("../../../../examples/orders.schema.json");
const ORDERS_KEY: &str = "itemNo";

/// The settings of a pipeline that decide what becomes of a record, with the defaults of a deployment.
#[derive(Debug, Args)]
pub struct RecordSettings {
    /// A JSON Schema of a record [default: that of examples/orders.csv if its key is itemNo, else any object]
    #[arg(long, value_name = "FILE", env = "SCHEMA")]
    schema: Option<PathBuf>,
    /// The field that is the key of a record's item.
    #[arg(long, value_name = "NAME", env = "KEY_FIELD", default_value = ORDERS_KEY)]
    pub(super) key_field: String,
    /// Maximum number of records in a chunk.
    #[arg(long, value_name = "N", env = "CHUNK_SIZE", default_value_t = 500)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) chunk_size: u32,
    /// How the file is read: a JSON object such as {"delimiter":";","encoding":"windows-1252"}.
    #[arg(long, value_name = "JSON", env = "FORMAT")]
    format: Option<String>,
    /// What one batch may make at most: a JSON object such as {"records":1000000,"dollars":10}.
    #[arg(long, value_name = "JSON", env = "LIMITS")]
    limits: Option<String>,
}

impl RecordSettings {
    /// The text of the schema.
    pub(super) fn schema(&self) -> Result<String> {
        match &self.schema {
            Some(path) => std::fs::read_to_string(path)
                .map_err(|e| Error::config(format!("could not read the schema {}", path.display())).because(e)),
            None if self.key_field == ORDERS_KEY => Ok(ORDERS.to_owned()),
            None => Ok(r#"{"type":"object"}"#.to_owned()),
        }
    }

    /// Which schema it is, in words.
    pub(super) fn schema_name(&self) -> String {
        match &self.schema {
            Some(path) => path.display().to_string(),
            None if self.key_field == ORDERS_KEY => "examples/orders.schema.json (default)".to_owned(),
            None => "any object (default)".to_owned(),
        }
    }

    /// How files are read.
    pub(super) fn format(&self) -> Result<FormatSettings> {
        let text = self.format.as_deref().filter(|text| !text.trim().is_empty());
        text.map_or_else(|| Ok(FormatSettings::default()), FormatSettings::parse)
    }

    /// What one batch may make at most, if that is given.
    pub(super) fn limits(&self) -> Result<Option<Limits>> {
        self.limits.as_deref().filter(|text| !text.trim().is_empty()).map(Limits::parse).transpose()
    }

    /// Checks all of it as a function does at its start.
    ///
    /// # Errors
    /// Every problem, not just the first.
    pub(super) fn check(&self) -> std::result::Result<(RecordSchema, FormatSettings, Limits), Vec<Error>> {
        let mut problems = Vec::new();
        let key = noted(OwnAttributes::default().check_key_field(&self.key_field), &mut problems);
        // A key field that is refused must not hide what is wrong with the schema.
        let key_field = key.map_or("", |()| self.key_field.as_str());
        let parsed = self.schema().and_then(|text| RecordSchema::parse(&text, key_field));
        let schema = noted(parsed, &mut problems);
        let format = noted(self.format(), &mut problems);
        let limits = noted(self.limits(), &mut problems).flatten().unwrap_or_default();
        let cells = format.as_ref().map(Cells::from).unwrap_or_default();
        noted(cells.check(), &mut problems);
        let schema = schema.and_then(|schema| schema.with_cells(cells).ok());
        match (schema, format) {
            (Some(schema), Some(format)) if problems.is_empty() => Ok((schema, format, limits)),
            _ => Err(problems),
        }
    }
}

fn noted<T>(result: Result<T>, problems: &mut Vec<Error>) -> Option<T> {
    result.map_err(|error| problems.push(error)).ok()
}
