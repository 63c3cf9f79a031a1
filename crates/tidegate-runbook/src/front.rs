//! The `@runbook` block: stores, parameters, versions, limits, and what concerns the whole run.

use std::time::Duration;

use crate::block::Block;
use crate::cohort::EACH;
use crate::diagnostic::{Diagnostic, Severity};
use crate::draft::Mention;
use crate::flag_table;
use crate::names::Name;
use crate::parameter_value::{ALL_TYPES, parse_parameter_value};
use crate::rekey_table;
use crate::runbook::{AdoptedVersions, FlagSet, Limits, NeedsRun, RekeyPlan, Store, VersionKey, Versions};
use crate::source::Span;
use crate::store_table;
use crate::text::SourceText;
use crate::toml_table::{self, Spelt, TomlTable};
use crate::value::{Parameter, ParameterType};

/// What the `@runbook` block says.
#[derive(Debug)]
pub(crate) struct Front {
    pub(crate) id: Option<Name>,
    pub(crate) head: Span,
    pub(crate) stores: Vec<Store>,
    /// Every store, login and parameter was read, so that a name that is not there is unknown.
    pub(crate) whole: bool,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) versions: Versions,
    pub(crate) limits: Limits,
    pub(crate) contacts: Vec<String>,
    pub(crate) on_halt: Vec<String>,
    pub(crate) protect: Vec<String>,
    pub(crate) repeatable: bool,
    pub(crate) needs_run: Option<NeedsRun>,
    pub(crate) flags: Vec<FlagSet>,
    pub(crate) rekeys: Vec<RekeyPlan>,
    /// Every flag set and rekey plan was read, so that a name that is not there is unknown.
    pub(crate) flags_whole: bool,
    /// Steps and stages that moves of flag sets require.
    pub(crate) flag_requires: Vec<Mention>,
    /// Where `[needs_run]` names its stage.
    pub(crate) needs_stage: Option<Span>,
}

/// Reads the block.
pub(crate) fn read(page: &SourceText<'_>, block: &Block<'_>, diagnostics: &mut Vec<Diagnostic>) -> Front {
    let found_before = diagnostics.len();
    let (parsed, parsed_whole) = toml_table::parse(page, block.body.clone(), diagnostics);
    let head = page.span(block.head.clone());
    let mut table = TomlTable::new(page, block.body.start, "the `@runbook` block", head.clone(), &parsed);
    let stores = store_table::read(&mut table, diagnostics);
    let parameters = read_parameters(&mut table, diagnostics);
    let whole = parsed_whole && diagnostics.len() == found_before;
    let errors = |found: &[Diagnostic]| found.iter().filter(|one| one.severity == Severity::Error).count();
    let errors_before = errors(diagnostics);
    let (flags, flag_requires) = flag_table::read(&mut table, diagnostics);
    let rekeys = rekey_table::read(&mut table, diagnostics);
    let flags_whole = parsed_whole && errors(diagnostics) == errors_before;
    let versions = read_versions(&mut table, diagnostics);
    let limits = read_limits(&mut table, diagnostics);
    let contacts = plain(table.texts("contacts", diagnostics));
    let on_halt = table.texts("on_halt", diagnostics);
    for argument in &on_halt {
        if argument.text.strip_prefix('$').is_some_and(store_table::is_environment_name) {
            diagnostics.push(Diagnostic::error(
                "environment-not-here",
                argument.span.clone(),
                format!("{:?} is not replaced here: no shell reads `on_halt`", argument.text),
                "let the program that is called read its own environment",
            ));
        }
    }
    let on_halt = plain(on_halt);
    let protect = read_protect(&mut table, diagnostics);
    let repeatable = table.boolean("repeatable", diagnostics);
    let mut needs_stage = None;
    let needs_run = table.table("needs_run", diagnostics).map(|mut table| {
        let stage = table.name("stage", diagnostics);
        let not_older_than = table.duration("not_older_than", diagnostics);
        table.finish(diagnostics);
        needs_stage = stage.as_ref().map(|(_, span)| span.clone());
        NeedsRun { stage: stage.map(|(name, _)| name), not_older_than }
    });
    table.finish(diagnostics);
    Front {
        id: block.id.clone(),
        head,
        stores,
        whole,
        parameters,
        versions,
        limits,
        contacts,
        on_halt,
        protect,
        repeatable,
        needs_run,
        flags,
        rekeys,
        flags_whole,
        flag_requires,
        needs_stage,
    }
}

