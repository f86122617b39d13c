//! What is wrong with a file or its place is one clear error each, by the real thing.

use std::io::{Seek, SeekFrom, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::{self, event, wait_until};
use events_core::{ErrorKind, EventAdmin as _, EventPublisher as _, StartFrom};
use events_sqlite::{SqliteAdmin, SqliteConfig, SqlitePublisher};
use rusqlite::Connection;

const STREAM: &str = "files";

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn opening(path: &Path) -> Result<(), ErrorKind> {
    let opened = SqlitePublisher::open(&SqliteConfig::new(path), STREAM).await;
    opened.map(drop).map_err(|error| error.kind())
}

/// Publishes `count` events one by one, closes, and waits until the file is whole and nobody has it open.
fn publish_and_let_go(path: &Path, count: usize) {
    runtime().block_on(async {
        let publisher = SqlitePublisher::open(&SqliteConfig::new(path), STREAM).await.unwrap();
        for number in 0..count {
            assert!(publisher.publish_batch(&[event(&number.to_string())]).await.unwrap().is_complete());
        }
        publisher.close().await.unwrap();
    });
    // SQLite removes the log when the last connection closes, which happens in the background.
    let log = PathBuf::from(format!("{}-wal", path.display()));
    wait_until("the file is closed", || !log.exists());
}

#[tokio::test]
async fn a_place_where_no_file_can_be_is_a_wrong_setting() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "x").unwrap();
    for path in
        [directory.path().join("missing/events.db"), file.join("events.db"), directory.path().to_owned()]
    {
        assert_eq!(opening(&path).await, Err(ErrorKind::InvalidConfig), "{}", path.display());
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.txt");
    let text = "not a database\n".repeat(1_000);
    std::fs::write(&path, &text).unwrap();
    assert_eq!(opening(&path).await, Err(ErrorKind::InvalidConfig));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn the_database_of_another_program_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("other.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    let before = std::fs::read(&path).unwrap();
    assert_eq!(opening(&path).await, Err(ErrorKind::InvalidConfig));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_file_of_a_newer_schema_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    publish_and_let_go(&path, 1);
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 1_000).unwrap();
    assert_eq!(runtime().block_on(opening(&path)), Err(ErrorKind::InvalidConfig));
}

#[test]
fn a_damaged_file_is_an_error_of_the_backend() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    publish_and_let_go(&path, 100);
    let length = std::fs::metadata(&path).unwrap().len();
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    // The first page, which says what the file is, stays.
    file.seek(SeekFrom::Start(4_096)).unwrap();
    file.write_all(&vec![0xA5; usize::try_from(length).unwrap() - 4_096]).unwrap();
    drop(file);
    let failed = runtime().block_on(async {
        let publisher = SqlitePublisher::open(&SqliteConfig::new(&path), STREAM).await?;
        publisher.publish_batch(&[event("x")]).await?.into_ids()
    });
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Backend);
}

/// The directory holds `locked`, where nothing can be written, and in it an existing database.
pub(crate) async fn without_rights(directory: &Path) {
    let locked = directory.join("locked");
    for name in ["new.db", "events.db"] {
        assert_eq!(opening(&locked.join(name)).await, Err(ErrorKind::PermissionDenied), "{name}");
    }
}

#[test]
#[cfg(unix)]
fn a_directory_that_cannot_be_written_is_a_missing_right() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::os::unix::process::CommandExt as _;

    let directory = tempfile::tempdir().unwrap();
    let locked = directory.path().join("locked");
    std::fs::create_dir(&locked).unwrap();
    publish_and_let_go(&locked.join("events.db"), 1);
    // A copy of this program where everyone can reach it: root may write anywhere, so somebody else has to try.
    let program = directory.path().join("program");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    for (path, mode) in
        [(directory.path(), 0o755), (&program, 0o755), (&locked.join("events.db"), 0o444), (&locked, 0o555)]
    {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let mut command = support::command(&program, "without rights", directory.path());
    if std::fs::metadata(&locked).unwrap().uid() == 0 {
        command.uid(65_534).gid(65_534);
    }
    let output = command.output().unwrap();
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Fills the disk it is on, makes room, and checks that nothing accepted is gone.
pub(crate) async fn on_a_small_disk(directory: &Path) {
    let reserve = directory.join("reserve");
    std::fs::write(&reserve, vec![0; 1024 * 1024]).unwrap();
    let config = SqliteConfig::new(directory.join("events.db"));
    let publisher = SqlitePublisher::open(&config, STREAM).await.unwrap();
    let filler = [event(&"x".repeat(20_000))];
    let mut accepted = 0;
    let full = loop {
        match publisher.publish_batch(&filler).await.unwrap().into_ids() {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), ErrorKind::Full, "{full:?}");
    assert!(full.is_transient());
    assert!(accepted > 10, "only {accepted} events fit on the disk");
    std::fs::remove_file(&reserve).unwrap();
    assert!(publisher.publish_batch(&[event("after")]).await.unwrap().is_complete());
    let admin = SqliteAdmin::open(&config, STREAM).await.unwrap();
    let all = NonZeroUsize::new(accepted + 2).unwrap();
    let records = admin.read(&StartFrom::Earliest, all, Duration::ZERO).await.unwrap();
    assert_eq!(records.len(), accepted + 1);
    let file = Connection::open(&config.path).unwrap();
    let integrity: String = file.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(integrity, "ok");
    std::io::stdout().write_all(b"played\n").unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_full_until_there_is_room_again() {
    let directory = tempfile::tempdir().unwrap();
    let program = std::env::current_exe().unwrap();
    let play = support::command(&program, "on a small disk", directory.path());
    // A disk of a few megabytes in a mount namespace of its own: root may have one, others inside a user namespace.
    for namespace in ["-m", "-rm"] {
        let mount = "mount -t tmpfs -o size=4m tmpfs \"$0\" && echo mounted && exec \"$@\"";
        let mut command = std::process::Command::new("unshare");
        command
            .args([namespace, "sh", "-c", mount])
            .arg(directory.path())
            .arg(&program)
            .args(play.get_args());
        command.envs(play.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let Ok(output) = command.output() else { continue };
        let said = String::from_utf8_lossy(&output.stdout);
        if said.contains("mounted") {
            assert!(output.status.success() && said.contains("played"), "{said}");
            return;
        }
    }
    println!("this machine grants no mount; `writer.rs` shows the same with a limited number of pages");
}
