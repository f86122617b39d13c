//! What a program says about itself: on standard error, through `tracing`.

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use events_core::{Error, ErrorKind, Result};
use tracing_subscriber::EnvFilter;

/// The variables that choose what is logged; the first that is set counts.
const VARIABLES: [&str; 2] = ["EVENTS_LOG", "RUST_LOG"];

/// What is logged where neither is set: our own doings, of the Redis client only what is wrong.
const DEFAULT_FILTER: &str = "info,fred=warn";

/// Who reads the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Whoever operates a program that runs for long: every line has its time.
    Operator,
    /// Whoever sits at the terminal and waits.
    User,
}

/// How log lines are spelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// for people, coloured on a terminal
    #[default]
    Text,
    /// one JSON object a line, for programs
    Json,
}

/// Sends log lines to standard error, filtered by `EVENTS_LOG`, else `RUST_LOG`.
///
/// # Errors
///
/// [`InvalidConfig`](ErrorKind::InvalidConfig) where the filter is none; the log works all the same, so that this can be said.
pub fn init_logging(audience: Audience, format: LogFormat) -> Result<()> {
    let given = VARIABLES.into_iter().find_map(|name| Some((name, std::env::var(name).ok()?)));
    let (filter, outcome) = match given.filter(|(_, filter)| !filter.is_empty()) {
        None => (EnvFilter::new(DEFAULT_FILTER), Ok(())),
        Some((name, filter)) => match EnvFilter::try_new(filter) {
            Ok(filter) => (filter, Ok(())),
            // Its own sources say the same again.
            Err(error) => (EnvFilter::new(DEFAULT_FILTER), Err(no_filter(name, &error.to_string()))),
        },
    };
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal() && !anstyle_query::no_color());
    match (format, audience) {
        (LogFormat::Json, _) => log.json().flatten_event(true).init(),
        (LogFormat::Text, Audience::Operator) => log.init(),
        (LogFormat::Text, Audience::User) => log.with_target(false).without_time().init(),
    }
    outcome
}

fn no_filter(variable: &str, why: &str) -> Error {
    let message =
        format!("environment variable {variable}: no filter such as `info` or `debug,fred=warn`: {why}");
    Error::new(ErrorKind::InvalidConfig, "logging", message)
}
