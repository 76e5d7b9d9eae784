//! The peer's threads that stand for this process's.
//!
//! Knows `proxy.capnp`, and the order in which calls run on a thread; nothing of methods or values, nor
//! of this process's threads. `own_threads` is the other direction.

use std::sync::Arc;

use capnp::any_pointer;
use capnp::traits::HasTypeId;

use super::super::convert::from_capnp;
use super::super::event_loop::waiter::ConnectionId;
use super::super::rpc::{Ask, Cap, Caps, Import, Param, Request, Response, Target, find, supply};
use super::super::sync::{Mutex, lock};
use super::super::wire::proxy_capnp::{context, thread_map};
use super::names::{NAME_LENGTH, cut};
use super::on_demand::{Demand, OnDemand};
use super::slots::{CallSlot, SlotOwner, Slots};
use crate::error::{Error, Result};

/// The number of idle threads of the peer that are kept for async calls. To make one takes as long as
/// several calls, so a program with many calls in flight gets its threads back; those that a burst made
/// beyond this number are released.
const IDLE_THREADS: usize = 64;

/// The number of `ThreadMap.makeThread` (`mp/proxy.capnp`).
const MAKE_THREAD: u16 = 0;
/// Names the thread that the first call of a batch makes: its only result.
pub const MADE: Param = Param::First(0);

/// The [`Param::Later`] numbers of a call's thread and of the thread for its callbacks.
const THREAD: usize = 0;
const CALLBACK: usize = 1;

/// Writes the context of a call. [`PeerThread::supply`] fills in later which threads it names.
pub fn write_context(caps: &mut Caps<Param>, mut builder: context::Builder<'_>) {
    use capnp::capability::FromClientHook;
    let mut later = |number| FromClientHook::new(caps.add(Param::Later(number)));
    builder.set_thread(later(THREAD));
    builder.set_callback_thread(FromClientHook::new(caps.add(Param::Later(CALLBACK))));
}

/// A thread of the peer together with the thread of this process that it stands for.
///
/// The first call that needs the thread is sent together with the call that makes it. Later calls wait
/// until the peer has answered that.
///
/// Calls of the same depth run on it one after the other: two at once would crash a Core 30.0 node and
/// be refused by 30.1. A deeper call, from inside a callback, is sent at once: the peer's thread is
/// waiting for it.
pub struct PeerThread {
    /// The peer's thread, or the error of making it.
    thread: OnDemand<Box<Recipe>, Result<Cap>>,
    callback: Cap,
    slots: Slots,
    destroying: Mutex<Destroying>,
}

/// The call that makes a thread, and the thread map that it is made on.
struct Recipe {
    map: Arc<Import>,
    request: Request,
}

/// The peer's thread that waits for a request that this process executes, as the target of its
/// callbacks.
pub struct Callback {
    thread: Cap,
    executes: Cap,
    made: Option<Arc<PeerThread>>,
}

impl Callback {
    /// Makes a callback target: the peer's `thread` waits, and `executes` is this process's thread that
    /// executes the request.
    pub fn new(thread: Cap, executes: Cap) -> Self {
        Self {
            thread,
            executes,
            made: None,
        }
    }

    /// Returns the peer's thread. It is the same for all calls of one request.
    pub fn thread(&mut self) -> &Arc<PeerThread> {
        let make = || PeerThread::new(self.thread.clone(), self.executes.clone());
        self.made.get_or_insert_with(make)
    }

    /// Returns the peer's thread, if the request has called back.
    pub fn into_made(self) -> Option<Arc<PeerThread>> {
        self.made
    }
}

/// The way that a call about to be sent names a thread of the peer.
pub enum Thread {
    /// The handle of the thread, or the error of making it.
    Known(Result<Cap>),
    /// The call that makes the thread: it must be the first of the batch, and the thread is named by
    /// [`MADE`].
    ToBeMade(Ask),
    /// The thread is being made: wait with [`PeerThread::once_made`].
    Asked,
}

/// The pending `destroy` calls that a request made.
#[derive(Default)]
struct Destroying {
    count: usize,
    /// A closure that runs when none is left.
    then: Option<Box<dyn FnOnce() + Send>>,
}

impl SlotOwner for PeerThread {
    fn slots(&self) -> &Slots {
        &self.slots
    }
}

