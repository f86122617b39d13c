//! Calls on any number of messages: ten at a time, several at once, and again for those the service could not take.

use std::ops::Range;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};

use crate::calls::{AwsClients, Outcomes};
use crate::error::CallError;
use crate::limits;

/// How often an entry is tried that the service blames itself for refusing.
const ATTEMPTS: u32 = 3;

/// The pause before such an entry is tried again; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Batches on their way at a time.
const CONCURRENCY: usize = 8;

/// What is to be done with messages of one queue, by their receipt handles.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change<'a> {
    Delete(&'a [String]),
    /// Hides each for a time from now; zero shows it.
    Hide(&'a [(String, Duration)]),
}

impl Change<'_> {
    fn len(self) -> usize {
        match self {
            Self::Delete(handles) => handles.len(),
            Self::Hide(timed) => timed.len(),
        }
    }

    /// Changes those messages, at most ten.
    async fn call(
        self,
        clients: &AwsClients,
        queue: &str,
        which: &[usize],
    ) -> Result<Outcomes<()>, CallError> {
        match self {
            Self::Delete(handles) => {
                let handles: Vec<&str> = which.iter().map(|at| handles[*at].as_str()).collect();
                clients.delete(queue, &handles).await
            }
            Self::Hide(timed) => {
                let timed: Vec<(&str, Duration)> =
                    which.iter().map(|at| (timed[*at].0.as_str(), timed[*at].1)).collect();
                clients.hide(queue, &timed).await
            }
        }
    }

    /// Changes all messages and returns one outcome each, in order.
    pub(crate) async fn make(self, clients: &AwsClients, queue: &str) -> Outcomes<()> {
        let starts = (0..self.len()).step_by(limits::BATCH_ENTRIES);
        let batches: Vec<BoxFuture<'_, Outcomes<()>>> = starts
            .map(|start| {
                let range = start..self.len().min(start + limits::BATCH_ENTRIES);
                Box::pin(self.make_batch(clients, queue, range)) as BoxFuture<'_, _>
            })
            .collect();
        stream::iter(batches).buffered(CONCURRENCY).concat().await
    }

    async fn make_batch(self, clients: &AwsClients, queue: &str, range: Range<usize>) -> Outcomes<()> {
        let first = range.start;
        let unanswered = || Err(CallError::unreadable("batch", queue));
        let mut outcomes: Outcomes<()> = range.clone().map(|_| unanswered()).collect();
        let mut left: Vec<usize> = range.collect();
        let mut pause = FIRST_PAUSE;
        for number in 1..=ATTEMPTS {
            match self.call(clients, queue, &left).await {
                Ok(answers) => {
                    for (at, answer) in left.iter().zip(answers) {
                        outcomes[at - first] = answer;
                    }
                }
                // The client has repeated the call as a whole for as long as that may help.
                Err(error) => {
                    for at in left {
                        outcomes[at - first] = Err(error.clone());
                    }
                    break;
                }
            }
            left.retain(|at| outcomes[at - first].as_ref().is_err_and(CallError::is_transient));
            if left.is_empty() || number == ATTEMPTS {
                break;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        outcomes
    }
}
