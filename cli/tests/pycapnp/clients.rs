//! pycapnp as the client of a server here. Python makes the calls and judges the answers.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::time::Duration;

use bitcoin_ipc::{Address, Ipc, Limits, Result};

use crate::foo::interfaces::foo::{FooInit, FooInterface};
use crate::python::{Process, pycapnp};
use crate::support::{Foo, eventually, timed};

/// Fewer than by default, so that a scenario can have them all.
const THREADS: usize = 32;

/// How long a scenario may take; it has a shorter limit of its own.
const TIME: Duration = Duration::from_secs(40);

/// Serves objects under test and counts them.
#[derive(Default)]
struct TestInit {
    alive: Arc<AtomicUsize>,
    running: Arc<Running>,
}

/// The calls that run in one process.
#[derive(Default)]
struct Running {
    count: Mutex<Count>,
    changed: Condvar,
}

#[derive(Default)]
struct Count {
    running: i32,
    met: bool,
    holding: i32,
    released: bool,
}

impl Running {
    /// Waits until two calls are here at once; gives how many have been.
    fn meet(&self) -> i32 {
        let mut count = self.count.lock().unwrap();
        count.running += 1;
        count.met |= count.running == 2;
        self.changed.notify_all();
        let (mut count, _) = self
            .changed
            .wait_timeout_while(count, Duration::from_secs(10), |count| !count.met)
            .unwrap();
        count.running -= 1;
        1 + i32::from(count.met)
    }

    /// Takes a moment; gives how many calls ran meanwhile.
    fn count(&self) -> i32 {
        self.count.lock().unwrap().running += 1;
        std::thread::sleep(Duration::from_millis(5));
        let mut count = self.count.lock().unwrap();
        let most = count.running;
        count.running -= 1;
        most
    }

    /// Blocks until the test lets it go.
    fn hold(&self) -> i32 {
        let mut count = self.count.lock().unwrap();
        count.holding += 1;
        drop(
            self.changed
                .wait_while(count, |count| !count.released)
                .unwrap(),
        );
        0
    }

    fn release(&self) {
        self.count.lock().unwrap().released = true;
        self.changed.notify_all();
    }
}

fn runs(tid: i32) -> bool {
    Path::new(&format!("/proc/self/task/{tid}")).exists()
}

impl FooInit for TestInit {
    fn make_foo(&self) -> Result<Option<Arc<dyn FooInterface>>> {
        self.alive.fetch_add(1, Ordering::SeqCst);
        let mut foo = Foo::default();
        foo.alive = Some(self.alive.clone());
        let foo = Arc::new(foo);
        let weak = Arc::downgrade(&foo);
        let (alive, running) = (self.alive.clone(), self.running.clone());
        foo.set_int_fn(move |what| match what {
            0 => i32::try_from(alive.load(Ordering::SeqCst)).unwrap(),
            1 => rustix::thread::gettid().as_raw_nonzero().get(),
            2 => running.meet(),
            3 => running.count(),
            4 => call_saved(&weak),
            5 => running.hold(),
            6 => running.count.lock().unwrap().holding,
            tid if tid < 0 => i32::from(runs(-tid)),
            _ => panic!("as it was told to"),
        });
        Ok(Some(foo))
    }
}

/// Calls the saved callback from a thread that executes no request.
fn call_saved(foo: &Weak<Foo>) -> i32 {
    let foo = foo.upgrade().unwrap();
    std::thread::Builder::new()
        .name("saved".into())
        .spawn(move || foo.callback_saved(7).unwrap())
        .unwrap()
        .join()
        .unwrap()
}

/// Runs a scenario of `client.py` to its good end; gives what it printed.
pub fn scenario(python: &Path, name: &str, socket: &Path) -> Vec<String> {
    scenario_of(python, "client.py", name, socket)
}

/// Runs a scenario of a script.
fn scenario_of(python: &Path, script: &str, name: &str, socket: &Path) -> Vec<String> {
    let args = [OsStr::new(name), socket.as_os_str()];
    let mut process = Process::script(python, script, &args);
    let status = process.wait(TIME);
    let (stdout, stderr) = process.output();
    assert!(
        status.is_some_and(|status| status.success()),
        "{name}: {status:?}\n{stdout}\n{stderr}"
    );
    assert_eq!(stderr, "", "{name}");
    process.lines()
}

/// A scenario against the library with the test schema. Afterwards nothing of the client is left:
/// no connection, no object, no thread.
pub fn with_foo(script: &'static str, name: &'static str) {
    let Some(python) = pycapnp() else { return };
    timed(move || {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("foo.sock");
        let init = Arc::new(TestInit::default());
        let limits = Limits::default().threads_per_connection(THREADS);
        let ipc = Ipc::<dyn FooInit>::with_limits("mptest", init.clone(), limits).unwrap();
        let listener = ipc.listen(&Address::Unix(Some(socket.clone()))).unwrap();
        let printed = scenario_of(python, script, name, &socket);
        eventually("no connection is left", || ipc.incoming() == 0);
        if printed.iter().any(|line| line == "held") {
            // An object is not destroyed while its method runs.
            assert_eq!(init.alive.load(Ordering::SeqCst), 1);
            init.running.release();
        }
        eventually("no object is left", || {
            init.alive.load(Ordering::SeqCst) == 0
        });
        for line in printed {
            if let Some(tid) = line.strip_prefix("tid ") {
                let tid = tid.parse().unwrap();
                eventually("no thread is left", || !runs(tid));
            }
        }
        drop(listener);
        assert!(!socket.exists());
    });
}

macro_rules! scenarios {
    ($script:literal $($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                $crate::clients::with_foo($script, stringify!($name));
            }
        )*
    };
}
pub(crate) use scenarios;

scenarios! {
    "client.py"
    thread_names
    two_threads_run_at_once
    one_thread_is_sequential
    callbacks
    nested_callbacks
    extended_callback
    saved_callbacks
    callback_errors
    objects_come_back
    errors
    pool
    destroy_frees_at_once
    dropped_threads_end
    threads_without_end
    texts
    values
    big_data
    pipelined_calls
    disconnect_during_a_call
    disconnect_during_a_callback
    many_clients
}

/// Core's own `Init`, as a node without a chain serves it.
#[test]
fn core_init() {
    let Some(python) = pycapnp() else { return };
    timed(move || {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("node.sock");
        let ipc = Ipc::new("mptest", bitcoin_ipc::roles::Role::Node.init()).unwrap();
        let _listener = ipc.listen(&Address::Unix(Some(socket.clone()))).unwrap();
        scenario(python, "core_init", &socket);
        eventually("no connection is left", || ipc.incoming() == 0);
    });
}
