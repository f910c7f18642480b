//! What a pipeline is told about the files that it gets.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::model::error::{Error, Result};
use crate::model::format::charset::Charset;
use crate::model::format::{MAX_HEADER_BYTES, USUAL_HEADER_BYTES};

/// The settings of a pipeline that say how files are read. What is left out is found in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FormatSettings {
    /// What stands between two fields of a CSV row.
    pub delimiter: Option<char>,
    /// What stands around a field of a CSV row.
    pub quote: Option<char>,
    /// What a line of a CSV file begins with that is not a row.
    pub comment: Option<char>,
    /// What the bytes of a text mean that is not UTF-8.
    pub encoding: Option<Charset>,
    /// The member of a JSON document that holds the records, with dots between nested ones.
    pub records_path: Option<String>,
    /// Cells of a CSV file that stand for `null`.
    pub null_values: Vec<String>,
    /// Cells that stand for `true`.
    pub true_values: Vec<String>,
    /// Cells that stand for `false`.
    pub false_values: Vec<String>,
    /// The columns of CSV files that have no header. A file has as many of them, from the first on, as its first row
    /// has fields.
    pub columns: Vec<String>,
    /// The longest header of a CSV file, in bytes of the JSON of its names.
    pub max_header: Option<u32>,
    /// Names of files that are no input: a part of the key that begins or ends like this, with `*` for the rest.
    pub ignore: Vec<String>,
}

impl Default for FormatSettings {
    fn default() -> Self {
        let ignore = ["_*", ".*"].map(str::to_owned).to_vec();
        let (delimiter, quote, comment) = (None, None, None);
        let (null_values, true_values, false_values) = (Vec::new(), Vec::new(), Vec::new());
        let (columns, max_header) = (Vec::new(), None);
        Self {
            delimiter,
            quote,
            comment,
            encoding: None,
            records_path: None,
            null_values,
            true_values,
            false_values,
            columns,
            max_header,
            ignore,
        }
    }
}

