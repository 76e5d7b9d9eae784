//! pycapnp as the server of clients here. The judging is done here; what the server saw, it prints.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bitcoin_ipc::call::CallOptions;
use bitcoin_ipc::interfaces::echo::Echo;
use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::interfaces::mining::{
    BlockCheckOptions, BlockCreateOptions, BlockWaitOptions, Mining,
};
use bitcoin_ipc::roles::Role;
use bitcoin_ipc::{
    Address, BlockHash, Error, Ipc, Limits, MerkleHash, RemoteKind, Result, Txid, Wtxid, cast,
};

use crate::foo::interfaces::foo::*;
use crate::python::{Process, pycapnp};
use crate::support::{eventually, timed};

/// A server in Python, listening. Killed and removed when dropped.
pub struct Server {
    pub process: Process,
    pub address: Address,
    _folder: tempfile::TempDir,
}

impl Server {
    pub fn start(python: &Path, kind: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("py.sock");
        let process = Process::script(python, "server.py", &[kind.as_ref(), socket.as_os_str()]);
        process.wait_line("ready", |line| line == "ready");
        Self {
            process,
            address: Address::Unix(Some(socket)),
            _folder: folder,
        }
    }

    pub fn core(&self) -> Arc<dyn Init> {
        let ipc = Ipc::new("rust", Role::Gui.init()).unwrap();
        ipc.connect(&self.address).unwrap().unwrap()
    }

    pub fn foo(&self) -> (Arc<dyn FooInit>, Arc<dyn FooInterface>) {
        let ipc = Ipc::<dyn FooInit>::new("rust", Arc::new(NoInit)).unwrap();
        let init = ipc.connect(&self.address).unwrap().unwrap();
        let foo = init.make_foo().unwrap().unwrap();
        (init, foo)
    }

    /// The words of the first line that begins with these.
    pub fn line(&self, start: &str) -> Vec<String> {
        let line = self
            .process
            .wait_line(start, |line| line.starts_with(start));
        line.split(' ').map(str::to_owned).collect()
    }
}

/// Has nothing to offer.
struct NoInit;

impl FooInit for NoInit {
    fn make_foo(&self) -> Result<Option<Arc<dyn FooInterface>>> {
        Ok(None)
    }
}

/// Runs a test against a server of this kind.
pub fn with_server(kind: &'static str, test: impl FnOnce(&mut Server) + Send + 'static) {
    let Some(python) = pycapnp() else { return };
    timed(move || test(&mut Server::start(python, kind)));
}

pub fn failed(result: Result<impl Sized>) -> String {
    match result.map(|_| ()) {
        Err(Error::Remote {
            kind: RemoteKind::Failed,
            text,
        }) => text,
        other => panic!("no exception of kind failed: {other:?}"),
    }
}

#[test]
fn echo() {
    with_server("32", |server| {
        let init = server.core();
        let echo = init.make_echo().unwrap().unwrap();
        let long = "x".repeat(1 << 20);
        for text in ["hi", "", "ä€😀", "a\0b", &long] {
            assert_eq!(echo.echo(text).unwrap(), text);
        }
        assert_eq!(server.process.count(|line| line == "construct"), 1);
    });
}

/// The methods of this server say when they run, whatever thread a call names.
#[test]
fn objects_tell_which_interfaces_they_have() {
    with_server("32", |server| {
        let init = server.core();
        let mining = init.make_mining().unwrap().unwrap();
        let before = server.process.lines().len();
        assert!(cast::<dyn Mining>(&mining).unwrap().is_some());
        assert!(cast::<dyn Echo>(&mining).unwrap().is_none());
        assert!(cast::<dyn Init>(&init).unwrap().is_some());
        assert!(cast::<dyn Mining>(&init).unwrap().is_none());
        assert!(mining.is_test_chain().unwrap());
        let since = || server.process.lines().split_off(before);
        eventually("the call that was made", || !since().is_empty());
        let lines = since();
        assert!(
            lines.iter().all(|line| line.contains("isTestChain")),
            "{lines:?}"
        );
    });
}

