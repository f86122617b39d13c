//! Creating what is missing, and only when asked to.

use std::time::Duration;

use events_aws::{AwsConfig, Setup, SqsAdmin, SqsConsumer, Step};
use events_core::{ConsumerOptions, ErrorKind, EventAdmin, EventConsumer, EventPublisherExt};
use serde_json::{Value, json};
use test_servers::AwsEmulatorKind;

use crate::emulator::{Account, numbered, receive, shared, unique};
use crate::scripted::Scripted;

async fn creates_what_is_missing_once(kind: AwsEmulatorKind) {
    let account = Account::at(&shared(kind).url());
    let clients = account.clients(&AwsConfig::default());
    let name = unique("setup");
    let setup = Setup::queue(&name)
        .with_topic(format!("{name}-topic"))
        .with_dead_letter_queue(format!("{name}-dead"))
        .with_lease(Duration::from_secs(45))
        .with_max_deliveries(3);

    let plan = setup.plan(&clients).await.expect("planning works");
    assert_eq!((plan.queue_url, plan.topic_arn), (None, None), "a plan makes nothing");
    let ensured = setup.ensure(&clients).await.expect("it is set up");
    assert_eq!(ensured.steps, plan.steps, "what is done is what was planned");
    let again = setup.ensure(&clients).await.expect("it is set up");
    assert_eq!(again.steps, [], "the second time there is nothing to do");
    assert_eq!(again.queue_url, ensured.queue_url);
    let changed = setup.with_lease(Duration::from_secs(50)).plan(&clients).await.expect("planning works");
    assert_eq!(changed.steps.len(), 1);

    // It works: from the topic to the queue, and from there to its own dead-letter queue.
    let queue = AwsConfig::queue(ensured.queue_url.expect("there is a queue"));
    let topic = AwsConfig::topic(ensured.topic_arn.expect("there is a topic"));
    account.publisher(&topic).publish(&numbered("s", 1)).await.expect("publishing works");
    let mut consumer = account.consumer(&queue).await;
    let delivery = receive(&mut consumer, 1).await.remove(0);
    delivery.reject("not today").await.expect("rejecting works");
    let admin = SqsAdmin::new(account.clients(&queue), &queue).await.expect("an admin opens");
    let letters = admin.dead_letters(None, 10.try_into().expect("ten")).await.expect("listing works");
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].detail.as_deref(), Some("not today"));
}

#[tokio::test]
async fn creates_what_is_missing_once_on_ministack() {
    creates_what_is_missing_once(AwsEmulatorKind::Ministack).await;
}

#[tokio::test]
async fn creates_what_is_missing_once_on_moto() {
    creates_what_is_missing_once(AwsEmulatorKind::Moto).await;
}

/// What a service is configured with is what is made: no name is given twice.
async fn what_a_configuration_names_is_made_once(kind: AwsEmulatorKind) {
    let account = Account::at(&shared(kind).url());
    let name = unique("named");
    // The account of the emulator, which it tells by any queue.
    let other = account.queue(&unique("other"), Duration::from_secs(30)).await;
    let url = format!("{}/{name}", other.rsplit_once('/').expect("a URL has a path").0);
    let account_id = url.rsplit('/').nth(1).expect("a URL names an account");
    let mut config = AwsConfig::queue(&url);
    config.topic_arn = Some(format!("arn:aws:sns:us-east-1:{account_id}:{name}-topic"));
    let clients = account.clients(&config);
    let setup = Setup::of(&config).expect("the configuration names something");
    let plan = setup.plan(&clients).await.expect("planning works");
    let ensured = setup.ensure(&clients).await.expect("it is set up");
    assert_eq!((&ensured.steps, ensured.steps.len()), (&plan.steps, 6));
    assert_eq!(ensured.topic_arn, config.topic_arn);
    let dead = ensured.dead_letter_queue_url.expect("there is a dead-letter queue");
    assert!(dead.ends_with(&format!("/{name}-dead")), "{dead}");
    assert_eq!(setup.ensure(&clients).await.expect("it is set up").steps, []);
    // Without a lease of the configuration the queue keeps its own, and dead letters that go elsewhere keep going there.
    let elsewhere = Setup::queue(&name).with_dead_letter_queue(format!("{name}-elsewhere"));
    elsewhere.with_lease(Duration::from_secs(33)).ensure(&clients).await.expect("it is set up");
    let steps = setup.ensure(&clients).await.expect("it is set up").steps;
    // Moto forgets the policy of a queue whose other attributes are set.
    let left_alone = |step: &Step| kind == AwsEmulatorKind::Moto && matches!(step, Step::AllowTopic { .. });
    assert!(steps.iter().all(left_alone), "{steps:?}");
    let consumer = SqsConsumer::new(clients.clone(), &config, ConsumerOptions::new("g")).await;
    assert!(consumer.expect("a consumer opens").capabilities().dead_letters);

    let elsewhere = AwsConfig::queue(url.replace(account_id, "210987654321"));
    let refused = Setup::of(&elsewhere).expect("it names a queue").plan(&clients).await;
    assert_eq!(refused.expect_err("it is another queue").kind(), ErrorKind::InvalidConfig);
}

