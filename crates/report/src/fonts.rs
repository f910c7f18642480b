//! The fonts that documents are set in. They are embedded; no font of the system is used.

use std::sync::LazyLock;

use typst::foundations::Bytes;
use typst::layout::Abs;
use typst::text::{Font, FontBook, FontInstance, FontVariations};
use typst::utils::LazyHash;

const FILES: [&[u8]; 8] = [
    include_bytes!("../fonts/NotoSans-Regular.ttf"),
    include_bytes!("../fonts/NotoSans-Bold.ttf"),
    include_bytes!("../fonts/NotoSansHebrew-Regular.ttf"),
    include_bytes!("../fonts/NotoSansHebrew-Bold.ttf"),
    include_bytes!("../fonts/NotoSansArabic-Regular.ttf"),
    include_bytes!("../fonts/NotoSansArabic-Bold.ttf"),
    include_bytes!("../fonts/NanumGothicCoding.ttf"),
    include_bytes!("../fonts/DroidSansFallbackFull.ttf"),
];

/// The families, in the order in which a character is looked for.
pub(crate) const FAMILIES: [&str; 5] =
    ["Noto Sans", "Noto Sans Hebrew", "Noto Sans Arabic", "NanumGothicCoding", "Droid Sans Fallback"];

/// All fonts, as typst looks them up.
pub(crate) struct Fonts {
    pub(crate) book: LazyHash<FontBook>,
    pub(crate) fonts: Vec<Font>,
    /// The same fonts, to measure with.
    instances: Vec<FontInstance>,
    /// For each family, in their order, its fonts.
    families: Vec<Vec<usize>>,
}

pub(crate) static FONTS: LazyLock<Fonts> = LazyLock::new(|| {
    let fonts: Vec<Font> = FILES.iter().flat_map(|file| Font::iter(Bytes::new(*file))).collect();
    let of = |family: &str| (0..fonts.len()).filter(|&index| fonts[index].info().family == family).collect();
    let families = FAMILIES.map(of).into();
    let book = LazyHash::new(FontBook::from_fonts(&fonts));
    let measured =
        |font: &Font| font.clone().instantiate(font.info().variant, Abs::pt(10.0), &FontVariations::default());
    let instances: Vec<_> = fonts.iter().map(measured).collect();
    Fonts { book, fonts, instances, families }
});

impl Fonts {
    /// Whether these characters are seen: the first family that has all of them has shapes for them, in each weight. That
    /// is the family which typst takes. Some fonts have empty shapes for characters that they do not really have.
    pub(crate) fn show(&self, text: &str) -> bool {
        let has = |index: usize| text.chars().all(|c| self.fonts[index].info().coverage.contains(u32::from(c)));
        let draws = |index: usize| {
            let face = self.instances[index].ttf();
            text.chars().all(|c| {
                c.is_whitespace() || face.glyph_index(c).is_some_and(|glyph| face.glyph_bounding_box(glyph).is_some())
            })
        };
        let family = self.families.iter().find(|family| family.iter().any(|&index| has(index)));
        family.is_some_and(|family| family.iter().all(|&index| has(index) && draws(index)))
    }

    /// The width of a character in ems, regular.
    pub(crate) fn width(&self, c: char) -> f64 {
        let advance = |font: &FontInstance| font.ttf().glyph_index(c).and_then(|glyph| font.x_advance(glyph.0));
        self.instances.iter().find_map(advance).map_or(1.0, |em| em.get())
    }
}
