//! What the schema takes for the cells of each column, worked out once per column.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use jsonschema::{Draft, JsonType, JsonTypeSet, Registry, ValidationError, ValidationOptions, Validator};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::document::{Document, Place, both, fits};

/// The most columns that are remembered beside those that the schema names.
const MAX_REMEMBERED: usize = 4096;
/// What the document is called where other schemas refer to it.
const DOCUMENT: &str = "json-schema:///record";

/// What a reference has to encode in a JSON pointer.
const FRAGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/');

/// How all schemas are compiled.
pub(super) fn options<'a>() -> ValidationOptions<'a> {
    jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true)
}

/// What a column takes in one of the ways to satisfy the schema.
#[derive(Debug)]
pub(super) struct Way {
    /// The types that it takes. A column of which the schema names no type holds text.
    pub(super) types: JsonTypeSet,
    /// What it asks beside the type, if anything.
    validator: Option<Validator>,
    /// Whether the type alone decides: there is one, and the record's own validation says of its values what is wrong.
    alone: bool,
}

impl Way {
    /// Whether a value is the one to choose, as far as the column alone tells.
    pub(super) fn takes(&self, value: &Value) -> bool {
        if self.alone { fits(self.types, value) } else { self.allows(value) }
    }

    /// Whether a value satisfies the column's schemas.
    pub(super) fn allows(&self, value: &Value) -> bool {
        fits(self.types, value) && self.validator.as_ref().is_none_or(|validator| validator.is_valid(value))
    }
}

/// What a column takes.
#[derive(Debug)]
pub(super) struct Column {
    ways: Vec<Way>,
    /// The place among `ways` for each way to satisfy the schema.
    of: Vec<usize>,
    /// Whether it takes any text and nothing else.
    pub(super) any_text: bool,
}

impl Column {
    /// What it takes in one way to satisfy the schema, or in any.
    pub(super) fn ways(&self, only: Option<usize>) -> &[Way] {
        let one = only.and_then(|way| self.of.get(way)).and_then(|at| self.ways.get(*at..=*at));
        one.unwrap_or(&self.ways)
    }
}

/// What the schema takes for each column.
#[derive(Debug)]
pub(super) struct Columns {
    document: Document,
    ways: Vec<Vec<Place>>,
    patterns: HashMap<String, Validator>,
    named: HashMap<String, Arc<Column>>,
    /// Columns that patterns may match.
    remembered: RwLock<HashMap<String, Arc<Column>>>,
    other: Arc<Column>,
}

impl Columns {
    /// Works out what a schema takes.
    ///
    /// # Errors
    /// A pattern for names does not compile.
    pub(super) fn new(schema: Value) -> Result<Self, ValidationError<'static>> {
        let document = Document::new(schema);
        let ways = document.ways();
        let mut patterns = HashMap::new();
        for pattern in ways.iter().flat_map(|way| document.patterns(way)) {
            if !patterns.contains_key(pattern) {
                patterns.insert(pattern.to_owned(), options().build(&json!({ "pattern": pattern }))?);
            }
        }
        let other = Arc::new(Column { ways: Vec::new(), of: Vec::new(), any_text: true });
        let remembered = RwLock::default();
        let mut columns = Self { document, ways, patterns, named: HashMap::new(), remembered, other };
        let compiler = Compiler::new(columns.document.root());
        let names: HashSet<&str> = columns.ways.iter().flat_map(|way| columns.document.names(way)).collect();
        let named = names.into_iter().map(|name| (name.to_owned(), Arc::new(columns.plan(name, &compiler)))).collect();
        let mut unnamed = String::new();
        while columns.names_column(&unnamed) {
            unnamed.push('*');
        }
        let other = columns.plan(&unnamed, &compiler);
        drop(compiler);
        (columns.named, columns.other) = (named, Arc::new(other));
        Ok(columns)
    }

    /// In how many ways the schema can be satisfied.
    pub(super) fn alternatives(&self) -> usize {
        self.ways.len()
    }

    /// What a column takes.
    pub(super) fn of(&self, name: &str) -> Cow<'_, Arc<Column>> {
        if let Some(column) = self.named.get(name) {
            return Cow::Borrowed(column);
        }
        if self.patterns.is_empty() {
            return Cow::Borrowed(&self.other);
        }
        if let Some(column) = self.remembered.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Cow::Owned(Arc::clone(column));
        }
        let column = Arc::new(self.plan(name, &Compiler::new(self.document.root())));
        let mut remembered = self.remembered.write().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() < MAX_REMEMBERED {
            remembered.insert(name.to_owned(), Arc::clone(&column));
        }
        Cow::Owned(column)
    }

    fn names_column(&self, name: &str) -> bool {
        self.ways.iter().flat_map(|way| self.document.names(way)).any(|named| named == name)
    }

    fn plan(&self, name: &str, compiler: &Compiler<'_>) -> Column {
        let matches = |pattern: &str| {
            self.patterns.get(pattern).is_some_and(|validator| validator.is_valid(&Value::String(name.to_owned())))
        };
        let (mut distinct, mut of) = (Vec::<Vec<Place>>::new(), Vec::new());
        for way in &self.ways {
            let schemas = self.document.of_member(way, name, matches);
            of.push(distinct.iter().position(|known| *known == schemas).unwrap_or(distinct.len()));
            if of.last() == Some(&distinct.len()) {
                distinct.push(schemas);
            }
        }
        let several = distinct.len() > 1;
        let ways: Vec<Way> = distinct.iter().map(|schemas| self.way(schemas, several, compiler)).collect();
        let text = JsonTypeSet::from(JsonType::String);
        let any_text = ways.iter().all(|way| way.types == text && way.validator.is_none());
        Column { ways, of, any_text }
    }

    fn way(&self, schemas: &[Place], several: bool, compiler: &Compiler<'_>) -> Way {
        let types = schemas.iter().fold(None, |types, schema| both(types, self.document.types(schema)));
        let types = types.unwrap_or(JsonTypeSet::from(JsonType::String));
        let simple = schemas.iter().all(|schema| self.document.names_only_types(schema));
        let validator = (!simple).then(|| compiler.all_of(schemas)).flatten();
        Way { types, validator, alone: !several && types.len() == 1 }
    }
}

/// Compiles parts of a document.
struct Compiler<'a>(Option<Registry<'a>>);

impl<'a> Compiler<'a> {
    fn new(document: &'a Value) -> Self {
        let resource = Draft::Draft202012.create_resource_ref(document);
        let registry = Registry::new().draft(Draft::Draft202012).add(DOCUMENT, resource);
        Self(registry.and_then(|registry| registry.prepare()).ok())
    }

    /// A validator of what satisfies all of these schemas. `None` if they cannot be compiled apart from the whole; then
    /// the types alone decide.
    fn all_of(&self, schemas: &[Place]) -> Option<Validator> {
        let refer = |place: &Place| json!({ "$ref": format!("{DOCUMENT}#{}", utf8_percent_encode(place, FRAGMENT)) });
        let all: Vec<Value> = schemas.iter().map(refer).collect();
        options().with_registry(self.0.as_ref()?).build(&json!({ "allOf": all })).ok()
    }
}
