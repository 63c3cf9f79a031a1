//! A record's, check's or watch's question asked on a connection of its own.

use tidegate_runbook::{
    Action, Check, Cohort, Compare, Expectation, KeptValue, KvBody, Over, Question, SqlBody, StoreKind,
};
use tidegate_store::http::Client;
use tidegate_store::pgbouncer;
use tidegate_store::postgres::Session;

use crate::cohort::{self, Roster};
use crate::doors::Entrance;
use crate::error::StepError;
use crate::job::Job;
use crate::question::http::HttpQuestion;
use crate::question::kv::{self, KEYS_MAX, KvQuestion};
use crate::question::sql::{SqlQuestion, ask_alone};
use crate::question::{Answered, Reply, http, script};
use crate::values::Relation;
use crate::verb::{self, compare};
use crate::verdict::Verdict;

/// Asks what the job's step asks.
pub(crate) async fn ask(job: Job<'_>) -> Answered {
    match &job.step.action {
        Action::Record(record) => match &record.question {
            Question::Sql(body) => Box::pin(ask_record(job, body, record.rows)).await,
            Question::Http(request) => Box::pin(ask_http(job, request, &[], &record.values)).await,
            Question::Kv(body) => Box::pin(ask_keys(job, body, &[])).await,
            Question::Sh(script) => Box::pin(ask_script(job, script, &[])).await,
        },
        Action::Check(check) => match &check.question {
            Question::Sql(body) => Box::pin(ask_sql(job, &job.check_question(body, check))).await,
            Question::Http(request) => match &check.cohort {
                None => Box::pin(ask_http(job, request, &check.expect, &check.values)).await,
                Some(cohort) => Box::pin(ask_each(job, request, check, cohort)).await,
            },
            Question::Kv(body) => Box::pin(ask_keys(job, body, &check.expect)).await,
            Question::Sh(script) => Box::pin(ask_script(job, script, &check.expect)).await,
        },
        Action::Watch(watch) => {
            Box::pin(ask_watch(job, &watch.question, &watch.expect, watch.over.as_ref())).await
        }
        Action::Compare(compare) => Box::pin(ask_compare(job, compare)).await,
        Action::Backup(_)
        | Action::Restore(_)
        | Action::BackupKeys(_)
        | Action::RestoreKeys(_)
        | Action::Rekey(_)
        | Action::Migrate(_)
        | Action::Backfill(_)
        | Action::Flags(_)
        | Action::Seal(_)
        | Action::Retire(_)
        | Action::Evict(_)
        | Action::Confirm(_)
        | Action::Command(_) => Answered::failed(format!("`{}` asks nothing", job.step.action.verb())),
    }
}

async fn ask_watch(
    job: Job<'_>,
    question: &Question,
    expect: &[Expectation],
    over: Option<&Over>,
) -> Answered {
    match question {
        Question::Sql(body) => Box::pin(ask_sql(job, &job.watch_question(body, expect, over))).await,
        Question::Http(request) => Box::pin(ask_http(job, request, expect, &[])).await,
        Question::Kv(body) => Box::pin(ask_keys(job, body, expect)).await,
        Question::Sh(script) => Box::pin(ask_script(job, script, expect)).await,
    }
}

async fn ask_record(job: Job<'_>, body: &SqlBody, rows: bool) -> Answered {
    if job.doors.kind(job.store()).is_ok_and(|kind| kind == StoreKind::Pgbouncer) {
        return ask_console(job, body).await;
    }
    let direct = matches!(Entrance::of(job.step), Entrance::Direct | Entrance::Login(_));
    let question = SqlQuestion { keep_all: !rows, types: direct, ..job.question(body, &[]) };
    ask_sql(job, &question).await
}

async fn ask_compare(job: Job<'_>, compare: &Compare) -> Answered {
    match job.doors.connect(job.store(), &Entrance::Direct, &job.application()).await {
        Ok(session) => {
            let answered = compare::ask_alone(&session, job, compare).await;
            session.close().await;
            answered
        }
        Err(error) => Answered::unreached(&error),
    }
}

/// Asks on a session of its own and closes it: no lock, setting or temporary table outlives the question.
async fn ask_sql(job: Job<'_>, question: &SqlQuestion<'_>) -> Answered {
    let session: Session =
        match job.doors.connect(job.store(), &Entrance::of(job.step), &job.application()).await {
            Ok(session) => session,
            Err(error) => return Answered::unreached(&error),
        };
    let answered = ask_alone(&session, question).await;
    session.close().await;
    answered
}

async fn ask_http(
    job: Job<'_>,
    request: &tidegate_runbook::HttpRequest,
    expect: &[Expectation],
    keep: &[KeptValue],
) -> Answered {
    let base = match job.doors.url(job.store(), &Entrance::Direct) {
        Ok(base) => base,
        Err(error) => return Answered::unknown(error.to_string()),
    };
    let question = HttpQuestion {
        base: &base,
        request,
        expect,
        keep,
        extra_headers: Vec::new(),
        timeout: job.statement_timeout(),
        values: job.values,
    };
    match job.step.action.cohort() {
        None => http::ask_one(&Client::new(), &question).await,
        Some(_) => http::ask(&Client::new(), &question).await,
    }
}

