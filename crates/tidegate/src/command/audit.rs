//! `audit verify`: the chain of hashes, of a journal or of a bundle.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tidegate_engine::audit::{AuditVerdict, verify};
use tidegate_engine::bundle::{self, BundleVerdict};
use tidegate_engine::digest::Digest;
use tidegate_engine::plan_store;

use crate::arguments::{AuditArguments, AuditCommand, PageArguments};
use crate::desk::Desk;
use crate::exit_code::{self, ExitCode};
use crate::failure::Failure;
use crate::screen::{Screen, Tone};

/// Most bytes read of a bundle.
const BUNDLE_BYTES_MAX: u64 = 1 << 30;

/// `audit verify --json`
#[derive(Serialize)]
struct Document<'a> {
    exit_code: ExitCode,
    #[serde(flatten)]
    verdict: &'a AuditVerdict,
}

/// `audit verify --bundle FILE --json`
#[derive(Serialize)]
struct BundleDocument<'a> {
    exit_code: ExitCode,
    #[serde(flatten)]
    verdict: &'a BundleVerdict,
    /// Whether the page that was named is the one that ran; `null` if none was.
    page: Option<SamePage>,
}

/// How a page stands to the one that ran.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum SamePage {
    /// The same texts.
    Same,
    /// Other texts of the same meaning.
    SameMeaning,
    /// It means something else.
    Other,
}

pub(crate) async fn perform(screen: &Screen, command: &AuditCommand) -> Result<ExitCode, Failure> {
    let AuditCommand::Verify(arguments) = command;
    // A head is printed with its event's number before it.
    let known = arguments.head.as_deref().map(|head| head.rsplit_once(':').map_or(head, |(_, hash)| hash));
    if let Some(known) = known
        && Digest::from_hex(known).is_none()
    {
        return Err(Failure::usage(
            format!("--head {known}: that is no whole head; a head is 64 hexadecimal digits"),
            "Copy the whole head, as a report or a confirm prints it.",
        ));
    }
    match (&arguments.bundle, &arguments.page) {
        (Some(file), _) => verify_bundle(screen, arguments, file, known),
        (None, Some(page)) => verify_journal(screen, arguments, page, known).await,
        (None, None) => Err(Failure::usage(
            "nothing says what is to be verified",
            "Name the page whose journal it is, or a file: tidegate audit verify --bundle FILE",
        )),
    }
}

async fn verify_journal(
    screen: &Screen,
    arguments: &AuditArguments,
    page: &Path,
    known: Option<&str>,
) -> Result<ExitCode, Failure> {
    let desk = desk(screen, arguments, page)?;
    let home = desk.home("audit").await?;
    let verdict = verify(&home, known).await?;
    home.close().await;
    let exit_code = if verdict.holds() { exit_code::DONE } else { exit_code::DRIFT };
    if screen.is_json() {
        screen.json(&Document { exit_code, verdict: &verdict });
    } else {
        say(screen, verdict.holds(), &verdict.to_string());
    }
    Ok(exit_code)
}

fn verify_bundle(
    screen: &Screen,
    arguments: &AuditArguments,
    file: &Path,
    known: Option<&str>,
) -> Result<ExitCode, Failure> {
    let verdict = bundle::verify(&read(file)?, known).map_err(|why| Failure {
        code: exit_code::DRIFT,
        kind: "drift",
        message: format!("the bundle {} does not hold: {why}", file.display()),
        next: vec!["Have it written anew where its journal is: tidegate report --bundle FILE".to_owned()],
    })?;
    // One that only stands in the environment was not named for this.
    let in_environment = std::env::var_os("TIDEGATE_RUNBOOK");
    let named = arguments.page.as_deref().filter(|page| in_environment.as_deref() != Some(page.as_os_str()));
    let page = named.map(|page| desk(screen, arguments, page)).transpose()?;
    let page = page.map(|desk| same_page(&desk, &verdict));
    let holds = verdict.holds() && page != Some(SamePage::Other);
    let exit_code = if holds { exit_code::DONE } else { exit_code::DRIFT };
    if screen.is_json() {
        screen.json(&BundleDocument { exit_code, verdict: &verdict, page });
        return Ok(exit_code);
    }
    let about_page = match page {
        None => "",
        Some(SamePage::Same) => ". The page is the one that ran, to the letter",
        Some(SamePage::SameMeaning) => {
            ". The page means what the one that ran meant; comments or prose differ"
        }
        Some(SamePage::Other) => ". The page is not the one that ran: it means something else",
    };
    say(screen, holds, &format!("{verdict}{about_page}"));
    Ok(exit_code)
}

fn say(screen: &Screen, holds: bool, what: &str) {
    let (tone, word) = if holds { (Tone::Good, "holds:") } else { (Tone::Bad, "DRIFT:") };
    screen.data(&format!("{} {what}", screen.paint(tone, word)));
}

fn desk(screen: &Screen, arguments: &AuditArguments, page: &Path) -> Result<Desk, Failure> {
    let page = PageArguments { page: page.to_owned(), stores: arguments.stores.clone() };
    Desk::open(screen, &page, &BTreeMap::new())
}

fn same_page(desk: &Desk, verdict: &BundleVerdict) -> SamePage {
    if plan_store::encode(&desk.program.sources).0 == verdict.texts {
        SamePage::Same
    } else if desk.program.meaning() == verdict.meaning {
        SamePage::SameMeaning
    } else {
        SamePage::Other
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let refused = |why: String| {
        Failure::usage(
            format!("--bundle {}: {why}", file.display()),
            "Name a file that `tidegate report --bundle FILE` wrote.",
        )
    };
    let long = std::fs::metadata(file).map_err(|error| refused(error.to_string()))?.len();
    if long > BUNDLE_BYTES_MAX {
        return Err(refused(format!("it has {long} bytes, and at most {BUNDLE_BYTES_MAX} are read")));
    }
    std::fs::read(file).map_err(|error| refused(error.to_string()))
}

/// The page that the command line names.
pub(crate) fn page_of(command: &AuditCommand) -> Option<&PathBuf> {
    let AuditCommand::Verify(arguments) = command;
    arguments.page.as_ref()
}
