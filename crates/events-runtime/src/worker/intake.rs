//! How a worker asks for events: for how long, and what is said when it cannot.

use std::time::Duration;

use events_core::{Capabilities, Delivery, Result};

use crate::outage::Outage;

/// How long one call of `receive` waits; it only bounds how often the broker is asked.
const WAIT: Duration = Duration::from_secs(30);

/// How long one waits that ends once there is nothing. A stream with history says so for certain, and the wait only bounds how
/// often one is asked that is away.
const DRAIN_WAIT: Duration = Duration::from_millis(50);

/// The same at a queue, which may overlook messages when it is asked in a hurry.
const QUEUE_DRAIN_WAIT: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(crate) struct Intake {
    wait: Duration,
    outage: Outage,
}

impl Intake {
    pub(crate) fn new(drain: bool, capabilities: Capabilities) -> Self {
        let wait = match drain {
            false => WAIT,
            true if capabilities.replay => DRAIN_WAIT,
            true => QUEUE_DRAIN_WAIT,
        };
        Self { wait, outage: Outage::of("no events can be received") }
    }

    /// How long a call of `receive` waits.
    pub(crate) fn wait(&self) -> Duration {
        self.wait
    }

    /// What was received, or `None` when the broker could not be asked and will be again.
    ///
    /// The consumer takes its time before it says so, so that asking in a loop does not spin.
    pub(crate) fn look_at(&mut self, received: Result<Vec<Delivery>>) -> Result<Option<Vec<Delivery>>> {
        match received {
            Err(error) if error.is_transient() => {
                self.outage.goes_on(&error);
                Ok(None)
            }
            other => {
                self.outage.is_over();
                other.map(Some)
            }
        }
    }
}
