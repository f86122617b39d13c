//! `cargo xtask bench`: the benchmarks.

use anyhow::Result;

use crate::cargo::cargo;
use crate::{command, flags};

const HELP: &str = "\
Usage: cargo xtask bench

Runs every benchmark of the workspace (`cargo bench --workspace --all-features`). Numbers are printed, not judged:
only ratios to a ceiling measured in the same run mean something.
";

pub(crate) fn run(arguments: lexopt::Parser) -> Result<()> {
    if !flags::only_help(arguments, HELP)? {
        return Ok(());
    }
    command::run(&mut cargo(["bench", "--workspace", "--all-features", "--benches"]))
}
