//! The command line.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use events_core::Result;
use events_core::wire::Encoding;
use events_factory::{ConfigLoader, EventsConfig, Settings};
use events_terminal::{
    ConnectionArgs, EncodingParser, FilterArgs, Format, LogFormat, Rotation, parse_count, parse_duration,
    parse_size,
};

use crate::listen;

/// The consumer group where none is configured.
pub(crate) const DEFAULT_GROUP: &str = "event-log-sink";

const AFTER_HELP: &str = "\
Settings come from the file given with --config, then from the environment (EVENTS_URL, EVENTS_STREAM_KEY,
EVENTS_CONSUMER_GROUP, EVENTS_CONSUMER_NAME, EVENTS_ENABLED, and EVENTS__A__B for the key `a.b`), then from these flags.

Events go to standard output, coloured where that is a terminal, or to the file given with --output; NO_COLOR turns colours off
and CLICOLOR_FORCE on. Everything else goes to standard error; EVENTS_LOG or RUST_LOG chooses what (such as `debug`).

Exit codes:
  0    asked to end, closed pipe, --limit reached, or --drain and nothing waiting
  1    something failed, such as a refusal by the broker or a full disk
  2    the command line or the configuration is wrong
  3    the backend does not offer this
  130  a second Ctrl-C       143  a second SIGTERM";

/// Prints the events of a stream. Each is written and flushed before it is acknowledged, so that none is lost.
#[derive(Debug, Parser)]
#[command(version, args_override_self = true, after_help = AFTER_HELP)]
pub(crate) struct Flags {
    /// How events are printed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,

    /// How this program's own log is spelled, on standard error
    #[arg(long, value_enum, default_value_t)]
    pub(crate) log_format: LogFormat,

    /// Serve /livez, /readyz and /metrics at this address; a port alone is one of the loopback address
    #[arg(long, value_name = "ADDRESS", value_parser = listen::address)]
    pub(crate) listen: Option<SocketAddr>,

    /// Print what the group would be given and leave the group exactly as it is; a group that does not exist is not made
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// End once nothing is waiting
    #[arg(long)]
    pub(crate) drain: bool,

    /// End after this many printed events
    #[arg(long, value_name = "N", value_parser = parse_count::<NonZeroUsize>)]
    pub(crate) limit: Option<NonZeroUsize>,

    /// Print the settings and where each comes from, without secrets and without connecting, and end
    #[arg(long)]
    pub(crate) check_config: bool,

    #[command(flatten)]
    pub(crate) destination: Destination,

    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,

    #[command(flatten)]
    pub(crate) filter: FilterArgs,

    #[command(flatten)]
    pub(crate) consuming: Consuming,
}

/// Where events are printed.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Destination")]
pub(crate) struct Destination {
    /// Append to this file instead of printing to standard output; events are acknowledged when the disk has them. SIGHUP
    /// opens the file anew
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Put the file aside, under its name and the time, before it grows over this size, such as `100MB`
    #[arg(long, value_name = "SIZE", value_parser = parse_size, requires = "output")]
    rotate_size: Option<u64>,

    /// Put the file aside when it is so old, such as `1d`, and something is to be printed
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, requires = "output")]
    rotate_every: Option<Duration>,
}

impl Destination {
    pub(crate) fn rotation(&self) -> Rotation {
        Rotation { size: self.rotate_size, every: self.rotate_every }
    }
}

/// How to take part in the group.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Consuming")]
pub(crate) struct Consuming {
    /// The consumer group: each group is given every event [default: event-log-sink]
    #[arg(long, value_name = "GROUP")]
    consumer_group: Option<String>,

    /// This consumer's name within the group [default: unique]
    #[arg(long, value_name = "NAME")]
    consumer_name: Option<String>,

    /// Take only events in this encoding; any other becomes a dead letter [default: each as it is written]
    #[arg(long, value_name = "NAME", value_parser = EncodingParser)]
    encoding: Option<Encoding>,

    /// Where a group that does not exist yet starts: `earliest`, `latest`, the id of the event to start after, or a time
    /// such as 2026-02-10T12:00:00Z [default: earliest]
    #[arg(long, value_name = "WHERE")]
    from: Option<String>,

