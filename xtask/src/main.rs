//! The project's own tasks: `cargo xtask <task>`. One file per task; none knows a crate of the workspace.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what tasks do")]

mod bench;
mod cargo;
mod ci;
mod command;
mod demo;
mod flags;
mod fuzz;
mod instructions;
mod integration;
mod metadata;
mod phases;
mod pictures;
mod services;
mod test_env;
mod tidy;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
Usage: cargo xtask <task> [options]; `cargo xtask <task> --help` tells more.

Tasks:
  demo         one process publishes, the log sink prints and acknowledges
  integration  every test, with real servers
  ci           everything a change must pass
  bench        how close to what each broker can do: one table
  fuzz         whether some input breaks a decoder
  instructions whether the hot paths cost more instructions than they did
  pictures     the pictures of a terminal in the README, from what the programs really print
  tidy         rules no compiler checks: crate arrows, file headers, tables that agree
";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let task = arguments.next().unwrap_or_default();
    let rest = lexopt::Parser::from_args(arguments);
    match task.to_str() {
        Some("demo") => demo::run(rest),
        Some("integration") => integration::run(rest),
        Some("ci") => ci::run(rest),
        Some("bench") => bench::run(rest),
        Some("fuzz") => fuzz::run(rest),
        Some("instructions") => instructions::run(rest),
        Some("pictures") => pictures::run(rest),
        Some("tidy") => tidy::run(rest),
        Some("help" | "--help" | "-h") => {
            print!("{HELP}");
            Ok(())
        }
        Some("") => bail!("no task given\n\n{HELP}"),
        _ => bail!("no task {task:?}\n\n{HELP}"),
    }
}
