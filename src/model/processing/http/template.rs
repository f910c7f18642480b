//! Templates: text in which values of a record stand in braces.
//!
//! `{field}` is a field of the record, `{customer.id}` the member `id` of its field `customer`, unless the record has a field
//! of that whole name. What is no field begins with `@`: `{@task}`, `{@batch}`, `{@index}` and `{@secret.name}`.
//! `{{` and `}}` are braces.

use serde_json::{Map, Value};

use super::percent::encoded;
use super::secrets::Secrets;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Field(String),
    Task,
    Batch,
    Index,
    Secret(String),
}

impl Source {
    fn parse(name: &str) -> Result<Self, String> {
        match name.strip_prefix('@') {
            None if name.is_empty() => Err("{} names no field; braces are written as {{ and }}".to_owned()),
            None => Ok(Self::Field(name.to_owned())),
            Some("task") => Ok(Self::Task),
            Some("batch") => Ok(Self::Batch),
            Some("index") => Ok(Self::Index),
            Some(own) => match own.strip_prefix("secret.").filter(|name| !name.is_empty()) {
                Some(secret) => Ok(Self::Secret(secret.to_owned())),
                None => Err(format!(
                    "{{@{own}}} is not known; there is {{@task}}, {{@batch}}, {{@index}} and {{@secret.name}}"
                )),
            },
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    Value(Source),
}

/// A text with places for values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template(pub(super) Vec<Piece>);

/// How a value is written where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    /// As it is.
    Plain,
    /// In a URL or a form: percent-encoded.
    Percent,
    /// In a header: as it is, without line ends and other control characters.
    Header,
    /// Inside the quotes of a JSON text.
    Json,
}

/// What a template is filled with.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    /// The record's fields.
    pub fields: &'a Map<String, Value>,
    /// The id of the record's work.
    pub task: &'a str,
    /// The batch.
    pub batch: &'a str,
    /// The record's place in the input, from 0.
    pub index: u64,
    /// The secrets, by the names that the settings give them.
    pub secrets: &'a Secrets,
}

impl Values<'_> {
    /// A value of the record, or one of fanfold's own.
    fn value(&self, source: &Source) -> Result<Value, String> {
        let text = |text: &str| Ok(Value::from(text));
        match source {
            Source::Task => text(self.task),
            Source::Batch => text(self.batch),
            Source::Index => Ok(Value::from(self.index)),
            Source::Secret(name) => match self.secrets.get(name) {
                Some(secret) => text(secret),
                None => Err(format!("the secret {name} was not read")),
            },
            Source::Field(name) => field(self.fields, name)
                .cloned()
                .ok_or_else(|| format!("the record has no field {name}, which the request needs")),
        }
    }
}

fn field<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    fields.get(name).or_else(|| {
        let (first, rest) = name.split_once('.')?;
        rest.split('.').try_fold(fields.get(first)?, |value, member| value.as_object()?.get(member))
    })
}

fn named(source: &Source) -> &str {
    match source {
        Source::Field(name) | Source::Secret(name) => name,
        Source::Task | Source::Batch | Source::Index => "",
    }
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// Every problem of it.
    pub(super) fn parse(text: &str) -> Result<Self, Vec<String>> {
        let (mut pieces, mut literal, mut problems) = (Vec::new(), String::new(), Vec::new());
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let (brace, after) = rest[at..].split_at(1);
            if let Some(after) = after.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
            } else if let Some((name, after)) = after.split_once('}').filter(|_| brace == "{") {
                match Source::parse(name) {
                    Ok(source) => {
                        if !literal.is_empty() {
                            pieces.push(Piece::Text(std::mem::take(&mut literal)));
                        }
                        pieces.push(Piece::Value(source));
                    }
                    Err(problem) => problems.push(problem),
                }
                rest = after;
            } else {
                problems.push(format!("a {brace} stands alone; braces are written as {{{{ and }}}}"));
                rest = after;
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        if problems.is_empty() { Ok(Self(pieces)) } else { Err(problems) }
    }

    fn sources(&self) -> impl Iterator<Item = &Source> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Value(source) => Some(source),
            Piece::Text(_) => None,
        })
    }

    /// The fields that it uses.
    pub(super) fn fields(&self) -> impl Iterator<Item = &str> {
        self.sources().filter_map(|source| match source {
            Source::Field(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The secrets that it uses.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.sources().filter_map(|source| match source {
            Source::Secret(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The text with its values.
    ///
    /// # Errors
    /// Why the record cannot fill it.
    pub(super) fn render(&self, values: &Values<'_>, escape: Escape) -> Result<String, String> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(literal) => text.push_str(literal),
                Piece::Value(source) => {
                    let value = values.value(source)?;
                    let plain = plain(source, &value, escape)?;
                    escaped(source, &plain, escape, &mut text)?;
                }
            }
        }
        Ok(text)
    }

    /// The value, if the template is exactly one; else the text, as a JSON text.
    pub(super) fn render_json(&self, values: &Values<'_>) -> Result<Value, String> {
        match self.0.as_slice() {
            [Piece::Value(source)] => values.value(source),
            _ => self.render(values, Escape::Plain).map(Value::String),
        }
    }
}

fn plain(source: &Source, value: &Value, escape: Escape) -> Result<String, String> {
    let name = named(source);
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        Value::Null => Err(format!("the field {name} is null, which a text cannot hold")),
        Value::Array(_) | Value::Object(_) if matches!(escape, Escape::Plain | Escape::Json) => Ok(value.to_string()),
        Value::Array(_) | Value::Object(_) => {
            Err(format!("the field {name} is a list or an object, which a URL or a header cannot hold"))
        }
    }
}

fn escaped(source: &Source, plain: &str, escape: Escape, text: &mut String) -> Result<(), String> {
    match escape {
        Escape::Plain => text.push_str(plain),
        Escape::Percent => text.push_str(&encoded(plain)),
        Escape::Header if plain.chars().any(|c| c.is_control() && c != '\t') => {
            return Err(format!(
                "{} holds a line end or another control character, which a header cannot",
                named(source)
            ));
        }
        Escape::Header => text.push_str(plain),
        Escape::Json => {
            let quoted = Value::from(plain).to_string();
            text.push_str(&quoted[1..quoted.len() - 1]);
        }
    }
    Ok(())
}
