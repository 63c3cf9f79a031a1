//! What people are told: halts, times, what stays sealed, what a page lacks, and what a bundle proves.

use crate::ledger_stage::on_stage;
use crate::promises::{page, sql};
use crate::small_page::{BOUND, SmallPage, all, program};

const RUN: [&str; 5] = ["run", "page.md", "--apply", "--actor", "ann"];

#[test]
fn a_halt_names_the_check_its_line_and_the_command_once() {
    on_stage(async {
        let small = SmallPage::new().await;
        let stages = sql("First", "-- @check none\n-- @expect zero\nSELECT 3");
        let text = page(&stages);
        small.write(&text);
        let halted = small.ends(3, RUN).await;
        let line = text.lines().position(|line| line == "-- @check none").unwrap() + 1;
        let wanted = format!(
            "HALTED at none (page.md:{line})\nWhy:   none does not hold (page.md:{line}): 3 where 0 is expected\n"
        );
        assert!(halted.stdout.contains(&wanted), "{}", all(&halted));
        assert!(
            halted.stdout.contains("2. Go on from here: tidegate run page.md --apply --actor NAME"),
            "{}",
            all(&halted)
        );
        let status = small.ends(0, ["status", "page.md"]).await;
        let why = format!("Why:     none does not hold (page.md:{line}): 3 where 0 is expected\n");
        assert!(status.stdout.contains(&why), "{}", all(&status));
    });
}

#[test]
fn times_are_read_to_the_millisecond_and_whole_in_json() {
    on_stage(async {
        let small = SmallPage::new().await;
        small.run_to_the_end().await;
        let is_long = |word: &str| {
            word.rsplit_once('.').is_some_and(|(_, rest)| {
                rest.len() > 4
                    && rest.ends_with('Z')
                    && rest.trim_end_matches('Z').chars().all(|c| c.is_ascii_digit())
            })
        };
        let words = |text: &str| text.split(|c: char| c.is_whitespace() || c == '"').any(is_long);
        for command in [["report", "page.md"], ["status", "page.md"], ["events", "page.md"]] {
            let told = small.ends(0, command).await;
            assert!(!words(&told.stdout), "{}", all(&told));
        }
        let report = small.ends(0, ["report", "page.md"]).await;
        assert!(report.stdout.contains("Z (event 1): the run began"), "{}", all(&report));
        let whole = small.ends(0, ["report", "page.md", "--json"]).await;
        assert!(words(&whole.stdout), "{}", all(&whole));
    });
}

#[test]
fn status_says_what_a_finished_run_leaves_sealed_and_what_ends_it() {
    on_stage(async {
        let small = SmallPage::new().await;
        small.database.execute("CREATE TABLE kept (id int)").await;
        let stages = sql("First", "-- @check none\n-- @expect zero\nSELECT count(*) FROM kept")
            + "## Second\n\n```toml\n# @seal quiet\ntables = [\"public.kept\"]\n```\n";
        small.write(&page(&stages));
        small.ends(0, RUN).await;
        let status = small.ends(0, ["status", "page.md"]).await;
        let wanted = "Sealed:  public.kept by quiet: direct writes are refused\n         Going back before it ends it; see what that would lose: tidegate rollback page.md --to first\n";
        assert!(status.stdout.contains(wanted), "{}", all(&status));
        let json = small.document(0, ["status", "page.md", "--json"]).await;
        assert_eq!(json.pointer("/left/0/step").unwrap(), "quiet");
        small.ends(7, ["rollback", "page.md", "--to", "first", "--apply", "--actor", "ann"]).await;
        let status = small.ends(0, ["status", "page.md"]).await;
        assert!(!status.stdout.contains("Sealed:"), "{}", all(&status));
    });
}

