//! Wakes the reading thread: by a bell inside the process, by a file notification when another process writes.

#[cfg(target_os = "linux")]
pub(crate) use linux::Bell;
#[cfg(not(target_os = "linux"))]
pub(crate) use portable::Bell;

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::OsString;
    use std::mem::MaybeUninit;
    use std::os::fd::OwnedFd;
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
    use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

    /// Rung from any thread, awaited by one.
    #[derive(Debug)]
    pub(crate) struct Bell {
        own: OwnedFd,
        /// Notifications of the write-ahead log; `None` where the system grants no more of them, and then polling has to do.
        files: Option<OwnedFd>,
        log: PathBuf,
        awaited: AtomicBool,
    }

    impl Bell {
        pub(crate) fn new(database: &Path) -> std::io::Result<Self> {
            let mut log = OsString::from(database);
            log.push("-wal");
            Ok(Self {
                own: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
                files: inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok(),
                log: log.into(),
                awaited: AtomicBool::new(false),
            })
        }

        /// A bell on a system that grants no notifications.
        #[cfg(test)]
        pub(crate) fn without_notifications(database: &Path) -> Self {
            Self { files: None, ..Self::new(database).unwrap() }
        }

        pub(crate) fn ring(&self) {
            // It can only fail by being rung more often than fits into 64 bits without anybody listening.
            rustix::io::write(&self.own, &1u64.to_ne_bytes()).ok();
        }

        /// Rings if somebody waits for news of the database.
        pub(crate) fn ring_if_awaited(&self) {
            if self.awaited.load(Ordering::SeqCst) {
                self.ring();
            }
        }

        /// Says whether somebody waits for news of the database.
        pub(crate) fn set_awaited(&self, awaited: bool) {
            self.awaited.store(awaited, Ordering::SeqCst);
            if let (true, Some(files)) = (awaited, &self.files) {
                // By path, which opens nothing. Watching again what is watched already changes nothing; it has to be done
                // again because the log may have been deleted and made anew.
                inotify::add_watch(files, &self.log, WatchFlags::MODIFY).ok();
            }
        }

        /// Waits until the bell is rung, a process writes while somebody waits for that, or the time is over; says whether
        /// it was for a process that writes.
        pub(crate) fn wait(&self, timeout: Option<Duration>) -> bool {
            let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
            let mut sources = vec![PollFd::new(&self.own, PollFlags::IN)];
            let files = self.files.as_ref().filter(|_| self.awaited.load(Ordering::SeqCst));
            sources.extend(files.map(|files| PollFd::new(files, PollFlags::IN)));
            // An interrupted wait is over early, which is harmless.
            poll(&mut sources, timeout.as_ref()).ok();
            rustix::io::read(&self.own, &mut [0; 8]).ok();
            let mut notified = false;
            if let Some(files) = files {
                let mut buffer = [MaybeUninit::uninit(); 4096];
                let mut events = inotify::Reader::new(files, &mut buffer);
                while events.next().is_ok() {
                    notified = true;
                }
            }
            notified
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod portable {
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Condvar, Mutex, PoisonError};
    use std::time::Duration;

    /// Rung from any thread, awaited by one; of other processes only polling tells.
    #[derive(Debug, Default)]
    pub(crate) struct Bell {
        rung: Mutex<bool>,
        changed: Condvar,
        awaited: AtomicBool,
    }

    impl Bell {
        pub(crate) fn new(_: &Path) -> std::io::Result<Self> {
            Ok(Self::default())
        }

        /// This one has no notifications anyway.
        #[cfg(test)]
        pub(crate) fn without_notifications(database: &Path) -> Self {
            Self::new(database).unwrap()
        }

        pub(crate) fn ring(&self) {
            *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
            self.changed.notify_one();
        }

        /// Rings if somebody waits for news of the database.
        pub(crate) fn ring_if_awaited(&self) {
            if self.awaited.load(Ordering::SeqCst) {
                self.ring();
            }
        }

        /// Says whether somebody waits for news of the database.
        pub(crate) fn set_awaited(&self, awaited: bool) {
            self.awaited.store(awaited, Ordering::SeqCst);
        }

        /// Waits until the bell is rung or the time is over; nothing here tells when another process writes.
        pub(crate) fn wait(&self, timeout: Option<Duration>) -> bool {
            let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
            let mut rung = match timeout {
                Some(timeout) => {
                    let waited = self.changed.wait_timeout_while(rung, timeout, |rung| !*rung);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait_while(rung, |rung| !*rung).unwrap_or_else(PoisonError::into_inner),
            };
            *rung = false;
            false
        }
    }
}
