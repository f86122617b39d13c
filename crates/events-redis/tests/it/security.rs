//! TLS with certificates of the test's own, users with few rights, and credentials that are taken back.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use events_core::{Error, ErrorKind, EventConsumer, EventPublisher, Secret};
use events_redis::{RedisConfig, RedisConsumer, RedisPublisher};
use test_servers::{RedisServer, Reply};

use crate::support::*;

/// All that is ever printed of a secret in these tests.
const PASSWORD: &str = "hunter2-the-password";

/// Publishes, consumes in every way, and looks from outside: all a service does.
async fn live(publishing: &RedisConfig, consuming: &RedisConfig) -> events_core::Result<()> {
    let publisher = RedisPublisher::connect(publishing, STREAM).await?;
    let mut consumer = RedisConsumer::connect(consuming, STREAM, options()).await?;
    publisher.publish_batch(&numbered(0..1)).await?.into_ids()?;
    publisher.publish_batch(&numbered(1..6)).await?.into_ids()?;
    let mut deliveries = Vec::new();
    while deliveries.len() < 6 {
        deliveries.extend(consumer.receive(BATCH, DEADLINE).await?);
    }
    let mut next = || deliveries.pop().expect("six were delivered");
    next().ack().await?;
    next().nack().await?;
    next().release().await?;
    next().reject("broken").await?;
    let held = next();
    held.extend(LEASE * 2).await?;
    held.ack().await?;
    // The last is dropped and comes back by its lease.
    drop(next());
    let mut again = Vec::new();
    while again.len() < 3 {
        again.extend(consumer.receive(BATCH, DEADLINE).await?);
    }
    events_core::ack_all(again).await.into_result()?;
    consumer.close().await?;
    publisher.close().await
}

fn user(server: &RedisServer, name: &str, rights: &str) -> RedisConfig {
    let password = format!(">{PASSWORD}");
    let mut words = vec!["ACL", "SETUSER", name, "reset", "on", &password];
    words.extend(rights.split_whitespace());
    command(server, &words);
    config(server).with_username(name).with_password(Secret::new(PASSWORD))
}

/// The rights that the README names for `who`.
fn documented(who: &str) -> String {
    let readme = include_str!("../../README.md");
    let line = readme.lines().find_map(|line| line.strip_prefix("ACL SETUSER ")?.strip_prefix(who));
    let rights = line.unwrap_or_else(|| panic!("the README has the rights of a {who}"));
    let rights = rights.split_whitespace().filter(|word| *word != "on" && !word.starts_with('>'));
    rights.map(|word| word.replace("qontract:events", STREAM)).collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_rights_suffice() {
    let server = server();
    let publishing = user(&server, "publisher", &documented("publisher"));
    let consuming = user(&server, "consumer", &documented("consumer"));
    live(&publishing, &consuming).await.unwrap();
    let denied = command(&server, &["ACL", "LOG"]);
    assert_eq!(denied, Reply::Array(Vec::new()), "something was tried that is not permitted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_right_that_is_missing_is_named_or_not_needed() {
    let server = server();
    let rights = documented("consumer");
    let every = user(&server, "publisher", &documented("publisher"));
    for right in rights.split_whitespace().filter(|right| right.starts_with('+')) {
        command(&server, &["FLUSHALL"]);
        command(&server, &["ACL", "LOG", "RESET"]);
        let less = format!("{rights} -{}", &right[1..]);
        let consuming = user(&server, "consumer", &less);
        let name = right[1..].split('|').next().unwrap().to_uppercase();
        match tokio::time::timeout(DEADLINE, live(&every, &consuming)).await.expect("it ends") {
            // What can be done without was tried once or not at all, and nothing depends on it.
            Ok(()) => {}
            Err(error) => {
                assert_eq!(
                    (error.kind(), error.is_transient()),
                    (ErrorKind::PermissionDenied, false),
                    "{right}: {error:?}"
                );
                let named = error.operation().contains(&name) || error.operation().contains("EVAL");
                // What connecting itself needs has no key.
                let keyed = error.operation().contains(STREAM) || error.operation().starts_with("connect");
                assert!((named && keyed) || error.operation().starts_with("connect"), "{right}: {error:?}");
                assert!(!format!("{error:?}").contains(PASSWORD));
            }
        }
    }
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no writer has panicked").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no writer has panicked")).into_owned()
    }
}

