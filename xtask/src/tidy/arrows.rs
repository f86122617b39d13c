//! Who may know whom: the crates' dependencies, from `cargo metadata`.

use std::collections::BTreeSet;

use crate::metadata::{Package, Workspace};

/// A crate, the crates of the workspace it may depend on, and those only its tests may.
type Rule = (&'static str, &'static [&'static str], &'static [&'static str]);

/// What may test a backend: the conformance suite and real servers.
const FOR_TESTS: &[&str] = &["events-testkit", "test-servers"];

/// Every backend: only the factory names several. It makes managers and workers besides, and measures what it makes, each
/// behind a feature, since these need a backend and must know none.
const FOR_FACTORY: &[&str] = &[
    "events-core",
    "events-memory",
    "events-sqlite",
    "events-redis",
    "events-aws",
    "events-runtime",
    "events-telemetry",
];

/// The runtime works over any backend; its tests show that on each that is real and at hand.
const FOR_RUNTIME_TESTS: &[&str] =
    &["events-aws", "events-memory", "events-redis", "events-sqlite", "events-testkit", "test-servers"];

/// What programs are made of; no backend by name.
const FOR_PROGRAMS: &[&str] =
    &["events-core", "events-factory", "events-runtime", "events-telemetry", "events-terminal"];

/// The command line also makes documents of what services say about their events.
const FOR_CLI: &[&str] =
    &["events-core", "events-factory", "events-runtime", "events-schema", "events-terminal"];

/// Whole-system tests see the system from outside.
const FOR_SYSTEM_TESTS: &[&str] =
    &["events-core", "events-factory", "events-runtime", "events-schema", "events-testkit", "test-servers"];

/// The table of `cargo xtask bench` is measured through the factory, as a service would.
const FOR_BENCH: &[&str] = &["events-core", "events-factory", "test-servers"];

/// The arrows. A crate that is missing here is refused, so that a new one is drawn in first.
const ARROWS: &[Rule] = &[
    ("events-core", &[], &[]),
    ("events-memory", &["events-core"], FOR_TESTS),
    ("events-sqlite", &["events-core"], FOR_TESTS),
    ("events-redis", &["events-core"], FOR_TESTS),
    ("events-aws", &["events-core"], FOR_TESTS),
    ("events-factory", FOR_FACTORY, FOR_TESTS),
    ("events-schema", &["events-core"], &[]),
    ("events-runtime", &["events-core", "events-schema"], FOR_RUNTIME_TESTS),
    ("events-testkit", &["events-core"], &[]),
    ("events-telemetry", &["events-core"], &["events-memory"]),
    ("events-terminal", &["events-core", "events-factory"], FOR_TESTS),
    ("event-log-sink", FOR_PROGRAMS, FOR_TESTS),
    ("events-cli", FOR_CLI, FOR_TESTS),
    ("events-system-tests", FOR_SYSTEM_TESTS, FOR_TESTS),
    ("events-bench", FOR_BENCH, &[]),
    ("events-instructions", &["events-core", "events-memory"], &[]),
    ("test-servers", &[], &[]),
    ("xtask", &[], &[]),
];

/// What `events-core` must not pull in, however deep: a client, TLS, a runtime, an error type for programs.
const NOT_IN_CORE: &[&str] = &[
    "anyhow",
    "aws-config",
    "aws-lc-rs",
    "aws-sdk-sns",
    "aws-sdk-sqs",
    "fred",
    "hyper",
    "libsqlite3-sys",
    "native-tls",
    "openssl",
    "redis",
    "ring",
    "rusqlite",
    "rustls",
    "tokio",
];

/// `anyhow` is for programs and tests; a library's callers need to tell errors apart.
const NOT_IN_LIBRARIES: &str = "anyhow";

pub(super) fn check(workspace: &Workspace) -> Vec<String> {
    let members: BTreeSet<&str> = workspace.packages.iter().map(|package| package.name.as_str()).collect();
    let mut broken: Vec<String> =
        workspace.packages.iter().flat_map(|package| crate_arrows(package, &members)).collect();
    broken.extend(core_closure(&workspace.closure("events-core")));
    broken
}

fn crate_arrows(package: &Package, members: &BTreeSet<&str>) -> Vec<String> {
    let name = &package.name;
    let Some((_, normal, dev)) = ARROWS.iter().find(|(known, _, _)| known == name) else {
        return vec![format!("{name}: not among the arrows in xtask/src/tidy/arrows.rs")];
    };
    let inside = |dependency: &&String| members.contains(dependency.as_str());
    let may = |allowed: &[&str], dependency: &str| allowed.contains(&dependency);
    let mut broken = Vec::new();
    for dependency in package.dependencies.iter().filter(inside).filter(|dependency| !may(normal, dependency))
    {
        broken.push(format!("{name}: must not know {dependency}"));
    }
    for dependency in package.dev_dependencies.iter().filter(inside) {
        if !may(normal, dependency) && !may(dev, dependency) {
            broken.push(format!("{name}: its tests must not know {dependency}"));
        }
    }
    if package.publishable && package.has_library && package.dependencies.contains(NOT_IN_LIBRARIES) {
        broken.push(format!("{name}: a library must not depend on {NOT_IN_LIBRARIES}"));
    }
    broken
}

fn core_closure(closure: &BTreeSet<String>) -> Vec<String> {
    let found = NOT_IN_CORE.iter().filter(|name| closure.contains(**name));
    found.map(|name| format!("events-core: pulls in {name}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[&str], dev_dependencies: &[&str]) -> Package {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Package {
            name: name.into(),
            dependencies: owned(dependencies),
            dev_dependencies: owned(dev_dependencies),
            publishable: true,
            has_library: true,
            ..Package::default()
        }
    }

    fn broken(package: &Package) -> usize {
        let members = ARROWS.iter().map(|(name, _, _)| *name).collect();
        crate_arrows(package, &members).len()
    }

    #[test]
    fn a_backend_knows_the_core_and_is_tested_by_the_suite() {
        assert_eq!(
            broken(&package("events-redis", &["events-core", "fred"], &["events-testkit", "test-servers"])),
            0
        );
    }

    #[test]
    fn no_backend_knows_another() {
        assert_eq!(broken(&package("events-redis", &["events-core", "events-memory"], &[])), 1);
        assert_eq!(broken(&package("events-redis", &["events-core"], &["events-sqlite"])), 1);
    }

    #[test]
    fn the_suite_is_for_tests_only() {
        assert_eq!(broken(&package("events-memory", &["events-testkit"], &[])), 1);
    }

    #[test]
    fn a_library_has_errors_of_its_own() {
        assert_eq!(broken(&package("events-memory", &["anyhow"], &[])), 1);
        assert_eq!(broken(&package("events-memory", &[], &["anyhow"])), 0);
        assert_eq!(broken(&Package { has_library: false, ..package("events-cli", &["anyhow"], &[]) }), 0);
    }

    #[test]
    fn an_unknown_crate_is_refused() {
        assert_eq!(broken(&package("events-new", &[], &[])), 1);
    }

    #[test]
    fn the_tasks_know_no_crate() {
        assert_eq!(
            broken(&Package { publishable: false, ..package("xtask", &["anyhow", "events-core"], &[]) }),
            1
        );
    }

    #[test]
    fn the_core_pulls_in_no_runtime() {
        let closure = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        assert!(core_closure(&closure(&["serde", "tokio-util"])).is_empty());
        assert_eq!(core_closure(&closure(&["serde", "tokio"])).len(), 1);
    }
}
