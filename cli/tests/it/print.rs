//! `NAME:=print` through the real executable: objects that are hosted in a parameter's place and
//! print their calls.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::{Output, Running, Sandbox, ending_signals, poll};
use crate::foo::interfaces::foo::{FooCallback, FooInit, FooInterface};
use crate::implementation::Foo;
use bitcoin_ipc::{Address, Ipc, Listener, Result};

/// A program that serves the same object to everyone.
pub struct Program {
    pub address: String,
    foo: Arc<Foo>,
    _listener: Listener,
    ipc: Ipc<dyn FooInit>,
}

struct Init(Arc<Foo>);

impl FooInit for Init {
    fn make_foo(&self) -> Result<Option<Arc<dyn FooInterface>>> {
        Ok(Some(self.0.clone()))
    }
}

impl Program {
    pub fn new(sandbox: &Sandbox) -> Self {
        let foo = Arc::new(Foo::default());
        let ipc = Ipc::<dyn FooInit>::new("program", Arc::new(Init(foo.clone()))).unwrap();
        let address = format!("unix:{}", sandbox.path("foo.sock").display());
        let listener = ipc.listen(&address.parse::<Address>().unwrap()).unwrap();
        Self {
            address,
            foo,
            _listener: listener,
            ipc,
        }
    }

    fn command(&self, sandbox: &Sandbox, words: &[&str]) -> Command {
        let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/../schema/test/compiled.bin");
        let options = ["-a", self.address.as_str(), "--schema", schema];
        sandbox.ipc(&[&options[..], words].concat())
    }

    fn run(&self, sandbox: &Sandbox, words: &[&str]) -> Output {
        sandbox.start(self.command(sandbox, words)).wait()
    }

    fn start(&self, sandbox: &Sandbox, words: &[&str]) -> Running {
        sandbox.start(self.command(sandbox, words))
    }

    /// The callback that a client has given.
    fn saved(&self) -> Arc<dyn FooCallback> {
        poll("a saved callback", || self.foo.saved())
    }
}

fn line(number: u32, arg: i32) -> String {
    format!(
        "{{\"object\":\"FooCallback#{number}\",\"method\":\"call\",\"params\":{{\"arg\":{arg}}}}}\n"
    )
}

#[test]
fn calls_during_the_call_are_printed_before_its_result() {
    let sandbox = Sandbox::new();
    let program = Program::new(&sandbox);
    // The peer lets go of the object with the end of its method, so nothing more can come.
    let output = program.run(&sandbox, &["call", "callback", "callback:=print", "arg=7"]);
    output.expect(0, &(line(1, 7) + "0\n"));
    let words = ["call", "callbackExtended", "callback:=print", "arg=8"];
    let output = program.run(&sandbox, &words);
    let extended = "{\"object\":\"ExtendedCallback#1\",\"method\":\"callExtended\",\
                    \"params\":{\"arg\":8}}\n0\n";
    output.expect(0, extended);
    // Values as everywhere; an answer of text is empty.
    let output = program.run(&sandbox, &["call", "passTextFn", "fn:=print", "arg=hi"]);
    let call = "{\"object\":\"FooTextFn#1\",\"method\":\"call\",\"params\":{\"text\":\"hi\",\
                \"data\":\"64617461\",\"numbers\":[1,2],\"value\":{\"v1\":\"\",\"v2\":0}}}\n\n";
    output.expect(0, call);
    assert_eq!(output.stderr, "");
    sandbox.assert_clean();
}

#[test]
fn calls_that_come_later_are_printed_until_enough() {
    let sandbox = Sandbox::new();
    let program = Program::new(&sandbox);
    let save = ["call", "saveCallback", "callback:=print"];
    let running = program.start(&sandbox, &[&save[..], &["--count", "3"]].concat());
    let saved = program.saved();
    for arg in 1..=2 {
        assert_eq!(saved.call(arg).unwrap(), 0);
        // Each is there before it is answered.
        running.wait_for_stdout(&line(1, arg));
    }
    assert_eq!(saved.call(3).unwrap(), 0, "the last call is answered too");
    running
        .wait()
        .expect(0, &(line(1, 1) + &line(1, 2) + &line(1, 3)));

    let running = program.start(&sandbox, &[&save[..], &["--for", "300ms"]].concat());
    let output = running.wait();
    output.expect(0, "");
    assert!(output.took.as_millis() >= 250, "{output:?}");
}

