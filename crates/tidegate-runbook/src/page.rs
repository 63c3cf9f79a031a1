//! Bytes become a text, or a finding that says why not.

use crate::diagnostic::Diagnostic;
use crate::source::{SourcePath, Span};

/// Largest page, in bytes. A page is for a person to read; 2,000 steps take about half a megabyte.
pub(crate) const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Largest `@file`, in bytes.
pub(crate) const FILE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most findings of one kind of character that are listed one by one.
const CHARACTERS_LISTED_MAX: usize = 20;

/// The codes under which the two kinds of source report the same faults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Codes {
    what: &'static str,
    empty: &'static str,
    too_large: &'static str,
    not_utf8: &'static str,
    bytes_max: usize,
}

/// For the page itself.
pub(crate) const PAGE: Codes = Codes {
    what: "the page",
    empty: "page-empty",
    too_large: "page-too-large",
    not_utf8: "page-not-utf8",
    bytes_max: PAGE_BYTES_MAX,
};

/// For a file that a step names with `@file`.
pub(crate) const FILE: Codes = Codes {
    what: "the file",
    empty: "file-empty",
    too_large: "file-too-large",
    not_utf8: "file-not-utf8",
    bytes_max: FILE_BYTES_MAX,
};

/// Decodes `bytes`, or says why not. `place` is where a fault of the whole text is shown; `None` is the text itself.
///
/// A byte order mark is cut off; every span counts from after it.
pub(crate) fn decode<'a>(
    path: &SourcePath,
    bytes: &'a [u8],
    codes: Codes,
    place: Option<&Span>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<&'a str> {
    let whole = || place.cloned().unwrap_or_else(|| Span { path: path.clone(), range: 0..0 });
    if bytes.len() > codes.bytes_max {
        diagnostics.push(Diagnostic::error(
            codes.too_large,
            whole(),
            format!("{} has {} bytes; at most {} are read", codes.what, bytes.len(), codes.bytes_max),
            "split it, or check that this is the right file",
        ));
        return None;
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let utf16 = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
            let at = error.valid_up_to();
            diagnostics.push(Diagnostic::error(
                codes.not_utf8,
                whole(),
                format!("{} is not UTF-8: byte {at} cannot be read", codes.what),
                if utf16 { "it looks like UTF-16; save it as UTF-8" } else { "save it as UTF-8" },
            ));
            return None;
        }
    };
    if text.trim().is_empty() {
        diagnostics.push(Diagnostic::error(
            codes.empty,
            whole(),
            format!("{} is empty", codes.what),
            "check that this is the right file, and that writing it did not fail",
        ));
        return None;
    }
    report_characters(path, text, diagnostics);
    Some(text)
}

/// Characters that make a person and a program read different pages.
fn report_characters(path: &SourcePath, text: &str, diagnostics: &mut Vec<Diagnostic>) {
    let mut listed = 0_usize;
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let (code, what) = match character {
            '\r' if characters.peek().is_none_or(|(_, next)| *next != '\n') => {
                ("lone-carriage-return", "a carriage return without a line feed")
            }
            '\0' => ("hidden-character", "a NUL character"),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                ("hidden-character", "a character that reorders the text on the screen")
            }
            '\u{200b}' | '\u{2060}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}' => {
                ("hidden-character", "a character without width")
            }
            '\u{0b}' | '\u{0c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                ("hidden-character", "a line break that only some programs see")
            }
            _ => continue,
        };
        listed += 1;
        if listed > CHARACTERS_LISTED_MAX {
            return;
        }
        diagnostics.push(Diagnostic::error(
            code,
            Span { path: path.clone(), range: at..at + character.len_utf8() },
            format!("{what} (U+{:04X})", u32::from(character)),
            "remove it: what a person reviews and what is run must be the same text",
        ));
    }
}
