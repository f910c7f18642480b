//! A document as a reader of its tags has it.

use std::collections::BTreeMap;

use hayro_interpret::font::Glyph;
use hayro_interpret::hayro_cmap::BfString;
use hayro_interpret::hayro_syntax::Pdf;
use hayro_interpret::hayro_syntax::object::{Array, Dict, Name, ObjRef, Object, ObjectIdentifier, String as Text};
use hayro_interpret::{
    BlendMode, ClipPath, Context, Device, GlyphDrawMode, Image, InterpreterCache, InterpreterSettings, Paint,
    PathDrawMode, SoftMask, interpret_page,
};
use kurbo::{Affine, BezPath, Rect};

/// What a document says of itself, and its tags in the order in which they are read.
pub struct Document {
    pub pages: usize,
    pub lang: Option<String>,
    /// The title in the window of a viewer, if the document asks for that.
    pub title: Option<String>,
    pub marked: bool,
    /// Its metadata, as XML.
    pub metadata: String,
    pub tags: Vec<Tag>,
    /// The addresses that it links to.
    pub links: Vec<String>,
    /// All text of the pages, what is no content of the document (as their numbers) included.
    pub drawn: Vec<String>,
}

#[derive(Debug, Default)]
pub struct Tag {
    /// As in `TH`.
    pub name: String,
    /// That of the cell of a head, as in `Column`.
    pub scope: Option<String>,
    /// What it shows, in words.
    pub alt: Option<String>,
    /// The text within it, that of the tags within included.
    pub text: String,
}

impl Document {
    pub fn read(pdf: &[u8]) -> Self {
        let pdf = Pdf::new(pdf.to_vec()).expect("a PDF");
        let catalog: Dict = pdf.xref().get(pdf.xref().root_id()).expect("a catalog");
        let tree: Dict = catalog.get("StructTreeRoot").expect("tags");
        let (texts, drawn) = texts(&pdf);
        let mut tags = Vec::new();
        walk(&tree, None, &texts, &mut tags);
        let preferences: Option<Dict> = catalog.get("ViewerPreferences");
        let shows_title = preferences.and_then(|found| found.get("DisplayDocTitle")).unwrap_or(false);
        let metadata: hayro_interpret::hayro_syntax::object::Stream = catalog.get("Metadata").expect("metadata");
        let title = pdf.metadata().title.as_ref().filter(|_| shows_title);
        Self {
            pages: pdf.pages().len(),
            lang: catalog.get::<Text>("Lang").map(|text| unicode(text.as_bytes())),
            title: title.map(|title| unicode(title)),
            marked: catalog.get::<Dict>("MarkInfo").and_then(|found| found.get("Marked")).unwrap_or(false),
            metadata: String::from_utf8(metadata.decoded().unwrap().into_owned()).unwrap(),
            tags,
            links: links(&pdf),
            drawn,
        }
    }

    /// The texts of all tags of this name.
    pub fn texts(&self, name: &str) -> Vec<&str> {
        self.tags.iter().filter(|tag| tag.name == name).map(|tag| tag.text.trim()).collect()
    }

    /// The text of the document in the order in which it is read.
    pub fn text(&self) -> &str {
        self.tags.first().map_or("", |tag| &tag.text)
    }
}