#[test]
fn the_peer_ends_it() {
    let sandbox = Sandbox::new();
    let program = Program::new(&sandbox);
    let save = ["call", "saveCallback", "callback:=print"];
    // By destroying the object.
    let running = program.start(&sandbox, &save);
    let saved = program.saved();
    saved.call(5).unwrap();
    drop(saved);
    program.foo.forget();
    let output = running.wait();
    output.expect(0, &line(1, 5));
    assert_eq!(output.stderr, "");
    // By going away.
    let running = program.start(&sandbox, &save);
    drop(program.saved());
    program.ipc.disconnect_incoming();
    running.wait().expect_error(66, &["disconnected"]);
}

#[test]
fn a_signal_ends_it() {
    let sandbox = Sandbox::new();
    let program = Program::new(&sandbox);
    for (signal, code) in ending_signals() {
        program.foo.forget();
        let running = program.start(&sandbox, &["call", "saveCallback", "callback:=print"]);
        program.saved().call(1).unwrap();
        running.wait_for_stdout(&line(1, 1));
        running.signal(signal);
        let output = running.wait();
        output.expect(code, &line(1, 1));
        assert_eq!(output.stderr, "");
    }
    sandbox.assert_clean();
}

/// A call that goes on for as long as it calls back.
#[test]
fn a_call_that_does_not_end_is_ended_by_the_count() {
    let sandbox = Sandbox::new();
    let program = Program::new(&sandbox);
    let foo = Arc::downgrade(&program.foo);
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = calls.clone();
    program.foo.set_int_fn(move |arg| {
        while let Some(saved) = foo.upgrade().and_then(|foo| foo.saved()) {
            if saved.call(arg).is_err() {
                break;
            }
            counter.fetch_add(1, Ordering::SeqCst);
        }
        0
    });
    let words = [
        "call",
        "callback",
        "callback:=print",
        "arg=1",
        "--count",
        "1",
    ];
    program.run(&sandbox, &words).expect(0, &line(1, 1));
    // In one session, so that the object outlives the first call.
    let mut command = program.command(&sandbox, &["call"]);
    command.stdin(Stdio::piped());
    let mut running = sandbox.start(command);
    let mut stdin = running.child.stdin.take().unwrap();
    writeln!(stdin, "saveCallback callback:=print\ncallIntFnAsync 9").unwrap();
    running.wait_for_stdout(&line(1, 9).repeat(3));
    assert!(calls.load(Ordering::SeqCst) >= 2);
    program.foo.forget();
    running.wait_for_stdout("\n0\n");
    drop(stdin);
    assert_eq!(running.wait().code, 0);
}

#[test]
fn a_session_prints_for_as_long_as_it_lives() {
    let sandbox = Sandbox::new();
    let program = Program::new(&sandbox);
    let mut command = program.command(&sandbox, &["call"]);
    command.stdin(Stdio::piped());
    let mut running = sandbox.start(command);
    let mut stdin = running.child.stdin.take().unwrap();
    writeln!(stdin, "saveCallback callback:=print").unwrap();
    running.wait_for_stdout("null\n");
    let saved = program.saved();
    saved.call(1).unwrap();
    running.wait_for_stdout(&line(1, 1));
    // The same object again, by its handle; a later one has another.
    writeln!(
        stdin,
        ".caps\ncallback FooCallback#1 2\ncallback callback:=print 3"
    )
    .unwrap();
    running.wait_for_stdout(&(line(1, 2) + "0\n" + &line(2, 3) + "0\n"));
    assert_eq!(running.stderr(), "FooCallback#1  FooCallback\n");
    // Once released it is silent, and the peer notices nothing.
    writeln!(stdin, ".release FooCallback#1\nadd 1 1").unwrap();
    running.wait_for_stdout("\n2\n");
    assert_eq!(saved.call(4).unwrap(), 0);
    writeln!(stdin, "add 2 2").unwrap();
    running.wait_for_stdout("\n4\n");
    drop(stdin);
    let output = running.wait();
    let printed = line(1, 1) + &line(1, 2) + "0\n" + &line(2, 3) + "0\n";
    output.expect(0, &format!("null\n{printed}2\n4\n"));
}