#[test]
fn a_plan_says_what_the_page_lacks_before_anything_runs() {
    on_stage(async {
        let small = SmallPage::new().await;
        let stages = sql(
            "First",
            "-- @migrate make\n-- @version 0001\nCREATE TABLE made (id int)\n-- @undo\nDROP TABLE made",
        ) + &sql(
            "Second",
            "-- @migrate fill\n-- @version 0002\nINSERT INTO made SELECT id FROM nowhere\n-- @undo\nDELETE FROM made WHERE id > 0",
        );
        let text = page(&stages);
        small.write(&text);
        let planned = small.ends(3, ["plan", "page.md"]).await;
        let line = text.lines().position(|line| line.starts_with("INSERT INTO made")).unwrap() + 1;
        let wanted =
            format!("page.md:{line}  fill  table nowhere does not exist, and no earlier step makes it");
        assert!(
            planned.stdout.contains(&wanted) && planned.stdout.contains("The run would halt."),
            "{}",
            all(&planned)
        );
        assert!(small.is_untouched().await);
        let json = small.document(3, ["plan", "page.md", "--json"]).await;
        assert_eq!(json.pointer("/lacking/0/step").unwrap(), "fill");
    });
}

#[test]
fn a_bundle_is_verified_by_somebody_who_has_nothing_else() {
    on_stage(async {
        let small = SmallPage::new().await;
        small.run_to_the_end().await;
        let written = small.ends(0, ["report", "page.md", "--bundle", "bundle.json"]).await;
        let head = written.stderr.trim().trim_end_matches('.').rsplit(' ').next().unwrap().to_owned();
        // No database, and no page.
        let alone = crate::small_page::folder("bundle_alone");
        let file = alone.join("bundle.json");
        let bytes = std::fs::read(small.folder().join("bundle.json")).unwrap();
        let verified = async |bytes: &[u8], more: &[&str]| {
            std::fs::write(&file, bytes).unwrap();
            let call = program(&alone, ["audit", "verify", "--bundle", "bundle.json"]);
            call.args(more.iter().copied()).run(BOUND).await.unwrap()
        };
        let holds = verified(&bytes, &[]).await;
        assert_eq!(holds.code(), Some(0), "{}", all(&holds));
        assert!(
            holds.stdout.contains("1 approvals name heads of it") && holds.stdout.contains("--head"),
            "{}",
            all(&holds)
        );
        let held = verified(&bytes, &["--head", &head]).await;
        assert!(held.code() == Some(0) && held.stdout.contains("Nothing was changed"), "{}", all(&held));
        let other = verified(&bytes, &["--head", &"0".repeat(64)]).await;
        assert!(
            other.code() == Some(5) && other.stdout.contains("is that of none of these events"),
            "{}",
            all(&other)
        );
        for (at, mask) in [(0, 1), (bytes.len() / 3, 4), (bytes.len() / 2, 1), (bytes.len() - 2, 0x20)] {
            let mut changed = bytes.clone();
            changed[at] ^= mask;
            let found = verified(&changed, &["--json"]).await;
            assert_eq!(found.code(), Some(5), "byte {at}\n{}", all(&found));
            assert!(found.stderr.contains("does not hold"), "byte {at}\n{}", all(&found));
        }
        let none = verified(b"", &[]).await;
        assert!(none.code() == Some(5) && none.stderr.contains("it is no bundle"), "{}", all(&none));

        // Held against a page.
        std::fs::write(&file, &bytes).unwrap();
        let page = std::fs::read_to_string(small.folder().join("page.md")).unwrap();
        for (text, code, part) in [
            (page.clone(), 0, "to the letter"),
            (page.replace("# A small page", "# Another title"), 0, "comments or prose differ"),
            (page.replace("CREATE TABLE marks", "CREATE TABLE stains"), 5, "it means something else"),
        ] {
            std::fs::write(alone.join("page.md"), text).unwrap();
            let held = program(&alone, ["audit", "verify", "page.md", "--bundle", "bundle.json"])
                .run(BOUND)
                .await
                .unwrap();
            assert!(held.code() == Some(code) && held.stdout.contains(part), "{part}\n{}", all(&held));
        }
        std::fs::remove_dir_all(&alone).unwrap();
    });
}