/// Asks for each row of a cohort; holds unless more fail than may.
async fn ask_each(
    job: Job<'_>,
    request: &tidegate_runbook::HttpRequest,
    check: &Check,
    cohort: &Cohort,
) -> Answered {
    let roster = match Roster::new(job.values, cohort, &check.values) {
        Ok(roster) => roster,
        Err(StepError::Value(missing)) => return Answered::unknown(missing.to_string()),
        Err(error) => return Answered::failed(error.to_string()),
    };
    let mut values = job.values.clone();
    let mut judged = Vec::new();
    for row in roster.rows() {
        roster.put(row, &mut values);
        let job = Job { values: &values, ..job };
        judged
            .push(verb::command::cohort::judged(ask_http(job, request, &check.expect, &check.values).await));
    }
    let rows = roster.rows().iter().zip(&judged);
    let failed: Vec<(&[Option<String>], &str)> =
        rows.filter_map(|(row, judged)| Some((row.as_slice(), judged.failed.as_deref()?))).collect();
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let verdict = if judged.is_empty() {
        Verdict::Unknown(format!("nothing examined: {} keeps no rows", cohort.over))
    } else if cohort.max_failure_rate.is_exceeded_by(count(failed.len()), count(judged.len())) {
        Verdict::Fail(format!(
            "it fails for {} of {}, {}, and may for at most {}: {}",
            failed.len(),
            judged.len(),
            cohort::percent(failed.len(), judged.len()),
            cohort.max_failure_rate,
            cohort::failures(failed.into_iter()),
        ))
    } else {
        Verdict::Pass
    };
    Answered::new(verdict, Reply::Rows(roster.kept(&judged, &check.values)))
}

async fn ask_script(job: Job<'_>, script: &tidegate_runbook::Script, expect: &[Expectation]) -> Answered {
    let path = job.doors.environment("PATH").unwrap_or_default();
    script::ask(script, expect, &path, job.statement_timeout(), job.values).await
}

/// Reads a key-value store, within the step's time.
async fn ask_keys(job: Job<'_>, body: &KvBody, expect: &[Expectation]) -> Answered {
    let reading = async {
        match job.doors.keys(job.store()).await {
            Ok(store) => {
                let question = KvQuestion { body, expect, values: job.values, keys_max: KEYS_MAX };
                kv::ask(&store, &question).await
            }
            Err(error) => Answered::unreached(&error),
        }
    };
    let limit = job.statement_timeout();
    let mut answered = tokio::time::timeout(limit, reading).await.unwrap_or_else(|_| {
        Answered::unknown(format!("store {} did not answer within {limit:?}", job.store()))
    });
    let redactor = job.doors.without_password(job.store());
    if let Verdict::Fail(text) | Verdict::Unknown(text) = &mut answered.verdict {
        *text = redactor.redact(text);
    }
    for line in &mut answered.told {
        *line = redactor.redact(line);
    }
    answered
}

/// The console knows neither transactions nor types: a column of whole numbers is `bigint`, all else is text.
async fn ask_console(job: Job<'_>, body: &SqlBody) -> Answered {
    let Some(statement) = body.statements.first() else {
        return Answered::failed("the step has no statement".to_owned());
    };
    let rendered = match job.values.sql(statement) {
        Ok(rendered) => rendered,
        Err(missing) => return Answered::unknown(missing.to_string()),
    };
    let address = match job.doors.address(job.store(), &Entrance::of(job.step)) {
        Ok(address) => address,
        Err(error) => return Answered::unknown(error.to_string()),
    };
    let what = rendered.text.trim();
    let shown = what.get(..4).filter(|word| word.eq_ignore_ascii_case("show"));
    let Some(what) = shown.and_then(|_| what.get(4..)) else {
        return Answered::failed("the console answers SHOW only".to_owned());
    };
    match pgbouncer::show(&address, what.trim()).await {
        Err(failure) => Answered::unknown(failure.to_string()),
        Ok(rows) => {
            let columns = rows
                .columns
                .iter()
                .enumerate()
                .map(|(index, name)| {
                    let mut cells = rows.rows.iter().map(|row| row.get(index).cloned().flatten());
                    let whole = cells.all(|cell| cell.is_none_or(|text| text.parse::<i64>().is_ok()));
                    (name.clone(), if whole && !rows.rows.is_empty() { "bigint" } else { "text" }.to_owned())
                })
                .collect();
            let relation = Relation { columns, rows: rows.rows };
            Answered::new(Verdict::Pass, Reply::Rows(relation))
        }
    }
}
