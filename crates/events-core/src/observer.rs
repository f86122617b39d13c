//! Who is told what a backend does by itself: what no caller asked for and no answer says.

use std::fmt::Debug;

use crate::DeadLetterReason;

/// Is told what a backend does by itself, for whoever counts it.
///
/// It is called where the backend works, so it returns at once and does not panic.
pub trait Observer: Debug + Send + Sync + 'static {
    /// So many events of the group are dead letters now, whether their consumer rejected them or the backend found that
    /// they have no attempt left or are no events. Each is told once, by the consumer that moved it.
    fn dead_lettered(&self, reason: DeadLetterReason, events: u64);

    /// A connection that was lost is made anew, by a backend that has connections.
    fn reconnected(&self);
}

/// Nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn dead_lettered(&self, _: DeadLetterReason, _: u64) {}

    fn reconnected(&self) {}
}
