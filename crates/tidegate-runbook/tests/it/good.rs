//! Runbooks that hold.

use tidegate_runbook::{Action, Address, FileContent, Over, Question, StoreKind, parse};

use crate::scenario::{findings, folder, pages, sources};

#[test]
fn good_runbooks_are_accepted_without_a_word() {
    let pages = pages(&folder("good"));
    assert!(!pages.is_empty());
    for page in pages {
        let sources = sources(&page);
        let (parsed, described) = findings(&sources);
        assert_eq!(described, "", "{}", page.display());
        assert!(parsed.runbook.is_some(), "{}", page.display());
    }
}

#[test]
fn a_runbook_says_what_its_page_says() {
    let sources = sources(&folder("good/whole.md"));
    let runbook = parse(&sources).runbook.expect("a runbook");
    assert_eq!((runbook.id.as_str(), runbook.title.as_str()), ("whole", "Everything this version can say"));
    let stages: Vec<(&str, usize)> = runbook.stages.iter().map(|s| (s.id.as_str(), s.steps.len())).collect();
    assert_eq!(stages, [("checklist", 5), ("backup", 2), ("notes", 5), ("from_a_file", 2), ("sessions", 4)]);
    let home = runbook.home().expect("a home");
    assert_eq!((home.kind, &home.url), (StoreKind::Postgres, &Address::Environment("DATABASE_URL".into())));
    assert_eq!(home.logins.len(), 3);
    let kept: Vec<(&str, bool)> =
        runbook.not_steps.iter().map(|block| (block.language.as_str(), block.example)).collect();
    assert_eq!(kept, [("sql", false), ("sql", true)]);

    let step = |id: &str| {
        let (_, step) = runbook.steps().find(|(_, step)| step.id.as_str() == id).expect("the step");
        step.clone()
    };
    let Action::Migrate(from_file) = step("from_file").action else { panic!("a migrate") };
    assert_eq!((from_file.name.as_str(), from_file.version.as_deref()), ("0010_tags.sql", Some("0010")));
    assert_eq!(from_file.body.statements[0].span.path.0, "files/0010_tags.sql");
    assert_eq!(from_file.undo.expect("an undo").statements[0].span.path, sources.page);
    let Action::Migrate(both) = step("both_in_file").action else { panic!("a migrate") };
    assert_eq!(both.undo.expect("an undo").statements[0].effect.command, "DROP TABLE");
    let Action::Check(each) = step("writes_refused").action else { panic!("a check") };
    assert_eq!(each.each.expect("each").setup_statements, 1);
    assert!(each.attempt);
    let Action::Watch(watch) = step("no_lock_queue").action else { panic!("a watch") };
    assert!(matches!(watch.over, Some(Over::Sql(_))));
    let disk = step("disk_is_free");
    assert_eq!(disk.store, None);
    let Action::Check(disk) = disk.action else { panic!("a check") };
    let Question::Sh(script) = disk.question else { panic!("a script") };
    let values: Vec<String> = script.values.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        values,
        ["TG_BACKUP_DIR=backup_dir", "TG_HEALTHY_VERSION=healthy.version", "TG_RUN_ID=run.id"]
    );
    let Action::Confirm(window) = step("window").action else { panic!("a confirm") };
    assert_eq!(window.approvers, ["@shop", "ops"]);
    assert_eq!(step("pools").store.expect("a store").as_str(), "pooler");
    assert_eq!(step("healthy").store.expect("a store").as_str(), "service");
    assert_eq!(runbook.ways[0].to.as_ref().expect("a stage").as_str(), "backup");
}

#[test]
fn line_ends_and_a_byte_order_mark_change_nothing_but_places() {
    let mut sources = sources(&folder("good/whole.md"));
    let plain = parse(&sources).runbook.expect("a runbook");
    let text = String::from_utf8(sources.page_bytes.clone()).expect("UTF-8");
    sources.page_bytes = format!("\u{feff}{}", text.replace('\n', "\r\n")).into_bytes();
    for content in sources.files.values_mut() {
        let FileContent::Bytes(bytes) = content else { panic!("the files are there") };
        let text = String::from_utf8(bytes.clone()).expect("UTF-8");
        *bytes = format!("\u{feff}{}", text.replace('\n', "\r\n")).into_bytes();
    }
    let (parsed, described) = findings(&sources);
    assert_eq!(described, "");
    let other = parsed.runbook.expect("a runbook");
    assert_eq!(other.meaning, plain.meaning);
    let head = &other.stages[0].steps[0].head;
    let page = text.replace('\n', "\r\n");
    assert_eq!(&page[head.range.clone()], "-- @record pools");
}

#[test]
fn a_file_behind_a_link_out_of_the_root_is_refused() {
    let mut sources = sources(&folder("good/whole.md"));
    for (path, content) in &mut sources.files {
        *content = if path.0.ends_with("0010_tags.sql") {
            FileContent::OutsideRoot
        } else {
            FileContent::Unreadable("permission denied".into())
        };
    }
    let codes: Vec<&str> = parse(&sources).diagnostics.iter().map(|found| found.code).collect();
    assert_eq!(codes, ["file-outside-root", "file-unreadable"]);
}
