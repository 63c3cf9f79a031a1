//! Bad input: exit code 2, the place and what to do, and nothing touched.

use testkit::Outcome;

use crate::ledger_stage::on_stage;
use crate::small_page::{BOUND, PAGE, SmallPage, all, folder, program};

/// Longer than any page a person reads.
const FIFTY_MEGABYTES: usize = 50 * 1024 * 1024;

fn refused(outcome: &Outcome, parts: &[&str]) {
    assert_eq!(outcome.code(), Some(2), "{}", all(outcome));
    for part in parts {
        assert!(outcome.stderr.contains(part), "{part}: {}", all(outcome));
    }
    assert!(!outcome.stderr.contains('\u{1b}'), "no colour in a pipe: {}", all(outcome));
}

#[test]
fn a_command_line_that_cannot_be_used_touches_nothing() {
    on_stage(async {
        let small = SmallPage::new().await;
        let run = |more: &[&str]| small.program(["run", "page.md", "--apply"]).args(more);
        for (arguments, parts) in [
            ([].as_slice(), ["needs --actor", "--actor NAME"].as_slice()),
            (&["--actor", " "], &["needs --actor"]),
            (&["--actor", "ann", "--set", "limt=3"], &["--set limt", "no such parameter", "limit"]),
            (&["--actor", "ann", "--set", "limit=three"], &["parameter limit"]),
            (&["--actor", "ann", "--set", "limit"], &["has no `=`"]),
            (&["--actor", "ann", "--set", "limit=1", "--set", "limit=2"], &["given twice"]),
            (&["--actor", "ann", "--stage", "nowhere"], &["no such stage", "afterwards"]),
            (&["--actor", "ann", "--stage", "tags"], &["is not manual"]),
            (&["--actor", "ann", "--home", "nowhere"], &["--home nowhere", "It has: db"]),
            (&["--actor", "ann", "--evidence", "missing.json"], &["--evidence missing.json"]),
            (&["--actor", "ann", "--unknown"], &["--unknown"]),
        ] {
            refused(&run(arguments).run(BOUND).await.unwrap(), parts);
        }
        for (arguments, parts) in [
            (
                ["rollback", "page.md", "--to", "nowhere"].as_slice(),
                ["no such stage", "start, before, tags"].as_slice(),
            ),
            (&["rollback", "page.md", "--way", "nowhere"], &["no such way"]),
            (&["rollback", "page.md", "--to", "start", "--apply"], &["needs --actor"]),
            (&["approve", "quiet", "page.md", "--actor", "bob"], &["no confirm of this page", "go"]),
            (&["approve", "go", "page.md", "--actor", "bob"], &["no run that goes on"]),
            (&["stop", "page.md", "--actor", "bob"], &["no run that goes on"]),
            (&["report", "page.md"], &["no run to report on"]),
            (&["abandon", "page.md", "--actor", "bob", "--reason", "why"], &["there is no run"]),
            (&["abandon", "page.md", "--actor", "bob", "--reason", " "], &["needs a reason"]),
            (&["abandon", "page.md", "--actor", "bob"], &["--reason"]),
            (&["status", "page.md", "--run", "123"], &["no such run"]),
            (&["status"], &["PAGE"]),
        ] {
            refused(&small.program([]).args(arguments).run(BOUND).await.unwrap(), parts);
        }
        assert!(small.is_untouched().await);
    });
}

#[test]
fn a_page_that_is_none_is_refused_by_check_and_run_alike() {
    on_stage(async {
        let small = SmallPage::new().await;
        let pages: [(&str, Vec<u8>, &[&str]); 6] = [
            ("empty.md", Vec::new(), &["page-empty"]),
            ("huge.md", vec![b'x'; FIFTY_MEGABYTES], &["page-too-large", "52428800 bytes"]),
            ("binary.md", vec![0xff, 0xfe, 0x00], &["page-not-utf8"]),
            ("prose.md", b"# Only prose\n".to_vec(), &["no-runbook"]),
            (
                "slip.md",
                PAGE.replace("@check quiet", "@chek quiet").into_bytes(),
                &["unknown-verb", "slip.md:18:", "help:"],
            ),
            (
                "file.md",
                PAGE.replace(
                    "-- @ensures no_tags\nCREATE TABLE tags (id bigint PRIMARY KEY, name text NOT NULL);",
                    "-- @ensures no_tags\n-- @file missing.sql",
                )
                .into_bytes(),
                &["file-missing", "missing.sql"],
            ),
        ];
        for (name, bytes, parts) in pages {
            std::fs::write(small.folder().join(name), bytes).unwrap();
            refused(&small.call(["check", name]).await, parts);
            refused(&small.call(["run", name, "--apply", "--actor", "ann"]).await, parts);
        }
        refused(&small.call(["check", "nowhere.md"]).await, &["nowhere.md cannot be read"]);
        refused(&small.call(["check", "."]).await, &["it is a folder"]);
        assert!(small.is_untouched().await);
    });
}

