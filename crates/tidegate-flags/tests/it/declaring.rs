//! Installing, declaring, moving and granting.

use testkit::{Cluster, Pgbouncer, PgbouncerOptions};
use tidegate_flags::{
    FORMAT, FlagsError, Row, Side, Stage, current, declare, enter, grant, install, is_installed, move_to,
    set_row,
};
use tidegate_store::postgres::FailureKind;

use crate::sets::{BOUND, SET, accounts, committed, declared, move_now, mover, rolled_back, session, value};

#[tokio::test]
async fn two_installs_at_once_are_one_and_a_third_changes_nothing() {
    let database = Cluster::shared().await.database("install").await;
    let (one, two) = (session(&database.url()).await, session(&database.url()).await);
    assert!(!is_installed(&one).await.unwrap());
    assert!(matches!(current(&one, SET).await, Err(FlagsError::NotInstalled)));
    let (first, second) = tokio::join!(install(&one), install(&two));
    first.unwrap();
    second.unwrap();
    assert!(is_installed(&one).await.unwrap());
    declare(&one, &accounts()).await.unwrap();
    install(&two).await.unwrap();
    assert_eq!(current(&one, SET).await.unwrap().unwrap().row, "v1");
}

#[tokio::test]
async fn installing_again_waits_for_nobody_and_what_is_newer_is_left_alone() {
    let database = Cluster::shared().await.database("format").await;
    let owner = declared(&database).await;
    let writer = session(&database.url()).await;
    writer
        .run("BEGIN; LOCK TABLE tidegate.flag_outbox, tidegate.flag_set IN ROW EXCLUSIVE MODE")
        .await
        .unwrap();
    owner.run("SET lock_timeout = '50ms'").await.unwrap();
    install(&owner).await.unwrap();
    writer.run("COMMIT").await.unwrap();
    let newer =
        "CREATE OR REPLACE FUNCTION tidegate.flag_format() RETURNS integer LANGUAGE sql AS 'SELECT 99'";
    owner.run(newer).await.unwrap();
    let refused = install(&owner).await.unwrap_err();
    assert!(matches!(refused, FlagsError::Newer { found: 99, known: FORMAT }), "{refused}");
}

#[tokio::test]
async fn two_declarations_at_once_are_one() {
    let database = Cluster::shared().await.database("declare_twice").await;
    let (one, two) = (session(&database.url()).await, session(&database.url()).await);
    install(&one).await.unwrap();
    let set = accounts();
    let (first, second) = tokio::join!(declare(&one, &set), declare(&two, &set));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!((first.epoch, &*first.row), (1, "v1"));
    assert_eq!((first.epoch, first.row, first.moved_at), (second.epoch, second.row, second.moved_at));
    assert_eq!(first.installed_at, second.installed_at);
}

#[tokio::test]
async fn a_set_begins_at_its_initial_row_and_moves_under_growing_epochs() {
    let database = Cluster::shared().await.database("moves").await;
    let session = declared(&database).await;
    let options = mover(BOUND);
    let at = committed(move_now(&session, "mirrored", &options).await);
    assert_eq!((at.epoch, &*at.row, at.moved_by.as_deref()), (2, "mirrored", Some("a test")));
    assert!(at.moved_at.unwrap() >= at.installed_at);
    assert_eq!(at.stage().unwrap().mirror, Some(Side::New));
    let back = committed(move_now(&session, "v1", &options).await);
    assert_eq!((back.epoch, back.stage()), (3, Some(Stage::OLD)));
}

#[tokio::test]
async fn an_undeclared_move_is_refused_and_the_legal_ones_are_named() {
    let database = Cluster::shared().await.database("undeclared").await;
    let session = declared(&database).await;
    let options = mover(BOUND);
    committed(move_now(&session, "mirrored", &options).await);
    let error = rolled_back(move_now(&session, "write_v2", &options).await);
    assert_eq!(
        error.to_string(),
        "flag set 'accounts' may not move from 'mirrored' to 'write_v2'; from 'mirrored' it may move to v1, dual"
    );
    let error = rolled_back(move_now(&session, "mirrored", &options).await);
    assert!(matches!(error, FlagsError::UndeclaredMove { .. }), "{error}");
    let error = rolled_back(move_now(&session, "nowhere", &options).await);
    assert!(error.to_string().ends_with("its rows are v1, mirrored, dual, write_v2, catching_up"), "{error}");
    assert_eq!(current(&session, SET).await.unwrap().unwrap().epoch, 2);
}

