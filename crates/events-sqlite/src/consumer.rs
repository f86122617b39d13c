//! The consuming side.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use events_core::wire::Encoding;
use events_core::{
    Capabilities, ConsumerOptions, DeadLetterReason, Delivery, DeliveryParts, Error, EventConsumer, Receipt,
    Result,
};

use crate::claim::{self, MOST_EVENTS};
use crate::clock;
use crate::config::SqliteConfig;
use crate::database::Database;
use crate::dead_letters::Burial;
use crate::error::Failure;
use crate::history::Start;
use crate::join::{Terms, join};
use crate::position::message_id;
use crate::publisher::checked_stream;
use crate::settle::{SqliteSettler, bury_held};
use crate::shelf::{Ready, Shelf};
use crate::writer::Lasts;

/// Waiting longer than this is waiting for ever: thirty years.
const FOREVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// A transient error is returned no sooner than this, or the caller's own wait.
const ERROR_PAUSE: Duration = Duration::from_secs(1);

/// A member of a consumer group of one stream in a database file.
#[derive(Debug)]
pub struct SqliteConsumer {
    database: Arc<Database>,
    terms: Arc<Terms>,
    /// The only one expected, if one is.
    encoding: Option<Encoding>,
    shelf: Arc<Shelf>,
    settler: Arc<SqliteSettler>,
    closed: bool,
}

impl SqliteConsumer {
    /// Opens the file, which is created when missing, and joins the group, which is created when missing.
    ///
    /// What a former consumer of the same name still holds is due at once.
    ///
    /// # Errors
    ///
    /// As [`SqlitePublisher::open`](crate::SqlitePublisher::open), and
    /// [`InvalidConfig`](events_core::ErrorKind::InvalidConfig) for options no backend can use.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves at most the database and the group behind.
    pub async fn open(
        config: &SqliteConfig,
        stream_key: impl AsRef<str> + Send,
        options: ConsumerOptions,
    ) -> Result<Self> {
        const OPERATION: &str = "open consumer";
        options.validate()?;
        let terms = Arc::new(Terms {
            stream: checked_stream(OPERATION, stream_key.as_ref())?,
            group: options.group().into(),
            consumer: options.consumer_name().into(),
            start: Start::parse(OPERATION, options.start_from())?,
            lease: clock::micros(options.lease()),
            max_deliveries: options.max_deliveries().get(),
            observer: Arc::clone(options.observer()),
        });
        let database = Database::open(config, OPERATION).await?;
        let joining = Arc::clone(&terms);
        let joined =
            database.write(1, move |connection| join(connection, &joining, None, clock::now())).await;
        let membership = joined.map_err(|failure| failure.to_error(OPERATION))?;
        let settler = Arc::new(SqliteSettler {
            database: Arc::clone(&database),
            membership,
            max_deliveries: terms.max_deliveries,
            observer: Arc::clone(&terms.observer),
        });
        let shelf = Arc::new(Shelf::new(membership, options.lease()));
        let encoding = options.encoding();
        Ok(Self { database, terms, encoding, shelf, settler, closed: false })
    }

    /// Asks the database once; says besides whether asking again at once may bring more.
    async fn fetch(&self, max: usize, since: Instant) -> Result<(Vec<Ready>, bool), Failure> {
        self.shelf.landed().await?;
        if self.shelf.begin_claim() {
            self.claim(max);
            self.shelf.landed().await?;
        }
        let spoiled = self.shelf.decode(self.encoding);
        let buried = if spoiled.is_empty() { Ok(()) } else { self.bury(spoiled).await };
        if !self.shelf.is_fresh(since) {
            let shelf = Arc::clone(&self.shelf);
            self.database.write(max, move |connection| shelf.extend(connection, clock::now())).await?;
        }
        let (ready, more) = self.shelf.take(max);
        // Neighbours of what cannot be buried now are delivered; the next call tries again.
        if ready.is_empty() { buried.map(|()| (ready, more)) } else { Ok((ready, more)) }
    }

    fn claim(&self, max: usize) {
        let (terms, reported) = (Arc::clone(&self.terms), Arc::clone(&self.terms));
        let (shelf, landing) = (Arc::clone(&self.shelf), Arc::clone(&self.shelf));
        self.database.write_then(
            max.min(MOST_EVENTS),
            // Undone, it leaves its events to be claimed again, which is what becomes of them in any case when the power fails
            // before they are acknowledged. Waiting for the disk here would double what an event costs.
            Lasts::UntilPowerFails,
            move |connection| {
                let Some(membership) = shelf.claimant() else { return Ok(None) };
                claim::claim(connection, &terms, membership, max, clock::now()).map(Some)
            },
            move |outcome| {
                if let Ok(Some(claim)) = &outcome {
                    claim.report(&reported);
                }
                landing.land(outcome);
            },
        );
    }