#[test]
fn one_thread_here_is_one_thread_there() {
    with_server("32", |server| {
        let init = server.core();
        let echo = init.make_echo().unwrap().unwrap();
        let calls = |server: &Server| {
            let lines = server.process.lines().into_iter();
            lines
                .filter(|line| line.starts_with("call Echo"))
                .collect::<Vec<_>>()
        };
        echo.echo("1").unwrap();
        echo.echo("2").unwrap();
        eventually("two calls", || calls(server).len() == 2);
        thread::Builder::new()
            .name("other".into())
            .spawn({
                let echo = echo.clone();
                move || echo.echo("3").unwrap()
            })
            .unwrap()
            .join()
            .unwrap();
        eventually("three calls", || calls(server).len() == 3);
        let calls = calls(server);
        assert_eq!(calls[0], calls[1]);
        assert_ne!(calls[0], calls[2]);
        // `py-1/1 (from <exe>-<pid>/<thread>-<tid>)`, and for callbacks the same thread.
        let pid = std::process::id();
        let tid = rustix::thread::gettid().as_raw_nonzero();
        let mine = format!("rust-{pid}/test-{tid}");
        assert!(
            calls[0].ends_with(&format!("(from {mine}) back {mine}")),
            "{calls:?}"
        );
        assert!(
            calls[2].contains(&format!("(from rust-{pid}/other-")),
            "{calls:?}"
        );
    });
}

#[test]
fn the_typed_interfaces() {
    with_server("32", |server| {
        let init = server.core();
        let bytes: [u8; 32] = std::array::from_fn(|index| u8::try_from(index).unwrap());
        let tip = BlockHash(bytes);
        let mining = init.make_mining().unwrap().unwrap();
        assert!(mining.is_test_chain().unwrap());
        assert_eq!(mining.get_tip().unwrap(), None);
        let block = mining.get_tip().unwrap().unwrap();
        assert_eq!((block.hash, block.height), (tip, 101));
        let block = mining
            .wait_tip_changed(tip, Duration::MAX)
            .unwrap()
            .unwrap();
        assert_eq!((block.hash, block.height), (tip, 7));
        // The first slice.
        assert_eq!(server.line("waitTipChanged")[1], "1000.0");
        let checked = mining
            .check_block(&[0; 10], &BlockCheckOptions::default())
            .unwrap();
        assert_eq!(
            (
                checked.reason.as_str(),
                checked.debug.as_str(),
                checked.result
            ),
            ("bad-blk", "10 bytes", false)
        );
        mining.interrupt().unwrap();
        server.line("interrupt");
        let reversed = mining.get_transactions_by_tx_id(&[Txid(bytes), Txid::default()]);
        let backwards: Vec<u8> = bytes.into_iter().rev().collect();
        assert_eq!(reversed.unwrap(), [backwards, vec![0; 32]]);
        assert_eq!(
            mining
                .get_transactions_by_witness_id(&[Wtxid(bytes)])
                .unwrap(),
            [Vec::<u8>::new()]
        );

        let options = BlockCreateOptions::default().use_mempool(false);
        let template = mining.create_new_block(&options, true).unwrap().unwrap();
        assert_eq!(
            server.line("options"),
            ["options", "False", "8000", "400", "True"]
        );
        assert_eq!(template.get_block_header().unwrap(), [1; 80]);
        assert_eq!(template.get_tx_fees().unwrap(), [1, -2, 1 << 62]);
        assert_eq!(
            template.get_coinbase_merkle_path().unwrap(),
            [MerkleHash(bytes), MerkleHash(bytes)]
        );
        let coinbase = template.get_coinbase_tx().unwrap();
        assert_eq!((coinbase.version, coinbase.sequence), (2, u32::MAX - 1));
        assert_eq!(coinbase.block_reward_remaining, 5_000_000_000);
        assert_eq!(coinbase.required_outputs.len(), 1);
        assert_eq!(coinbase.witness, [0; 32]);
        // Null is none.
        assert!(
            template
                .wait_next(&BlockWaitOptions::default())
                .unwrap()
                .is_none()
        );
        server.line("waitNext 1000.0 2100000000000000");
        let answer = template.submit_solution(1, 2, 3, b"coinbase").unwrap();
        assert_eq!((answer.reason.as_str(), answer.result), ("bad-cb", false));
        // The server has no such method although its schema does.
        assert!(failed(template.get_block()).contains("getBlock"));
        let rpc = init.make_rpc().unwrap().unwrap();
        assert_eq!(rpc.execute_rpc("{}", "/", "me").unwrap(), "me@/: {}");
    });
}

