//! The backends the rules are tested on. Another one is a type here and a line in `on_every_broker`.

use std::sync::Arc;
use std::time::Duration;

use events_core::{ConsumerOptions, EventAdmin, EventConsumer, EventPublisher, async_trait};
use events_memory::MemoryBroker;
use events_redis::{RedisAdmin, RedisConfig, RedisConsumer, RedisPublisher};
use events_sqlite::{SqliteAdmin, SqliteConfig, SqliteConsumer, SqlitePublisher};
use tempfile::TempDir;
use test_servers::SharedRedis;

use crate::sqs::Queue;
use crate::support::{GROUP, unique};

/// One stream of a broker, under a name of its own.
#[async_trait]
pub(crate) trait Broker: Send + Sync + 'static {
    async fn publisher(&self) -> Arc<dyn EventPublisher>;

    async fn consumer(&self, options: ConsumerOptions) -> Box<dyn EventConsumer>;

    async fn admin(&self) -> Arc<dyn EventAdmin>;

    /// How many events the group has not been given yet, and how many it holds.
    async fn left(&self) -> (u64, u64) {
        let groups = self.admin().await.groups().await.unwrap();
        let group = groups.iter().find(|group| group.name == GROUP).expect("the group exists");
        (group.lag.unwrap_or(0), group.pending)
    }

    /// Whether the stream has an order.
    fn ordered(&self) -> bool {
        true
    }

    /// The shortest lease that stays with its holder on a busy machine.
    fn short_lease(&self) -> Duration {
        Duration::from_millis(900)
    }

    /// Enough events to fill many batches, few enough not to take long.
    fn many(&self) -> u64 {
        5_000
    }
}

pub(crate) struct Memory {
    broker: MemoryBroker,
}

impl Memory {
    pub(crate) fn start() -> Self {
        Self { broker: MemoryBroker::default() }
    }
}

#[async_trait]
impl Broker for Memory {
    async fn publisher(&self) -> Arc<dyn EventPublisher> {
        Arc::new(self.broker.publisher("s"))
    }

    async fn consumer(&self, options: ConsumerOptions) -> Box<dyn EventConsumer> {
        Box::new(self.broker.consumer("s", options).unwrap())
    }

    async fn admin(&self) -> Arc<dyn EventAdmin> {
        Arc::new(self.broker.admin("s"))
    }
}

pub(crate) struct Sqlite {
    config: SqliteConfig,
    _directory: TempDir,
}

impl Sqlite {
    pub(crate) fn start() -> Self {
        let directory = TempDir::new().unwrap();
        Self { config: SqliteConfig::new(directory.path().join("events.db")), _directory: directory }
    }
}

#[async_trait]
impl Broker for Sqlite {
    async fn publisher(&self) -> Arc<dyn EventPublisher> {
        Arc::new(SqlitePublisher::open(&self.config, "s").await.unwrap())
    }

    async fn consumer(&self, options: ConsumerOptions) -> Box<dyn EventConsumer> {
        Box::new(SqliteConsumer::open(&self.config, "s", options).await.unwrap())
    }

    async fn admin(&self) -> Arc<dyn EventAdmin> {
        Arc::new(SqliteAdmin::open(&self.config, "s").await.unwrap())
    }
}

pub(crate) struct Redis {
    config: RedisConfig,
    stream: String,
    _server: SharedRedis,
}

impl Redis {
    pub(crate) fn start() -> Self {
        let server = SharedRedis::shared_or_own().expect("a Redis server");
        Self { config: RedisConfig::new(server.url()), stream: unique("runtime"), _server: server }
    }
}

#[async_trait]
impl Broker for Redis {
    async fn publisher(&self) -> Arc<dyn EventPublisher> {
        Arc::new(RedisPublisher::connect(&self.config, &self.stream).await.unwrap())
    }

    async fn consumer(&self, options: ConsumerOptions) -> Box<dyn EventConsumer> {
        Box::new(RedisConsumer::connect(&self.config, &self.stream, options).await.unwrap())
    }

    async fn admin(&self) -> Arc<dyn EventAdmin> {
        Arc::new(RedisAdmin::connect(&self.config, &self.stream).await.unwrap())
    }
}

/// A queue of the emulator the tests share, and its dead-letter queue.
pub(crate) struct Sqs(Queue);

/// What starts a broker on a standard queue.
pub(crate) struct SqsStandard;

impl SqsStandard {
    pub(crate) fn start() -> Sqs {
        Sqs(Queue::new(unique("runtime")))
    }
}

/// What starts a broker on a FIFO queue; the tests' events are one message group, and so in one order.
pub(crate) struct SqsFifo;

impl SqsFifo {
    pub(crate) fn start() -> Sqs {
        Sqs(Queue::new(format!("{}.fifo", unique("runtime"))))
    }
}

#[async_trait]
impl Broker for Sqs {
    async fn publisher(&self) -> Arc<dyn EventPublisher> {
        Arc::new(self.0.publisher().await)
    }

    async fn consumer(&self, options: ConsumerOptions) -> Box<dyn EventConsumer> {
        Box::new(self.0.consumer(options).await)
    }

    async fn admin(&self) -> Arc<dyn EventAdmin> {
        Arc::new(self.0.admin().await)
    }

    async fn left(&self) -> (u64, u64) {
        self.0.left().await
    }

    fn ordered(&self) -> bool {
        self.0.is_fifo()
    }

    /// In whole seconds, and the emulator may round one of them away.
    fn short_lease(&self) -> Duration {
        Duration::from_secs(2)
    }

    fn many(&self) -> u64 {
        400
    }
}

/// Makes a test of each rule on each broker. What comes after `in order` needs one, which on SQS a FIFO queue has.
macro_rules! on_every_broker {
    ($($rule:ident),* $(,)?; in order: $($other:ident),+ $(,)?) => {
        $crate::brokers::on_every_broker! { @broker memory Memory; $($rule,)* $($other),+ }
        $crate::brokers::on_every_broker! { @broker sqlite Sqlite; $($rule,)* $($other),+ }
        $crate::brokers::on_every_broker! { @broker redis Redis; $($rule,)* $($other),+ }
        $crate::brokers::on_every_broker! { @broker sqs SqsStandard; $($rule),* }
        $crate::brokers::on_every_broker! { @broker sqs_fifo SqsFifo; $($other),+ }
    };
    ($($rule:ident),+ $(,)?) => {
        $crate::brokers::on_every_broker! { @broker memory Memory; $($rule),+ }
        $crate::brokers::on_every_broker! { @broker sqlite Sqlite; $($rule),+ }
        $crate::brokers::on_every_broker! { @broker redis Redis; $($rule),+ }
        $crate::brokers::on_every_broker! { @broker sqs SqsStandard; $($rule),+ }
    };
    (@broker $module:ident $broker:ident; $($rule:ident),*) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $rule() {
                    let broker = $crate::brokers::$broker::start();
                    $crate::support::within_deadline(super::$rule(broker)).await;
                }
            )*
        }
    };
}
pub(crate) use on_every_broker;