/// Text of an object: UTF-16 if it says so.
fn unicode(bytes: &[u8]) -> String {
    match bytes.strip_prefix(&[0xfe, 0xff]) {
        Some(rest) => {
            let units: Vec<u16> = rest.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            String::from_utf16(&units).expect("UTF-16")
        }
        None => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn links(pdf: &Pdf) -> Vec<String> {
    let mut found = Vec::new();
    for page in pdf.pages().iter() {
        let annotations: Option<Array> = page.raw().get("Annots");
        for annotation in annotations.iter().flat_map(|array| array.iter::<Dict>()) {
            let action: Option<Dict> = annotation.get("A");
            let address = action.and_then(|action| action.get::<Text>("URI"));
            found.extend(address.map(|text| unicode(text.as_bytes())));
        }
    }
    found
}

/// The text of every piece of marked content, by its page and its number on that.
type Texts = BTreeMap<(ObjectIdentifier, i32), String>;

fn texts(pdf: &Pdf) -> (Texts, Vec<String>) {
    let cache = InterpreterCache::new();
    let (mut all, mut drawn) = (Texts::new(), Vec::new());
    for page in pdf.pages().iter() {
        let mut pen = Pen::default();
        let bounds = Rect::new(0.0, 0.0, 1.0, 1.0);
        let mut context = Context::new(Affine::IDENTITY, bounds, &cache, pdf.xref(), InterpreterSettings::default());
        interpret_page(page, &mut context, &mut pen);
        let id = page.raw().obj_id().expect("a page is an object");
        all.extend(pen.texts.into_iter().map(|(number, text)| ((id, number), text)));
        drawn.push(pen.drawn);
    }
    (all, drawn)
}

/// Reads an element of the tree and what is within it; returns the text.
fn walk(element: &Dict, page: Option<ObjectIdentifier>, texts: &Texts, tags: &mut Vec<Tag>) -> String {
    let page = element.get_ref("Pg").map(identifier).or(page);
    let at = element.get::<Name>("S").map(|name| {
        tags.push(Tag {
            name: name.as_str().to_owned(),
            scope: attributes(element).iter().find_map(|found| Some(found.get::<Name>("Scope")?.as_str().to_owned())),
            alt: element.get::<Text>("Alt").map(|text| unicode(text.as_bytes())),
            text: String::new(),
        });
        tags.len() - 1
    });
    let kids: Vec<Object> = match element.get::<Object>("K") {
        Some(Object::Array(array)) => array.iter::<Object>().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    };
    let mut text = String::new();
    for kid in kids {
        match kid {
            Object::Number(number) => text.push_str(part(texts, page, number.as_f64() as i32)),
            Object::Dict(dict) => match dict.get::<i32>("MCID") {
                Some(number) => text.push_str(part(texts, dict.get_ref("Pg").map(identifier).or(page), number)),
                None => text.push_str(&walk(&dict, page, texts, tags)),
            },
            _ => {}
        }
    }
    if let Some(at) = at {
        // Between cells and paragraphs a reader pauses.
        if matches!(
            tags[at].name.as_str(),
            "P" | "TH" | "TD" | "TR" | "Title" | "H1" | "H2" | "H3" | "Caption" | "Figure" | "Link"
        ) {
            text.push(' ');
        }
        tags[at].text.clone_from(&text);
    }
    text
}

fn part(texts: &Texts, page: Option<ObjectIdentifier>, number: i32) -> &str {
    page.and_then(|page| texts.get(&(page, number))).map_or("", String::as_str)
}

fn identifier(reference: ObjRef) -> ObjectIdentifier {
    ObjectIdentifier::new(reference.obj_number, reference.gen_number)
}

fn attributes<'a>(element: &Dict<'a>) -> Vec<Dict<'a>> {
    match element.get::<Object>("A") {
        Some(Object::Array(array)) => array.iter::<Dict>().collect(),
        Some(Object::Dict(dict)) => vec![dict],
        _ => Vec::new(),
    }
}

/// Writes down what is drawn.
#[derive(Default)]
struct Pen {
    within: Vec<Option<i32>>,
    texts: BTreeMap<i32, String>,
    drawn: String,
}

impl Device<'_> for Pen {
    fn draw_glyph(&mut self, glyph: &Glyph<'_>, _: Affine, _: Affine, _: &Paint<'_>, _: &GlyphDrawMode) {
        let text = match glyph.as_unicode() {
            Some(BfString::Char(c)) => c.to_string(),
            Some(BfString::String(text)) => text,
            None => "\u{0}".to_owned(),
        };
        self.drawn.push_str(&text);
        if let Some(number) = self.within.iter().rev().find_map(|&number| number) {
            self.texts.entry(number).or_default().push_str(&text);
        }
    }

    fn begin_marked_content(&mut self, _: &[u8], number: Option<i32>) {
        self.within.push(number);
    }

    fn end_marked_content(&mut self) {
        self.within.pop();
    }

    fn set_soft_mask(&mut self, _: Option<SoftMask<'_>>) {}
    fn set_blend_mode(&mut self, _: BlendMode) {}
    fn draw_path(&mut self, _: &BezPath, _: Affine, _: &Paint<'_>, _: &PathDrawMode) {}
    fn push_clip_path(&mut self, _: &ClipPath) {}
    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'_>>, _: BlendMode) {}
    fn draw_image(&mut self, _: Image<'_, '_>, _: Affine) {}
    fn pop_clip_path(&mut self) {}
    fn pop_transparency_group(&mut self) {}
}