#[test]
fn null_results() {
    with_server("bare", |server| {
        let init = server.core();
        assert!(init.make_mining().unwrap().is_none());
        assert!(init.make_rpc().unwrap().is_none());
        assert!(init.make_echo().unwrap().is_some());
    });
}

#[test]
fn exceptions() {
    with_server("32", |server| {
        let init = server.core();
        let text = failed(init.make_mining_old2());
        assert!(
            text.contains("Old mining interface (@2) not supported."),
            "{text}"
        );
        assert!(!text.starts_with("remote exception"), "{text}");
        let echo = init.make_echo().unwrap().unwrap();
        assert!(failed(echo.echo("fail")).contains("ValueError: this echo fails"));
        let Err(Error::Conversion { field, reason }) = echo.echo("invalid") else {
            panic!("text that is not UTF-8 was taken")
        };
        assert_eq!(field, "Echo.echo.result");
        assert!(reason.contains("UTF-8"), "{reason}");
        assert_eq!(echo.echo("fine").unwrap(), "fine");
    });
}

#[test]
fn destroy_is_called_once() {
    with_server("32", |server| {
        let init = server.core();
        let first = init.make_echo().unwrap().unwrap();
        let second = init.make_echo().unwrap().unwrap();
        let clones: Vec<_> = (0..10).map(|_| first.clone()).collect();
        drop(first);
        second.echo("1").unwrap();
        assert_eq!(server.process.count(|line| line.starts_with("destroy")), 0);
        // The last one goes on another thread, which has none of its own there.
        thread::spawn(move || drop(clones)).join().unwrap();
        server.line("destroy Echo-1");
        server.line("freed Echo-1");
        drop(second);
        server.line("freed Echo-2");
        // Objects that are left when the connection is let go of are destroyed, too.
        let third = init.make_echo().unwrap().unwrap();
        drop((third, init));
        server.line("disconnected");
        for number in 1..=3 {
            let line = format!("destroy Echo-{number}");
            assert_eq!(server.process.count(|printed| printed == line), 1, "{line}");
        }
    });
}

#[test]
fn a_server_that_dies() {
    with_server("32", |server| {
        let init = server.core();
        let echo = init.make_echo().unwrap().unwrap();
        let (sender, receiver) = mpsc::channel();
        thread::spawn({
            let echo = echo.clone();
            move || sender.send((echo.echo("hang"), Instant::now()))
        });
        server.line("call Echo-1 echo");
        let killed = Instant::now();
        server.process.kill();
        let (result, at) = receiver.recv_timeout(Duration::from_secs(20)).unwrap();
        assert!(matches!(result, Err(Error::Disconnected(_))), "{result:?}");
        assert!(at - killed < Duration::from_secs(5), "{:?}", at - killed);
        let now = Instant::now();
        assert!(matches!(echo.echo("hi"), Err(Error::Disconnected(_))));
        assert!(matches!(init.make_echo(), Err(Error::Disconnected(_))));
        assert!(now.elapsed() < Duration::from_secs(5));
        let remote = echo.remote().unwrap();
        assert!(!remote.is_connected());
        assert!(remote.wait_disconnected(Some(Duration::ZERO)));
        drop((echo, init));
    });
}

