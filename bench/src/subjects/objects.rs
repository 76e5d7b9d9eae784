//! Calls of the benchmark's own interfaces: callbacks, calls on what calls answer, data.

use std::env;
use std::ffi::OsString;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bitcoin_ipc::dynamic::call::{Objects, Step};
use bitcoin_ipc::dynamic::core;
use bitcoin_ipc::dynamic::schema::Registry;
use bitcoin_ipc::{Error, Ipc, Spawned};
use eyre::{Result, WrapErr, ensure, eyre};
use serde_json::{Value as Json, json};

use super::raw::COPIES;
use super::{FILL, PLACED_SIZE, Plan, SIZES, Shared};
use crate::children::{finish, in_role};
use crate::measure::{Sample, one_by_one, timed};
use crate::objects::interfaces::bench::*;
use crate::peers;
use crate::placement::Placement;

/// A call without a callback.
pub const PLAIN: &str = "plain call";
/// A call that makes one callback, of an object that the callee keeps.
pub const ONE_CALLBACK: &str = "call with one callback";
/// One after the other.
const THREE_CALLS: &str = "three JSON calls a, b, c";
/// Callbacks in one call, where each one's time is measured.
const CALLBACKS: u32 = 20;
/// The schema, for calls by name.
const SCHEMA: &[u8] = include_bytes!("../../schema/compiled.bin");

/// The child with these interfaces.
pub struct Benching {
    // Nothing else holds the connections' event loop.
    _ipc: Ipc<dyn BenchInit>,
    spawned: Spawned<dyn BenchInit>,
    bench: Arc<dyn Bench>,
}

impl Benching {
    /// Starts it, on this processor where one is given.
    pub fn start(processor: Option<usize>) -> Result<Self> {
        let ipc = Ipc::<dyn BenchInit>::new("bench", Arc::new(Server::default()))?;
        let program = in_role(&env::current_exe()?, peers::OBJECTS, processor);
        let spawned = ipc.spawn(program)?;
        let bench = spawned.init.make_bench()?;
        let bench = bench.ok_or_else(|| eyre!("offers no Bench"))?;
        bench.keep(Some(Arc::new(|n: i32| Ok(n))))?;
        Ok(Self {
            _ipc: ipc,
            spawned,
            bench,
        })
    }

    /// Ends it.
    pub fn end(self) -> Result<()> {
        drop(self.bench);
        finish(self.spawned).wrap_err(peers::OBJECTS)
    }
}

pub fn plans() -> Vec<Plan> {
    let term = || -> Arc<dyn Term> { Arc::new(|n: i32| Ok(n)) };
    let mut plans = Vec::new();
    for placement in Placement::ALL {
        plans.push(plan(PLAIN, placement, |bench| Ok((bench.add(2, 3)?, 5))));
        let callback = plan(ONE_CALLBACK, placement, |bench| Ok((bench.sum(1)?, 1)));
        plans.push(callback.beside(PLAIN));
    }
    plans.push(
        plan(
            "call that passes a closure, with one callback",
            Placement::Free,
            move |bench| Ok((bench.sum_of(Some(term()), 1)?, 1)),
        )
        .beside(PLAIN),
    );
    plans.push(callback().beside(PLAIN));
    plans.push(chain("pipelined JSON call a/b/c", chained).beside(THREE_CALLS));
    plans.push(chain(THREE_CALLS, called));
    for placement in Placement::ALL {
        for ((copy_to, copy_from), (size, bytes)) in COPIES.into_iter().zip(SIZES) {
            if placement == Placement::Free || bytes == PLACED_SIZE {
                plans.push(take(size, bytes, placement).beside(copy_to));
                plans.push(give(size, bytes, placement).beside(copy_from));
            }
        }
    }
    plans
}

/// The name of the subject that passes Data of this size to the callee.
pub fn data_to(size: &str) -> String {
    format!("Data of {size} to")
}

/// The name of the subject that returns Data of this size.
pub fn data_from(size: &str) -> String {
    format!("Data of {size} from")
}

/// A call that answers a number, with the number it should answer.
fn plan(
    name: &str,
    placement: Placement,
    call: impl Fn(&dyn Bench) -> Result<(i32, i32)> + 'static,
) -> Plan {
    let start = move |shared: &Shared| {
        let benching = shared.benching(placement)?;
        Ok(move |budget| {
            one_by_one(budget, || {
                let ((answer, expected), time) = timed(|| call(&*benching.bench))?;
                ensure!(answer == expected, "{answer} instead of {expected}");
                Ok(time)
            })
        })
    };
    Plan::calls(name, start).placed(placement)
}

/// Callbacks, many in a call: the call is shared among them.
fn callback() -> Plan {
    Plan::calls("callback, one of many in a call", |shared| {
        let benching = shared.benching(Placement::Free)?;
        let count = i32::try_from(CALLBACKS)?;
        Ok(move |budget| {
            let calls = one_by_one(budget, || {
                let (answer, time) = timed(|| Ok(benching.bench.sum(count)?))?;
                ensure!(answer == count * (count + 1) / 2, "wrong sum");
                Ok(time)
            })?;
            Ok(calls.divided(CALLBACKS))
        })
    })
}

