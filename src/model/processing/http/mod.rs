//! The settings of the processor `http`: each record is sent to an HTTP API.

mod body;
mod parse;
mod percent;
mod secrets;
mod statuses;
mod template;
#[cfg(test)]
mod tests;
mod url;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub use body::{Body, JsonTemplate};
pub use secrets::{Keeper, SecretSource, Secrets};
pub use statuses::{Class, Statuses};
pub use template::{Template, Values};
pub use url::{Origin, UrlTemplate};

use crate::model::error::{Error, Result};
use parse::Reader;
use statuses::Range;
use template::Escape;

/// How each record is sent to an HTTP API.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpSettings {
    /// What is sent.
    pub call: CallTemplate,
    /// Calls per second, over all functions; `None` for as many as there can be.
    pub rate: Option<f64>,
    /// Calls under way at once, over all functions; `None` for as many as there can be.
    pub concurrency: Option<u32>,
    /// Milliseconds that one call may take.
    pub timeout: u64,
    /// What the status of a response means.
    pub statuses: Statuses,
    /// How to find out whether a call whose outcome is unknown had its effect.
    pub look_up: Option<LookUp>,
    /// Where secrets are kept, by the names that templates use.
    pub secrets: BTreeMap<String, SecretSource>,
}

/// A request with places for a record's values.
#[derive(Debug, Clone, PartialEq)]
pub struct CallTemplate {
    /// `POST` and the like.
    pub method: String,
    /// Where it goes.
    pub url: UrlTemplate,
    /// Headers, with the content type if there is a body.
    pub headers: Vec<(String, Template)>,
    /// What it carries.
    pub body: Body,
}

/// A request that finds a record at the API.
#[derive(Debug, Clone, PartialEq)]
pub struct LookUp {
    /// The request, which carries nothing.
    pub call: CallTemplate,
    /// The statuses that say that the record was sent.
    found: Vec<Range>,
    /// The statuses that say that it was not.
    absent: Vec<Range>,
}

impl LookUp {
    /// Whether a status says that the record was sent; `None` if it does not tell.
    pub fn found(&self, status: u16) -> Option<bool> {
        let within = |ranges: &[Range]| ranges.iter().any(|range| range.contains(&status));
        if within(&self.found) { Some(true) } else { within(&self.absent).then_some(false) }
    }
}

/// A request of a record. It may hold secrets, and shows nothing of itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    /// `POST` and the like.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// What it carries.
    pub body: String,
}

impl std::fmt::Debug for Rendered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rendered").field("method", &self.method).finish_non_exhaustive()
    }
}

impl CallTemplate {
    /// The request of a record.
    ///
    /// # Errors
    /// Why the record cannot be sent: a field that it lacks, or that cannot stand where the template wants it.
    pub fn render(&self, values: &Values<'_>) -> std::result::Result<Rendered, String> {
        let target = self.url.target(values)?;
        let header =
            |(name, template): &(String, Template)| Ok((name.clone(), template.render(values, Escape::Header)?));
        let headers: Vec<(String, String)> =
            self.headers.iter().map(header).collect::<std::result::Result<_, String>>()?;
        let content_type = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let body = self.body.render(values, content_type.map_or("", |(_, value)| value))?;
        Ok(Rendered { method: self.method.clone(), target, headers, body })
    }

    fn templates(&self) -> Vec<&Template> {
        let mut all: Vec<&Template> = self.url.templates().collect();
        all.extend(self.headers.iter().map(|(_, template)| template));
        all.extend(self.body.templates());
        all
    }
}

impl HttpSettings {
    /// Reads the settings.
    ///
    /// # Errors
    /// Every problem of them, not just the first.
    pub fn parse(of: &Value) -> std::result::Result<Self, Vec<String>> {
        let empty = Map::new();
        let mut reader = Reader::new(of.as_object().unwrap_or(&empty));
        let settings = reader.settings();
        let problems = reader.problems();
        match settings {
            Some(settings) if problems.is_empty() => Ok(settings),
            _ => Err(problems.into_iter().map(|problem| format!("http: {problem}")).collect()),
        }
    }

    fn templates(&self) -> Vec<&Template> {
        let mut all = self.call.templates();
        all.extend(self.look_up.iter().flat_map(|look_up| look_up.call.templates()));
        all
    }

    /// The fields of a record that requests need, each once. One with dots, such as `customer.id`, is the field of that whole
    /// name or the member of an object.
    pub fn fields(&self) -> Vec<&str> {
        let mut fields: Vec<&str> = self.templates().into_iter().flat_map(Template::fields).collect();
        fields.sort_unstable();
        fields.dedup();
        fields
    }

    /// Compares the secrets with the region of the functions.
    ///
    /// # Errors
    /// `Config` with every secret that is kept elsewhere.
    pub fn check_region(&self, region: &str) -> Result<()> {
        let elsewhere = self.secrets.iter().filter(|(_, source)| source.region != region);
        let told: Vec<String> = elsewhere.map(|(name, source)| format!("{name} in {}", source.region)).collect();
        if told.is_empty() {
            return Ok(());
        }
        let told = told.join(", ");
        Err(Error::config(format!(
            "PROCESSORS: http: secrets must be kept in {region}, where the functions are: {told}"
        )))
    }
}