#[tokio::test]
async fn a_declaration_under_which_the_row_means_something_else_is_refused() {
    let database = Cluster::shared().await.database("redeclare").await;
    let session = declared(&database).await;
    committed(move_now(&session, "mirrored", &mover(BOUND)).await);
    let mut columns = accounts();
    columns.columns.push("archived".to_owned());
    for row in &mut columns.rows {
        row.values.push(false);
    }
    let error = declare(&session, &columns).await.unwrap_err();
    assert!(matches!(error, FlagsError::ColumnsChanged { .. }), "{error}");
    assert!(error.to_string().contains("declare a new set"), "{error}");
    let mut renamed = accounts();
    renamed.rows[1].name = "copied".to_owned();
    renamed.moves.clear();
    let mut other_values = accounts();
    other_values.rows[1].values = vec![false, true, true];
    let mut other_lock = accounts();
    other_lock.rows[1].lock_first = Side::New;
    for (set, how) in [
        (renamed, "and is not declared"),
        (other_values, "with other values"),
        (other_lock, "with the other lock order"),
    ] {
        let error = declare(&session, &set).await.unwrap_err();
        assert!(error.to_string().contains(how), "{error}");
        let error = move_to(&session, &set, "v1", "a test").await.unwrap_err();
        assert!(
            matches!(error, FlagsError::RowNotDeclared { .. } | FlagsError::UnknownRow { .. }),
            "{error}"
        );
    }
    let mut unsound = accounts();
    unsound.initial = "nowhere".to_owned();
    let error = declare(&session, &unsound).await.unwrap_err();
    assert!(error.to_string().contains("'nowhere' is no row of the set"), "{error}");
    let there = current(&session, SET).await.unwrap().unwrap();
    assert_eq!((&*there.row, there.epoch), ("mirrored", 2));
}

#[tokio::test]
async fn declaring_again_takes_over_rows_and_moves_and_keeps_the_row() {
    let database = Cluster::shared().await.database("again").await;
    let session = declared(&database).await;
    let text = "SELECT declared FROM tidegate.flag_set";
    let before = value(&session, text).await;
    let mut fewer = accounts();
    fewer.rows.truncate(2);
    fewer.moves.truncate(2);
    let there = declare(&session, &fewer).await.unwrap();
    assert_eq!((&*there.row, there.epoch), ("v1", 1));
    let after = value(&session, text).await;
    assert!(before.contains("write_v2") && !after.contains("write_v2"), "{after}");
}

#[tokio::test]
async fn a_row_is_put_back_under_a_new_epoch_whatever_rules() {
    let database = Cluster::shared().await.database("restore").await;
    let session = declared(&database).await;
    committed(move_now(&session, "mirrored", &mover(BOUND)).await);
    committed(move_now(&session, "dual", &mover(BOUND)).await);
    let row = Row { name: "v1".to_owned(), values: vec![false; 3], lock_first: Side::Old };
    let there = set_row(&session, SET, &row, "a restore").await.unwrap();
    assert_eq!((there.epoch, &*there.row), (4, "v1"));
    let narrow = Row { values: vec![false], ..row };
    assert!(set_row(&session, SET, &narrow, "a restore").await.is_err());
    let unknown = set_row(&session, "other", &narrow, "a restore").await.unwrap_err();
    assert!(matches!(unknown, FlagsError::UnknownSet { .. }));
}

#[tokio::test]
async fn a_role_enters_only_once_it_was_granted_and_reads_no_table_even_then() {
    let cluster = Cluster::shared().await;
    let role = "flags app \"role\"";
    cluster.execute(&format!("CREATE ROLE \"{}\" LOGIN", role.replace('"', "\"\""))).await.unwrap();
    let database = cluster.database("granted").await;
    let owner = declared(&database).await;
    let app = session(&database.url_for("flags%20app%20%22role%22")).await;
    let refused = enter(&app, SET).await.unwrap_err();
    assert!(
        matches!(&refused, FlagsError::Store(failure) if failure.kind() == FailureKind::PermissionDenied)
    );
    grant(&owner, SET, role).await.unwrap();
    grant(&owner, SET, role).await.unwrap();
    assert_eq!(enter(&app, SET).await.unwrap().unwrap().row, "v1");
    assert_eq!(enter(&app, "no such set").await.unwrap(), None);
    for sql in ["SELECT FROM tidegate.flag_set", "UPDATE tidegate.flag_set SET epoch = 9"] {
        let failure = app.run(sql).await.unwrap_err();
        assert_eq!(failure.kind(), FailureKind::PermissionDenied, "{sql}");
    }
    assert!(grant(&owner, "no such set", role).await.is_err());
    assert!(grant(&owner, SET, "no such role").await.is_err());
}

#[tokio::test]
async fn everything_works_through_a_pooler_in_transaction_mode() {
    let cluster = Cluster::shared().await;
    let database = cluster.database("pooled").await;
    let pooler = Pgbouncer::start(cluster, PgbouncerOptions::default()).await.unwrap();
    let pooled = session(&pooler.url(&database)).await;
    install(&pooled).await.unwrap();
    declare(&pooled, &accounts()).await.unwrap();
    let at = committed(move_now(&pooled, "mirrored", &mover(BOUND)).await);
    assert_eq!(at.epoch, 2);
    assert_eq!(enter(&pooled, SET).await.unwrap().unwrap().epoch, 2);
}
