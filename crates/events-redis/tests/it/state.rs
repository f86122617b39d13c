//! What operators are told about a stream.

use std::num::NonZeroUsize;
use std::time::Duration;

use events_core::{ErrorKind, EventAdmin, MessageId, StartFrom};
use events_redis::RedisAdmin;
use test_servers::RedisServer;
use time::OffsetDateTime;

use crate::support::*;

async fn admin(server: &RedisServer) -> RedisAdmin {
    RedisAdmin::connect(&config(server), STREAM).await.expect("an admin")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lag_the_server_does_not_know_is_counted_or_unknown_and_never_zero() {
    let server = server();
    let publisher = publisher(&server).await;
    publish(&publisher, 0..1_500).await;
    let third = admin(&server).await.read(&StartFrom::Earliest, BATCH, Duration::ZERO).await.unwrap();
    // A group that begins somewhere in the middle: no server knows how far it is.
    for (group, start) in [("middle", third[2].message_id.as_str()), ("start", "0"), ("end", "$")] {
        command(&server, &["XGROUP", "CREATE", STREAM, group, start]);
    }
    command(&server, &["XDEL", STREAM, third[5].message_id.as_str()]);
    let lags = async || {
        let groups = admin(&server).await.state().await.unwrap().groups;
        groups.into_iter().map(|group| (group.name, group.lag)).collect::<Vec<_>>()
    };
    let told = lags().await;
    assert_eq!((told[0].0.as_str(), told[0].1), ("end", Some(0)));
    // More than are counted: unknown, unless the server counts itself.
    assert!(told[1..].iter().all(|(_, lag)| lag.is_none_or(|lag| lag >= 1_496)), "{told:?}");
    command(&server, &["XTRIM", STREAM, "MAXLEN", "=", "900"]);
    let told = lags().await;
    assert_eq!(told[1..].iter().map(|(_, lag)| *lag).collect::<Vec<_>>(), [Some(900), Some(900)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_and_inactive_are_told_apart_as_far_as_the_server_does() {
    let server = server();
    publish(&publisher(&server).await, 0..1).await;
    let mut waiting = consumer(&server).await;
    let delivery = receive_one(&mut waiting).await;
    let told = async || {
        let mut groups = admin(&server).await.groups().await.unwrap();
        groups.remove(0).consumers.remove(0)
    };
    let consumer = told().await;
    assert_eq!(consumer.pending, 1);
    assert!(consumer.inactive.is_some());
    // Since 7.2 asking is noted, too; before, unknown is unknown.
    let version = command(&server, &["INFO", "server"]);
    let version = version.text().and_then(|info| info.split("redis_version:").nth(1)).unwrap_or_default();
    let old = version.starts_with("6.") || version.starts_with("7.0");
    assert_eq!(consumer.idle.is_none(), old, "{consumer:?}");
    delivery.ack().await.unwrap();
    assert_eq!(told().await.pending, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_is_read_from_any_id_and_any_time() {
    let server = server();
    for id in ["1000-1", "1000-2", "2000-0", "3000-7"] {
        command(&server, &["XADD", STREAM, id, "event", "x"]);
    }
    let admin = admin(&server).await;
    let read = async |from: StartFrom| {
        let records = admin.read(&from, BATCH, Duration::ZERO).await.unwrap();
        records.into_iter().map(|record| record.message_id.to_string()).collect::<Vec<_>>()
    };
    let after = |id: &str| StartFrom::After(MessageId::from(id));
    // Without a number an id is that of the first within its millisecond, as the server takes it.
    assert_eq!(read(after("1000")).await, ["1000-1", "1000-2", "2000-0", "3000-7"]);
    assert_eq!(read(after("1000-1")).await, ["1000-2", "2000-0", "3000-7"]);
    assert_eq!(read(after("0-0")).await.len(), 4);
    assert_eq!(read(after("3000-7")).await, [""; 0]);
    assert_eq!(read(after("18446744073709551615-18446744073709551615")).await, [""; 0]);
    let at = |ms: i64| StartFrom::Time(OffsetDateTime::UNIX_EPOCH + time::Duration::milliseconds(ms));
    for (time, count) in [(-5_000, 4), (0, 4), (1_000, 4), (1_001, 2), (2_000, 2), (3_000, 1), (3_001, 0)] {
        assert_eq!(read(at(time)).await.len(), count, "{time}");
    }
    let far = StartFrom::Time(time::macros::datetime!(9999-12-31 23:59:59 UTC));
    assert_eq!(read(far).await.len(), 0);
    let all = admin.read(&StartFrom::Earliest, NonZeroUsize::MAX, Duration::ZERO).await.unwrap();
    assert_eq!(all.len(), 4);
    let error = admin.read(&after("3000-"), BATCH, Duration::ZERO).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
}
