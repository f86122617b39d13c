//! `Chance`: numbers that differ from run to run and can be had again from their seed.

use std::time::{SystemTime, UNIX_EPOCH};

/// Numbers that differ from run to run and can be had again from their seed.
#[derive(Debug)]
pub(crate) struct Chance {
    state: u64,
    seed: u64,
}

impl Chance {
    /// From the clock, or from `EVENTS_SOAK_SEED`.
    pub(crate) fn new() -> Self {
        let seed = std::env::var("EVENTS_SOAK_SEED").ok();
        let clock =
            || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| now.subsec_nanos().into());
        Self::from_seed(seed.map_or_else(clock, |text| text.parse().expect("EVENTS_SOAK_SEED is a number")))
    }

    fn from_seed(seed: u64) -> Self {
        // Xorshift stays at zero for ever, and begins slowly with a small number.
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, seed }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// Numbers of their own for another task.
    pub(crate) fn split(&mut self) -> Self {
        Self::from_seed(self.below(u64::MAX))
    }

    /// A number below `below`, by xorshift: good enough to mix things up.
    pub(crate) fn below(&mut self, below: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % below
    }

    pub(crate) fn index(&mut self, below: usize) -> usize {
        usize::try_from(self.below(below as u64)).expect("it is below a usize")
    }
}
