//! What a request carries.

use serde_json::{Map, Value};

use super::template::{Escape, Template, Values};

/// What a request carries.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// The record as JSON.
    Record,
    /// Nothing.
    Nothing,
    /// A text with values.
    Text(Template),
    /// A JSON value whose texts have values.
    Json(JsonTemplate),
}

/// A JSON value whose texts are templates.
#[derive(Debug, Clone, PartialEq)]
pub enum JsonTemplate {
    /// A number, a truth value or nothing.
    Plain(Value),
    /// A text; a text that is exactly one value keeps its type.
    Text(Template),
    /// A list.
    List(Vec<JsonTemplate>),
    /// An object.
    Object(Vec<(String, JsonTemplate)>),
}

impl JsonTemplate {
    fn parse(value: &Value, problems: &mut Vec<String>) -> Self {
        match value {
            Value::String(text) => Self::Text(template(text, problems)),
            Value::Array(list) => Self::List(list.iter().map(|one| Self::parse(one, problems)).collect()),
            Value::Object(members) => {
                let member = |(name, value): (&String, &Value)| (name.clone(), Self::parse(value, problems));
                Self::Object(members.iter().map(member).collect())
            }
            plain => Self::Plain(plain.clone()),
        }
    }

    fn render(&self, values: &Values<'_>) -> Result<Value, String> {
        Ok(match self {
            Self::Plain(value) => value.clone(),
            Self::Text(template) => template.render_json(values)?,
            Self::List(list) => Value::Array(list.iter().map(|one| one.render(values)).collect::<Result<_, _>>()?),
            Self::Object(members) => {
                let member = |(name, of): &(String, Self)| Ok((name.clone(), of.render(values)?));
                Value::Object(members.iter().map(member).collect::<Result<Map<_, _>, String>>()?)
            }
        })
    }

    fn templates<'a>(&'a self, found: &mut Vec<&'a Template>) {
        match self {
            Self::Plain(_) => {}
            Self::Text(template) => found.push(template),
            Self::List(list) => list.iter().for_each(|one| one.templates(found)),
            Self::Object(members) => members.iter().for_each(|(_, one)| one.templates(found)),
        }
    }
}

fn template(text: &str, problems: &mut Vec<String>) -> Template {
    Template::parse(text).unwrap_or_else(|found| {
        problems.extend(found.into_iter().map(|problem| format!("body: {problem}")));
        Template::default()
    })
}

impl Body {
    /// Reads the setting. `carries` says whether requests of the method carry something unless told otherwise.
    pub(super) fn parse(value: Option<&Value>, carries: bool, problems: &mut Vec<String>) -> Self {
        match value {
            None if carries => Self::Record,
            None => Self::Nothing,
            Some(Value::String(none)) if none == "none" => Self::Nothing,
            Some(Value::String(text)) => Self::Text(template(text, problems)),
            Some(value) => Self::Json(JsonTemplate::parse(value, problems)),
        }
    }

    pub(super) fn templates(&self) -> Vec<&Template> {
        let mut found = Vec::new();
        match self {
            Self::Record | Self::Nothing => {}
            Self::Text(template) => found.push(template),
            Self::Json(json) => json.templates(&mut found),
        }
        found
    }

    /// What it is, for a header that the settings do not give.
    pub(super) fn content_type(&self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Record | Self::Json(_) => Some("application/json"),
            Self::Text(_) => Some("text/plain; charset=utf-8"),
        }
    }

    /// The body of a record's request. In a text, values are written as its content type wants.
    pub(super) fn render(&self, values: &Values<'_>, content_type: &str) -> Result<String, String> {
        match self {
            Self::Nothing => Ok(String::new()),
            Self::Record => serde_json::to_string(values.fields).map_err(|e| e.to_string()),
            Self::Json(json) => Ok(json.render(values)?.to_string()),
            Self::Text(template) => template.render(values, escape_of(content_type)),
        }
    }
}

fn escape_of(content_type: &str) -> Escape {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/x-www-form-urlencoded" => Escape::Percent,
        json if json == "application/json" || json.ends_with("+json") => Escape::Json,
        _ => Escape::Plain,
    }
}