    async fn bury(&self, spoiled: Vec<(crate::settle::Held, String)>) -> Result<(), Failure> {
        let membership = self.shelf.membership();
        let count = spoiled.len();
        let buried = self
            .database
            .write(count, move |connection| {
                let mut buried = 0;
                for (held, detail) in &spoiled {
                    let burial = Burial::new(DeadLetterReason::Undecodable, Some(detail.clone()));
                    let held = std::slice::from_ref(held);
                    buried += bury_held(connection, &membership, held, &burial, clock::now())?;
                }
                Ok(buried)
            })
            .await?;
        self.shelf.discard_spoiled();
        if buried > 0 {
            self.terms.observer.dead_lettered(DeadLetterReason::Undecodable, buried);
        }
        tracing::warn!(stream = %self.terms.stream, group = %self.terms.group, count, "events that cannot be decoded are dead letters now");
        Ok(())
    }

    /// Makes deliveries, with a settler of their own where the group had to be made again.
    fn deliver(&mut self, ready: Vec<Ready>) -> Vec<Delivery> {
        let membership = self.shelf.membership();
        if self.settler.membership != membership {
            self.settler = Arc::new(SqliteSettler {
                database: Arc::clone(&self.database),
                membership,
                max_deliveries: self.terms.max_deliveries,
                observer: Arc::clone(&self.terms.observer),
            });
        }
        let deliver = |Ready { held, published_at, event }| {
            Delivery::new(DeliveryParts {
                event,
                receipt: Receipt { message_id: message_id(held.seq), attempt: held.attempt, handle: None },
                stream: Arc::clone(&self.terms.stream),
                published_at: Some(clock::from_micros(published_at)),
                settler: Arc::clone(&self.settler) as _,
            })
        };
        ready.into_iter().map(deliver).collect()
    }

    /// Gives back what lies on the shelf; nothing lands there after.
    fn give_back(&self) -> impl Future<Output = Result<(), Failure>> + Send + use<> {
        self.shelf.leave();
        let (shelf, emptied) = (Arc::clone(&self.shelf), Arc::clone(&self.shelf));
        let given =
            self.database.write(MOST_EVENTS, move |connection| shelf.give_back(connection, clock::now()));
        async move {
            given.await?;
            emptied.clear();
            Ok(())
        }
    }
}

#[async_trait]
impl EventConsumer for SqliteConsumer {
    fn capabilities(&self) -> Capabilities {
        self.database.config().capabilities()
    }

    async fn receive(&mut self, max: NonZeroUsize, wait: Duration) -> Result<Vec<Delivery>> {
        if self.closed {
            return Err(Error::closed("receive"));
        }
        let start = Instant::now();
        let wait = wait.min(FOREVER);
        let _keeping = Keeping { database: Arc::clone(&self.database), shelf: Arc::clone(&self.shelf) };
        let asked = async {
            loop {
                let (ready, more) = self.fetch(max.get(), start).await?;
                let left = wait.saturating_sub(start.elapsed());
                if !ready.is_empty() || (left.is_zero() && !more) {
                    return Ok(ready);
                }
                if !more {
                    let membership = self.shelf.membership();
                    let check = Box::new(move |connection: &rusqlite::Connection, now| {
                        claim::is_ready(connection, &membership, now)
                    });
                    match tokio::time::timeout(left, self.database.watch(check)).await {
                        Ok(watched) => watched?,
                        Err(_) => return Ok(Vec::new()),
                    }
                }
            }
        };
        match asked.await {
            Ok(ready) => Ok(self.deliver(ready)),
            Err::<_, Failure>(failure) => {
                let error = failure.to_error("receive");
                if error.is_transient() {
                    tokio::time::sleep(wait.min(ERROR_PAUSE).saturating_sub(start.elapsed())).await;
                }
                Err(error)
            }
        }
    }

    async fn close(&mut self) -> Result<()> {
        self.closed = true;
        self.give_back().await.map_err(|failure| failure.to_error("close consumer"))
    }
}

impl Drop for SqliteConsumer {
    fn drop(&mut self) {
        if !self.closed {
            // It is asked for when the future is made; nobody has to wait for it.
            drop(self.give_back());
        }
    }
}

/// Has what a call of `receive` leaves on the shelf kept alive, however the call ends.
struct Keeping {
    database: Arc<Database>,
    shelf: Arc<Shelf>,
}

impl Drop for Keeping {
    fn drop(&mut self) {
        if self.shelf.begin_keeping() {
            self.database.keep(&self.shelf);
        }
    }
}
