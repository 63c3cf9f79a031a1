//! What the flattening carries over, and what it lets happen meanwhile.

use crate::legacy_ground::LegacyGround;

#[tokio::test]
async fn every_stage_and_attachment_is_found_again_in_the_flattened_tables() {
    let ground = LegacyGround::seeded_at(24).await;
    let stages = "SELECT count(*) FROM vfs_blob_staging s JOIN vfs_registry r ON r.id = s.id AND r.object_type = 'blobStage' AND r.owner_id = s.staged_by AND r.created_at = s.staged_at \
        JOIN vfs_links l ON l.id = s.id AND l.parent_id = s.id AND l.child_id = s.blob_id AND l.created_at = s.staged_at \
        AND l.wrapped_session_key = 'blob-stage:' || s.status AND l.visible_children ->> 'status' = s.status \
        AND (l.visible_children ->> 'expiresAt')::timestamptz = s.expires_at \
        AND (l.visible_children ->> 'attachedAt')::timestamptz IS NOT DISTINCT FROM s.attached_at \
        AND l.visible_children ->> 'attachedItemId' IS NOT DISTINCT FROM s.attached_item_id \
        AND l.visible_children ?& ARRAY['status', 'expiresAt', 'attachedAt', 'attachedItemId']";
    assert_eq!(ground.text(stages).await, ground.text("SELECT count(*) FROM vfs_blob_staging").await);
    let kinds = "SELECT count(DISTINCT status) FROM vfs_blob_staging";
    assert_eq!(ground.text(kinds).await, "3");
    let attachments = "SELECT count(*) FROM vfs_blob_refs r JOIN vfs_links l ON l.id = r.id AND l.parent_id = r.item_id AND l.child_id = r.blob_id \
        AND l.wrapped_session_key = 'blob-link:' || r.relation_kind AND l.created_at = r.attached_at \
        AND l.visible_children = jsonb_build_object('relationKind', r.relation_kind, 'attachedBy', r.attached_by)";
    let linked_before = "SELECT count(*) FROM vfs_blob_refs r JOIN vfs_links l ON l.parent_id = r.item_id AND l.child_id = r.blob_id WHERE l.id LIKE 'linked-before-%'";
    assert_eq!(ground.text(linked_before).await, "1");
    assert_eq!(
        ground.text(&format!("({attachments}) + ({linked_before})")).await,
        ground.text("SELECT count(*) FROM vfs_blob_refs").await
    );
}

#[tokio::test]
async fn attachments_reach_the_feed_and_stages_do_not() {
    let ground = LegacyGround::seeded_at(24).await;
    let of_stages = "SELECT count(*) FROM vfs_crdt_ops WHERE parent_id IN (SELECT id FROM vfs_blob_staging)";
    assert_eq!(ground.text(of_stages).await, "0");
    let changes = "SELECT count(*) FROM vfs_sync_changes WHERE item_id IN (SELECT id FROM vfs_blob_staging)";
    assert_eq!(ground.text(changes).await, "0");
    let missing = "SELECT count(*) FROM vfs_blob_refs r WHERE NOT EXISTS (SELECT FROM vfs_crdt_ops o WHERE o.op_type = 'link_add' AND o.parent_id = r.item_id AND o.child_id = r.blob_id)";
    assert_eq!(ground.text(missing).await, "0");
    let unordered = "SELECT count(*) FROM (SELECT (at, id COLLATE \"C\") <= lag((at, id COLLATE \"C\")) OVER (ORDER BY seq) AS wrong FROM \
        (SELECT seq, occurred_at AS at, id FROM vfs_crdt_ops UNION ALL SELECT seq, changed_at, id FROM vfs_sync_changes) AS feed) AS f WHERE wrong";
    assert_eq!(ground.text(unordered).await, "0");
}

