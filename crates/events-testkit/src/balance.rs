//! `Balance`: what became of all events, in numbers, and whether that is sound.

use std::fmt;

/// What became of all events, as a [`Ledger`](crate::Ledger) knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Balance {
    /// How many events a publisher was told are safe.
    pub accepted: usize,
    /// How many different events were delivered.
    pub delivered: usize,
    /// How often an event came that had come before.
    pub duplicated: usize,
    /// How many deliveries were given back, to come again.
    pub given_back: usize,
    /// How often an event could have come again besides: what was in flight while a fault lasted, and what was not
    /// confirmed.
    pub in_flight: usize,
    /// How many accepted events the broker was made to forget before anybody got them.
    pub forgotten: usize,
    /// How many faults there were.
    pub faults: u32,
    /// The numbers of accepted events that nobody got.
    pub missing: Vec<usize>,
    /// Events that came more often than faults explain: number, deliveries, and how often it could have come again.
    pub unexplained: Vec<(usize, u32, u32)>,
}

impl Balance {
    /// Insists that nothing is lost, and that nothing was repeated that was not in flight.
    ///
    /// # Panics
    ///
    /// When one of the two is not so.
    #[track_caller]
    pub fn assert_sound(&self) {
        assert!(self.missing.is_empty(), "{self}; lost: {:?}", self.missing);
        assert!(self.unexplained.is_empty(), "{self}; repeated without a reason: {:?}", self.unexplained);
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accepted, delivered, duplicated, given_back, in_flight, forgotten, faults, .. } = self;
        write!(f, "accepted {accepted}, delivered {delivered}, lost {}, ", self.missing.len())?;
        write!(f, "duplicated {duplicated} (given back {given_back}, in flight at faults {in_flight}), ")?;
        write!(f, "faults {faults}")?;
        if *forgotten > 0 {
            write!(f, ", forgotten by the broker {forgotten}")?;
        }
        Ok(())
    }
}
