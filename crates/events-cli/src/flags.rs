//! The command line.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use events_core::StartFrom;
use events_core::wire::Encoding;
use events_terminal::{ConnectionArgs, EncodingParser, FilterArgs, Format, parse_count, parse_duration};

use crate::bench::Bench;
use crate::dlq::Dlq;
use crate::groups::Groups;
use crate::manual::{Completions, Man};
use crate::pending::Pending;
use crate::replay::Replay;
use crate::trim::Trim;

const AFTER_HELP: &str = "\
Settings come from the file given with --config, then from the environment (EVENTS_URL, EVENTS_STREAM_KEY, and EVENTS__A__B for
the key `a.b`), then from flags. EVENTS_LOG or RUST_LOG chooses what is logged.

Exit codes:
  0    done
  1    something failed; of `publish`: at least one event is not published
  2    the command line or the configuration is wrong, or what must be confirmed was not; nothing was done
  3    the backend does not offer this; nothing was done
  130  a second Ctrl-C       143  a second SIGTERM";

/// Publishes events and looks at streams, on Redis, in a file, or wherever a URL leads.
#[derive(Debug, Parser)]
#[command(name = "events", version, after_help = AFTER_HELP)]
pub(crate) struct Flags {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Publish one event given by flags, or many from standard input, one JSON object a line
    Publish(Box<Publish>),
    /// Print events as they are published, or from an earlier place on; takes part in no group
    Tail(Tail),
    /// Read a stretch of a stream's history again: to the terminal, or into another stream, on any backend
    Replay(Box<Replay>),
    /// Show how far each consumer group is
    Groups(Groups),
    /// Show which consumers hold events they have not settled
    Pending(Pending),
    /// Look at dead letters, give them back, or delete them
    #[command(subcommand)]
    Dlq(Dlq),
    /// Remove history that no group needs any more
    Trim(Trim),
    /// Print an AsyncAPI 3.0 document about the events of services, from the catalogues they store
    Asyncapi(Asyncapi),
    /// Measure how fast a broker takes and gives events, on a stream of its own
    Bench(Bench),
    /// Print what makes a shell complete the words of this program
    Completions(Completions),
    /// Print the manual page, or write one for every verb
    Man(Man),
    /// Make what the broker must have before anybody can publish or consume: queues and topics of AWS
    Ensure(Ensure),
}

const PUBLISH_HELP: &str = "\
Without --type, events are read from standard input, one JSON object a line:
  {\"event_type\": \"slack.join\", \"source\": \"slack\", \"payload\": {\"user\": \"alice\"}}
Further keys: version, timestamp, id, headers. What is left out takes its default: 1, now, a new UUID, none.
A line that is no event is reported with its number, and the others are published, in order.

Examples:
  events publish --type slack.join --source slack --payload '{\"user\": \"alice\"}'
  event-log-sink --format json --drain | events publish --url redis://other-host --foreign";

/// What to publish.
#[derive(Args, Debug)]
#[command(args_override_self = true, after_help = PUBLISH_HELP)]
pub(crate) struct Publish {
    /// Take any event type that is not empty, as other systems choose them
    #[arg(long)]
    pub(crate) foreign: bool,

    /// Print the id the broker gave to each event, instead of how many were published
    #[arg(long)]
    pub(crate) ids: bool,

    /// How the events are written [default: as configured, else adr018]
    #[arg(long, value_name = "NAME", value_parser = EncodingParser)]
    pub(crate) encoding: Option<Encoding>,

    /// How long to try while the broker is away or full
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "30s")]
    pub(crate) timeout: Duration,

    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,

    #[command(flatten)]
    pub(crate) event: EventFlags,
}

/// One event.
#[derive(Args, Debug)]
#[command(next_help_heading = "Event")]
pub(crate) struct EventFlags {
    /// What happened, such as `slack-usergroups.update_users`
    #[arg(long = "type", value_name = "TYPE", requires = "source")]
    pub(crate) event_type: Option<String>,

    /// The system it happened in
    #[arg(long, value_name = "NAME", requires = "event_type")]
    pub(crate) source: Option<String>,

    /// A JSON object, kept as it is spelled [default: {}]
    #[arg(long, value_name = "JSON", requires = "event_type")]
    pub(crate) payload: Option<String>,

    /// A header; may be repeated
    #[arg(long = "header", value_name = "NAME=VALUE", requires = "event_type", value_parser = header)]
    pub(crate) headers: Vec<(String, String)>,

    /// The version of the payload's schema [default: 1]
    #[arg(long = "version", id = "schema_version", value_name = "N", requires = "event_type")]
    pub(crate) version: Option<u64>,

    /// The event's own id [default: a new UUID]
    #[arg(long, value_name = "ID", requires = "event_type")]
    pub(crate) id: Option<String>,

