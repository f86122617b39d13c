//! What a server or the client may answer instead of a reply, and what that means for the caller.

use std::fmt;

use events_core::{Error, ErrorKind};
use fred::error::ErrorKind as FredKind;

/// What went wrong, as far as this crate acts on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// The group, or the stream with it, is gone.
    GroupLost,
    /// The group exists already.
    GroupExists,
    /// There is no such key.
    NoKey,
    /// Somebody ended a blocked read without a reason of ours.
    Unblocked,
    /// The user lacks a right.
    NoPermission,
    /// The user or the password is wrong.
    WrongCredentials,
    /// The server's certificate is not trusted, or the server speaks no TLS.
    UntrustedServer,
    /// The server does not trust our certificate, or wants one.
    UntrustedClient,
    /// The key holds something that is no stream.
    WrongType,
    /// The server is at its memory limit.
    OutOfMemory,
    /// The server is there and cannot serve now: it loads, follows, fails over or cannot persist.
    NotReady,
    /// The connection was lost or is not there.
    Disconnected,
    /// No answer came in time.
    TimedOut,
    /// Too many commands wait to be sent.
    QueueFull,
    /// The server does not know the command.
    UnknownCommand,
    /// The server does not know an option of the command.
    UnknownOption,
    /// The server writes no append-only file.
    NoAppendOnlyFile,
    /// Too few replicas or disks have it in time.
    Unconfirmed,
    /// The client was told something no server can use.
    BadSetting,
    /// Anything else.
    Other,
}

/// A command that failed.
#[derive(Clone, Debug)]
pub(crate) struct CommandError {
    code: Code,
    command: &'static str,
    key: String,
    source: fred::error::Error,
}

impl CommandError {
    pub(crate) fn new(command: &'static str, key: &str, source: fred::error::Error) -> Self {
        Self { code: code(source.kind(), source.details()), command, key: key.to_owned(), source }
    }

    /// A command that was not sent, for want of a connection.
    pub(crate) fn disconnected(command: &'static str, key: &str) -> Self {
        Self::new(command, key, fred::error::Error::new(FredKind::IO, "there is no connection"))
    }

    /// An answer that is not shaped as the command's documentation says.
    pub(crate) fn unreadable(command: &'static str, key: &str) -> Self {
        Self::new(command, key, fred::error::Error::new(FredKind::Parse, "the reply has an unexpected shape"))
    }

    /// The same with another cause.
    pub(crate) fn because(self, source: fred::error::Error) -> Self {
        Self { code: code(source.kind(), source.details()), source, ..self }
    }

    /// A write that was done, and is not where it should be before it counts.
    pub(crate) fn unconfirmed(command: &'static str, key: &str) -> Self {
        let source = fred::error::Error::new(FredKind::Timeout, "fewer have confirmed than were asked for");
        Self { code: Code::Unconfirmed, command, key: key.to_owned(), source }
    }

    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// Whether the server refuses scripts as such, so that the same can be tried without.
    pub(crate) fn refuses_scripts(&self) -> bool {
        matches!(self.code, Code::NoPermission | Code::UnknownCommand)
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.command, self.key, self.source)
    }
}

impl From<CommandError> for Error {
    fn from(error: CommandError) -> Self {
        let (kind, message) = meaning(error.code);
        Self::new(kind, format!("{} {}", error.command, error.key), message).with_source(error.source)
    }
}

