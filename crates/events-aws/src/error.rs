//! What SNS, SQS and their client may answer instead of a result, and what that means for the caller.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use events_core::{Error, ErrorKind};

/// What went wrong, as far as this crate acts on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// The queue or the topic does not exist.
    Missing,
    /// The credentials lack a right, or are wrong, or there are none.
    Denied,
    /// The credentials were good once; the chain that gave them may give others.
    Expired,
    /// Fewer calls, please.
    Throttled,
    /// The queue has as many messages in flight as it may.
    InFlightLimit,
    /// The message or the batch is over a limit of the service, the topic or the queue.
    TooLarge,
    /// The body holds characters the service refuses.
    BadContents,
    /// The receipt handle is not, or no longer, the one of a message in flight.
    HandleGone,
    /// The service is there and cannot serve now.
    Busy,
    /// The service does not know the call, or not for this kind of queue.
    NotOffered,
    /// An address or a setting no service can use.
    BadSetting,
    /// No answer came in time.
    TimedOut,
    /// The connection was lost or could not be made.
    Unreachable,
    /// Not sent, since something before it in its group was not accepted.
    HeldBack,
    /// Anything else.
    Other,
}

/// A call, or one entry of a batch, that failed.
#[derive(Clone, Debug)]
pub(crate) struct CallError {
    code: Code,
    /// Whether the service takes the blame, where it says so: then the same may work later.
    blames_itself: Option<bool>,
    operation: &'static str,
    resource: Arc<str>,
    words: Words,
}

impl CallError {
    /// A call that failed as a whole.
    pub(crate) fn of_call<E, R>(operation: &'static str, resource: &str, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
        R: fmt::Debug + 'static,
    {
        let (code, words) = match error {
            SdkError::ServiceError(answer) => {
                let (name, message) = (answer.err().code(), answer.err().message());
                (
                    code(name.unwrap_or_default(), message.unwrap_or_default()),
                    Words::of_service(name, message),
                )
            }
            SdkError::TimeoutError(_) => (Code::TimedOut, Words::of_chain(error)),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => {
                (Code::TimedOut, Words::of_chain(error))
            }
            // The client fails to dispatch for want of credentials too; only its words tell that apart.
            SdkError::DispatchFailure(_) => {
                let words = Words::of_chain(error);
                (if words.0.contains("credential") { Code::Denied } else { Code::Unreachable }, words)
            }
            SdkError::ResponseError(_) => (Code::Unreachable, Words::of_chain(error)),
            _ => (Code::BadSetting, Words::of_chain(error)),
        };
        Self { code, blames_itself: None, operation, resource: resource.into(), words }
    }

    /// One entry of a batch that the service refused.
    pub(crate) fn of_entry(
        operation: &'static str,
        resource: &str,
        name: &str,
        message: Option<&str>,
        sender_fault: bool,
    ) -> Self {
        Self {
            code: code(name, message.unwrap_or_default()),
            blames_itself: Some(!sender_fault),
            operation,
            resource: resource.into(),
            words: Words::of_service(Some(name), message),
        }
    }

    /// An answer that is not shaped as the call's documentation says.
    pub(crate) fn unreadable(operation: &'static str, resource: &str) -> Self {
        let words = Words("the answer has an unexpected shape".into());
        Self { code: Code::Other, blames_itself: None, operation, resource: resource.into(), words }
    }

    /// A call that was given up, or not made, for want of time.
    pub(crate) fn out_of_time(operation: &'static str, resource: &str) -> Self {
        let words = Words("the time for it was up".into());
        Self { code: Code::TimedOut, blames_itself: None, operation, resource: resource.into(), words }
    }

    /// A message that was not sent because an earlier one of its group was not accepted.
    pub(crate) fn held_back(operation: &'static str, resource: &str) -> Self {
        let words = Words("it is not to overtake an event that may be published again".into());
        Self { code: Code::HeldBack, blames_itself: None, operation, resource: resource.into(), words }
    }

    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// Whether the same entry may be accepted later without anybody changing anything.
    pub(crate) fn is_transient(&self) -> bool {
        self.blames_itself.unwrap_or(false) || matches!(self.code, Code::Expired) || kind(self.code).1
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        let transient = error.is_transient();
        let (kind, _) = kind(error.code);
        Self::new(kind, format!("{} {}", error.operation, error.resource), meaning(error.code))
            .with_transient(transient)
            .with_source(error.words)
    }
}

/// The service's or the client's own words.
#[derive(Clone, Debug)]
struct Words(Arc<str>);

impl Words {
    fn of_service(name: Option<&str>, message: Option<&str>) -> Self {
        Self(format!("{}: {}", name.unwrap_or("no code"), message.unwrap_or("no message")).into())
    }

