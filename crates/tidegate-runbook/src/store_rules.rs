//! Which store a step speaks to, and whether it may.

use crate::diagnostic::Diagnostic;
use crate::draft::{Draft, Drafts};
use crate::front::Front;
use crate::runbook::{Store, StoreKind};
use crate::source::Span;
use crate::sql::SqlBody;
use crate::step::{Action, Question, Step, Via};
use crate::text::SourceText;
use crate::vocabulary::{Language, Verb};

/// Sets every step's store and checks what depends on it.
pub(crate) fn assign(
    page: &SourceText<'_>,
    front: &Front,
    drafts: &mut Drafts,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let of_stages = drafts.stages.iter_mut().flat_map(|stage| &mut stage.steps);
    let of_ways = drafts.ways.iter_mut().flat_map(|way| &mut way.steps);
    for draft in of_stages.chain(of_ways) {
        let head = page.span(draft.head.clone());
        let place = |word: &'static str| draft.mentioned(word).next().map(|mention| mention.span.clone());
        let (store_place, login_place) = (place("store"), place("login"));
        let (verb, language) = (draft.verb, draft.language);
        let Draft { step: Some(step), .. } = draft else { continue };
        let Some(store) = choose(front, language, step, store_place.as_ref(), &head, diagnostics) else {
            continue;
        };
        step.store = Some(store.name.clone());
        let place = store_place.unwrap_or_else(|| head.clone());
        let mut rules = Rules { store, step, place, head, diagnostics };
        if rules.kind_fits(verb, language) {
            rules.login(login_place, front.whole);
            rules.pooled();
            rules.home(verb);
            rules.rehearsal(front.whole);
        }
    }
}

/// The store that a step names, or the one it means.
fn choose<'f>(
    front: &'f Front,
    language: Language,
    step: &Step,
    named_at: Option<&Span>,
    head: &Span,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<&'f Store> {
    if matches!(language, Language::Sh | Language::Text) {
        return None;
    }
    if let Some(name) = &step.store {
        let found = front.stores.iter().find(|store| &store.name == name);
        if found.is_none() && front.whole {
            let known: Vec<&str> = front.stores.iter().map(|store| store.name.as_str()).collect();
            diagnostics.push(Diagnostic::error(
                "unknown-store",
                named_at.unwrap_or(head).clone(),
                format!("there is no store `{name}`"),
                format!("declare `[stores.{name}]`, or write one of: {}", known.join(", ")),
            ));
        }
        return found;
    }
    let (kind, what, example) = match language {
        Language::Http => (
            StoreKind::Http,
            "to send this",
            "`[stores.service]`, `kind = \"http\"`, `url = \"$SERVICE_URL\"`",
        ),
        Language::Kv => (StoreKind::Kv, "to look", "`[stores.keys]`, `kind = \"kv\"`, `url = \"$KEYS_URL\"`"),
        Language::Sql | Language::Toml | Language::Sh | Language::Text => {
            return front.stores.iter().find(|store| store.home);
        }
    };
    let mut fitting = front.stores.iter().filter(|store| store.kind == kind);
    match (fitting.next(), fitting.next()) {
        (Some(only), None) => Some(only),
        (None, _) => {
            if front.whole {
                diagnostics.push(Diagnostic::error(
                    "store-missing",
                    head.clone(),
                    format!("no store of kind {} is declared, so there is nowhere {what}", kind.name()),
                    format!("declare one: {example}"),
                ));
            }
            None
        }
        (Some(_), Some(_)) => {
            diagnostics.push(Diagnostic::error(
                "store-missing",
                head.clone(),
                format!("several stores of kind {} are declared, and this step names none", kind.name()),
                "add `# @store name`",
            ));
            None
        }
    }
}

struct Rules<'r> {
    store: &'r Store,
    step: &'r Step,
    /// Where the store is named, else the head.
    place: Span,
    head: Span,
    diagnostics: &'r mut Vec<Diagnostic>,
}

