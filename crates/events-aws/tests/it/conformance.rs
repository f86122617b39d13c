//! Runs the conformance suite on both emulators.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::MessageAttributeValue;
use events_aws::{AwsConfig, AwsPublisher, SqsAdmin, SqsConsumer};
use events_core::wire::RawMessage;
use events_core::{ConsumerOptions, EventAdmin, EventConsumer, EventPublisher, MessageId, async_trait};
use events_testkit::{Fault, Harness};
use test_servers::AwsEmulatorKind;

use crate::emulator::{Account, shared};

/// A queue and its dead-letter queue per stream, published to directly.
#[derive(Debug)]
struct SqsHarness {
    account: Account,
    kind: AwsEmulatorKind,
    lease: Duration,
}

impl SqsHarness {
    fn start(kind: AwsEmulatorKind) -> Self {
        let lease = match kind {
            AwsEmulatorKind::Ministack => Duration::from_secs(6),
            AwsEmulatorKind::Moto => Duration::from_secs(10),
        };
        Self { account: Account::at(&shared(kind).url()), kind, lease }
    }

    async fn config(&self, stream: &str) -> AwsConfig {
        let mut config = AwsConfig::queue(self.account.queue(stream, self.lease).await);
        if self.kind == AwsEmulatorKind::Moto {
            // Its threads give one message to two calls that come at the same time, and it takes seconds under load.
            config.concurrency = NonZeroUsize::MIN;
            config.call_timeout = Duration::from_secs(60);
            config.publish_timeout = Duration::from_secs(120);
        }
        config.dead_letter_queue_url = Some(self.account.queue(&format!("{stream}-dead"), self.lease).await);
        config
    }
}

#[async_trait]
impl Harness for SqsHarness {
    async fn publisher(&self, stream: &str) -> Arc<dyn EventPublisher> {
        let config = self.config(stream).await;
        Arc::new(AwsPublisher::new(self.account.clients(&config), &config).expect("a publisher opens"))
    }

    async fn consumer(&self, stream: &str, options: ConsumerOptions) -> Box<dyn EventConsumer> {
        let config = self.config(stream).await;
        let consumer = SqsConsumer::new(self.account.clients(&config), &config, options).await;
        Box::new(consumer.expect("a consumer opens"))
    }

    async fn admin(&self, stream: &str) -> Arc<dyn EventAdmin> {
        let config = self.config(stream).await;
        Arc::new(SqsAdmin::new(self.account.clients(&config), &config).await.expect("an admin opens"))
    }

    fn lease(&self) -> Duration {
        self.lease
    }

    async fn advance(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn publish_raw(&self, stream: &str, message: RawMessage) -> MessageId {
        let url = self.config(stream).await.queue_url.expect("a queue is configured");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("a queue takes text only");
        let body = message.body().expect("a message has a body");
        let mut call = self.account.sqs.send_message().queue_url(url).message_body(text(body));
        for (name, value) in message.fields.iter().filter(|(name, _)| name != b"event") {
            let value =
                MessageAttributeValue::builder().data_type("String").string_value(text(value)).build();
            call = call.message_attributes(text(name), value.expect("the attribute is whole"));
        }
        call.send().await.expect("the message is taken").message_id.expect("it has an id").into()
    }

    fn can_hold(&self, message: &RawMessage) -> bool {
        // What FastStream sends is in a field of another name, and a message of SQS has but one body.
        let body = message.fields.iter().find(|(name, _)| name == b"event");
        body.is_some_and(|(_, body)| std::str::from_utf8(body).is_ok())
    }

    async fn cause(&self, _: Fault<'_>) -> bool {
        false
    }

    fn not_shown(&self) -> &[(u8, &'static str)] {
        &[
            (5, "a queue is one group: groups of their own are queues of their own"),
            (7, "a queue keeps no history"),
            (8, "a standard queue has no order; FIFO queues have a test of their own"),
            (34, "nothing trims a queue but the end of its retention"),
            (35, "a queue that was deleted is made again by whoever made it, never by a consumer"),
            (36, "no emulator keeps its queues when it is killed; restarts have a test of their own"),
            (37, "calls have time limits of their own; a frozen emulator has a test of its own"),
            (39, "a queue keeps no names of consumers"),
            (62, "a queue keeps no history that could be trimmed"),
            (63, "a queue is one group and tells nothing about it"),
        ]
    }
}

mod ministack {
    use super::{AwsEmulatorKind, SqsHarness};

    events_testkit::conformance_suite!(SqsHarness::start(AwsEmulatorKind::Ministack));
}

mod moto {
    use super::{AwsEmulatorKind, SqsHarness};

    /// Makes tests of the cases moto can show. It is without those that need hundreds of messages in time (33, 36, 45, 54,
    /// 55, 60 and 65), since it takes milliseconds for each message a queue holds, at every call.
    macro_rules! cases {
        ($($number:literal $section:ident::$case:ident;)*) => {
            $(#[test]
            fn $case() {
                let harness = async || SqsHarness::start(AwsEmulatorKind::Moto);
                events_testkit::run($number, harness, events_testkit::$section::$case);
            })*
        };
    }

    cases! {
        1 basics::keeps_every_field;
        2 basics::keeps_odd_text_and_headers;
        3 basics::takes_the_largest_event_and_refuses_one_byte_more;
        4 basics::keeps_streams_apart;
        5 basics::gives_every_group_everything;
        6 basics::shares_a_group_between_consumers;
        7 replay::starts_a_late_group_where_told;
        7 replay::reads_history_from_any_position;
        7 replay::peeks_without_taking;
        8 basics::keeps_the_order_for_one_consumer;
        9 basics::serves_twenty_streams_at_once;
        10 settling::acknowledging_removes;
        11 settling::redelivers_after_nack;
        12 settling::hides_for_the_delay_of_nack_after;
        13 settling::settling_late_is_harmless;
        15 settling::redelivers_a_dropped_delivery;
        16 settling::acknowledges_only_what_is_named;
        17 settling::one_failing_ack_leaves_the_others;
        20 failure::dead_letters_after_max_deliveries;
        20 failure::keeps_the_last_error_of_a_dead_process;
        21 failure::dead_letters_when_the_process_dies_each_time;
        22 failure::loses_nothing_on_the_way_to_the_dead_letters;
        23 failure::redrives_with_attempts_from_one;
        24 failure::quarantines_the_undecodable_raw;
        25 failure::quarantines_the_undecodable_when_reclaiming;
        26 failure::delivers_a_newer_version;
        30 recovery::gives_what_a_dead_holder_had_to_another;
        31 recovery::keeps_what_is_extended;
        32 recovery::keeps_what_is_prefetched;
        34 recovery::clears_what_was_trimmed_while_pending;
        35 recovery::outlives_group_stream_and_data;
        39 recovery::reaps_dead_consumers_that_own_nothing;
        50 stopping::finishes_what_is_in_flight;
        51 stopping::gives_back_what_was_prefetched;
        52 stopping::dead_letters_nothing_on_shutdown;
        53 stopping::closes_at_any_moment;
        56 stopping::loses_nothing_when_a_receive_is_dropped;
        62 trimming::trims_only_what_nobody_needs;
        63 bounds::tells_the_truth_about_groups;
        64 bounds::carries_trace_context;
    }
}
