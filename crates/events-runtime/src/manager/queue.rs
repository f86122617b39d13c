//! The bounded queue between business code and the sending thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use crossbeam_queue::ArrayQueue;
use events_core::{Event, Headers};
use tokio::sync::Notify;

/// An event on its way to the sending thread, with what only the publishing thread knew.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) event: Event,
    pub(crate) scope: Option<Arc<Headers>>,
    pub(crate) context: Headers,
}

/// The taker waits and has to be woken by the next event.
const ASLEEP: u8 = 0;
/// The taker comes by itself soon; only a full batch wakes it earlier.
const LINGERING: u8 = 1;
/// The taker looks at the queue before it waits again.
const BUSY: u8 = 2;

/// First in, first out, many threads in and one out. Its room is set aside when it is made: pushing allocates nothing and
/// takes no lock that is held across anything but the waking of the taker.
#[derive(Debug)]
pub(crate) struct Queue {
    events: ArrayQueue<Queued>,
    batch: usize,
    taker: AtomicU8,
    wake: Notify,
    /// Somebody wants the taker to come now, whether or not there is a batch.
    nudged: AtomicBool,
    /// How many events were ever put in.
    pushed: AtomicU64,
    /// How many events were ever taken out, by whomever.
    popped: AtomicU64,
}

impl Queue {
    pub(crate) fn new(capacity: usize, batch: usize) -> Self {
        Self {
            events: ArrayQueue::new(capacity),
            batch: batch.min(capacity),
            taker: AtomicU8::new(BUSY),
            wake: Notify::new(),
            nudged: AtomicBool::new(false),
            pushed: AtomicU64::new(0),
            popped: AtomicU64::new(0),
        }
    }

    /// Puts an event in; returns it when there is no room.
    pub(crate) fn push(&self, event: Queued) -> Option<Queued> {
        let refused = self.events.push(event).err();
        if refused.is_none() {
            self.pushed();
        }
        refused
    }

    /// Puts an event in; returns the oldest one if that had to make room.
    pub(crate) fn force_push(&self, event: Queued) -> Option<Queued> {
        let oldest = self.events.force_push(event);
        if oldest.is_some() {
            self.popped.fetch_add(1, Ordering::Relaxed);
        }
        self.pushed();
        oldest
    }

    fn pushed(&self) {
        self.pushed.fetch_add(1, Ordering::Relaxed);
        // The taker says that it waits before it looks one last time, so that no event is left lying.
        match self.taker.load(Ordering::SeqCst) {
            ASLEEP => self.rouse(ASLEEP),
            LINGERING if self.events.len() >= self.batch => self.rouse(LINGERING),
            _ => {}
        }
    }

    fn rouse(&self, from: u8) {
        if self.taker.compare_exchange(from, BUSY, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            self.wake.notify_one();
        }
    }

    /// How many events were ever put in: a mark that [`popped`](Self::popped) reaches when they are all out.
    pub(crate) fn mark(&self) -> u64 {
        self.pushed.load(Ordering::Relaxed)
    }

    /// How many events were ever taken out.
    pub(crate) fn popped(&self) -> u64 {
        self.popped.load(Ordering::Relaxed)
    }

    pub(crate) fn pop(&self) -> Option<Queued> {
        let popped = self.events.pop()?;
        self.popped.fetch_add(1, Ordering::Relaxed);
        Some(popped)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Has the taker come now.
    pub(crate) fn nudge(&self) {
        self.nudged.store(true, Ordering::SeqCst);
        self.wake.notify_one();
    }

    /// Waits until there is an event, or somebody nudges.
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn filled(&self) {
        self.wait(ASLEEP, || !self.events.is_empty()).await;
    }

    /// Waits until there is a whole batch, or somebody nudges; the caller bounds the wait.
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn batch_filled(&self) {
        self.wait(LINGERING, || self.events.len() >= self.batch).await;
    }

    async fn wait(&self, waiting: u8, enough: impl Fn() -> bool) {
        loop {
            self.taker.store(waiting, Ordering::SeqCst);
            if enough() || self.nudged.swap(false, Ordering::SeqCst) {
                break;
            }
            self.wake.notified().await;
        }
        self.taker.store(BUSY, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    fn numbered(number: usize) -> Queued {
        let event = Event::builder("a.b", "s").with_id(number.to_string()).build().unwrap();
        Queued { event, scope: None, context: Headers::new() }
    }

    fn number(queued: Queued) -> usize {
        queued.event.id().unwrap().parse().unwrap()
    }

    #[test]
    fn a_full_queue_gives_back_the_new_or_the_oldest() {
        let queue = Queue::new(2, 2);
        assert!(queue.push(numbered(0)).is_none());
        assert!(queue.push(numbered(1)).is_none());
        assert_eq!(number(queue.push(numbered(2)).expect("the queue is full")), 2);
        assert_eq!(number(queue.force_push(numbered(3)).expect("the queue is full")), 0);
        assert_eq!([queue.pop(), queue.pop()].map(|queued| number(queued.unwrap())), [1, 3]);
        assert_eq!((queue.mark(), queue.popped()), (3, 3));
    }

    #[tokio::test]
    async fn the_taker_is_woken_by_an_event_a_batch_or_a_nudge() {
        async fn stays_pending(future: impl Future<Output = ()>) -> bool {
            let mut future = pin!(future);
            poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
        }
        let queue = Queue::new(10, 2);
        assert!(stays_pending(queue.filled()).await);
        assert!(stays_pending(queue.batch_filled()).await);
        let (waited, pushed) = tokio::join!(queue.filled(), async { queue.push(numbered(0)) });
        assert_eq!((waited, pushed.is_none()), ((), true));
        assert!(stays_pending(queue.batch_filled()).await);
        let ((), pushed) = tokio::join!(queue.batch_filled(), async { queue.push(numbered(1)) });
        assert!(pushed.is_none());
        while queue.pop().is_some() {}
        queue.nudge();
        queue.filled().await;
        assert!(stays_pending(queue.filled()).await, "a nudge counts once");
    }
}
