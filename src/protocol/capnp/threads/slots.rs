//! Slots for calls: one call at a time at each depth, and later calls wait in order.
//!
//! Knows a lock and queues; nothing of calls, nor of what they run on. Model-checked with loom in
//! `tests/loom`.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

use super::super::event_loop::run_guarded;
use super::super::sync::{Mutex, lock, thread_local};

/// An object whose calls take slots. Every slot that is taken keeps its owner.
pub trait SlotOwner: Send + Sync {
    /// Returns the slots of this object.
    fn slots(&self) -> &Slots;
}

/// The slots of one object, by depth.
#[derive(Default)]
pub struct Slots(Mutex<Vec<Slot>>);

#[derive(Default)]
struct Slot {
    taken: bool,
    waiting: VecDeque<Then>,
}

/// A closure that runs once, when a call gets its slot. It must not block.
type Then = Box<dyn FnOnce(CallSlot) + Send>;

/// The slot of a call under way. When it is dropped, the next call gets it.
pub struct CallSlot {
    owner: Arc<dyn SlotOwner>,
    depth: usize,
}

impl CallSlot {
    /// Takes the slot of this depth, if it is free.
    pub fn try_take<O: SlotOwner + 'static>(owner: &Arc<O>, depth: usize) -> Option<Self> {
        let mut slots = lock(&owner.slots().0);
        let slot = Slots::at(&mut slots, depth);
        (!std::mem::replace(&mut slot.taken, true)).then(|| Self {
            owner: owner.clone(),
            depth,
        })
    }

    /// Runs `then` with the slot of this depth once all calls that asked for it before are done: on
    /// this thread if the slot is free, otherwise on the one that drops it. `then` must not block.
    pub fn take_in_order<O: SlotOwner + 'static>(
        owner: &Arc<O>,
        depth: usize,
        then: impl FnOnce(Self) + Send + 'static,
    ) {
        let mut slots = lock(&owner.slots().0);
        let slot = Slots::at(&mut slots, depth);
        if slot.taken {
            slot.waiting.push_back(Box::new(then));
            return;
        }
        slot.taken = true;
        drop(slots);
        then(Self {
            owner: owner.clone(),
            depth,
        });
    }
}

impl Slots {
    fn at(slots: &mut Vec<Slot>, depth: usize) -> &mut Slot {
        if slots.len() <= depth {
            slots.resize_with(depth + 1, Slot::default);
        }
        &mut slots[depth]
    }
}

impl Drop for CallSlot {
    fn drop(&mut self) {
        let mut slots = lock(&self.owner.slots().0);
        let Some(slot) = slots.get_mut(self.depth) else {
            return;
        };
        let next = slot.waiting.pop_front();
        slot.taken = next.is_some();
        drop(slots);
        if let Some(next) = next {
            let slot = Self {
                owner: self.owner.clone(),
                depth: self.depth,
            };
            hand_on(next, slot);
        }
    }
}

thread_local! {
    /// The slots that this thread is about to hand on, while it hands one on.
    static HANDED: RefCell<Option<VecDeque<(Then, CallSlot)>>> = const { RefCell::new(None) };
}

/// Passes a slot to the next call. When a connection has ended, each call ends at once and drops its
/// slot. The calls run one after the other, and not nested: there may be as many as there are objects.
fn hand_on(next: Then, slot: CallSlot) {
    if HANDED.try_with(|_| ()).is_err() {
        // The thread is ending.
        return next(slot);
    }
    let mut handed = HANDED.with(|handed| match &mut *handed.borrow_mut() {
        Some(waiting) => {
            waiting.push_back((next, slot));
            None
        }
        idle => {
            *idle = Some(VecDeque::new());
            Some((next, slot))
        }
    });
    while let Some((next, slot)) = handed {
        run_guarded("a call that got its slot", || next(slot));
        handed = HANDED.with(|handed| {
            let mut handed = handed.borrow_mut();
            let waiting = handed.as_mut()?;
            let next = waiting.pop_front();
            if next.is_none() {
                *handed = None;
            }
            next
        });
    }
}
