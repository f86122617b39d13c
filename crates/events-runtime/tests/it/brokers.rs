//! The backends the rules are tested on. Another one is a type here and a line in `on_every_broker`.

use std::sync::Arc;

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

/// A standard queue of the emulator the tests share, and its dead-letter queue.
pub(crate) struct Sqs(Queue);

impl Sqs {
    pub(crate) fn start() -> Self {
        Self(Queue::new(unique("runtime")))
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
        false
    }

    fn many(&self) -> u64 {
        400
    }
}

/// Makes a test of each rule on each broker. What comes after `but sqs` is not for a standard queue, which has no order and
/// counts what is given back.
macro_rules! on_every_broker {
    ($($rule:ident),* $(,)?; but sqs: $($other:ident),+ $(,)?) => {
        $crate::brokers::on_every_broker! { @broker memory Memory; $($rule,)* $($other),+ }
        $crate::brokers::on_every_broker! { @broker sqlite Sqlite; $($rule,)* $($other),+ }
        $crate::brokers::on_every_broker! { @broker redis Redis; $($rule,)* $($other),+ }
        $crate::brokers::on_every_broker! { @broker sqs Sqs; $($rule),* }
    };
    ($($rule:ident),+ $(,)?) => {
        $crate::brokers::on_every_broker! { @broker memory Memory; $($rule),+ }
        $crate::brokers::on_every_broker! { @broker sqlite Sqlite; $($rule),+ }
        $crate::brokers::on_every_broker! { @broker redis Redis; $($rule),+ }
        $crate::brokers::on_every_broker! { @broker sqs Sqs; $($rule),+ }
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
