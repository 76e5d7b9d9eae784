//! The choice of the thread that drives the event loop: the Leader/Followers pattern with a standby
//! thread.
//!
//! Knows threads that come and go; nothing of what driving consists of. Model-checked with loom in
//! `tests/loom`.
//!
//! A thread that waits for the answer to its call drives the loop itself meanwhile, when no other
//! thread does: it *leads*. So the answer is read by the thread that wants it, and no thread has to be
//! woken to read it and then to wake another: on most machines a hand-over from thread to thread takes
//! as long as all the rest of a call. A server thread that waits for its next request does the same. A
//! thread that has to wait while another leads *follows*: it sleeps, and the leader wakes it.
//!
//! A leader leaves as soon as it has what it wanted. If a thread still follows, or something is still
//! *due* for which no thread waits, the *standby* thread is summoned to lead. Otherwise the loop is
//! left alone, in the hope that the next call comes soon; the standby thread checks after a *tick*
//! whether a thread has led meanwhile, and leads if none has. So no event waits longer than a tick,
//! however long the threads are busy with other things.
//!
//! A server thread leads while it is idle, since its next request is the most likely event. When it
//! wakes another thread instead, it leaves the lead to that one and sleeps until it has a job: so the
//! thread that is called again and again reads its requests itself.
//!
//! While it leads, the standby thread stays for as long as there are followers. Many threads that call
//! at once are best served by one that only reads and wakes. When it has woken the last of them it
//! leaves the loop alone.

use std::time::{Duration, Instant};

use super::super::sync::{Condvar, Mutex, MutexGuard, lock, wait, wait_timeout};

/// The time that the loop is left alone at first.
const TICK: Duration = Duration::from_micros(100);
/// The longest time that the loop is left alone while calls come and go steadily: checking every tick
/// would cost more than it gains.
const LONGEST_TICK: Duration = Duration::from_millis(1);

/// An event loop, as its leader drives it.
pub trait Loop: Send + Sync {
    /// Returns the state that chooses the thread that drives the loop.
    fn leadership(&self) -> &Leadership;
    /// Waits until there is an event, an interrupt, or `until`. Only the leader may call this and
    /// `process`.
    fn wait(&self, until: Option<Instant>);
    /// Handles the events that ended the wait. It does not block.
    fn process(&self);
    /// Ends the leader's current wait, or its next one.
    fn interrupt(&self);
    /// Returns whether this thread has gathered writes that it has not flushed.
    fn has_gathered(&self) -> bool;
    /// Flushes the writes that this thread has gathered.
    fn flush_gathered(&self);
}

/// The leader of a loop, and the threads and events that need one.
#[derive(Default)]
pub struct Leadership {
    state: Mutex<State>,
    standby: Condvar,
}

#[derive(Default)]
struct State {
    /// Set while a thread leads.
    led: bool,
    /// The number of times that a thread began to lead.
    leaders: u64,
    /// The number of threads that wait for an answer while another leads.
    followers: usize,
    /// The number of pending events that no blocked thread waits for.
    due: usize,
    /// The number of times that a follower was woken that will soon lead.
    woken: u64,
    /// The number of times that a server thread became idle while another led.
    idle: u64,
    /// Set when the standby thread is to lead.
    summoned: bool,
    /// Set while the standby thread sleeps without a tick.
    asleep: bool,
    /// Set when the standby thread is to end.
    ended: bool,
}

impl State {
    fn lead(&mut self) {
        self.led = true;
        self.leaders += 1;
    }

    fn is_wanted(&self) -> bool {
        self.followers > 0 || self.due > 0
    }
}

/// A guard held by the thread that leads.
#[must_use = "dropping it ends the lead"]
pub struct Lead<'a> {
    leadership: &'a Leadership,
    /// Set if the standby thread is to lead next, even if nothing is due.
    summons: bool,
    /// Set once the lead has been left.
    left: bool,
}

/// A snapshot that tells whether threads were woken or became idle since it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    woken: u64,
    idle: u64,
}

impl Lead<'_> {
    /// Begins a turn of an idle server thread.
    pub fn turn(&self) -> Turn {
        let state = lock(&self.leadership.state);
        Turn {
            woken: state.woken,
            idle: state.idle,
        }
    }

    /// Leaves the lead to the one thread that was woken since `turn`, unless that thread may have
    /// become idle again and found this one leading; returns whether the lead was left.
    pub fn pass_on(&mut self, turn: Turn) -> bool {
        let state = lock(&self.leadership.state);
        // If several were woken, each would be woken by another that has just begun to lead.
        if state.woken != turn.woken + 1 || state.idle != turn.idle {
            return false;
        }
        self.left = true;
        self.leadership.leave(state, self.summons);
        true
    }

    /// Summons the standby thread when the lead is left, because no other thread will lead for a while.
    pub fn summon(&mut self) {
        self.summons = true;
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        if !self.left {
            let state = lock(&self.leadership.state);
            self.leadership.leave(state, self.summons);
        }
    }
}

