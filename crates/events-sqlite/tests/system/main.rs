//! The backend with real processes, real files and a real full disk.

#![expect(clippy::unwrap_used, reason = "a part that cannot be played fails its test")]

mod files;
mod processes;
mod support;

/// What the processes do that the tests start; does nothing in the one that runs the tests.
#[test]
#[ignore = "a part for the processes the other tests start"]
fn play() {
    let Some((part, directory)) = support::part() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        match part.as_str() {
            "publish" => processes::publish(&directory).await,
            "consume" => processes::consume(&directory).await,
            "echo" => processes::echo(&directory).await,
            "without rights" => files::without_rights(&directory).await,
            "on a small disk" => files::on_a_small_disk(&directory).await,
            other => panic!("no part {other}"),
        }
    });
}
