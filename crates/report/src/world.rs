//! All that a template can reach: itself, the data as `sys.inputs.data`, and the embedded fonts.

use std::sync::LazyLock;

use serde_json::Value as Json;
use typst::diag::{FileError, FileResult};
use typst::foundations::{Bytes, Datetime, Dict, Duration, Value};
use typst::syntax::{FileId, RootedPath, Source, VirtualPath, VirtualRoot};
use typst::text::{Font, FontBook, FontFamily, FontList, TextElem};
use typst::utils::LazyHash;
use typst::{Library, LibraryExt, World};

use crate::fonts::{FAMILIES, FONTS};

static TEMPLATE: LazyLock<FileId> = LazyLock::new(|| {
    RootedPath::new(VirtualRoot::Project, VirtualPath::new("template.typ").expect("a name is a path")).intern()
});

/// The world of one document.
pub(crate) struct Desk {
    library: LazyHash<Library>,
    template: Source,
    now: Datetime,
}

impl Desk {
    /// `now` is what the template takes for today.
    pub(crate) fn new(template: String, data: Json, now: Datetime) -> Self {
        let inputs = Dict::from_iter([("data".into(), value(data))]);
        let mut library = Library::builder().with_inputs(inputs).build();
        // Where typst finds no font for a piece of text, it leaves that out without a word. It begins with a family that
        // is not here; so templates that name none begin with ours.
        library.styles.set(TextElem::font, FontList(FAMILIES.map(FontFamily::new).into()));
        Self { library: LazyHash::new(library), template: Source::new(*TEMPLATE, template), now }
    }

    pub(crate) fn template(&self) -> &Source {
        &self.template
    }
}

/// The same value, as a template has it. Not by way of typst's own reader of JSON: that takes numbers for dictionaries where
/// `serde_json` keeps their digits, as it does all over fanfold.
fn value(json: Json) -> Value {
    match json {
        Json::Null => Value::None,
        Json::Bool(truth) => Value::Bool(truth),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => Value::Int(integer),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::Str(text.into()),
        Json::Array(values) => Value::Array(values.into_iter().map(value).collect()),
        Json::Object(members) => {
            Value::Dict(members.into_iter().map(|(name, member)| (name.into(), value(member))).collect())
        }
    }
}

fn barred(id: FileId) -> FileError {
    let what = match id.root() {
        VirtualRoot::Project => "a template can read no files; its data is in sys.inputs.data",
        VirtualRoot::Package(_) => "a template can use no packages; put what it needs into the template itself",
    };
    FileError::Other(Some(what.into()))
}

impl World for Desk {
    fn library(&self) -> &LazyHash<Library> {
        &self.library
    }

    fn book(&self) -> &LazyHash<FontBook> {
        &FONTS.book
    }

    fn main(&self) -> FileId {
        *TEMPLATE
    }

    fn source(&self, id: FileId) -> FileResult<Source> {
        if id == *TEMPLATE { Ok(self.template.clone()) } else { Err(barred(id)) }
    }

    fn file(&self, id: FileId) -> FileResult<Bytes> {
        Err(barred(id))
    }

    fn font(&self, index: usize) -> Option<Font> {
        FONTS.fonts.get(index).cloned()
    }

    /// The instant of the data, so that a template makes the same document at any time.
    fn today(&self, _: Option<Duration>) -> Option<Datetime> {
        Some(self.now)
    }
}
