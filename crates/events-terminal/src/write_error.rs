//! Why what was printed did not arrive.

use std::path::Path;
use std::{error, fmt, io};

/// Why lines did not arrive where they were to go; says where that is.
#[derive(Debug)]
pub struct WriteError {
    target: String,
    source: io::Error,
}

impl WriteError {
    pub(crate) fn new(file: Option<&Path>, source: io::Error) -> Self {
        let target = file.map_or_else(|| "standard output".to_owned(), |path| path.display().to_string());
        Self { target, source }
    }

    /// Whether nobody reads any more, as after `| head`: the end of a program, and no failure.
    pub fn is_closed_pipe(&self) -> bool {
        self.source.kind() == io::ErrorKind::BrokenPipe
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot write to {}", self.target)
    }
}

impl error::Error for WriteError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.source)
    }
}