#[test]
fn a_held_object_is_a_value() {
    let sandbox = Sandbox::new();
    let program = Program::new(&sandbox);
    let lines = "f = passCallback callback:=print\nm = makeFoo\nmakeCallbacks 5\n\
                 callback FooCallback#2 10\ncallback callback=f arg=3\n\
                 callback callback=m 1\n";
    let file = sandbox.write("input", lines);
    let mut command = program.command(&sandbox, &["call"]);
    command.stdin(std::fs::File::open(file).unwrap());
    let output = sandbox.start(command).wait();
    let printed = "{\"object\":\"f\",\"method\":\"call\",\"params\":{\"arg\":3}}\n";
    let made = "{\"first\":\"FooCallback#2\",\"second\":\"FooCallback#3\"}\n15\n";
    let shown = format!("\"f\"\n\"FooInterface#1\"\n{made}{printed}0\n");
    assert_eq!(
        output
            .stdout
            .replace("\"m\"", "\"FooInterface#1\"")
            .replace("\"FooCallback#1\"", "\"f\""),
        shown,
        "{output:?}"
    );
    output.expect_error(
        2,
        &[
            "line 6: ",
            "cannot be \"m\"",
            "is of FooInterface, not of FooCallback",
        ],
    );
}

#[test]
fn lines_and_repetitions_host_an_object_for_each_call() {
    let sandbox = Sandbox::new();
    let program = Program::new(&sandbox);
    let words = [
        "call",
        "callback",
        "callback:=print",
        "arg=1",
        "--repeat",
        "2",
    ];
    let output = program.run(&sandbox, &words);
    output.expect(0, &(line(1, 1) + "0\n" + &line(2, 1) + "0\n"));
    let file = sandbox.write("lines", "arg=1\narg=2\n");
    let words = [
        "call",
        "callback",
        "callback:=print",
        "--each",
        file.to_str().unwrap(),
    ];
    let output = program.run(&sandbox, &words);
    output.expect(0, &(line(1, 1) + "0\n" + &line(2, 2) + "0\n"));
}

#[test]
fn nobody_who_reads_is_an_end_in_silence() {
    let sandbox = Sandbox::new();
    let program = Program::new(&sandbox);
    let mut command = program.command(&sandbox, &["call", "saveCallback", "callback:=print"]);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap();
    drop(child.stdout.take());
    program.saved().call(1).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

#[test]
fn what_cannot_be_printed_is_explained() {
    let sandbox = Sandbox::new();
    let program = Program::new(&sandbox);
    let output = program.run(&sandbox, &["call", "callback", "print", "1"]);
    output.expect_error(2, &["parameter callback (FooCallback) cannot be \"print\""]);
    assert!(
        output.stderr.contains("callback:=print hosts"),
        "{output:?}"
    );
    let output = program.run(&sandbox, &["call", "add", "a:=print", "b=1"]);
    output.expect_error(
        2,
        &["parameter a (Int32) cannot be \"print\": only an interface's"],
    );
    for option in [["--count", "1"], ["--for", "1s"]] {
        let output = program.run(
            &sandbox,
            &[&["call", "add", "1", "2"], &option[..]].concat(),
        );
        output.expect_error(2, &[option[0], "NAME:=print"]);
        let words = [
            &["call", "passFn", "fn:=print", "--repeat", "2"],
            &option[..],
        ]
        .concat();
        program.run(&sandbox, &words).expect_error(2, &[option[0]]);
    }
    program
        .run(&sandbox, &["call", "passFn", "fn:=print", "--count", "0"])
        .expect_error(2, &["--count"]);
}
