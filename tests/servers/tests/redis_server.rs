//! What tests may rely on when they own a Redis server.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use test_servers::{RedisServer, Reply, RespConnection, ServerGeneration, SharedRedis};

fn set(server: &RedisServer, key: &str, value: &str) -> anyhow::Result<()> {
    server.command(&["SET", key, value])?;
    Ok(())
}

fn get(server: &RedisServer, key: &str) -> anyhow::Result<Option<String>> {
    Ok(server.command(&["GET", key])?.text().map(str::to_owned))
}

#[test]
fn is_the_process_that_answers_on_its_port() {
    let server = RedisServer::start().unwrap();
    let info = server.command(&["INFO", "server"]).unwrap();
    assert!(info.text().unwrap().contains(&format!("process_id:{}\r\n", server.pid())));
    assert_eq!(server.url(), format!("redis://127.0.0.1:{}", server.port()));
}

#[test]
fn twenty_servers_run_at_once() {
    let servers: Vec<RedisServer> = thread::scope(|scope| {
        let starting: Vec<_> = (0..20).map(|_| scope.spawn(|| RedisServer::start().unwrap())).collect();
        starting.into_iter().map(|server| server.join().unwrap()).collect()
    });
    for (number, server) in servers.iter().enumerate() {
        set(server, "number", &number.to_string()).unwrap();
    }
    for (number, server) in servers.iter().enumerate() {
        assert_eq!(get(server, "number").unwrap(), Some(number.to_string()));
    }
}

#[test]
fn outlives_the_thread_that_started_it() {
    let server = thread::spawn(RedisServer::start).join().unwrap().unwrap();
    for count in 1..=500 {
        assert_eq!(server.command(&["INCR", "count"]).unwrap().integer(), Some(count));
    }
}

#[test]
fn a_killed_server_with_an_append_only_file_comes_back_with_its_data() {
    let mut server = RedisServer::builder().with_append_only_file().start().unwrap();
    let (port, pid) = (server.port(), server.pid());
    set(&server, "kept", "yes").unwrap();
    server.kill().unwrap();
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    server.restart().unwrap();
    assert_eq!(server.port(), port);
    assert_ne!(server.pid(), pid);
    assert_eq!(get(&server, "kept").unwrap().as_deref(), Some("yes"));
}

#[test]
fn a_restart_without_persistence_starts_empty() {
    let mut server = RedisServer::start().unwrap();
    set(&server, "gone", "soon").unwrap();
    server.restart().unwrap();
    assert_eq!(get(&server, "gone").unwrap(), None);
}

#[test]
fn stopping_ends_it_in_order() {
    let mut server = RedisServer::start().unwrap();
    assert!(server.stop().unwrap().success());
    assert!(server.command(&["PING"]).is_err());
}

#[test]
fn a_frozen_server_accepts_connections_and_answers_after_the_thaw() {
    let mut server = RedisServer::start().unwrap();
    server.freeze().unwrap();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).unwrap();
    stream.write_all(b"PING\r\n").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(stream.read(&mut [0; 16]).is_err(), "a frozen server answered");
    stream.set_read_timeout(None).unwrap();
    server.thaw().unwrap();
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+PONG\r\n");
}

#[test]
fn a_frozen_server_can_be_killed_and_restarted() {
    let mut server = RedisServer::start().unwrap();
    server.freeze().unwrap();
    server.kill().unwrap();
    server.restart().unwrap();
    assert_eq!(server.command(&["PING"]).unwrap(), Reply::Status("PONG".into()));
}

#[test]
fn dropping_it_ends_the_process_and_removes_the_directory() {
    let server = RedisServer::start().unwrap();
    let (port, directory) = (server.port(), server.directory().to_owned());
    assert!(directory.join("server.log").is_file());
    drop(server);
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    assert!(!directory.exists());
}

#[test]
fn refuses_a_client_without_the_password() {
    let server = RedisServer::builder().with_password("s3cret").start().unwrap();
    assert!(server.url().starts_with("redis://:s3cret@"));
    assert_eq!(server.command(&["PING"]).unwrap(), Reply::Status("PONG".into()));
    assert!(RespConnection::connect(server.port(), None).unwrap().command(&["PING"]).is_err());
    assert!(RespConnection::connect(server.port(), Some("wrong")).is_err());
}

#[test]
fn passes_arguments_on() {
    let server = RedisServer::builder().with_arguments(["--maxmemory", "3mb"]).start().unwrap();
    let answer = server.command(&["CONFIG", "GET", "maxmemory"]).unwrap();
    assert_eq!(answer.array().unwrap()[1].text(), Some("3145728"));
}

#[test]
fn an_argument_the_server_refuses_is_an_error_at_once() {
    let begun = Instant::now();
    assert!(RedisServer::builder().with_arguments(["--no-such-option", "1"]).start().is_err());
    assert!(begun.elapsed() < Duration::from_secs(30), "it waited for the deadline");
}

#[test]
fn understands_every_kind_of_reply() {
    let server = RedisServer::start().unwrap();
    assert_eq!(server.command(&["INCR", "n"]).unwrap().integer(), Some(1));
    assert_eq!(server.command(&["GET", "missing"]).unwrap(), Reply::Nil);
    assert!(server.command(&["NO-SUCH-COMMAND"]).is_err());
    server.command(&["RPUSH", "list", "é", ""]).unwrap();
    let texts = vec![Reply::Text("é".into()), Reply::Text(String::new())];
    assert_eq!(server.command(&["LRANGE", "list", "0", "-1"]).unwrap(), Reply::Array(texts));
}

#[test]
fn a_shared_server_answers() {
    let redis = SharedRedis::shared_or_own().unwrap();
    assert_eq!(redis.is_own(), std::env::var("EVENTS_TEST_REDIS_URL").is_err());
    assert!(redis.url().contains("://"));
}

#[test]
fn each_generation_is_the_server_it_is_called() {
    for (generation, field, expected) in [
        (ServerGeneration::Redis6, "redis_version:", "6.2."),
        (ServerGeneration::Redis8, "redis_version:", "8.10."),
        (ServerGeneration::Valkey, "valkey_version:", "8.1."),
    ] {
        let mut server = RedisServer::builder().with_generation(generation).start().unwrap();
        let version = |server: &RedisServer| {
            let info = server.command(&["INFO", "server"]).unwrap();
            let text = info.text().unwrap();
            text.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default().to_owned()
        };
        assert!(version(&server).starts_with(expected), "{generation:?}: {}", version(&server));
        server.restart().unwrap();
        assert!(version(&server).starts_with(expected), "{generation:?} after a restart");
    }
}
