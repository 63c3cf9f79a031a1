//! The database's schema as text, to see that nothing was left behind.

use std::path::PathBuf;

use tokio::process::Command;

use crate::Error;

/// Everything but the journal, as `pg_dump` writes it.
pub(crate) async fn read(pg_dump: PathBuf, url: &str) -> Result<String, Error> {
    let output = Command::new(&pg_dump)
        .args(["--schema-only", "--exclude-schema", "tidegate", "--dbname", url])
        .output()
        .await
        .map_err(Error::file("start", &pg_dump))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Error::Task(format!("pg_dump could not read the schema: {}", said.trim())));
    }
    Ok(statements(&String::from_utf8_lossy(&output.stdout)))
}

/// The dump without comments and without what differs from dump to dump.
fn statements(dump: &str) -> String {
    let kept = |line: &&str| !(line.is_empty() || line.starts_with("--") || line.starts_with('\\'));
    dump.lines().filter(kept).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_dump_to_dump_is_no_part_of_the_schema() {
        let dump = "-- Dumped\n\n\\restrict Wq7\nCREATE TABLE a ();\n\\unrestrict Wq7\n";
        assert_eq!(statements(dump), "CREATE TABLE a ();");
    }
}