/// A pending `destroy`, until this is dropped.
pub struct Destroys(Arc<PeerThread>);

impl Drop for Destroys {
    fn drop(&mut self) {
        let mut destroying = lock(&self.0.destroying);
        destroying.count -= 1;
        let then = match destroying.count {
            0 => destroying.then.take(),
            _ => None,
        };
        drop(destroying);
        if let Some(then) = then {
            then();
        }
    }
}

impl PeerThread {
    /// Makes a peer thread from the handle `thread`, for this process's thread that the peer knows as
    /// `callback`.
    pub fn new(thread: Cap, callback: Cap) -> Arc<Self> {
        Self::with(OnDemand::made(Ok(thread)), callback)
    }

    /// Makes a peer thread that the peer makes with its thread map `map` when it is first needed, for
    /// this process's thread `callback` of this name.
    ///
    /// # Errors
    /// Fails when the request cannot be written.
    pub fn to_be_made(map: Arc<Import>, name: &str, callback: Cap) -> Result<Arc<Self>> {
        let request = Request::new(
            thread_map::Client::TYPE_ID,
            MAKE_THREAD,
            |_, params: any_pointer::Builder<'_>| {
                let mut params = params.init_as::<thread_map::make_thread_params::Builder<'_>>();
                params.set_name(cut(name, NAME_LENGTH));
                Ok(())
            },
        )?;
        Ok(Self::with(
            OnDemand::new(Box::new(Recipe { map, request })),
            callback,
        ))
    }

    fn with(thread: OnDemand<Box<Recipe>, Result<Cap>>, callback: Cap) -> Arc<Self> {
        Arc::new(Self {
            thread,
            callback,
            slots: Slots::default(),
            destroying: Mutex::default(),
        })
    }

    /// Returns how a call that is about to be sent names this thread. The caller must send the call of
    /// [`Thread::ToBeMade`].
    pub fn thread(self: &Arc<Self>) -> Thread {
        match self.thread.demand() {
            Demand::Made(thread) => Thread::Known(thread.clone()),
            Demand::ToBeMade(recipe) => {
                let Recipe { map, request } = *recipe;
                let this = self.clone();
                Thread::ToBeMade(Ask {
                    target: Target::Import(map),
                    request,
                    done: Box::new(move |answer| {
                        this.thread
                            .set(answer.and_then(|answer| thread_of(&answer)));
                    }),
                })
            }
            Demand::UnderWay => Thread::Asked,
        }
    }

    /// Runs `then` once the peer has answered the call that makes the thread: now, if no answer is
    /// pending. `then` must not block.
    pub fn once_made(&self, then: impl FnOnce() + Send + 'static) {
        self.thread.once_made(then);
    }

    /// Returns the error of making the thread, if it failed.
    pub fn failure(&self) -> Option<Error> {
        self.thread.get()?.as_ref().err().cloned()
    }

    /// Takes the slot of this depth, if it is free.
    pub fn try_take_slot(self: &Arc<Self>, depth: usize) -> Option<CallSlot> {
        CallSlot::try_take(self, depth)
    }

    /// Runs `then` with the slot of this depth once all calls that asked for it before are done: now,
    /// if it is free. `then` must not block.
    pub fn take_slot(self: &Arc<Self>, depth: usize, then: impl FnOnce(CallSlot) + Send + 'static) {
        CallSlot::take_in_order(self, depth, then);
    }

    /// Fills in the threads that a call names: this one of the peer, and the one for its callbacks.
    pub fn supply(&self, request: &mut Request, thread: Param) {
        supply(request, THREAD, thread);
        supply(request, CALLBACK, Param::Cap(self.callback.clone()));
    }

    /// Counts a `destroy` as pending until the returned guard is dropped.
    pub fn destroys(self: &Arc<Self>) -> Destroys {
        lock(&self.destroying).count += 1;
        Destroys(self.clone())
    }

    /// Runs `then` once no `destroy` is pending any more. Returns it unrun when none is pending now.
    pub fn destroyed<F: FnOnce() + Send + 'static>(&self, then: F) -> Option<F> {
        let mut destroying = lock(&self.destroying);
        if destroying.count == 0 {
            return Some(then);
        }
        destroying.then = Some(Box::new(then));
        None
    }
}

