//! What every command with a page has on its desk: the checked page, its stores, and the screen.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tidegate_engine::doors::{Doors, Entrance};
use tidegate_engine::program::Program;
use tidegate_engine::redact::{Redactor, secrets_of_url};
use tidegate_engine::setup::Options;
use tidegate_runbook::{Diagnostic, Name, Runbook, StoreKind, parse};
use tidegate_store::postgres::Session;

use crate::arguments::{PageArguments, RunInput, StoreArguments};
use crate::exit_code;
use crate::failure::Failure;
use crate::page;
use crate::render::diagnostics;
use crate::screen::Screen;

/// What every command with a page has on its desk.
#[derive(Clone)]
pub(crate) struct Desk {
    /// The page.
    pub(crate) program: Rc<Program>,
    /// Its stores.
    pub(crate) doors: Rc<Doors>,
    /// Where words go.
    pub(crate) screen: Screen,
    /// The page as the command line named it, if it did; else it stands in `TIDEGATE_RUNBOOK`.
    pub(crate) page: Option<PathBuf>,
}

impl Desk {
    /// Reads and checks the page.
    ///
    /// # Errors
    /// Exit code 2 if it is no runbook; what is wrong was shown then.
    pub(crate) fn open(
        screen: &Screen,
        arguments: &PageArguments,
        sets: &BTreeMap<String, String>,
    ) -> Result<Self, Failure> {
        let (mut runbook, sources) = read(screen, &arguments.page)?;
        choose_home(&mut runbook, &arguments.stores)?;
        let doors = Doors::new(&runbook, Box::new(|name| std::env::var(name).ok())).ok_or_else(|| {
            Failure::usage("the page has no home store", "Mark one store with `home = true`.")
        })?;
        screen.hide(Redactor::new(secrets(&runbook, &doors, sets).iter().map(String::as_str)));
        let from_environment =
            std::env::var_os("TIDEGATE_RUNBOOK").is_some_and(|page| Path::new(&page) == arguments.page);
        Ok(Self {
            program: Rc::new(Program::new(runbook, sources)),
            doors: Rc::new(doors),
            screen: screen.clone(),
            page: (!from_environment).then(|| arguments.page.clone()),
        })
    }

    /// A connection to the home store.
    ///
    /// # Errors
    /// As the store says.
    pub(crate) async fn home(&self, command: &str) -> Result<Session, Failure> {
        Ok(self.doors.connect_home(&format!("tidegate/{command}")).await?)
    }

    /// `file:line` of a step.
    pub(crate) fn place(&self, step: &Name) -> Option<String> {
        self.program.step(step).map(|step| self.program.places.describe(&step.head))
    }
}

/// Reads and checks a page; what is wrong with it is shown.
fn read(screen: &Screen, path: &Path) -> Result<(Runbook, tidegate_runbook::Sources), Failure> {
    let sources = page::read(path)?;
    let parsed = parse(&sources);
    match parsed.runbook {
        Some(runbook) => Ok((runbook, sources)),
        None => {
            screen.talk(&diagnostics::text(screen, &sources, &parsed.diagnostics));
            Err(not_a_runbook(path, &parsed.diagnostics))
        }
    }
}

/// The failure of a page that is no runbook.
pub(crate) fn not_a_runbook(path: &Path, found: &[Diagnostic]) -> Failure {
    let errors =
        found.iter().filter(|diagnostic| diagnostic.severity == tidegate_runbook::Severity::Error).count();
    Failure {
        code: exit_code::USAGE,
        kind: "page",
        message: format!("{} is no runbook yet: {errors} to mend; nothing was touched", path.display()),
        next: vec!["Mend what is listed, then look again: tidegate check".to_owned()],
    }
}

fn choose_home(runbook: &mut Runbook, arguments: &StoreArguments) -> Result<(), Failure> {
    let Some(wanted) = &arguments.home else { return Ok(()) };
    let names: Vec<&str> = runbook
        .stores
        .iter()
        .filter(|store| store.kind == StoreKind::Postgres)
        .map(|store| store.name.as_str())
        .collect();
    if !names.contains(&wanted.as_str()) {
        return Err(Failure::usage(
            format!("--home {wanted}: the page has no PostgreSQL store of that name"),
            format!("It has: {}.", names.join(", ")),
        ));
    }
    for store in &mut runbook.stores {
        store.home = store.name.as_str() == wanted;
    }
    Ok(())
}

