//! What becomes of a batch: acknowledged once it is written, given back when it is not, held meanwhile.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use events_core::{Delivery, Error, ack_all, extend_all};
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use crate::outage::Chain;

/// How long an acknowledgement is repeated while the broker is away. After that the events come again, to this group, when
/// their leases end.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(250);

/// Acknowledges what is printed.
///
/// What cannot be acknowledged is printed once more later: a repetition, which at least once allows, and no loss.
pub(crate) async fn acknowledge(deliveries: Vec<Delivery>) {
    let deadline = Instant::now() + PATIENCE;
    let mut rest = deliveries;
    loop {
        let failed = ack_all(rest).await.failed;
        let Some((_, error)) = failed.first() else { return };
        if !error.is_transient() || Instant::now() >= deadline {
            tracing::warn!("{} printed events will be printed again: {}", failed.len(), Chain(error));
            return;
        }
        rest = failed.into_iter().map(|(delivery, _)| delivery).collect();
        sleep(PAUSE).await;
    }
}

/// Gives back what was not printed, so that nobody has to wait for a lease.
pub(crate) async fn give_back(deliveries: Vec<Delivery>) {
    let outcomes = join_all(deliveries.into_iter().map(Delivery::release)).await;
    let errors: Vec<Error> = outcomes.into_iter().filter_map(Result::err).collect();
    if let Some(first) = errors.first() {
        tracing::warn!("{} events come back only when their leases end: {}", errors.len(), Chain(first));
    }
}

/// Does `work` and extends the leases while it takes long, as when the reader of a pipe is a person who pages through it.
pub(crate) async fn hold<T: Send>(
    deliveries: &[Delivery],
    lease: Duration,
    work: impl Future<Output = T> + Send,
) -> T {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = sleep(lease / 2) => {}
        }
        tokio::select! {
            biased;
            done = &mut work => return done,
            outcomes = extend_all(deliveries, lease) => {
                if let Some(error) = outcomes.into_iter().find_map(Result::err) {
                    tracing::debug!("a lease could not be extended: {}", Chain(&error));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    use events_core::{
        DeliveryParts, ErrorKind, Event, MessageId, Receipt, Result, Settlement, Settler, async_trait,
    };

    /// Writes down what it is asked for, and answers from a list, then always with success.
    #[derive(Debug, Default)]
    struct Recorder {
        asked: Mutex<Vec<&'static str>>,
        answers: Mutex<VecDeque<ErrorKind>>,
    }

    impl Recorder {
        fn answer(&self, receipts: &[Receipt], asked: &'static str) -> Vec<Result<()>> {
            self.asked.lock().unwrap().push(asked);
            let failure = self.answers.lock().unwrap().pop_front();
            let outcome = |_| failure.map_or(Ok(()), |kind| Err(Error::new(kind, "settle", "no")));
            receipts.iter().map(outcome).collect()
        }

        fn asked(&self) -> Vec<&'static str> {
            self.asked.lock().unwrap().clone()
        }
    }

    #[async_trait]
    impl Settler for Recorder {
        async fn settle(&self, receipts: &[Receipt], settlement: &Settlement) -> Vec<Result<()>> {
            self.answer(receipts, if *settlement == Settlement::Ack { "ack" } else { "release" })
        }

        async fn extend(&self, receipts: &[Receipt], _: Duration) -> Vec<Result<()>> {
            self.answer(receipts, "extend")
        }

        fn abandon(&self, _: &Receipt) {
            self.asked.lock().unwrap().push("abandon");
        }
    }

    fn deliveries(settler: &Arc<Recorder>, count: usize) -> Vec<Delivery> {
        let settler: Arc<dyn Settler> = Arc::<Recorder>::clone(settler);
        let delivery = |number: usize| {
            Delivery::new(DeliveryParts {
                event: Event::builder("a.b", "s").build().unwrap(),
                receipt: Receipt {
                    message_id: MessageId::from(number.to_string()),
                    attempt: 1,
                    handle: None,
                },
                stream: Arc::from("k"),
                published_at: None,
                settler: Arc::clone(&settler),
            })
        };
        (0..count).map(delivery).collect()
    }

    fn recorder(answers: impl IntoIterator<Item = ErrorKind>) -> Arc<Recorder> {
        Arc::new(Recorder { answers: Mutex::new(answers.into_iter().collect()), ..Recorder::default() })
    }

    #[tokio::test(start_paused = true)]
    async fn an_acknowledgement_is_repeated_while_the_broker_is_away() {
        let settler = recorder([ErrorKind::Unavailable, ErrorKind::Timeout]);
        acknowledge(deliveries(&settler, 3)).await;
        assert_eq!(settler.asked(), ["ack", "ack", "ack"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_acknowledgement_that_fails_for_good_is_not_repeated() {
        let settler = recorder([ErrorKind::PermissionDenied]);
        acknowledge(deliveries(&settler, 1)).await;
        assert_eq!(settler.asked(), ["ack", "abandon"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_acknowledgement_is_not_repeated_for_ever() {
        let settler = recorder(std::iter::repeat_n(ErrorKind::Unavailable, 1_000));
        acknowledge(deliveries(&settler, 1)).await;
        assert_eq!(settler.asked().last(), Some(&"abandon"));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_printed_is_released() {
        let settler = recorder([]);
        give_back(deliveries(&settler, 2)).await;
        assert_eq!(settler.asked(), ["release", "release"]);
    }

    #[tokio::test(start_paused = true)]
    async fn leases_are_extended_while_a_write_takes_long() {
        let settler = recorder([]);
        let deliveries = deliveries(&settler, 1);
        let lease = Duration::from_secs(60);
        hold(&deliveries, lease, sleep(lease * 2)).await;
        // Well before each of the leases ended: after a half, a whole and one and a half.
        assert_eq!(settler.asked(), ["extend", "extend", "extend"]);
        hold(&deliveries, lease, async {}).await;
        assert_eq!(settler.asked().len(), 3, "a write that is quick asks for nothing");
    }
}
