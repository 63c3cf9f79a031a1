//! `--json`: one document a command, one line an event; talk stays on stderr.

use serde_json::Value as Json;

use crate::ledger_stage::on_stage;
use crate::small_page::{SmallPage, all};

fn lines(text: &str) -> Vec<Json> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

fn kinds(lines: &[Json]) -> Vec<&str> {
    lines.iter().filter_map(|line| line.pointer("/type").and_then(Json::as_str)).collect()
}

#[test]
fn every_command_writes_json_that_parses() {
    on_stage(async {
        let small = SmallPage::new().await;
        let check = small.document(0, ["check", "page.md", "--json"]).await;
        assert_eq!(check.pointer("/runbook/stages/1/steps/0/id").unwrap(), "make_tags");
        let plan = small.document(0, ["plan", "page.md", "--json"]).await;
        assert_eq!(plan.pointer("/lines/2/finding/needs").unwrap(), "make_tags");
        let none = small.document(0, ["status", "page.md", "--json"]).await;
        assert!(none.pointer("/run").unwrap().is_null());

        let run = small.ends(6, ["run", "page.md", "--apply", "--actor", "ann", "--json"]).await;
        let shown = lines(&run.stdout);
        assert!(kinds(&shown).contains(&"event"));
        let ending = shown.last().unwrap();
        assert_eq!(ending.pointer("/type").unwrap(), "ending");
        assert_eq!(ending.pointer("/ending").unwrap(), "waiting");
        assert_eq!(ending.pointer("/exit_code").unwrap(), 6);
        assert_eq!(ending.pointer("/head/seq").unwrap(), 6);
        assert!(ending.pointer("/at").unwrap().as_str().unwrap().starts_with("page.md:"));
        assert!(run.stderr.contains("WAITING at go"), "a person reads the same on stderr: {}", all(&run));

        let approved = small.document(0, ["approve", "go", "page.md", "--actor", "bob", "--json"]).await;
        assert_eq!(approved.pointer("/taken").unwrap(), false);
        let done = small.ends(0, ["run", "page.md", "--apply", "--actor", "ann", "--json"]).await;
        assert_eq!(lines(&done.stdout).last().unwrap().pointer("/ending").unwrap(), "done");

        let status = small.document(0, ["status", "page.md", "--json"]).await;
        assert_eq!(status.pointer("/phase").unwrap(), "finished");
        assert_eq!(status.pointer("/steps_done").unwrap(), status.pointer("/steps_total").unwrap());
        let events = lines(&small.ends(0, ["events", "page.md", "--json"]).await.stdout);
        let seqs: Vec<u64> =
            events.iter().map(|event| event.pointer("/seq").unwrap().as_u64().unwrap()).collect();
        assert_eq!(seqs, (1..=u64::try_from(seqs.len()).unwrap()).collect::<Vec<_>>());
        assert_eq!(events[0].pointer("/event/kind").unwrap(), "run_started");

        let report = small.document(0, ["report", "page.md", "--json"]).await;
        assert_eq!(report.pointer("/runbook").unwrap(), "small");
        let recheck = small.document(0, ["recheck", "page.md", "--json"]).await;
        assert!(!recheck.pointer("/lines").unwrap().as_array().unwrap().is_empty());
        small.document(0, ["doctor", "page.md", "--json"]).await;
        small.document(0, ["sessions", "page.md", "--json"]).await;
        small.document(0, ["audit", "verify", "page.md", "--json"]).await;
        let back = small.document(0, ["rollback", "page.md", "--json"]).await;
        assert_eq!(back.pointer("/ways/0/order/0").unwrap(), "make_marks");
        let gone = small
            .ends(7, ["rollback", "page.md", "--to", "start", "--apply", "--actor", "ann", "--json"])
            .await;
        assert_eq!(lines(&gone.stdout).last().unwrap().pointer("/ending").unwrap(), "rolled_back");
    });
}

#[test]
fn a_failure_is_a_document_too() {
    on_stage(async {
        let small = SmallPage::new().await;
        let failure = small.document(2, ["run", "page.md", "--apply", "--json"]).await;
        assert_eq!(failure.pointer("/error/kind").unwrap(), "usage");
        assert!(!failure.pointer("/error/next").unwrap().as_array().unwrap().is_empty());
        small.write("# Nothing\n");
        let page = small.document(2, ["check", "page.md", "--json"]).await;
        assert_eq!(page.pointer("/diagnostics/0/code").unwrap(), "no-runbook");
        assert!(page.pointer("/runbook").unwrap().is_null());
    });
}

#[test]
fn a_bundle_of_one_place_opens_a_run_in_another() {
    on_stage(async {
        let staging = SmallPage::new().await;
        let live = SmallPage::new().await;
        let page = crate::small_page::PAGE
            .replace("[parameters]", "[needs_run]\nnot_older_than = \"1d\"\n\n[parameters]");
        live.write(&page);
        let refused = live.ends(2, ["run", "page.md", "--apply", "--actor", "ann"]).await;
        assert!(refused.stderr.contains("no --evidence was given"), "{}", all(&refused));
        // The page of both places is the same: it needs no bundle where one can be given.
        staging.run_to_the_end().await;
        let bundle = live.folder().join("bundle.json");
        staging.ends(0, ["report", "page.md", "--bundle", bundle.to_str().unwrap()]).await;
        let text = std::fs::read_to_string(&bundle).unwrap();
        let other =
            live.ends(2, ["run", "page.md", "--apply", "--actor", "ann", "--evidence", "bundle.json"]).await;
        assert!(other.stderr.contains("of another page"), "{}", all(&other));
        std::fs::write(&bundle, text.replace("ann", "eve")).unwrap();
        let forged =
            live.ends(2, ["run", "page.md", "--apply", "--actor", "ann", "--evidence", "bundle.json"]).await;
        assert!(forged.stderr.contains("it was changed"), "{}", all(&forged));
    });
}