#[tokio::test]
async fn applying_a_file_again_changes_nothing() {
    let ground = LegacyGround::at(23).await;
    ground.seed(&[]).await;
    for version in 24..=27 {
        let outcome = ground.psql(version).await;
        assert_eq!(outcome.code(), Some(0), "{version}: {}", outcome.stderr);
        let once = without_marks(ground.contents().await);
        let outcome = ground.psql(version).await;
        assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(0), ""), "{version}");
        assert_eq!(without_marks(ground.contents().await), once, "{version}");
    }
    let outcome = ground.psql(24).await;
    assert_eq!(outcome.code(), Some(3));
    assert!(outcome.stderr.contains("does not exist"), "{}", outcome.stderr);
}

/// Without the times at which the legacy tables were read.
fn without_marks(contents: Vec<(String, String)>) -> Vec<(String, String)> {
    contents.into_iter().filter(|(table, _)| table != "public.vfs_legacy_writes").collect()
}

#[tokio::test]
async fn a_person_chooses_among_several_kinds_and_the_choice_stays_with_its_reason() {
    let ground = LegacyGround::at(23).await;
    ground.seed(&["--several-kinds"]).await;
    let pairs = "SELECT string_agg(blob_id || E'\\t' || item_id, E'\\n' ORDER BY blob_id) FROM \
        (SELECT blob_id, item_id FROM vfs_blob_refs GROUP BY 1, 2 HAVING count(*) > 1) AS p";
    let pairs = ground.text(pairs).await;
    assert!(pairs.lines().count() >= 2, "{pairs}");
    for line in pairs.lines() {
        let (blob, item) = line.split_once('\t').unwrap();
        let stopped = ground.psql(24).await;
        assert!(stopped.stderr.contains(&format!("blob {blob}, item {item}: ")), "{}", stopped.stderr);
        let choose = |kind: &str| {
            let arguments = ["choose-kind", "--blob", blob, "--item", item, "--kind", kind, "--actor", "ada"];
            ground.program(&arguments).args(["--reason", "it is a photo"])
        };
        let wrong = choose("emailAttachment").run(crate::legacy_ground::BOUND).await.unwrap();
        let right = choose("photo").run(crate::legacy_ground::BOUND).await.unwrap();
        // One of the two kinds is always `photo` or, where that was there, `file`.
        assert_eq!(right.code(), Some(0), "{}", right.stderr);
        if wrong.code() == Some(0) {
            let again = choose("photo").run(crate::legacy_ground::BOUND).await.unwrap();
            assert_eq!(again.code(), Some(0));
        } else {
            assert!(wrong.stderr.contains("nothing was noted"), "{}", wrong.stderr);
        }
    }
    for version in 24..=25 {
        let outcome = ground.psql(version).await;
        assert_eq!(outcome.code(), Some(0), "{version}: {}", outcome.stderr);
    }
    let chosen = "SELECT count(*) FROM vfs_blob_ref_choices c JOIN vfs_links l ON l.parent_id = c.item_id AND l.child_id = c.blob_id \
        AND l.wrapped_session_key = 'blob-link:photo' WHERE chosen_by = 'ada' AND reason = 'it is a photo'";
    assert_eq!(ground.text(chosen).await, pairs.lines().count().to_string());
}

#[tokio::test]
async fn a_stage_may_go_on_and_an_item_may_go_between_the_migrations() {
    let ground = LegacyGround::seeded_at(24).await;
    ground
        .database
        .execute(
            "UPDATE vfs_links SET wrapped_session_key = 'blob-stage:attached', visible_children = visible_children || '{\"status\":\"attached\"}'
             WHERE id = (SELECT id FROM vfs_blob_staging WHERE status = 'staged' LIMIT 1);
             DELETE FROM vfs_registry WHERE id = (SELECT attached_item_id FROM vfs_blob_staging WHERE attached_item_id IS NOT NULL LIMIT 1)",
        )
        .await;
    for version in 25..=27 {
        let outcome = ground.psql(version).await;
        assert_eq!(outcome.code(), Some(0), "{version}: {}", outcome.stderr);
    }
}

