//! Processes of our own: a test starts the program it is in once more, to play a part.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use events_core::Event;

/// How long a test waits for what must happen; it guards against hanging and measures nothing.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Tells a process which part it plays.
const PART: &str = "EVENTS_SQLITE_TEST_PART";
/// Tells a process where the files of its test are.
const DIRECTORY: &str = "EVENTS_SQLITE_TEST_DIRECTORY";

/// The part this process plays and the directory it does so in; none in the process that runs the tests.
pub(crate) fn part() -> Option<(String, PathBuf)> {
    Some((std::env::var(PART).ok()?, std::env::var_os(DIRECTORY)?.into()))
}

/// The command that starts this program again, to run only its test `play`.
pub(crate) fn command(program: &Path, part: &str, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(["--exact", "play", "--ignored", "--nocapture"]).env(PART, part).env(DIRECTORY, directory);
    command
}

/// A process that is killed when its test ends, however it ends.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(part: &str, directory: &Path) -> Self {
        let program = std::env::current_exe().unwrap();
        Self(command(&program, part, directory).stdout(Stdio::null()).spawn().unwrap())
    }

    /// SIGKILL: nothing in it gets to run any more.
    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    pub(crate) fn assert_running(&mut self) {
        assert_eq!(self.0.try_wait().unwrap(), None, "a process ended by itself");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Waits until `condition` holds; panics after [`DEADLINE`].
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "{what}: not after {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// An event that carries a text to tell it by.
pub(crate) fn event(name: &str) -> Event {
    Event::new("test.named", "test", serde_json::json!({ "name": name })).unwrap()
}

/// The text of an event made by [`event`].
pub(crate) fn name(event: &Event) -> String {
    let payload: serde_json::Value = event.payload_as().unwrap();
    payload["name"].as_str().unwrap().to_owned()
}
