use std::path::Path;

/// What a name of the first schema is called in the second, longer ones first.
const NAMES: [(&str, &str); 11] = [
    ("platform_workspace_members", "account_members"),
    ("platform_workspaces", "accounts"),
    ("platform_permissions", "account_permissions"),
    ("platform_managed_users", "identities"),
    ("platform_book_snapshots", "pixbook_snapshots"),
    ("platform_books", "pixbooks"),
    ("platform_audit_events", "audit_events"),
    ("managed_user_id", "identity_id"),
    ("workspace_id", "account_id"),
    ("book_id", "pixbook_id"),
    ("workspace", "account"),
];

#[test]
fn the_statements_of_the_two_schemas_differ_in_names_alone() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let mut compared = 0;
    for entry in std::fs::read_dir(directory.join("v1")).unwrap() {
        let old = entry.unwrap().path();
        let new = directory.join("v2").join(old.file_name().unwrap());
        let mut expected = std::fs::read_to_string(&old).unwrap();
        for (old_name, new_name) in NAMES {
            expected = expected.replace(old_name, new_name);
        }
        assert_eq!(std::fs::read_to_string(&new).unwrap(), expected, "{}", new.display());
        compared += 1;
    }
    assert_eq!(compared, std::fs::read_dir(directory.join("v2")).unwrap().count());
    assert!(compared > 30);
}