fn meaning(code: Code) -> (ErrorKind, &'static str) {
    match code {
        Code::GroupLost => (ErrorKind::NotFound, "the consumer group does not exist"),
        Code::GroupExists => (ErrorKind::Backend, "the consumer group exists already"),
        Code::NoKey => (ErrorKind::NotFound, "the stream does not exist"),
        Code::NoPermission => (ErrorKind::PermissionDenied, "the user may not use this command on this key"),
        Code::WrongCredentials => {
            (ErrorKind::PermissionDenied, "the server refuses the user or the password")
        }
        Code::UntrustedServer => {
            (ErrorKind::InvalidConfig, "the server cannot prove by TLS that it is the one that was asked for")
        }
        Code::UntrustedClient => {
            (ErrorKind::PermissionDenied, "the server refuses the client's certificate, or wants one")
        }
        Code::WrongType => (ErrorKind::InvalidConfig, "the key holds something that is no stream"),
        Code::OutOfMemory => (ErrorKind::Full, "the server is at its memory limit"),
        Code::NotReady | Code::Unblocked => {
            (ErrorKind::Unavailable, "the server cannot serve the command now")
        }
        Code::Disconnected => (ErrorKind::Unavailable, "the server cannot be reached"),
        Code::TimedOut => (ErrorKind::Timeout, "the server did not answer in time"),
        Code::QueueFull => (ErrorKind::Full, "too many commands wait for the server"),
        Code::UnknownCommand => (ErrorKind::Unsupported, "the server does not know the command"),
        Code::UnknownOption => (ErrorKind::Backend, "the server does not know an option of the command"),
        Code::NoAppendOnlyFile => {
            (ErrorKind::InvalidConfig, "`wait_aof` needs a server with `appendonly yes`")
        }
        Code::Unconfirmed => {
            (ErrorKind::Timeout, "what was added was not confirmed by enough replicas or disks in time")
        }
        Code::BadSetting => (ErrorKind::InvalidConfig, "the client refuses its settings"),
        Code::Other => (ErrorKind::Backend, "the server refused the command"),
    }
}

/// Server errors come as text only; the first word tells them apart.
fn code(kind: &FredKind, details: &str) -> Code {
    let details = script_cause(details);
    if let Some(code) = server_code(details) {
        return code;
    }
    if let Some(code) = tls_code(details) {
        return code;
    }
    match kind {
        FredKind::Auth => Code::WrongCredentials,
        FredKind::Timeout => Code::TimedOut,
        FredKind::Backpressure => Code::QueueFull,
        FredKind::IO
        | FredKind::Canceled
        | FredKind::Cluster
        | FredKind::Sentinel
        | FredKind::Routing
        | FredKind::Protocol => Code::Disconnected,
        #[cfg(feature = "tls")]
        FredKind::Tls => Code::BadSetting,
        FredKind::Config | FredKind::Url | FredKind::InvalidArgument => Code::BadSetting,
        // The client's words for a command whose connection went away, or that came after closing.
        FredKind::Unknown if details.starts_with("Too many failed write") => Code::Disconnected,
        FredKind::Unknown if details.starts_with("Failed to ") => Code::Disconnected,
        _ => Code::Other,
    }
}

/// A handshake fails with an IO error around the TLS library's; its name is all that is left of it.
fn tls_code(details: &str) -> Option<Code> {
    if details.contains("InvalidCertificate(") || details.contains("InvalidMessage(InvalidContentType)") {
        return Some(Code::UntrustedServer);
    }
    let refusals = [
        "AccessDenied",
        "BadCertificate",
        "CertificateExpired",
        "CertificateRequired",
        "CertificateRevoked",
        "CertificateUnknown",
        "DecryptError",
        "HandshakeFailure",
        "UnknownCA",
        "UnsupportedCertificate",
    ];
    let is_refusal = |name: &&str| details.contains(&format!("AlertReceived({name})"));
    refusals.iter().any(is_refusal).then_some(Code::UntrustedClient)
}

fn server_code(details: &str) -> Option<Code> {
    let word = details.split_ascii_whitespace().next().unwrap_or_default();
    Some(match word {
        "NOGROUP" => Code::GroupLost,
        // Three different texts start with UNBLOCKED; only this one means that the stream is gone.
        "UNBLOCKED" if details.contains("the stream key no longer exists") => Code::GroupLost,
        "UNBLOCKED" if details.contains("instance state changed") => Code::NotReady,
        "UNBLOCKED" => Code::Unblocked,
        "BUSYGROUP" => Code::GroupExists,
        "NOPERM" => Code::NoPermission,
        // The same from inside a script.
        "ERR" if details.contains("user executing the script can't") => Code::NoPermission,
        "NOAUTH" | "WRONGPASS" => Code::WrongCredentials,
        "WRONGTYPE" => Code::WrongType,
        "OOM" => Code::OutOfMemory,
        "READONLY" | "LOADING" | "CLUSTERDOWN" | "MASTERDOWN" | "NOREPLICAS" | "TRYAGAIN" | "BUSY"
        | "MISCONF" => Code::NotReady,
        "ERR" if details.contains("no such key") => Code::NoKey,
        "ERR" if details.contains("requires the key to exist") => Code::NoKey,
        "ERR" if details.contains("appendonly is disabled") => Code::NoAppendOnlyFile,
        "ERR" if details.contains("syntax error") => Code::UnknownOption,
        "ERR" if details.contains("nknown command") => Code::UnknownCommand,
        "ERR" if details.contains("invalid password") || details.contains("AUTH <password>") => {
            Code::WrongCredentials
        }
        _ => return None,
    })
}

