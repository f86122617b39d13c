//! What a worker did.

/// What a worker did with the events it was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerReport {
    /// Events that were handled and acknowledged.
    pub acked: u64,
    /// Events that were handled, but whose acknowledgement did not reach the broker within the lease: they come again.
    pub unacked: u64,
    /// Attempts that failed and are made again.
    pub failed: u64,
    /// Events that were dead-lettered: permanent failures, and those that had their last attempt.
    pub dead_lettered: u64,
    /// Events that were given back untried, or cut short by a stop.
    pub released: u64,
}
