//! The places that list the backends: the factory's features, the README's table, `docker-compose.yml`.

use std::collections::BTreeSet;
use std::fs;

use crate::command;
use crate::metadata::{Package, Workspace};
use crate::services::{BACKENDS, Backend};

pub(super) fn check(workspace: &Workspace) -> Vec<String> {
    // A missing file lists nothing, and so breaks every rule about it.
    let read = |name: &str| fs::read_to_string(command::root().join(name)).unwrap_or_default();
    let Some(factory) = workspace.package("events-factory") else {
        return vec!["events-factory: no such crate".to_owned()];
    };
    let mut broken = features(factory, BACKENDS);
    broken.extend(readme(&read("README.md"), BACKENDS));
    broken.extend(compose(&read("docker-compose.yml"), BACKENDS));
    broken
}

/// The features of the factory that turn on a crate of the workspace which is no backend.
const NO_BACKEND: &[&str] = &["runtime", "telemetry"];

/// Every feature that turns on a backend's crate is listed, and every listed backend has its feature.
fn features(factory: &Package, backends: &[Backend]) -> Vec<String> {
    let turns_on = |feature: &str| {
        let crate_name = format!("events-{feature}");
        let on = factory.features.get(feature).into_iter().flatten();
        on.map(|item| item.trim_start_matches("dep:")).any(|item| item == crate_name)
    };
    let mut broken = Vec::new();
    for backend in backends.iter().filter(|backend| !turns_on(backend.feature)) {
        let name = backend.feature;
        broken.push(format!("events-factory: no feature {name} that turns on events-{name}"));
    }
    let listed: BTreeSet<&str> = backends.iter().map(|backend| backend.feature).collect();
    let unlisted = |name: &&String| {
        turns_on(name) && !NO_BACKEND.contains(&name.as_str()) && !listed.contains(name.as_str())
    };
    for feature in factory.features.keys().filter(unlisted) {
        broken.push(format!("events-factory: feature {feature} is missing in xtask/src/services.rs"));
    }
    broken
}

/// The first column of the README's table of backends holds every scheme, and none that chooses no backend.
fn readme(text: &str, backends: &[Backend]) -> Vec<String> {
    let first_cells = text.lines().filter_map(|line| line.trim().strip_prefix('|')?.split('|').next());
    let written: BTreeSet<&str> = first_cells.flat_map(code_words).filter_map(scheme).collect();
    let schemes = || backends.iter().flat_map(|backend| backend.schemes).copied();
    let missing = schemes().filter(|scheme| !written.contains(scheme));
    let missing = missing.map(|scheme| format!("README.md: no row for {scheme}"));
    let known: BTreeSet<&str> =
        schemes().chain(backends.iter().flat_map(|backend| backend.aliases).copied()).collect();
    let unknown = written.difference(&known);
    let unknown = unknown.map(|scheme| format!("README.md: {scheme} is missing in xtask/src/services.rs"));
    missing.chain(unknown).collect()
}

/// What stands between backticks.
fn code_words(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// `redis://` of `redis://host`, `sqlite:` of `sqlite:<path>`; nothing of other words.
fn scheme(word: &str) -> Option<&str> {
    let colon = word.find(':')?;
    let end = if word[colon..].starts_with("://") { colon + 3 } else { colon + 1 };
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || "+-".contains(c));
    is_name(&word[..colon]).then(|| &word[..end])
}

/// The services of the Compose file are those the backends name, and each has a pinned image and a health check.
fn compose(text: &str, backends: &[Backend]) -> Vec<String> {
    let services = compose_services(text);
    let mut broken = Vec::new();
    let listed: BTreeSet<&str> = backends.iter().flat_map(|backend| backend.services).copied().collect();
    for name in listed.iter().filter(|name| services.iter().all(|(service, _)| service != *name)) {
        broken.push(format!("docker-compose.yml: no service {name}"));
    }
    for (name, body) in services {
        if !listed.contains(name) {
            broken.push(format!("docker-compose.yml: service {name} is missing in xtask/src/services.rs"));
        }
        if !body.iter().any(|line| is_pinned_image(line)) {
            broken.push(format!("docker-compose.yml: service {name} has no image pinned by a version"));
        }
        if !body.iter().any(|line| line.trim() == "healthcheck:") {
            broken.push(format!("docker-compose.yml: service {name} has no health check"));
        }
    }
    broken
}

