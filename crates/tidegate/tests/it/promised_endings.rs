//! What a report says after each kind of ending, and what going back takes for an answer.

use crate::ledger_stage::on_stage;
use crate::promises::{page, sql};
use crate::small_page::{BOUND, PAGE, SmallPage, all};

const RUN: [&str; 5] = ["run", "page.md", "--apply", "--actor", "ann"];

/// The report of the newest run, which must hold each part.
async fn reports(small: &SmallPage, parts: &[&str]) -> String {
    let report = small.ends(0, ["report", "page.md"]).await;
    for part in parts {
        assert!(report.stdout.contains(part), "{part}\n{}", report.stdout);
    }
    assert!(!report.stdout.contains(": ;") && !report.stdout.contains("``"), "{}", report.stdout);
    report.stdout
}

#[test]
fn a_report_is_true_after_every_kind_of_ending() {
    on_stage(async {
        let small = SmallPage::new().await;
        let none = small.ends(2, ["report", "page.md"]).await;
        assert!(none.stderr.contains("no run to report on"), "{}", all(&none));

        let make = "-- @migrate make_a\n-- @version 0001\nCREATE TABLE a (id int PRIMARY KEY, note text)\n-- @undo\nDROP TABLE a";
        let wrong = "-- @check none_yet\n-- @says \"Somebody was here.\"\n-- @expect zero\nSELECT 1";
        let stages = sql("First", make) + &sql("Second", wrong);
        small.write(&page(&stages));
        small.ends(3, RUN).await;
        reports(&small, &["| state | halted", "**halted** at `none_yet`", "made table `public.a`"]).await;

        small.write(&page(&stages.replace("SELECT 1", "SELECT 0")));
        let drift = small.ends(5, RUN).await;
        assert!(drift.stderr.contains("tidegate amend page.md --actor NAME --reason WHY"), "{}", all(&drift));
        let amended = small.ends(0, ["amend", "page.md", "--actor", "eve", "--reason", "one too many"]).await;
        assert!(amended.stdout.contains("tidegate run page.md --apply --actor NAME"), "{}", all(&amended));
        reports(&small, &["**amended** by eve", "one too many"]).await;

        small.ends(0, RUN).await;
        reports(&small, &["| state | finished |", "**finished**"]).await;

        small.database.execute("INSERT INTO a VALUES (1, 'x')").await;
        let lost = ["rollback", "page.md", "--to", "start", "--actor", "zoe", "--accept-loss", "public.a=1"];
        small.ends(7, lost).await;
        let text = reports(
            &small,
            &["| state | rolled back |", "**went back** to the start, by zoe", "1 rows of public.a"],
        )
        .await;
        assert!(!text.contains("| state | finished"), "{text}");

        small.ends(0, RUN).await;
        let again = small.program(RUN).args(["--again"]).run(BOUND).await.unwrap();
        assert_eq!(again.code(), Some(0), "{}", all(&again));
        small.ends(7, ["rollback", "page.md", "--to", "start", "--apply", "--actor", "zoe"]).await;
        reports(&small, &["no step to undo; nothing was lost"]).await;
        assert_eq!(
            small.database.value::<i64>("SELECT count(*) FROM a").await,
            0,
            "an earlier run's step was undone"
        );

        small.write(&page(&stages.replace("SELECT 1", "SELECT 2")));
        small.ends(3, RUN).await;
        small.ends(0, ["abandon", "page.md", "--actor", "eve", "--reason", "no more of it"]).await;
        reports(&small, &["abandoned: no more of it", "**given up** by eve"]).await;
        small.ends(0, ["audit", "verify", "page.md"]).await;
    });
}

#[test]
fn a_loss_is_accepted_in_its_own_figures_only() {
    on_stage(async {
        let small = SmallPage::new().await;
        small.run_to_the_end().await;
        small
            .database
            .execute("INSERT INTO tags VALUES (1, 'a'), (2, 'b'); INSERT INTO marks VALUES (1)")
            .await;
        let back = |figures: &str| {
            let to = ["rollback", "page.md", "--to", "start", "--actor", "ann", "--accept-loss", figures];
            small.program(to)
        };
        for figures in [
            "public.tags=2",
            "public.tags=2,public.marks=2",
            "tags=2,marks=1",
            "public.tags=2,public.marks=1,public.more=0",
            "public.tags=02,public.marks=-1",
            "yes",
        ] {
            let refused = back(figures).run(BOUND).await.unwrap();
            assert_eq!(refused.code(), Some(3), "{figures} {}", all(&refused));
            assert!(refused.stderr.contains("nothing was undone"), "{figures} {}", all(&refused));
        }
        assert_eq!(small.database.value::<i64>("SELECT count(*) FROM tags, marks").await, 2);
        let nowhere = small.ends(2, ["rollback", "page.md", "--to", "nowhere"]).await;
        assert!(nowhere.stderr.contains("release"), "{}", all(&nowhere));
        let other_order = back("public.tags=2, public.marks=1").run(BOUND).await.unwrap();
        assert_eq!(other_order.code(), Some(7), "{}", all(&other_order));
        assert!(
            small
                .database
                .value::<bool>("SELECT to_regclass('tags') IS NULL AND to_regclass('marks') IS NULL")
                .await
        );
    });
}

