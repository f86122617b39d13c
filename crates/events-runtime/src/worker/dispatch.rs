//! The worker at work: takes events as there is room, has them handled, and settles them by what came of it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use events_core::{Capabilities, Delivery, Event, EventConsumer, Result};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::caution::Caution;
use super::config::WorkerConfig;
use super::context::Context;
use super::crew::{Crew, Job, Method};
use super::held::{Held, Slot};
use super::intake::Intake;
use super::lanes::Lanes;
use super::report::WorkerReport;
use super::settling::Settling;

/// How long handlers that were dropped may take to end, and the last acknowledgements to arrive, after the deadline.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How many times in a row handlers that end at once make room for the next.
const ROUNDS_IN_A_ROW: usize = 4;

/// How long an extension may be overdue; leases are looked after this often at least.
const PARTS_OF_LEASE: u32 = 3;

/// Takes an event's key, hashed.
pub(crate) type KeyOf = Arc<dyn Fn(&Event) -> Option<u64> + Send + Sync>;

/// When a worker ends by itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Until {
    pub(crate) taken: Option<u64>,
    pub(crate) drained: bool,
}

pub(crate) struct Dispatcher {
    pub(super) config: WorkerConfig,
    pub(super) capabilities: Capabilities,
    key_of: Option<KeyOf>,
    until: Until,
    pub(super) held: Held,
    /// May be handled now.
    pub(super) ready: VecDeque<Slot>,
    pub(super) lanes: Lanes,
    /// To be tried again in place, and when.
    pub(super) retries: BinaryHeap<Reverse<(Instant, Slot)>>,
    /// To be handled alone, one after the other.
    suspects: VecDeque<Slot>,
    pub(super) alone: bool,
    pub(super) running: usize,
    crew: Crew,
    pub(super) settling: Settling,
    pub(super) caution: Caution,
    taken: u64,
    next_renewal: Instant,
    pub(super) stopping: bool,
    stream: Arc<str>,
    pub(super) report: WorkerReport,
}

impl Dispatcher {
    /// Called inside a runtime.
    pub(crate) fn new(
        config: WorkerConfig,
        capabilities: Capabilities,
        method: Method,
        key_of: Option<KeyOf>,
        until: Until,
    ) -> Self {
        Self {
            caution: Caution::new(&config),
            next_renewal: Instant::now() + config.lease / PARTS_OF_LEASE,
            config,
            capabilities,
            key_of,
            until,
            held: Held::default(),
            ready: VecDeque::new(),
            lanes: Lanes::default(),
            retries: BinaryHeap::new(),
            suspects: VecDeque::new(),
            alone: false,
            running: 0,
            crew: Crew::new(method),
            settling: Settling::default(),
            taken: 0,
            stopping: false,
            stream: Arc::from(""),
            report: WorkerReport::default(),
        }
    }

