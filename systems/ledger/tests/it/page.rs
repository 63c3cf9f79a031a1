//! The runbook page reads without a finding, and the map of the original runbook names what stands in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use tidegate_runbook::{Action, FileContent, Runbook, SourcePath, Sources, Step, files_wanted, parse};

const PAGE: &str = "systems/ledger/runbooks/economic-ledger.md";

/// The repository, which is the root of the page's paths.
fn root() -> PathBuf {
    ledger::directory().join("../..")
}

fn sources() -> Sources {
    let page = SourcePath(PAGE.to_owned());
    let page_bytes = std::fs::read(root().join(PAGE)).unwrap();
    let files: BTreeMap<_, _> = files_wanted(&page, &page_bytes)
        .into_iter()
        .map(|path| {
            let bytes = std::fs::read(root().join(&path.0)).unwrap_or_else(|e| panic!("{path}: {e}"));
            (path, FileContent::Bytes(bytes))
        })
        .collect();
    Sources { page, page_bytes, files }
}

fn runbook() -> Runbook {
    let parsed = parse(&sources());
    let findings: Vec<String> = parsed
        .diagnostics
        .iter()
        .map(|d| format!("{:?} {}: {} at {:?}; {}", d.severity, d.code, d.message, d.span, d.help))
        .collect();
    assert_eq!(findings, Vec::<String>::new());
    parsed.runbook.unwrap()
}

#[test]
fn the_page_reads_without_a_finding_and_every_block_is_a_step() {
    let runbook = runbook();
    assert_eq!(runbook.id.as_str(), "economic_ledger");
    assert!(runbook.not_steps.is_empty(), "{:?}", runbook.not_steps);
    let stages: Vec<&str> = runbook.stages.iter().map(|stage| stage.id.as_str()).collect();
    let expected = [
        "checklist",
        "backup",
        "m0008",
        "m0009",
        "m0010",
        "m0011",
        "m0012",
        "m0013",
        "m0014",
        "m0015",
        "m0016",
        "m0017",
        "m0018",
        "m0019",
        "verify",
        "staging",
        "connections",
    ];
    assert_eq!(stages, expected);
    assert_eq!(runbook.ways.len(), 1);
    // The way back by restore leads from every stage behind the backup that a run passes by itself.
    let from: Vec<&str> = runbook.ways[0].from.iter().map(|stage| stage.as_str()).collect();
    let behind = expected.iter().skip(2).take_while(|stage| **stage != "staging");
    assert_eq!(from, behind.copied().collect::<Vec<_>>());
}

#[test]
fn the_page_performs_every_migration_once_and_in_order_with_checks_and_undo() {
    let runbook = runbook();
    let migrations: Vec<(&Step, &str, Option<&str>)> = runbook
        .steps()
        .filter_map(|(_, step)| match &step.action {
            Action::Migrate(migrate) => {
                assert!(migrate.undo.is_some(), "{} has an undo", step.id);
                Some((step, migrate.name.as_str(), migrate.version.as_deref()))
            }
            _ => None,
        })
        .collect();
    let names: Vec<&str> = migrations.iter().map(|(_, name, _)| *name).collect();
    let files: Vec<&str> = ledger::MIGRATIONS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, files);
    for (step, name, version) in migrations {
        assert_eq!(version, Some(&name[..4]));
        assert!(!step.ensures.is_empty(), "{} ensures something", step.id);
        assert!(step.requires.iter().any(|id| id.as_str() == "pre_0008"), "{} requires the backup", step.id);
    }
}

/// One row of a table of the map: its cells.
fn rows(map: &str) -> Vec<Vec<String>> {
    map.lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| Original line"))
        .map(|line| {
            let line = line.replace("\\|", "\u{1}");
            line.trim_matches('|').split('|').map(|cell| cell.trim().replace('\u{1}', "|")).collect()
        })
        .collect()
}

/// The words between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_line_of_the_original_leads_to_steps_that_exist() {
    let runbook = runbook();
    let ids: BTreeSet<&str> = runbook
        .steps()
        .map(|(_, step)| step.id.as_str())
        .chain(runbook.stages.iter().map(|stage| stage.id.as_str()))
        .chain(runbook.ways.iter().map(|way| way.id.as_str()))
        .chain(runbook.ways.iter().flat_map(|way| &way.steps).map(|step| step.id.as_str()))
        .collect();
    let map = std::fs::read_to_string(root().join("docs/ledger-runbook-map.md")).unwrap();
    let rows = rows(&map);
    let (mapped, wrong): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.len() == 5);
    assert_eq!(mapped.len(), 42, "lines of the original");
    assert_eq!(wrong.len(), 25, "lines that the original gets wrong");
    for row in &rows {
        let cell = if row.len() == 5 { &row[2] } else { row.last().unwrap() };
        let named = quoted(cell);
        assert!(!named.is_empty(), "no step for {row:?}");
        for id in named {
            assert!(ids.contains(id), "the page has no step {id}, named for {row:?}");
        }
        if row.len() == 5 {
            assert_eq!(row[3], "SU, OWN", "{row:?}");
            assert!(
                row[4].split(", ").all(|path| ["direct", "pooled", "console", "http"].contains(&path)),
                "{row:?}"
            );
        }
    }
    for part in map.split_once("## What the page adds").unwrap().1.split("(`").skip(1) {
        let id = part.split('`').next().unwrap();
        assert!(ids.contains(id), "the page has no stage or step {id}");
    }
}

#[test]
fn a_pooled_line_of_the_map_has_a_pooled_step() {
    let runbook = runbook();
    let map = std::fs::read_to_string(root().join("docs/ledger-runbook-map.md")).unwrap();
    let pooled: Vec<Vec<String>> =
        rows(&map).into_iter().filter(|row| row.len() == 5 && row[4].contains("pooled")).collect();
    assert_eq!(pooled.len(), 2);
    for row in pooled {
        let through_pooler = quoted(&row[2]).into_iter().any(|id| {
            runbook
                .steps()
                .any(|(_, step)| step.id.as_str() == id && step.via == tidegate_runbook::Via::Pooled)
        });
        assert!(through_pooler, "{row:?}");
    }
}
