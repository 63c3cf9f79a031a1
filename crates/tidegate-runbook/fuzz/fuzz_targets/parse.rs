//! Whatever the bytes, the parser answers.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use tidegate_runbook::{FileContent, Severity, SourcePath, Sources, files_wanted, parse};

fuzz_target!(|bytes: &[u8]| {
    // The first three quarters are the page; the rest stands in for every file that it names.
    let (page, file) = bytes.split_at(bytes.len() - bytes.len() / 4);
    let path = SourcePath("folder/page.md".to_owned());
    let files: BTreeMap<_, _> = files_wanted(&path, page)
        .into_iter()
        .map(|wanted| (wanted, FileContent::Bytes(file.to_vec())))
        .collect();
    let sources = Sources { page: path, page_bytes: page.to_vec(), files };
    let parsed = parse(&sources);
    let failed = parsed.diagnostics.iter().any(|found| found.severity == Severity::Error);
    assert_eq!(parsed.runbook.is_none(), failed, "a runbook if and only if there is no error");
    for found in &parsed.diagnostics {
        let Some(span) = &found.span else { continue };
        let text = if span.path == sources.page { page } else { file };
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        assert!(span.range.start <= span.range.end && span.range.end <= text.len(), "{found:?}");
    }
});
