//! `accounts v2 verify`: compares both schemas, every row and every column, through the engine.

use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;

use clap::Args;
use serde_json::{Value as Json, json};
use tidegate_engine::embedded::{Page, Seen, Stopped, check, run as run_page};
use tidegate_store::postgres::{Session, Type};

use super::{FAILED, ReportArguments, actor, connect, environment, failed, question, say};

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    #[command(flatten)]
    report: ReportArguments,
    /// Accounts that the report shows as people would look at them.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(i32).range(0..=1000))]
    sample_size: i32,
    /// Counts the deleted, too.
    #[arg(long)]
    reconcile: bool,
}

/// Compares, keeps the result, and writes the report whatever came of it.
pub(super) async fn run(arguments: &VerifyArguments) -> ExitCode {
    let mut checks = Vec::new();
    let ended = verify(arguments, &mut checks).await;
    let (code, why) = match ended {
        Ok(()) if checks.iter().all(passes) => (0, None),
        Ok(()) => (FAILED, None),
        Err(Stopped { code, why }) => (code, Some(why)),
    };
    let mut document = json!({
        "ok": code == 0, "generatedAt": format!("{:.3}", jiff::Timestamp::now()), "checks": checks,
    });
    if let (Some(why), Json::Object(fields)) = (&why, &mut document) {
        fields.insert("error".to_owned(), json!(why));
    }
    let path = match arguments.report.write("accounts-v2-verify-report", &document) {
        Ok(path) => path,
        Err(why) => return failed(&format!("[accounts-v2:verify] failed: {why}"), FAILED),
    };
    if !arguments.report.json {
        for check in &checks {
            say(&format!("{} {}", if passes(check) { "PASS" } else { "FAIL" }, name_of(check)));
        }
        say(&format!("report={}", path.display()));
    }
    match why {
        Some(why) => failed(&format!("[accounts-v2:verify] failed: {why}"), code),
        None => ExitCode::from(code),
    }
}

fn passes(check: &Json) -> bool {
    check.get("ok") == Some(&Json::Bool(true))
}

/// A check's name, or its type and table.
fn name_of(check: &Json) -> String {
    let text = |key: &str| check.get(key).and_then(Json::as_str);
    text("name").map_or_else(
        || format!("{}:{}", text("type").unwrap_or_default(), text("table").unwrap_or_default()),
        str::to_owned,
    )
}

async fn verify(arguments: &VerifyArguments, checks: &mut Vec<Json>) -> Result<(), Stopped> {
    let stopped = |why: String| Stopped { code: FAILED, why };
    let session = connect("accounts v2 verify").await?;
    if let Some(why) = question::nothing_to_move(&session).await.map_err(stopped)? {
        return Err(stopped(why.to_owned()));
    }
    let epoch = question::flags(&session).await.map_err(stopped)?.map(|(_, epoch)| epoch);
    let counted =
        question::json(&session, include_str!("backfill/counts.sql"), &[]).await.map_err(stopped)?;
    for pair in counted.as_array().into_iter().flatten() {
        let field = |name: &str| pair.get(name).cloned().unwrap_or_default();
        let (table, old, new) = (field("stage"), field("old"), field("new"));
        let old_table =
            accounts::recon::MAPPING.iter().find(|(_, known)| table == *known).map(|(old, _)| *old);
        checks.push(json!({
            "type": "count", "table": table, "oldTable": old_table, "oldCount": old, "newCount": new,
            "ok": old == new,
        }));
    }
    let page = Page { name: "verify.md", text: include_str!("verify/page.md").to_owned(), files: Vec::new() };
    let seen = Rc::new(RefCell::new(Seen::default()));
    let ended = run_page(check(page)?, actor(), environment, &seen).await;
    for (table, outcome) in &seen.borrow().done {
        let figure = |name: &str| outcome.figures.get(name).copied().unwrap_or_default();
        let (missing, extra, differing) = (figure("missing"), figure("extra"), figure("differing"));
        checks.push(json!({
            "type": "content", "table": table, "missing": missing, "extra": extra, "differing": differing,
            "ok": missing + extra + differing == 0,
        }));
    }
    ended?;
    let size = arguments.sample_size;
    let integrity = question::json(&session, include_str!("verify/integrity.sql"), &[]).await;
    take(checks, integrity.map_err(stopped)?);
    let samples = question::json(&session, include_str!("verify/samples.sql"), &[(&size, Type::INT4)]).await;
    take(checks, samples.map_err(stopped)?);
    if arguments.reconcile {
        let reconciled = question::json(&session, include_str!("verify/reconcile.sql"), &[]).await;
        take(checks, reconciled.map_err(stopped)?);
    }
    keep(&session, checks, epoch).await.map_err(stopped)
}

fn take(checks: &mut Vec<Json>, more: Json) {
    if let Json::Array(more) = more {
        checks.extend(more);
    }
}

/// Keeps the result where the archive looks for it.
async fn keep(session: &Session, checks: &[Json], epoch: Option<i64>) -> Result<(), String> {
    let failing: Vec<String> = checks.iter().filter(|check| !passes(check)).map(name_of).collect();
    let count = i32::try_from(checks.len()).unwrap_or(i32::MAX);
    let (ok, by) = (failing.is_empty(), actor());
    session
        .execute(
            include_str!("verify/keep.sql"),
            &[
                (&ok, Type::BOOL),
                (&count, Type::INT4),
                (&failing, Type::TEXT_ARRAY),
                (&epoch, Type::INT8),
                (&by, Type::TEXT),
            ],
        )
        .await
        .map_err(|failure| failure.to_string())?;
    Ok(())
}
