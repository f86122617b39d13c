//! What every task does alike with its flags: help, and an error for what it does not know.

use anyhow::{Result, bail};

/// For tasks without flags of their own. `Ok(false)` means that the help was asked for and printed.
pub(crate) fn only_help(mut arguments: lexopt::Parser, help: &str) -> Result<bool> {
    match arguments.next()? {
        None => Ok(true),
        Some(argument) => help_or_refuse(argument, help).map(|()| false),
    }
}

/// Prints the help for `--help` and refuses every other argument.
pub(crate) fn help_or_refuse(argument: lexopt::Arg<'_>, help: &str) -> Result<()> {
    use lexopt::prelude::{Long, Short};
    match argument {
        Long("help") | Short('h') => {
            print!("{help}");
            Ok(())
        }
        other => bail!("{}\n\n{help}", other.unexpected()),
    }
}

#[cfg(test)]
mod tests {
    use super::only_help;

    #[test]
    fn an_unknown_flag_is_an_error() {
        let parser = |arguments: &[&str]| lexopt::Parser::from_args(arguments.to_vec());
        assert!(only_help(parser(&[]), "").unwrap());
        assert!(!only_help(parser(&["--help"]), "").unwrap());
        assert!(only_help(parser(&["--no-such-flag"]), "").is_err());
        assert!(only_help(parser(&["word"]), "").is_err());
    }
}