    /// The client's errors say little by themselves; what happened is in their sources.
    fn of_chain(error: &(dyn StdError + 'static)) -> Self {
        let mut words = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            words.push_str(": ");
            words.push_str(&error.to_string());
            cause = error.source();
        }
        Self(words.into())
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Words {}

fn kind(code: Code) -> (ErrorKind, bool) {
    let kind = match code {
        Code::Missing | Code::HandleGone => ErrorKind::NotFound,
        Code::Denied | Code::Expired => ErrorKind::PermissionDenied,
        Code::Throttled | Code::InFlightLimit => ErrorKind::Throttled,
        Code::TooLarge => ErrorKind::TooLarge,
        Code::BadContents => ErrorKind::InvalidEvent,
        Code::Busy | Code::Unreachable | Code::HeldBack => ErrorKind::Unavailable,
        Code::NotOffered => ErrorKind::Unsupported,
        Code::BadSetting => ErrorKind::InvalidConfig,
        Code::TimedOut => ErrorKind::Timeout,
        Code::Other => ErrorKind::Backend,
    };
    (kind, Error::new(kind, "", "").is_transient())
}

fn meaning(code: Code) -> &'static str {
    match code {
        Code::Missing => "it does not exist",
        Code::Denied => "the credentials are missing, wrong or lack the right",
        Code::Expired => "the credentials have expired",
        Code::Throttled => "the service asks for fewer calls",
        Code::InFlightLimit => "too many messages of the queue are in flight",
        Code::TooLarge => "it is over the limit",
        Code::BadContents => "it has characters the service refuses",
        Code::HandleGone => "the message is no longer this holder's",
        Code::Busy => "the service cannot serve the call now",
        Code::NotOffered => "the service does not offer this here",
        Code::BadSetting => "the client refuses its settings",
        Code::TimedOut => "the service did not answer in time",
        Code::Unreachable => "the service cannot be reached",
        Code::HeldBack => "not sent, since an earlier event of its group was not accepted",
        Code::Other => "the service refused the call",
    }
}

/// The meaning of an error code. SQS has two spellings of many, from its two protocols.
fn code(name: &str, message: &str) -> Code {
    let name = name.strip_prefix("AWS.SimpleQueueService.").unwrap_or(name);
    match name {
        "QueueDoesNotExist"
        | "NonExistentQueue"
        | "NotFound"
        | "NotFoundException"
        | "ResourceNotFoundException" => Code::Missing,
        "AccessDenied"
        | "AccessDeniedException"
        | "AuthorizationError"
        | "AuthorizationErrorException"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "IncompleteSignature"
        | "InvalidSecurity"
        | "OptInRequired"
        | "KmsOptInRequired"
        | "KMSOptInRequired"
        | "KmsAccessDenied"
        | "KMS.AccessDeniedException"
        | "KMSAccessDenied"
        | "KMSAccessDeniedException"
        | "KmsDisabled"
        | "KMSDisabled"
        | "KMSDisabledException"
        | "KmsInvalidState"
        | "KMSInvalidState"
        | "KmsInvalidKeyUsage"
        | "KMSInvalidKeyUsage"
        | "KmsNotFound"
        | "KMSNotFound"
        | "KMSNotFoundException" => Code::Denied,
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => Code::Expired,
        "RequestThrottled"
        | "RequestThrottledException"
        | "Throttling"
        | "ThrottlingException"
        | "Throttled"
        | "ThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "KmsThrottled"
        | "KMSThrottling"
        | "KMSThrottlingException"
        | "SlowDown" => Code::Throttled,
        "OverLimit" => Code::InFlightLimit,
        "BatchRequestTooLong" | "BatchRequestTooLongException" => Code::TooLarge,
        "InvalidMessageContents" => Code::BadContents,
        "ReceiptHandleIsInvalid" | "MessageNotInflight" => Code::HandleGone,
        "InternalError"
        | "InternalFailure"
        | "InternalErrorException"
        | "InternalServerError"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "RequestTimeout"
        | "RequestTimeoutException" => Code::Busy,
        "UnsupportedOperation" | "InvalidAction" => Code::NotOffered,
        "InvalidAddress" => Code::BadSetting,
        // These two codes stand for a dozen things; only their words tell which.
        "InvalidParameter"
        | "InvalidParameterException"
        | "InvalidParameterValue"
        | "InvalidParameterValueException" => match message {
            _ if message.contains("must be shorter than") || message.contains("too long") => Code::TooLarge,
            _ if message.contains("receipt handle") => Code::HandleGone,
            _ => Code::Other,
        },
        _ => Code::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Code and words of the service, who is to blame, the kind, and whether trying again may help.
    const TABLE: &[(&str, &str, bool, ErrorKind, bool)] = &[
        ("AWS.SimpleQueueService.NonExistentQueue", "", true, ErrorKind::NotFound, false),
        ("QueueDoesNotExist", "", true, ErrorKind::NotFound, false),
        ("NotFound", "Topic does not exist", true, ErrorKind::NotFound, false),
        ("AccessDenied", "", true, ErrorKind::PermissionDenied, false),
        ("AuthorizationError", "", true, ErrorKind::PermissionDenied, false),
        ("InvalidClientTokenId", "", true, ErrorKind::PermissionDenied, false),
        ("KmsAccessDenied", "", true, ErrorKind::PermissionDenied, false),
        ("ExpiredToken", "", true, ErrorKind::PermissionDenied, true),
        ("RequestThrottled", "", true, ErrorKind::Throttled, true),
        ("ThrottlingException", "", true, ErrorKind::Throttled, true),
        ("OverLimit", "", true, ErrorKind::Throttled, true),
        ("AWS.SimpleQueueService.BatchRequestTooLong", "", true, ErrorKind::TooLarge, false),
        (
            "InvalidParameterValue",
            "Reason: Message must be shorter than 1024 bytes.",
            true,
            ErrorKind::TooLarge,
            false,
        ),
        ("InvalidParameter", "Invalid parameter: Message too long", true, ErrorKind::TooLarge, false),
        (
            "InvalidParameterValue",
            "Value x is invalid. Reason: The receipt handle has expired.",
            true,
            ErrorKind::NotFound,
            false,
        ),
        ("InvalidMessageContents", "", true, ErrorKind::InvalidEvent, false),
        ("ReceiptHandleIsInvalid", "", true, ErrorKind::NotFound, false),
        ("InternalError", "", false, ErrorKind::Unavailable, true),
        ("ServiceUnavailable", "", false, ErrorKind::Unavailable, true),
        ("InvalidAction", "", true, ErrorKind::Unsupported, false),
        ("SomethingNew", "", false, ErrorKind::Backend, true),
        ("SomethingNew", "", true, ErrorKind::Backend, false),
    ];

    #[test]
    fn every_code_has_its_meaning() {
        for (name, message, sender_fault, kind, transient) in TABLE {
            let error: Error =
                CallError::of_entry("SendMessageBatch", "q", name, Some(message), *sender_fault).into();
            assert_eq!((error.kind(), error.is_transient()), (*kind, *transient), "{name}: {message}");
        }
    }

    #[test]
    fn an_error_names_call_and_resource_and_keeps_the_services_words_as_its_source() {
        let error: Error =
            CallError::of_entry("SendMessageBatch", "jobs", "AccessDenied", Some("no"), true).into();
        assert_eq!(error.operation(), "SendMessageBatch jobs");
        assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("AccessDenied: no"));
        assert!(!error.to_string().contains("AccessDenied"));
    }
}
