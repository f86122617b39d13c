//! What a backend can do, declared before anybody tries.

use std::time::Duration;

/// The largest event a backend accepts unless configured otherwise: 1 MiB, the limit of SNS and SQS.
///
/// The other backends could take more; keeping one limit lets a service move between them by configuration alone.
pub const DEFAULT_MAX_EVENT_BYTES: usize = 1024 * 1024;

/// What a backend can do, and its limits.
///
/// A call that needs a capability the backend lacks returns [`Unsupported`](crate::ErrorKind::Unsupported).
/// The default declares nothing and the smallest limits; a backend sets what it offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// An accepted event survives the death of every process involved.
    pub durable: bool,
    /// One consumer gets the events of a stream in the order they were accepted, but for redeliveries.
    pub ordered: bool,
    /// Several consumer groups each get every event.
    pub groups: bool,
    /// History can be read again: [`EventAdmin::read`](crate::EventAdmin::read) and
    /// [`peek`](crate::EventAdmin::peek) work, and a new group can start at an id or a time.
    pub replay: bool,
    /// [`Delivery::nack_after`](crate::Delivery::nack_after) takes a delay other than zero.
    pub delayed_nack: bool,
    /// [`Delivery::extend`](crate::Delivery::extend) works.
    pub extend: bool,
    /// [`Delivery::release`](crate::Delivery::release) leaves the attempt uncounted.
    pub uncounted_release: bool,
    /// Dead letters can be listed, redriven and purged through [`EventAdmin`](crate::EventAdmin).
    pub dead_letters: bool,
    /// History can be trimmed without losing what a group needs: [`EventAdmin::trim`](crate::EventAdmin::trim).
    pub trim: bool,
    /// What [`Delivery::fail`](crate::Delivery::fail) reported is kept with the event, and with the dead letter it becomes
    /// however its later attempts end. Otherwise only the error of the last attempt is.
    pub keeps_errors: bool,
    /// The largest event in bytes: its JSON body, and names and values of its headers.
    pub max_event_bytes: usize,
    /// The most headers an event may carry; `None` when only their size counts.
    pub max_headers: Option<usize>,
    /// The longest lease; `None` when there is no limit.
    pub max_lease: Option<Duration>,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            durable: false,
            ordered: false,
            groups: false,
            replay: false,
            delayed_nack: false,
            extend: false,
            uncounted_release: false,
            dead_letters: false,
            trim: false,
            keeps_errors: false,
            max_event_bytes: DEFAULT_MAX_EVENT_BYTES,
            max_headers: None,
            max_lease: None,
        }
    }
}
