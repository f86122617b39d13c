//! A warning for servers that may throw whole streams away to make room.

use fred::interfaces::ClientLike;
use fred::types::InfoKind;
use tracing::{debug, warn};

use super::stream_client::StreamClient;

impl StreamClient {
    /// Warns when the server evicts keys of any kind once its memory is full: a stream is a key, and its groups and dead
    /// letters go the same way.
    ///
    /// `volatile-…` is no danger, since streams never get a time to live from us; only notes about failed events have
    /// one, and those may go. A server that says nothing of its memory is taken as it is.
    pub(crate) async fn warn_of_eviction(&self) {
        if !self.link().is_connected() {
            return;
        }
        let asked = async {
            let client = self.client("INFO").await?;
            client.info::<String>(Some(InfoKind::Memory)).await.map_err(self.failed("INFO"))
        };
        match asked.await {
            Ok(info) => {
                if let Some(policy) = evicting(&info) {
                    warn!(
                        stream = &**self.stream_key(),
                        policy,
                        "the server evicts any key when its memory is full, whole streams too; `maxmemory-policy` should be `noeviction`"
                    );
                }
            }
            Err(error) => debug!(%error, "whether the server may evict streams is not known"),
        }
    }
}

/// The policy by which a server evicts keys that have no time to live, if it has such a policy and a limit.
fn evicting(info: &str) -> Option<&str> {
    let line = |name: &str| {
        let mut lines = info.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    };
    let limited = line("maxmemory").is_some_and(|limit| limit != "0");
    line("maxmemory_policy").filter(|policy| limited && policy.starts_with("allkeys-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_policy_that_can_reach_streams_is_a_danger() {
        let info = |limit: &str, policy: &str| {
            format!(
                "# Memory\r\nused_memory:9\r\nmaxmemory:{limit}\r\nmaxmemory_human:1M\r\nmaxmemory_policy:{policy}\r\n"
            )
        };
        for (limit, policy, danger) in [
            ("1048576", "allkeys-lru", true),
            ("1048576", "allkeys-random", true),
            ("1048576", "volatile-lru", false),
            ("1048576", "noeviction", false),
            ("0", "allkeys-lru", false),
        ] {
            assert_eq!(evicting(&info(limit, policy)), Some(policy).filter(|_| danger), "{limit} {policy}");
        }
        assert_eq!(evicting(""), None);
    }
}