#[test]
fn a_call_without_an_answer() {
    with_server("32", |server| {
        let init = server.core();
        let echo = init.make_echo().unwrap().unwrap();
        let limit = Duration::from_millis(200);
        let before = Instant::now();
        let result = CallOptions::new().timeout(limit).run(|| echo.echo("hang"));
        let Err(Error::Timeout { what, after }) = result else {
            panic!("{result:?}")
        };
        assert!(before.elapsed() >= limit && before.elapsed() < Duration::from_secs(5));
        assert_eq!((what.as_str(), after), ("Echo.echo", limit));
        // The thread's next call is answered, although the first one still runs.
        assert_eq!(echo.echo("next").unwrap(), "next");
    });
}

#[test]
fn a_server_without_a_handshake() {
    with_server("mute", |server| {
        let limit = Duration::from_millis(300);
        let limits = Limits::default().handshake_time(limit);
        let ipc = Ipc::with_limits("rust", Role::Gui.init(), limits).unwrap();
        let before = Instant::now();
        match ipc.connect(&server.address).map(|_| ()) {
            Err(Error::Timeout { what, after }) => {
                assert_eq!(what, "the peer's answer to Init.construct");
                assert_eq!(after, limit);
            }
            other => panic!("{other:?}"),
        }
        assert!(before.elapsed() < Duration::from_secs(5));
    });
}

#[test]
fn values() {
    with_server("foo", |server| {
        let (_init, foo) = server.foo();
        let data: Vec<u8> = (0..=255).cycle().take(8 << 20).collect();
        assert!(foo.pass_data(&data).unwrap() == data);
        assert_eq!(foo.pass_text("ä\0€").unwrap(), "ä\0€");
        assert_eq!(
            foo.pass_numbers(&FooNumbers::default()).unwrap(),
            FooNumbers::default()
        );
        let lists = FooLists {
            voids: vec![(); 3],
            bools: vec![true, false],
            int64s: vec![i64::MIN, i64::MAX],
            texts: vec![String::new(), "ä".into()],
            datas: vec![vec![], vec![0, 255]],
            enums: vec![FooEnum::Blue, FooEnum::Red],
            lists_of_texts: vec![vec!["a".into()], vec![]],
            lists_of_lists_of_data: vec![vec![vec![vec![1]], vec![]], vec![]],
            ..FooLists::default()
        };
        assert_eq!(foo.pass_lists(&lists).unwrap(), lists);
        assert_eq!(foo.pass_optional(Some(0)).unwrap(), Some(0));
        assert_eq!(foo.pass_optional(None).unwrap(), None);
        assert_eq!(
            foo.pass_defaults(7, f64::MAX, "ä", true).unwrap(),
            "7 1.79769e+308 ä True"
        );
        assert_eq!(foo.raise_or(true, 5).unwrap(), Err("5".to_owned()));
        assert_eq!(foo.raise_or(false, 5).unwrap(), Ok(5));
    });
}

#[test]
fn async_calls() {
    with_server("foo", |server| {
        let (_init, foo) = server.foo();
        let calls: Vec<_> = (0..50).map(|number| foo.add_async(number, 1)).collect();
        let answers = futures::executor::block_on(futures::future::join_all(calls));
        for (number, answer) in (0..50).zip(answers) {
            assert_eq!(answer.unwrap(), number + 1);
        }
        // Its callback runs on a thread of its own kind, while this one waits for the future.
        let this = thread::current().id();
        let call = foo.callback_async(
            Some(Arc::new(move |arg: i32| {
                assert_ne!(thread::current().id(), this);
                Ok(arg + 1)
            })),
            1,
        );
        assert_eq!(futures::executor::block_on(call).unwrap(), 2);
    });
}

/// Many threads at once, each with its own thread in the server.
#[test]
fn many_threads() {
    with_server("foo", |server| {
        let (_init, foo) = server.foo();
        thread::scope(|scope| {
            for number in 0..30 {
                let foo = &foo;
                scope.spawn(move || {
                    let this = thread::current().id();
                    for _ in 0..5 {
                        let callback = move |arg: i32| {
                            assert_eq!(thread::current().id(), this);
                            Ok(arg)
                        };
                        let answer = foo.callback(Some(Arc::new(callback)), number);
                        assert_eq!(answer.unwrap(), number);
                    }
                });
            }
        });
    });
}
