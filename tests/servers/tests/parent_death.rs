//! A server does not outlive a test process that is killed.
#![cfg(target_os = "linux")]

use std::env;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use test_servers::RedisServer;

/// Set in the process that is to be killed: this test program once more, running only this test.
const VICTIM: &str = "EVENTS_TEST_VICTIM";

#[test]
fn a_server_dies_with_a_killed_test_process() {
    if env::var_os(VICTIM).is_some() {
        let server = RedisServer::start().unwrap();
        println!("\nport {}", server.port());
        thread::sleep(Duration::from_secs(600));
        return;
    }
    let mut victim = Command::new(env::current_exe().unwrap())
        .args(["--exact", "a_server_dies_with_a_killed_test_process", "--nocapture"])
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let port: u16 = lines
        .find_map(|line| line.unwrap().strip_prefix("port ").map(|port| port.parse().unwrap()))
        .expect("the other process prints its server's port");
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());

    victim.kill().unwrap();
    victim.wait().unwrap();

    let deadline = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
        assert!(Instant::now() < deadline, "the server outlived the test process");
        thread::sleep(Duration::from_millis(5));
    }
}
