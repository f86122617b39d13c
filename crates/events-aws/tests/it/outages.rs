//! A service that refuses for a while: what a consumer says about it.

use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use events_aws::AwsConfig;
use events_core::EventConsumer;
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::emulator::Account;
use crate::scripted::Scripted;

/// What was logged.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn lines_with(&self, words: &str) -> usize {
        let bytes = self.0.lock().expect("nobody panicked").clone();
        String::from_utf8_lossy(&bytes).lines().filter(|line| line.contains(words)).count()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panicked").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn what_keeps_failing_is_said_once_and_so_is_its_end() {
    for (code, status) in [
        ("ExpiredTokenException", 403),
        ("AccessDeniedException", 403),
        ("RequestThrottled", 400),
        ("QueueDoesNotExist", 400),
        ("ServiceUnavailable", 503),
    ] {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone()).finish();
        let _said_here = tracing::subscriber::set_default(subscriber);
        let mut refusals = 4;
        let service = Scripted::start(move |operation, _| match operation {
            "receivemessage" if refusals > 0 => {
                refusals -= 1;
                (status, json!({"__type": format!("com.amazonaws.sqs#{code}"), "message": "as told"}))
            }
            _ => (200, json!({})),
        })
        .await;
        let account = Account::at(&service.url());
        let mut consumer = account.consumer(&AwsConfig::queue(format!("{}/1/q", service.url()))).await;
        for _ in 0..4 {
            consumer.receive(NonZeroUsize::MIN, Duration::ZERO).await.expect_err("the service refuses");
        }
        assert_eq!((log.lines_with("WARN"), log.lines_with("receiving fails")), (1, 1), "{code}: {log:?}");
        assert_eq!(log.lines_with(code), 1, "in the service's own words");
        consumer.receive(NonZeroUsize::MIN, Duration::ZERO).await.expect("the service answers");
        assert_eq!(log.lines_with("receiving works again"), 1, "{code}");
    }
}
