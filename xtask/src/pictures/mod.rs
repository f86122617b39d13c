//! `cargo xtask pictures`: the pictures of a terminal in the documentation, from what the programs really print.

mod scenes;
mod stage;
mod steady;
mod svg;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use self::scenes::{SCENES, Scene};
use self::stage::Stage;
use crate::cargo::cargo;
use crate::{command, flags};

const HELP: &str = "\
Usage: cargo xtask pictures [--check]

Runs the programs at a terminal, on files of their own, and draws what they print, colours included, into docs/pictures.
Times and ages are fixed, so that a picture changes when a program prints something else, and only then.

  --check  draw nothing, and fail where a picture is not what the programs print
";

/// Where the pictures are, from the workspace's root.
const FOLDER: &str = "docs/pictures";

pub(crate) fn run(mut arguments: lexopt::Parser) -> Result<()> {
    let mut only_checks = false;
    while let Some(argument) = arguments.next()? {
        match argument {
            lexopt::Arg::Long("check") => only_checks = true,
            other => return flags::help_or_refuse(other, HELP),
        }
    }
    command::run(&mut cargo([
        "build",
        "--quiet",
        "--all-features",
        "-p",
        "event-log-sink",
        "-p",
        "events-cli",
    ]))?;
    if only_checks { check() } else { draw() }
}

fn draw() -> Result<()> {
    let folder = command::root().join(FOLDER);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for scene in SCENES {
        let file = file(scene);
        fs::write(&file, svg::draw(&played(scene)?, scene.columns))
            .with_context(|| format!("cannot write {}", file.display()))?;
        println!("{FOLDER}/{}.svg", scene.name);
    }
    Ok(())
}

/// Fails where a picture is not what the programs print, or shows nothing any more. The programs have to be built.
pub(crate) fn check() -> Result<()> {
    for scene in SCENES {
        let file = file(scene);
        let drawn = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let wanted = svg::draw(&played(scene)?, scene.columns);
        let differs = |(one, other): &(&str, &str)| one != other;
        if let Some((drawn, wanted)) = drawn.lines().zip(wanted.lines()).find(differs) {
            bail!(
                "{} shows\n{drawn}\nand the programs print\n{wanted}\nrun `cargo xtask pictures`",
                scene.name
            );
        }
        if drawn != wanted {
            bail!("{} has too little or too much: run `cargo xtask pictures`", scene.name);
        }
        println!("{FOLDER}/{}.svg is what the programs print", scene.name);
    }
    strays(&command::root().join(FOLDER))
}

/// Fails for a picture of no scene.
fn strays(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if !SCENES.iter().any(|scene| file(scene) == path) {
            bail!("{} is drawn by nothing", path.display());
        }
    }
    Ok(())
}

fn file(scene: &Scene) -> PathBuf {
    command::root().join(FOLDER).join(scene.name).with_extension("svg")
}

/// What somebody sees who types a scene's commands.
fn played(scene: &Scene) -> Result<Vec<String>> {
    let stage = Stage::new()?;
    (scene.before)(&stage).with_context(|| format!("what comes before the picture {}", scene.name))?;
    let mut lines = Vec::new();
    for shown in scene.shown {
        for (at, line) in shown.lines().enumerate() {
            let prompt = if at == 0 { '$' } else { '>' };
            lines.push(format!("\u{1b}[36m{prompt}\u{1b}[0m {line}"));
        }
        lines.extend(stage.printed_at_terminal(shown)?);
    }
    Ok(steady::steady(&lines))
}
