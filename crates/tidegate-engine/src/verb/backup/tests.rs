//! Backups on a real server.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use testkit::eventually;
use tidegate_store::postgres::Session;

use super::ground::{Deployment, Ground};
use super::rehearsal::{Seen, rehearse};
use super::snapshot::{Counted, Snapshot};
use super::{dump, tools};

const ITEMS: &str =
    "CREATE TABLE public.items (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text);
INSERT INTO public.items (note) SELECT 'n' || n FROM generate_series(1, 500) n;
CREATE TABLE public.\"Odd; \"\"name\nFROM stdin;\" (\"c;\" text);
INSERT INTO public.\"Odd; \"\"name\nFROM stdin;\" VALUES (E'a\\\\.\\n\\\\.'), (NULL), ('');
CREATE TABLE public.parts (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE public.parts_2026 PARTITION OF public.parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO public.parts VALUES (1, '2026-05-05');";

const FORCED: &str = "ALTER TABLE public.items ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.items FORCE ROW LEVEL SECURITY;
CREATE POLICY nobody ON public.items USING (false);";

/// What a refusal says and what it advises.
fn refusal(error: &crate::error::StepError) -> String {
    match error {
        crate::error::StepError::Refused { message, next } => format!("{message}; {next}"),
        other => panic!("not a refusal: {other:?}"),
    }
}

async fn is_listed_hashed_rehearsed(deployment: Deployment) {
    let ground = Ground::new(deployment, &format!("{ITEMS}{FORCED}")).await;
    let findings = ground.precheck("copy").await.unwrap().join("\n");
    assert!(findings.contains("creates and drops the database"), "{findings}");
    let (outcome, records) = ground.backup("copy").await.unwrap();
    assert_eq!(ground.files(), ["copy.dump", "copy.dump.list"]);
    let file = ground.folder.join("copy.dump");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let bytes = std::fs::read(&file).unwrap();
    assert_eq!(outcome.figures["bytes"], bytes.len() as u64);
    assert_eq!(outcome.texts["sha256"], crate::digest::Digest::of(&bytes).to_string());
    assert_eq!((outcome.figures["tables"], outcome.figures["rows"]), (3, 504));
    assert!(outcome.texts["rehearsed"].starts_with("yes"), "{outcome:?}");
    assert_eq!(outcome.texts["rehearsed"].contains("without owners"), deployment == Deployment::Own);
    let (name, before) = &records[0];
    assert_eq!(name.as_str(), "before");
    let values: Vec<_> = before.values.iter().map(|column| (&*column.name, column.text.as_deref())).collect();
    assert_eq!(values, [("items", Some("500")), ("newest", Some("500"))]);
    assert_eq!(before.values[0].type_name, "bigint");
    assert!(!ground.exists(&ground.scratch).await, "the scratch database is dropped again");
    let list = std::fs::read_to_string(ground.folder.join("copy.dump.list")).unwrap();
    assert!(!list.contains(" tidegate "), "{list}");

    let (again, _) = ground.backup("copy").await.unwrap();
    assert!(again.texts["file"].ends_with("copy.dump.2"), "{again:?}");
    assert_eq!(std::fs::read(&file).unwrap(), bytes, "an earlier dump is never written over");
}

#[tokio::test]
async fn a_backup_by_a_superuser_is_listed_hashed_and_rehearsed() {
    is_listed_hashed_rehearsed(Deployment::Su).await;
}

#[tokio::test]
async fn a_backup_beside_a_plain_owner_is_listed_hashed_and_rehearsed() {
    is_listed_hashed_rehearsed(Deployment::Own).await;
}

#[tokio::test]
async fn writes_during_the_dump_do_not_disturb_the_comparison() {
    let ground = Ground::new(Deployment::Su, ITEMS).await;
    let client = ground.database.client().await;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let writer = tokio::spawn(async move {
        let mut written = 0_u64;
        while !stopped.load(Ordering::Relaxed) {
            client.execute("INSERT INTO public.items (note) VALUES ('live')", &[]).await.unwrap();
            written += 1;
        }
        written
    });
    let begun = "SELECT count(*) > 500 FROM public.items";
    eventually("the writer writes", std::time::Duration::from_secs(30), || async {
        ground.database.value::<bool>(begun).await.then_some(())
    })
    .await
    .unwrap();
    let (outcome, records) = ground.backup("copy").await.unwrap();
    stop.store(true, Ordering::Relaxed);
    let written = writer.await.unwrap();
    let seen: u64 = records[0].1.values[0].text.as_deref().unwrap().parse().unwrap();
    assert!(seen > 500 && seen < 500 + written, "{seen} of {written}: rows were written meanwhile");
    assert_eq!(outcome.figures["rows"], seen + 4, "records and counts see one snapshot");
}

#[tokio::test]
async fn a_role_that_row_security_stops_is_found_before_anything_is_done() {
    let mut ground = Ground::new(Deployment::Own, ITEMS).await;
    let as_owner = ground.database.url_for("plain_owner");
    ground.lead("DUMP_URL", as_owner);
    ground.precheck("copy").await.unwrap();
    ground.home.run(FORCED).await.unwrap();
    let said = refusal(&ground.precheck("copy").await.unwrap_err());
    assert!(said.starts_with("row security would stop the dump:") && said.contains("items"), "{said}");
    assert!(said.contains("BYPASSRLS"), "{said}");
    assert!(ground.backup("copy").await.is_err(), "and it would have");
    assert_eq!(ground.files(), Vec::<String>::new(), "nothing is left of the attempt");

    let as_stranger = ground.database.url_for("app_user");
    ground.lead("DUMP_URL", as_stranger);
    ground.home.run("ALTER TABLE public.items DISABLE ROW LEVEL SECURITY").await.unwrap();
    let said = refusal(&ground.precheck("copy").await.unwrap_err());
    assert!(said.contains("may not read") && said.contains("items_id_seq"), "{said}");
}

#[tokio::test]
async fn a_dump_that_cannot_be_restored_or_lost_rows_is_refused() {
    let ground = Ground::new(Deployment::Su, ITEMS).await;
    let job = ground.job("copy");
    let snapshot = Snapshot::open(job).await.unwrap();
    let tools = tools::find(job, &snapshot.session).await.unwrap();
    let mut dumped = dump::write(job, ground.backup_of("copy"), &snapshot, &tools, &[]).await.unwrap();
    let counted = snapshot.count(&dumped.contents.tables).await.unwrap();
    let seen = Seen { counted: &counted, steps: &[], kept: &[], partial: false };
    rehearse(job, &tools, &dumped, &seen).await.unwrap();

    // Without the rows of one table.
    let list = std::fs::read_to_string(&dumped.named.list).unwrap();
    let without: String = list
        .lines()
        .filter(|line| !line.contains("TABLE DATA public items"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_ne!(list, without);
    std::fs::write(&dumped.named.list, without).unwrap();
    let said = refusal(&rehearse(job, &tools, &dumped, &seen).await.unwrap_err());
    assert!(said.contains("\"items\" has 0 rows, not 500"), "{said}");
    std::fs::write(&dumped.named.list, list).unwrap();

    // With bytes turned over in its middle.
    let mut bytes = std::fs::read(&dumped.named.file).unwrap();
    let middle = bytes.len() / 2;
    for byte in &mut bytes[middle..middle + 200] {
        *byte = !*byte;
    }
    std::fs::write(&dumped.named.file, &bytes).unwrap();
    let said = refusal(&rehearse(job, &tools, &dumped, &seen).await.unwrap_err());
    assert!(said.contains("pg_restore"), "{said}");

    // Cut.
    std::fs::write(&dumped.named.file, &bytes[..middle]).unwrap();
    dumped.bytes = middle as u64;
    assert!(rehearse(job, &tools, &dumped, &seen).await.is_err());
    assert!(!ground.exists(&ground.scratch).await, "a refused rehearsal leaves no database");
}

#[tokio::test]
async fn a_given_scratch_database_is_emptied_again_and_never_one_in_use() {
    let mut ground = Ground::new(Deployment::Own, ITEMS).await;
    let scratch = ground.scratch.clone();
    ground.cluster.execute(&format!("CREATE DATABASE \"{scratch}\" OWNER rehearser")).await.unwrap();
    let inside = Session::connect(&ground.doors_address("SCRATCH_URL"), "test").await.unwrap();
    ground.backup("copy").await.unwrap();
    let left = "SELECT count(*) FROM pg_class WHERE oid >= 16384";
    assert_eq!(inside.run(left).await.unwrap()[0].single(), Some(Some("0")));
    assert!(ground.precheck("copy").await.unwrap().join("\n").contains("uses the empty database"));

    // What a rehearsal of ours left is removed; what others left is not.
    inside
        .run("CREATE SCHEMA tidegate_rehearsal; COMMENT ON SCHEMA tidegate_rehearsal IS 'tidegate rehearsal of run x'; CREATE TABLE public.items ()")
        .await
        .unwrap();
    let said = refusal(&ground.backup("copy").await.unwrap_err());
    assert!(said.contains("in use by 1 sessions of the rehearsal of run x"), "{said}");
    inside.close().await;
    ground.backup("copy").await.unwrap();
    let inside = Session::connect(&ground.doors_address("SCRATCH_URL"), "test").await.unwrap();
    assert_eq!(inside.run(left).await.unwrap()[0].single(), Some(Some("0")));
    inside.run("CREATE TABLE public.precious ()").await.unwrap();
    let said = refusal(&ground.precheck("copy").await.unwrap_err());
    assert!(said.contains("is not empty") && said.contains("precious"), "{said}");
    assert!(ground.backup("copy").await.is_err());
    inside.run("SELECT FROM public.precious; DROP TABLE public.precious").await.unwrap();
    inside.close().await;
    ground.cluster.execute(&format!("DROP DATABASE \"{scratch}\" WITH (FORCE)")).await.unwrap();

    // One that we made and could not drop is made anew.
    ground.cluster.execute(&format!("CREATE DATABASE \"{scratch}\" OWNER rehearser")).await.unwrap();
    let mark = format!("COMMENT ON DATABASE \"{scratch}\" IS 'tidegate rehearsal of run x'");
    ground.cluster.execute(&mark).await.unwrap();
    ground.backup("copy").await.unwrap();
    assert!(!ground.exists(&scratch).await);

    let home = ground.database.url();
    ground.lead("SCRATCH_URL", home);
    let said = refusal(&ground.precheck("copy").await.unwrap_err());
    assert!(said.contains("the database that is backed up"), "{said}");
    let absent = ground.cluster.url_for("app_user", "not_there");
    ground.lead("SCRATCH_URL", absent);
    let said = refusal(&ground.precheck("copy").await.unwrap_err());
    assert!(said.contains("may not create it"), "{said}");
}

#[tokio::test]
async fn bounds_and_the_folder_are_kept() {
    let ground = Ground::new(Deployment::Su, ITEMS).await;
    let said = refusal(&ground.backup("small").await.unwrap_err());
    assert!(said.contains("bytes_max"), "{said}");
    assert_eq!(ground.files(), Vec::<String>::new());
    ground.home.run("SELECT lo_create(0)").await.unwrap();
    let said = refusal(&ground.precheck("copy").await.unwrap_err());
    assert!(said.contains("large objects"), "{said}");
    ground.home.run("SELECT lo_unlink(oid) FROM pg_largeobject_metadata").await.unwrap();
    std::fs::remove_dir(&ground.folder).unwrap();
    let said = refusal(&ground.precheck("copy").await.unwrap_err());
    assert!(said.contains("is not there"), "{said}");
    assert!(ground.backup("copy").await.is_err());
    std::fs::create_dir(&ground.folder).unwrap();
}

#[tokio::test]
async fn a_backup_of_some_tables_holds_these_and_is_rehearsed() {
    let ground = Ground::new(Deployment::Own, ITEMS).await;
    ground.home.run("CREATE TABLE public.others AS SELECT 1").await.unwrap();
    let (outcome, _) = ground.backup("some").await.unwrap();
    assert_eq!((outcome.figures["tables"], outcome.figures["rows"]), (1, 500));
    assert_eq!(outcome.texts["only"], "public.items");
    assert!(outcome.texts["rehearsed"].starts_with("yes"), "{outcome:?}");
}

#[test]
fn names_of_counted_tables_are_quoted() {
    let counted = Counted { schema: "a\"b".into(), name: "c".into(), rows: 0 };
    assert_eq!(counted.quoted(), "\"a\"\"b\".\"c\"");
}
