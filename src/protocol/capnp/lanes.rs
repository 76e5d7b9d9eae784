//! The peer's threads that stand for this process's.
//!
//! Knows `proxy.capnp`, and which thread a call goes to; nothing of methods or values. `threads` is
//! the other direction.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock};

use capnp::any_pointer;
use capnp::traits::HasTypeId;

use super::connection::Connection;
use super::convert::from_capnp;
use super::event_loop::run_guarded;
use super::generated::wire::proxy_capnp::{context, thread_map};
use super::rpc::{Ask, Cap, Caps, Import, Param, Request, Response, Target, find};
use super::sync::lock;
use super::threads::{NAME_LENGTH, ThreadServer, cut, gone};
use crate::error::{Error, Result};

/// Idle threads of the peer that are kept for async calls. To make one takes as long as some calls,
/// so a program that keeps many calls under way gets as many back; what a burst made beyond that is
/// let go of.
const IDLE_LANES: usize = 64;

/// The number of `ThreadMap.makeThread` (`mp/proxy.capnp`).
const MAKE_THREAD: u16 = 0;
/// The thread that the first call of a batch makes: its only result.
pub const MADE: Param = Param::First(0);

/// The parameters of a call that are known when it is sent: its thread, and the thread of its
/// callbacks.
const THREAD: usize = 0;
const CALLBACK: usize = 1;

/// Writes a call's context, of which the threads are known later.
pub fn write_context(caps: &mut Caps<Param>, mut builder: context::Builder<'_>) {
    use capnp::capability::FromClientHook;
    let mut later = |number| FromClientHook::new(caps.add(Param::Later(number)));
    builder.set_thread(later(THREAD));
    builder.set_callback_thread(FromClientHook::new(caps.add(Param::Later(CALLBACK))));
}

/// A thread of the peer together with the thread of this process that it stands for.
///
/// The peer makes its thread when the first call names it, and is asked for both at once. A call that
/// comes before that is answered waits.
///
/// Calls of the same depth go to it one after the other: two at once would crash a Core 30.0 node
/// and be refused by 30.1. A deeper call, from inside a callback, goes at once, since the peer's
/// thread waits for just that.
pub struct Lane {
    /// The peer's thread, or why there is none, once it is known.
    thread: OnceLock<Result<Cap>>,
    making: Mutex<Making>,
    callback: Cap,
    /// By depth.
    turns: Mutex<Vec<Turns>>,
    destroying: Mutex<Destroying>,
}

/// How far the making of a thread is.
enum Making {
    /// Not asked for: this is the call that does, and what it is made on.
    ToDo(Arc<Import>, Request),
    /// Asked for. This is done once it is answered.
    Asked(Vec<Box<dyn FnOnce() + Send>>),
    Done,
}

/// A thread of the peer's, as a call about to be sent can name it.
pub enum Thread {
    /// By its handle; or it was not made, for this reason.
    Known(Result<Cap>),
    /// By what this answers ([`MADE`]), which is to be the first call of the batch.
    ToBeMade(Ask),
    /// Not yet: only [`Lane::once_made`].
    Asked,
}

#[derive(Default)]
struct Turns {
    taken: bool,
    waiting: VecDeque<Then>,
}

/// What is done when a call's turn has come. It must not block.
type Then = Box<dyn FnOnce(Turn) + Send>;

/// The `destroy`s under way that a request made.
#[derive(Default)]
struct Destroying {
    count: usize,
    /// What is done when none is left.
    then: Option<Box<dyn FnOnce() + Send>>,
}

/// Held while a call is under way on a lane; the next call begins when it is dropped.
pub struct Turn {
    lane: Arc<Lane>,
    depth: usize,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut turns = lock(&self.lane.turns);
        let Some(turns_here) = turns.get_mut(self.depth) else {
            return;
        };
        let next = turns_here.waiting.pop_front();
        turns_here.taken = next.is_some();
        drop(turns);
        if let Some(next) = next {
            let turn = Turn {
                lane: self.lane.clone(),
                depth: self.depth,
            };
            hand_on(next, turn);
        }
    }
}

thread_local! {
    /// The turns that this thread is about to hand on, while it hands one on.
    static HANDED: RefCell<Option<VecDeque<(Then, Turn)>>> = const { RefCell::new(None) };
}

/// Hands a turn on. When a connection has ended each is over at once and handed on in its turn: one
/// after the other, and not one within the other, of which there may be as many as there are objects.
fn hand_on(next: Then, turn: Turn) {
    if HANDED.try_with(|_| ()).is_err() {
        // The thread is ending.
        return next(turn);
    }
    let mut handed = HANDED.with(|handed| match &mut *handed.borrow_mut() {
        Some(waiting) => {
            waiting.push_back((next, turn));
            None
        }
        idle => {
            *idle = Some(VecDeque::new());
            Some((next, turn))
        }
    });
    while let Some((next, turn)) = handed {
        run_guarded("a call whose turn has come", || next(turn));
        handed = HANDED.with_borrow_mut(|handed| {
            let waiting = handed.as_mut()?;
            let next = waiting.pop_front();
            if next.is_none() {
                *handed = None;
            }
            next
        });
    }
}

