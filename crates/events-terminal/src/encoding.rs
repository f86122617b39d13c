//! Reading the name of an encoding from a flag.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Arg, Command, builder::PossibleValue};
use events_core::wire::Encoding;

/// Takes the names of [`Encoding`], lists them in the help and completes them in a shell.
#[derive(Clone, Copy, Debug, Default)]
pub struct EncodingParser;

impl TypedValueParser for EncodingParser {
    type Value = Encoding;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<Encoding, clap::Error> {
        let name = PossibleValuesParser::new(Encoding::ALL.map(Encoding::as_str))
            .parse_ref(command, argument, value)?;
        name.parse().map_err(|_| clap::Error::new(clap::error::ErrorKind::InvalidValue).with_cmd(command))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(Encoding::ALL.into_iter().map(|encoding| PossibleValue::new(encoding.as_str()))))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Flags {
        #[arg(long, value_parser = EncodingParser)]
        encoding: Encoding,
    }

    #[test]
    fn every_name_is_taken_and_a_wrong_one_is_answered_with_all_of_them() {
        for encoding in Encoding::ALL {
            let flags = Flags::try_parse_from(["p", "--encoding", encoding.as_str()]).expect("a name");
            assert_eq!(flags.encoding, encoding);
        }
        let error = Flags::try_parse_from(["p", "--encoding", "cloudevent"]).expect_err("a typo");
        assert_eq!(error.exit_code(), 2);
        for encoding in Encoding::ALL {
            assert!(error.to_string().contains(encoding.as_str()), "{error}");
        }
    }
}