#[test]
fn a_password_changed_while_running_is_told_once_and_never_shown() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // One thread, so that everything that is logged comes here.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tracing::subscriber::with_default(subscriber, || runtime.block_on(loses_its_password()));
    let text = log.text();
    assert!(!text.contains(PASSWORD), "{text}");
    let told = text.lines().filter(|line| line.contains("redis refuses the connection"));
    // Publisher, and a consumer's two connections.
    assert_eq!(told.count(), 3, "{text}");
}

async fn loses_its_password() {
    let server = server();
    let config = user(&server, "service", "~* +@all");
    let publisher = RedisPublisher::connect(&config, STREAM).await.expect("this works for whoever is let in");
    let mut consumer =
        RedisConsumer::connect(&config, STREAM, options()).await.expect("this works for whoever is let in");
    publish(&publisher, 0..1).await;
    receive_one(&mut consumer).await.ack().await.expect("this works for whoever is let in");
    command(&server, &["ACL", "SETUSER", "service", "resetpass", ">another"]);
    command(&server, &["CLIENT", "KILL", "USER", "service"]);
    let end = tokio::time::Instant::now() + DEADLINE;
    let error = loop {
        assert!(tokio::time::Instant::now() < end);
        let received = consumer.receive(BATCH, Duration::from_millis(100)).await;
        match received.map_err(|error| (error.is_transient(), error)) {
            Err((false, error)) => break error,
            _ => continue,
        }
    };
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error:?}");
    assert!(!format!("{error:?}").contains(PASSWORD));
    let error = refused(&publisher).await;
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::PermissionDenied, false), "{error:?}");
    assert!(error.operation().contains("XADD") && error.operation().contains(STREAM), "{error:?}");
    // Both go on by themselves when they are let in again.
    command(&server, &["ACL", "SETUSER", "service", &format!(">{PASSWORD}")]);
    while publisher
        .publish_batch(&numbered(1..2))
        .await
        .expect("this works for whoever is let in")
        .into_ids()
        .is_err()
    {
        assert!(tokio::time::Instant::now() < end);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    loop {
        assert!(tokio::time::Instant::now() < end);
        if consumer.receive(BATCH, Duration::from_millis(100)).await.is_ok_and(|some| !some.is_empty()) {
            break;
        }
    }
}

async fn refused(publisher: &RedisPublisher) -> Error {
    let report = publisher.publish_batch(&numbered(1..2)).await.expect("this works for whoever is let in");
    report.into_ids().expect_err("the publisher is locked out")
}

#[cfg(feature = "tls")]
mod tls {
    use std::path::PathBuf;

    use events_core::EventAdmin;
    use events_redis::RedisAdmin;
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
    use tempfile::TempDir;

    use super::*;

    /// An authority, and what it has signed, in files.
    struct Authority {
        issuer: CertifiedIssuer<'static, KeyPair>,
        directory: TempDir,
        file: PathBuf,
    }

    impl Authority {
        fn new() -> Self {
            let mut params = CertificateParams::new(Vec::new()).expect("a certificate can be made");
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let issuer =
                CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a certificate can be made"))
                    .expect("a certificate can be made");
            let directory = tempfile::tempdir().expect("a certificate can be made");
            let file = directory.path().join("authority.pem");
            std::fs::write(&file, issuer.pem()).expect("a certificate can be made");
            Self { issuer, directory, file }
        }