#[test]
fn three_hundred_rows_are_kept_as_evidence_and_a_hold_is_served() {
    on_stage(async {
        let small = SmallPage::new().await;
        let stages = "## Make\n\n```toml\n# @stage make\nhold = \"1s\"\n```\n\n".to_owned()
            + sql(
                "x",
                "-- @migrate make_kept\n-- @version 0001\n-- @file make.sql\n-- @undo\nDROP TABLE kept",
            )
            .trim_start_matches("## x\n\n")
            + &sql(
                "Look",
                "-- @check many\n-- @evidence rows\n-- @expect true\nSELECT count(*) = 300 FROM kept",
            )
            + &sql(
                "Keep",
                "-- @record rows_of_it\n-- @rows\nSELECT id, 'row ' || id AS name FROM kept ORDER BY id",
            )
            + &sql(
                "Again",
                "-- @check all_there\n-- @expect true\nSELECT count(*) = 300 AND min(name) = 'row 1' FROM :{rows_of_it}",
            );
        small.write(&page(&stages).replace('\n', "\r\n"));
        std::fs::write(
            small.folder().join("make.sql"),
            "\u{feff}CREATE TABLE kept (id int);\r\nINSERT INTO kept SELECT generate_series(1, 300);\r\n",
        )
        .unwrap();
        let run = small.ends(0, RUN).await;
        assert!(run.stdout.contains("held") && run.stdout.contains("1 s served"), "{}", all(&run));
        let kept: i64 = small.database.value("SELECT count(*) FROM tidegate.evidence").await;
        assert!(kept > 0, "nothing was kept");
        reports(&small, &["kept 300 rows", "| state | finished |"]).await;
    });
}

#[test]
fn hostile_values_arrive_as_they_are_bound_quoted_and_in_the_environment() {
    on_stage(async {
        let small = SmallPage::new().await;
        let text = "it's \"q\" $x `id` \\ ; DROP TABLE victim; --\nünï 🌊";
        small.database.execute("CREATE TABLE victim ()").await;
        let literal = format!("$lit${text}$lit$");
        let values = PAGE.split("## Before").next().unwrap().replace(
            "limit = { type = \"int\", default = 50 }",
            "t = { type = \"text\" }\ni = { type = \"int\", default = -9223372036854775808 }\nd = { type = \"decimal\", default = \"-0.10\" }\nb = { type = \"bool\", default = true }\nu = { type = \"uuid\", default = \"11111111-1111-4111-8111-111111111111\" }\nat = { type = \"timestamp\", default = \"2026-01-31T22:00:00+02:00\" }\nspan = { type = \"duration\", default = \"2h30m\" }\npart = { type = \"ratio\", default = \"5%\" }\nname = { type = \"ident\", default = \"o\\\"d; na'me ü\" }\nplace = { type = \"path\", default = \"/tmp/a b'c\" }",
        );
        let stages = sql(
            "Binding",
            &format!(
                "-- @check bound\n-- @expect true\nSELECT :t = {literal} AND :i = -9223372036854775808 AND :d = -0.10 AND :b AND :u = '11111111-1111-4111-8111-111111111111'\n AND :at = timestamptz '2026-01-31 20:00:00+00' AND :span = interval '2.5 hours' AND :part = 0.05 AND :place = '/tmp/a b''c'"
            ),
        ) + &sql(
            "Quoting",
            &format!(
                "-- @check quoted\n-- @expect true\nSELECT :'t' = {literal} AND \"o\"\"d; na'me ü\" = 1 FROM (SELECT 1 AS :\"name\") x"
            ),
        ) + "## Scripts\n\n```sh\n# @check script\n# @harmless compares only\n# @expect exit 0\ntest \"$(printf %s \"$TG_T\" | wc -c)\" = BYTES\ntest \"$TG_B $TG_I $TG_PLACE\" = \"true -9223372036854775808 /tmp/a b'c\"\ncase \"$TG_T\" in *'`id` \\ ; DROP'*) ;; *) exit 4 ;; esac\n```\n";
        let stages = stages.replace("BYTES", &text.len().to_string());
        small.write(&(values + &stages));
        let run = small.program(RUN).args(["--set", &format!("t={text}")]).run(BOUND).await.unwrap();
        assert_eq!(run.code(), Some(0), "{}", all(&run));
        assert!(small.database.value::<bool>("SELECT to_regclass('victim') IS NOT NULL").await);
        let again = small.program(RUN).args(["--again", "--set", "t=other"]).run(BOUND).await.unwrap();
        assert_eq!(again.code(), Some(3), "{}", all(&again));
        assert!(again.stdout.contains("HALTED at bound"), "{}", all(&again));
        for wrong in
            ["i=9223372036854775808", "b=yes", "part=1.5", "at=2026-01-31", "u=1", "d=1e5", "name=", "nix=1"]
        {
            let refused = small
                .program(["plan", "page.md", "--set", wrong])
                .args(["--set", "t=x"])
                .run(BOUND)
                .await
                .unwrap();
            assert_eq!(refused.code(), Some(2), "{wrong} {}", all(&refused));
            let named = wrong.split('=').next().unwrap();
            assert!(refused.stderr.contains(named), "{wrong} {}", all(&refused));
        }
    });
}
