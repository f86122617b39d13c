//! Case 55: opening and closing leaves nothing behind.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::scene::{DEADLINE, Scene, ack, numbered, publish_all, receive_one, within};
use crate::{Harness, Shown};

/// Publishers and consumers together.
const OPENS: usize = 1_000;

/// What may be left: other cases run in the same process, and open files and threads of their own.
const SLACK: usize = OPENS / 4;

/// What a process holds that opening and closing must not add to.
#[derive(Clone, Copy, Debug)]
struct Held {
    tasks: usize,
    /// Files, connections among them; `None` where the system does not tell.
    files: Option<usize>,
    threads: Option<usize>,
}

impl Held {
    fn now() -> Self {
        let count = |directory| std::fs::read_dir(directory).ok().map(Iterator::count);
        Self {
            tasks: Handle::current().metrics().num_alive_tasks(),
            files: count("/proc/self/fd"),
            threads: count("/proc/self/task"),
        }
    }

    fn grew_since(self, before: Self) -> bool {
        let grew = |now: Option<usize>, before: Option<usize>| match (now, before) {
            (Some(now), Some(before)) => now > before + SLACK,
            _ => false,
        };
        // Tasks are counted on this case's own runtime, where nobody else starts any.
        self.tasks > before.tasks + 10 || grew(self.files, before.files) || grew(self.threads, before.threads)
    }
}

/// 55: after a thousand opens and closes there are no more tasks, connections, files, threads or consumer names than before.
pub async fn leaks_nothing(harness: &dyn Harness) -> Shown {
    let scene = Scene::new(harness);
    open_and_close(&scene, 10).await;
    let before = Held::now();
    open_and_close(&scene, OPENS / 2).await;
    // One that is dropped without closing tidies up in the background.
    for _ in 0..50 {
        drop(scene.consumer("g").await);
        drop(scene.publisher().await);
    }
    let end = Instant::now() + DEADLINE;
    loop {
        let (now, names) = (Held::now(), harness.consumer_names(&scene.stream, "closed").await);
        if !now.grew_since(before) && names.is_none_or(|names| names < 10) {
            return Shown::Yes;
        }
        assert!(Instant::now() < end, "after {OPENS} opens {now:?} and {names:?} names, {before:?} before");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn open_and_close(scene: &Scene<'_>, times: usize) {
    for at in 0..times {
        let publisher = scene.publisher().await;
        publish_all(&*publisher, &numbered(at..at + 1)).await;
        let mut consumer = scene.consumer("closed").await;
        ack(vec![receive_one(&mut *consumer).await]).await;
        within(DEADLINE, consumer.close()).await.expect("a consumer closes");
        within(DEADLINE, publisher.close()).await.expect("a publisher closes");
    }
}