    /// Works until `stop` completes, the consumer fails for good, or there is nothing more to do; then winds down.
    pub(crate) async fn run(
        mut self,
        mut consumer: Box<dyn EventConsumer>,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<WorkerReport> {
        let worked = tokio::select! {
            biased;
            () = stop => Ok(()),
            worked = self.work(&mut *consumer) => worked,
        };
        self.wind_down(&mut *consumer).await;
        worked.map(|()| self.report)
    }

    /// Works until the consumer fails for good, or there is nothing more to do.
    ///
    /// Dropping the future loses nothing: whatever is held is held by `self`.
    async fn work(&mut self, consumer: &mut dyn EventConsumer) -> Result<()> {
        let mut intake = Intake::new(self.until.drained, consumer.capabilities());
        loop {
            let Some(room) = self.room() else {
                if self.has_taken_all() && self.is_idle() {
                    return Ok(());
                }
                self.step().await;
                continue;
            };
            let mut receive = consumer.receive(room, intake.wait());
            let received = loop {
                tokio::select! {
                    biased;
                    // First what is held, so that what is handled is acknowledged before more is taken.
                    () = self.step() => {}
                    received = &mut receive => break received,
                }
            };
            drop(receive);
            match intake.look_at(received)? {
                Some(deliveries) if deliveries.is_empty() && self.until.drained => {
                    if self.is_idle() {
                        return Ok(());
                    }
                    self.step().await;
                }
                Some(deliveries) => self.take_in(deliveries),
                None => {}
            }
        }
    }

    /// How many events there is room for, or `None` when it is not worth asking for any.
    fn room(&self) -> Option<NonZeroUsize> {
        if !self.suspects.is_empty()
            || self.alone
            || self.lanes.waiting() >= self.config.max_waiting_for_key.max(1)
        {
            return None;
        }
        let window = self.caution.window();
        let held = self.held.len() - self.lanes.waiting();
        let settling = self.settling.len();
        let prefetch = self.config.most_held() - self.config.concurrency.get();
        // A few at a time would cost as many round trips as events; that is worth it only for a handler that is free, and
        // then only when not even more room is about to be made by acknowledgements that are on their way.
        let worth_it = match held < self.config.concurrency.get() {
            true => settling + 1,
            false => prefetch.div_ceil(2).clamp(1, window),
        };
        let room = window.checked_sub(held + settling).filter(|room| *room >= worth_it)?;
        let left = self.until.taken.map_or(u64::MAX, |most| most.saturating_sub(self.taken));
        NonZeroUsize::new(room.min(usize::try_from(left).unwrap_or(usize::MAX)))
    }

    fn has_taken_all(&self) -> bool {
        self.until.taken.is_some_and(|most| self.taken >= most)
    }

    fn is_idle(&self) -> bool {
        self.held.len() == 0 && self.settling.len() == 0
    }

    /// Waits for something to happen to what is held, and sees to it.
    ///
    /// Dropping the future loses nothing.
    async fn step(&mut self) {
        let retry = self.retries.peek().map(|Reverse((at, _))| *at);
        let timer = retry.map_or(self.next_renewal, |at| at.min(self.next_renewal));
        tokio::select! {
            biased;
            // Whoever shares the thread gets a turn in between.
            () = self.settling.ended(&mut self.report) => {}
            () = tokio::task::yield_now(), if self.startable() > 0 => {}
            done = self.crew.done() => self.take_outcomes(done),
            () = sleep_until(timer) => self.look_at_the_clock(),
        }
        self.dispatch();
    }

    fn take_in(&mut self, deliveries: Vec<Delivery>) {
        let now = Instant::now();
        let suspects = |delivery: &Delivery| self.caution.suspects(delivery, &self.config);
        let suspicious: Vec<bool> = deliveries.iter().map(suspects).collect();
        let release = suspicious.contains(&true) && self.capabilities.uncounted_release;
        match suspicious.contains(&true) {
            true => self.caution.tense(),
            false if !deliveries.is_empty() => self.caution.relax(),
            false => {}
        }
        if release {
            self.release_idle();
        }
        let mut released = Vec::new();
        for (delivery, suspicious) in deliveries.into_iter().zip(suspicious) {
            // Where giving back costs no attempt, nothing but the one suspect is kept.
            if release && !(suspicious && self.suspects.is_empty()) {
                released.push(delivery);
                continue;
            }
            self.taken += 1;
            if suspicious {
                self.suspects.push_back(self.held.insert(delivery, None, now));
                continue;
            }
            let key = self.key_of.as_ref().and_then(|key_of| key_of(delivery.event()));
            let slot = self.held.insert(delivery, key, now);
            if key.is_none_or(|key| self.lanes.enter(key, slot)) {
                self.ready.push_back(slot);
            }
        }
        self.settling.release(released, &mut self.report);
        self.dispatch();
    }

    /// Starts what may be handled now, and sends what is to be acknowledged.
    fn dispatch(&mut self) {
        if let Some(&suspect) = self.suspects.front() {
            // Alone means that nothing else is being handled, and no acknowledgement on its way.
            if self.running == 0 && self.settling.len() == 0 {
                self.suspects.pop_front();
                self.alone = true;
                self.start(&[suspect]);
            }
        } else {
            // Handlers that end at once leave room at once.
            for _ in 0..ROUNDS_IN_A_ROW {
                let slots: Vec<Slot> = self.ready.drain(..self.startable()).collect();
                if slots.is_empty() {
                    break;
                }
                self.start(&slots);
            }
        }
        // What is handled in the next moment is acknowledged in the same call.
        if self.startable() == 0 {
            self.settling.flush();
        }
    }

    /// How many handlers may be started now.
    fn startable(&self) -> usize {
        if self.alone || self.stopping || !self.suspects.is_empty() {
            return 0;
        }
        self.ready.len().min(self.config.concurrency.get() - self.running)
    }

    fn start(&mut self, slots: &[Slot]) {
        if slots.is_empty() {
            return;
        }
        let mut jobs = Vec::with_capacity(slots.len());
        for &slot in slots {
            let Some(entry) = self.held.get(slot) else { continue };
            if *self.stream != *entry.delivery.stream() {
                self.stream = entry.delivery.stream().into();
            }
            let context = Context::new(&entry.delivery, Arc::clone(&self.stream), entry.attempt());
            jobs.push(Job { slot, context });
        }
        self.running += jobs.len();
        let done = self.crew.start(jobs);
        self.take_outcomes(done);
    }

    /// Extends leases that need it, and lets those try again whose pause is over.
    fn look_at_the_clock(&mut self) {
        let now = Instant::now();
        while self.retries.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            if let Some(Reverse((_, slot))) = self.retries.pop() {
                self.ready.push_back(slot);
            }
        }
        if now >= self.next_renewal {
            // Looked at twice as often as they are extended, no lease gets older than half of its time.
            let age = self.config.lease / PARTS_OF_LEASE;
            self.next_renewal = now + age / 2;
            if self.capabilities.extend {
                let mut due = self.held.renew(age, now).peekable();
                if due.peek().is_some() {
                    self.settling.extend(due, self.config.lease);
                }
            }
        }
    }

