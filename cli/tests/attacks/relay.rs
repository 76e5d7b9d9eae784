//! Attacks on the relay that `spawn … -- COMMAND` puts between its child and many clients.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bitcoin_ipc::interfaces::echo::Echo;
use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::interfaces::mining::Mining;
use bitcoin_ipc::{Ipc, Result};

use crate::bystander::{Bystander, undisturbed};
use crate::common::{EXE, LIMIT, Running, Sandbox, poll};
use crate::frames::{Answer, Client, Target, echo, make_echo, make_thread};
use crate::{alone, entries};

/// Makes this test's process a child of a relay: its descriptor, and a file whose presence ends the
/// calls that are not answered before.
const CHILD: &str = "CLI_ATTACKS_CHILD";
const OVER: &str = "CLI_ATTACKS_OVER";

/// The argument that the child does not answer.
const NEVER: &str = "never";

/// The child of a relay that does not answer every call, where a script of [`Relay::with_script`]
/// starts this program; does nothing otherwise.
#[test]
fn a_child_that_does_not_answer_every_call() {
    let Some(fd) = std::env::var_os(CHILD) else {
        return;
    };
    let over = PathBuf::from(std::env::var_os(OVER).unwrap());
    let ipc = Ipc::<dyn Init>::new("child", Arc::new(Child(over))).unwrap();
    let args = ["child".into(), "-ipcfd".into(), fd];
    ipc.start_spawned(&args, || ()).unwrap();
}

struct Child(PathBuf);

impl Echo for Child {
    fn echo(&self, echo: &str) -> Result<String> {
        let begin = Instant::now();
        while echo == NEVER && !self.0.exists() && begin.elapsed() < 2 * LIMIT {
            thread::sleep(Duration::from_millis(10));
        }
        Ok(echo.into())
    }
}

impl Init for Child {
    fn make_echo(&self) -> Result<Option<Arc<dyn Echo>>> {
        Ok(Some(Arc::new(Self(self.0.clone()))))
    }

    fn make_mining(&self) -> Result<Option<Arc<dyn Mining>>> {
        Ok(None)
    }
}

/// A relay whose command waits for the end of its input.
struct Relay {
    running: Running,
    path: PathBuf,
    address: String,
    over: PathBuf,
    sandbox: Sandbox,
}

impl Relay {
    /// Starts a relay in front of a node.
    fn new() -> Self {
        let sandbox = Sandbox::new();
        Self::start(sandbox, Path::new("node"))
    }

    /// Starts a relay in front of [`a_child_that_does_not_answer_every_call`].
    fn with_unanswered() -> Self {
        let sandbox = Sandbox::new();
        let program = std::env::current_exe().unwrap();
        let test = "relay::a_child_that_does_not_answer_every_call";
        let script = format!(
            "#!/bin/sh\n{CHILD}=$2 {OVER}={} exec {} --exact {test} >/dev/null\n",
            sandbox.path("over").display(),
            program.display(),
        );
        let child = sandbox.script("child", &script);
        Self::start(sandbox, &child)
    }

    fn start(sandbox: Sandbox, child: &Path) -> Self {
        // So few descriptors that 200 clients cannot each leave one behind.
        let script = "ulimit -n 128; exec \"$@\"";
        let inner = "echo $BITCOIN_IPC_ADDRESS; read line";
        let mut command = sandbox.command("sh");
        command.args(["-c", script, "sh", EXE, "spawn"]).arg(child);
        command
            .args(["--", "sh", "-c", inner])
            .stdin(Stdio::piped());
        let running = sandbox.start(command);
        running.wait_for_stdout("\n");
        let address = running.stdout().trim().to_owned();
        let path = address.strip_prefix("unix:").unwrap().into();
        let over = sandbox.path("over");
        Self {
            running,
            path,
            address,
            over,
            sandbox,
        }
    }

    fn descriptors(&self) -> usize {
        entries(self.running.child.id(), "fd")
    }

    fn bystander(&self) -> Bystander {
        Bystander::start(&self.sandbox, &self.path)
    }

