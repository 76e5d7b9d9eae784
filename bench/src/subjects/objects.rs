//! Calls of the benchmark's own interfaces: callbacks, calls on what calls answer, data.

use std::ffi::OsString;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bitcoin_ipc::dynamic::call::{Objects, Step};
use bitcoin_ipc::dynamic::json::Options;
use bitcoin_ipc::dynamic::schema::Registry;
use bitcoin_ipc::{Error, Ipc, Program, Spawned};
use eyre::{Result, WrapErr, ensure, eyre};
use serde_json::{Value as Json, json};

use super::raw::COPIES;
use super::{FILL, Plan, SIZES, Shared};
use crate::children::finish;
use crate::measure::{Sample, one_by_one, timed};
use crate::objects::interfaces::bench::*;
use crate::peers;

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
    /// Starts it.
    pub fn start() -> Result<Self> {
        let ipc = Ipc::<dyn BenchInit>::new("bench", Arc::new(Server::default()))?;
        let program = Program::new(std::env::current_exe()?).arg0(peers::OBJECTS);
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
    let mut plans = vec![
        plan(PLAIN, |bench| Ok((bench.add(2, 3)?, 5))),
        plan(ONE_CALLBACK, |bench| Ok((bench.sum(1)?, 1))).beside(PLAIN),
        plan(
            "call that passes a closure, with one callback",
            move |bench| Ok((bench.sum_of(Some(term()), 1)?, 1)),
        )
        .beside(PLAIN),
        callback().beside(PLAIN),
        chain("pipelined JSON call a/b/c", chained).beside(THREE_CALLS),
        chain(THREE_CALLS, called),
    ];
    for ((copy_to, copy_from), (size, bytes)) in COPIES.into_iter().zip(SIZES) {
        plans.push(take(size, bytes).beside(copy_to));
        plans.push(give(size, bytes).beside(copy_from));
    }
    plans
}

/// What data of this size to the callee is called.
pub fn data_to(size: &str) -> String {
    format!("Data of {size} to")
}

/// What data of this size from the callee is called.
pub fn data_from(size: &str) -> String {
    format!("Data of {size} from")
}

/// A call that answers a number, with the number it should answer.
fn plan(name: &str, call: impl Fn(&dyn Bench) -> Result<(i32, i32)> + 'static) -> Plan {
    Plan::calls(name, move |shared| {
        let benching = shared.benching()?;
        Ok(move |budget| {
            one_by_one(budget, || {
                let ((answer, expected), time) = timed(|| call(&*benching.bench))?;
                ensure!(answer == expected, "{answer} instead of {expected}");
                Ok(time)
            })
        })
    })
}

/// Callbacks, many in a call: the call is shared among them.
fn callback() -> Plan {
    Plan::calls("callback, one of many in a call", |shared| {
        let benching = shared.benching()?;
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

fn take(size: &str, bytes: usize) -> Plan {
    Plan::calls(data_to(size), move |shared| {
        let benching = shared.benching()?;
        let data = vec![FILL; bytes];
        Ok(move |budget| {
            one_by_one(budget, || {
                let (answer, time) = timed(|| Ok(benching.bench.take(&data)?))?;
                ensure!(usize::try_from(answer)? == bytes, "wrong length");
                Ok(time)
            })
        })
    })
}

fn give(size: &str, bytes: usize) -> Plan {
    Plan::calls(data_from(size), move |shared| {
        let benching = shared.benching()?;
        let expected = vec![FILL; bytes];
        let length = u32::try_from(bytes)?;
        Ok(move |budget| {
            one_by_one(budget, || {
                let (answer, time) = timed(|| Ok(benching.bench.give(length)?))?;
                ensure!(answer == expected, "wrong bytes");
                Ok(time)
            })
        })
    })
}

/// `next`, `next` on its answer, `add` on that one's.
fn chain(name: &str, call: fn(&Objects, &str) -> bitcoin_ipc::Result<Json>) -> Plan {
    Plan::calls(name, move |shared: &Shared| {
        let benching = shared.benching()?;
        let mut registry = Registry::new();
        registry.add(SCHEMA, "bench")?;
        let objects = Objects::new(Arc::new(registry), Options::core());
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
