//! Both schemas hold the same.

use crate::ground::Ground;

/// Each table's rows as text, in both schemas, in one order of columns.
const PAIRS: [(&str, &str, &str); 7] = [
    ("accounts", "id, name, created_at, updated_at FROM platform_workspaces", "id, name, created_at, updated_at FROM accounts"),
    (
        "members",
        "id, workspace_id, user_id, role, status, created_at, updated_at FROM platform_workspace_members",
        "id, account_id, user_id, role, status, created_at, updated_at FROM account_members",
    ),
    (
        "permissions",
        "id, member_id, capability, created_at FROM platform_permissions",
        "id, member_id, capability, created_at FROM account_permissions",
    ),
    (
        "identities",
        "id, workspace_id, display_name, avatar_public_id, user_key, profile_id, identity_public_key,
         identity_key_fingerprint, status, created_at, updated_at FROM platform_managed_users",
        "id, account_id, display_name, avatar_public_id, user_key, profile_id, identity_public_key,
         identity_key_fingerprint, status, created_at, updated_at FROM identities",
    ),
    (
        "books",
        "id, workspace_id, managed_user_id, collection_id, name, status, current_version, created_at, updated_at FROM platform_books",
        "id, account_id, identity_id, collection_id, name, status, current_version, created_at, updated_at FROM pixbooks",
    ),
    (
        "snapshots",
        "id, book_id, version, cipher_object_key, cipher_sha256, wrapped_dek, ledger_head, payload_json::text, created_at
         FROM platform_book_snapshots",
        "id, pixbook_id, version, cipher_object_key, cipher_sha256, wrapped_dek, ledger_head, payload_json::text, created_at
         FROM pixbook_snapshots",
    ),
    (
        "events",
        "id, workspace_id, actor_user_id, event_type, payload::text, created_at FROM platform_audit_events",
        "id, account_id, actor_user_id, event_type, payload::text, created_at FROM audit_events",
    ),
];

/// One side as a whole: `old` or `new`.
pub(crate) async fn content(ground: &Ground, old: bool) -> Vec<String> {
    let parts: Vec<String> = PAIRS
        .iter()
        .map(|(name, old_rows, new_rows)| {
            let rows = if old { old_rows } else { new_rows };
            format!(
                "(SELECT '{name}: ' || coalesce(string_agg(t::text, E'\\n' ORDER BY t::text COLLATE \"C\"), 'none')
                  FROM (SELECT {rows}) t)"
            )
        })
        .collect();
    ground.database.value(&format!("SELECT ARRAY[{}]", parts.join(", "))).await
}

/// Fails unless both schemas hold the same.
pub(crate) async fn assert_parity(ground: &Ground, when: &str) {
    let (old, new) = (content(ground, true).await, content(ground, false).await);
    for (old, new) in old.iter().zip(&new) {
        assert_eq!(old, new, "{when}");
    }
}

/// Copies the first schema to the second while nobody writes.
pub(crate) async fn copy_all(ground: &Ground) {
    for (new, columns, old, from) in [
        (
            "accounts",
            "id, name, created_at, updated_at",
            "platform_workspaces",
            "id, name, created_at, updated_at",
        ),
        (
            "account_members",
            "id, account_id, user_id, role, status, created_at, updated_at",
            "platform_workspace_members",
            "id, workspace_id, user_id, role, status, created_at, updated_at",
        ),
        (
            "account_permissions",
            "id, member_id, capability, created_at",
            "platform_permissions",
            "id, member_id, capability, created_at",
        ),
        (
            "identities",
            "id, account_id, display_name, avatar_public_id, user_key, profile_id, identity_public_key,
             identity_key_fingerprint, status, created_at, updated_at",
            "platform_managed_users",
            "id, workspace_id, display_name, avatar_public_id, user_key, profile_id, identity_public_key,
             identity_key_fingerprint, status, created_at, updated_at",
        ),
        (
            "pixbooks",
            "id, account_id, identity_id, collection_id, name, status, current_version, created_at, updated_at",
            "platform_books",
            "id, workspace_id, managed_user_id, collection_id, name, status, current_version, created_at, updated_at",
        ),
        (
            "pixbook_snapshots",
            "id, pixbook_id, version, cipher_object_key, cipher_sha256, wrapped_dek, ledger_head, payload_json, created_at",
            "platform_book_snapshots",
            "id, book_id, version, cipher_object_key, cipher_sha256, wrapped_dek, ledger_head, payload_json, created_at",
        ),
        (
            "audit_events",
            "id, account_id, actor_user_id, event_type, payload, created_at",
            "platform_audit_events",
            "id, workspace_id, actor_user_id, event_type, payload, created_at",
        ),
    ] {
        ground.database.execute(&format!("INSERT INTO {new} ({columns}) SELECT {from} FROM {old}")).await;
    }
}