    /// How many events to take at a time
    #[arg(long, value_name = "N", value_parser = parse_count::<NonZeroUsize>, default_value = "256")]
    pub(crate) batch: NonZeroUsize,

    /// How long an event stays hidden from the rest of the group, such as `30s` [default: 60s]
    #[arg(long, value_name = "DURATION")]
    lease: Option<String>,

    /// How often an event is tried before it becomes a dead letter [default: 5]
    #[arg(long, value_name = "N", value_parser = parse_count::<NonZeroU32>)]
    max_deliveries: Option<NonZeroU32>,
}

impl Flags {
    /// The settings of all layers, with where each comes from.
    pub(crate) fn settings(&self) -> Result<Settings> {
        self.layers(self.connection.loader()).load()
    }

    fn layers(&self, mut loader: ConfigLoader) -> ConfigLoader {
        let Consuming { consumer_group, consumer_name, encoding, from, batch: _, lease, max_deliveries } =
            &self.consuming;
        let encoding = encoding.map(|encoding| encoding.as_str().to_owned());
        let max_deliveries = max_deliveries.map(|number| number.to_string());
        for (key, flag, value) in [
            ("consumer_group", "--consumer-group", consumer_group),
            ("consumer_name", "--consumer-name", consumer_name),
            ("expected_encoding", "--encoding", &encoding),
            ("start_from", "--from", from),
            ("lease", "--lease", lease),
            ("max_deliveries", "--max-deliveries", &max_deliveries),
        ] {
            if let Some(value) = value {
                loader = loader.with_override(key, value, flag);
            }
        }
        loader
    }

    /// The configuration, with this program's own default for the group.
    pub(crate) fn config(&self, settings: &Settings) -> EventsConfig {
        let mut config = settings.config().clone();
        config.consumer_group.get_or_insert_with(|| DEFAULT_GROUP.to_owned());
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn config(arguments: &[&str]) -> Result<EventsConfig> {
        let flags = Flags::try_parse_from([&["event-log-sink"], arguments].concat()).unwrap();
        let settings = flags.layers(ConfigLoader::new()).load()?;
        Ok(flags.config(&settings))
    }

    #[test]
    fn the_command_line_is_sound() {
        Flags::command().debug_assert();
    }

    #[test]
    fn the_group_has_a_default() {
        assert_eq!(config(&[]).unwrap().consumer_group.as_deref(), Some(DEFAULT_GROUP));
        assert_eq!(config(&["--consumer-group", "g"]).unwrap().consumer_group.as_deref(), Some("g"));
    }

    #[test]
    fn flags_become_settings() {
        let config = config(&[
            "--consumer-name=n",
            "--from=latest",
            "--lease=5m",
            "--max-deliveries=2",
            "--batch=7",
            "--encoding=faststream",
        ])
        .unwrap();
        assert_eq!(config.expected_encoding, Some(Encoding::FastStream));
        assert_eq!(config.consumer_name.as_deref(), Some("n"));
        assert_eq!(config.start_from, events_core::StartFrom::Latest);
        assert_eq!(config.lease, Some(Duration::from_secs(300)));
        assert_eq!(config.max_deliveries.get(), 2);
    }

    #[test]
    fn of_a_repeated_flag_the_last_counts_but_globs_add_up() {
        let arguments = ["event-log-sink", "--format=json", "--type=a.*", "--format=logfmt", "--type=b.*"];
        let flags = Flags::try_parse_from(arguments).unwrap();
        assert_eq!(flags.format, Format::Logfmt);
        for event_type in ["a.x", "b.x"] {
            let event = events_core::Event::builder(event_type, "s").build().unwrap();
            assert!(flags.filter.filter().matches(&event), "{event_type}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for bad in [
            &["--limit=0"][..],
            &["--batch=0"],
            &["--type=[a"],
            &["--format=xml"],
            &["--encoding=avro"],
            &["--rotate-size=1MB"],
            &["--output=x", "--rotate-size=x"],
            &["--listen=nowhere"],
            &["--nonsense"],
        ] {
            let arguments = [&["event-log-sink"], bad].concat();
            assert_eq!(Flags::try_parse_from(arguments).expect_err("refused").exit_code(), 2, "{bad:?}");
        }
        let error = config(&["--lease=5"]).expect_err("no unit");
        assert!(error.message().contains("--lease"), "{error}");
    }
}
