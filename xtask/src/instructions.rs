//! `cargo xtask instructions`: whether the hot paths cost more instructions than they did.
//!
//! Counted by callgrind rather than timed, so that a busy machine changes nothing. Each path is run few and many times, and
//! the difference is what one time costs, without what starting costs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo::{cargo, target};
use crate::test_env::valgrind;
use crate::{command, flags};

const HELP: &str = "\
Usage: cargo xtask instructions [--accept]

Counts, with callgrind, the instructions of encoding, decoding, and one event's way through the backend in memory, and
compares them with benches/instructions/counts.txt. More than 5 % above is an error; more than 5 % below asks to be
written down, too, so that a gain is not lost unseen. With --accept the file is written anew.

valgrind is found on the PATH, or installed with Debian's package manager.
";

/// What is counted: its name, and how many times it is done in the shorter and in the longer run.
const PATHS: &[(&str, u64, u64)] = &[("encode", 200, 2_200), ("decode", 200, 2_200), ("cycle", 4, 44)];

/// How far a count may be from what is written down, in percent. Another libc, allocator or processor moves them by a few.
const TOLERANCE: f64 = 5.0;

/// Other processors have other instructions.
const COMPARABLE: bool = cfg!(target_arch = "x86_64");

const COUNTS: &str = "benches/instructions/counts.txt";

/// Optimised as a release, without what makes a release slow to build.
const PROFILE: &[&str] = &["--profile", "release", "--config", "profile.release.lto=false"];

pub(crate) fn run(mut arguments: lexopt::Parser) -> Result<()> {
    use lexopt::prelude::Long;
    let mut accept = false;
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("accept") => accept = true,
            other => return flags::help_or_refuse(other, HELP),
        }
    }
    let counts = count()?;
    if accept {
        fs::write(command::root().join(COUNTS), written(&counts)).context("cannot write the counts")?;
        return Ok(());
    }
    compare(&counts)
}

/// Counts and compares; a step of `cargo xtask ci`.
pub(crate) fn check() -> Result<()> {
    compare(&count()?)
}

fn count() -> Result<BTreeMap<String, u64>> {
    let valgrind = valgrind::provide()?;
    // A folder of its own: what is built here shares nothing with other builds.
    let folder = target().join("instructions");
    let mut build = cargo(["build", "--package", "events-instructions", "--target-dir"]);
    command::run(build.arg(&folder).args(PROFILE))?;
    let program = folder.join("release/events-instructions");
    let mut counts = BTreeMap::new();
    for &(path, few, many) in PATHS {
        let once = (run_counted(&valgrind, &program, path, many)?
            - run_counted(&valgrind, &program, path, few)?)
            / (many - few);
        counts.insert(path.to_owned(), once);
    }
    Ok(counts)
}

fn run_counted(valgrind: &Path, program: &PathBuf, path: &str, times: u64) -> Result<u64> {
    let mut run = Command::new(valgrind);
    run.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([path, &times.to_string()]);
    let output = run.output().with_context(|| format!("cannot run {}", command::shown(&run)))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = collected(&said).filter(|_| output.status.success());
    collected.with_context(|| format!("{} failed:\n{said}", command::shown(&run)))
}

/// The number of `==123== Collected : 456`.
fn collected(said: &str) -> Option<u64> {
    said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok())
}

fn written(counts: &BTreeMap<String, u64>) -> String {
    let mut text = String::from(
        "# Instructions of one time, counted by callgrind; written by `cargo xtask instructions --accept`.\n",
    );
    for (path, count) in counts {
        // Writing to memory cannot fail.
        writeln!(text, "{path} {count}").ok();
    }
    text
}

fn read(text: &str) -> Result<BTreeMap<String, u64>> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let count = |line: &str| {
        let (path, count) = line.split_once(' ').context("a line is a name and a count")?;
        Ok((path.to_owned(), count.parse()?))
    };
    lines.map(count).collect()
}

fn compare(counts: &BTreeMap<String, u64>) -> Result<()> {
    let text = fs::read_to_string(command::root().join(COUNTS)).context("cannot read the counts")?;
    let before = read(&text).with_context(|| format!("{COUNTS} is not readable"))?;
    let mut far = Vec::new();
    for (path, &now) in counts {
        let before = *before.get(path).with_context(|| format!("{COUNTS} lacks {path}"))?;
        let change = change(before, now);
        println!("{path:<8} {now:>8} instructions, {change:+.1} %");
        if COMPARABLE && change.abs() > TOLERANCE {
            far.push(format!("{path}: {before} before, {now} now"));
        }
    }
    if !COMPARABLE {
        println!("not compared: {COUNTS} holds the counts of x86-64");
    }
    if !far.is_empty() {
        bail!(
            "more than {TOLERANCE} % away from {COUNTS}: {}; if that is meant: cargo xtask instructions --accept",
            far.join("; ")
        );
    }
    Ok(())
}

/// In percent.
fn change(before: u64, now: u64) -> f64 {
    (now as f64 / before as f64 - 1.0) * 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callgrind_is_understood() {
        let said = "==7== Callgrind, a tool\n==7== Events    : Ir\n==7== Collected : 12345\n";
        assert_eq!(collected(said), Some(12_345));
        assert_eq!(collected("==7== killed"), None);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let counts = BTreeMap::from([("decode".to_owned(), 7), ("encode".to_owned(), 5)]);
        assert_eq!(read(&written(&counts)).unwrap(), counts);
        assert!(read("decode").is_err());
    }

    #[test]
    fn a_change_is_a_share_of_what_was() {
        assert!((change(200, 210) - 5.0).abs() < 1e-9);
        assert!(change(200, 180) < -9.9);
    }
}
