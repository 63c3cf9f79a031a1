//! Dependencies between our own packages point one way.

use super::Finding;
use super::manifest::{Dependency, Manifest, Table};
use super::tree::Tree;

/// What one package may depend on.
struct Edges {
    package: &'static str,
    /// In every build.
    normal: &'static [&'static str],
    /// Only behind an optional feature, for its program.
    optional: &'static [&'static str],
    /// In tests, besides those above and the test kit.
    tests: &'static [&'static str],
}

const fn edges(package: &'static str, normal: &'static [&'static str]) -> Edges {
    Edges { package, normal, optional: &[], tests: &[] }
}

impl Edges {
    const fn optional(mut self, packages: &'static [&'static str]) -> Self {
        self.optional = packages;
        self
    }

    const fn tests(mut self, packages: &'static [&'static str]) -> Self {
        self.tests = packages;
        self
    }
}

/// The test kit, which every package's tests may use.
const TESTKIT: &str = "testkit";

/// The runbook and its engine, for the programs of systems that migrate themselves.
const MIGRATE: &[&str] = &["tidegate-runbook", "tidegate-engine"];

/// Every package of ours. A new one gets a row here, after a look at the way dependencies point.
const TABLE: &[Edges] = &[
    edges("tidegate-runbook", &[]),
    edges("tidegate-store", &[]),
    edges("tidegate-flags", &["tidegate-store"]),
    edges("tidegate-rekey", &["tidegate-store"]),
    edges("tidegate-engine", &["tidegate-runbook", "tidegate-store", "tidegate-flags", "tidegate-rekey"]),
    edges("tidegate-switch", &["tidegate-flags", "tidegate-store"]),
    edges("tidegate", &["tidegate-engine", "tidegate-runbook", "tidegate-store"]).tests(&[
        "ledger",
        "accounts",
        "vfs-server",
    ]),
    edges(TESTKIT, &["tidegate-store"]),
    // Its own tests take it with its feature `testing`.
    edges("vfs-core", &[]).tests(&["vfs-core"]),
    edges("serving", &[]),
    edges("vfs-server", &["vfs-core", "serving", "tidegate-store"]).optional(MIGRATE),
    edges("vfs-client", &["vfs-core"]).tests(&["vfs-server", "vfs-client", "tidegate-store"]),
    edges("ledger", &["serving", "tidegate-store"]).optional(MIGRATE),
    edges("accounts", &["serving", "tidegate-switch", "tidegate-store"])
        .optional(MIGRATE)
        .tests(&["tidegate-flags"]),
    edges("trips", &["serving", "tidegate-rekey", "tidegate-store"]),
    edges("xtask", &[]),
];

/// Packages that stand above everything and may use all of it.
const ABOVE: [&str; 2] = ["demo", "bench"];

/// Manifests of workspaces of their own, whose packages are not of the product.
const OUTSIDE: [&str; 1] = ["fuzz/Cargo.toml"];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.with("Cargo.toml").filter(|file| !OUTSIDE.iter().any(|outside| file.is(outside))) {
        let manifest = Manifest::of(file);
        let Some(package) = manifest.package.as_deref() else { continue };
        if ABOVE.contains(&package) {
            continue;
        }
        let Some(edges) = TABLE.iter().find(|edges| edges.package == package) else {
            let advice =
                format!("package {package} has no row in the table of dependency directions; add it there");
            findings.push(Finding::new(&file.path, 1, advice));
            continue;
        };
        for dependency in manifest.dependencies.iter().filter(|dependency| is_ours(&dependency.name)) {
            if let Some(problem) = problem(edges, dependency) {
                let advice = format!("{package} may not depend on {}: {problem}", dependency.name);
                findings.push(Finding::new(&file.path, dependency.line, advice));
            }
        }
    }
    findings
}

fn is_ours(name: &str) -> bool {
    TABLE.iter().any(|edges| edges.package == name) || ABOVE.contains(&name)
}

/// What is wrong with an edge, if anything.
fn problem(edges: &Edges, dependency: &Dependency) -> Option<&'static str> {
    let name = dependency.name.as_str();
    let normal = edges.normal.contains(&name);
    let optional = edges.optional.contains(&name);
    let tests = edges.tests.contains(&name) || (name == TESTKIT && edges.package != "xtask");
    match dependency.table {
        Table::Workspace => None,
        Table::Dev if normal || optional || tests => None,
        Table::Normal | Table::Build if normal || (optional && dependency.optional) => None,
        Table::Normal | Table::Build if optional => {
            Some("only as an optional one, behind the feature `migrate`")
        }
        Table::Normal | Table::Build if tests => Some("only in [dev-dependencies]"),
        _ => Some("it points against the table of directions; move what is shared to the lower package"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(package: &str, body: &str) -> Vec<String> {
        let text = format!("[package]\nname = \"{package}\"\n{body}");
        let tree = Tree::of(&[("crates/x/Cargo.toml", &text)]);
        check(&tree).into_iter().map(|finding| finding.advice).collect()
    }

    #[test]
    fn an_edge_of_the_table_passes_and_its_reverse_does_not() {
        assert!(findings("tidegate-engine", "[dependencies]\ntidegate-store.workspace = true\n").is_empty());
        let reverse = findings("tidegate-store", "[dependencies]\ntidegate-engine.workspace = true\n");
        assert!(reverse[0].starts_with("tidegate-store may not depend on tidegate-engine"), "{reverse:?}");
    }

    #[test]
    fn the_test_kit_is_for_tests() {
        assert!(findings("ledger", "[dev-dependencies]\ntestkit.workspace = true\n").is_empty());
        let product = findings("ledger", "[dependencies]\ntestkit.workspace = true\n");
        assert!(product[0].ends_with("only in [dev-dependencies]"), "{product:?}");
    }

    #[test]
    fn a_system_takes_the_engine_behind_a_feature_only() {
        let optional = "[dependencies]\ntidegate-engine = { workspace = true, optional = true }\n";
        assert!(findings("ledger", optional).is_empty());
        assert_eq!(findings("ledger", "[dependencies]\ntidegate-engine.workspace = true\n").len(), 1);
    }

    #[test]
    fn a_package_without_a_row_is_named() {
        assert!(findings("newcomer", "")[0].contains("newcomer has no row"));
    }

    #[test]
    fn what_stands_above_may_use_everything_but_is_used_by_nothing() {
        assert!(findings("demo", "[dependencies]\nledger.workspace = true\n").is_empty());
        assert_eq!(findings("ledger", "[dependencies]\ndemo = { path = \"../demo\" }\n").len(), 1);
    }
}
