//! `RedisHarness`: the suite's view of this backend, with a server of the case's own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use events_core::wire::RawMessage;
use events_core::{ConsumerOptions, EventAdmin, EventConsumer, EventPublisher, MessageId, async_trait};
use events_redis::{RedisAdmin, RedisConfig, RedisConsumer, RedisPublisher};
use events_testkit::{Fault, Harness};
use test_servers::{RedisServer, Reply, ServerGeneration};

/// A server of the case's own, whose data outlive its process.
#[derive(Debug)]
pub(crate) struct RedisHarness {
    server: Mutex<RedisServer>,
    config: RedisConfig,
}

impl RedisHarness {
    pub(crate) fn start(generation: ServerGeneration) -> Self {
        // Written before it is answered, but not forced to the disk: cases kill the process, not the machine, and a
        // busy disk must not cost them their leases.
        let durable = ["--appendonly", "yes", "--appendfsync", "no"];
        let server = RedisServer::builder().with_generation(generation).with_arguments(durable).start();
        let server = server.expect("a Redis server");
        let config = RedisConfig::new(server.url());
        Self { server: Mutex::new(server), config }
    }

    fn server(&self) -> MutexGuard<'_, RedisServer> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn command(&self, words: &[&str]) -> Reply {
        self.server().command(words).unwrap_or_else(|error| panic!("{words:?}: {error:#}"))
    }
}

#[async_trait]
impl Harness for RedisHarness {
    async fn publisher(&self, stream: &str) -> Arc<dyn EventPublisher> {
        Arc::new(RedisPublisher::connect(&self.config, stream).await.expect("a publisher"))
    }

    async fn consumer(&self, stream: &str, options: ConsumerOptions) -> Box<dyn EventConsumer> {
        Box::new(RedisConsumer::connect(&self.config, stream, options).await.expect("a consumer"))
    }

    async fn admin(&self, stream: &str) -> Arc<dyn EventAdmin> {
        let admin = RedisAdmin::connect(&self.config, stream).await.expect("an admin");
        Arc::new(admin.with_lease(self.lease()))
    }

    fn lease(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn advance(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn publish_raw(&self, stream: &str, message: RawMessage) -> MessageId {
        // Through the client's own protocol, since fields may be any bytes.
        let mut command = vec![b"XADD".to_vec(), stream.into(), b"*".to_vec()];
        for (name, value) in message.fields {
            command.extend([name, value]);
        }
        let reply = crate::raw::command(self.server().port(), &command);
        MessageId::from(reply.trim())
    }

    async fn cause(&self, fault: Fault<'_>) -> bool {
        match fault {
            Fault::RemoveEvent { stream, id } => drop(self.command(&["XDEL", stream, id.as_str()])),
            Fault::DeleteGroup { stream, group } => drop(self.command(&["XGROUP", "DESTROY", stream, group])),
            Fault::DeleteStream { stream } => drop(self.command(&["DEL", stream])),
            Fault::Flush => drop(self.command(&["FLUSHALL"])),
            Fault::RestartBroker => {
                let mut server = self.server();
                server.kill().expect("the server is killed");
                server.restart().expect("the server starts again");
            }
            Fault::CutConnections => drop(self.command(&["CLIENT", "KILL", "TYPE", "normal"])),
            Fault::Freeze => self.server().freeze().expect("the server is frozen"),
            Fault::Thaw => self.server().thaw().expect("the server continues"),
            _ => return false,
        }
        true
    }

    async fn strand(&self, stream: &str, options: ConsumerOptions) {
        // The group first, as a consumer would make it; then a read nobody looks at.
        self.consumer(stream, options.clone()).await.close().await.expect("a consumer closes");
        let claim = ["XAUTOCLAIM", stream, options.group(), "stranded", "1000", "0", "COUNT", "10000"];
        let read =
            ["XREADGROUP", "GROUP", options.group(), "stranded", "COUNT", "10000", "STREAMS", stream, ">"];
        self.command(&claim);
        self.command(&read);
    }

    async fn reap(&self, stream: &str, group: &str) -> bool {
        // A member in a hurry, which reads nothing. It has looked when it has removed a name that was made for it to find.
        let config = self.config.clone();
        let config =
            config.with_reap_after(Some(Duration::ZERO)).with_upkeep_interval(Duration::from_millis(5));
        let options = ConsumerOptions::new(group).with_lease(Duration::from_millis(1));
        let mut member = RedisConsumer::connect(&config, stream, options).await.expect("a consumer");
        self.command(&["XGROUP", "CREATECONSUMER", stream, group, "gone"]);
        let is_there = || {
            let names = self.command(&["XINFO", "CONSUMERS", stream, group]);
            let names = names.array().unwrap_or_default().iter();
            names.filter_map(|consumer| consumer.array()?.get(1)?.text()).any(|name| name == "gone")
        };
        crate::support::eventually("a name is removed", || !is_there()).await;
        member.close().await.expect("a consumer closes");
        true
    }

    async fn consumer_names(&self, stream: &str, group: &str) -> Option<usize> {
        self.command(&["XINFO", "CONSUMERS", stream, group]).array().map(<[Reply]>::len)
    }
}
