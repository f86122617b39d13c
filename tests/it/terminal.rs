//! What somebody at a terminal sees and types: questions, progress, colours.

use std::process::Command;

use events_system_tests::{CTRL_C, Running, Terminal, command, sink};
use test_servers::RedisServer;

use crate::broker::{GROUP, STREAM, publish, redis, sqlite};

fn verb(url: &str, words: &[&str]) -> Command {
    let mut command = command("events").unwrap();
    command.args(words).args(["--url", url, "--stream-key", STREAM]);
    command
}

/// A server with two dead letters.
fn with_dead_letters() -> RedisServer {
    let redis = redis();
    for body in ["not json", "{}"] {
        redis.command(&["XADD", STREAM, "*", "event", body]).unwrap();
    }
    let mut drain = sink(redis.url(), STREAM, GROUP).unwrap();
    drain.arg("--drain");
    Running::start(drain).unwrap().finish().unwrap().success().unwrap();
    redis
}

#[test]
fn what_deletes_asks_for_the_number_and_takes_no_other() {
    let redis = with_dead_letters();
    let left = || redis.command(&["XLEN", "{system:events}:dlq"]).unwrap().integer();
    for answer in ["3\r", "y\r", "\r", "\u{4}"] {
        let mut terminal = Terminal::start(&verb(redis.url(), &["dlq", "purge", "--all"])).unwrap();
        terminal.wait_for("2 dead letters match; to purge them, type 2: ").unwrap();
        terminal.press(answer).unwrap();
        let (code, screen) = terminal.finish().unwrap();
        assert_eq!((code, left()), (Some(2), Some(2)), "{answer:?}: {screen:?}");
        assert!(screen.contains("nothing was done"), "{screen:?}");
    }
    let mut terminal = Terminal::start(&verb(redis.url(), &["dlq", "redrive", "--all"])).unwrap();
    terminal.wait_for("to redrive them, type 2: ").unwrap();
    terminal.press("2\r").unwrap();
    let (code, screen) = terminal.finish().unwrap();
    assert_eq!((code, left()), (Some(0), Some(0)), "{screen:?}");
    assert!(screen.contains("redriving") && screen.contains("redriven 2 dead letters"), "{screen:?}");
}

#[test]
fn who_publishes_at_a_terminal_is_told_what_to_type() {
    let (_directory, url) = sqlite();
    let mut terminal = Terminal::start(&verb(&url, &["publish"])).unwrap();
    terminal.wait_for("type events, one JSON object a line").unwrap();
    terminal.press("{\"event_type\":\"a.b\",\"source\":\"s\"}\r\u{4}").unwrap();
    let (code, screen) = terminal.finish().unwrap();
    assert_eq!(code, Some(0), "{screen:?}");
    assert!(screen.contains("published 1 event"), "{screen:?}");
    let finished = Running::start_with_input(verb(&url, &["publish"]), "").unwrap().finish().unwrap();
    assert_eq!(finished.errors, "", "a pipe types nothing");
}

#[test]
fn who_is_asked_can_leave_with_one_ctrl_c() {
    let redis = with_dead_letters();
    let mut terminal = Terminal::start(&verb(redis.url(), &["dlq", "purge", "--all"])).unwrap();
    terminal.wait_for("type 2: ").unwrap();
    terminal.press(CTRL_C).unwrap();
    let (code, screen) = terminal.finish().unwrap();
    assert_eq!(code, Some(2), "{screen:?}");
    assert!(screen.contains("nothing was done"), "{screen:?}");
    assert_eq!(redis.command(&["XLEN", "{system:events}:dlq"]).unwrap().integer(), Some(2));
}

#[test]
fn long_work_draws_how_far_it_is_at_a_terminal_and_nowhere_else() {
    let (_directory, url) = sqlite();
    publish(&url, 0, 2_000);
    let (_kept, to) = sqlite();
    let replay = ["replay", "--to-url", &to];
    let finished = Running::start(verb(&url, &replay)).unwrap().finish().unwrap();
    assert_eq!((finished.errors.as_str(), finished.lines), ("", vec!["published 2000 events".to_owned()]));

    let (_further, to) = sqlite();
    let (code, screen) =
        Terminal::start(&verb(&url, &["replay", "--to-url", &to])).unwrap().finish().unwrap();
    assert!(code == Some(0) && screen.contains("replaying"), "{screen:?}");
    assert!(screen.ends_with("published 2000 events\r\n"), "{screen:?}");

    let bench = ["bench", "--count", "3000", "--batch", "10"];
    let finished = Running::start(verb(&url, &bench)).unwrap().finish().unwrap();
    assert_eq!(finished.errors, "", "nothing is drawn where nobody looks");
    let terminal = Terminal::start(&verb(&url, &bench)).unwrap();
    let (code, screen) = terminal.finish().unwrap();
    assert_eq!(code, Some(0), "{screen:?}");
    for drawn in ["publishing", "consuming", "/3,000"] {
        assert!(screen.contains(drawn), "{drawn} in {screen:?}");
    }
    // It is gone before the result is printed: the last line that was drawn over is cleared.
    let table = screen.rsplit("EVENTS/S").next().unwrap();
    assert!(!table.contains("consuming") && table.contains("consume"), "{screen:?}");
}

#[test]
fn long_work_ends_with_one_ctrl_c() {
    let (_directory, url) = sqlite();
    let endless = ["bench", "--count", "100000000", "--batch", "10"];
    let mut terminal = Terminal::start(&verb(&url, &endless)).unwrap();
    terminal.wait_for("publishing").unwrap();
    terminal.press(CTRL_C).unwrap();
    let (code, screen) = terminal.finish().unwrap();
    assert_eq!(code, Some(1), "{screen:?}");
    assert!(screen.contains("asked to end"), "{screen:?}");
}

#[test]
fn a_terminal_has_colours_unless_somebody_wants_none() {
    let redis = redis();
    publish(redis.url(), 0, 1);
    for (group, no_colour) in [("a", None), ("b", Some("1"))] {
        let mut print = sink(redis.url(), STREAM, group).unwrap();
        print.args(["--drain", "--format", "text"]);
        if let Some(value) = no_colour {
            print.env("NO_COLOR", value);
        }
        let (code, screen) = Terminal::start(&print).unwrap().finish().unwrap();
        assert_eq!(code, Some(0), "{screen:?}");
        let wanted = match no_colour {
            None => "\u{1b}[1mslack-usergroups.update_users\u{1b}[0m",
            Some(_) => "type=slack-usergroups.update_users",
        };
        assert!(screen.contains(wanted), "{screen:?}");
        // The log, on the same terminal, is coloured as well.
        assert_eq!(screen.contains("\u{1b}["), no_colour.is_none(), "{screen:?}");
    }
}

#[test]
fn what_is_watched_is_drawn_in_place_until_ctrl_c() {
    let (_directory, url) = sqlite();
    let mut terminal = Terminal::start(&verb(&url, &["groups", "--watch", "50ms"])).unwrap();
    terminal.wait_for(&format!("\u{1b}[H\u{1b}[Jno consumer group reads {STREAM}")).unwrap();
    publish(&url, 0, 1);
    let mut drain = sink(&url, STREAM, GROUP).unwrap();
    drain.arg("--drain");
    Running::start(drain).unwrap().finish().unwrap().success().unwrap();
    terminal.wait_for("OLDEST").unwrap();
    terminal.press(CTRL_C).unwrap();
    assert_eq!(terminal.finish().unwrap().0, Some(0));
}
