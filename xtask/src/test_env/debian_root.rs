//! Packages of a newer Debian below `target/test-env`: a C library that new server programs ask for, and Valkey.
//!
//! They are unpacked, not installed: nothing of the system changes, and root is not needed. A program from there runs
//! through the dynamic loader that was unpacked with it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::redis;
use crate::command;

/// The release the packages come from, named by its suite: within it there are only corrections.
const SUITE: &str = "trixie";

/// The packages: the C library first, then Valkey's server with what it is linked to.
const PACKAGES: &[&str] = &[
    "libc6",
    "valkey-tools",
    "libatomic1",
    "libcap2",
    "libgcc-s1",
    "libjemalloc2",
    "liblzf1",
    "libssl3t64",
    "libstdc++6",
    "libsystemd0",
    "libzstd1",
    "zlib1g",
];

/// The unpacked packages.
#[derive(Debug)]
pub(super) struct DebianRoot {
    folder: PathBuf,
}

impl DebianRoot {
    /// Downloads and unpacks the packages, unless an earlier run did.
    pub(super) fn provide(test_env: &Path) -> Result<Self> {
        let folder = test_env.join("debian").join(SUITE);
        let stamp = folder.join("packages.txt");
        let wanted = format!("{}\n", PACKAGES.join("\n"));
        if !fs::read_to_string(&stamp).is_ok_and(|unpacked| unpacked == wanted) {
            println!("unpacking packages of Debian {SUITE} into {}", folder.display());
            unpack(&folder)?;
            fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
        }
        Ok(Self { folder })
    }

    /// A program of the packages.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.folder.join("root/usr/bin").join(name)
    }

    /// Writes `script`, which runs `program` with the C library of the packages and whatever else it is linked to.
    pub(super) fn write_launcher(&self, script: &Path, program: &Path) -> Result<()> {
        let libraries = self.folder.join(format!("root/usr/lib/{}-linux-gnu", env::consts::ARCH));
        let loader = fs::read_dir(&libraries)
            .with_context(|| format!("no folder {}", libraries.display()))?
            .filter_map(Result::ok)
            .map(|file| file.path())
            .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ld-linux-")))
            .with_context(|| format!("no dynamic loader in {}", libraries.display()))?;
        let lines = format!(
            "#!/bin/sh\nexec '{}' --library-path '{}' '{}' \"$@\"\n",
            loader.display(),
            libraries.display(),
            program.display()
        );
        fs::write(script, lines).with_context(|| format!("cannot write {}", script.display()))?;
        redis::make_executable(script)
    }
}

fn unpack(folder: &Path) -> Result<()> {
    if command::on_path("apt-get").is_none() {
        bail!("this system has no apt-get");
    }
    let site = site()?;
    let (state, root) = (folder.join("apt"), folder.join("root"));
    for made in [state.join("lists/partial"), state.join("archives/partial"), root.clone()] {
        fs::create_dir_all(&made).with_context(|| format!("cannot create {}", made.display()))?;
    }
    let sources = state.join("sources.list");
    fs::write(&sources, format!("deb {site} {SUITE} main\n"))
        .with_context(|| format!("cannot write {}", sources.display()))?;
    command::run(&mut apt_get(&state, &["update"]))?;
    let download: Vec<&str> = ["download"].iter().chain(PACKAGES).copied().collect();
    command::run(apt_get(&state, &download).current_dir(state.join("archives")))?;
    for file in fs::read_dir(state.join("archives")).context("cannot list the packages")? {
        let file = file.context("cannot list the packages")?.path();
        if file.extension().is_some_and(|extension| extension == "deb") {
            command::run(Command::new("dpkg-deb").arg("--extract").arg(&file).arg(&root))?;
        }
    }
    fs::remove_dir_all(&state).with_context(|| format!("cannot remove {}", state.display()))
}

/// Where this machine's own Debian packages come from.
fn site() -> Result<String> {
    let listed = command::output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(COMPONENT) $(RELEASE) $(REPO_URI)",
        "Identifier: Packages",
    ]))?;
    site_in(&listed).context("no Debian mirror among the sources of apt-get")
}

/// Security updates and other people's repositories have no such suite.
fn site_in(listed: &str) -> Option<String> {
    listed.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let (component, _, site) = (words.next()?, words.next()?, words.next()?);
        (component == "main" && site.trim_end_matches('/').ends_with("/debian")).then(|| site.to_owned())
    })
}

/// `apt-get` with sources and a state of its own, so that neither the system's are touched nor root is needed.
fn apt_get(state: &Path, arguments: &[&str]) -> Command {
    let settings = [
        ("Dir::Etc::SourceList", state.join("sources.list")),
        ("Dir::Etc::SourceParts", "/dev/null".into()),
        ("Dir::State::Lists", state.join("lists")),
        ("Dir::Cache", state.to_owned()),
        ("APT::Sandbox::User", "root".into()),
    ];
    let mut command = Command::new("apt-get");
    command.arg("-q");
    for (name, value) in settings {
        command.arg("-o").arg(format!("{name}={}", value.display()));
    }
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(std::process::Stdio::null());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_the_machines_own() {
        let listed = "main tools https://tools.example/\n\
            main bookworm-security http://mirror.example/debian-security/\n\
            contrib bookworm http://other.example/debian/\n\
            main bookworm http://mirror.example/debian/\n";
        assert_eq!(site_in(listed).as_deref(), Some("http://mirror.example/debian/"));
        assert_eq!(site_in(""), None);
    }
}
