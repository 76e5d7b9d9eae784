//! A `createNewBlock` that cools down, and whose caller gives up, is interrupted in the node.

use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::interfaces::mining::{BlockCreateOptions, BlockTemplate, Mining};
use bitcoin_ipc::{CallOptions, CancelToken, Error, Result};

use crate::mock::timed;

/// A node that cools down until it is interrupted.
#[derive(Default)]
struct Cooling {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    begun: u32,
    interrupted: u32,
}

impl Cooling {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    fn begun(&self) -> u32 {
        self.state.lock().unwrap().begun
    }

    fn wait(&self, until: impl Fn(&State) -> bool) {
        let state = self.state.lock().unwrap();
        drop(
            self.changed
                .wait_while(state, |state| !until(state))
                .unwrap(),
        );
    }
}

struct Node(Arc<Cooling>);

impl Init for Node {
    fn make_mining(&self) -> Result<Option<Arc<dyn Mining>>> {
        Ok(Some(Arc::new(Self(self.0.clone()))))
    }
}

impl Mining for Node {
    fn create_new_block(
        &self,
        _: &BlockCreateOptions,
        _: bool,
    ) -> Result<Option<Arc<dyn BlockTemplate>>> {
        self.0.change(|state| state.begun += 1);
        self.0.wait(|state| state.interrupted == state.begun);
        Ok(None)
    }

    fn interrupt(&self) -> Result<()> {
        self.0.change(|state| state.interrupted += 1);
        Ok(())
    }
}

fn node() -> (Arc<Cooling>, Arc<dyn Mining>) {
    let cooling = Arc::<Cooling>::default();
    let init = bitcoin_ipc::pair::<dyn Init>(Arc::new(Node(cooling.clone()))).unwrap();
    (cooling, init.make_mining().unwrap().unwrap())
}

#[test]
fn a_time_limit_interrupts_the_node() {
    timed(|| {
        let (cooling, mining) = node();
        let options = CallOptions::new().timeout(Duration::from_millis(50));
        let made = options.run(|| mining.create_new_block(&BlockCreateOptions::default(), true));
        assert!(matches!(made, Err(Error::Timeout { .. })));
        cooling.wait(|state| state.interrupted == 1);
    });
}

/// Regression: the interrupt was cancelled as well, and never sent.
#[test]
fn a_cancellation_interrupts_the_node() {
    timed(|| {
        let (cooling, mining) = node();
        let token = CancelToken::new();
        let cancelling = thread::spawn({
            let (cooling, token) = (cooling.clone(), token.clone());
            move || {
                cooling.wait(|state| state.begun == 1);
                token.cancel();
            }
        });
        let options = CallOptions::new().cancel(&token);
        let made = options.run(|| mining.create_new_block(&BlockCreateOptions::default(), true));
        assert!(matches!(made, Err(Error::Cancelled(_))));
        cancelling.join().unwrap();
        cooling.wait(|state| state.interrupted == 1);
    });
}

#[test]
fn a_future_that_is_dropped_interrupts_the_node() {
    timed(|| {
        let (cooling, mining) = node();
        let begin = || mining.create_new_block_async(&BlockCreateOptions::default(), true);
        // Before it was polled it only asks whether the node is still downloading.
        drop(begin());
        let mut call = begin();
        let mut context = Context::from_waker(Waker::noop());
        while cooling.begun() == 0 {
            assert!(call.as_mut().poll(&mut context).is_pending());
            thread::yield_now();
        }
        drop(call);
        cooling.wait(|state| state.interrupted == 1);
        assert_eq!(cooling.begun(), 1);
    });
}
