//! The body of an http block: method and path, header lines, an empty line, the body.

use std::ops::Range;

use crate::block::Block;
use crate::diagnostic::Diagnostic;
use crate::draft::{Handing, ValueUse};
use crate::step::HttpRequest;
use crate::template::{self, TemplateSink};
use crate::text::SourceText;
use crate::value::{TextPiece, TextTemplate};

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Most header lines of one request.
const HEADERS_MAX: usize = 64;

/// Reads the request of an http block.
pub(crate) fn read(
    page: &SourceText<'_>,
    block: &Block<'_>,
    uses: &mut Vec<ValueUse>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<HttpRequest> {
    let mut lines = page.lines(block.content..block.body.end);
    let request = lines.next()?;
    let malformed = |range: Range<usize>, message: String, help: &str| {
        Diagnostic::error("http-malformed", page.span(range), message, help)
    };
    let mut words = request.text.split_whitespace();
    let (method, path) = match (words.next(), words.next(), words.next()) {
        (Some(method), Some(path), None) if METHODS.contains(&method) && path.starts_with('/') => {
            (method, path)
        }
        _ => {
            diagnostics.push(malformed(
                request.range.clone(),
                format!("{:?} is no request line", request.text),
                "write a method and a path such as `GET /health`; the address is the store's",
            ));
            return None;
        }
    };
    let path_start = request.range.start + request.text.find(path).unwrap_or(0);
    let mut sink = TemplateSink { uses, diagnostics };
    let path = in_page(page, path_start..path_start + path.len(), Handing::InPath, &mut sink);
    let mut headers: Vec<(String, TextTemplate)> = Vec::new();
    let mut body_range = None;
    for line in lines.by_ref() {
        if line.text.trim().is_empty() {
            body_range = Some(line.next..block.body.end);
            break;
        }
        let Some((name, value)) = line.text.split_once(':').filter(|(name, _)| is_header_name(name)) else {
            sink.diagnostics.push(malformed(
                line.range.clone(),
                format!("{:?} is no header line", line.text),
                "write `Name: value`, and an empty line before the body",
            ));
            continue;
        };
        if headers.len() == HEADERS_MAX {
            sink.diagnostics.push(malformed(
                line.range.clone(),
                format!("more than {HEADERS_MAX} header lines"),
                "remove some",
            ));
            break;
        }
        let lead = value.len() - value.trim_start().len();
        let start = line.range.start + name.len() + 1 + lead;
        let value = in_page(page, start..start + value.trim().len(), Handing::InText, &mut sink);
        headers.push((name.to_owned(), value));
    }
    let body = body_range
        .map(|range| range.start.min(range.end)..range.end)
        .map(|range| range.start..range.start + page.slice(range).trim_end().len())
        .filter(|range| !range.is_empty())
        .map(|range| in_page(page, range, Handing::InText, &mut sink));
    Some(HttpRequest { method: method.to_owned(), path, headers, body })
}

fn is_header_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// A template that stands in the page as it is, with line ends made `\n`.
pub(crate) fn in_page(
    page: &SourceText<'_>,
    range: Range<usize>,
    handing: Handing,
    sink: &mut TemplateSink<'_>,
) -> TextTemplate {
    let start = range.start;
    let span = |part: Range<usize>| page.span(start + part.start..start + part.end);
    let mut template = template::parse(page.slice(range), span, handing, sink);
    for piece in &mut template.pieces {
        if let TextPiece::Text(text) = piece
            && text.contains('\r')
        {
            *text = text.replace("\r\n", "\n");
        }
    }
    template
}
