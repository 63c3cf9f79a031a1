//! The migrations apply by hand, in order, and each undo leaves the schema that was there before.

use testkit::Program;

use crate::ground::{BOUND, Ground};

/// The schema as `pg_dump` describes it, without comments, settings and owners.
pub(crate) async fn schema(ground: &Ground) -> String {
    let outcome = Program::new(ground.cluster.programs().program("pg_dump"))
        .args(["--schema-only", "--no-owner"])
        .arg(ground.database.url())
        .run(BOUND)
        .await
        .unwrap();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    let signal = |line: &&str| {
        !(line.starts_with("--")
            || line.starts_with("SET ")
            || line.starts_with('\\')
            || line.starts_with("SELECT pg_catalog.set_config"))
    };
    let mut text = String::new();
    for line in outcome.stdout.lines().filter(signal) {
        if !(line.is_empty() && (text.is_empty() || text.ends_with("\n\n"))) {
            text.push_str(line);
            text.push('\n');
        }
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

#[tokio::test]
async fn every_file_applies_by_hand_and_the_directory_holds_no_other() {
    let ground = Ground::empty().await;
    let mut files: Vec<String> = std::fs::read_dir(accounts::directory().join("migrations"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".sql"))
        .collect();
    files.sort();
    let known: Vec<&str> = accounts::MIGRATIONS.iter().map(|migration| migration.name).collect();
    assert_eq!(files, known);
    for file in &files {
        let outcome = ground.psql(&["-1"], file).await;
        assert_eq!(outcome.code(), Some(0), "{file}: {}", outcome.stderr);
    }
    assert_eq!(schema(&ground).await, schema(&Ground::migrated().await).await);
}

#[tokio::test]
async fn undoing_in_reverse_order_passes_through_every_earlier_schema() {
    let ground = Ground::at("0004").await;
    let mut earlier = Vec::new();
    let undone: Vec<_> = accounts::MIGRATIONS.iter().filter(|migration| migration.undo.is_some()).collect();
    assert_eq!(undone.len(), 4);
    for migration in &undone {
        earlier.push(schema(&ground).await);
        ground.apply(migration.sql).await;
    }
    for (migration, earlier) in undone.iter().zip(earlier).rev() {
        ground.apply(migration.undo.unwrap()).await;
        assert_eq!(schema(&ground).await, earlier, "after the undo of {}", migration.name);
    }
}

#[tokio::test]
async fn of_several_books_in_one_collection_the_oldest_stays() {
    let ground = Ground::at("0003").await;
    ground
        .database
        .execute(
            "INSERT INTO platform_workspaces (id, name) VALUES ('w', 'W');
             INSERT INTO platform_managed_users (id, workspace_id, display_name, user_key) VALUES ('u', 'w', 'U', 'k');
             INSERT INTO platform_books (id, workspace_id, managed_user_id, name, status, created_at)
             VALUES ('b2', 'w', 'u', 'B', 'active', '2020-01-02'), ('b1', 'w', 'u', 'B', 'active', '2020-01-02'),
                    ('b0', 'w', 'u', 'B', 'deleted', '2020-01-01'), ('b3', 'w', 'u', 'B', 'active', '2020-01-03')",
        )
        .await;
    let fourth = accounts::MIGRATIONS.iter().find(|migration| migration.name.starts_with("0004")).unwrap();
    ground.apply(fourth.sql).await;
    let kept = "SELECT string_agg(id || ' ' || status || ' ' || collection_id, ', ' ORDER BY id) FROM platform_books";
    assert_eq!(
        ground.text(kept).await,
        "b0 deleted primary, b1 active primary, b2 deleted primary, b3 deleted primary"
    );
}