/// Every text that must never be written: passwords of addresses, and parameters marked secret.
fn secrets(runbook: &Runbook, doors: &Doors, sets: &BTreeMap<String, String>) -> Vec<String> {
    let mut secrets = Vec::new();
    for store in &runbook.stores {
        let logins = store.logins.iter().map(|(login, _)| Entrance::Login(login.clone()));
        for entrance in [Entrance::Direct, Entrance::Pooled].into_iter().chain(logins) {
            if let Ok(url) = doors.url(&store.name, &entrance) {
                secrets.extend(secrets_of_url(&url));
            }
            if matches!(store.kind, StoreKind::Postgres | StoreKind::Pgbouncer)
                && let Ok(address) = doors.address(&store.name, &entrance)
            {
                secrets.extend(address.secrets().into_iter().map(str::to_owned));
            }
        }
    }
    for parameter in runbook.parameters.iter().filter(|parameter| parameter.secret) {
        let from_environment = parameter.env.as_deref().and_then(|name| std::env::var(name).ok());
        secrets.extend(sets.get(parameter.name.as_str()).cloned());
        secrets.extend(from_environment);
        secrets.extend(parameter.default.clone());
    }
    secrets
}

/// `--set name=value` as a map.
///
/// # Errors
/// Exit code 2 for one that has no `=` or is given twice.
pub(crate) fn sets(given: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let mut sets = BTreeMap::new();
    for (number, text) in given.iter().enumerate() {
        // The text itself may be a secret: it is named by its place.
        let (name, value) = text.split_once('=').ok_or_else(|| {
            Failure::usage(format!("--set number {} has no `=`", number + 1), "Write --set NAME=VALUE.")
        })?;
        if sets.insert(name.trim().to_owned(), value.to_owned()).is_some() {
            return Err(Failure::usage(format!("--set {name} is given twice"), "Give it once."));
        }
    }
    Ok(sets)
}

/// What the engine is told.
///
/// # Errors
/// Exit code 2 if the evidence cannot be read.
pub(crate) fn options(
    actor: Option<&str>,
    input: &RunInput,
    sets: &BTreeMap<String, String>,
) -> Result<Options, Failure> {
    let evidence = match &input.evidence {
        None => None,
        Some(path) => Some(std::fs::read(path).map_err(|error| {
            Failure::usage(
                format!("--evidence {}: {error}", path.display()),
                "Name a file that `tidegate report --bundle FILE` wrote.",
            )
        })?),
    };
    Ok(Options {
        actor: actor.unwrap_or_default().to_owned(),
        sets: sets.clone(),
        evidence,
        without_evidence: input.without_evidence.clone(),
        again: false,
        head: input.head.clone(),
        memory: memory(),
    })
}

/// Where this user's last seen heads are kept.
fn memory() -> Option<PathBuf> {
    if std::env::var_os("TIDEGATE_NO_MEMORY").is_some_and(|value| value == "1") {
        return None;
    }
    let state = std::env::var_os("XDG_STATE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let home = || std::env::var_os("HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    state.or_else(|| Some(home()?.join(".local/state"))).map(|folder| folder.join("tidegate"))
}

/// The name under which a person acts.
///
/// # Errors
/// Exit code 2 if there is none.
pub(crate) fn actor<'a>(given: Option<&'a str>, what: &str) -> Result<&'a str, Failure> {
    given.map(str::trim).filter(|actor| !actor.is_empty()).ok_or_else(|| {
        Failure::usage(
            format!("{what} changes things and needs --actor"),
            "Add --actor NAME: it is journaled.",
        )
    })
}

/// A name from the command line.
///
/// # Errors
/// Exit code 2 if it is no name.
pub(crate) fn name(what: &str, text: &str) -> Result<Name, Failure> {
    Name::parse(text).map_err(|error| {
        Failure::usage(format!("{what}: {error}"), "Names are those of the page: tidegate check")
    })
}