impl FormatSettings {
    /// Reads the settings from a JSON object.
    ///
    /// # Errors
    /// `Config`, which says what is wrong with them.
    pub fn parse(text: &str) -> Result<Self> {
        let wanted = || {
            Error::config("FORMAT must be a JSON object such as {\"delimiter\":\";\",\"encoding\":\"windows-1252\"}")
        };
        if !text.trim_start().starts_with('{') {
            return Err(wanted());
        }
        let settings: Self = serde_json::from_str(text).map_err(|e| wanted().because(e))?;
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<()> {
        let signs = [("delimiter", self.delimiter), ("quote", self.quote), ("comment", self.comment)];
        let given: Vec<(&str, char)> = signs.into_iter().filter_map(|(name, sign)| Some((name, sign?))).collect();
        for (place, (name, sign)) in given.iter().enumerate() {
            if !sign.is_ascii() || matches!(sign, '\n' | '\r' | '\0') {
                return Err(Error::config(format!("FORMAT: {name} is {sign:?}; it must be one character of ASCII")));
            }
            if let Some((other, _)) = given[..place].iter().find(|(_, other)| other == sign) {
                return Err(Error::config(format!("FORMAT: {other} and {name} are both {sign:?}")));
            }
        }
        if self.records_path.as_ref().is_some_and(|path| path.split('.').any(str::is_empty)) {
            return Err(Error::config("FORMAT: records_path must be names with dots between them, such as data.items"));
        }
        if let Some(bytes) = self.max_header.filter(|bytes| !(1..=MAX_HEADER_BYTES).contains(bytes)) {
            return Err(Error::config(format!(
                "FORMAT: max_header is {bytes}; it can be 1 to {MAX_HEADER_BYTES} bytes"
            )));
        }
        self.check_columns()?;
        match self.ignore.iter().find(|pattern| pattern.is_empty() || pattern.trim_matches('*').contains('*')) {
            Some(pattern) => Err(Error::config(format!(
                "FORMAT: ignore has {pattern:?}; a pattern has * at its beginning, at its end or nowhere"
            ))),
            None => Ok(()),
        }
    }

    fn check_columns(&self) -> Result<()> {
        let mut seen = HashSet::new();
        for name in &self.columns {
            if name.is_empty() {
                return Err(Error::config("FORMAT: columns has an empty name; a column must have one"));
            }
            if !seen.insert(name) {
                return Err(Error::config(format!("FORMAT: columns has {name:?} twice; rename one")));
            }
        }
        let (bytes, most) = (json_bytes(&self.columns), self.max_header.unwrap_or(USUAL_HEADER_BYTES));
        if !self.columns.is_empty() && bytes > u64::from(most) {
            return Err(Error::config(format!(
                "FORMAT: columns takes {bytes} bytes, and {most} are allowed, since every record repeats them; shorten \
                 the names, or set a max_header of {bytes}, which can be up to {MAX_HEADER_BYTES}"
            )));
        }
        Ok(())
    }

    /// The pattern by which an object is no input, if there is one: some part of its key, between slashes, matches it.
    pub fn ignored(&self, key: &str) -> Option<&str> {
        // Two dots are no name.
        let parts = || key.split('/').filter(|part| part.contains(|c| c != '.'));
        let matches = |pattern: &&String| parts().any(|part| matches_pattern(pattern, part));
        self.ignore.iter().find(matches).map(String::as_str)
    }
}

/// The length of names as JSON.
fn json_bytes(names: &[String]) -> u64 {
    serde_json::to_vec(names).map_or(u64::MAX, |json| json.len() as u64)
}

fn matches_pattern(pattern: &str, name: &str) -> bool {
    let text = pattern.trim_matches('*');
    match (pattern.starts_with('*'), pattern.ends_with('*')) {
        (true, true) => name.contains(text),
        (true, false) => name.ends_with(text),
        (false, true) => name.starts_with(text),
        (false, false) => name == text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clutter_is_known_by_its_name() {
        let settings = FormatSettings::default();
        for (key, pattern) in [
            ("out/_SUCCESS", Some("_*")),
            ("out/_temporary/0/part-0.csv", Some("_*")),
            (".part-0.csv.crc", Some(".*")),
            ("out/part-0_a.csv", None),
            ("a.b/c.csv", None),
        ] {
            assert_eq!(settings.ignored(key), pattern, "{key}");
        }
        let settings = FormatSettings::parse(r#"{"ignore":["*.txt","notes*","*tmp*","README"]}"#).unwrap();
        for key in ["a.txt", "x/notes.csv", "a-tmp-b/c.csv", "README"] {
            assert!(settings.ignored(key).is_some(), "{key}");
        }
        assert_eq!(settings.ignored("_x/README.csv"), None);
    }

    #[test]
    fn settings_that_make_no_sense_are_refused_by_name() {
        for (text, told) in [
            ("[]", "FORMAT must be a JSON object"),
            (r#"{"delimeter":";"}"#, "unknown field `delimeter`"),
            (r#"{"delimiter":";;"}"#, "FORMAT must be"),
            (r#"{"delimiter":"ü"}"#, "delimiter is 'ü'"),
            (r#"{"delimiter":"'","quote":"'"}"#, "delimiter and quote are both"),
            (r#"{"records_path":"a..b"}"#, "records_path"),
            (r#"{"encoding":"utf-16"}"#, "windows-1252"),
            (r#"{"max_header":0}"#, "max_header is 0; it can be 1 to 65536 bytes"),
            (r#"{"max_header":65537}"#, "max_header is 65537"),
            (r#"{"columns":["a",""]}"#, "columns has an empty name"),
            (r#"{"columns":["a","b","a"]}"#, "columns has \"a\" twice"),
            (r#"{"columns":["abc","d"],"max_header":10}"#, "columns takes 11 bytes, and 10 are allowed"),
            (r#"{"ignore":["a*b"]}"#, "ignore has \"a*b\""),
        ] {
            let error = FormatSettings::parse(text).unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
        let settings =
            FormatSettings::parse(r#"{"delimiter":"\t","encoding":"latin1","records_path":"data.items"}"#).unwrap();
        assert_eq!((settings.delimiter, settings.ignore.len()), (Some('\t'), 2));
    }
}
