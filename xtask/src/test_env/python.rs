//! A Python with the packages the tests use, in a virtual environment of its own.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Program, debian};
use crate::command;

/// The packages and their versions.
const REQUIREMENTS: &str = include_str!("../../python-requirements.txt");

/// Prints what the report shows, and fails when a package is missing.
const DESCRIBE: &str = "import platform, pydantic, redis; \
    print(f'{platform.python_version()}, redis-py {redis.__version__}, pydantic {pydantic.VERSION}')";

/// The interpreter for the tests.
pub(super) fn provide(folder: &Path) -> Result<Program> {
    if let Some(path) = env::var_os("EVENTS_TEST_PYTHON").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        let version = describe(&path).with_context(|| format!("EVENTS_TEST_PYTHON={}", path.display()))?;
        return Ok(Program { path, version, origin: "from EVENTS_TEST_PYTHON" });
    }
    let environment = folder.join("python");
    let interpreter = environment.join("bin/python");
    let stamp = environment.join("requirements-installed.txt");
    let current = fs::read_to_string(&stamp).is_ok_and(|installed| installed == REQUIREMENTS);
    if current && let Ok(version) = describe(&interpreter) {
        return Ok(Program { path: interpreter, version, origin: "provided by an earlier run" });
    }
    println!("installing Python packages into {}", environment.display());
    create(&environment)?;
    command::run(
        Command::new(&interpreter)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
            .arg(command::root().join("xtask/python-requirements.txt")),
    )?;
    let version = describe(&interpreter)?;
    fs::write(&stamp, REQUIREMENTS).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(Program { path: interpreter, version, origin: "virtual environment made now" })
}

/// The last FastStream that writes the JSON envelope; newer ones read it still, and services that write it are about.
const OLDER_FASTSTREAM: &str = "faststream==0.6.7";

/// That FastStream, beside the packages of `python` and not among them. It is named by its first file.
pub(super) fn older_faststream(folder: &Path, python: &Program) -> Result<Program> {
    let version = OLDER_FASTSTREAM.replace("==", " ");
    if let Some(path) = env::var_os("EVENTS_TEST_OLDER_FASTSTREAM").filter(|path| !path.is_empty()) {
        return Ok(Program { path: path.into(), version, origin: "from EVENTS_TEST_OLDER_FASTSTREAM" });
    }
    let packages = folder.join("older-faststream");
    let path = packages.join("faststream/__init__.py");
    let stamp = packages.join("requirement-installed.txt");
    if path.is_file() && fs::read_to_string(&stamp).is_ok_and(|installed| installed == OLDER_FASTSTREAM) {
        return Ok(Program { path, version, origin: "provided by an earlier run" });
    }
    command::run(
        Command::new(&python.path)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
                "--upgrade",
            ])
            .arg("--target")
            .arg(&packages)
            .arg(OLDER_FASTSTREAM),
    )?;
    fs::write(&stamp, OLDER_FASTSTREAM).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(Program { path, version, origin: "installed now" })
}

/// Makes an empty virtual environment. Debian's Python comes without the means; they are installed then.
fn create(environment: &Path) -> Result<()> {
    let venv =
        |python: &str| command::output(Command::new(python).args(["-m", "venv", "--clear"]).arg(environment));
    if venv("python3").is_ok() {
        return Ok(());
    }
    debian::install(&["python3", "python3-venv"]).context("this Python cannot make a virtual environment")?;
    venv("/usr/bin/python3").map(drop)
}

fn describe(interpreter: &Path) -> Result<String> {
    Ok(command::output(Command::new(interpreter).args(["-c", DESCRIBE]))?.trim().to_owned())
}
