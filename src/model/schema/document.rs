//! What a schema document says without a value at hand: which types a schema takes, and which schemas a member of
//! a record has to satisfy. An answer may be too wide, where only the validator knows better; it is never too narrow.

use std::collections::HashMap;

use jsonschema::{JsonType, JsonTypeSet};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::model::decimal::Decimal;

/// The most ways to satisfy a schema that are told apart.
pub(super) const MAX_WAYS: usize = 64;
/// The most schemas that one question looks at: references may fan out without end.
const MAX_STEPS: usize = 10_000;

/// The keywords by which a schema speaks of members.
const OF_MEMBERS: [&str; 4] = ["properties", "patternProperties", "additionalProperties", "unevaluatedProperties"];

/// Where in the document a schema is: a JSON pointer.
pub(super) type Place = String;

/// A schema document.
#[derive(Debug)]
pub(super) struct Document {
    root: Value,
    /// The places of the anchors; `None` if two schemas bear the name.
    anchors: HashMap<String, Option<Place>>,
    /// Whether it has other documents within, so that a reference may mean a place in one of them.
    compound: bool,
}

/// The schemas on the way to the present one, and how many may still be looked at.
struct Walk {
    above: Vec<Place>,
    steps: usize,
}

impl Walk {
    fn new() -> Self {
        Self { above: Vec::new(), steps: MAX_STEPS }
    }

    /// Enters a schema, unless it is entered already: references may form a circle.
    fn enter(&mut self, place: &str) -> bool {
        let may = self.steps > 0 && !self.above.iter().any(|above| above == place);
        if may {
            self.steps -= 1;
            self.above.push(place.to_owned());
        }
        may
    }

    fn leave(&mut self) {
        self.above.pop();
    }
}

impl Document {
    pub(super) fn new(root: Value) -> Self {
        let mut document = Self { root: Value::Null, anchors: HashMap::new(), compound: false };
        document.survey(&root, "");
        document.root = root;
        document
    }

    pub(super) fn root(&self) -> &Value {
        &self.root
    }

    fn survey(&mut self, value: &Value, place: &str) {
        match value {
            Value::Object(members) => {
                let named = |keyword: &str| members.get(keyword).and_then(Value::as_str);
                self.compound |= !place.is_empty() && named("$id").is_some();
                for name in ["$anchor", "$dynamicAnchor"].into_iter().filter_map(named) {
                    let at = self.anchors.entry(name.to_owned()).or_insert_with(|| Some(place.to_owned()));
                    if at.as_deref() != Some(place) {
                        *at = None;
                    }
                }
                members.iter().for_each(|(name, value)| self.survey(value, &child(place, name)));
            }
            Value::Array(elements) => {
                elements.iter().enumerate().for_each(|(n, value)| self.survey(value, &format!("{place}/{n}")));
            }
            _ => {}
        }
    }

    pub(super) fn at(&self, place: &str) -> Option<&Value> {
        self.root.pointer(place)
    }

    fn object(&self, place: &str) -> Option<&Map<String, Value>> {
        self.at(place)?.as_object()
    }

