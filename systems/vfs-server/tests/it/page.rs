//! The page reads without a finding, and its table of the checklist names what stands in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use tidegate_runbook::{FileContent, Runbook, SourcePath, Sources, files_wanted, parse};
use vfs_server::migrations::{RETIRED_TABLES, directory};

use crate::legacy_ground::migration;

const PAGE: &str = "systems/vfs-server/runbooks/flatten.md";

/// The repository, which is the root of the page's paths.
fn root() -> PathBuf {
    directory().join("../..")
}

fn text() -> String {
    std::fs::read_to_string(root().join(PAGE)).unwrap()
}

fn runbook() -> Runbook {
    let page = SourcePath(PAGE.to_owned());
    let page_bytes = text().into_bytes();
    let files: BTreeMap<_, _> = files_wanted(&page, &page_bytes)
        .into_iter()
        .map(|path| {
            let bytes = std::fs::read(root().join(&path.0)).unwrap_or_else(|e| panic!("{path}: {e}"));
            (path, FileContent::Bytes(bytes))
        })
        .collect();
    let parsed = parse(&Sources { page, page_bytes, files });
    let findings: Vec<String> =
        parsed.diagnostics.iter().map(|found| format!("{}: {}", found.code, found.message)).collect();
    assert_eq!(findings, Vec::<String>::new());
    parsed.runbook.unwrap()
}

#[test]
fn the_page_reads_without_a_finding_and_every_block_is_a_step() {
    let runbook = runbook();
    assert!(runbook.not_steps.is_empty(), "{:?}", runbook.not_steps);
    let stages: Vec<&str> = runbook.stages.iter().map(|stage| stage.id.as_str()).collect();
    let expected = [
        "preflight",
        "backup",
        "v024",
        "v025",
        "v026",
        "v027",
        "parity",
        "health",
        "afterwards",
        "freeze",
        "drop_retired",
    ];
    assert_eq!(stages, expected);
}

#[test]
fn the_table_of_the_checklist_names_steps_of_the_page() {
    let runbook = runbook();
    let steps = runbook.stages.iter().flat_map(|stage| &stage.steps);
    let steps = steps.chain(runbook.ways.iter().flat_map(|way| &way.steps)).map(|step| step.id.as_str());
    let ways = runbook.ways.iter().map(|way| way.id.as_str());
    let known: BTreeSet<&str> = steps.chain(ways).collect();
    let text = text();
    let (_, table) = text.split_once("## Where each line of the checklist is").unwrap();
    let mut named = 0;
    for row in table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| What")) {
        let (_, cell) = row.trim_end_matches(" |").rsplit_once(" | ").unwrap();
        for name in cell.split('`').skip(1).step_by(2).filter(|name| !name.contains([' ', '-'])) {
            if name != "schema_migrations" {
                assert!(known.contains(name), "{name} is no step: {row}");
                named += 1;
            }
        }
    }
    assert!(named > 30, "{named}");
}

#[test]
fn the_page_says_the_words_of_the_files() {
    let page = text();
    let mut told = 0;
    for version in 24..=27 {
        let file = migration(version).sql.replace("''", "'");
        for says in page.lines().filter_map(|line| line.split_once("@says \"")) {
            let says = says.1.trim_end_matches('"');
            if says.starts_with(&format!("v{version:03} ")) {
                assert!(file.contains(says), "{says:?} does not stand in {}", migration(version).name);
                told += 1;
            }
        }
    }
    assert!(told >= 15, "{told}");
    for table in RETIRED_TABLES {
        assert!(page.contains(&format!("public.{table}")), "{table}");
    }
}
