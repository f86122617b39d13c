//! How the programs end.

use std::process::ExitCode;

use events_core::ErrorKind;

/// How a program ended, as its caller sees it.
///
/// A program that a second signal ended exits with 128 and the signal's number: 130 for Ctrl-C, 143 for SIGTERM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All done, or asked to end and done with what was in hand.
    Success = 0,
    /// Something failed while running, or some of the events did.
    Failure = 1,
    /// The command line or the configuration is wrong; nothing was done.
    Usage = 2,
    /// The backend does not offer what was asked for; nothing was done.
    Unsupported = 3,
}

impl Exit {
    /// How a program ends for an error of this kind.
    pub fn for_kind(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidConfig => Self::Usage,
            ErrorKind::Unsupported => Self::Unsupported,
            _ => Self::Failure,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_those_that_are_documented() {
        assert_eq!(Exit::Success as u8, 0);
        assert_eq!(Exit::Failure as u8, 1);
        assert_eq!(Exit::Usage as u8, 2);
        assert_eq!(Exit::Unsupported as u8, 3);
        assert_eq!(Exit::for_kind(ErrorKind::InvalidConfig), Exit::Usage);
        assert_eq!(Exit::for_kind(ErrorKind::Unsupported), Exit::Unsupported);
        assert_eq!(Exit::for_kind(ErrorKind::PermissionDenied), Exit::Failure);
    }
}