#[tokio::test]
async fn storage_keys_with_a_prefix_pass_where_the_prefix_is_told() {
    let ground = LegacyGround::at(23).await;
    ground.seed(&["--prefix", "live/blobs/"]).await;
    for version in 24..=25 {
        assert_eq!(ground.psql(version).await.code(), Some(0));
    }
    let untold = ground.psql(26).await;
    assert!(untold.stderr.contains("legacy storage keys differ"), "{}", untold.stderr);
    let told = ground.psql_with(26, "-c vfs.blob_key_prefix=live/blobs/").await;
    assert_eq!(told.code(), Some(0), "{}", told.stderr);
}

#[tokio::test]
async fn a_client_behind_its_mark_is_a_regression_and_one_ahead_is_none() {
    let ground = LegacyGround::seeded_at(24).await;
    let regressions = "SELECT string_agg(client_id || ' ' || what, ', ' ORDER BY client_id, what) FROM vfs_client_state_regressions()";
    assert_eq!(ground.text(regressions).await, "NULL");
    ground
        .database
        .execute("UPDATE vfs_sync_client_state SET last_reconciled_at = last_reconciled_at + interval '1 ms'")
        .await;
    assert_eq!(ground.text(regressions).await, "NULL");
    let one = "(user_id, client_id) = (SELECT user_id, client_id FROM vfs_sync_client_state WHERE client_id = 'crdt:desktop' LIMIT 1)";
    ground
        .database
        .execute(&format!("UPDATE vfs_sync_client_state SET last_reconciled_write_ids = last_reconciled_write_ids || '{{\"desktop\":1}}' WHERE {one}"))
        .await;
    assert_eq!(ground.text(regressions).await, "crdt:desktop write id of desktop");
    ground
        .database
        .execute(&format!("UPDATE vfs_sync_client_state SET last_reconciled_at = '2020-01-01' WHERE {one}"))
        .await;
    assert_eq!(ground.text(regressions).await, "crdt:desktop cursor, crdt:desktop write id of desktop");
}

#[tokio::test]
async fn blobs_and_stages_that_somebody_took_stop_the_backfill_and_those_of_nobody_get_their_owner() {
    let ground = LegacyGround::at(23).await;
    ground.seed(&[]).await;
    let registered = "id IN (SELECT id FROM vfs_blob_objects)";
    ground
        .database
        .execute(&format!(
            "SELECT set_config('vfs.flattening', 'on', true);
             INSERT INTO vfs_registry (id, object_type, created_at) SELECT min(id), 'blobStage', now() FROM vfs_blob_staging;
             UPDATE vfs_registry SET owner_id = 'mal' WHERE id = (SELECT min(id) FROM vfs_registry WHERE {registered});
             UPDATE vfs_registry SET owner_id = NULL WHERE id = (SELECT max(id) FROM vfs_registry WHERE {registered})"
        ))
        .await;
    let stopped = ground.psql(24).await;
    assert!(stopped.stderr.contains("v024 abort: blobs or stages are others' than"), "{}", stopped.stderr);
    assert!(stopped.stderr.contains(", not of mal"), "{}", stopped.stderr);
    ground.database.execute("UPDATE vfs_registry SET owner_id = NULL WHERE owner_id = 'mal'").await;
    let outcome = ground.psql(24).await;
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    let wrong = "SELECT (SELECT count(*) FROM vfs_blob_objects l JOIN vfs_registry i USING (id) WHERE i.owner_id IS DISTINCT FROM l.created_by) \
        + (SELECT count(*) FROM vfs_blob_staging l JOIN vfs_registry i USING (id) WHERE i.owner_id IS DISTINCT FROM l.staged_by)";
    assert_eq!(ground.text(wrong).await, "0");
    ground
        .database
        .execute("UPDATE vfs_registry SET owner_id = 'mal' WHERE id = (SELECT min(id) FROM vfs_blob_objects)")
        .await;
    assert_eq!(ground.psql(25).await.code(), Some(0));
    let stopped = ground.psql(26).await;
    assert!(stopped.stderr.contains("v026 abort: blobs are others' than"), "{}", stopped.stderr);
}
