//! One thing that is created or set on the way to a working setup.

use std::fmt;

/// One thing [`Setup`](crate::Setup) does, or would do; its `Display` says so in words.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// A queue is created.
    CreateQueue {
        /// Its name.
        queue: String,
    },
    /// A queue's visibility timeout is set.
    SetVisibility {
        /// The queue's name.
        queue: String,
        /// The timeout in seconds.
        seconds: u64,
    },
    /// A queue is told where its dead letters go, and after how many deliveries.
    SetRedrivePolicy {
        /// The queue's name.
        queue: String,
        /// The name of the dead-letter queue.
        dead_letters: String,
        /// Deliveries before a message is moved.
        max_receives: u32,
    },
    /// A topic is created.
    CreateTopic {
        /// Its name.
        topic: String,
    },
    /// A queue's policy is extended so that a topic may send to it.
    AllowTopic {
        /// The queue's name.
        queue: String,
        /// The topic's name.
        topic: String,
    },
    /// A queue is subscribed to a topic, with raw delivery.
    Subscribe {
        /// The queue's name.
        queue: String,
        /// The topic's name.
        topic: String,
    },
    /// A subscription that is there already is set to raw delivery.
    DeliverRaw {
        /// The queue's name.
        queue: String,
        /// The topic's name.
        topic: String,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateQueue { queue } => write!(f, "create the queue {queue}"),
            Self::SetVisibility { queue, seconds } => {
                write!(f, "set the visibility timeout of {queue} to {seconds}s")
            }
            Self::SetRedrivePolicy { queue, dead_letters, max_receives } => {
                write!(f, "send what {queue} has delivered {max_receives} times to {dead_letters}")
            }
            Self::CreateTopic { topic } => write!(f, "create the topic {topic}"),
            Self::AllowTopic { queue, topic } => write!(f, "allow the topic {topic} to send to {queue}"),
            Self::Subscribe { queue, topic } => write!(f, "subscribe {queue} to {topic}, with raw delivery"),
            Self::DeliverRaw { queue, topic } => {
                write!(f, "set the subscription of {queue} to {topic} to raw delivery")
            }
        }
    }
}