/// The threads of one peer, over one connection.
pub struct PeerThreads {
    /// Identifies the connection.
    pub connection: ConnectionId,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// The threads that stand for threads of this process.
    standing: Vec<Arc<PeerThread>>,
    /// The idle threads for calls that no thread of this process waits for.
    idle: Vec<Arc<PeerThread>>,
    /// Set once the connection has ended; nothing is kept from then on.
    ended: bool,
}

impl PeerThreads {
    /// Makes an empty set of threads of one connection.
    pub fn new(connection: ConnectionId) -> Arc<Self> {
        Arc::new(Self {
            connection,
            kept: Mutex::default(),
        })
    }

    /// Keeps a thread that stands for one of this process, unless the connection has ended.
    pub fn keep(&self, thread: &Arc<PeerThread>) {
        let mut kept = lock(&self.kept);
        if !kept.ended {
            kept.standing.push(thread.clone());
        }
    }

    /// Releases a thread that stands for one of this process: that one has ended, or gave up a call
    /// that the peer's thread still runs. A pending call keeps the thread until it is answered, since
    /// Core fails a call whose thread handle is dropped meanwhile.
    pub fn forget(&self, thread: &Arc<PeerThread>) {
        let mut kept = lock(&self.kept);
        let found = kept
            .standing
            .iter()
            .position(|kept| Arc::ptr_eq(kept, thread));
        let forgotten = found.map(|index| kept.standing.swap_remove(index));
        drop(kept);
        drop(forgotten);
    }

    /// Takes an idle thread for one call, or the one that `make` returns.
    ///
    /// # Errors
    /// Returns the errors of `make`.
    pub fn borrow(
        self: &Arc<Self>,
        make: impl FnOnce() -> Result<Arc<PeerThread>>,
    ) -> Result<Borrowed> {
        let idle = lock(&self.kept).idle.pop();
        let thread = match idle {
            Some(thread) => thread,
            None => make()?,
        };
        Ok(Borrowed {
            thread,
            from: self.clone(),
        })
    }

    /// Releases all of them. From now on none is kept.
    pub fn end(&self) {
        let mut kept = lock(&self.kept);
        let ended = Kept {
            ended: true,
            ..Kept::default()
        };
        let before = std::mem::replace(&mut *kept, ended);
        drop(kept);
        drop(before);
    }
}

/// A thread of the peer that is taken for one call, and becomes idle when this is dropped.
pub struct Borrowed {
    /// The thread.
    pub thread: Arc<PeerThread>,
    from: Arc<PeerThreads>,
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if self.thread.failure().is_some() {
            return;
        }
        let mut kept = lock(&self.from.kept);
        if kept.idle.len() < IDLE_THREADS && !kept.ended {
            kept.idle.push(self.thread.clone());
        }
    }
}

/// Reads the thread from the answer to `makeThread`.
fn thread_of(answer: &Response) -> Result<Cap> {
    let found = answer.read(|results| {
        use capnp::capability::FromClientHook;
        let results = results.get_as::<thread_map::make_thread_results::Reader<'_>>()?;
        let thread = results.get_result()?;
        Ok(find(answer.caps(), thread.as_client_hook()).cloned())
    });
    found
        .and_then(|found| found)
        .map_err(from_capnp)?
        .ok_or_else(|| Error::failed("the peer's ThreadMap.makeThread answered no thread"))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::super::rpc::{Host, Incoming};
    use super::*;

    struct Nothing;

    impl Host for Nothing {
        fn call(self: Arc<Self>, _: Incoming) {}
    }

    /// A connection may end while one object's `destroy` is under way and those of many wait.
    #[test]
    fn as_many_slots_as_there_are_are_dropped_at_once() {
        const SLOTS: usize = 100_000;
        let cap = || Cap::Own(Arc::new(Nothing));
        let thread = PeerThread::new(cap(), cap());
        let first = thread.try_take_slot(0).unwrap();
        let ended = Arc::new(AtomicUsize::new(0));
        for number in 0..SLOTS {
            let ended = ended.clone();
            thread.take_slot(0, move |slot| {
                assert_eq!(ended.fetch_add(1, Ordering::SeqCst), number);
                drop(slot);
            });
        }
        drop(first);
        assert_eq!(ended.load(Ordering::SeqCst), SLOTS);
        assert!(thread.try_take_slot(0).is_some());
    }
}
