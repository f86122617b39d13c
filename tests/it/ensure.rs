//! `events ensure`: what a configuration names is there afterwards, and everything works with it.

use std::process::Command;

use events_system_tests::{Running, events, sink};
use test_servers::{AwsEmulator, AwsEmulatorKind};

use crate::broker::{GROUP, STREAM, line, sqlite, tally};

fn lines(mut command: Command, arguments: &[&str]) -> Vec<String> {
    command.args(arguments);
    Running::start(command).unwrap().finish().unwrap().success().unwrap()
}

#[test]
fn makes_queue_dead_letters_topic_and_subscription_once() {
    let emulator = AwsEmulator::start(AwsEmulatorKind::Ministack).unwrap();
    let queue = format!("{}/000000000000/audit", emulator.url());
    let topic = "sns:arn:aws:sns:us-east-1:000000000000:events";
    let ensure = || {
        let mut command = events("ensure", topic, STREAM).unwrap();
        command.env("EVENTS__AWS__QUEUE_URL", &queue);
        command
    };
    let planned = lines(ensure(), &["--dry-run", "--max-deliveries", "3"]);
    let steps = [
        "create the queue audit-dead",
        "create the queue audit",
        "send what audit has delivered 4 times to audit-dead",
        "create the topic events",
        "allow the topic events to send to audit",
        "subscribe audit to events, with raw delivery",
    ];
    assert_eq!(planned, steps.map(|step| format!("would {step}")));
    let done = lines(ensure(), &["--max-deliveries", "3"]);
    assert_eq!(done, steps.map(|step| format!("done: {step}")), "the plan changed nothing");
    assert_eq!(lines(ensure(), &["--max-deliveries", "3"]), ["nothing to do"]);
    assert_eq!(
        lines(ensure(), &["--max-deliveries", "3", "--lease", "90s", "--dry-run"]),
        ["would set the visibility timeout of audit to 90s"]
    );

    let mut producer = events("publish", topic, STREAM).unwrap();
    producer.env("AWS_ENDPOINT_URL", emulator.url());
    let input: String = (0..25).map(|n| line(n) + "\n").collect();
    Running::start_with_input(producer, input).unwrap().finish().unwrap().success().unwrap();
    let printed = lines(sink(&format!("sqs:{queue}"), STREAM, GROUP).unwrap(), &["--drain"]);
    assert_eq!(tally(&printed).into_keys().collect::<Vec<_>>(), (0..25).collect::<Vec<_>>());
}

#[test]
fn has_nothing_to_do_where_a_backend_makes_what_it_needs() {
    let (_directory, url) = sqlite();
    assert_eq!(lines(events("ensure", &url, STREAM).unwrap(), &[]), ["nothing to do"]);
}

#[test]
fn refuses_a_queue_of_another_account() {
    let emulator = AwsEmulator::start(AwsEmulatorKind::Ministack).unwrap();
    let url = format!("sqs:{}/210987654321/audit", emulator.url());
    let finished = Running::start(events("ensure", &url, STREAM).unwrap()).unwrap().finish().unwrap();
    assert_eq!(finished.status.code(), Some(2), "{}", finished.errors);
    assert!(finished.errors.contains("210987654321"), "{}", finished.errors);
}