/// Says that a `destroy` is under way, until it is dropped.
pub struct Destroys(Arc<Lane>);

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

impl Lane {
    /// The peer's `thread` for this process's thread that is known to the peer as `callback`.
    pub fn new(thread: Cap, callback: Cap) -> Arc<Self> {
        Self::with(OnceLock::from(Ok(thread)), Making::Done, callback)
    }

    /// A thread that the peer makes when `request` is sent to its thread map.
    fn to_be_made(map: Arc<Import>, request: Request, callback: Cap) -> Arc<Self> {
        Self::with(OnceLock::new(), Making::ToDo(map, request), callback)
    }

    fn with(thread: OnceLock<Result<Cap>>, making: Making, callback: Cap) -> Arc<Self> {
        Arc::new(Self {
            thread,
            making: Mutex::new(making),
            callback,
            turns: Mutex::default(),
            destroying: Mutex::default(),
        })
    }

    /// The peer's thread, for a call that is about to be sent.
    pub fn thread(self: &Arc<Self>) -> Thread {
        if let Some(thread) = self.thread.get() {
            return Thread::Known(thread.clone());
        }
        let mut making = lock(&self.making);
        match std::mem::replace(&mut *making, Making::Asked(Vec::new())) {
            Making::ToDo(map, request) => {
                let lane = self.clone();
                Thread::ToBeMade(Ask {
                    target: Target::Import(map),
                    request,
                    done: Box::new(move |answer| lane.made(answer)),
                })
            }
            before => {
                *making = before;
                Thread::Asked
            }
        }
    }

    /// What the peer has answered to the call that makes the thread.
    fn made(&self, answer: Result<Response>) {
        let thread = answer.and_then(|answer| thread_of(&answer));
        let mut making = lock(&self.making);
        let known = self.thread.set(thread);
        debug_assert!(known.is_ok(), "asked for once");
        let before = std::mem::replace(&mut *making, Making::Done);
        drop(making);
        if let Making::Asked(waiting) = before {
            for then in waiting {
                run_guarded("a call whose thread was made", then);
            }
        }
    }

    /// Does `then` when it is known of the peer's thread whether it was made. It must not block.
    pub fn once_made(&self, then: impl FnOnce() + Send + 'static) {
        let mut making = lock(&self.making);
        match &mut *making {
            Making::Asked(waiting) => waiting.push(Box::new(then)),
            Making::ToDo(..) | Making::Done => {
                drop(making);
                then();
            }
        }
    }

    /// Why the peer made no thread.
    pub fn failure(&self) -> Option<Error> {
        self.thread.get()?.as_ref().err().cloned()
    }

    /// Takes the turn, if nobody has it.
    pub fn try_turn(self: &Arc<Self>, depth: usize) -> Option<Turn> {
        let mut turns = lock(&self.turns);
        let turns = Self::at(&mut turns, depth);
        (!std::mem::replace(&mut turns.taken, true)).then(|| Turn {
            lane: self.clone(),
            depth,
        })
    }

    /// Does `then` when those of this depth who came before are done.
    pub fn turn(self: &Arc<Self>, depth: usize, then: impl FnOnce(Turn) + Send + 'static) {
        let mut turns = lock(&self.turns);
        let here = Self::at(&mut turns, depth);
        if here.taken {
            here.waiting.push_back(Box::new(then));
            return;
        }
        here.taken = true;
        drop(turns);
        then(Turn {
            lane: self.clone(),
            depth,
        });
    }

    fn at(turns: &mut Vec<Turns>, depth: usize) -> &mut Turns {
        if turns.len() <= depth {
            turns.resize_with(depth + 1, Turns::default);
        }
        &mut turns[depth]
    }

    /// Tells a call which threads it names: this one of the peer's, and the one for callbacks.
    pub fn supply(&self, request: &mut Request, thread: Param) {
        request.supply(THREAD, thread);
        request.supply(CALLBACK, Param::Cap(self.callback.clone()));
    }

    /// Notes a `destroy` that is under way until what this gives is dropped.
    pub fn destroys(self: &Arc<Self>) -> Destroys {
        lock(&self.destroying).count += 1;
        Destroys(self.clone())
    }

    /// Does `then` when no `destroy` is under way any more; gives it back when none is.
    pub fn destroyed<F: FnOnce() + Send + 'static>(&self, then: F) -> Option<F> {
        let mut destroying = lock(&self.destroying);
        if destroying.count == 0 {
            return Some(then);
        }
        destroying.then = Some(Box::new(then));
        None
    }
}

