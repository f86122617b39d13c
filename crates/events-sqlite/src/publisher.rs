//! The publishing side.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use events_core::wire::Encoding;
use events_core::{Capabilities, Error, ErrorKind, Event, EventPublisher, MessageId, PublishReport, Result};

use crate::clock;
use crate::config::SqliteConfig;
use crate::database::Database;
use crate::position::message_id;
use crate::publish;
use crate::stored::Stored;

/// Most events and bytes that are written in one piece; larger batches are several pieces, written one after the other.
const MOST_EVENTS: usize = 1_024;
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// Publishes to one stream of a database file.
#[derive(Debug)]
pub struct SqlitePublisher {
    database: Arc<Database>,
    stream: Arc<str>,
    encoding: Encoding,
    closed: AtomicBool,
}

impl SqlitePublisher {
    /// Opens the file, which is created when missing, for publishing to the stream `stream_key`.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) when a setting is wrong, the directory is missing, or the file is no
    /// database of ours or one of a newer schema; [`PermissionDenied`](ErrorKind::PermissionDenied) when it cannot be
    /// written; [`Full`](ErrorKind::Full), [`Timeout`](ErrorKind::Timeout) and
    /// [`Backend`](ErrorKind::Backend) (a damaged file) as SQLite says.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves at most an empty database behind.
    pub async fn open(config: &SqliteConfig, stream_key: impl AsRef<str> + Send) -> Result<Self> {
        const OPERATION: &str = "open publisher";
        let stream = checked_stream(OPERATION, stream_key.as_ref())?;
        let database = Database::open(config, OPERATION).await?;
        Ok(Self { database, stream, encoding: Encoding::default(), closed: AtomicBool::new(false) })
    }

    /// Writes events in this encoding. Default: [`Encoding::Adr018`].
    #[must_use]
    pub fn with_encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Sends what was collected to the writing thread and waits for its ids.
    async fn write(&self, piece: Piece, outcomes: &mut [Option<Result<MessageId>>]) {
        let Piece { messages, places, .. } = piece;
        let stream = Arc::clone(&self.stream);
        let written = self
            .database
            .write(messages.len(), move |connection| {
                publish::insert(connection, &stream, &messages, clock::now())
            })
            .await;
        for (seq, place) in (0..).zip(places) {
            outcomes[place] = Some(match &written {
                Ok(first) => Ok(message_id(first + seq)),
                Err(failure) => Err(failure.to_error("publish")),
            });
        }
    }
}

/// Events that are written together, and their places in the caller's batch.
#[derive(Debug, Default)]
struct Piece {
    messages: Vec<Stored>,
    places: Vec<usize>,
    bytes: usize,
}

impl Piece {
    fn is_full(&self) -> bool {
        self.messages.len() >= MOST_EVENTS || self.bytes >= MOST_BYTES
    }
}

/// A stream key that can be used.
pub(crate) fn checked_stream(operation: &'static str, stream_key: &str) -> Result<Arc<str>> {
    if stream_key.is_empty() {
        return Err(Error::new(ErrorKind::InvalidConfig, operation, "the stream key must not be empty"));
    }
    Ok(stream_key.into())
}

#[async_trait]
impl EventPublisher for SqlitePublisher {
    fn capabilities(&self) -> Capabilities {
        self.database.config().capabilities()
    }

    async fn publish_batch(&self, events: &[Event]) -> Result<PublishReport> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::closed("publish"));
        }
        let limit = self.database.config().max_event_bytes;
        let mut outcomes: Vec<Option<Result<MessageId>>> = Vec::with_capacity(events.len());
        outcomes.resize_with(events.len(), || None);
        let mut pieces = VecDeque::from([Piece::default()]);
        for (place, event) in events.iter().enumerate() {
            let encoded = match self.encoding.encode(event) {
                Ok(encoded) => encoded,
                Err(error) => {
                    outcomes[place] = Some(Err(error));
                    continue;
                }
            };
            let bytes = encoded.counted_bytes();
            if bytes > limit {
                outcomes[place] = Some(Err(Error::too_large("publish", bytes, limit)));
                continue;
            }
            if pieces.back().is_none_or(Piece::is_full) {
                pieces.push_back(Piece::default());
            }
            if let Some(piece) = pieces.back_mut() {
                if piece.messages.is_empty() {
                    let room = (events.len() - place).min(MOST_EVENTS);
                    piece.messages.reserve_exact(room);
                    piece.places.reserve_exact(room);
                }
                piece.messages.push(Stored::from(encoded));
                piece.places.push(place);
                piece.bytes += bytes;
            }
        }
        for piece in pieces {
            if !piece.messages.is_empty() {
                self.write(piece, &mut outcomes).await;
            }
        }
        let unsent = || Err(Error::new(ErrorKind::Backend, "publish", "the event was not written"));
        Ok(PublishReport::new(outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(unsent)).collect()))
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        // Work is done in the order it was asked for, so when this is done everything before is.
        self.database.write(0, |_| Ok(())).await.map_err(|failure| failure.to_error("close publisher"))
    }
}