    /// Gives back everything whose handler does not run.
    fn release_idle(&mut self) {
        // Those that wait in a lane go first: then nothing moves up when those before them go.
        let waiting = self.lanes.take_waiting();
        let mut released: Vec<Delivery> =
            waiting.into_iter().filter_map(|slot| Some(self.held.remove(slot)?.delivery)).collect();
        let retries = std::mem::take(&mut self.retries).into_iter().map(|Reverse((_, slot))| slot);
        let idle: Vec<Slot> = self.ready.drain(..).chain(self.suspects.drain(..)).chain(retries).collect();
        released.extend(idle.into_iter().filter_map(|slot| Some(self.let_go(slot)?.delivery)));
        self.taken -= released.len() as u64;
        self.settling.release(released, &mut self.report);
    }

    /// Takes nothing more, lets what runs finish within the deadline, and gives back the rest.
    async fn wind_down(&mut self, consumer: &mut dyn EventConsumer) {
        self.stopping = true;
        let deadline = Instant::now() + self.config.stop_timeout;
        self.release_idle();
        let finishing = async {
            while self.running > 0 {
                self.step().await;
            }
        };
        // What the backend has fetched ahead goes to others at once, not after the last handler.
        let (closed, finished) = tokio::join!(
            timeout_at(deadline + LAST_WORDS, consumer.close()),
            timeout_at(deadline, finishing)
        );
        if let Ok(Err(error)) = closed {
            tracing::warn!(%error, "the consumer did not close cleanly");
        }
        if finished.is_err() {
            tracing::warn!(
                handlers = self.running,
                "handlers did not finish in time; their events are given back"
            );
            self.crew.abort(LAST_WORDS).await;
            let done = self.crew.done_now();
            self.take_outcomes(done);
            let cut = self.held.drain().map(|entry| entry.delivery).collect();
            self.settling.release(cut, &mut self.report);
        }
        let settled = async {
            self.settling.flush();
            while self.settling.len() > 0 {
                self.settling.ended(&mut self.report).await;
                self.settling.flush();
            }
        };
        let last = deadline.max(Instant::now() + LAST_WORDS);
        if timeout_at(last, settled).await.is_err() {
            tracing::warn!(
                events = self.settling.len(),
                "the broker was not told of all events in time; those come again"
            );
        }
    }
}
