//! Connections come and go, calls go all ways, and at the end nothing is left: as many threads and
//! descriptors as before, and as much memory.
//!
//! One test alone in its process, because it counts the resources of the process. The answers of
//! calls are checked by other tests; here a call may fail, but only as its circumstances allow.
//! With the environment variable `SOAK_SECONDS` it goes on for that long, with 32 threads.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]
#![cfg(target_os = "linux")]

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bitcoin_ipc::protocol::capnp::Capnp;
use bitcoin_ipc::protocol::{Listening, Protocol};
use bitcoin_ipc::{CallOptions, CancelToken, Error, Limits, RemoteKind};

use bitcoin_ipc_foo::foo::interfaces::foo::*;
use bitcoin_ipc_foo::implementation::{Foo, eventually, timed};

const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
/// Longer than the test: a limit that is never reached must leave nothing behind either.
const FAR: Duration = Duration::from_secs(3600);
/// The bytes that allocators keep for reuse, for a process of this many threads.
const MEMORY_SLACK: usize = 16 << 20;

/// Xorshift: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// A server that listens, and the event loop of its clients.
struct Processes {
    server: Capnp,
    client: Capnp,
    path: PathBuf,
    _listening: Listening,
    _dir: tempfile::TempDir,
}

impl Processes {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("soak.sock");
        let server = Capnp::new("soak-server", Limits::default()).unwrap();
        let foo = Foo::default();
        foo.set_fn(|| thread::sleep(Duration::from_millis(2)));
        foo.set_int_fn(|n| n + 1);
        let foo: Arc<dyn FooInterface> = Arc::new(foo);
        let listener = UnixListener::bind(&path).unwrap();
        Self {
            _listening: server.listen(listener.into(), foo).unwrap(),
            client: Capnp::new("soak-client", Limits::default()).unwrap(),
            server,
            path,
            _dir: dir,
        }
    }

    fn connect(&self) -> Result<Arc<dyn FooInterface>, Error> {
        self.client
            .connect(UnixStream::connect(&self.path).unwrap().into())
    }

    fn disconnect_everyone(&self) {
        Protocol::<dyn FooInterface>::disconnect_incoming(&self.server);
    }
}

/// Returns a callback that calls back itself, `depth` times.
fn nested(foo: &Arc<dyn FooInterface>, depth: usize) -> Option<Arc<dyn FooFn>> {
    let foo = foo.clone();
    Some(Arc::new(move || match depth {
        0 => Ok(0),
        _ => Ok(foo.pass_fn(nested(&foo, depth - 1))? + 1),
    }))
}

/// Makes one call of some kind.
fn call(foo: &Arc<dyn FooInterface>, random: &mut Random) -> Result<(), Error> {
    match random.below(12) {
        0 => drop(foo.add(1, 2)?),
        1 => {
            // A few up to a mebibyte.
            let most = if random.below(16) == 0 {
                1 << 20
            } else {
                20_000
            };
            let data = vec![7; random.below(most)];
            assert_eq!(foo.pass_data(&data)?, data);
        }
        2 => {
            let depth = random.below(4);
            assert_eq!(foo.pass_fn(nested(foo, depth))?, depth as i32);
        }
        3 => {
            let made = foo.make_callbacks(3)?;
            assert_eq!(made.first.unwrap().call(4)?, 7);
        }
        4 => {
            let base = random.below(1000) as i32;
            foo.save_callback(Some(Arc::new(move |n: i32| Ok(base + n))))?;
        }
        5 => match foo.callback_saved(1) {
            // Nobody's, or another connection's, which may have ended.
            Err(Error::Remote { .. } | Error::Disconnected(_)) => (),
            other => drop(other?),
        },
        6 => {
            let mine: Arc<dyn FooCallback> = Arc::new(|n: i32| Ok(n));
            let back = foo.pass_callback(Some(mine.clone()))?.unwrap();
            assert!(Arc::ptr_eq(&mine, &back));
        }
        7 => {
            let calls = (0..4).map(|n| foo.call_int_fn_async_async(n));
            for answer in futures::executor::block_on(futures::future::join_all(calls)) {
                answer?;
            }
        }
        8 => {
            let options = CallOptions::new().timeout(Duration::from_millis(1));
            // Given up here, while the peer goes on.
            match options.run(|| foo.call_fn_async_()) {
                Err(Error::Timeout { .. }) => (),
                other => other?,
            }
        }
        9 => {
            let token = CancelToken::new();
            let options = CallOptions::new().cancel(&token).timeout(FAR);
            let call = options.run(|| foo.call_fn_async_async());
            token.cancel();
            match futures::executor::block_on(call) {
                Err(Error::Cancelled(_)) => (),
                other => other?,
            }
        }
        10 => {
            let call = CallOptions::new().timeout(FAR).run(|| foo.add_async(1, 2));
            assert_eq!(futures::executor::block_on(call)?, 3);
        }
        _ => {
            // A thread of its own, here and so there.
            let foo = foo.clone();
            thread::spawn(move || foo.call_int_fn_async(1))
                .join()
                .unwrap()?;
        }
    }
    Ok(())
}