#[test]
fn a_page_of_windows_with_a_byte_order_mark_is_the_same_page() {
    on_stage(async {
        let small = SmallPage::new().await;
        let unix = small.document(0, ["check", "page.md", "--json"]).await;
        small.write(&format!("\u{feff}{}", PAGE.replace('\n', "\r\n")));
        let windows = small.document(0, ["check", "page.md", "--json"]).await;
        assert_eq!(windows, unix);
        small.ends(6, ["run", "page.md", "--apply", "--actor", "ann"]).await;
    });
}

#[test]
fn files_are_read_inside_the_root_only_links_followed() {
    let outer = folder("root");
    let root = outer.join("root");
    std::fs::create_dir_all(root.join("books")).unwrap();
    std::fs::create_dir_all(root.join("sql")).unwrap();
    std::fs::write(root.join("tidegate.toml"), "").unwrap();
    std::fs::write(root.join("sql/tags.sql"), "CREATE TABLE tags (id bigint);\n-- @undo\nDROP TABLE tags;\n")
        .unwrap();
    std::fs::write(outer.join("secret.sql"), "CREATE TABLE tags (id bigint);\n-- @undo\nDROP TABLE tags;\n")
        .unwrap();
    std::os::unix::fs::symlink(outer.join("secret.sql"), root.join("sql/link.sql")).unwrap();
    std::os::unix::fs::symlink(root.join("sql/tags.sql"), root.join("sql/inside.sql")).unwrap();
    let page = |file: &str| {
        let text = format!(
            "# P\n\n```toml\n# @runbook p\n[stores.db]\nkind = \"postgres\"\nurl = \"$DATABASE_URL\"\n```\n\n## S\n\n```sql\n-- @migrate tags\n-- @version 1\n-- @file {file}\n```\n"
        );
        std::fs::write(root.join("books/page.md"), text).unwrap();
    };
    on_stage(async {
        for (file, code, part) in [
            ("../sql/tags.sql", 0, ""),
            ("../sql/inside.sql", 0, ""),
            ("../sql/link.sql", 2, "file-outside-root"),
            ("../../secret.sql", 2, "file-outside-root"),
            ("../sql/none.sql", 2, "file-missing"),
        ] {
            page(file);
            let checked = program(&outer, ["check", "root/books/page.md"]).run(BOUND).await.unwrap();
            assert_eq!(checked.code(), Some(code), "{file} {}", all(&checked));
            assert!(checked.stderr.contains(part), "{file} {}", all(&checked));
        }
    });
    std::fs::remove_dir_all(&outer).unwrap();
}

#[test]
fn strict_refuses_blocks_that_are_neither_steps_nor_examples() {
    on_stage(async {
        let folder = folder("strict");
        std::fs::write(folder.join("page.md"), format!("{PAGE}\n```sql\nSELECT 1\n```\n")).unwrap();
        let plain = program(&folder, ["check", "page.md"]).run(BOUND).await.unwrap();
        assert_eq!(plain.code(), Some(0), "{}", all(&plain));
        assert!(plain.stdout.contains("Blocks that are no steps"), "{}", all(&plain));
        let strict = program(&folder, ["check", "page.md", "--strict"]).run(BOUND).await.unwrap();
        refused(&strict, &["1 blocks that are no steps", "@example"]);
        std::fs::write(folder.join("page.md"), format!("{PAGE}\n```sql\n-- @example\nSELECT 1\n```\n"))
            .unwrap();
        let marked = program(&folder, ["check", "page.md", "--strict"]).run(BOUND).await.unwrap();
        assert_eq!(marked.code(), Some(0), "{}", all(&marked));
        std::fs::remove_dir_all(&folder).unwrap();
    });
}
