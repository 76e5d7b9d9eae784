//! The one thread on which everything of capnp-rpc lives.
//!
//! Knows tasks and futures, and the thread on which objects are destroyed; nothing of connections
//! or messages. What drives it and its streams is `runtime`'s.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::future::{FutureExt, LocalBoxFuture};
use futures::stream::{FuturesUnordered, StreamExt};

use super::connection::Connection;
use super::runtime::Runtime;
use super::sync::lock;
use super::waiter::ConnectionId;
use crate::error::{Error, Result};

/// How often the loop looks for more to do before it lets the runtime look at the other streams.
const ROUNDS: usize = 8;

/// Something to do on the event loop. It must not block.
pub type Task = Box<dyn FnOnce(&Rc<LoopState>) + Send>;

/// The event loop, as other threads see it. The loop ends when the last of these is gone and its
/// connections have closed.
pub struct EventLoop {
    tasks: UnboundedSender<Task>,
    thread: OnceLock<ThreadId>,
    cleanup: mpsc::Sender<Box<dyn FnOnce() + Send>>,
    exe_name: String,
}

/// The event loop, as what runs on it sees it.
pub struct LoopState {
    /// Every connection that is not closed.
    pub connections: RefCell<HashMap<ConnectionId, Rc<Connection>>>,
    spawned: RefCell<Vec<LocalBoxFuture<'static, ()>>>,
    requests: Cell<u64>,
}

impl EventLoop {
    /// Starts the loop's thread and the thread that destroys objects. `exe_name` is what peers
    /// see in thread names.
    ///
    /// # Errors
    /// [`Error::Io`] when the operating system gives no thread.
    pub fn start(exe_name: &str) -> Result<Arc<Self>> {
        let (tasks, receiver) = unbounded();
        let (cleanup, jobs) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
        let this = Arc::new(Self {
            tasks,
            thread: OnceLock::new(),
            cleanup,
            exe_name: exe_name.to_owned(),
        });
        // Objects are destroyed in the order in which they were let go of: one thread, one queue.
        spawn_thread("b-ipc-cleanup", move || {
            for job in jobs {
                run_guarded("an object's destructor", job);
            }
        })?;
        let runtime = Runtime::new().map_err(|error| Error::io("start the event loop", error))?;
        let handle = spawn_thread("b-capnp-loop", move || runtime.block_on(run(receiver)))?;
        // The loop compares this with the caller's thread; nobody else can know it earlier.
        let _ = this.thread.set(handle);
        Ok(this)
    }

    /// The name that peers see in thread names.
    pub fn exe_name(&self) -> &str {
        &self.exe_name
    }

    /// Queues `task` for the loop. Never blocks.
    pub fn post(&self, task: impl FnOnce(&Rc<LoopState>) + Send + 'static) {
        // The loop outlives every sender, so this fails only while the process ends.
        let _ = self.tasks.unbounded_send(Box::new(task));
    }

    /// Runs `task` on the loop and waits for its value.
    ///
    /// # Errors
    /// [`Error::Usage`] on the loop's own thread, which would wait for itself.
    pub fn sync<R: Send + 'static>(
        &self,
        task: impl FnOnce(&Rc<LoopState>) -> R + Send + 'static,
    ) -> Result<R> {
        self.check_not_on_loop()?;
        let (sender, receiver) = mpsc::sync_channel(1);
        self.post(move |state| {
            let _ = sender.send(task(state));
        });
        receiver
            .recv()
            .map_err(|_| Error::Disconnected("the event loop has ended".into()))
    }

    /// Fails on the loop's own thread: a blocking call there would wait for itself.
    pub fn check_not_on_loop(&self) -> Result<()> {
        if self.thread.get() == Some(&thread::current().id()) {
            return Err(Error::Usage(
                "a blocking IPC call was made on the event loop's own thread".into(),
            ));
        }
        Ok(())
    }

    /// Runs `job` on the thread that destroys objects, after all that was given to it before.
    pub fn clean_up(&self, job: impl FnOnce() + Send + 'static) {
        let _ = self.cleanup.send(Box::new(job));
    }

    /// Waits until all that was given to [`EventLoop::clean_up`] so far has run.
    pub fn wait_cleaned_up(&self) {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.clean_up(move || {
            let _ = sender.send(());
        });
        let _ = receiver.recv();
    }
}

/// Something of the application's that passes through the event loop. If it ends there, on
/// whatever path, its destructor still does not run there.
pub struct OffLoop<T: Send + 'static> {
    /// There until [`OffLoop::into_inner`], which consumes this.
    value: Option<T>,
    event_loop: Arc<EventLoop>,
}

impl<T: Send + 'static> OffLoop<T> {
    /// `value` on its way through `event_loop`.
    pub fn new(event_loop: &Arc<EventLoop>, value: T) -> Self {
        Self {
            value: Some(value),
            event_loop: event_loop.clone(),
        }
    }

    /// The value, at the end of its way.
    pub fn into_inner(mut self) -> T {
        match self.value.take() {
            Some(value) => value,
            None => unreachable!("only this takes the value"),
        }
    }
}