/// Accepts the results that a call may have when connections end at any time.
fn bear(result: Result<(), Error>) {
    match result {
        Ok(()) | Err(Error::Disconnected(_) | Error::Cancelled(_)) => (),
        // A disconnection in a callback.
        Err(Error::Remote {
            kind: RemoteKind::Failed,
            text,
        }) if text.contains("disconnect") => (),
        Err(error) => panic!("{error:?}"),
    }
}

/// Uses connections one after the other, once each.
fn one_by_one(processes: &Processes, rounds: usize, random: &mut Random) {
    for _ in 0..rounds {
        let foo = processes.connect().unwrap();
        call(&foo, random).unwrap();
        if random.below(2) == 0 {
            foo.remote().unwrap().disconnect();
        }
    }
}

/// Calls on one connection from several threads.
fn together(processes: &Processes, threads: u64, calls: usize) {
    let foo = processes.connect().unwrap();
    thread::scope(|scope| {
        for number in 0..threads {
            let foo = &foo;
            scope.spawn(move || {
                let mut random = Random(SEED ^ number);
                for _ in 0..calls {
                    call(foo, &mut random).unwrap();
                }
            });
        }
    });
}

/// Calls from threads with a connection each, which end at any time and from either side.
fn torn(processes: &Processes, threads: u64, calls: usize) {
    thread::scope(|scope| {
        for number in 0..threads {
            scope.spawn(move || {
                let mut random = Random(SEED ^ (number + 100));
                let mut foo = None;
                for _ in 0..calls {
                    let Some(connected) = &foo else {
                        foo = processes.connect().ok();
                        continue;
                    };
                    match random.below(16) {
                        0 => processes.disconnect_everyone(),
                        1 => connected.remote().unwrap().disconnect(),
                        2 => foo = None,
                        3 => {
                            // In the middle of a call.
                            let calling = connected.clone();
                            let called = thread::spawn(move || calling.call_fn_async_());
                            connected.remote().unwrap().disconnect();
                            bear(called.join().unwrap());
                        }
                        _ => bear(call(connected, &mut random)),
                    }
                    if foo
                        .as_ref()
                        .is_some_and(|foo| !foo.remote().unwrap().is_connected())
                    {
                        foo = None;
                    }
                }
            });
        }
    });
}

fn churn(scale: usize, threads: u64) {
    let processes = Processes::new();
    one_by_one(&processes, 20 * scale, &mut Random(SEED));
    together(&processes, threads, 30 * scale);
    torn(&processes, threads, 30 * scale);
}

fn entries(of: &str) -> usize {
    std::fs::read_dir(of).unwrap().count()
}

fn threads() -> usize {
    entries("/proc/self/task")
}

fn descriptors() -> usize {
    entries("/proc/self/fd")
}

/// Returns the resident memory, in bytes.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kibibytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kibibytes.parse::<usize>().unwrap() * 1024
}

#[test]
fn nothing_is_left_behind() {
    let seconds = std::env::var("SOAK_SECONDS").ok();
    match seconds.map(|seconds| Duration::from_secs(seconds.parse().unwrap())) {
        None => timed(|| soak(6, || churn(4, 6), || churn(8, 6))),
        Some(time) => {
            let half = || {
                let start = Instant::now();
                let mut rounds = 0;
                while start.elapsed() < time / 2 {
                    churn(4, 32);
                    rounds += 1;
                }
                println!("{rounds} rounds, {} MiB", memory() >> 20);
            };
            soak(32, half, half);
        }
    }
}

/// Asserts that after `warm` the process holds all that it will hold: `long` must add nothing, or
/// only the first time. A peak is reached once; a leak grows each time.
fn soak(at_once: u64, warm: impl Fn(), long: impl Fn()) {
    // What is made once, such as the test harness's threads.
    churn(1, at_once);
    let level = || (threads(), descriptors());
    // The first one's threads may still be ending.
    let mut before = level();
    for _ in 0..50 {
        thread::sleep(Duration::from_millis(10));
        let now = level();
        before = (before.0.min(now.0), before.1.min(now.1));
    }
    warm();
    let grow = || {
        let used = memory();
        long();
        eventually("threads end", || threads() <= before.0);
        eventually("descriptors are closed", || descriptors() <= before.1);
        memory().saturating_sub(used)
    };
    let grown = grow();
    if grown >= MEMORY_SLACK {
        let again = grow();
        assert!(again < MEMORY_SLACK, "{grown} bytes more, and then {again}");
    }
}
