//! `PythonEnv`: a Python interpreter that has the packages the tests need.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::program;

/// The interpreter named by `$EVENTS_TEST_PYTHON`, else the one of the virtual environment that
/// `cargo xtask integration` made. The user's own Python is never used unasked.
#[derive(Debug, Clone)]
pub struct PythonEnv {
    interpreter: PathBuf,
}

impl PythonEnv {
    /// Finds the interpreter and checks that it can import `modules`.
    ///
    /// # Errors
    /// When there is none, or it lacks one of the modules; the error names the remedy.
    pub fn with_modules(modules: &[&str]) -> Result<Self> {
        let interpreter = program::find("EVENTS_TEST_PYTHON", &[], "python/bin/python")?;
        let import = format!("import {}", modules.join(", "));
        let output = Command::new(&interpreter)
            .args(["-c", &import])
            .output()
            .with_context(|| format!("cannot run {}", interpreter.display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().next_back().unwrap_or("no message");
            bail!("{} cannot `{import}` ({last}): {}", interpreter.display(), program::REMEDY);
        }
        Ok(Self { interpreter })
    }

    /// The interpreter's path.
    pub fn interpreter(&self) -> &Path {
        &self.interpreter
    }

    /// A command that runs `script` with a FastStream that still writes the JSON envelope.
    ///
    /// # Errors
    /// When `cargo xtask integration` has not provided it and `$EVENTS_TEST_OLDER_FASTSTREAM` does not name its first file.
    pub fn script_with_older_faststream(&self, script: &Path) -> Result<Command> {
        let first =
            program::find("EVENTS_TEST_OLDER_FASTSTREAM", &[], "older-faststream/faststream/__init__.py")?;
        let packages = first.ancestors().nth(2).context("the file is not in a package")?;
        let mut command = self.script(script);
        command.env("PYTHONPATH", packages).env("FASTSTREAM_FORMAT", "json");
        Ok(command)
    }

    /// A command that runs `script`, unbuffered, so that a test sees each line when it is printed.
    #[must_use]
    pub fn script(&self, script: &Path) -> Command {
        let mut command = Command::new(&self.interpreter);
        command.arg("-u").arg(script);
        command
    }
}