impl<T: Send + 'static> Deref for OffLoop<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.value {
            Some(value) => value,
            None => unreachable!("only into_inner takes the value"),
        }
    }
}

impl<T: Send + 'static> Drop for OffLoop<T> {
    fn drop(&mut self) {
        if let Some(value) = self.value.take()
            && self.event_loop.check_not_on_loop().is_err()
        {
            self.event_loop.clean_up(move || drop(value));
        }
    }
}

impl LoopState {
    /// Runs `future` on the loop until it is done. If it panics it is done as well: capnp-rpc, which
    /// still has places that do, is called from futures of every connection.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        let guarded = AssertUnwindSafe(future).catch_unwind().map(|ended| {
            if ended.is_err() {
                tracing::error!("a future of the event loop panicked");
            }
        });
        self.spawned.borrow_mut().push(guarded.boxed_local());
    }

    /// The next request's number, as Core counts them in its log.
    pub fn next_request(&self) -> u64 {
        self.requests.set(self.requests.get() + 1);
        self.requests.get()
    }
}

/// The loop's body: runs posted tasks and spawned futures until nobody can post any more and no
/// future is left.
async fn run(mut receiver: UnboundedReceiver<Task>) {
    let state = Rc::new(LoopState {
        connections: RefCell::default(),
        spawned: RefCell::default(),
        requests: Cell::new(0),
    });
    let mut futures = FuturesUnordered::new();
    let mut open = true;
    let alarm = Alarm::new();
    std::future::poll_fn(|outer| {
        let waker = alarm.begin(outer.waker());
        let cx = &mut Context::from_waker(&waker);
        for _ in 0..ROUNDS {
            let mut progress = false;
            while open {
                match receiver.poll_next_unpin(cx) {
                    Poll::Ready(Some(task)) => {
                        progress = true;
                        run_guarded("a task of the event loop", || task(&state));
                        // At once, so that futures are polled in the order of the tasks.
                        futures.extend(state.spawned.take());
                    }
                    Poll::Ready(None) => open = false,
                    Poll::Pending => break,
                }
            }
            for future in state.spawned.take() {
                progress = true;
                futures.push(future);
            }
            while let Poll::Ready(Some(())) = futures.poll_next_unpin(cx) {
                progress = true;
            }
            if !open && futures.is_empty() && state.spawned.borrow().is_empty() {
                return Poll::Ready(());
            }
            // What the futures spawned meanwhile has not been polled, and so wakes nobody.
            if !progress && state.spawned.borrow().is_empty() && alarm.is_over() {
                return Poll::Pending;
            }
        }
        outer.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Wakes the loop, but not while it is at work: it looks again anyway, and to be told by way of
/// the runtime costs a system call each time.
struct Alarm {
    state: AtomicU8,
    outer: Mutex<Option<Waker>>,
}

const ASLEEP: u8 = 0;
const AT_WORK: u8 = 1;
const WOKEN: u8 = 2;

impl Alarm {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            state: AtomicU8::new(ASLEEP),
            outer: Mutex::new(None),
        })
    }

    /// The loop is at work from here on.
    fn begin(self: &Arc<Self>, outer: &Waker) -> Waker {
        match &mut *lock(&self.outer) {
            Some(waker) => waker.clone_from(outer),
            empty => *empty = Some(outer.clone()),
        }
        self.state.swap(AT_WORK, Ordering::SeqCst);
        self.clone().into()
    }

    /// Whether nothing has woken the loop since it looked; it is asleep then.
    fn is_over(&self) -> bool {
        let over = self
            .state
            .compare_exchange(AT_WORK, ASLEEP, Ordering::SeqCst, Ordering::SeqCst);
        if over.is_err() {
            self.state.swap(AT_WORK, Ordering::SeqCst);
        }
        over.is_ok()
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(WOKEN, Ordering::SeqCst) == ASLEEP
            && let Some(outer) = &*lock(&self.outer)
        {
            outer.wake_by_ref();
        }
    }
}

/// Starts a named thread.
///
/// # Errors
/// [`Error::Io`] when the operating system gives no thread.
pub fn spawn_thread(name: &str, body: impl FnOnce() + Send + 'static) -> Result<ThreadId> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map(|handle| handle.thread().id())
        .map_err(|error| Error::io(format!("start the thread {name}"), error))
}

/// Runs what an application wrote; its panic is logged and ends nothing else.
pub fn run_guarded<R>(what: &str, f: impl FnOnce() -> R) -> Option<R> {
    match std::panic::catch_unwind(AssertUnwindSafe(f)) {
        Ok(value) => Some(value),
        Err(_) => {
            tracing::error!("{what} panicked");
            None
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    /// A panic in one call's future ended the thread, and so every connection of the process.
    #[test]
    fn the_loop_outlives_what_panics_on_it() {
        let event_loop = EventLoop::start("test").unwrap();
        event_loop.post(|_| panic!("expected by the test"));
        event_loop.post(|state| state.spawn(async { panic!("expected by the test") }));
        assert_eq!(event_loop.sync(|_| 1).unwrap(), 1);
        // Again, after the future has been polled.
        assert_eq!(event_loop.sync(|_| 2).unwrap(), 2);
    }
}
