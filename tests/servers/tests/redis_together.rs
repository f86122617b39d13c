//! What tests may rely on when several servers work together.

use std::thread;
use std::time::{Duration, Instant};

use test_servers::{RedisCluster, RedisSentinel, Reply, RespConnection};

#[test]
fn a_cluster_serves_each_key_on_the_node_that_holds_it() {
    let cluster = RedisCluster::start().unwrap();
    let mut used: Vec<u16> = Vec::new();
    for number in 0..30 {
        let key = format!("key-{number}");
        let node = cluster.node_of(&key).unwrap();
        assert_eq!(node.command(&["SET", &key, "x"]).unwrap(), Reply::Status("OK".into()));
        used.push(node.port());
    }
    used.sort_unstable();
    used.dedup();
    assert_eq!(used.len(), cluster.nodes().len());
}

#[test]
fn a_node_of_a_cluster_refuses_the_keys_of_others() {
    let cluster = RedisCluster::start().unwrap();
    let holder = cluster.node_of("key").unwrap().port();
    for node in cluster.nodes().iter().filter(|node| node.port() != holder) {
        assert!(node.command(&["GET", "key"]).is_err());
    }
}

#[test]
fn a_sentinel_promotes_the_replica_of_a_killed_primary() {
    let mut sentinel = RedisSentinel::start().unwrap();
    let (first, second) = (sentinel.first_primary().port(), sentinel.first_replica().port());
    assert_eq!(sentinel.primary_port().unwrap(), first);
    // WAIT speaks of the writes of its own connection: the replica has the value before the primary goes.
    let mut connection = RespConnection::connect(first, None).unwrap();
    connection.command(&["SET", "kept", "yes"]).unwrap();
    assert_eq!(connection.command(&["WAIT", "1", "10000"]).unwrap(), Reply::Integer(1));

    sentinel.first_primary().kill().unwrap();

    let deadline = Instant::now() + Duration::from_secs(60);
    while sentinel.primary_port().unwrap() != second {
        assert!(Instant::now() < deadline, "the replica was not promoted");
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(sentinel.first_replica().command(&["GET", "kept"]).unwrap().text(), Some("yes"));
}
