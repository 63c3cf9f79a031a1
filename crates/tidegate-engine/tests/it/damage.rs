//! A journal that was changed, cut, or written by a newer program: each is told apart, and nothing is run on top of it.

use tidegate_engine::audit::{self, Proof};
use tidegate_engine::digest::Digest;
use tidegate_engine::doctor::{Diagnosis, doctor};
use tidegate_engine::history::History;
use tidegate_engine::runner::Purpose;
use tidegate_engine::setup::OpenError;

use crate::stage_hand::{Stage, done, on_stage, page, program};

const PAGE: &str = "
## One

```sql
-- @migrate m1
-- @version 1
CREATE TABLE a (id int PRIMARY KEY)
-- @undo
DROP TABLE a
```
";

async fn ran(hint: &str) -> Stage {
    let stage = Stage::new(hint).await;
    done(&stage.run(&page(PAGE)).await);
    stage
}

/// Journals a run of another page behind the first one.
async fn run_another(stage: &Stage) {
    let more =
        page(PAGE).replace("## One", "## One\n\n```sql\n-- @check c\n-- @expect true\nSELECT true\n```\n");
    let mut runner = stage.open(&more.replace("@runbook test", "@runbook next"), Purpose::Run).await.unwrap();
    done(&runner.forward().await);
    runner.close().await;
}

/// Why the journal is refused: by a run, by an audit and by the doctor alike.
async fn refused(stage: &Stage, code: &str) -> String {
    let Err(OpenError::Journal(error)) = stage.open(&page(PAGE), Purpose::Run).await else {
        panic!("nothing may be run on top of it");
    };
    let session = stage.session().await;
    let audited = audit::verify(&session, None).await.unwrap_err().to_string();
    assert_eq!(audited, error.to_string());
    let found = examine(stage).await;
    assert!(found.iter().any(|one| one.code == code && one.found == audited), "{found:#?}");
    audited
}

async fn examine(stage: &Stage) -> Vec<Diagnosis> {
    let program = program(&page(PAGE));
    let doors = stage.doors(&program);
    doctor(Some(program), doors).await.unwrap()
}

/// Changes the journal as its owner can, past the trigger that refuses it.
async fn tamper(stage: &Stage, sql: &str) {
    stage
        .database
        .execute(&format!(
            "ALTER TABLE tidegate.event DISABLE TRIGGER append_only; {sql}; ALTER TABLE tidegate.event ENABLE TRIGGER append_only"
        ))
        .await;
}

#[test]
fn the_journal_refuses_to_be_changed() {
    on_stage(async {
        let stage = ran("append_only").await;
        let client = stage.database.client().await;
        for sql in
            ["UPDATE tidegate.event SET body = body", "DELETE FROM tidegate.event", "TRUNCATE tidegate.event"]
        {
            let error = client.batch_execute(sql).await.unwrap_err();
            assert_eq!(error.code().unwrap().code(), "TG002", "{sql}");
        }
    });
}

#[test]
fn a_journal_of_a_newer_program_is_left_alone() {
    on_stage(async {
        let stage = ran("newer").await;
        stage.database.execute("UPDATE tidegate.format SET version = version + 1").await;
        let why = refused(&stage, "journal-newer").await;
        assert!(why.contains("has format 4; this program knows 3: use a newer tidegate"), "{why}");
    });
}

#[test]
fn an_event_that_a_newer_program_wrote_is_named() {
    on_stage(async {
        let stage = ran("newer_event").await;
        // A body that this program does not know, hashed as it must be.
        let session = stage.session().await;
        let head = History::read(&session).await.unwrap().head;
        let seq = head.seq + 1;
        let body = format!(
            "{{\"seq\":{seq},\"run\":\"{}\",\"epoch\":1,\"at\":\"2026-01-01T00:00:00Z\",\"event\":{{\"kind\":\"teleported\"}}}}",
            stage.state().await.run
        );
        let hash = Digest::chain(head.hash, seq, &body);
        stage
            .database
            .execute(&format!(
                "INSERT INTO tidegate.event (seq, run, body, hash) VALUES ({seq}, '{}', '{body}', decode('{hash}', 'hex'));
                 UPDATE tidegate.head SET seq = {seq}, hash = decode('{hash}', 'hex')",
                stage.state().await.run
            ))
            .await;
        let why = refused(&stage, "journal-unreadable").await;
        assert!(why.contains(&format!("event {seq} of the journal cannot be read: teleported")), "{why}");
    });
}

#[test]
fn a_cut_journal_says_what_is_missing() {
    on_stage(async {
        let stage = ran("cut").await;
        let newest = stage.state().await.last_seq;
        tamper(&stage, &format!("DELETE FROM tidegate.event WHERE seq = {newest}")).await;
        let why = refused(&stage, "journal-broken").await;
        assert!(why.contains(&format!("events {newest} to {newest} were cut off")), "{why}");
    });
}

#[test]
fn a_hole_in_the_journal_is_named() {
    on_stage(async {
        let stage = ran("hole").await;
        tamper(&stage, "DELETE FROM tidegate.event WHERE seq = 2").await;
        let why = refused(&stage, "journal-broken").await;
        assert!(why.contains("event 2 is missing"), "{why}");
    });
}

#[test]
fn an_altered_event_is_named() {
    on_stage(async {
        let stage = ran("altered").await;
        tamper(&stage, "UPDATE tidegate.event SET body = replace(body, 'alice', 'mallory') WHERE seq = 1")
            .await;
        let why = refused(&stage, "journal-broken").await;
        assert!(why.contains("the hash of event 1 does not fit its text"), "{why}");
    });
}

