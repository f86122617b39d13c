//! What the pictures show: what was before, and what somebody types then.

use anyhow::Result;

use super::stage::Stage;

/// One picture.
pub(super) struct Scene {
    /// The name of its file, without the extension.
    pub(super) name: &'static str,
    /// How many characters wide its terminal is: what is longer goes on in the next line.
    pub(super) columns: usize,
    /// What happened before it.
    pub(super) before: fn(&Stage) -> Result<()>,
    /// The commands that are shown, with what they print. A shell reads them.
    pub(super) shown: &'static [&'static str],
}

/// Every picture.
pub(super) const SCENES: &[Scene] = &[
    Scene {
        name: "events",
        columns: 100,
        before: |_| Ok(()),
        shown: &[
            "events publish --type slack.join --source slack --payload '{\"user\": \"alice\"}'",
            "events publish --type github.push --source github --payload '{\"branch\": \"main\"}'",
            "event-log-sink --drain",
            "events groups",
        ],
    },
    Scene {
        name: "formats",
        columns: 100,
        before: three_events,
        shown: &[
            "event-log-sink --dry-run --drain",
            "event-log-sink --dry-run --drain --limit 1 --format json",
            "event-log-sink --dry-run --drain --limit 1 --format logfmt",
            "event-log-sink --dry-run --drain --limit 1 --format pretty",
        ],
    },
    Scene {
        name: "tail",
        columns: 100,
        before: three_events,
        shown: &[
            "events tail --from earliest --no-follow",
            "events tail --from earliest --no-follow --type 'slack.*' --format json",
        ],
    },
    Scene {
        name: "groups",
        columns: 100,
        before: somebody_died,
        shown: &["events groups", "events pending", "events pending --events --group mirror"],
    },
    Scene {
        name: "dlq",
        columns: 120,
        before: dead_letters,
        shown: &[
            "events dlq list",
            "events dlq show 2",
            "events dlq redrive --type 'slack.*' --dry-run",
            "events dlq redrive --type 'slack.*' --confirm 2",
        ],
    },
    Scene {
        name: "replay",
        columns: 100,
        before: |stage| {
            three_events(stage)?;
            stage.printed("event-log-sink --consumer-group mirror --limit 2 --batch 1").map(drop)
        },
        shown: &[
            "events replay --from 2026-01-01 --type 'slack.*' --to-url sqlite:copy.db",
            "events replay --url sqlite:copy.db",
            "events trim --max-events 0",
        ],
    },
];

/// Three events, the last with a header.
fn three_events(stage: &Stage) -> Result<()> {
    for (second, event) in [
        (0, "--type slack.join --source slack --payload '{\"user\": \"alice\"}'"),
        (7, "--type github.push --source github --payload '{\"branch\": \"main\"}'"),
        (9, "--type slack.leave --source slack --payload '{\"user\": \"alice\"}'"),
    ] {
        let id = format!("--id 019c476b-5d0{second} --timestamp 2026-02-10T12:00:0{second}Z");
        stage.printed(&format!("events publish --header request=4bf92f35 {event} {id}"))?;
    }
    Ok(())
}

/// One group is done, and in another a consumer was killed with events in its hands.
fn somebody_died(stage: &Stage) -> Result<()> {
    three_events(stage)?;
    more_than_a_pipe_holds(stage)?;
    stage.printed("event-log-sink --drain --output events.log")?;
    let pending = "events pending --format json --group mirror";
    let consumer = ["event-log-sink", "--consumer-group", "mirror", "--consumer-name", "mirror-1"];
    stage.killed_once(&consumer, pending, |printed| printed.contains("\"pending\":4"))?;
    stage.printed("events publish --type slack.join --source slack")?;
    without_milliseconds(stage, "events pending --events")
}

/// Three events with which a consumer died as often as it may.
fn dead_letters(stage: &Stage) -> Result<()> {
    three_events(stage)?;
    more_than_a_pipe_holds(stage)?;
    let consumer =
        ["event-log-sink", "--consumer-group", "billing", "--consumer-name", "billing-1", "--lease", "100ms"];
    stage.killed_once(&consumer, "events pending --format json", |printed| {
        printed.contains("\"pending\":4")
    })?;
    let next = "event-log-sink --consumer-group billing --consumer-name billing-2 --max-deliveries 1 --drain";
    stage.wait_for(&format!("{next} && events dlq list"), |printed| printed.contains("report.ready"))?;
    stage.printed("events dlq purge --type report.ready --yes")?;
    without_milliseconds(stage, "events dlq list")
}

/// An event of which a consumer that prints it where nobody reads cannot let go.
fn more_than_a_pipe_holds(stage: &Stage) -> Result<()> {
    let payload = format!("{{\"text\": \"{}\"}}", "x".repeat(100_000));
    stage
        .printed(&format!("events publish --type report.ready --source reports --payload '{payload}'"))
        .map(drop)
}

/// Ages of less than a second would take more space in a column than those that stand for them.
fn without_milliseconds(stage: &Stage, line: &str) -> Result<()> {
    stage.wait_for(line, |printed| !printed.contains("ms"))
}
