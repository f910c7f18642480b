//! What makes a record valid: a JSON Schema (draft 2020-12), and the field that is the key.
//!
//! The cells of a CSV row are text. Before a row is validated, each cell becomes the value that it stands for, by what
//! the schema takes for its column: `document` asks the schema, `columns` keeps the answers, `cells` converts.

use std::sync::Arc;

use jsonschema::error::ValidationErrorKind;
use serde_json::{Map, Value};

use crate::model::error::{Error, Result};
use crate::model::format::Layout;
use crate::model::item::{check_fields, key_of};
use crate::model::own::OwnAttributes;
use crate::model::record::Entry;

mod cells;
mod columns;
mod document;
mod key;
mod read;
mod rules;
mod words;

#[cfg(test)]
mod cells_tests;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;

pub use cells::Cells;
use cells::Converted;
pub(crate) use cells::number;
use columns::Columns;
pub use rules::Rules;
use words::Row;

/// A record that may be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Valid {
    /// The item's key.
    pub key: String,
    /// The record's fields, a CSV row's values converted to what the schema takes.
    pub fields: Map<String, Value>,
}

/// A compiled record schema.
#[derive(Debug, Clone)]
pub struct RecordSchema {
    text: Arc<str>,
    validator: Arc<jsonschema::Validator>,
    key_field: String,
    columns: Arc<Columns>,
    cells: Arc<Cells>,
    own: OwnAttributes,
}