    /// Checks that a call of another process is answered.
    #[track_caller]
    fn serves(&self) {
        let call = ["-a", &self.address, "call", "echo", "hi"];
        self.sandbox.run(&call).expect(0, "hi\n");
    }

    fn end(mut self) {
        // The calls that are not answered end, and so does the command.
        std::fs::write(&self.over, "").unwrap();
        drop(self.running.child.stdin.take());
        let code = self.running.wait();
        // `read` fails at the end of input.
        assert_eq!(code.code, 1, "{code:#?}");
        self.sandbox.assert_clean();
    }
}

/// Counts the objects in answers; every other answer must be an error about too many.
fn objects(answers: &[Answer]) -> usize {
    let is_object = |answer: &&Answer| match answer {
        Answer::Object(_) => true,
        Answer::Exception(reason) => {
            assert!(reason.contains("too many"), "{reason}");
            false
        }
        other => panic!("{other:?}"),
    };
    answers.iter().filter(is_object).count()
}

#[test]
fn one_clients_threads_leave_some_to_others() {
    let _alone = alone();
    undisturbed(|| {
        let relay = Relay::new();
        let bystander = relay.bystander();
        let (measured, (client, made)) = bystander.measure(|| {
            let mut client = Client::new(&relay.path).unwrap();
            let map = Target::Import(client.thread_map);
            let answers = client
                .ask_all(255, |question| make_thread(question, map))
                .unwrap();
            (client, objects(&answers))
        });
        assert!((16..128).contains(&made), "{made} threads");
        relay.serves();
        drop((bystander, client));
        relay.end();
        measured
    });
}

#[test]
fn one_clients_objects_leave_some_to_others() {
    let _alone = alone();
    undisturbed(|| {
        let relay = Relay::new();
        let bystander = relay.bystander();
        let (measured, (client, made)) = bystander.measure(|| {
            let (mut client, thread, _) = Client::with_echo(&relay.path).unwrap();
            let init = Target::Import(client.init);
            let mut made = 0;
            // Few enough at once that none is refused for that.
            for _ in 0..9_996 / 196 {
                let answers = client.ask_all(196, |question| make_echo(question, init, thread));
                made += objects(&answers.unwrap());
            }
            (client, made)
        });
        assert!((1_000..5_000).contains(&made), "{made} objects");
        relay.serves();
        drop((bystander, client));
        relay.end();
        measured
    });
}

#[test]
fn one_clients_unanswered_calls_leave_some_to_others() {
    let _alone = alone();
    undisturbed(|| {
        let relay = Relay::with_unanswered();
        let bystander = relay.bystander();
        let (measured, client) = bystander.measure(|| {
            let (mut client, thread, object) = Client::with_echo(&relay.path).unwrap();
            // It goes on until a good part was refused, which is answered at once.
            let mut refused = 0;
            for _ in 0..1_000 {
                let question = client.next();
                let call = echo(question, Target::Import(object), thread, NEVER);
                client.send(&call).unwrap();
                if question > 400 {
                    let (_, answer) = client.next_answer().unwrap();
                    assert!(matches!(answer, Answer::Exception(_)), "{answer:?}");
                    refused += 1;
                }
            }
            assert!(refused > 400, "{refused} refused");
            client
        });
        relay.serves();
        drop((bystander, client));
        relay.end();
        measured
    });
}

#[test]
fn clients_that_leave_in_a_call_leave_no_descriptor() {
    let _alone = alone();
    undisturbed(|| {
        let relay = Relay::with_unanswered();
        let bystander = relay.bystander();
        let before = relay.descriptors();
        let (measured, ()) = bystander.measure(|| {
            for index in 0..200 {
                let client = Client::with_echo(&relay.path);
                let (mut client, thread, object) = client.unwrap_or_else(|error| {
                    panic!("client {index} is not served: {error}");
                });
                let question = client.next();
                client
                    .send(&echo(question, Target::Import(object), thread, NEVER))
                    .unwrap();
                thread::sleep(Duration::from_millis(2));
            }
        });
        poll("the descriptors of clients that left", || {
            (relay.descriptors() <= before).then_some(())
        });
        relay.serves();
        drop(bystander);
        relay.end();
        measured
    });
}
