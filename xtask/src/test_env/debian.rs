//! Installing what is missing with Debian's package manager, as root or with `sudo` that asks nothing.

use std::process::Command;

use anyhow::{Result, bail};

use crate::command;

/// Installs packages, or fails with the command for a person to run.
pub(super) fn install(packages: &[&str]) -> Result<()> {
    let by_hand = format!("apt-get install {}", packages.join(" "));
    if command::on_path("apt-get").is_none() {
        bail!(
            "this system has no apt-get; install what Debian calls {} by its own means",
            packages.join(", ")
        );
    }
    let Some(prefix) = privileges() else {
        bail!("installing needs root; run: sudo {by_hand}");
    };
    println!("installing with: {by_hand}");
    let mut install = vec!["install", "--yes", "--no-install-recommends"];
    install.extend(packages);
    // A machine that never asked for the package lists, or long ago, needs them first.
    if command::run(&mut apt_get(prefix, &install)).is_err() {
        command::run(&mut apt_get(prefix, &["update"]))?;
        command::run(&mut apt_get(prefix, &install))?;
    }
    Ok(())
}

/// The words before a command that needs root, or nothing when root is out of reach.
fn privileges() -> Option<&'static [&'static str]> {
    let user = command::output(Command::new("id").arg("-u")).unwrap_or_default();
    if user.trim() == "0" {
        return Some(&[]);
    }
    command::succeeds(Command::new("sudo").args(["-n", "true"])).then_some(&["sudo", "-n"])
}

fn apt_get(prefix: &[&str], arguments: &[&str]) -> Command {
    let options = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-o", "DPkg::Lock::Timeout=300"];
    let words: Vec<&str> = prefix.iter().chain(&options).chain(arguments).copied().collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdin(std::process::Stdio::null());
    command
}

#[cfg(test)]
mod tests {
    use super::apt_get;
    use crate::command::shown;

    #[test]
    fn root_is_asked_for_without_a_prompt() {
        let as_root = "env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 update";
        assert_eq!(shown(&apt_get(&[], &["update"])), as_root);
        assert_eq!(shown(&apt_get(&["sudo", "-n"], &["update"])), format!("sudo -n {as_root}"));
    }
}
