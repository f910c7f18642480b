//! Text of others, made fit for a document: what no font can show is replaced, what is too long is cut.

use std::collections::BTreeSet;

use unicode_segmentation::UnicodeSegmentation;

use crate::fonts::FONTS;

/// What stands for a character that cannot be shown.
const REPLACEMENT: char = '\u{fffd}';
/// Where a line may break within a word.
const BREAK: char = '\u{200b}';
/// The most characters that are named of those that could not be shown.
const MOST_NAMED: usize = 12;

/// Makes texts fit, and keeps account of what could not be shown.
#[derive(Default)]
pub(crate) struct Cleaner {
    /// How many characters were replaced.
    pub(crate) replaced: u64,
    named: BTreeSet<char>,
}

impl Cleaner {
    /// The text on one line, with at most `most` characters as a reader counts them.
    pub(crate) fn clean(&mut self, text: &str, most: usize) -> String {
        // Nearly all cells.
        if text.len() <= most && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return text.to_owned();
        }
        let mut cleaned = String::with_capacity(text.len().min(4 * most));
        for (index, character) in text.graphemes(true).enumerate() {
            if index == most {
                // The last one gives way to the ellipsis.
                cleaned.truncate(cleaned.grapheme_indices(true).next_back().map_or(0, |(at, _)| at));
                cleaned.push('…');
                break;
            }
            self.add(character, &mut cleaned);
        }
        cleaned
    }

    /// Adds one character as a reader counts them, which may be several of Unicode's.
    fn add(&mut self, character: &str, cleaned: &mut String) {
        if character.chars().all(|c| c.is_whitespace()) {
            return cleaned.push(if character == "\u{a0}" { '\u{a0}' } else { ' ' });
        }
        let kept: String = character.chars().filter(|&c| !vanishes(c)).collect();
        if kept.is_empty() {
            return;
        }
        if !kept.chars().any(refused) && FONTS.show(&kept) {
            return cleaned.push_str(&kept);
        }
        // Marks that the letter's font lacks are lost, not the letter.
        let mut characters = kept.chars();
        let mut lost = characters.clone().next();
        if let Some(first) = characters.next().filter(|&c| !refused(c) && FONTS.show(c.encode_utf8(&mut [0; 4]))) {
            cleaned.push(first);
            lost = characters.next();
        }
        cleaned.push(REPLACEMENT);
        self.replaced += 1;
        if let Some(lost) = lost.filter(|_| self.named.len() < MOST_NAMED) {
            self.named.insert(lost);
        }
    }

    /// Some of the characters that were replaced, as in `U+1F680`.
    pub(crate) fn named(&self) -> Vec<String> {
        self.named.iter().map(|&c| format!("U+{:04X}", u32::from(c))).collect()
    }
}

/// Characters without a shape of their own that no font needs to have.
fn vanishes(c: char) -> bool {
    // Variation selectors, the byte order mark, joiners, marks of direction, and where a word may be divided.
    matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' | '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}')
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}')
}

/// Characters that are not shown even if a font has them: controls, what turns the direction of the text that follows,
/// and what means nothing outside of one font.
fn refused(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}' | '\u{fdd0}'..='\u{fdef}')
        || u32::from(c) & 0xfffe == 0xfffe
}

/// The width of a text in ems, regular.
pub(crate) fn width(text: &str) -> f64 {
    text.chars().map(|c| if c == BREAK { 0.0 } else { FONTS.width(c) }).sum()
}

/// The text, with places to break in every word that is wider than `most` ems.
pub(crate) fn breakable(text: String, most: f64) -> String {
    if width(&text) <= most {
        return text;
    }
    let mut broken = String::with_capacity(text.len() + 8);
    let mut run = 0.0;
    for character in text.graphemes(true) {
        let own = width(character);
        if run + own > most && run > 0.0 {
            broken.push(BREAK);
            run = 0.0;
        }
        broken.push_str(character);
        // A line breaks after these anyway, and beside each character of Chinese or Japanese.
        let ends = character.chars().all(|c| matches!(c, ' ' | '-') || c >= '\u{2e80}');
        run = if ends { 0.0 } else { run + own };
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(text: &str) -> (String, u64, Vec<String>) {
        let mut cleaner = Cleaner::default();
        let cleaned = cleaner.clean(text, 40);
        (cleaned, cleaner.replaced, cleaner.named())
    }

    #[test]
    fn scripts_of_the_fonts_stay_as_they_are() {
        for text in ["株式会社", "한국어", "שלום", "مرحبا", "Ελλάδα", "Москва", "Đồng", "e\u{301}", "\u{fffd}"]
        {
            assert_eq!(cleaned(text), (text.to_owned(), 0, vec![]));
        }
    }

    #[test]
    fn what_no_font_has_is_replaced_once_and_named() {
        assert_eq!(cleaned("a🚀b"), ("a\u{fffd}b".to_owned(), 1, vec!["U+1F680".to_owned()]));
        // A family of four is one character to a reader.
        assert_eq!(cleaned("👩‍👩‍👧‍👦"), ("\u{fffd}".to_owned(), 1, vec!["U+1F469".to_owned()]));
        assert_eq!(cleaned("株\u{301}"), ("株\u{fffd}".to_owned(), 1, vec!["U+0301".to_owned()]));
    }

    #[test]
    fn what_a_font_has_without_a_shape_is_replaced() {
        // Droid Sans Fallback has it, to fill a place.
        assert_eq!(cleaned("a\u{3164}b"), ("a\u{fffd}b".to_owned(), 1, vec!["U+3164".to_owned()]));
    }

    /// But for a few kana that are hardly ever used.
    #[test]
    fn whole_blocks_are_shown() {
        for block in [0x3041..0x3095, 0x30a1..0x30f7, 0x4e00..0x9fa6, 0xac00..0xd7a4] {
            let missing: Vec<char> = block.filter_map(char::from_u32).filter(|c| !FONTS.show(&c.to_string())).collect();
            assert!(missing.is_empty(), "{missing:?}");
        }
    }

    #[test]
    fn nothing_in_a_text_turns_or_breaks_its_line() {
        assert_eq!(cleaned("a\u{202e}b").0, "a\u{fffd}b");
        assert_eq!(cleaned("a\r\nb\tc\u{2028}d").0, "a b c d");
        assert_eq!(
            cleaned("a\u{0}b\u{7}"),
            ("a\u{fffd}b\u{fffd}".to_owned(), 2, vec!["U+0000".to_owned(), "U+0007".to_owned()])
        );
        assert_eq!(cleaned("a\u{feff}\u{200b}b"), ("ab".to_owned(), 0, vec![]));
    }

    #[test]
    fn a_text_is_cut_between_the_characters_of_a_reader() {
        assert_eq!(Cleaner::default().clean("abcdef", 6), "abcdef");
        assert_eq!(Cleaner::default().clean("abcdefg", 6), "abcde…");
        assert_eq!(Cleaner::default().clean("e\u{301}e\u{301}e\u{301}", 2), "e\u{301}…");
    }

    #[test]
    fn a_long_word_can_be_broken_and_a_long_line_need_not() {
        let word = breakable("x".repeat(100), 10.0);
        assert!(word.split(BREAK).all(|part| width(part) <= 10.0));
        assert_eq!(word.replace(BREAK, ""), "x".repeat(100));
        let line = "several words in a row ".repeat(5);
        assert_eq!(breakable(line.clone(), 10.0), line);
    }
}