    /// When it happened, such as 2026-02-10T12:00:00Z [default: now]
    #[arg(long, value_name = "TIME", requires = "event_type")]
    pub(crate) timestamp: Option<String>,
}

/// What to describe.
#[derive(Args, Debug)]
pub(crate) struct Asyncapi {
    /// Catalogues: JSON lists of events with what is done with them and their schemas, as `events-schema` writes them
    #[arg(required = true, value_name = "FILE")]
    pub(crate) catalogs: Vec<PathBuf>,

    /// The title of the document
    #[arg(long, default_value = "events")]
    pub(crate) title: String,

    /// The version of the document
    #[arg(long, value_name = "VERSION", default_value = "1.0.0")]
    pub(crate) document_version: String,

    /// How it is written
    #[arg(long, value_enum, default_value_t = DocumentFormat::Yaml)]
    pub(crate) format: DocumentFormat,

    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

/// How a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DocumentFormat {
    /// in blocks, for reading
    Yaml,
    /// indented
    Json,
}

/// What to look at.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Tail {
    /// Where to begin: `earliest`, `latest`, the id of the event to begin after, or a time such as 2026-02-10T12:00:00Z
    #[arg(long, value_name = "WHERE", default_value = "latest")]
    pub(crate) from: StartFrom,

    /// End at the newest event instead of waiting for more
    #[arg(long)]
    pub(crate) no_follow: bool,

    /// End after this many printed events
    #[arg(long, value_name = "N", value_parser = parse_count::<NonZeroUsize>)]
    pub(crate) limit: Option<NonZeroUsize>,

    /// Print only events in this encoding, and say which others there are [default: `expected_encoding`, else all]
    #[arg(long, value_name = "NAME", value_parser = EncodingParser)]
    pub(crate) encoding: Option<Encoding>,

    /// How events are printed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,

    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,

    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

const ENSURE_HELP: &str = "\
Everything comes from the configuration the service runs with; what is there and right is left as it is, and running it twice does
nothing more. On AWS that is the queue, its dead-letter queue (`<queue>-dead` unless one is named), the redrive policy, and with a
topic the subscription with raw delivery and the queue policy it needs. Other backends make what they need on first use.

Examples:
  events ensure --url sqs:https://sqs.eu-west-1.amazonaws.com/123456789012/audit --dry-run
  EVENTS__AWS__QUEUE_URL=https://sqs.eu-west-1.amazonaws.com/123456789012/audit \\
    events ensure --url sns:arn:aws:sns:eu-west-1:123456789012:events";

/// What to make sure of.
#[derive(Args, Debug)]
#[command(args_override_self = true, after_help = ENSURE_HELP)]
pub(crate) struct Ensure {
    /// Print what would be done, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// How long an event stays hidden from the rest of its group, such as `30s`
    #[arg(long, value_name = "DURATION")]
    pub(crate) lease: Option<String>,

    /// How often an event is tried before it becomes a dead letter [default: 5]
    #[arg(long, value_name = "N", value_parser = parse_count::<NonZeroU32>)]
    pub(crate) max_deliveries: Option<NonZeroU32>,

    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

fn header(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("a header is given as name=value")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Flags::command().debug_assert();
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for bad in [
            &["publish", "--type=a.b"][..],
            &["publish", "--source=s"],
            &["publish", "--payload={}"],
            &["publish", "--type=a.b", "--source=s", "--header=x"],
            &["publish", "--type=a.b", "--source=s", "--version=-1"],
            &["publish", "--timeout=5"],
            &["tail", "--limit=0"],
            &["tail", "--type=[a"],
            &["tail", "--format=xml"],
            &["replay", "--from=latest"],
            &["replay", "--to=earliest"],
            &["groups", "--watch=5"],
            &["dlq"],
            &["dlq", "list", "--reason=tired"],
            &["dlq", "purge", "--yes", "--confirm=3"],
            &["dlq", "purge", "--yes", "--dry-run"],
            &["trim", "--max-age=7", "--max-events=1"],
            &["trim", "--max-events=1", "--yes"],
            &["bench", "--count=0"],
            &["completions", "nosh"],
            &["ensure", "--max-deliveries=0"],
            &["nonsense"],
            &[],
        ] {
            let arguments = [&["events"], bad].concat();
            assert_eq!(Flags::try_parse_from(arguments).expect_err("refused").exit_code(), 2, "{bad:?}");
        }
    }

    #[test]
    fn an_event_needs_a_type_and_a_source_and_no_more() {
        let flags = Flags::try_parse_from(["events", "publish", "--type=a.b", "--source=s"]).unwrap();
        let Verb::Publish(publish) = flags.verb else { panic!("{flags:?}") };
        assert_eq!(publish.event.event_type.as_deref(), Some("a.b"));
        assert_eq!(publish.timeout, Duration::from_secs(30));
    }
}
