//! `cargo xtask bench`: how close to what each broker itself can do, in one table.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::cargo::{cargo, target};
use crate::test_env::TestEnv;
use crate::{command, flags};

const HELP: &str = "\
Usage: cargo xtask bench [--quick] [--only <part of a measure's name>]... [--peers]

Builds the bench and the log sink as releases and prints one table: each measure, the ceiling measured beside it, and the
ratio of the two. benches/README.md says how to read it. Close everything else that computes.

  --quick   smaller and fewer rounds, and a backlog of one million instead of ten
  --only    only measures whose name contains this, such as `redis` or `sink`; may be given several times
  --peers   other crates for the same job as well, built from their published versions
";

/// The workspace of its own that the peers' program is: nobody else is to build what they depend on.
const PEERS: &str = "benches/peers/Cargo.toml";

pub(crate) fn run(mut arguments: lexopt::Parser) -> Result<()> {
    use lexopt::prelude::Long;
    let (mut passed_on, mut only, mut with_peers): (Vec<OsString>, Vec<String>, bool) = Default::default();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("quick") => passed_on.push("--quick".into()),
            Long("only") => only.push(arguments.value()?.to_string_lossy().to_lowercase()),
            Long("peers") => with_peers = true,
            other => return flags::help_or_refuse(other, HELP),
        }
    }
    for part in &only {
        passed_on.extend(["--only".into(), part.into()]);
    }
    let environment = TestEnv::prepare()?;
    let packages = ["--package", "events-bench", "--package", "event-log-sink"];
    command::run(cargo(["build", "--release", "--bins"]).args(packages))?;
    let mut table = Command::new(release("events-bench"));
    table.arg("--sink").arg(release("event-log-sink"));
    if with_peers {
        let folder = target().join("peers");
        let mut build = cargo(["build", "--release", "--manifest-path", PEERS, "--target-dir"]);
        command::run(build.arg(&folder))?;
        table.arg("--peers").arg(folder.join("release/events-peers"));
    }
    if only.is_empty() || only.iter().any(|part| "aws sns sqs".contains(part.as_str())) {
        table.arg("--aws").arg(aws(&environment)?);
    }
    environment.apply(&mut table);
    command::run(table.args(passed_on))
}

/// The bench of SNS and SQS beside the bare SDK stands with that backend, since only there the SDK is known. What it says
/// goes into the table.
fn aws(environment: &TestEnv) -> Result<PathBuf> {
    let mut bench = cargo(["bench", "--package", "events-aws", "--bench", "throughput"]);
    environment.apply(&mut bench);
    let said = command::output(&mut bench)?;
    let file = target().join("bench-aws.txt");
    fs::write(&file, said).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

fn release(program: &str) -> PathBuf {
    target().join("release").join(format!("{program}{}", std::env::consts::EXE_SUFFIX))
}
