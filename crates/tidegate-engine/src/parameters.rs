//! Parameters: from `--set`, the environment, or their default, checked before anything runs.

use std::collections::BTreeMap;

use tidegate_runbook::{Name, Parameter, ValueRef, parse_parameter_value};

use crate::values::{Value, Values, sql_type};

/// Parameters that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// `--set` names none that is declared.
    #[error("--set {name}: the runbook declares no such parameter; it has {declared}")]
    Unknown {
        /// As given.
        name: String,
        /// Those it has.
        declared: String,
    },
    /// A value does not fit.
    #[error("parameter {name}: {why}")]
    IllTyped {
        /// Which.
        name: Name,
        /// Why, without the value if it is secret.
        why: String,
    },
    /// Nothing supplies a value.
    #[error("parameter {name} has no value: {how}")]
    Missing {
        /// Which.
        name: Name,
        /// How it could be given.
        how: String,
    },
    /// A secret stands among the arguments.
    #[error(
        "parameter {name} is a secret, and what stands among the arguments is seen by everybody on this machine: set ${env} instead"
    )]
    SecretArgument {
        /// Which.
        name: Name,
        /// Its variable.
        env: String,
    },
    /// A run keeps the parameters it was started with.
    #[error(
        "parameter {name} is {was:?} in this run and cannot become {given:?}; start a new run to change it"
    )]
    Fixed {
        /// Which.
        name: Name,
        /// The value of the run.
        was: String,
        /// The value given now.
        given: String,
    },
}

/// The text that stands for a secret in the journal.
pub const SECRET: &str = "‹secret›";

/// Resolves every declared parameter.
///
/// # Errors
/// All that is wrong, in order of declaration.
pub fn resolve(
    declared: &[Parameter],
    sets: &BTreeMap<String, String>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Values, Vec<ParameterError>> {
    resolve_for(declared, sets, environment, &BTreeMap::new())
}

/// As [`resolve`]; what neither `--set` nor the environment supplies has the value that `run` was started with.
/// The journal keeps no secrets, so that those are asked for again.
///
/// # Errors
/// All that is wrong, in order of declaration.
pub fn resolve_for(
    declared: &[Parameter],
    sets: &BTreeMap<String, String>,
    environment: &dyn Fn(&str) -> Option<String>,
    run: &BTreeMap<String, String>,
) -> Result<Values, Vec<ParameterError>> {
    let mut errors = Vec::new();
    for name in sets.keys() {
        if !declared.iter().any(|parameter| parameter.name.as_str() == name) {
            let names: Vec<&str> = declared.iter().map(|parameter| parameter.name.as_str()).collect();
            let declared = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            errors.push(ParameterError::Unknown { name: name.clone(), declared });
        }
    }
    let mut values = Values::default();
    for parameter in declared {
        let name = &parameter.name;
        if let Some(env) =
            parameter.env.as_ref().filter(|_| parameter.secret && sets.contains_key(name.as_str()))
        {
            errors.push(ParameterError::SecretArgument { name: name.clone(), env: env.clone() });
            continue;
        }
        let given = sets
            .get(parameter.name.as_str())
            .cloned()
            .or_else(|| parameter.env.as_deref().and_then(environment))
            .or_else(|| run.get(parameter.name.as_str()).filter(|text| *text != SECRET).cloned())
            .or_else(|| parameter.default.clone());
        match given {
            None => errors.push(ParameterError::Missing {
                name: parameter.name.clone(),
                how: match &parameter.env {
                    Some(env) if parameter.secret => format!("set ${env}"),
                    Some(env) => format!("give --set {name}=… or set ${env}"),
                    None => format!("give --set {name}=…"),
                },
            }),
            Some(text) => match parse_parameter_value(parameter, &text) {
                Ok(canonical) => values.set(
                    ValueRef { root: parameter.name.clone(), field: None },
                    Value {
                        type_name: sql_type(parameter.kind).to_owned(),
                        text: Some(canonical),
                        secret: parameter.secret,
                    },
                ),
                Err(why) => errors.push(ParameterError::IllTyped {
                    name: parameter.name.clone(),
                    why: if parameter.secret {
                        "the value does not fit its type".to_owned()
                    } else {
                        why.to_string()
                    },
                }),
            },
        }
    }
    if errors.is_empty() { Ok(values) } else { Err(errors) }
}

/// What the journal keeps of the parameters: canonical texts, secrets masked.
#[must_use]
pub fn for_journal(declared: &[Parameter], values: &Values) -> BTreeMap<String, String> {
    declared
        .iter()
        .filter_map(|parameter| {
            let value = values.get(&ValueRef { root: parameter.name.clone(), field: None }).ok()?;
            let text = if value.secret { SECRET.to_owned() } else { value.text.clone().unwrap_or_default() };
            Some((parameter.name.to_string(), text))
        })
        .collect()
}