fn take(size: &str, bytes: usize, placement: Placement) -> Plan {
    let start = move |shared: &Shared| {
        let benching = shared.benching(placement)?;
        let data = vec![FILL; bytes];
        Ok(move |budget| {
            one_by_one(budget, || {
                let (answer, time) = timed(|| Ok(benching.bench.take(&data)?))?;
                ensure!(usize::try_from(answer)? == bytes, "wrong length");
                Ok(time)
            })
        })
    };
    Plan::calls(data_to(size), start).placed(placement)
}

fn give(size: &str, bytes: usize, placement: Placement) -> Plan {
    let start = move |shared: &Shared| {
        let benching = shared.benching(placement)?;
        let expected = vec![FILL; bytes];
        let length = u32::try_from(bytes)?;
        Ok(move |budget| {
            one_by_one(budget, || {
                let (answer, time) = timed(|| Ok(benching.bench.give(length)?))?;
                ensure!(answer == expected, "wrong bytes");
                Ok(time)
            })
        })
    };
    Plan::calls(data_from(size), start).placed(placement)
}

/// `next`, `next` on its answer, `add` on that one's.
fn chain(name: &str, call: fn(&Objects, &str) -> bitcoin_ipc::Result<Json>) -> Plan {
    Plan::calls(name, move |shared: &Shared| {
        let benching = shared.benching(Placement::Free)?;
        let mut registry = Registry::new();
        registry.add(SCHEMA, "bench")?;
        let objects = Objects::new(Arc::new(registry), core::options());
        let remote = benching.bench.remote();
        let remote = remote.ok_or_else(|| eyre!("is no remote object"))?;
        let bench = objects.adopt(remote, "Bench")?;
        Ok(move |budget: Duration| -> Result<Sample> {
            one_by_one(budget, || {
                let (answer, time) = timed(|| Ok(call(&objects, &bench)?))?;
                ensure!(answer == 5, "{answer} instead of 5");
                Ok(time)
            })
        })
    })
}

fn chained(objects: &Objects, bench: &str) -> bitcoin_ipc::Result<Json> {
    objects.chain(
        bench,
        &[
            Step::new("next", Json::Null),
            Step::new("next", Json::Null),
            Step::new("add", json!({ "a": 2, "b": 3 })),
        ],
    )
}

fn called(objects: &Objects, bench: &str) -> bitcoin_ipc::Result<Json> {
    let next = |handle: &str| {
        let made = objects.call(handle, "next", Json::Null)?;
        let made = made.as_str().map(str::to_owned);
        made.ok_or_else(|| Error::failed("there is no next"))
    };
    let second = next(bench)?;
    let third = next(&second)?;
    let answer = objects.call(&third, "add", json!({ "a": 2, "b": 3 }))?;
    objects.release(&third);
    objects.release(&second);
    Ok(answer)
}

/// The other side.
#[derive(Default)]
struct Server {
    kept: Mutex<Option<Arc<dyn Term>>>,
}

fn sum(term: Option<Arc<dyn Term>>, count: i32) -> bitcoin_ipc::Result<i32> {
    let term = term.ok_or_else(|| Error::failed("there is no term"))?;
    (1..=count).map(|n| term.call(n)).sum()
}

impl BenchInit for Server {
    fn make_bench(&self) -> bitcoin_ipc::Result<Option<Arc<dyn Bench>>> {
        Ok(Some(Arc::new(Self::default())))
    }
}

impl Bench for Server {
    fn add(&self, a: i32, b: i32) -> bitcoin_ipc::Result<i32> {
        Ok(a.wrapping_add(b))
    }

    fn next(&self) -> bitcoin_ipc::Result<Option<Arc<dyn Bench>>> {
        Ok(Some(Arc::new(Self::default())))
    }

    fn keep(&self, term: Option<Arc<dyn Term>>) -> bitcoin_ipc::Result<()> {
        let mut kept = self.kept.lock().map_err(|_| Error::failed("poisoned"))?;
        *kept = term;
        Ok(())
    }

    fn sum(&self, count: i32) -> bitcoin_ipc::Result<i32> {
        let kept = self.kept.lock().map_err(|_| Error::failed("poisoned"))?;
        let term = kept.clone();
        drop(kept);
        sum(term, count)
    }

    fn sum_of(&self, term: Option<Arc<dyn Term>>, count: i32) -> bitcoin_ipc::Result<i32> {
        sum(term, count)
    }

    fn take(&self, data: &[u8]) -> bitcoin_ipc::Result<u32> {
        u32::try_from(data.len()).map_err(|_| Error::failed("too much"))
    }

    fn give(&self, size: u32) -> bitcoin_ipc::Result<Vec<u8>> {
        Ok(vec![FILL; size as usize])
    }
}

/// Serves the parent.
pub fn serve(words: &[OsString]) -> Result<()> {
    let ipc = Ipc::<dyn BenchInit>::new(peers::OBJECTS, Arc::new(Server::default()))?;
    let served = ipc.start_spawned(words, || ())?;
    served.map(|_| ()).ok_or_else(|| eyre!("was not spawned"))
}
