//! Which thread drives the event loop: the pattern Leader/Followers, with a thread that stands by.
//!
//! Knows threads that come and go; nothing of what driving consists of. Model-checked with loom in
//! `tests/loom`.
//!
//! A thread that waits for the answer to its call drives the loop itself meanwhile, when no other
//! thread does: it *leads*. So the answer is read by the thread that wants it, and nobody has to be
//! woken to read it, and then to wake another: on most machines a hand-over from thread to thread
//! takes as long as all the rest of a call. A server thread that waits for its next request does the
//! same. Who wants to wait while another leads *follows*: it sleeps, and the leader wakes it.
//!
//! A leader leaves as soon as it has what it wanted. If someone still follows, or something is still
//! *due* for which no thread waits, the *standby* thread is summoned to lead. Otherwise the loop is
//! left alone, in the hope that the next call comes soon; the standby thread looks after a *tick*
//! whether someone has led meanwhile, and if not it leads. So nothing that comes waits longer than
//! a tick, however long the threads are busy with other things.
//!
//! A server thread leads while it is idle, since its next request is the likeliest thing to come. When
//! it wakes another thread instead, it leaves the lead to that one and sleeps until there is something
//! for it: so the thread that is called again and again reads its requests itself.
//!
//! While it leads, the standby thread stays for as long as there are followers. Many threads that
//! call at once are best served by one that only reads and wakes. When it has woken the last of them
//! it leaves the loop alone.

use std::time::{Duration, Instant};

use super::super::sync::{Condvar, Mutex, MutexGuard, lock, wait, wait_timeout};

/// How long the loop is left alone at first.
const TICK: Duration = Duration::from_micros(100);
/// The longest that it is left alone, while calls come and go steadily: to look every tick would cost
/// more than it brings.
const LONGEST_TICK: Duration = Duration::from_millis(1);

/// What is driven.
pub trait Loop: Send + Sync {
    /// Who drives it.
    fn leadership(&self) -> &Leadership;
    /// Waits until there is something to do, until it is interrupted, or until this time. For the
    /// leader only, and so is `process`.
    fn wait(&self, until: Option<Instant>);
    /// Does what there is to do. It does not block.
    fn process(&self);
    /// Ends the leader's wait, now or its next one.
    fn interrupt(&self);
    /// Whether what this thread has to write is gathered, until it is not.
    fn gather(&self, gathers: bool);
}

/// Who leads, and who wants something of it.
#[derive(Default)]
pub struct Leadership {
    state: Mutex<State>,
    standby: Condvar,
}

#[derive(Default)]
struct State {
    /// Whether a thread leads.
    led: bool,
    /// How many have led so far.
    leaders: u64,
    /// Threads that wait for an answer while another leads.
    followers: usize,
    /// What is to come for which no thread waits.
    due: usize,
    /// How often a follower was woken that will lead before long.
    woken: u64,
    /// How often a server thread became idle while another led.
    idle: u64,
    /// The standby thread is to lead.
    summoned: bool,
    /// The standby thread sleeps, instead of looking after a tick.
    asleep: bool,
    /// The standby thread is to end.
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

/// Held by the thread that leads.
#[must_use = "dropping it ends the lead"]
pub struct Lead<'a> {
    leadership: &'a Leadership,
    /// Whether the next leader is wanted at once, whatever else there is.
    summons: bool,
    /// The lead has been left.
    left: bool,
}

/// Tells which threads were woken since, and whether one may have come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    woken: u64,
    idle: u64,
}

impl Lead<'_> {
    /// A turn of an idle server thread begins.
    pub fn turn(&self) -> Turn {
        let state = lock(&self.leadership.state);
        Turn {
            woken: state.woken,
            idle: state.idle,
        }
    }

    /// Leaves the lead to the one thread that was woken since `turn`, unless that may have come back,
    /// and found this one leading; tells whether it has.
    pub fn pass_on(&mut self, turn: Turn) -> bool {
        let state = lock(&self.leadership.state);
        // Of several, each would be woken by another that has just begun to lead.
        if state.woken != turn.woken + 1 || state.idle != turn.idle {
            return false;
        }
        self.left = true;
        self.leadership.leave(state, self.summons);
        true
    }

    /// Has the standby thread lead next, because nobody else will for a while.
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
    /// Leads, when nobody does. Otherwise this thread follows: it is counted, if it `waits` for an
    /// answer, until [`Leadership::stop_following`] is called for it.
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

    /// A follower no longer waits. `woken` says that a leader saw to that, and that it will lead before
    /// long.
    pub fn stop_following(&self, waits: bool, woken: bool) {
        let mut state = lock(&self.state);
        state.followers -= usize::from(waits);
        state.woken += u64::from(woken);
    }

    /// Something will come for which no thread waits: the loop must not be left alone.
    /// Returns how much there is.
    pub fn expect(&self) -> usize {
        let mut state = lock(&self.state);
        state.due += 1;
        let due = state.due;
        if !state.led {
            self.summon(state);
        }
        due
    }

    /// Has the standby thread lead, if nobody does.
    pub fn attend(&self) {
        let state = lock(&self.state);
        if !state.led {
            self.summon(state);
        }
    }

    /// What was expected has come.
    pub fn settle(&self) {
        let mut state = lock(&self.state);
        state.due = state.due.saturating_sub(1);
    }

    /// Whether a thread leads.
    pub fn is_led(&self) -> bool {
        lock(&self.state).led
    }

    /// Whether the loop must not be left alone.
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

    /// Has the standby thread look whether it still is to stand by.
    pub fn look(&self) {
        // Not between its look and its sleep.
        drop(lock(&self.state));
        self.standby.notify_all();
    }

    /// What the standby thread does, until `over` is true or [`Leadership::end`]. `drive` drives the
    /// loop for as long as it is told to go on.
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
                // Those who came to follow since it was last told whether to go on.
                state.summoned |= state.is_wanted();
                seen = state.leaders;
                tick = TICK;
                continue;
            }
            if state.led && state.leaders == seen {
                // It leads for longer than a tick. When it leaves it says so.
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

/// How the standby thread learns whether it is still needed while it leads.
pub struct Standby<'a> {
    leadership: &'a Leadership,
    over: &'a dyn Fn() -> bool,
}

impl Standby<'_> {
    /// Whether it is to end.
    pub fn has_ended(&self) -> bool {
        (self.over)() || lock(&self.leadership.state).ended
    }

    /// Whether the loop must not be left alone.
    pub fn is_wanted(&self) -> bool {
        lock(&self.leadership.state).is_wanted()
    }

    /// How often followers were woken so far who will lead before long.
    pub fn woken(&self) -> u64 {
        lock(&self.leadership.state).woken
    }
}