#[test]
fn a_head_that_was_kept_proves_what_stands_before_it() {
    on_stage(async {
        let stage = ran("audit").await;
        let session = stage.session().await;
        let kept = History::read(&session).await.unwrap().head;
        let plain = audit::verify(&session, None).await.unwrap();
        assert_eq!((plain.events, plain.head, plain.runs), (kept.seq, kept.hash, 1));
        assert_eq!(plain.proof, Proof::Consistent {});
        assert!(plain.holds() && plain.to_string().contains("proves consistency only"), "{plain}");

        // More is journaled; the head that was kept is still that of an event.
        run_another(&stage).await;
        let proven = audit::verify(&session, Some(&kept.hash.to_string())).await.unwrap();
        let later = proven.events - kept.seq;
        assert_eq!(proven.proof, Proof::Unchanged { event: kept.seq, later });
        assert!(later > 0 && proven.runs == 2, "{proven:?}");
        assert!(proven.to_string().contains("nothing was changed"), "{proven}");
    });
}

#[test]
fn whoever_reads_on_has_what_a_reader_of_all_has() {
    on_stage(async {
        let stage = ran("read_on").await;
        let session = stage.session().await;
        let whole = History::read(&session).await.unwrap();
        let mut grown = History::empty();
        grown.read_on(&session).await.unwrap();
        assert_eq!((grown.head, &grown.hashes), (whole.head, &whole.hashes));

        // More is journaled: it follows what was read, and what was read is not asked for again.
        run_another(&stage).await;
        tamper(&stage, "UPDATE tidegate.event SET body = replace(body, 'alice', 'mallory') WHERE seq = 1")
            .await;
        grown.read_on(&session).await.unwrap();
        assert!(grown.head.seq > whole.head.seq);
        assert_eq!(grown.records.len(), usize::try_from(grown.head.seq).unwrap());
        assert_eq!(grown.hashes[..whole.hashes.len()], whole.hashes);

        // Where it does not begin with what was read, it is read whole, and what is wrong is found.
        tamper(&stage, "UPDATE tidegate.head SET hash = decode(repeat('00', 32), 'hex')").await;
        let why = grown.read_on(&session).await.unwrap_err().to_string();
        assert!(why.contains("the hash of event 1 does not fit its text"), "{why}");
    });
}

#[test]
fn a_journal_written_anew_agrees_with_itself_and_not_with_the_head_that_was_kept() {
    on_stage(async {
        let stage = ran("forged").await;
        let session = stage.session().await;
        let kept = History::read(&session).await.unwrap().head;
        // The owner forges the whole chain: names replaced, hashes computed anew.
        let mut head = Digest::ZERO;
        let mut forged = String::new();
        for event in tidegate_engine::journal::stored(&session, 0).await.unwrap() {
            let body = event.body.replace("alice", "mallory");
            head = Digest::chain(head, event.seq, &body);
            forged.push_str(&format!(
                "UPDATE tidegate.event SET body = $body${body}$body$, hash = decode('{head}', 'hex') WHERE seq = {};",
                event.seq
            ));
        }
        tamper(&stage, &format!("{forged} UPDATE tidegate.head SET hash = decode('{head}', 'hex')")).await;
        let plain = audit::verify(&session, None).await.unwrap();
        assert!(plain.holds() && plain.head == head, "it agrees with itself: {plain}");
        let shown = kept.hash.to_string();
        let verdict = audit::verify(&session, Some(&shown)).await.unwrap();
        assert_eq!(verdict.proof, Proof::HeadMissing { given: shown.clone() });
        assert!(!verdict.holds() && verdict.to_string().contains("is that of no event"), "{verdict}");
    });
}

#[test]
fn a_stored_text_that_was_changed_is_listed() {
    on_stage(async {
        let stage = ran("texts").await;
        let plan = stage.state().await.plan;
        stage.database.execute("UPDATE tidegate.plan SET sources = sources || ' '").await;
        let session = stage.session().await;
        let audited = audit::verify(&session, None).await.unwrap();
        assert_eq!(audited.texts_changed, [plan]);
        assert!(!audited.holds() && audited.to_string().contains(&plan.to_string()), "{audited}");
    });
}

#[test]
fn a_journal_of_the_first_format_is_brought_to_this_one_and_goes_on() {
    on_stage(async {
        let stage = ran("older").await;
        let session = stage.session().await;
        session
            .run("DROP TABLE tidegate.backfill, tidegate.chunk, tidegate.refused, tidegate.subject; UPDATE tidegate.format SET version = 1")
            .await
            .unwrap();
        let before = stage.state().await;
        let (left, right) = (tidegate_engine::journal::install(&session), async {
            let other = stage.session().await;
            tidegate_engine::journal::install(&other).await
        });
        let (left, right) = tokio::join!(left, right);
        assert!(left.is_ok() && right.is_ok(), "{left:?} {right:?}");
        let rows = session
            .query("SELECT version, to_regclass('tidegate.chunk') IS NOT NULL AND to_regclass('tidegate.subject') IS NOT NULL FROM tidegate.format", &[])
            .await;
        let row = &rows.unwrap()[0];
        assert_eq!((row.get::<_, i32>(0), row.get::<_, bool>(1)), (3, true));
        assert_eq!(stage.state().await, before);
    });
}