    /// The place that a reference means, if it is one of this document.
    fn resolve(&self, reference: &Value) -> Option<Place> {
        let reference = reference.as_str().filter(|_| !self.compound)?;
        let own = self.root.get("$id").and_then(Value::as_str).unwrap_or("").trim_end_matches('#');
        let (document, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        if !document.is_empty() && document != own {
            return None;
        }
        let fragment = percent_decode_str(fragment).decode_utf8().ok()?;
        if fragment.is_empty() || fragment.starts_with('/') {
            return self.at(&fragment).map(|_| fragment.into_owned());
        }
        self.anchors.get(fragment.as_ref()).cloned().flatten()
    }

    /// The places of the schemas in a keyword's array.
    fn branches(place: &str, keyword: &str, value: &Value) -> Vec<Place> {
        let count = value.as_array().map_or(0, Vec::len);
        (0..count).map(|n| format!("{place}/{keyword}/{n}")).collect()
    }

    /// The types that a schema takes; `None` if it names none.
    pub(super) fn types(&self, place: &str) -> Option<JsonTypeSet> {
        self.types_within(place, &mut Walk::new())
    }

    fn types_within(&self, place: &str, walk: &mut Walk) -> Option<JsonTypeSet> {
        let Some(schema) = self.object(place) else {
            return (self.at(place) == Some(&Value::Bool(false))).then(JsonTypeSet::empty);
        };
        if !walk.enter(place) {
            return None;
        }
        let mut types = None;
        for (keyword, value) in schema {
            let mut of = |place: Place| self.types_within(&place, walk);
            let named = match keyword.as_str() {
                "type" => Some(named_types(value)),
                "const" => Some(types_of(value)),
                "enum" => either(value.as_array().into_iter().flatten().map(|value| Some(types_of(value)))),
                "$ref" => self.resolve(value).and_then(of),
                "allOf" => Self::branches(place, keyword, value).into_iter().fold(None, |all, one| both(all, of(one))),
                "anyOf" | "oneOf" => either(Self::branches(place, keyword, value).into_iter().map(of)),
                "if" => either(["then", "else"].map(|branch| of(child(place, branch)))),
                _ => continue,
            };
            types = both(types, named);
        }
        walk.leave();
        types
    }

    /// Whether a schema says nothing of a value but its type.
    pub(super) fn names_only_types(&self, place: &str) -> bool {
        const MEANINGLESS: [&str; 8] =
            ["type", "title", "description", "default", "examples", "deprecated", "readOnly", "$comment"];
        self.object(place).is_some_and(|schema| schema.keys().all(|keyword| MEANINGLESS.contains(&keyword.as_str())))
    }

    /// The ways to satisfy the document: for each, the schemas that then speak of members.
    pub(super) fn ways(&self) -> Vec<Vec<Place>> {
        self.ways_within("", &mut Walk::new())
    }

    fn ways_within(&self, place: &str, walk: &mut Walk) -> Vec<Vec<Place>> {
        let Some(schema) = self.object(place) else { return vec![Vec::new()] };
        if !walk.enter(place) {
            return vec![Vec::new()];
        }
        let own = OF_MEMBERS.iter().any(|keyword| schema.contains_key(*keyword));
        let mut ways = vec![own.then(|| place.to_owned()).into_iter().collect()];
        for (keyword, value) in schema {
            for choice in self.choices(place, keyword, value, walk) {
                ways = product(&ways, &choice);
            }
        }
        walk.leave();
        ways
    }

    /// The choices that a keyword leaves: one way of each has to be taken.
    fn choices(&self, place: &str, keyword: &str, value: &Value, walk: &mut Walk) -> Vec<Vec<Vec<Place>>> {
        let mut of = |place: &str| self.ways_within(place, walk);
        match keyword {
            "$ref" => self.resolve(value).map(|place| of(&place)).into_iter().collect(),
            "allOf" => Self::branches(place, keyword, value).iter().map(|branch| of(branch)).collect(),
            "anyOf" | "oneOf" => {
                vec![Self::branches(place, keyword, value).iter().flat_map(|branch| of(branch)).collect()]
            }
            "if" => {
                let (condition, then) = (of(&child(place, "if")), of(&child(place, "then")));
                vec![[product(&condition, &then), of(&child(place, "else"))].concat()]
            }
            "dependentSchemas" => {
                let names = value.as_object().into_iter().flat_map(Map::keys);
                let schemas = child(place, keyword);
                names.map(|name| [vec![Vec::new()], of(&child(&schemas, name))].concat()).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The patterns for names of members in some schemas.
    pub(super) fn patterns<'a>(&'a self, schemas: &'a [Place]) -> impl Iterator<Item = &'a str> {
        let objects = schemas.iter().filter_map(|place| self.object(place)?.get("patternProperties")?.as_object());
        objects.flat_map(Map::keys).map(String::as_str)
    }

    /// The names of members in some schemas.
    pub(super) fn names<'a>(&'a self, schemas: &'a [Place]) -> impl Iterator<Item = &'a str> {
        let objects = schemas.iter().filter_map(|place| self.object(place)?.get("properties")?.as_object());
        objects.flat_map(Map::keys).map(String::as_str)
    }

    /// The schemas that a member has to satisfy if the record satisfies these; `matches` tells whether a pattern
    /// matches its name.
    pub(super) fn of_member(&self, schemas: &[Place], name: &str, matches: impl Fn(&str) -> bool) -> Vec<Place> {
        let mut found = Vec::new();
        for place in schemas {
            let before = found.len();
            let members = |keyword| self.object(place)?.get(keyword)?.as_object();
            if members("properties").is_some_and(|named| named.contains_key(name)) {
                found.push(child(&child(place, "properties"), name));
            }
            let patterns = members("patternProperties").into_iter().flat_map(Map::keys);
            let patterns = patterns.filter(|pattern| matches(pattern));
            found.extend(patterns.map(|pattern| child(&child(place, "patternProperties"), pattern)));
            if found.len() == before {
                found.extend(self.inner(place, "additionalProperties"));
            }
        }
        if found.is_empty() {
            found.extend(schemas.iter().find_map(|place| self.inner(place, "unevaluatedProperties")));
        }
        found
    }

    fn inner(&self, place: &str, keyword: &str) -> Option<Place> {
        self.object(place)?.get(keyword).map(|_| child(place, keyword))
    }
}

fn child(place: &str, name: &str) -> Place {
    format!("{place}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// Every way of the one together with every way of the other.
fn product(ways: &[Vec<Place>], others: &[Vec<Place>]) -> Vec<Vec<Place>> {
    let mut all: Vec<Vec<Place>> = Vec::new();
    for (way, other) in ways.iter().flat_map(|way| others.iter().map(move |other| (way, other))) {
        let both = [way.as_slice(), other].concat();
        if all.len() < MAX_WAYS && !all.contains(&both) {
            all.push(both);
        }
    }
    all
}

fn union(types: impl IntoIterator<Item = JsonTypeSet>) -> JsonTypeSet {
    types.into_iter().fold(JsonTypeSet::empty(), JsonTypeSet::union)
}

/// The types that satisfy one of several schemas.
fn either(types: impl IntoIterator<Item = Option<JsonTypeSet>>) -> Option<JsonTypeSet> {
    types.into_iter().collect::<Option<Vec<_>>>().map(union)
}

/// The types that satisfy two schemas.
pub(super) fn both(one: Option<JsonTypeSet>, other: Option<JsonTypeSet>) -> Option<JsonTypeSet> {
    one.map_or(other, |one| Some(other.map_or(one, |other| one.intersect(other))))
}

/// The types that `type` names; every whole number is a number.
fn named_types(value: &Value) -> JsonTypeSet {
    let one = |name: &Value| match name.as_str() {
        Some("string") => JsonTypeSet::from(JsonType::String),
        Some("number") => NUMBERS,
        Some("integer") => JsonTypeSet::from(JsonType::Integer),
        Some("boolean") => JsonTypeSet::from(JsonType::Boolean),
        Some("array") => JsonTypeSet::from(JsonType::Array),
        Some("object") => JsonTypeSet::from(JsonType::Object),
        Some("null") => JsonTypeSet::from(JsonType::Null),
        _ => JsonTypeSet::empty(),
    };
    value.as_array().map_or_else(|| one(value), |names| union(names.iter().map(one)))
}

/// Numbers, whole or not.
pub(super) const NUMBERS: JsonTypeSet = JsonTypeSet::empty().insert(JsonType::Number).insert(JsonType::Integer);

/// Whether the type of a value is one of these.
pub(super) fn fits(types: JsonTypeSet, value: &Value) -> bool {
    value.is_number() && types.contains(JsonType::Number) || types.contains(type_of(value))
}

fn type_of(value: &Value) -> JsonType {
    match value {
        Value::Null => JsonType::Null,
        Value::Bool(_) => JsonType::Boolean,
        Value::String(_) => JsonType::String,
        Value::Array(_) => JsonType::Array,
        Value::Object(_) => JsonType::Object,
        Value::Number(number) if is_whole(number.as_str()) => JsonType::Integer,
        Value::Number(_) => JsonType::Number,
    }
}

fn is_whole(number: &str) -> bool {
    !number.contains(['.', 'e', 'E']) || Decimal::parse(number).is_some_and(|decimal| decimal.is_whole())
}

/// The types of a schema that takes only this value.
fn types_of(value: &Value) -> JsonTypeSet {
    match type_of(value) {
        JsonType::Number => NUMBERS,
        other => JsonTypeSet::from(other),
    }
}
