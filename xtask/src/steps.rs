//! Running one step after the other, timed, and telling at the end how each went.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The steps of one command and how they went.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Vec<Done>,
}

#[derive(Debug)]
struct Done {
    name: String,
    took: Duration,
    passed: bool,
    hint: String,
}

impl Steps {
    /// Runs a step that answers whether it passed. `hint` says how to run it alone.
    pub(crate) fn run(&mut self, name: &str, hint: &str, step: impl FnOnce() -> bool) {
        eprintln!("── {name}");
        let started = Instant::now();
        let passed = step();
        let took = started.elapsed();
        eprintln!("── {name}: {} in {:.1} s", word(passed), took.as_secs_f64());
        self.done.push(Done { name: name.to_owned(), took, passed, hint: hint.to_owned() });
    }

    /// Runs a command as a step.
    pub(crate) fn command(&mut self, name: &str, mut command: Command) {
        let hint = shown(&command);
        self.run(name, &hint, || succeeds(&mut command));
    }

    /// Prints the table and the first failure, and answers whether all passed.
    pub(crate) fn finish(self) -> bool {
        eprint!("{}", self.summary());
        self.done.iter().all(|step| step.passed)
    }

    fn summary(&self) -> String {
        let mut text = String::from("\n");
        for step in &self.done {
            let line =
                format!("{:>8.1} s  {:6}  {}\n", step.took.as_secs_f64(), word(step.passed), step.name);
            text.push_str(&line);
        }
        let whole: Duration = self.done.iter().map(|step| step.took).sum();
        text.push_str(&format!("{:>8.1} s  in all\n", whole.as_secs_f64()));
        if let Some(first) = self.done.iter().find(|step| !step.passed) {
            text.push_str(&format!("\n{} failed first; alone it is: {}\n", first.name, first.hint));
        }
        text
    }
}

fn word(passed: bool) -> &'static str {
    if passed { "passed" } else { "FAILED" }
}

/// What cargo tells the programs that it runs about their own package. Build scripts look at some of these: a cargo
/// that inherits them builds anew what a cargo typed by hand has built, and the other way round.
const OF_THIS_PACKAGE: [&str; 4] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_NAME"];

/// A cargo command in the repository's root.
pub(crate) fn cargo(root: &Path, arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root);
    for (name, _) in std::env::vars_os() {
        let is_ours = OF_THIS_PACKAGE.iter().any(|start| name.to_string_lossy().starts_with(start));
        if is_ours {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command to its end, telling when it cannot be started.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    match command.status() {
        Ok(status) => status.success(),
        Err(error) => {
            eprintln!("could not start {}: {error}", shown(command));
            false
        }
    }
}

/// Whether a cargo subcommand is installed.
pub(crate) fn has_subcommand(root: &Path, name: &str) -> bool {
    cargo(root, &[name, "--version"]).output().is_ok_and(|output| output.status.success())
}

/// A command as a person would type it.
fn shown(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        Some(format!("{}=\"{}\"", name.to_string_lossy(), value?.to_string_lossy()))
    });
    let program =
        Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let arguments = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    variables.chain([program]).chain(arguments).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_named_last_with_the_command_that_repeats_it() {
        let mut steps = Steps::default();
        steps.run("one", "run one", || true);
        steps.run("two", "run two", || false);
        steps.run("three", "run three", || false);
        assert!(steps.summary().ends_with("two failed first; alone it is: run two\n"), "{}", steps.summary());
        assert!(!steps.finish());
    }

    #[test]
    fn a_command_is_shown_with_its_variables() {
        let mut command = Command::new("/somewhere/cargo");
        command.args(["doc", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(shown(&command), "RUSTDOCFLAGS=\"-D warnings\" cargo doc --no-deps");
    }
}
