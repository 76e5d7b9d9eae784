//! When what is queued is written, and by whom.
//!
//! Knows the queue, the stream, and who is at work on the loop; nothing of what the messages are.

use std::cell::Cell;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;

use super::super::sync::lock;
use super::link::{Link, Phase};
use super::reason::CloseReason;
use super::tables::Tables;
use super::write::Wrote;

thread_local! {
    /// The address of the link whose messages this thread holds back.
    static HELD: Cell<usize> = const { Cell::new(0) };
}

/// When what was queued while the loop is driven is to be written: with what comes next.
pub(super) const LATER: u8 = 1;
/// The same: someone waits for it.
pub(super) const SOON: u8 = 2;

impl Link {
    /// Lets go of an object of the peer's that it had given so often.
    pub(super) fn let_go(&self, id: u32, given: u64) {
        lock(&self.let_go).push((id, given));
        // It may be dropped anywhere, and so also where this thread has the tables.
        let is_free = self.event_loop.is_driven_here() || self.tables.try_lock().is_ok();
        match is_free {
            true => self.written(LATER),
            false => self.event_loop.write_soon(self.token),
        }
    }

    /// Sees to it that what was queued is written: now, or while this thread drives the loop, at the
    /// end of that; or if it is for [`LATER`], with what comes next.
    pub(super) fn written(&self, when: u8) {
        if self.event_loop.is_driven_here() {
            return self.list(when);
        }
        if HELD.get() == self.address() {
            return;
        }
        // Who is reading at the moment writes before it sleeps. So what several threads send at once
        // goes out together.
        if self.event_loop.is_busy() {
            self.list(SOON);
            // Looked at again, since it may have looked for what is to be written before this was.
            if self.event_loop.is_busy() {
                return;
            }
        }
        self.flush();
    }

    /// Has who drives the loop write.
    fn list(&self, when: u8) {
        if self.listed.fetch_max(when, Ordering::SeqCst) < when {
            self.event_loop.write(self.token, when == SOON);
        }
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Writes nothing that `f` has this thread queue, but with what is queued after it.
    pub(super) fn held<R>(&self, f: impl FnOnce() -> R) -> R {
        /// Ends it, also after a panic.
        struct Ends(usize);
        impl Drop for Ends {
            fn drop(&mut self) {
                HELD.set(self.0);
            }
        }
        let _ends = Ends(HELD.replace(self.address()));
        f()
    }

    /// Writes what is queued, as far as the stream takes it. Where another thread is at that, it
    /// writes this, too.
    pub(super) fn flush(&self) {
        // First, so that who finds itself listed after this has its message written by this.
        self.listed.store(0, Ordering::SeqCst);
        loop {
            let mut tables = lock(&self.tables);
            let let_go = std::mem::take(&mut *lock(&self.let_go));
            if tables.phase == Phase::Over {
                return;
            }
            for (id, given) in let_go {
                tables.release(id, given);
            }
            if tables.writing || tables.blocked {
                let queued = tables.queued;
                drop(tables);
                return self.check_queued(queued);
            }
            if tables.write_error.is_some() || (tables.queue.is_empty() && !tables.unwritten) {
                let ending = tables.phase == Phase::Ending;
                let watched = self.watch_writable(&mut tables, false);
                drop(tables);
                if let Err(reason) = watched {
                    self.kill(reason);
                } else if ending {
                    self.kill(CloseReason::PeerClosed);
                }
                return;
            }
            tables.writing = true;
            let mut output = lock(&self.output);
            output.append(&mut tables.queue);
            drop(tables);
            let mut done = 0;
            let wrote = output.write(&mut Quiet(&self.stream), &mut done);
            drop(output);
            let mut tables = lock(&self.tables);
            tables.writing = false;
            tables.queued = tables.queued.saturating_sub(done);
            if tables.phase == Phase::Over {
                drop(tables);
                lock(&self.output).clear();
                return;
            }
            match wrote {
                Ok(Wrote::All) => tables.unwritten = false,
                Ok(Wrote::Blocked) => {
                    tables.unwritten = true;
                    tables.blocked = true;
                    self.event_loop.expect();
                    let queued = tables.queued;
                    let watched = self.watch_writable(&mut tables, true);
                    drop(tables);
                    return match watched {
                        Ok(()) => self.check_queued(queued),
                        Err(reason) => self.kill(reason),
                    };
                }
                Err(error) => {
                    // Nothing more is written, but there may still be something to read.
                    tables.write_error = Some(format!("writing failed: {error}"));
                    drop(tables);
                    self.event_loop.nudge(self.token);
                }
            }
        }
    }

    /// Ends the connection of a peer that reads too slowly.
    fn check_queued(&self, queued: usize) {
        if queued > self.limits.queued_bytes {
            self.kill(CloseReason::Violation(format!(
                "peer does not read: {queued} bytes queued"
            )));
        }
    }

    /// Watches for room to write, or no longer: under the lock of the tables, so that what is noted
    /// there and what the system was told last are the same.
    fn watch_writable(&self, tables: &mut Tables, writable: bool) -> Result<(), CloseReason> {
        if std::mem::replace(&mut tables.watched, writable) == writable {
            return Ok(());
        }
        let (token, stream) = (self.token, &self.stream);
        let watched = self.event_loop.watch_writable(token, stream, writable);
        watched.map_err(|error| CloseReason::Io(format!("watching the stream: {error}")))
    }

    /// There is room to write again.
    pub(super) fn unblock(&self) {
        let mut tables = lock(&self.tables);
        if !tables.blocked {
            return;
        }
        tables.blocked = false;
        self.event_loop.settle();
        drop(tables);
        self.flush();
    }

    /// The memory, in bytes, of messages that wait to be written.
    #[cfg(test)]
    pub(super) fn queued_bytes(&self) -> usize {
        lock(&self.tables).queued
    }
}

/// A stream that answers a write that nobody reads with an error, and never with a signal.
struct Quiet<'a>(&'a UnixStream);

impl io::Write for Quiet<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    #[cfg(target_os = "linux")]
    fn write_vectored(&mut self, bytes: &[io::IoSlice<'_>]) -> io::Result<usize> {
        use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
        let mut nothing = SendAncillaryBuffer::default();
        Ok(sendmsg(self.0, bytes, &mut nothing, SendFlags::NOSIGNAL)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
