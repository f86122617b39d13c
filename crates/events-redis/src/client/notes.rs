//! Notes about events that failed and are to be tried again, for the dead letter they may become.
//!
//! The server counts deliveries and forgets everything else about them, so the error of an attempt whose process dies
//! later would be lost. Notes are a help: whatever keeps one from being written is logged and harms nothing.

use std::time::Duration;

use fred::interfaces::HashesInterface;
use fred::types::Value;
use tracing::debug;

use super::batches::Held;
use super::scripts;
use super::stream_client::StreamClient;
use crate::keys::notes_key;
use crate::membership::{Membership, milliseconds};

/// How long notes are kept after the last one of the group was written.
const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The most of an error that is noted, in bytes.
const MOST_OF_AN_ERROR: usize = 1024;

/// How many entries one script looks at.
const NOTED_IN_ONE_SCRIPT: usize = 500;

impl StreamClient {
    /// Notes deliveries that are still this consumer's, and the error they failed with if they did.
    pub(crate) async fn note(&self, member: &Membership, entries: &[Held], error: Option<&str>) {
        let error = error.unwrap_or_default();
        let error = &error[..error.floor_char_boundary(MOST_OF_AN_ERROR)];
        for entries in entries.chunks(NOTED_IN_ONE_SCRIPT) {
            let mut arguments: Vec<Value> = vec![
                member.group.as_str().into(),
                member.consumer.as_str().into(),
                notes_key(&self.key, &member.group).into(),
                error.into(),
                milliseconds(KEPT).to_string().into(),
            ];
            for (id, count) in entries {
                arguments.extend([id.to_string().into(), i64::from(*count).into()]);
            }
            if let Err(error) = self.script(scripts::NOTE, arguments).await {
                debug!(key = &*self.key, %error, "what went wrong is not noted");
            }
        }
    }

    /// Throws notes about entries away that need none any more.
    pub(crate) async fn forget_notes(&self, group: &str, ids: Vec<String>) {
        // Where scripts are refused nothing is noted.
        if ids.is_empty() || !self.scripted() {
            return;
        }
        let forgotten = async {
            let client = self.client("HDEL").await?;
            client.hdel::<(), _, _>(notes_key(&self.key, group), ids).await.map_err(self.failed("HDEL"))
        };
        if let Err(error) = forgotten.await {
            debug!(key = &*self.key, %error, "notes stay behind");
        }
    }
}