fn is_pinned_image(line: &str) -> bool {
    let Some(image) = line.trim().strip_prefix("image:") else { return false };
    image.trim().rsplit_once(':').is_some_and(|(_, tag)| tag.starts_with(|c: char| c.is_ascii_digit()))
}

/// Names and lines of the services; the file is indented by two spaces.
fn compose_services(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut services: Vec<(&str, Vec<&str>)> = Vec::new();
    let body = text.lines().skip_while(|line| line.trim_end() != "services:").skip(1);
    for line in body.take_while(|line| line.is_empty() || line.starts_with([' ', '#'])) {
        let indent = line.len() - line.trim_start().len();
        match line.trim().strip_suffix(':') {
            Some(name) if indent == 2 => services.push((name, Vec::new())),
            _ => {
                if let Some((_, lines)) = services.last_mut() {
                    lines.push(line);
                }
            }
        }
    }
    services
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: &[Backend] = &[
        Backend { feature: "sqlite", schemes: &["sqlite:"], aliases: &[], services: &[] },
        Backend {
            feature: "redis",
            schemes: &["redis://", "rediss://"],
            aliases: &["valkey://"],
            services: &["redis"],
        },
    ];

    fn factory(features: &[(&str, &[&str])]) -> Package {
        let owned = |on: &[&str]| on.iter().map(|item| (*item).to_owned()).collect();
        let features = features.iter().map(|(name, on)| ((*name).to_owned(), owned(on))).collect();
        Package { features, ..Package::default() }
    }

    #[test]
    fn features_and_backends_agree() {
        let sqlite: (&str, &[&str]) = ("sqlite", &["dep:events-sqlite"]);
        let redis: (&str, &[&str]) = ("redis", &["dep:events-redis"]);
        let tls: (&str, &[&str]) = ("redis-tls", &["redis", "events-redis?/tls"]);
        let aws: (&str, &[&str]) = ("aws", &["dep:events-aws"]);
        assert!(features(&factory(&[sqlite, redis, tls]), SOME).is_empty());
        assert_eq!(features(&factory(&[sqlite]), SOME).len(), 1, "a backend without its feature");
        assert_eq!(features(&factory(&[sqlite, redis, aws]), SOME).len(), 1, "a feature without its backend");
    }

    #[test]
    fn the_readme_lists_every_scheme_and_no_other() {
        let table = "| URL | promises |\n|---|---|\n| `sqlite:<path>` | a |\n| `redis://host`, `rediss://host` | b: `x:` |\n";
        assert!(readme(table, SOME).is_empty());
        assert_eq!(readme(&table.replace("rediss", "other"), SOME).len(), 2, "one missing, one unknown");
        assert_eq!(readme("", SOME).len(), 3);
        assert!(readme(&format!("{table}| `valkey://host` | an alias |\n"), SOME).is_empty());
        assert!(readme(&format!("{table}| `EVENTS_URL` | not a scheme |\n"), SOME).is_empty());
    }

    #[test]
    fn compose_serves_what_the_backends_need() {
        let good = "services:\n  redis:\n    image: redis:7.4.2\n    healthcheck:\n      test: x\n";
        assert!(compose(good, SOME).is_empty());
        assert_eq!(compose(&good.replace(":7.4.2", ":latest"), SOME).len(), 1, "not pinned");
        assert_eq!(compose(&good.replace(":7.4.2", ""), SOME).len(), 1, "not pinned");
        assert_eq!(compose(&good.replace("healthcheck", "check"), SOME).len(), 1, "no health check");
        assert_eq!(compose(&good.replace("  redis:", "  other:"), SOME).len(), 2, "one missing, one unknown");
    }
}
