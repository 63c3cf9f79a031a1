//! `accounts v2 backfill`: copies the first schema to the second, through the engine, while people write.

use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;

use clap::Args;
use serde_json::{Value as Json, json};
use tidegate_engine::embedded::{Page, Seen, Stopped, check, run as run_page};
use tidegate_store::postgres::Session;

use super::{FAILED, ReportArguments, actor, connect, environment, failed, question, say};

/// The rows under which the first schema has the say and may be copied.
const FROM_ROWS: [&str; 2] = ["v1", "mirrored"];

#[derive(Debug, Args)]
pub(crate) struct BackfillArguments {
    #[command(flatten)]
    report: ReportArguments,
}

/// Copies, and writes the report whatever came of it.
pub(super) async fn run(arguments: &BackfillArguments) -> ExitCode {
    let mut report = Report::default();
    let ended = fill(&mut report).await;
    let (code, why) = match ended {
        Ok(()) if report.errors.is_empty() => (0, None),
        Ok(()) => (FAILED, None),
        Err(Stopped { code, why }) => {
            report.errors.push(json!({ "stage": "run", "error": why, "rows": [] }));
            (code, Some(why))
        }
    };
    let document = report.to_json();
    let path = match arguments.report.write("accounts-v2-backfill-report", &document) {
        Ok(path) => path,
        Err(why) => return failed(&format!("[accounts-v2:backfill] failed: {why}"), FAILED),
    };
    if !arguments.report.json {
        say(if code == 0 {
            "accounts-v2 backfill passed"
        } else {
            "accounts-v2 backfill completed with issues"
        });
        for stage in &report.stages {
            say(&stage.line());
        }
        say(&format!("errors={}", report.errors.len()));
        say("warnings=0");
        say(&format!("report={}", path.display()));
    }
    match why {
        Some(why) => failed(&format!("[accounts-v2:backfill] failed: {why}"), code),
        None => ExitCode::from(code),
    }
}

/// What is reported.
#[derive(Debug, Default)]
struct Report {
    stages: Vec<StageReport>,
    errors: Vec<Json>,
}

#[derive(Debug)]
struct StageReport {
    name: String,
    old: i64,
    before: i64,
    after: i64,
    affected: u64,
}

impl StageReport {
    fn line(&self) -> String {
        let Self { name, old, before, after, affected } = self;
        format!("{name}: old={old} before={before} after={after} affected={affected}")
    }
}

impl Report {
    fn to_json(&self) -> Json {
        let stages: Vec<Json> = self
            .stages
            .iter()
            .map(|stage| {
                json!({
                    "stage": stage.name, "oldCount": stage.old, "beforeCount": stage.before,
                    "afterCount": stage.after, "affectedRows": stage.affected,
                })
            })
            .collect();
        json!({
            "ok": self.errors.is_empty(), "generatedAt": format!("{:.3}", jiff::Timestamp::now()),
            "stages": stages, "errors": self.errors, "warnings": [],
        })
    }
}

async fn fill(report: &mut Report) -> Result<(), Stopped> {
    let stopped = |why: String| Stopped { code: FAILED, why };
    let session = connect("accounts v2 backfill").await?;
    if let Some(why) = question::nothing_to_move(&session).await.map_err(stopped)? {
        return Err(stopped(why.to_owned()));
    }
    if let Some((row, _)) = question::flags(&session).await.map_err(stopped)?
        && !FROM_ROWS.contains(&row.as_str())
    {
        return Err(stopped(format!(
            "refused: the flags are at row {row}, where the second schema may hold newer rows than the first; only at \
             v1 and mirrored is it filled from there"
        )));
    }
    let obstacles = question::json(&session, include_str!("backfill/obstacles.sql"), &[]).await;
    if let Json::Array(found) = obstacles.map_err(stopped)? {
        report.errors = found;
    }
    let before = counts(&session).await.map_err(stopped)?;
    report.stages = before
        .iter()
        .map(|(name, old, new)| StageReport {
            name: name.clone(),
            old: *old,
            before: *new,
            after: *new,
            affected: 0,
        })
        .collect();
    if !report.errors.is_empty() {
        // Nothing was written: what the second schema would refuse is settled first.
        return Ok(());
    }
    let page =
        Page { name: "backfill.md", text: include_str!("backfill/page.md").to_owned(), files: Vec::new() };
    let seen = Rc::new(RefCell::new(Seen::default()));
    let ended = run_page(check(page)?, actor(), environment, &seen).await;
    let after = counts(&session).await.map_err(stopped)?;
    for stage in &mut report.stages {
        let steps = seen.borrow();
        let done = steps.done.iter().find(|(step, _)| *step == stage.name);
        stage.affected =
            done.and_then(|(_, done)| done.figures.get("rows_written")).copied().unwrap_or_default();
        if let Some((_, old, new)) = after.iter().find(|(name, _, _)| *name == stage.name) {
            (stage.old, stage.after) = (*old, *new);
        }
    }
    ended
}

/// Each table's rows in both schemas.
async fn counts(session: &Session) -> Result<Vec<(String, i64, i64)>, String> {
    let counted = question::json(session, include_str!("backfill/counts.sql"), &[]).await?;
    let number = |pair: &Json, name: &str| pair.get(name).and_then(Json::as_i64).unwrap_or_default();
    let pairs = counted.as_array().into_iter().flatten();
    Ok(pairs
        .map(|pair| {
            let stage = pair.get("stage").and_then(Json::as_str).unwrap_or_default();
            (stage.to_owned(), number(pair, "old"), number(pair, "new"))
        })
        .collect())
}