/// Before 7.0 an error inside a script is wrapped: `ERR Error running script (…): @user_script:3: … -OOM command …`.
fn script_cause(details: &str) -> &str {
    if !details.starts_with("ERR Error running script") {
        return details;
    }
    details.rfind(" -").map_or(details, |at| &details[at + 2..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_its_kind() {
        use ErrorKind::*;
        for (kind, text, expected) in [
            (FredKind::Unknown, "OOM command not allowed when used memory > 'maxmemory'.", Full),
            (
                FredKind::Unknown,
                "OOM command not allowed when used memory > 'maxmemory'. script: 1f, on @user_script:1.",
                Full,
            ),
            (
                FredKind::Unknown,
                "ERR Error running script (call to f_1f): @user_script:1: @user_script: 1: -OOM command not allowed",
                Full,
            ),
            (FredKind::Backpressure, "Max in-flight commands reached.", Full),
            (
                FredKind::Unknown,
                "NOPERM this user has no permissions to run the 'xadd' command",
                PermissionDenied,
            ),
            (
                FredKind::Unknown,
                "ERR The user executing the script can't run this command or subcommand",
                PermissionDenied,
            ),
            (FredKind::Auth, "NOAUTH Authentication required.", PermissionDenied),
            (
                FredKind::Auth,
                "WRONGPASS invalid username-password pair or user is disabled.",
                PermissionDenied,
            ),
            (
                FredKind::Unknown,
                "ERR AUTH <password> called without any password configured",
                PermissionDenied,
            ),
            (
                FredKind::InvalidArgument,
                "WRONGTYPE Operation against a key holding the wrong kind of value",
                InvalidConfig,
            ),
            (FredKind::Unknown, "READONLY You can't write against a read only replica.", Unavailable),
            (FredKind::Unknown, "LOADING Redis is loading the dataset in memory", Unavailable),
            (FredKind::Cluster, "CLUSTERDOWN The cluster is down", Unavailable),
            (FredKind::Unknown, "MASTERDOWN Link with MASTER is down", Unavailable),
            (FredKind::Unknown, "MISCONF Redis is configured to save RDB snapshots", Unavailable),
            (
                FredKind::Unknown,
                "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
                Unavailable,
            ),
            (FredKind::IO, "Connection closed.", Unavailable),
            (
                FredKind::IO,
                "Custom { kind: InvalidData, error: InvalidCertificate(UnknownIssuer) }",
                InvalidConfig,
            ),
            (
                FredKind::IO,
                "Custom { kind: InvalidData, error: AlertReceived(CertificateRequired) }",
                PermissionDenied,
            ),
            (FredKind::Canceled, "Connection closed unexpectedly.", Unavailable),
            (FredKind::Unknown, "Too many failed write attempts.", Unavailable),
            (FredKind::Unknown, "Failed to send command to router.", Unavailable),
            (FredKind::Timeout, "Request timed out.", Timeout),
            (
                FredKind::Unknown,
                "NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option",
                NotFound,
            ),
            (FredKind::Unknown, "UNBLOCKED the stream key no longer exists", NotFound),
            (FredKind::Unknown, "ERR no such key", NotFound),
            (FredKind::Unknown, "ERR unknown command 'EVAL', with args beginning with: ", Unsupported),
            (FredKind::Config, "instance has cluster support disabled", InvalidConfig),
            (
                FredKind::Unknown,
                "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.",
                InvalidConfig,
            ),
            (FredKind::Unknown, "ERR syntax error", Backend),
            (FredKind::Parse, "Cannot convert to map.", Backend),
        ] {
            let transient = matches!(expected, Full | Unavailable | Timeout);
            let error = CommandError::new("XADD", "orders", fred::error::Error::new(kind, text.to_owned()));
            let error = Error::from(error);
            assert_eq!((error.kind(), error.is_transient()), (expected, transient), "{text}");
            assert_eq!(error.operation(), "XADD orders");
        }
    }
}