impl Leadership {
    /// Takes the lead when no thread leads. Otherwise returns `None` and this thread follows: if it
    /// `waits` for an answer, it is counted until [`Leadership::stop_following`] is called for it.
    pub fn lead_or_follow(&self, waits: bool) -> Option<Lead<'_>> {
        let mut state = lock(&self.state);
        if state.led {
            state.followers += usize::from(waits);
            state.idle += u64::from(!waits);
            return None;
        }
        state.lead();
        Some(Lead {
            leadership: self,
            summons: false,
            left: false,
        })
    }

    /// Counts a follower as no longer waiting. `woken` tells that a leader woke it, and that it will
    /// soon lead.
    pub fn stop_following(&self, waits: bool, woken: bool) {
        let mut state = lock(&self.state);
        state.followers -= usize::from(waits);
        state.woken += u64::from(woken);
    }

    /// Counts an event that no blocked thread will read: the loop must not be left alone until
    /// [`Leadership::settle`]. Summons the standby thread if no thread leads. Returns the number of
    /// such events.
    pub fn expect(&self) -> usize {
        let mut state = lock(&self.state);
        state.due += 1;
        let due = state.due;
        if !state.led {
            self.summon(state);
        }
        due
    }

    /// Summons the standby thread if no thread leads.
    pub fn attend(&self) {
        let state = lock(&self.state);
        if !state.led {
            self.summon(state);
        }
    }

    /// Balances one [`Leadership::expect`]: the event has arrived.
    pub fn settle(&self) {
        let mut state = lock(&self.state);
        state.due = state.due.saturating_sub(1);
    }

    /// Returns whether a thread leads.
    pub fn is_led(&self) -> bool {
        lock(&self.state).led
    }

    /// Returns whether the loop must not be left alone.
    #[cfg(test)]
    #[allow(dead_code, reason = "the models ask")]
    pub fn is_wanted(&self) -> bool {
        lock(&self.state).is_wanted()
    }

    /// Ends the standby thread, once it does not lead.
    pub fn end(&self) {
        lock(&self.state).ended = true;
        self.standby.notify_all();
    }

    fn summon(&self, mut state: MutexGuard<'_, State>) {
        state.summoned = true;
        drop(state);
        self.standby.notify_all();
    }

    fn leave(&self, mut state: MutexGuard<'_, State>, summons: bool) {
        state.led = false;
        if summons || state.is_wanted() {
            self.summon(state);
        } else if state.asleep {
            drop(state);
            self.standby.notify_all();
        }
    }

    /// Wakes the standby thread to check whether it is still to stand by.
    pub fn look(&self) {
        // Orders this wake after the standby thread's check, so that it is not lost before its sleep.
        drop(lock(&self.state));
        self.standby.notify_all();
    }

    /// Runs the standby thread until `over` returns true or [`Leadership::end`] is called. `drive`
    /// drives the loop for as long as its [`Standby`] tells it to go on.
    pub fn stand_by(&self, over: &dyn Fn() -> bool, mut drive: impl FnMut(&Standby<'_>)) {
        let mut state = lock(&self.state);
        let mut seen = state.leaders;
        let mut tick = TICK;
        while !(state.ended || over()) {
            if !state.led && state.summoned {
                state.summoned = false;
                state.lead();
                let standby = Standby {
                    leadership: self,
                    over,
                };
                drop(state);
                drive(&standby);
                state = lock(&self.state);
                state.led = false;
                // Threads may have begun to follow since it last checked whether to go on.
                state.summoned |= state.is_wanted();
                seen = state.leaders;
                tick = TICK;
                continue;
            }
            if state.led && state.leaders == seen {
                // That thread has led for longer than a tick. It wakes this one when it leaves.
                state.asleep = true;
                state = wait(&self.standby, state);
                state.asleep = false;
                tick = TICK;
                continue;
            }
            let others = state.leaders != seen;
            seen = state.leaders;
            let late;
            (state, late) = wait_timeout(&self.standby, state, tick);
            if late && !state.led && state.leaders == seen {
                state.summoned = true;
            } else if late && others {
                tick = LONGEST_TICK.min(tick * 2);
            }
        }
    }
}

/// Tells the standby thread, while it leads, whether it is still needed.
pub struct Standby<'a> {
    leadership: &'a Leadership,
    over: &'a dyn Fn() -> bool,
}

impl Standby<'_> {
    /// Returns whether the standby thread is to end.
    pub fn has_ended(&self) -> bool {
        (self.over)() || lock(&self.leadership.state).ended
    }

    /// Returns whether the loop must not be left alone.
    pub fn is_wanted(&self) -> bool {
        lock(&self.leadership.state).is_wanted()
    }

    /// Returns the number of times that a follower was woken that will soon lead.
    pub fn woken(&self) -> u64 {
        lock(&self.leadership.state).woken
    }
}