impl RecordSchema {
    /// Compiles a schema document.
    ///
    /// # Errors
    /// `Config` if it is not JSON, not a valid schema of draft 2020-12, or refers to another document; or as of
    /// [`with_own`](Self::with_own).
    pub fn parse(text: &str, key_field: &str) -> Result<Self> {
        let schema: Value = serde_json::from_str(text)
            .map_err(|e| Error::config("the record schema is not JSON; correct SCHEMA").because(e))?;
        let refused = |e: jsonschema::ValidationError<'static>| {
            let place = Some(e.instance_path().to_string()).filter(|place| !place.is_empty());
            let at = place.map(|place| format!(" at {place}")).unwrap_or_default();
            Error::config(format!("the record schema is not a JSON Schema of draft 2020-12; correct SCHEMA{at}: {e}"))
        };
        let validator = columns::options().build(&schema).map_err(refused)?;
        let columns = Columns::new(schema).map_err(refused)?;
        let (validator, columns) = (Arc::new(validator), Arc::new(columns));
        let (key_field, own) = (key_field.to_owned(), OwnAttributes::default());
        Self { text: text.into(), validator, key_field, columns, cells: Arc::default(), own }.with_own(own)
    }

    /// Sets the names of fanfold's own attributes.
    ///
    /// # Errors
    /// `Config` if the key field is one of them, so that no record could have it.
    pub fn with_own(mut self, own: OwnAttributes) -> Result<Self> {
        own.check_key_field(&self.key_field)?;
        self.own = own;
        Ok(self)
    }

    /// The rules that it was compiled from.
    pub fn rules(&self) -> Rules {
        let (key_field, schema) = (self.key_field.clone(), self.text.to_string());
        Rules { key_field, schema, cells: self.cells.as_ref().clone() }
    }

    /// The schema that other rules make, for the same items table.
    ///
    /// # Errors
    /// `Config` as of [`parse`](Self::parse).
    pub fn under(&self, rules: &Rules) -> Result<Self> {
        Self::of(rules, self.own)
    }

    /// Compiles rules, for an items table with these own attributes.
    ///
    /// # Errors
    /// `Config` as of [`parse`](Self::parse).
    pub fn of(rules: &Rules, own: OwnAttributes) -> Result<Self> {
        Self::parse(&rules.schema, &rules.key_field)?.with_own(own)?.with_cells(rules.cells.clone())
    }

    /// The fields that a record without any would be told to lack.
    pub fn required(&self) -> Vec<String> {
        let mut names = Vec::new();
        for error in self.validator.iter_errors(&Value::Object(Map::new())) {
            if let ValidationErrorKind::Required { property: Value::String(name) } = error.kind()
                && !names.contains(name)
            {
                names.push(name.clone());
            }
        }
        names
    }

    /// Whether no valid record has a field, since the schema lists the fields that a record may have. One with dots may be
    /// of an object.
    pub fn excludes(&self, field: &str) -> bool {
        let schema: Value = serde_json::from_str(&self.text).unwrap_or_default();
        let closed = |name: &str| schema.get(name) == Some(&Value::Bool(false));
        let listed = |field: &str| schema.get("properties").is_some_and(|listed| listed.get(field).is_some());
        let outer = field.split('.').next().unwrap_or(field);
        closed("additionalProperties") && schema.get("patternProperties").is_none() && !listed(field) && !listed(outer)
    }

    /// Sets which texts stand for null, true and false in the cells of CSV files.
    ///
    /// # Errors
    /// `Config` as of [`Cells::check`].
    pub fn with_cells(mut self, cells: Cells) -> Result<Self> {
        cells.check()?;
        self.cells = Arc::new(cells);
        Ok(self)
    }

    /// Decides whether a record may be stored.
    ///
    /// # Errors
    /// The reason why not, in words for the record's outcome.
    pub fn check(&self, entry: &Entry, layout: Layout) -> std::result::Result<Valid, String> {
        if let Some(fault) = &entry.fault {
            return Err(fault.clone());
        }
        let given = || read::object(entry.record.get()).map_err(|e| format!("the record cannot be read: {e}"));
        let mut record = Value::Object(given()?);
        if let (Layout::Csv, Value::Object(row)) = (layout, &mut record) {
            self.convert(row, None);
        }
        if !self.validator.is_valid(&record) {
            record = if layout == Layout::Csv {
                let row = given()?;
                let other = self.converted_otherwise(&row);
                other.ok_or_else(|| self.violations(&record, Some(&row)))?
            } else {
                return Err(self.violations(&record, None));
            };
        }
        let Value::Object(fields) = record else {
            return Err("the record is not an object".to_owned());
        };
        let key = key_of(&fields, &self.key_field).map_err(|reason| match layout {
            Layout::Csv => self.empty_key(entry).unwrap_or(reason),
            _ => reason,
        })?;
        check_fields(&fields, &self.own)?;
        Ok(Valid { key, fields })
    }

    /// Decides whether an item may be stored that a processor made of a record: it needs the key, and need not satisfy
    /// the schema, which is about records of the input.
    ///
    /// # Errors
    /// The reason why not, in words for the record's outcome.
    pub fn admit(&self, fields: Map<String, Value>) -> std::result::Result<Valid, String> {
        let key = key_of(&fields, &self.key_field)?;
        check_fields(&fields, &self.own)?;
        Ok(Valid { key, fields })
    }

    /// Converts the cells of a row to what the schema takes for their columns, in one way to satisfy it or in any.
    fn convert(&self, row: &mut Map<String, Value>, way: Option<usize>) {
        let mut absent = Vec::new();
        for (place, (name, cell)) in row.iter_mut().enumerate() {
            let column = self.columns.of(name);
            if column.any_text {
                continue;
            }
            match self.cells.convert(cell, column.ways(way)) {
                Converted::Text => {}
                Converted::Value(value) => *cell = value,
                Converted::Absent => absent.push(place),
            }
        }
        if !absent.is_empty() {
            let mut places = 0..;
            row.retain(|_, _| !places.next().is_some_and(|place| absent.contains(&place)));
        }
    }

    /// A row that is not valid if each cell is taken by itself may be if all are read in one of the ways to satisfy
    /// the schema: there a column may be text in one way and a number in another. Whatever is valid as text stays so,
    /// even if the schema says that in a way that its types do not show.
    fn converted_otherwise(&self, row: &Map<String, Value>) -> Option<Value> {
        let ways = Some(self.columns.alternatives()).filter(|ways| *ways > 1).unwrap_or_default();
        (0..ways).map(Some).chain([None]).find_map(|way| {
            let mut row = row.clone();
            if way.is_some() {
                self.convert(&mut row, way);
            }
            Some(Value::Object(row)).filter(|record| self.validator.is_valid(record))
        })
    }

    fn violations(&self, record: &Value, row: Option<&Map<String, Value>>) -> String {
        let row = row.map(|texts| Row { cells: &self.cells, texts });
        words::violations(&self.validator, record, row.as_ref())
    }

    /// Says of a row without a key that its cell is empty.
    fn empty_key(&self, entry: &Entry) -> Option<String> {
        let texts = read::object(entry.record.get()).ok()?;
        let nothing = Row { cells: &self.cells, texts: &texts }.nothing(&self.key_field)?;
        Some(format!("{}: {nothing}, and it is the key", self.key_field))
    }
}
