//! The thread on which objects are destroyed.
//!
//! Knows jobs and their order; nothing of the loop.

use std::sync::{Arc, mpsc};

use super::super::sync::{Mutex, Rank, lock};
use super::guard::run_guarded;
use super::spawn::start_thread;

type Job = Box<dyn FnOnce() + Send>;

/// The thread that destroys objects: a single one, so that they are destroyed in the order in which
/// they were dropped. It starts with the first job.
pub struct Cleanup {
    sender: mpsc::Sender<Job>,
    receiver: Arc<Mutex<mpsc::Receiver<Job>>>,
    is_running: Mutex<bool>,
}

impl Cleanup {
    /// Makes a cleanup without a thread yet.
    pub fn new() -> Self {
        let (sender, receiver) = mpsc::channel();
        Self {
            sender,
            receiver: Arc::new(Mutex::ranked(Rank::Cleanup, receiver)),
            is_running: Mutex::new(false),
        }
    }

    /// Runs `job` on the thread, after all jobs before it.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) {
        let _ = self.sender.send(Box::new(job));
        self.ensure_running();
    }

    fn ensure_running(&self) {
        let mut is_running = lock(&self.is_running);
        if *is_running {
            return;
        }
        let jobs = self.receiver.clone();
        let started = start_thread("b-ipc-cleanup", move || {
            for job in lock(&jobs).iter() {
                run_guarded("an object's destructor", job);
            }
        });
        match started {
            Ok(()) => *is_running = true,
            // The next job tries again.
            Err(error) => tracing::error!("objects wait to be destroyed: {error}"),
        }
    }

    /// Blocks until all jobs so far have run.
    pub fn wait(&self) {
        if !*lock(&self.is_running) {
            return;
        }
        let (sender, receiver) = mpsc::sync_channel(1);
        self.run(move || {
            let _ = sender.send(());
        });
        let _ = receiver.recv();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn what_is_destroyed_is_waited_for() {
        let cleanup = Cleanup::new();
        cleanup.wait();
        let destroyed = Arc::new(AtomicBool::new(false));
        let told = destroyed.clone();
        cleanup.run(move || told.store(true, Ordering::SeqCst));
        cleanup.wait();
        assert!(destroyed.load(Ordering::SeqCst));
    }
}
