//! A block with a verb becomes a draft of a step.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::block::{Block, Kind, Property};
use crate::diagnostic::Diagnostic;
use crate::digest::{self, Parts};
use crate::draft::{Draft, Mention, ValueUse};
use crate::duration::parse_duration;
use crate::expect;
use crate::meaning::sql_tokens_digest;
use crate::names::Name;
use crate::source::Sources;
use crate::step::{Action, Step, Via, Waiver};
use crate::text::SourceText;
use crate::vocabulary::{Language, Verb};
use crate::{
    action_backfill, action_compare, action_kv, action_plain, action_rekey, action_sql, action_toml, columns,
};

/// Most names in one property of a step.
const NAMES_MAX: usize = 1_000;

/// What reading one step needs and gathers.
pub(crate) struct Reader<'r, 'a> {
    pub(crate) page: &'r SourceText<'a>,
    pub(crate) sources: &'r Sources,
    pub(crate) block: &'r Block<'a>,
    pub(crate) verb: Verb,
    pub(crate) mentions: Vec<Mention>,
    pub(crate) uses: Vec<ValueUse>,
    /// Digests of the bodies, for the step's meaning.
    pub(crate) bodies: Vec<[u8; 32]>,
    pub(crate) diagnostics: &'r mut Vec<Diagnostic>,
}

