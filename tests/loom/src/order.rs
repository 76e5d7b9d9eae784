//! Effects that follow from the decisions of several threads.

use loom::sync::atomic::AtomicBool;
use loom::thread;

use super::*;
use rpc::ordered::Ordered;

/// The effect of the decision of this number, and how many more decisions it makes itself.
struct Effect {
    number: usize,
    decides: usize,
}

/// A state that numbers decisions, and the numbers of those whose effects were carried out.
struct Numbered {
    ordered: Ordered<usize, Effect>,
    applied: Mutex<Vec<usize>>,
    /// An effect is being carried out.
    at_work: AtomicBool,
}

impl Numbered {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            ordered: Ordered::new(0),
            applied: Mutex::default(),
            at_work: AtomicBool::new(false),
        })
    }

    /// Makes so many decisions at once, each with an effect that decides so often, and carries out what
    /// is left to this thread. Returns whether something was.
    fn update(&self, decisions: usize, decides: usize) -> bool {
        let ((), todo) = self.ordered.decide(|last, queue| {
            for _ in 0..decisions {
                *last += 1;
                let number = *last;
                queue.push_back(Effect { number, decides });
            }
        });
        let is_mine = todo.is_some();
        if let Some(todo) = todo {
            self.ordered.carry_out(todo, |effect| self.apply(&effect));
        }
        is_mine
    }

    fn apply(&self, effect: &Effect) {
        let at_work = self.at_work.swap(true, Ordering::SeqCst);
        assert!(!at_work, "one effect within another, or beside it");
        if effect.decides > 0 {
            let is_mine = self.update(effect.decides, 0);
            assert!(!is_mine, "an effect is carried out within another");
        }
        sync::lock(&self.applied).push(effect.number);
        self.at_work.store(false, Ordering::SeqCst);
    }

    /// Every effect of so many decisions was carried out, in order.
    fn check(&self, decisions: usize) {
        let applied = sync::lock(&self.applied);
        assert_eq!(*applied, (1..=decisions).collect::<Vec<_>>());
        assert_eq!(self.ordered.look(|last| *last), decisions);
        assert!(self.ordered.is_free());
    }
}

/// Has each thread do its part at once with the others. The first is the model's own.
fn together<const N: usize>(numbered: &Arc<Numbered>, parts: [fn(&Numbered); N]) {
    let [first, others @ ..] = &parts[..] else {
        return;
    };
    let others: Vec<_> = others
        .iter()
        .map(|&part| {
            let numbered = numbered.clone();
            thread::spawn(move || part(&numbered))
        })
        .collect();
    first(numbered);
    join(others);
}

/// Two threads decide twice each.
#[test]
fn effects_follow_in_the_order_of_the_decisions() {
    model(|| {
        let numbered = Numbered::new();
        let twice = |numbered: &Numbered| {
            numbered.update(1, 0);
            numbered.update(2, 0);
        };
        together(&numbered, [twice, twice]);
        numbered.check(6);
    });
}

/// Three threads decide. Whichever carries effects out looks again before it stops.
#[test]
fn no_effect_is_left_behind() {
    model(|| {
        let numbered = Numbered::new();
        let once = |numbered: &Numbered| {
            numbered.update(1, 0);
        };
        together(&numbered, [once, once, once]);
        numbered.check(3);
    });
}

/// The effects of two threads decide, too.
#[test]
fn what_an_effect_decides_comes_after_it() {
    model(|| {
        let numbered = Numbered::new();
        let nested = |numbered: &Numbered| {
            numbered.update(1, 2);
        };
        together(&numbered, [nested, nested]);
        numbered.check(6);
    });
}

/// A decision without effects leaves nothing to carry out, and keeps no thread from it.
#[test]
fn a_decision_without_effects_does_nothing() {
    model(|| {
        let numbered = Numbered::new();
        let nothing = |numbered: &Numbered| assert!(!numbered.update(0, 0));
        let once = |numbered: &Numbered| {
            numbered.update(1, 0);
        };
        together(&numbered, [nothing, once]);
        assert!(numbered.update(1, 0));
        numbered.check(2);
    });
}
