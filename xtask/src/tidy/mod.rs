//! `cargo xtask tidy`: rules of this project that no compiler checks. Every broken one is listed, not just the first.

mod arrows;
mod manifests;
mod sources;
mod tables;

use anyhow::{Result, bail};

use crate::flags;
use crate::metadata::Workspace;

const HELP: &str = "\
Usage: cargo xtask tidy

Checks that crates depend only on whom they may know; that every source file begins with what it is for, is not too
long and holds no trailing white space and no path of a developer's machine; that manifests are complete; that the
factory's features, the README's table of backends and docker-compose.yml agree.
";

pub(crate) fn run(arguments: lexopt::Parser) -> Result<()> {
    if flags::only_help(arguments, HELP)? {
        check(&Workspace::load()?)?;
        println!("tidy");
    }
    Ok(())
}

/// Runs every rule.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut broken = arrows::check(workspace);
    broken.extend(manifests::check(workspace));
    broken.extend(sources::check()?);
    broken.extend(tables::check(workspace));
    if !broken.is_empty() {
        bail!("{} rules broken:\n{}", broken.len(), broken.join("\n"));
    }
    Ok(())
}
