//! `cargo xtask pictures`: the pictures of a terminal in the README, from what the programs really print.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo::{binary, cargo};
use crate::{command, flags};

const HELP: &str = "\
Usage: cargo xtask pictures

Runs the programs on a file of their own and draws what they print, colours included, into docs/pictures.
";

/// Name of a picture, and the commands it shows.
const PICTURES: &[(&str, &[&str])] = &[(
    "events",
    &[
        "events publish --type slack.join --source slack --payload '{\"user\":\"alice\"}'",
        "events publish --type github.push --source github --payload '{\"branch\":\"main\"}'",
        "event-log-sink --drain",
        "events publish --type slack.leave --source slack --payload '{\"user\":\"alice\"}'",
        "events groups",
    ],
)];

/// The measures of a character of the font, in pixels.
const WIDTH: f64 = 8.4;
const HEIGHT: usize = 19;
const MARGIN: usize = 14;

pub(crate) fn run(arguments: lexopt::Parser) -> Result<()> {
    if !flags::only_help(arguments, HELP)? {
        return Ok(());
    }
    command::run(&mut cargo(["build", "--quiet", "-p", "event-log-sink", "-p", "events-cli"]))?;
    let folder = command::root().join("docs/pictures");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (name, commands) in PICTURES {
        let home = tempfile::tempdir().context("cannot make a temporary directory")?;
        let mut lines = Vec::new();
        for line in *commands {
            lines.push(format!("\u{1b}[36m$\u{1b}[0m {line}"));
            lines.extend(printed(line, home.path())?.lines().map(str::to_owned));
        }
        let file = folder.join(format!("{name}.svg"));
        fs::write(&file, svg(&lines)).with_context(|| format!("cannot write {}", file.display()))?;
        println!("{}", file.strip_prefix(command::root()).unwrap_or(&file).display());
    }
    Ok(())
}

/// What a command prints on a terminal with colours.
fn printed(line: &str, home: &Path) -> Result<String> {
    // Quotes are for the reader, who has a shell; no word has a space in it.
    let mut words = line.split(' ').map(|word| word.trim_matches('\''));
    let Some(program) = words.next() else { bail!("a picture of no command") };
    let mut shown = Command::new(binary(program));
    shown.args(words).env_clear().env("HOME", home).env("CLICOLOR_FORCE", "1");
    command::output(&mut shown)
}

/// Lines with the escapes for bold, dim and cyan as a picture.
fn svg(lines: &[String]) -> String {
    let columns = lines.iter().map(|line| visible(line)).max().unwrap_or_default().max(60);
    let (width, height) = ((columns as f64 * WIDTH) as usize + 2 * MARGIN, lines.len() * HEIGHT + 2 * MARGIN);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-size=\"14\" \
         font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, monospace\" fill=\"#d8dee9\" xml:space=\"preserve\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"#20242c\"/>\n"
    );
    for (at, line) in lines.iter().enumerate() {
        let y = MARGIN + at * HEIGHT + 14;
        out += &format!("<text x=\"{MARGIN}\" y=\"{y}\">{}</text>\n", spans(line));
    }
    out + "</svg>\n"
}

fn visible(line: &str) -> usize {
    let without = |part: &str| part.split_once('m').map_or(0, |(_, text)| text.chars().count());
    let mut parts = line.split('\u{1b}');
    parts.next().map_or(0, |text| text.chars().count()) + parts.map(without).sum::<usize>()
}

fn spans(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let mut out = escaped(parts.next().unwrap_or_default());
    for part in parts {
        let (code, text) = part.split_once('m').unwrap_or_default();
        let text = escaped(text);
        let style = match code {
            "[1" => "font-weight=\"bold\" fill=\"#ffffff\"",
            "[2" => "fill=\"#7b8494\"",
            "[36" => "fill=\"#88c0d0\"",
            _ => {
                out += &text;
                continue;
            }
        };
        out += &format!("<tspan {style}>{text}</tspan>");
    }
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_become_spans_and_nothing_is_markup() {
        let line = "a \u{1b}[1mb<c\u{1b}[0m &".to_owned();
        assert_eq!(visible(&line), 7);
        assert_eq!(spans(&line), "a <tspan font-weight=\"bold\" fill=\"#ffffff\">b&lt;c</tspan> &amp;");
        assert!(svg(&[line]).ends_with("</svg>\n"));
    }
}
