//! Runbooks that hold.

use tidegate_runbook::{
    Action, Address, BackfillSource, CompareMode, DifferencePart, Equality, FileContent, JsonOperand,
    JsonOperator, KvRead, KvStatement, Name, Over, Question, RelationRef, Runbook, Side, SqlPiece, StoreKind,
    Throttle, parse,
};

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
fn a_page_that_switches_says_what_is_compared_copied_and_moved() {
    let runbook = parse(&sources(&folder("good/switched.md"))).runbook.expect("a runbook");
    let name = |text: &str| Name::parse(text).expect("a name");
    let action = |id: &str| runbook.step(&name(id)).expect("the step").action.clone();

    let [accounts, alias] = runbook.flags.as_slice() else { panic!("two sets") };
    let rows: Vec<&str> = accounts.rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(rows, ["v1", "mirrored", "dual", "write_v2", "steady", "catching_up"]);
    let catching_up = accounts.row(&name("catching_up")).expect("a row");
    assert_eq!((catching_up.values.as_slice(), catching_up.lock_first), ([true; 3].as_slice(), Side::New));
    assert_eq!(accounts.rows[0].lock_first, Side::Old);
    assert_eq!((accounts.grant.as_slice(), accounts.initial.as_str()), (["app".to_owned()].as_slice(), "v1"));
    assert_eq!(alias.initial.as_str(), "off");
    let dual = name("dual");
    let into_dual: Vec<(&str, usize)> =
        accounts.moves_to(&dual).map(|(from, requires)| (from.as_str(), requires.len())).collect();
    assert_eq!(into_dual, [("mirrored", 2), ("write_v2", 0)]);
    let Action::Flags(mirror) = action("mirror_on") else { panic!("a move") };
    assert_eq!((mirror.set.as_str(), mirror.to.as_str()), ("accounts", "mirrored"));

    let Action::Backfill(copy) = action("copy_accounts") else { panic!("a backfill") };
    assert_eq!(copy.source, BackfillSource::Table("v1.accounts".into()));
    assert_eq!((copy.key.join(" "), copy.reads.join(" ")), ("region id".into(), "v1.plans".into()));
    assert_eq!(copy.after, Some(name("mirror_on")));
    assert_eq!((copy.workers, copy.target.as_millis(), copy.rows), (4, 50, (50, 5_000)));
    assert_eq!(
        (copy.version.as_deref(), copy.name.as_str(), copy.checksum.len()),
        (Some("0001"), "copy_accounts", 64)
    );
    let [lag, waiters, vacuum, canary, sql] = copy.throttles.as_slice() else { panic!("five throttles") };
    assert!(matches!(lag, Throttle::ReplicaLag(lag) if lag.as_secs() == 5));
    assert!(matches!(waiters, Throttle::LockWaiters(3)) && matches!(vacuum, Throttle::Autovacuum));
    let Throttle::Canary { limit, query } = canary else { panic!("a canary") };
    assert_eq!((limit.as_millis(), query.statements.len()), (50, 1));
    let Throttle::Sql(query) = sql else { panic!("a query") };
    let page = std::fs::read_to_string(folder("good/switched.md")).expect("the page");
    let span = &query.statements[0].span.range;
    assert!(page[span.clone()].starts_with("SELECT count(*) > 80"), "{}", &page[span.clone()]);

    let Action::Compare(found) = action("found") else { panic!("a comparison") };
    assert!(found.expect_differences && found.equal == Equality::Values && found.mode == CompareMode::Equal);
    assert_eq!((found.settle.map(|settle| settle.as_secs()), found.at_most), (Some(2), 500));
    assert_eq!(found.right.effect.reads[0].to_string(), "v2.accounts");
    let Action::Compare(parity) = action("parity") else { panic!("a comparison") };
    assert_eq!(
        (parity.key.as_slice(), parity.mode),
        (["Region".into(), "id".into()].as_slice(), CompareMode::Contained)
    );
    assert_eq!((parity.equal, parity.at_most, parity.settle), (Equality::Text, 10_000, None));
    assert_eq!(parity.accepted[1].key, ["us", "4\"2"]);
    assert_eq!(parity.accepted[0].reason, "closed in March, by hand");

    let Action::Backfill(repair) = action("take_away") else { panic!("a backfill") };
    let extra = RelationRef { step: name("found"), part: Some(DifferencePart::Extra) };
    assert_eq!(
        (repair.source, repair.key, repair.after),
        (BackfillSource::Differences(extra), vec!["id".into()], None)
    );
    assert_eq!((repair.workers, repair.target.as_millis(), repair.rows), (2, 80, (100, 50_000)));
    let Action::Check(check) = action("little_differs") else { panic!("a check") };
    let Question::Sql(body) = check.question else { panic!("sql") };
    let differing = RelationRef { step: name("found"), part: Some(DifferencePart::Differing) };
    assert!(body.statements[0].pieces.contains(&SqlPiece::Relation(differing)));
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

/// The statements of a step in kv.
fn reads(runbook: &Runbook, id: &str) -> Vec<KvStatement> {
    match &runbook.step(&Name::parse(id).expect("an id")).expect("the step").action {
        Action::Check(check) => match &check.question {
            Question::Kv(body) => body.statements.clone(),
            other => panic!("{other:?}"),
        },
        Action::Record(record) => match &record.question {
            Question::Kv(body) => body.statements.clone(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn kv_steps_say_what_they_read_where_and_under_which_name() {
    let runbook = parse(&sources(&folder("good/keys.md"))).runbook.expect("a runbook");
    let stores: Vec<(&str, StoreKind)> =
        runbook.stores.iter().map(|store| (store.name.as_str(), store.kind)).collect();
    assert_eq!(stores, [("db", StoreKind::Postgres), ("trips", StoreKind::Kv), ("sessions", StoreKind::Kv)]);
    let before = reads(&runbook, "before");
    let named: Vec<(Option<&str>, bool, &str)> =
        before.iter().map(|one| (one.name.as_ref().map(Name::as_str), one.report, one.read.word())).collect();
    assert_eq!(
        named,
        [
            (Some("legacy"), false, "count"),
            (Some("moved"), false, "count"),
            (Some("state"), false, "get"),
            (Some("fresh"), false, "missing"),
            (None, true, "list"),
        ]
    );
    let KvRead::Count { namespace, prefix, conditions } = &before[1].read else { panic!("a count") };
    assert_eq!((namespace.as_str(), prefix.pieces.len()), ("logs", 3));
    assert_eq!(
        (conditions[0].pointer.as_str(), &conditions[0].operator),
        ("/deleted", &JsonOperator::Exists)
    );
    let limit = JsonOperand::Json(serde_json::json!(1_700_000_000_000_u64));
    assert_eq!(conditions[1].operator, JsonOperator::Greater(limit));
    let owners = reads(&runbook, "owners");
    let KvRead::List { columns, limit, conditions, .. } = &owners[0].read else { panic!("a list") };
    let columns: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!((columns, *limit, conditions.len()), (vec!["userid", "backup_userid"], Some(100), 2));
    let Action::Record(record) = &runbook.step(&Name::parse("owners").unwrap()).unwrap().action else {
        panic!("a record")
    };
    assert!(record.rows);
    let everything = reads(&runbook, "nothing_left");
    assert!(everything[0].read.key().pieces.is_empty(), "the whole namespace");
    assert_eq!(runbook.not_steps.iter().map(|block| block.language.as_str()).collect::<Vec<_>>(), ["kv"]);
}
