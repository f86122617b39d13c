//! What every file of the project keeps: a first line that says what it is for, a length one can read, clean ends of lines,
//! and nothing of the machine it was written on.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command;

/// A file longer than this holds more than one noun.
const LONGEST: usize = 400;

/// Beginnings of paths that exist on one machine only. Split, so that this file passes its own rule.
const MACHINE_PATHS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];

/// Real bytes, kept as they came.
const DATA: &[&str] = &[".jsonl", ".bin"];

/// Folders that hold nothing of the project's, for a copy of it without its history.
const NOT_OURS: &[&str] = &[".git", "target", "__pycache__"];

pub(super) fn check() -> Result<Vec<String>> {
    let mut broken = Vec::new();
    for name in files()? {
        let bytes = fs::read(command::root().join(&name)).with_context(|| format!("cannot read {name}"))?;
        if let Ok(text) = String::from_utf8(bytes) {
            broken.extend(rules(&name, &text));
        }
    }
    Ok(broken)
}

/// The project's files, relative to its root: what git does not ignore, or everything where git or its history is missing.
fn files() -> Result<Vec<String>> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let mut files = match command::output(Command::new("git").args(list).current_dir(command::root())) {
        Ok(names) => names.split_terminator('\0').map(str::to_owned).collect(),
        Err(_) => walk(command::root())?,
    };
    // A deleted file stays listed until that is committed.
    files.retain(|name| command::root().join(name).is_file());
    Ok(files)
}

fn walk(root: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let path = entry.with_context(|| format!("cannot read {}", folder.display()))?.path();
            let is_ours = !NOT_OURS.iter().any(|name| path.ends_with(name));
            if path.is_dir() && is_ours {
                folders.push(path);
            } else if let Some(name) = path.strip_prefix(root).ok().and_then(Path::to_str).filter(|_| is_ours)
            {
                files.push(name.to_owned());
            }
        }
    }
    Ok(files)
}

fn rules(name: &str, text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    if name.ends_with(".rs") {
        if !text.starts_with("//! ") {
            broken.push(format!("{name}:1: does not begin with a `//!` line that says what it is for"));
        }
        let length = text.lines().count();
        if length > LONGEST {
            broken.push(format!("{name}: {length} lines; above {LONGEST} it holds more than one noun"));
        }
    }
    let is_data = DATA.iter().any(|ending| name.ends_with(ending));
    for (number, line) in text.lines().enumerate() {
        let place = || format!("{name}:{}", number + 1);
        if !is_data && line.ends_with([' ', '\t', '\r']) {
            broken.push(format!("{}: trailing white space", place()));
        }
        if let Some(path) = MACHINE_PATHS.iter().find(|path| line.contains(**path)) {
            broken.push(format!("{}: a path of one machine: {path}", place()));
        }
        if reads_outside_its_crate(name, line) {
            broken.push(format!("{}: reads a file that is not in its package", place()));
        }
    }
    broken
}

/// Whether a source of a published crate includes a file above the crate's folder. Only what lies below is packed.
fn reads_outside_its_crate(name: &str, line: &str) -> bool {
    let Some((_, inside)) = name.strip_prefix("crates/").and_then(|name| name.split_once("/src/")) else {
        return false;
    };
    let floors = 1 + inside.matches('/').count();
    ["include_str!(\"", "include_bytes!(\""]
        .iter()
        .filter_map(|macro_name| line.split_once(macro_name))
        .any(|(_, path)| path.matches("../").count() > floors)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: &str = "//! What it is for.\n\nfn main() {}\n";

    #[test]
    fn a_clean_file_passes() {
        assert_eq!(rules("src/main.rs", FINE), Vec::<String>::new());
    }

    #[test]
    fn without_git_the_folders_are_walked() {
        let root = tempfile::tempdir().unwrap();
        for name in ["a.md", "src/deep/b.rs", "target/c.rs", ".git/config"] {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let mut files = walk(root.path()).unwrap();
        files.sort();
        assert_eq!(files, ["a.md", "src/deep/b.rs"]);
    }

    #[test]
    fn every_rust_file_says_what_it_is_for() {
        assert_eq!(rules("src/main.rs", "fn main() {}\n").len(), 1);
        assert_eq!(rules("src/main.rs", "").len(), 1);
        assert!(rules("script.py", "print()\n").is_empty());
    }

    #[test]
    fn long_files_are_refused() {
        let text = format!("//! Long.\n{}", "\n".repeat(LONGEST - 1));
        assert!(rules("src/a.rs", &text).is_empty());
        assert_eq!(rules("src/a.rs", &format!("{text}\n")).len(), 1);
    }

    #[test]
    fn trailing_white_space_is_refused_outside_data() {
        assert_eq!(rules("README.md", "one \ntwo\t\nthree\n").len(), 2);
        assert_eq!(rules("README.md", "one\r\n").len(), 0, "`lines` takes the line end whole");
        assert!(rules("wire/real.jsonl", "{} \n").is_empty());
    }

    #[test]
    fn paths_of_one_machine_are_refused() {
        for path in MACHINE_PATHS {
            assert_eq!(rules("README.md", &format!("see {path}x\n")).len(), 1);
        }
    }

    #[test]
    fn a_package_holds_what_it_reads() {
        let line = "const A: &str = include_str!(\"../../README.md\");\n";
        assert_eq!(rules("crates/a/src/lib.rs", &format!("{FINE}{line}")).len(), 1);
        assert!(rules("crates/a/src/deep/mod.rs", &format!("{FINE}{line}")).is_empty());
        assert!(rules("tests/src/lib.rs", &format!("{FINE}{line}")).is_empty(), "not published");
    }
}
