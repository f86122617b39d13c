//! `cargo xtask ci`: everything a change must pass, cheapest first.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo::cargo;
use crate::demo::{self, Build};
use crate::integration::{self, Selection};
use crate::metadata::{Package, Workspace};
use crate::phases::Phases;
use crate::{command, flags, fuzz, instructions, pictures, tidy};

const HELP: &str = "\
Usage: cargo xtask ci

Toolchain, formatting, tidy, clippy, documentation, every feature by itself, packaging, instruction counts, a minute of
fuzzing, all tests with real servers, the pictures of the documentation, and the demo. The first step that fails ends it.
";

pub(crate) fn run(arguments: lexopt::Parser) -> Result<()> {
    if !flags::only_help(arguments, HELP)? {
        return Ok(());
    }
    let mut phases = Phases::new();
    let workspace = phases.run("toolchain and lock file", || {
        // Fails when Cargo.lock is not what the manifests ask for.
        command::output(&mut cargo(["metadata", "--format-version", "1", "--locked"]))?;
        let workspace = Workspace::load()?;
        toolchain(&workspace)?;
        Ok(workspace)
    })?;
    phases.run("formatting", || command::run(&mut cargo(["fmt", "--all", "--check"])))?;
    phases.run("tidy", || tidy::check(&workspace))?;
    phases.run("clippy", clippy)?;
    phases.run("documentation", documentation)?;
    phases.run("each feature by itself", || each_feature(&workspace))?;
    phases.run("packages", || packages(&workspace))?;
    phases.run("instruction counts", instructions::check)?;
    phases.run("fuzzing", fuzz::check)?;
    phases.run("integration", || integration::run_tests(&Selection::default()))?;
    // The tests have just built the programs.
    phases.run("pictures", pictures::check)?;
    phases.run("demo", || demo::demonstrate(&demo::Options::default(), Build::Done))?;
    phases.print_summary();
    println!("ci passed");
    Ok(())
}

/// The minimum supported Rust version is the version CI builds with: everything that follows proves it. Another
/// toolchain would prove nothing about it, so that is an error.
fn toolchain(workspace: &Workspace) -> Result<()> {
    let rustc = command::output(Command::new("rustc").arg("--version"))?;
    let running = minor(rustc.split_whitespace().nth(1).unwrap_or_default());
    for package in &workspace.packages {
        let stated = package
            .rust_version
            .as_deref()
            .with_context(|| format!("{} states no rust-version", package.name))?;
        if running.is_none() || running != minor(stated) {
            bail!("{} states rust-version {stated}, and this is {}", package.name, rustc.trim());
        }
    }
    println!("{}: the stated minimum version", rustc.trim());
    Ok(())
}

/// `(1, 95)` of `1.95.0`.
fn minor(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

fn clippy() -> Result<()> {
    let lints = ["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
    command::run(&mut cargo(lints))
}

fn documentation() -> Result<()> {
    let mut doc = cargo(["doc", "--workspace", "--no-deps", "--all-features"]);
    command::run(doc.env("RUSTDOCFLAGS", "-D warnings"))
}

/// Some feature sets change how `cc` is built, and with it SQLite's C code is compiled anew. Nothing runs it here.
const UNOPTIMISED_SQLITE: &str = "profile.dev.package.libsqlite3-sys.opt-level=0";

/// Each published crate without features, with its default ones, and with each feature alone.
fn each_feature(workspace: &Workspace) -> Result<()> {
    for package in workspace.packages.iter().filter(|package| package.publishable) {
        for arguments in feature_sets(package) {
            println!("{} {}", package.name, arguments.join(" "));
            let mut check =
                cargo(["check", "--quiet", "--config", UNOPTIMISED_SQLITE, "--package", &package.name]);
            command::run(check.args(arguments))?;
        }
    }
    Ok(())
}

fn feature_sets(package: &Package) -> Vec<Vec<&str>> {
    let mut sets = vec![vec!["--no-default-features"]];
    if package.features.get("default").is_some_and(|features| !features.is_empty()) {
        sets.push(vec![]);
    }
    let single = package.features.keys().filter(|name| *name != "default");
    sets.extend(single.map(|name| vec!["--no-default-features", "--features", name.as_str()]));
    sets
}

/// Packs all published crates together, as they would be uploaded. A warning (a missing file, a missing field) is an
/// error. What was packed is not built once more: the steps before built the same sources with every feature alone, and
/// `tidy` refuses a source that reads files from outside its crate.
fn packages(workspace: &Workspace) -> Result<()> {
    let mut package = cargo(["package", "--no-verify", "--allow-dirty"]);
    for published in workspace.packages.iter().filter(|package| package.publishable) {
        package.arg("--package").arg(&published.name);
    }
    let output = package.output().with_context(|| format!("cannot run {}", command::shown(&package)))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || said.contains("warning:") {
        bail!("cargo package is not clean:\n{}", said.trim_end());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patch_versions_do_not_matter() {
        assert_eq!(minor("1.95.3"), minor("1.95"));
        assert_ne!(minor("1.96.0"), minor("1.95"));
        assert_ne!(minor("1.9.5"), minor("1.95"));
        assert_eq!(minor("stable"), None);
    }

    #[test]
    fn every_feature_is_built_alone() {
        let features = [("default", vec!["a"]), ("a", vec![]), ("b", vec!["a"])];
        let features =
            features.map(|(name, on)| (name.to_owned(), on.into_iter().map(str::to_owned).collect()));
        let package = Package { features: features.into(), ..Package::default() };
        let alone = |name| vec!["--no-default-features", "--features", name];
        assert_eq!(feature_sets(&package), [vec!["--no-default-features"], vec![], alone("a"), alone("b")]);
        assert_eq!(feature_sets(&Package::default()), [vec!["--no-default-features"]]);
    }
}
