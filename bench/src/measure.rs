//! Slices: calls made again and again until a time is over, each with its own time.
//!
//! A slice has a length in time and not a number of calls, so that nothing is tuned to a number,
//! and has at least one call. Knows nothing of what is called.

use std::future::Future;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use eyre::{Result, eyre};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde_json::{Value as Json, json};

use crate::statistics::percentile;

/// The numbers of one slice.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// The median time of a call, in nanoseconds.
    pub p50: f64,
    /// The time within which 99 of 100 calls were answered, in nanoseconds.
    pub p99: f64,
    /// Calls a second, all threads together.
    pub rate: f64,
    /// How many calls there were.
    pub calls: usize,
}

impl Sample {
    fn new(mut times: Vec<u64>, wall: Duration) -> Self {
        times.sort_unstable();
        Self {
            p50: percentile(&times, 50) as f64,
            p99: percentile(&times, 99) as f64,
            rate: times.len() as f64 / wall.as_secs_f64(),
            calls: times.len(),
        }
    }

    /// Counts each call as `parts` operations that are made one after the other.
    pub fn divided(self, parts: u32) -> Self {
        let parts = f64::from(parts);
        Self {
            p50: self.p50 / parts,
            p99: self.p99 / parts,
            rate: self.rate * parts,
            ..self
        }
    }

    /// Everything in it.
    pub fn json(&self) -> Json {
        json!({ "p50": self.p50, "p99": self.p99, "rate": self.rate, "calls": self.calls })
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Returns the result of `f`, and how long it took.
pub fn timed<T>(f: impl FnOnce() -> Result<T>) -> Result<(T, Duration)> {
    let started = Instant::now();
    let answer = f()?;
    Ok((answer, started.elapsed()))
}

/// Calls one after the other. `call` tells how long its call took; what else it does, such as
/// looking at the answer, does not count.
pub fn one_by_one(budget: Duration, mut call: impl FnMut() -> Result<Duration>) -> Result<Sample> {
    let deadline = Instant::now() + budget;
    let mut times = Vec::new();
    let mut wall = Duration::ZERO;
    loop {
        let time = call()?;
        times.push(nanoseconds(time));
        wall += time;
        if Instant::now() >= deadline {
            return Ok(Sample::new(times, wall));
        }
    }
}

/// Calls one after the other in each of `threads` new threads. Each thread makes a call that does not
/// count before any of them begins.
pub fn in_threads(
    threads: usize,
    budget: Duration,
    call: impl Fn() -> Result<Duration> + Sync,
) -> Result<Sample> {
    let barrier = Barrier::new(threads);
    let work = || {
        let first = call();
        barrier.wait();
        first?;
        let started = Instant::now();
        let mut times = Vec::new();
        while times.is_empty() || started.elapsed() < budget {
            times.push(nanoseconds(call()?));
        }
        Ok((times, started.elapsed()))
    };
    let each: Vec<Result<_>> = thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let ended = handles.into_iter().map(|handle| handle.join());
        ended
            .map(|ended| ended.unwrap_or_else(|_| Err(eyre!("a thread panicked"))))
            .collect()
    });
    let mut times = Vec::new();
    let mut wall = Duration::ZERO;
    for one in each {
        let (some, took) = one?;
        times.extend(some);
        wall = wall.max(took);
    }
    Ok(Sample::new(times, wall))
}

/// Keeps `count` calls under way at a time, from one thread.
pub async fn outstanding<F: Future<Output = Result<()>>>(
    count: usize,
    budget: Duration,
    mut call: impl FnMut() -> F,
) -> Result<Sample> {
    let clocked = |call: F| async {
        let started = Instant::now();
        call.await.map(|()| nanoseconds(started.elapsed()))
    };
    let started = Instant::now();
    let mut under_way: FuturesUnordered<_> = (0..count).map(|_| clocked(call())).collect();
    let mut times = Vec::new();
    while let Some(time) = under_way.next().await {
        times.push(time?);
        if started.elapsed() < budget {
            under_way.push(clocked(call()));
        }
    }
    Ok(Sample::new(times, started.elapsed()))
}
