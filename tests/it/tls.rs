//! `rediss://`: the whole way to the server is encrypted, and only a server that can prove its name is talked to.

use std::fs;
use std::path::Path;

use events_system_tests::{Running, events, sink};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use test_servers::RedisServer;

use crate::broker::{GROUP, STREAM, line, pending, tally};

/// A server that shows a certificate for `localhost`, and the directory with the authority that signed it.
fn server() -> (RedisServer, TempDir) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();

    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let file = directory.path().join(name);
        fs::write(&file, text).unwrap();
        file
    };
    let authority = write("authority.pem", authority.pem());
    let certificate = write("server.pem", certificate.pem());
    let key = write("server.key", key.serialize_pem());
    let server = RedisServer::builder().with_tls(&certificate, &key, &authority).start().unwrap();
    (server, directory)
}

fn trusting(mut command: std::process::Command, directory: &Path) -> std::process::Command {
    command.env("SSL_CERT_FILE", directory.join("authority.pem"));
    command
}

#[test]
fn events_go_both_ways_over_tls() {
    let (server, directory) = server();
    let url = format!("rediss://localhost:{}", server.tls_port().unwrap());
    let publish = trusting(events("publish", &url, STREAM).unwrap(), directory.path());
    let published = Running::start_with_input(publish, line(7) + "\n").unwrap();
    published.finish().unwrap().success().unwrap();

    let mut print = trusting(sink(&url, STREAM, GROUP).unwrap(), directory.path());
    print.arg("--drain");
    let lines = Running::start(print).unwrap().finish().unwrap().success().unwrap();
    assert_eq!(tally(&lines).into_keys().collect::<Vec<_>>(), [7]);
    assert_eq!(pending(&server), 0);
}

#[test]
fn a_server_that_cannot_prove_its_name_is_given_nothing() {
    let (server, directory) = server();
    // The certificate is for `localhost` alone.
    let url = format!("rediss://127.0.0.1:{}", server.tls_port().unwrap());
    let mut publish = trusting(events("publish", &url, STREAM).unwrap(), directory.path());
    publish.args(["--timeout", "3s"]);
    let finished = Running::start_with_input(publish, line(7) + "\n").unwrap().finish().unwrap();
    assert!(!finished.status.success());
    assert_eq!(server.command(&["EXISTS", STREAM]).unwrap().integer(), Some(0));
}