/// The threads of one peer.
#[derive(Default)]
pub struct Lanes {
    /// Those that stand for threads of this process.
    standing: Mutex<Vec<Arc<Lane>>>,
    /// Those for calls for which no thread of this process waits.
    idle: Mutex<Vec<Arc<Lane>>>,
}

impl Lanes {
    /// Keeps a thread that stands for one of this process.
    fn keep(&self, lane: Arc<Lane>) {
        lock(&self.standing).push(lane);
    }

    /// Lets go of a thread that stands for one of this process that has ended, or whose call was given
    /// up and still holds it. A call under way keeps it until it is answered: dropping the handle in
    /// the middle of a call is an error in Core.
    pub fn forget(&self, lane: &Arc<Lane>) {
        let mut standing = lock(&self.standing);
        let found = standing.iter().position(|kept| Arc::ptr_eq(kept, lane));
        let forgotten = found.map(|index| standing.swap_remove(index));
        drop(standing);
        drop(forgotten);
    }

    /// Forgets all of them.
    pub fn clear(&self) {
        let standing = std::mem::take(&mut *lock(&self.standing));
        let idle = std::mem::take(&mut *lock(&self.idle));
        drop((standing, idle));
    }
}

/// A lane that is taken for one call, and given back when that is answered.
pub struct Borrowed {
    /// The lane.
    pub lane: Arc<Lane>,
    connection: Arc<Connection>,
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if self.lane.failure().is_some() {
            return;
        }
        let mut idle = lock(&self.connection.lanes.idle);
        if idle.len() < IDLE_LANES && self.connection.closed().is_none() {
            idle.push(self.lane.clone());
        }
    }
}

impl Connection {
    /// Keeps a thread of the peer's that stands for one of this process, unless the connection has
    /// ended.
    pub fn keep_lane(&self, lane: &Arc<Lane>) {
        self.lanes.keep(lane.clone());
        if self.closed().is_some() {
            self.lanes.clear();
        }
    }

    /// An idle thread of the peer's, which may be one that is still to be made.
    ///
    /// # Errors
    /// [`Error::Usage`] where the peer makes no threads, [`Error::Disconnected`].
    pub fn idle_lane(self: &Arc<Self>) -> Result<Borrowed> {
        let idle = lock(&self.lanes.idle).pop();
        let lane = match idle {
            Some(lane) => lane,
            None => {
                let name = format!(
                    "{}-{}/async",
                    self.event_loop.exe_name(),
                    std::process::id()
                );
                self.new_lane(&name, ThreadServer::lazy(self, &name))?
            }
        };
        Ok(Borrowed {
            lane,
            connection: self.clone(),
        })
    }

    /// A thread of the peer's, to be made, for this process's thread `callback` of this name.
    ///
    /// # Errors
    /// [`Error::Usage`] where the peer makes no threads, [`Error::Disconnected`].
    pub fn new_lane(&self, name: &str, callback: Arc<ThreadServer>) -> Result<Arc<Lane>> {
        let request = Request::new(
            thread_map::Client::TYPE_ID,
            MAKE_THREAD,
            |_, params: any_pointer::Builder<'_>| {
                let mut params = params.init_as::<thread_map::make_thread_params::Builder<'_>>();
                params.set_name(cut(name, NAME_LENGTH));
                Ok(())
            },
        )?;
        let map = lock(&self.thread_map).clone();
        match map {
            Some(Cap::Import(map)) => Ok(Lane::to_be_made(map, request, Cap::Own(callback))),
            // It went with the connection.
            _ if self.closed().is_some() => Err(gone()),
            _ => Err(Error::Usage(
                "the peer gave no ThreadMap, so no thread can be named: its Init has no `construct`"
                    .into(),
            )),
        }
    }
}

/// The thread in the answer to `makeThread`.
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

    use super::super::rpc::{Host, Incoming};
    use super::*;

    struct Nothing;

    impl Host for Nothing {
        fn call(self: Arc<Self>, _: Incoming) {}
    }

    /// As when a connection ends while one object's `destroy` is under way and those of many wait.
    #[test]
    fn as_many_turns_as_there_are_end_at_once() {
        const TURNS: usize = 100_000;
        let cap = || Cap::Own(Arc::new(Nothing));
        let lane = Lane::new(cap(), cap());
        let first = lane.try_turn(0).unwrap();
        let ended = Arc::new(AtomicUsize::new(0));
        for number in 0..TURNS {
            let ended = ended.clone();
            lane.turn(0, move |turn| {
                assert_eq!(ended.fetch_add(1, Ordering::SeqCst), number);
                drop(turn);
            });
        }
        drop(first);
        assert_eq!(ended.load(Ordering::SeqCst), TURNS);
        assert!(lane.try_turn(0).is_some());
    }
}
