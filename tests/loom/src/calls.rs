//! Calls to the peer's threads: slots that are handed on, and threads that are made once.

use std::cell::Cell;

use loom::sync::atomic::AtomicBool;
use loom::thread;

use super::*;
use threads::on_demand::{Demand, OnDemand};
use threads::slots::{CallSlot, SlotOwner, Slots};

/// A thread of the peer's that checks what comes to it.
struct PeerThread {
    slots: Slots,
    /// A call of depth 0 is under way.
    at_work: AtomicBool,
    /// The calls of depth 0 that were made, in order.
    made: Mutex<Vec<usize>>,
    /// How many calls one thread was making at most, one within the other.
    nested: std::sync::atomic::AtomicUsize,
}

impl SlotOwner for PeerThread {
    fn slots(&self) -> &Slots {
        &self.slots
    }
}

loom::thread_local! {
    /// How many calls this thread is making, one within the other.
    static NESTED: Cell<usize> = Cell::new(0);
}

impl PeerThread {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            slots: Slots::default(),
            at_work: AtomicBool::new(false),
            made: Mutex::default(),
            nested: Default::default(),
        })
    }

    /// Makes a call, which lasts until its slot is dropped.
    fn work(&self, number: usize, slot: CallSlot) {
        let at_work = self.at_work.swap(true, Ordering::SeqCst);
        assert!(!at_work, "two calls at once");
        sync::lock(&self.made).push(number);
        self.at_work.store(false, Ordering::SeqCst);
        drop(slot);
    }

    /// Makes a call when its turn comes.
    fn call(self: &Arc<Self>, number: usize) {
        let this = self.clone();
        CallSlot::take_in_order(self, 0, move |slot| {
            let nested = NESTED.with(|nested| nested.replace(nested.get() + 1));
            this.nested.fetch_max(nested + 1, Ordering::SeqCst);
            this.work(number, slot);
            NESTED.with(|inside| inside.set(nested));
        });
    }

    /// Each of these calls was made, and the slot is free. Returns the order.
    fn check(self: &Arc<Self>, calls: usize) -> Vec<usize> {
        assert!(CallSlot::try_take(self, 0).is_some());
        // A call that gets its slot at once hands it on itself, and those that follow do not nest.
        assert!(self.nested.load(Ordering::SeqCst) <= 2);
        let made = std::mem::take(&mut *sync::lock(&self.made));
        let mut sorted = made.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (1..=calls).collect::<Vec<_>>());
        made
    }
}

/// Three threads make a call each.
#[test]
fn one_call_at_a_time_has_the_slot() {
    model(|| {
        let peer = PeerThread::new();
        let others = [2, 3].map(|number| {
            let peer = peer.clone();
            thread::spawn(move || peer.call(number))
        });
        peer.call(1);
        join(others);
        peer.check(3);
    });
}

/// Two threads that take the slot if it is free, and otherwise wait for it, as a blocking call does.
#[test]
fn a_call_that_waits_for_its_slot_gets_it() {
    model(|| {
        let peer = PeerThread::new();
        let call = |peer: &Arc<PeerThread>, number| match CallSlot::try_take(peer, 0) {
            Some(slot) => peer.work(number, slot),
            None => peer.call(number),
        };
        let others = [2, 3].map(|number| {
            let peer = peer.clone();
            thread::spawn(move || call(&peer, number))
        });
        call(&peer, 1);
        join(others);
        peer.check(3);
    });
}

/// Calls that wait follow in their order, one after the other and none within another, whichever
/// thread hands the slot on, and while another call comes.
#[test]
fn calls_that_wait_follow_in_order() {
    model(|| {
        let peer = PeerThread::new();
        let first = CallSlot::try_take(&peer, 0).unwrap();
        peer.call(1);
        peer.call(2);
        let other = {
            let peer = peer.clone();
            thread::spawn(move || {
                peer.call(3);
                peer.call(4);
            })
        };
        drop(first);
        other.join().unwrap();
        assert_eq!(peer.check(4), [1, 2, 3, 4]);
    });
}

/// A slot that a call keeps beyond the hand-over is handed on by the thread that drops it.
#[test]
fn a_slot_may_be_dropped_elsewhere() {
    model(|| {
        let peer = PeerThread::new();
        let first = CallSlot::try_take(&peer, 0).unwrap();
        let kept = Arc::new(Mutex::new(None));
        let keep = kept.clone();
        CallSlot::take_in_order(&peer, 0, move |slot| *sync::lock(&keep) = Some(slot));
        peer.call(1);
        let answers = {
            let kept = kept.clone();
            thread::spawn(move || {
                let slot = sync::lock(&kept).take();
                drop(slot);
            })
        };
        drop(first);
        peer.call(2);
        answers.join().unwrap();
        let slot = sync::lock(&kept).take();
        drop(slot);
        assert_eq!(peer.check(2), [1, 2]);
    });
}

/// A deeper call, from inside a callback, does not wait for the call that it is a part of.
#[test]
fn a_deeper_call_goes_at_once() {
    model(|| {
        let peer = PeerThread::new();
        let outer = CallSlot::try_take(&peer, 0).unwrap();
        let other = {
            let peer = peer.clone();
            thread::spawn(move || peer.call(1))
        };
        let inner = CallSlot::try_take(&peer, 1);
        assert!(inner.is_some());
        assert!(CallSlot::try_take(&peer, 1).is_none());
        drop(inner);
        assert!(CallSlot::try_take(&peer, 1).is_some());
        assert!(sync::lock(&peer.made).is_empty());
        drop(outer);
        other.join().unwrap();
        peer.check(1);
    });
}

/// Three threads need a value. One makes it, and each gets it, once.
#[test]
fn a_value_is_made_once() {
    model(|| {
        let value = Arc::new(OnDemand::<(), u32>::new(()));
        let (made, got) = (counter(), counter());
        let need = {
            let (value, made, got) = (value.clone(), made.clone(), got.clone());
            move || {
                let get = {
                    let (value, got) = (value.clone(), got.clone());
                    move || {
                        assert_eq!(value.get(), Some(&7));
                        got.fetch_add(1, Ordering::SeqCst);
                    }
                };
                match value.demand() {
                    Demand::Made(_) => get(),
                    Demand::UnderWay => value.once_made(get),
                    Demand::ToBeMade(()) => {
                        made.fetch_add(1, Ordering::SeqCst);
                        value.set(7);
                        get();
                    }
                }
            }
        };
        let others = [need.clone(), need.clone()].map(thread::spawn);
        need();
        join(others);
        assert_eq!(made.load(Ordering::SeqCst), 1);
        assert_eq!(got.load(Ordering::SeqCst), 3);
    });
}