#[tokio::test]
async fn what_a_configuration_names_is_made_once_on_ministack() {
    what_a_configuration_names_is_made_once(AwsEmulatorKind::Ministack).await;
}

#[tokio::test]
async fn what_a_configuration_names_is_made_once_on_moto() {
    what_a_configuration_names_is_made_once(AwsEmulatorKind::Moto).await;
}

#[tokio::test]
async fn a_consumer_of_a_missing_queue_says_so_and_makes_none() {
    let emulator = shared(AwsEmulatorKind::Ministack);
    let account = Account::at(&emulator.url());
    let config = AwsConfig::queue(format!("{}/000000000000/{}", emulator.url(), unique("missing")));
    for _ in 0..2 {
        let refused = SqsConsumer::new(account.clients(&config), &config, ConsumerOptions::new("g")).await;
        assert_eq!(refused.expect_err("there is no queue").kind(), ErrorKind::NotFound);
        let refused = account.publisher(&config).publish(&numbered("s", 1)).await;
        assert_eq!(refused.expect_err("there is no queue").kind(), ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn names_that_do_not_go_together_are_refused() {
    let account = Account::at(&shared(AwsEmulatorKind::Ministack).url());
    let clients = account.clients(&AwsConfig::default());
    for setup in [
        Setup::queue("a.fifo").with_topic("b"),
        Setup::queue("a.fifo").with_dead_letter_queue("b"),
        Setup::queue("a").with_dead_letter_queue("b.fifo"),
        Setup::queue("a").with_lease(Duration::ZERO),
    ] {
        assert_eq!(setup.ensure(&clients).await.unwrap_err().kind(), ErrorKind::InvalidConfig);
    }
}

/// A service of the account 111111111111 that has nothing yet, creates what it is asked to, and sets no attributes.
async fn creates_and_sets_nothing() -> Scripted {
    let url = |name: &Value| format!("http://h/111111111111/{}", name.as_str().expect("a name"));
    let missing = json!({"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "no"});
    let refused = json!({"__type": "com.amazonaws.sqs#AccessDeniedException", "message": "may not"});
    Scripted::start(move |operation, request| match operation {
        "getqueueurl" => (400, missing.clone()),
        "createqueue" => (200, json!({"QueueUrl": url(&request["QueueName"])})),
        "getqueueattributes" => {
            (200, json!({"Attributes": {"QueueArn": "arn:aws:sqs:us-east-1:111111111111:any"}}))
        }
        _ => (403, refused.clone()),
    })
    .await
}

#[tokio::test]
async fn an_error_half_way_says_what_was_done_before_it() {
    let service = creates_and_sets_nothing().await;
    let clients = Account::at(&service.url()).clients(&AwsConfig::default());
    let setup = Setup::queue("q").with_dead_letter_queue("q-dead");
    let error = setup.ensure(&clients).await.expect_err("the redrive policy is refused");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.message().ends_with("create the queue q-dead, create the queue q"), "{error}");
    let cause = std::error::Error::source(&error).expect("it has a cause").to_string();
    assert!(cause.contains("SetQueueAttributes"), "{cause}");
}

/// Of an account without any of it, its first queue tells whose it is.
#[tokio::test]
async fn a_queue_made_in_another_account_than_the_configured_one_is_named() {
    let service = creates_and_sets_nothing().await;
    let clients = Account::at(&service.url()).clients(&AwsConfig::default());
    let setup = Setup::of(&AwsConfig::queue("https://h/222222222222/q")).expect("it names a queue");
    let error = setup.ensure(&clients).await.expect_err("the credentials are those of another account");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.message().ends_with("create the queue q-dead"), "{error}");
}
