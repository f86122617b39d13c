//! `cargo xtask fuzz`: whether libFuzzer finds input that breaks what reads strangers' bytes.
//!
//! `cargo fuzz` wants a nightly compiler, for sanitizers that have nothing to find where `unsafe` is forbidden. What
//! libFuzzer is guided by is stable.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::cargo::{cargo, target};
use crate::{command, flags};

const HELP: &str = "\
Usage: cargo xtask fuzz [--seconds <n>] [target]...

Builds the targets in fuzz/fuzz_targets with libFuzzer, and has each look for so long (60 seconds) for input that makes a
decoder panic, overflow the stack, or take more memory than a small multiple of its length. All that are named run side by
side; without a name, all there are. What they learn is kept in target/fuzz, and they go on from it.

libFuzzer is C++: a C++ compiler is needed.
";

/// How long each target runs unless told otherwise, and in `cargo xtask ci`.
const SECONDS: u32 = 60;

/// A workspace of its own: nobody else is to build what it depends on.
const MANIFEST: &str = "fuzz/Cargo.toml";

/// What `cargo fuzz` tells the compiler, without its sanitizer.
const INSTRUMENTED: &[&str] = &[
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
];

/// How long one input may take, in seconds, on a machine that does other things as well.
const PATIENCE: u32 = 30;

pub(crate) fn run(mut arguments: lexopt::Parser) -> Result<()> {
    use lexopt::prelude::{Long, Value, ValueExt as _};
    let (mut seconds, mut named) = (SECONDS, Vec::new());
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("seconds") => seconds = arguments.value()?.parse()?,
            Value(name) => named.push(name.string()?),
            other => return flags::help_or_refuse(other, HELP),
        }
    }
    ensure!(seconds > 0, "--seconds is at least 1: libFuzzer takes 0 for ever");
    look(seconds, chosen(targets()?, &named)?)
}

/// All targets, each for a minute; a step of `cargo xtask ci`.
pub(crate) fn check() -> Result<()> {
    look(SECONDS, targets()?)
}

/// The names of the targets: one file each.
fn targets() -> Result<BTreeSet<String>> {
    let folder = command::root().join("fuzz/fuzz_targets");
    let files = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let paths = files.map(|file| Ok(file?.path())).collect::<Result<Vec<_>>>()?;
    Ok(paths.iter().filter_map(|path| path.file_stem()?.to_str().map(str::to_owned)).collect())
}

/// Those that are named, or all; an error that lists them for a name that is none.
fn chosen(targets: BTreeSet<String>, named: &[String]) -> Result<BTreeSet<String>> {
    if let Some(unknown) = named.iter().find(|name| !targets.contains(*name)) {
        let known = targets.into_iter().collect::<Vec<_>>().join(", ");
        bail!("no fuzz target {unknown:?}; there are {known}");
    }
    Ok(if named.is_empty() { targets } else { named.iter().cloned().collect() })
}

fn look(seconds: u32, targets: BTreeSet<String>) -> Result<()> {
    let folder = target().join("fuzz");
    let programs = build(&folder)?;
    // Side by side, though there may be fewer processors: each gets its share of the time.
    let running: Vec<_> = targets
        .into_iter()
        .map(|name| Running::start(name, seconds, &programs, &folder))
        .collect::<Result<_>>()?;
    let ended = running.into_iter().map(Running::end).collect::<Result<Vec<_>>>()?;
    let broken: Vec<String> = ended.into_iter().flatten().collect();
    ensure!(broken.is_empty(), "input was found that breaks a decoder\n{}", broken.join("\n"));
    Ok(())
}

/// Builds every target and returns the folder of the programs.
fn build(folder: &Path) -> Result<PathBuf> {
    // With a target named, build scripts and macros are not instrumented.
    let host = host()?;
    let mut build = cargo(["build", "--release", "--locked", "--bins", "--manifest-path", MANIFEST]);
    build.args(["--target", &host, "--target-dir"]).arg(folder);
    command::run(build.env("CARGO_ENCODED_RUSTFLAGS", INSTRUMENTED.join("\u{1f}")))?;
    Ok(folder.join(host).join("release"))
}

fn host() -> Result<String> {
    let said = command::output(Command::new("rustc").arg("-vV"))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not say what it runs on")?.to_owned())
}

/// A target that runs.
struct Running {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Running {
    fn start(name: String, seconds: u32, programs: &Path, folder: &Path) -> Result<Self> {
        let corpus = folder.join("corpus").join(&name);
        let found = folder.join("found");
        for folder in [&corpus, &found] {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let program = programs.join(&name);
        let mut fuzz = Command::new(&program);
        fuzz.arg(format!("-max_total_time={seconds}"))
            .arg(format!("-timeout={PATIENCE}"))
            .arg(format!("-artifact_prefix={}/{name}-", found.display()))
            .arg(corpus)
            .arg(command::root().join("fuzz/seeds").join(&name))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file);
        let child = fuzz.spawn().with_context(|| format!("cannot run {}", program.display()))?;
        Ok(Self { name, child, log })
    }

    /// Waits; what it says of an input that it found.
    fn end(mut self) -> Result<Option<String>> {
        let status = self.child.wait().with_context(|| format!("cannot wait for {}", self.name))?;
        let log = fs::read(&self.log).with_context(|| format!("cannot read {}", self.log.display()))?;
        let log = String::from_utf8_lossy(&log);
        if status.success() {
            println!("{:<12}{}", self.name, last_words(&log));
            return Ok(None);
        }
        let lines: Vec<&str> = log.lines().collect();
        let end = lines[lines.len().saturating_sub(LINES)..].join("\n");
        Ok(Some(format!("{}: {status}; all it said is in {}\n{end}", self.name, self.log.display())))
    }
}

/// How much is shown of what a target said that failed: the panic, the stack, and where the input was written.
const LINES: usize = 40;

/// How much was tried and reached: `1024 DONE cov: 12 ft: 34 corp: 5/6Kb exec/s: 78`.
fn last_words(log: &str) -> String {
    let done = log.lines().find(|line| line.contains("DONE") && line.contains("cov:"));
    done.unwrap_or("ended without a word")
        .trim_start_matches('#')
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_a_program_with_seeds() {
        let manifest = fs::read_to_string(command::root().join(MANIFEST)).unwrap();
        let targets = targets().unwrap();
        assert!(!targets.is_empty());
        for name in targets {
            assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name} is no program");
            let seeds = fs::read_dir(command::root().join("fuzz/seeds").join(&name));
            assert!(seeds.is_ok_and(|mut seeds| seeds.next().is_some()), "{name} has no seeds");
        }
    }

    #[test]
    fn a_name_that_is_none_lists_those_that_are() {
        let targets = || BTreeSet::from(["body".to_owned(), "sqs".to_owned()]);
        assert_eq!(chosen(targets(), &[]).unwrap(), targets());
        assert_eq!(chosen(targets(), &["sqs".to_owned()]).unwrap(), BTreeSet::from(["sqs".to_owned()]));
        let error = chosen(targets(), &["sns".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("body, sqs"), "{error}");
    }

    #[test]
    fn the_end_of_a_run_says_how_much_was_tried() {
        let log = "INFO: seed corpus\n#2\tINITED cov: 1\n#512\tDONE   cov: 20 ft: 30\nDone 512 runs in 2 second(s)\n";
        assert_eq!(last_words(log), "512 DONE cov: 20 ft: 30");
    }
}