fn plain(texts: Vec<Spelt>) -> Vec<String> {
    texts.into_iter().map(|spelt| spelt.text).collect()
}

/// `protect = ["schema.name", "schema.*", "schema"]`
pub(crate) fn read_protect(table: &mut TomlTable<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> Vec<String> {
    let mut patterns = Vec::new();
    for spelt in table.texts("protect", diagnostics) {
        if is_object_pattern(&spelt.text) {
            patterns.push(spelt.text);
        } else {
            diagnostics.push(Diagnostic::error(
                "pattern-malformed",
                spelt.span,
                format!("{:?} names no object", spelt.text),
                "write `schema.name`, `schema.*`, or a schema alone",
            ));
        }
    }
    patterns
}

/// Whether `text` is `name`, `schema.name` or a pattern of those with `*`.
pub(crate) fn is_object_pattern(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let is_part = |part: &&str| {
        !part.is_empty()
            && part.len() <= 63
            && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | '*'))
    };
    parts.len() <= 2 && parts.iter().all(is_part)
}

/// Most parameters of one runbook.
const PARAMETERS_MAX: usize = 1_000;

fn read_parameters(runbook: &mut TomlTable<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> Vec<Parameter> {
    let mut parameters = Vec::new();
    for (position, (name, table)) in runbook.tables("parameters", diagnostics).into_iter().enumerate() {
        if position == PARAMETERS_MAX {
            let message = format!("more than {PARAMETERS_MAX} parameters are declared");
            diagnostics.push(Diagnostic::error("toml-value", name.span, message, "remove some"));
            break;
        }
        parameters.extend(read_parameter(&name, table, diagnostics));
    }
    parameters
}

fn read_parameter(
    name: &Spelt,
    mut table: TomlTable<'_, '_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Parameter> {
    let parsed = Name::parse(&name.text);
    if let Err(error) = &parsed {
        diagnostics.push(Diagnostic::error(
            "id-malformed",
            name.span.clone(),
            error.to_string(),
            "name the parameter with lower-case letters, digits and underscores",
        ));
    } else if name.text == "run" {
        diagnostics.push(Diagnostic::error(
            "name-reserved",
            name.span.clone(),
            "`run` is taken: run.id and run.started are values of every run",
            "choose another name",
        ));
    } else if name.text == EACH {
        diagnostics.push(Diagnostic::error(
            "name-reserved",
            name.span.clone(),
            "`each` is taken: each.name is a column of the row at hand",
            "choose another name",
        ));
    }
    let kind = match table.text("type", diagnostics) {
        Some(word) => {
            let kind = ParameterType::parse(&word.text);
            if kind.is_none() {
                let known: Vec<&str> = ALL_TYPES.into_iter().map(ParameterType::name).collect();
                diagnostics.push(Diagnostic::error(
                    "unknown-type",
                    word.span,
                    format!("{:?} is no type of parameter", word.text),
                    format!("known here: {}", known.join(", ")),
                ));
            }
            kind
        }
        None => {
            if !table.has("type") {
                table.missing("type", "\"text\"", diagnostics);
            }
            None
        }
    };
    let secret = table.boolean("secret", diagnostics);
    let env = table.text("env", diagnostics).and_then(|spelt| {
        if is_plain_environment_name(&spelt) {
            return Some(spelt.text);
        }
        diagnostics.push(Diagnostic::error(
            "environment-name",
            spelt.span,
            format!("{:?} is no name of an environment variable", spelt.text),
            "write the name alone, without `$`",
        ));
        None
    });
    let default = table.scalar("default", diagnostics);
    let allowed = table.scalars("allowed", diagnostics);
    table.finish(diagnostics);
    if secret && let Some(default) = &default {
        diagnostics.push(Diagnostic::error(
            "secret-default",
            default.span.clone(),
            format!("the secret parameter `{}` has its value in the page", name.text),
            "remove the default; name a variable with `env`",
        ));
        return None;
    }
    let mut parameter = Parameter {
        name: parsed.ok()?,
        kind: kind?,
        secret,
        env,
        default: None,
        allowed: Vec::new(),
        span: name.span.clone(),
    };
    let mut read = |parameter: &Parameter, spelt: Spelt| match parse_parameter_value(parameter, &spelt.text) {
        Ok(canonical) => Some(canonical),
        Err(error) => {
            diagnostics.push(Diagnostic::error(
                "parameter-value",
                spelt.span,
                format!("parameter `{}`: {error}", parameter.name),
                "write a value of the parameter's type, among its `allowed` ones",
            ));
            None
        }
    };
    let allowed: Vec<String> = allowed.into_iter().filter_map(|spelt| read(&parameter, spelt)).collect();
    parameter.allowed = allowed;
    parameter.default = default.and_then(|spelt| read(&parameter, spelt));
    Some(parameter)
}

fn is_plain_environment_name(spelt: &Spelt) -> bool {
    store_table::is_environment_name(&spelt.text)
}

fn read_versions(runbook: &mut TomlTable<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> Versions {
    let mut versions = Versions { adopted: None, first: None, manual: Vec::new() };
    let Some(mut table) = runbook.table("versions", diagnostics) else { return versions };
    let name = table.text("table", diagnostics);
    let id = table.text("id", diagnostics);
    let checksum = table.text("checksum", diagnostics).map(|spelt| spelt.text);
    let applied_at = table.text("applied_at", diagnostics).map(|spelt| spelt.text);
    let baseline = table.text("baseline", diagnostics).map(|spelt| spelt.text);
    let keeps = table.text("keeps", diagnostics).and_then(|spelt| version_key(spelt, diagnostics));
    versions.first = table.text("first", diagnostics).and_then(|spelt| digits(spelt, diagnostics));
    let manual = table.texts("manual", diagnostics);
    versions.manual = manual.into_iter().filter_map(|spelt| digits(spelt, diagnostics)).collect();
    match (name, id) {
        (Some(name), Some(id)) => {
            if is_object_pattern(&name.text) && !name.text.contains('*') {
                versions.adopted = Some(AdoptedVersions {
                    table: name.text,
                    id: id.text,
                    checksum,
                    applied_at,
                    baseline,
                    keeps: keeps.unwrap_or_default(),
                });
            } else {
                diagnostics.push(Diagnostic::error(
                    "pattern-malformed",
                    name.span,
                    format!("{:?} names no table", name.text),
                    "write `table` or `schema.table`",
                ));
            }
        }
        (Some(_), None) => table.missing("id", "\"version\"", diagnostics),
        (None, id) => {
            let given = id.is_some()
                || checksum.is_some()
                || applied_at.is_some()
                || baseline.is_some()
                || keeps.is_some();
            if given {
                table.missing("table", "\"schema_migrations\"", diagnostics);
            }
        }
    }
    table.finish(diagnostics);
    versions
}

fn version_key(spelt: Spelt, diagnostics: &mut Vec<Diagnostic>) -> Option<VersionKey> {
    match spelt.text.as_str() {
        "name" => Some(VersionKey::Name),
        "number" => Some(VersionKey::Number),
        other => {
            diagnostics.push(Diagnostic::error(
                "version-key-unknown",
                spelt.span,
                format!("a version table keeps no {other:?}"),
                "write \"name\" for the file's base name, or \"number\" for the version without leading zeros",
            ));
            None
        }
    }
}

fn digits(spelt: Spelt, diagnostics: &mut Vec<Diagnostic>) -> Option<String> {
    if is_version(&spelt.text) {
        return Some(spelt.text);
    }
    diagnostics.push(Diagnostic::error(
        "version-malformed",
        spelt.span,
        format!("{:?} is no version", spelt.text),
        "write digits only, at most 18, in quotes if zeros lead",
    ));
    None
}

/// Whether `text` is a version: 1 to 18 digits.
pub(crate) fn is_version(text: &str) -> bool {
    (1..=18).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn read_limits(runbook: &mut TomlTable<'_, '_>, diagnostics: &mut Vec<Diagnostic>) -> Limits {
    let mut limits = Limits::default();
    let Some(mut table) = runbook.table("limits", diagnostics) else { return limits };
    let mut set = |key: &'static str, slot: &mut Duration| {
        if let Some(duration) = table.duration(key, diagnostics) {
            *slot = duration;
        }
    };
    set("lock_timeout", &mut limits.lock_timeout);
    set("statement_timeout", &mut limits.statement_timeout);
    set("gate_max", &mut limits.gate_max);
    set("hold_attended", &mut limits.hold_attended);
    set("lease", &mut limits.lease);
    if let Some((attempts, _)) = table.integer("lock_attempts", 1, LOCK_ATTEMPTS_MAX, diagnostics) {
        limits.lock_attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
    }
    table.finish(diagnostics);
    limits
}

/// Most attempts at a lock that a page may ask for.
const LOCK_ATTEMPTS_MAX: u64 = 100;
