//! What the environment says about flags: the rule where no table does, and an expectation where one does.

use tidegate_flags::{Entered, Side, Stage};

/// A flag's variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// The column that it stands for.
    pub column: &'static str,
    /// Its name in the environment.
    pub name: &'static str,
    /// The value where it is missing or blank.
    pub default: bool,
}

/// What the environment says about each column of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    columns: Vec<String>,
    values: Vec<bool>,
    /// Whether somebody said it, or it is a default.
    said: Vec<bool>,
}

/// Reads `1`, `true`, `yes` and `on` as true, in any case and with blanks around; everything else as false.
#[must_use]
pub fn truthy(text: &str) -> bool {
    ["1", "true", "yes", "on"].iter().any(|word| text.trim().eq_ignore_ascii_case(word))
}

impl Environment {
    /// Reads these variables through `get`, such as `|name| std::env::var(name).ok()`.
    #[must_use]
    pub fn read(variables: &[Variable], get: &dyn Fn(&str) -> Option<String>) -> Environment {
        let texts =
            variables.iter().map(|variable| get(variable.name).filter(|text| !text.trim().is_empty()));
        let (mut values, mut said) = (Vec::new(), Vec::new());
        for (variable, text) in variables.iter().zip(texts) {
            said.push(text.is_some());
            values.push(text.map_or(variable.default, |text| truthy(&text)));
        }
        let columns = variables.iter().map(|variable| variable.column.to_owned()).collect();
        Environment { columns, values, said }
    }

    /// These values, as if all of them were said.
    #[must_use]
    pub fn of(values: &[(&str, bool)]) -> Environment {
        Environment {
            columns: values.iter().map(|(column, _)| (*column).to_owned()).collect(),
            values: values.iter().map(|(_, value)| *value).collect(),
            said: vec![true; values.len()],
        }
    }

    /// The columns.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The value of each column.
    #[must_use]
    pub fn values(&self) -> &[bool] {
        &self.values
    }

    /// The stage that rules where no table does. Without tables there is no order of locks to be moved: the old side
    /// is locked first.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        Stage::of(&self.columns, &self.values, Side::Old)
    }

    /// How what was said contradicts a row; `None`: it does not. A default is no contradiction: nobody said it.
    #[must_use]
    pub fn contradiction(&self, row: &Entered) -> Option<String> {
        let mut parts = Vec::new();
        let said = self.columns.iter().zip(&self.values).zip(&self.said).filter(|(_, said)| **said);
        for ((column, value), _) in said {
            match row.columns.iter().zip(&row.values).find(|(name, _)| *name == column) {
                Some((_, there)) if there == value => {}
                Some((_, there)) => {
                    parts.push(format!("{column} is {value} there and {there} in row '{}'", row.row));
                }
                None => parts.push(format!("{column} is {value} there and no column of the set")),
            }
        }
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::{Entered, Environment, Side, Variable, truthy};

    const VARIABLES: [Variable; 3] = [
        Variable { column: "reads", name: "READS", default: false },
        Variable { column: "writes", name: "WRITES", default: false },
        Variable { column: "dual", name: "DUAL", default: true },
    ];

    fn row(values: [bool; 3]) -> Entered {
        Entered {
            epoch: 3,
            row: "here".to_owned(),
            columns: ["reads", "writes", "dual"].map(str::to_owned).to_vec(),
            values: values.to_vec(),
            lock_first: Side::Old,
        }
    }

    #[test]
    fn truth_has_four_words_in_any_case() {
        for text in ["1", "true", " TRUE ", "Yes", "on", "\tON\n"] {
            assert!(truthy(text), "{text:?}");
        }
        for text in ["", "0", "y", "t", "enabled", "truee", "off", "no"] {
            assert!(!truthy(text), "{text:?}");
        }
    }

    #[test]
    fn a_blank_variable_is_its_default_and_nonsense_is_false() {
        let get = |name: &str| match name {
            "READS" => Some("  ".to_owned()),
            "WRITES" => Some("yes".to_owned()),
            _ => None,
        };
        let environment = Environment::read(&VARIABLES, &get);
        assert_eq!(environment.values(), [false, true, true]);
        let nonsense = Environment::read(&VARIABLES, &|_| Some("perhaps".to_owned()));
        assert_eq!(nonsense.values(), [false, false, false]);
    }

    #[test]
    fn only_what_was_said_contradicts() {
        let silent = Environment::read(&VARIABLES, &|_| None);
        assert_eq!(silent.contradiction(&row([true, true, false])), None);
        let said = Environment::read(&VARIABLES, &|name| (name == "READS").then(|| "off".to_owned()));
        assert_eq!(said.contradiction(&row([false, true, false])), None);
        let text = said.contradiction(&row([true, false, false])).unwrap();
        assert_eq!(text, "reads is false there and true in row 'here'");
        let foreign = Environment::of(&[("alias", true)]);
        assert_eq!(
            foreign.contradiction(&row([false; 3])).unwrap(),
            "alias is true there and no column of the set"
        );
    }
}