impl Rules<'_> {
    fn push(&mut self, code: &'static str, place: Span, message: String, help: &str) {
        self.diagnostics.push(Diagnostic::error(code, place, message, help));
    }

    fn kind_fits(&mut self, verb: Verb, language: Language) -> bool {
        let (name, kind) = (self.store.name.clone(), self.store.kind);
        let of_keys =
            matches!(self.step.action, Action::BackupKeys(_) | Action::RestoreKeys(_) | Action::Rekey(_));
        if language == Language::Toml && (kind == StoreKind::Kv) != of_keys {
            return self.form_fits(verb, of_keys);
        }
        let fits = match kind {
            StoreKind::Postgres => matches!(language, Language::Sql | Language::Toml),
            StoreKind::Http => language == Language::Http,
            StoreKind::Kv => language == Language::Kv || of_keys,
            StoreKind::Pgbouncer => language == Language::Sql && verb == Verb::Record,
        };
        if kind == StoreKind::Pgbouncer {
            if !fits || !self.is_show() {
                let message = format!("store `{name}` is a pooler's console, which answers SHOW only");
                let help = "ask it with `@record`, `@rows` and a single SHOW statement";
                self.push("pgbouncer-show-only", self.place.clone(), message, help);
                return false;
            }
            let refused = [
                (self.step.role.is_some(), "role"),
                (self.step.login.is_some(), "login"),
                (self.step.via == Via::Pooled, "via"),
            ];
            for (_, word) in refused.into_iter().filter(|(given, _)| *given) {
                let message = format!("`@{word}` has no meaning on a pooler's console");
                self.push("pgbouncer-show-only", self.head.clone(), message, "remove it");
            }
            return true;
        }
        if !fits {
            let message = format!(
                "store `{name}` is of kind {}, but this step is written in {}",
                kind.name(),
                language.name()
            );
            self.push(
                "store-kind",
                self.place.clone(),
                message,
                "name a store of the kind that fits the language",
            );
        }
        fits
    }

    /// A verb that has one form for databases and one for keys stands in the other one, or has none for keys.
    fn form_fits(&mut self, verb: Verb, of_keys: bool) -> bool {
        let (store, kind) = (&self.store.name, self.store.kind.name());
        let (message, help) = match verb {
            Verb::Backup if of_keys => (
                format!("store `{store}` is of kind {kind} and has no `namespaces`"),
                "name a store of kind kv in `@store`, or leave `namespaces` out",
            ),
            Verb::Backup => (
                format!("store `{store}` is of kind {kind}, and the step does not say which keys are copied"),
                "write `namespaces = [\"…\"]`",
            ),
            Verb::Restore if of_keys => (
                format!("store `{store}` is of kind {kind}, which is put back whole, without a `mode`"),
                "name a store of kind kv in `@store`, or leave `mode` out",
            ),
            Verb::Restore => (
                format!(
                    "store `{store}` is of kind {kind}, and the step does not say what becomes of later writes"
                ),
                "write `mode = \"exact\"` or `mode = \"missing\"`",
            ),
            verb => (
                format!("`@{}` has no meaning on store `{store}`, which is of kind {kind}", verb.name()),
                "name a store of the kind that fits the step",
            ),
        };
        self.push("store-kind", self.place.clone(), message, help);
        false
    }

    fn is_show(&self) -> bool {
        match &self.step.action {
            Action::Record(record) => match &record.question {
                Question::Sql(SqlBody { statements }) => {
                    let shows =
                        statements.iter().all(|statement| statement.effect.command.starts_with("SHOW"));
                    record.rows && statements.len() == 1 && shows && record.at.is_none()
                }
                Question::Http(_) | Question::Kv(_) | Question::Sh(_) => false,
            },
            _ => false,
        }
    }

    fn login(&mut self, place: Option<Span>, whole: bool) {
        let Some(login) = &self.step.login else { return };
        let known = self.store.logins.iter().any(|(name, _)| name == login);
        if !known && whole {
            let message = format!("store `{}` has no login `{login}`", self.store.name);
            let help = "declare it under `[stores.x.logins]`: `name = \"$NAME_URL\"`";
            self.push("unknown-login", place.unwrap_or_else(|| self.head.clone()), message, help);
        }
    }

    fn pooled(&mut self) {
        if self.step.via == Via::Pooled && self.store.pooled.is_none() {
            let message = format!("store `{}` has no `pooled` address", self.store.name);
            self.push("no-pooled-address", self.head.clone(), message, "declare `pooled = \"$POOLED_URL\"`");
        }
    }

    fn home(&mut self, verb: Verb) {
        if self.store.kind == StoreKind::Postgres && !self.store.home && !verb.is_read_only() {
            let message =
                format!("`@{}` would change store `{}`, which is not the home", verb.name(), self.store.name);
            let help = "this version changes the home store only: give that database a runbook of its own";
            self.push("store-not-home", self.place.clone(), message, help);
        }
    }

    fn rehearsal(&mut self, whole: bool) {
        let Action::Backup(backup) = &self.step.action else { return };
        let scratch = self.store.logins.iter().any(|(name, _)| name.as_str() == SCRATCH);
        if backup.rehearse.is_ok() && !scratch && whole {
            let message =
                format!("store `{}` has no login `{SCRATCH}` to rehearse the backup in", self.store.name);
            let help = "declare it under `[stores.x.logins]` (an empty database), or write `rehearse = { waived = \"why\" }`";
            self.push("no-scratch-login", self.head.clone(), message, help);
        }
    }
}

/// The login under which a backup is restored for rehearsal.
const SCRATCH: &str = "scratch";
