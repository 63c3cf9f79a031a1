//! Comparisons as proof, and backfills.

use crate::expectation::Expectation;
use crate::runbook::Runbook;
use crate::step::{Action, Retire, Step, Throttle};

use super::NONE;
use super::book::{
    backfill, backup, check, codes, codes_of, compare, errors, findings, migrate, record, requires, runbook,
    sql, waives,
};

const ALL: &str = "SELECT id, name FROM app.old";

fn destroyed_after(proof: Step) -> Vec<&'static str> {
    let id = proof.id.to_string();
    let gone = migrate("gone", "DROP TABLE app.old", None);
    errors(vec![proof, backup("copy"), requires(gone, &[&id, "copy"])])
}

#[test]
fn a_comparison_of_every_row_shows_that_nothing_is_lost() {
    assert_eq!(destroyed_after(compare("parity", ALL, "SELECT id, name FROM app.new")), NONE);
    assert_eq!(destroyed_after(compare("parity", "TABLE app.old", "TABLE app.new")), NONE);
    for left in [
        "SELECT id, name FROM app.old WHERE id > 5",
        "SELECT id, name FROM app.old LIMIT 10",
        "SELECT count(*) AS id FROM app.old",
        "SELECT id, name FROM other.old",
        "SELECT id, name FROM app.new",
    ] {
        assert_eq!(destroyed_after(compare("parity", left, ALL)), ["destructive-without-requires"], "{left}");
    }
}

#[test]
fn a_comparison_that_halts_nothing_shows_nothing() {
    let mut kept = compare("parity", ALL, "SELECT id, name FROM app.new");
    if let Action::Compare(compare) = &mut kept.action {
        compare.expect_differences = true;
    }
    assert_eq!(destroyed_after(kept), ["destructive-without-requires"]);
}

#[test]
fn a_comparison_needs_a_backup_beside_it() {
    let gone = requires(migrate("gone", "DROP TABLE app.old", None), &["parity"]);
    let parity = compare("parity", ALL, "SELECT id, name FROM app.new");
    assert_eq!(errors(vec![parity, gone]), ["destructive-without-requires"]);
}

#[test]
fn the_backup_is_newer_than_what_the_page_writes() {
    let proof = || compare("parity", ALL, "SELECT id, name FROM app.new");
    let gone = |names: &[&str]| requires(migrate("gone", "DROP TABLE app.old", None), names);
    let fill = || backfill("fill", "INSERT INTO app.old (id) SELECT id FROM chunk", &[]);
    let change = || migrate("change", "UPDATE app.old SET name = 'x' WHERE id = 1", None);
    for write in [fill(), change()] {
        let found = findings(&runbook(vec![backup("copy"), write, proof(), gone(&["parity", "copy"])]));
        assert_eq!(found[0].code, "backup-before-write");
        assert!(found[0].message.contains("writes to it after the backup"), "{}", found[0].message);
        assert!(found[0].related.is_some());
    }
    assert_eq!(errors(vec![fill(), change(), backup("copy"), proof(), gone(&["parity", "copy"])]), NONE);
    let again = vec![backup("first"), fill(), backup("copy"), proof(), gone(&["parity", "first", "copy"])];
    assert_eq!(errors(again), NONE);
    let elsewhere = migrate("change", "UPDATE app.new SET name = 'x' WHERE id = 1", None);
    assert_eq!(errors(vec![backup("copy"), elsewhere, proof(), gone(&["parity", "copy"])]), NONE);
    let fewer = migrate("fewer", "DELETE FROM app.old WHERE id = 1", None);
    assert_eq!(errors(vec![backup("copy"), fewer, proof(), gone(&["parity", "copy"])]), NONE);
}

#[test]
fn a_table_may_be_retired_after_a_comparison() {
    let retire = Retire { version: None, tables: vec!["app.old".to_owned()], checksum: String::new() };
    let retire = super::step("gone", Action::Retire(retire));
    let parity = compare("parity", ALL, "SELECT id, name FROM app.new");
    assert_eq!(errors(vec![parity, backup("copy"), requires(retire, &["parity", "copy"])]), NONE);
}

#[test]
fn both_sides_of_a_comparison_only_look() {
    let writes = "WITH gone AS (DELETE FROM a WHERE id = 1 RETURNING id) SELECT id FROM gone";
    assert_eq!(errors(vec![compare("c", writes, "SELECT id FROM b")]), ["check-has-effects"]);
    assert_eq!(errors(vec![compare("c", "SELECT id FROM b", writes)]), ["check-has-effects"]);
    assert_eq!(
        errors(vec![compare("c", "SELECT id FROM a", "SELECT id FROM b FOR SHARE")]),
        ["check-has-effects"]
    );
}

#[test]
fn a_backfill_that_touches_every_row_is_destruction() {
    assert_eq!(
        errors(vec![backfill("f", "UPDATE t SET a = chunk.a FROM chunk", &[])]),
        ["destructive-without-requires"]
    );
    assert_eq!(
        errors(vec![backfill("f", "UPDATE t SET a = chunk.a FROM chunk WHERE t.id = chunk.id", &[])]),
        NONE
    );
    assert_eq!(errors(vec![backfill("f", "DELETE FROM t USING chunk WHERE t.id = chunk.id", &[])]), NONE);
}

#[test]
fn what_a_backfill_slows_down_for_only_looks() {
    let mut step = backfill("f", "INSERT INTO t SELECT * FROM chunk", &[]);
    if let Action::Backfill(backfill) = &mut step.action {
        backfill.throttles = vec![Throttle::Autovacuum, Throttle::Sql(sql("SELECT true FROM t FOR UPDATE"))];
    }
    let found = findings(&runbook(vec![step]));
    assert_eq!(found[0].code, "check-has-effects");
    assert_eq!(found[0].message, "a throttle only looks, and this statement locks or writes rows");
}

#[test]
fn a_joined_table_is_compared_below() {
    let copies =
        || backfill("f", "INSERT INTO app.t SELECT c.id, n.name FROM chunk c JOIN n USING (id)", &["n"]);
    let compares = || compare("parity", "SELECT id, name FROM s", "SELECT id, name FROM app.t");
    assert_eq!(codes(vec![copies(), compares()]), NONE);
    assert_eq!(codes(vec![copies()]), ["reads-uncompared"]);
    assert_eq!(codes(vec![compares(), copies()]), ["reads-uncompared"]);
    assert_eq!(
        codes(vec![copies(), compare("parity", "SELECT id FROM s", "SELECT id FROM u")]),
        ["reads-uncompared"]
    );
    assert_eq!(
        codes(vec![copies(), check("c", "SELECT count(*) FROM app.t", Expectation::Zero)]),
        ["reads-uncompared"]
    );
    assert_eq!(codes(vec![waives(copies(), "reads-uncompared")]), NONE);
    assert_eq!(codes(vec![backfill("f", "INSERT INTO t SELECT * FROM chunk", &[])]), NONE);
    let mut book: Runbook = runbook(vec![record("r", "SELECT 1 AS a")]);
    book.stages.push(crate::runbook::Stage { steps: vec![copies()], ..book.stages[0].clone() });
    book.stages.push(crate::runbook::Stage { steps: vec![compares()], ..book.stages[0].clone() });
    assert_eq!(codes_of(&book), NONE);
}