/// Reads a step's block. `None` for a block that is no step.
pub(crate) fn read(
    page: &SourceText<'_>,
    sources: &Sources,
    block: &Block<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Draft> {
    let Kind::Step(verb) = block.kind else { return None };
    let mut reader = Reader {
        page,
        sources,
        block,
        verb,
        mentions: Vec::new(),
        uses: Vec::new(),
        bodies: Vec::new(),
        diagnostics,
    };
    let step = reader.step();
    let Reader { mentions, uses, .. } = reader;
    Some(Draft {
        verb,
        language: block.language,
        id: block.id.clone(),
        head: block.head.clone(),
        step,
        mentions,
        uses,
    })
}

impl<'a> Reader<'_, 'a> {
    fn step(&mut self) -> Option<Step> {
        let via = self.via();
        let role = self.block.one("role").map(|property| property.text.to_owned());
        let login = self.name("login");
        let store = self.name("store");
        let timeout = self.duration("timeout");
        let valid = self.duration("valid");
        let says = self.says();
        let requires = self.names("requires");
        let ensures = self.names("ensures");
        let unless = self.name("unless");
        let conserves = self.names("conserves");
        let evidence_rows = self.evidence();
        let waivers = self.waivers();
        let action = self.action();
        if self.block.language != Language::Toml && self.block.content == self.block.body.end {
            // A migration may have its body in a file, and counts its statements itself.
            if self.verb != Verb::Migrate && self.verb.languages().contains(&self.block.language) {
                self.diagnostics.push(Diagnostic::error(
                    "body-empty",
                    self.page.span(self.block.head.clone()),
                    format!("`@{}` has no body: only comments follow", self.verb.name()),
                    "write what it does below its properties",
                ));
                return None;
            }
        }
        let action = action?;
        let id = self.block.id.clone()?;
        let meaning = self.meaning(&id);
        Some(Step {
            id,
            span: self.page.span(self.block.range.clone()),
            head: self.page.span(self.block.head.clone()),
            store,
            via,
            role,
            login,
            timeout,
            valid,
            says,
            requires,
            ensures,
            unless,
            conserves,
            evidence_rows,
            waivers,
            action,
            meaning,
        })
    }

    fn action(&mut self) -> Option<Action> {
        match (self.verb, self.block.language) {
            (Verb::Record, Language::Sql) => action_sql::record(self),
            (Verb::Check, Language::Sql) => action_sql::check(self),
            (Verb::Watch, Language::Sql) => action_sql::watch(self),
            (Verb::Migrate, Language::Sql) => action_sql::migrate(self),
            (Verb::Compare, Language::Sql) => action_compare::compare(self),
            (Verb::Backfill, Language::Sql) => action_backfill::backfill(self),
            (Verb::Record, Language::Http) => action_plain::record(self),
            (Verb::Record, Language::Kv) => action_kv::record(self),
            (Verb::Check, Language::Kv) => action_kv::check(self),
            (Verb::Check, Language::Http | Language::Sh) => action_plain::check(self),
            (Verb::Watch, Language::Http) => action_plain::watch(self),
            (Verb::Command, Language::Http | Language::Sh) => action_plain::command(self),
            (Verb::Confirm, Language::Text) => action_plain::confirm(self),
            (Verb::Backup, Language::Toml) => action_toml::backup(self),
            (Verb::Restore, Language::Toml) => action_toml::restore(self),
            (Verb::Seal, Language::Toml) => action_toml::seal(self),
            (Verb::Retire, Language::Toml) => action_toml::retire(self),
            (Verb::Evict, Language::Toml) => action_toml::evict(self),
            (Verb::Flags, Language::Toml) => action_toml::flags(self),
            (Verb::Rekey, Language::Toml) => action_rekey::rekey(self),
            // Another language has been reported with the block.
            _ => None,
        }
    }

    /// Every `@expect`; a check without one is reported.
    pub(crate) fn expectations(&mut self) -> Vec<crate::Expectation> {
        let written = self.block.has("expect");
        let expect = expect::read_all(self.block, &mut self.uses, self.diagnostics);
        if !written && matches!(self.verb, Verb::Check | Verb::Watch) {
            let example = match self.block.language {
                Language::Http => "# @expect status 200",
                Language::Kv => "# @expect zero",
                Language::Sh => "# @expect exit 0",
                Language::Sql | Language::Toml | Language::Text => "-- @expect zero",
            };
            self.diagnostics.push(Diagnostic::error(
                "expectation-missing",
                self.page.span(self.block.head.clone()),
                format!("`@{}` expects nothing, so it could not fail", self.verb.name()),
                format!("add a line such as `{example}`"),
            ));
        }
        expect
    }

    /// Reports a value of a property that cannot be read.
    pub(crate) fn refuse(&mut self, property: &Property<'_>, message: String, help: &str) {
        self.diagnostics.push(Diagnostic::error("property-value", property.span.clone(), message, help));
    }

    /// A property that takes one id.
    pub(crate) fn name(&mut self, word: &'static str) -> Option<Name> {
        let property = self.block.one(word)?.clone();
        match Name::parse(property.text) {
            Ok(name) => {
                self.mentions.push(Mention { word, name: name.clone(), span: property.span });
                Some(name)
            }
            Err(error) => {
                self.refuse(&property, format!("`@{word}`: {error}"), "write one id");
                None
            }
        }
    }

    /// A property that takes ids with spaces between, on one line or several.
    fn names(&mut self, word: &'static str) -> Vec<Name> {
        let block = self.block;
        let mut names: Vec<Name> = Vec::new();
        for property in block.all(word) {
            let mut at = property.span.range.start;
            for part in property.text.split(char::is_whitespace) {
                let range = at..at + part.len();
                let white = self.page.slice(range.end..property.span.range.end).chars().next();
                at = range.end + white.map_or(1, char::len_utf8);
                if part.is_empty() {
                    continue;
                }
                let span = self.page.span(range);
                if names.len() == NAMES_MAX {
                    let message = format!("`@{word}` names more than {NAMES_MAX}");
                    self.diagnostics.push(Diagnostic::error("property-value", span, message, "name a stage"));
                    return names;
                }
                match Name::parse(part) {
                    Ok(name) if names.contains(&name) => self.diagnostics.push(Diagnostic::error(
                        "duplicate-property",
                        span,
                        format!("`{name}` stands in `@{word}` twice"),
                        "keep one",
                    )),
                    Ok(name) => {
                        self.mentions.push(Mention { word, name: name.clone(), span });
                        names.push(name);
                    }
                    Err(error) => self.diagnostics.push(Diagnostic::error(
                        "property-value",
                        span,
                        format!("`@{word}`: {error}"),
                        "write ids with spaces between, no commas",
                    )),
                }
            }
        }
        names
    }

    /// A property that takes a span of time above zero.
    pub(crate) fn duration(&mut self, word: &'static str) -> Option<Duration> {
        let property = self.block.one(word)?.clone();
        match parse_duration(property.text) {
            Ok(duration) if duration > Duration::ZERO => Some(duration),
            outcome => {
                let message = outcome
                    .err()
                    .map_or_else(|| format!("`@{word}` is no time at all"), |error| error.to_string());
                self.diagnostics.push(Diagnostic::error(
                    "duration-malformed",
                    property.span,
                    message,
                    "write whole numbers with their unit, such as 90s or 2h30m",
                ));
                None
            }
        }
    }

    fn via(&mut self) -> Via {
        let Some(property) = self.block.one("via").cloned() else { return Via::Direct };
        match property.text {
            "direct" => Via::Direct,
            "pooled" => Via::Pooled,
            other => {
                self.refuse(&property, format!("{other:?} is no way to a store"), "write direct or pooled");
                Via::Direct
            }
        }
    }

    fn says(&mut self) -> Option<String> {
        let property = self.block.one("says")?.clone();
        let said = expect::quoted(property.text);
        if said.is_none() {
            self.refuse(&property, "`@says` takes a sentence in quotes".into(), "write `@says \"text\"`");
        }
        said
    }

    fn evidence(&mut self) -> bool {
        let Some(property) = self.block.one("evidence").cloned() else { return false };
        if property.text != "rows" {
            let message = format!("{:?} is no kind of evidence", property.text);
            self.refuse(&property, message, "write `@evidence rows`, or leave it out");
        }
        property.text == "rows"
    }

    fn waivers(&mut self) -> Vec<Waiver> {
        let block = self.block;
        let mut waivers = Vec::new();
        for property in block.all("waive") {
            match property.text.split_once(char::is_whitespace) {
                Some((rule, reason)) if !reason.trim().is_empty() => {
                    waivers.push(Waiver { rule: rule.to_owned(), reason: reason.trim().to_owned() });
                }
                _ => self.diagnostics.push(Diagnostic::error(
                    "waiver-without-reason",
                    property.span.clone(),
                    format!("the waiver of `{}` gives no reason", property.text),
                    "write after the rule's name why it is acceptable here",
                )),
            }
        }
        waivers
    }

    /// Everything of the step that changes what it does. What it says, and what lint it waives, does not.
    fn meaning(&self, id: &Name) -> [u8; 32] {
        let mut properties: BTreeMap<&str, Vec<Vec<u8>>> = BTreeMap::new();
        for property in &self.block.properties {
            let word = property.rule.word;
            let value = match word {
                "says" | "waive" | "file" => continue,
                // How fast a backfill goes may be changed while it is halted.
                "workers" | "target" | "throttle" => continue,
                // So may how long a check is waited for.
                "within" => continue,
                // So may how fast a cohort does, and how many of it may fail: those that are done stay done.
                "wave" | "between-waves" | "max-failure-rate" => continue,
                "rows" if self.verb == Verb::Backfill => continue,
                "key" if let Some(columns) = columns::split(property.text) => columns_digest(&columns),
                "accept" if let Some(accepted) = action_compare::accept(property.text) => {
                    columns_digest(&accepted.key)
                }
                "over" => sql_tokens_digest(property.text).to_vec(),
                _ => property.text.split_whitespace().collect::<Vec<_>>().join(" ").into_bytes(),
            };
            properties.entry(word).or_default().push(value);
        }
        let mut parts = Parts::default();
        parts.add(self.verb.name()).add(id.as_str()).add(self.block.language.name());
        for (word, values) in &properties {
            parts.add(word).list(values);
        }
        parts.list(self.block.dividers.iter().map(|divider| divider.word));
        parts.list(&self.bodies);
        parts.finish()
    }

    /// Takes the digest of a body in http, sh or text.
    pub(crate) fn take_plain_body(&mut self) {
        let text = self.page.slice(self.block.content..self.block.body.end);
        self.bodies.push(digest::plain_body(text));
    }

    /// A whole number of at least one.
    pub(crate) fn count(&mut self, word: &'static str, most: u32) -> Option<u32> {
        let property = self.block.one(word)?.clone();
        match property.text.parse::<u32>() {
            Ok(count) if (1..=most).contains(&count) => Some(count),
            _ => {
                let message = format!("`@{word}` takes a whole number from 1 to {most}");
                self.refuse(&property, message, "write digits only");
                None
            }
        }
    }

    /// The first property with this word, detached from the reader.
    pub(crate) fn property(&self, word: &'static str) -> Option<Property<'a>> {
        self.block.one(word).cloned()
    }
}

fn columns_digest(columns: &[String]) -> Vec<u8> {
    let mut parts = Parts::default();
    parts.list(columns);
    parts.finish().to_vec()
}
