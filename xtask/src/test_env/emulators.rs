//! The emulators of AWS, which come with the Python packages.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use super::Program;
use crate::command;

/// The program `name` of the Python package `package`: the one `variable` names, else the one beside the interpreter.
pub(super) fn provide(name: &str, package: &str, variable: &str, python: &Program) -> Result<Program> {
    if let Some(path) = env::var_os(variable).filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        if !path.is_file() {
            bail!("{variable} names {}, which is no file", path.display());
        }
        return Ok(Program { path, version: package.to_owned(), origin: "from the environment" });
    }
    let path = python.path.with_file_name(name);
    if !path.is_file() {
        bail!(
            "there is no {name} beside {}: install it with `{} -m pip install --requirement xtask/python-requirements.txt`, \
             or name one in {variable}",
            python.path.display(),
            python.path.display()
        );
    }
    let describe = format!("import importlib.metadata as m; print('{package}', m.version('{package}'))");
    let version = command::output(Command::new(&python.path).args(["-c", &describe]))?.trim().to_owned();
    Ok(Program { path, version, origin: python.origin })
}
