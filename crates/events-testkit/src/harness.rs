//! What the suite needs of a backend under test.

use std::fmt::Debug;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use events_core::wire::RawMessage;
use events_core::{ConsumerOptions, EventAdmin, EventConsumer, EventPublisher, MessageId, async_trait};

use crate::scene::poll_times;

/// A backend under test, with its server.
///
/// One harness serves one case; it is dropped afterwards, and its server and files go with it.
/// Methods panic when they cannot do what they say, which fails the case.
#[async_trait]
pub trait Harness: Debug + Send + Sync {
    /// A publisher for `stream`; every call makes a new one.
    async fn publisher(&self, stream: &str) -> Arc<dyn EventPublisher>;

    /// A consumer of `stream`; every call makes a new one, as another process would.
    async fn consumer(&self, stream: &str, options: ConsumerOptions) -> Box<dyn EventConsumer>;

    /// An admin for `stream`.
    async fn admin(&self, stream: &str) -> Arc<dyn EventAdmin>;

    /// A lease that suits the backend: long enough for a case to work within it on a busy machine, short enough to wait for.
    fn lease(&self) -> Duration;

    /// Lets `time` pass for the backend: moves its clock, or waits.
    async fn advance(&self, time: Duration);

    /// Puts a message into the stream as a foreign producer would, whether or not it is an event.
    async fn publish_raw(&self, stream: &str, message: RawMessage) -> MessageId;

    /// Whether the broker can hold this message at all; the suite leaves out what it cannot, such as bytes that are no
    /// text where bodies are text.
    fn can_hold(&self, _message: &RawMessage) -> bool {
        true
    }

    /// Causes a fault; `false` when this backend has no such fault, and then nothing happened.
    async fn cause(&self, fault: Fault<'_>) -> bool;

    /// Delivers what `group` would be given now to a consumer that dies before it looks at any of it.
    ///
    /// The default opens a consumer, drops a `receive` in the middle and the consumer after it, which leaves open whether
    /// anything was delivered. A backend that can do it for certain, by speaking to its broker directly, should.
    async fn strand(&self, stream: &str, options: ConsumerOptions) {
        let mut consumer = self.consumer(stream, options).await;
        poll_times(3, consumer.receive(NonZeroUsize::MAX, Duration::from_secs(5))).await;
    }

    /// How many consumer names the broker keeps for `group`; `None` where it keeps none or cannot tell.
    async fn consumer_names(&self, _stream: &str, _group: &str) -> Option<usize> {
        None
    }

    /// Lets the members of `group` look for consumers that are gone, whatever their usual pace, and returns when they have;
    /// `false` where the broker keeps no names.
    async fn reap(&self, _stream: &str, _group: &str) -> bool {
        false
    }

    /// Numbers of the cases this backend cannot show, each with the reason; a case that is named here and can be shown
    /// fails, and so does one that is not named and cannot.
    fn not_shown(&self) -> &[(u8, &'static str)] {
        &[]
    }

    /// Numbers of the cases that are not run here because another harness of the same backend runs them, each with the
    /// reason; such as those that would take minutes on a slow server. The tests of the backend have to show that the
    /// other harness does run them.
    fn left_out(&self) -> &[(u8, &'static str)] {
        &[]
    }
}

/// Something that goes wrong at the broker.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Fault<'a> {
    /// One event is deleted from the stream, as trimming does, though it may be pending.
    RemoveEvent {
        /// The stream.
        stream: &'a str,
        /// The event.
        id: &'a MessageId,
    },
    /// A consumer group is deleted.
    DeleteGroup {
        /// The stream.
        stream: &'a str,
        /// The group.
        group: &'a str,
    },
    /// A stream is deleted with everything in it.
    DeleteStream {
        /// The stream.
        stream: &'a str,
    },
    /// The server loses all its data.
    Flush,
    /// The server is killed and started again at the same address with what it had made durable.
    RestartBroker,
    /// Every connection to the server is cut once; the server lives on.
    CutConnections,
    /// The server stops answering, with its connections open.
    Freeze,
    /// A frozen server goes on.
    Thaw,
}

/// Whether a case could be shown on a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a case that was not shown must have been declared"]
pub enum Shown {
    /// The rule holds.
    Yes,
    /// The backend does not offer what the rule is about, and says so when asked.
    NotOffered,
}