        /// A certificate for `name` and its key.
        fn sign(&self, name: &str) -> (PathBuf, PathBuf) {
            let key = KeyPair::generate().expect("a certificate can be made");
            let mut params = CertificateParams::new([name.to_owned()]).expect("a certificate can be made");
            // With the authority's own name it would pass for one that signed itself.
            params.distinguished_name.push(DnType::CommonName, name);
            let signed = params.signed_by(&key, &self.issuer).expect("a certificate can be made");
            let files = ["pem", "key"].map(|end| self.directory.path().join(format!("{name}.{end}")));
            std::fs::write(&files[0], signed.pem()).expect("a certificate can be made");
            std::fs::write(&files[1], key.serialize_pem()).expect("a certificate can be made");
            let [certificate, key] = files;
            (certificate, key)
        }

        fn server(&self, arguments: &[&str]) -> RedisServer {
            let (certificate, key) = self.sign("localhost");
            let server = RedisServer::builder().with_tls(&certificate, &key, &self.file);
            server.with_arguments(arguments.iter().copied()).start().expect("a server")
        }
    }

    fn secure(server: &RedisServer, host: &str) -> RedisConfig {
        RedisConfig::new(format!("rediss://{host}:{}", server.tls_port().expect("the server speaks TLS")))
    }

    /// What both ends say when they are not let in; soon, and not for ever.
    async fn refusal(config: &RedisConfig) -> Error {
        let publisher = tokio::time::timeout(DEADLINE, RedisPublisher::connect(config, STREAM)).await;
        let publisher = publisher.expect("an answer").expect_err("the publisher is refused");
        let consumer = RedisConsumer::connect(config, STREAM, options());
        let consumer = tokio::time::timeout(DEADLINE, consumer).await;
        let consumer = consumer.expect("an answer").expect_err("the consumer is refused");
        assert_eq!(publisher.kind(), consumer.kind());
        assert!(!publisher.is_transient() && !consumer.is_transient());
        publisher
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_private_authority_is_trusted_when_named() {
        let authority = Authority::new();
        let server = authority.server(&[]);
        let config = secure(&server, "localhost").with_tls_ca_file(&authority.file);
        live(&config, &config).await.unwrap();
        assert!(RedisAdmin::connect(&config, STREAM).await.unwrap().groups().await.is_ok());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_server_that_cannot_prove_itself_is_an_error_at_once() {
        let authority = Authority::new();
        let server = authority.server(&[]);
        // Another authority, those of the system, and another name.
        let stranger = Authority::new();
        for config in [
            secure(&server, "localhost").with_tls_ca_file(&stranger.file),
            secure(&server, "localhost"),
            secure(&server, "127.0.0.1").with_tls_ca_file(&authority.file),
        ] {
            let error = refusal(&config).await;
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error:?}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_server_that_wants_a_certificate_gets_one() {
        let authority = Authority::new();
        let server = authority.server(&["--tls-auth-clients", "yes"]);
        let (certificate, key) = authority.sign("client");
        let config = secure(&server, "localhost").with_tls_ca_file(&authority.file);
        let with = config.clone().with_tls_certificate(&certificate, &key);
        live(&with, &with).await.unwrap();
        let error = refusal(&config).await;
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error:?}");
        let other = Authority::new();
        let (certificate, key) = other.sign("client");
        let error = refusal(&config.with_tls_certificate(certificate, key)).await;
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn files_that_cannot_be_meant_are_named() {
        let authority = Authority::new();
        let (certificate, key) = authority.sign("client");
        let secure = RedisConfig::new("rediss://localhost:1");
        for config in [
            RedisConfig::new("redis://localhost:1").with_tls_ca_file(&authority.file),
            secure.clone().with_tls_ca_file("/no/such/file"),
            secure.clone().with_tls_ca_file(&key),
            secure.clone().with_tls_certificate(&key, &certificate),
            secure.with_tls_certificate(&certificate, "/no/such/file"),
        ] {
            let error = RedisPublisher::connect(&config, STREAM).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error:?}");
        }
    }
}
