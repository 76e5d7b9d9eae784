//! Waits that are given up, a hundred in each way there is: at a time limit, by a dropped future or
//! stream, by a cancellation, with the connection, and by clients that are killed.
//!
//! Afterwards nothing of them is left in the node: it makes a block, answers, and exits in time. Core 30
//! aborts when the client of a `waitNext` is gone, and nothing interrupts its waits, so that is asked
//! what the library's client asks: `tips()` and `templates()`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::task::{Context, Waker};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bitcoin_ipc::client::{Reconnecting, TemplateOptions};
use bitcoin_ipc::interfaces::mining::{
    BlockCreateOptions, BlockTemplate, BlockWaitOptions, Mining,
};
use bitcoin_ipc::interfaces::{BlockHash, Call};
use bitcoin_ipc::{Address, CallOptions, CancelToken, Client, Error};
use futures::StreamExt;
use futures::executor::block_on;
use futures::future::join_all;
use rustix::process::Signal;

use crate::common::{self, Running, Sandbox, poll};
use crate::node::Node;
use crate::releases::Peer;
use crate::template;

/// The waits that are given up in each way.
const WAITS: usize = 100;
/// Those of them that begin before the first block, for the end of initial block download.
const CREATING: usize = 20;
/// The followers of one connection, each of which has one wait at a time.
const FOLLOWERS: usize = 25;
/// Those of them that follow tips. The node tells them the first one by a call that could wait.
const FIRST_TIPS: usize = FOLLOWERS.div_ceil(2);
/// The connections of followers.
const CONNECTIONS: usize = WAITS / FOLLOWERS;
/// The waits of a client that is killed.
const OF_A_CLIENT: usize = 20;
/// A time limit that passes while a wait runs.
const LIMIT: Duration = Duration::from_millis(100);
/// No limit.
const FOREVER: Duration = Duration::MAX;
/// The node's methods that wait. `createNewBlock` is not called in initial block download: the library
/// waits for the end of that by `waitTipChanged`.
const METHODS: [&str; 2] = ["Mining.waitTipChanged", "BlockTemplate.waitNext"];

/// The environment variable that names the socket of the node for a client that is to be killed.
const SOCKET: &str = "BITCOIN_IPC_TEST_WAIT_AT";
/// The line that a client prints once it is ready.
const READY: &str = "all wait";

fn client(socket: &Path) -> Client {
    Client::connect(&Address::Unix(Some(socket.into()))).unwrap()
}

fn follow(socket: &Path) -> Reconnecting {
    Reconnecting::new(Client::builder().address(Address::Unix(Some(socket.into()))))
}

/// The objects of a connection that a call can wait for.
struct Waiting {
    mining: Arc<dyn Mining>,
    tip: BlockHash,
    /// None before the first block.
    template: Option<Arc<dyn BlockTemplate>>,
}

impl Waiting {
    fn at(socket: &Path) -> Self {
        let mining = client(socket).mining().unwrap();
        let tip = mining.get_tip().unwrap().unwrap();
        Self {
            template: (tip.height > 0).then(|| template(&*mining)),
            tip: tip.hash,
            mining,
        }
    }

    /// Begins so many calls that wait until they are given up.
    fn begin(&self, waits: usize) -> Vec<Call<()>> {
        (0..waits).map(|number| self.wait(number)).collect()
    }

    /// Returns how many calls the node is sent until so many wait: one before the first block tells the
    /// tip first.
    fn sent(&self, waits: usize) -> usize {
        match self.template {
            None => 2 * waits,
            Some(_) => waits,
        }
    }

    fn wait(&self, number: usize) -> Call<()> {
        match &self.template {
            None => {
                let options = BlockCreateOptions::default();
                let call = self.mining.create_new_block_async(&options, true);
                Box::pin(async { call.await.map(drop) })
            }
            Some(template) if number.is_multiple_of(2) => {
                let options = BlockWaitOptions::default().timeout(FOREVER);
                let call = template.wait_next_async(&options);
                Box::pin(async { call.await.map(drop) })
            }
            Some(_) => {
                let call = self.mining.wait_tip_changed_async(self.tip, FOREVER);
                Box::pin(async { call.await.map(drop) })
            }
        }
    }
}

/// Returns how many calls that wait the node was sent.
fn received(node: &Node) -> usize {
    METHODS.iter().map(|method| node.received(method)).sum()
}

/// Waits until the node was sent so many more calls that wait than `before`, and runs all calls that it
/// was sent: a node of 31 ends when the connection of a call ends between these two.
#[track_caller]
fn wait_waiting(node: &Node, before: usize, waits: usize) {
    poll("waits", || waiting(node, before, waits).then_some(()));
}

fn waiting(node: &Node, before: usize, waits: usize) -> bool {
    received(node) >= before + waits && node.executes_all()
}

/// Polls calls until the node was sent so many, which it runs, and expects each of them to wait.
#[track_caller]
fn poll_waiting(node: &Node, before: usize, sent: usize, calls: &mut [Call<()>]) {
    let mut context = Context::from_waker(Waker::noop());
    poll("waits", || {
        for call in &mut *calls {
            assert!(call.as_mut().poll(&mut context).is_pending());
        }
        waiting(node, before, sent).then_some(())
    });
}

/// Waits until none of the calls of which the node was sent the parameters is without results.
#[track_caller]
fn wait_answered(node: &Node) {
    let answered = || {
        let log = node.log();
        let count = |words: String| log.matches(&words).count();
        METHODS.iter().all(|method| {
            let asked = count(format!("{method}$Params"));
            asked == count(format!("{method}$Results"))
        })
    };
    poll("the end of all waits", || answered().then_some(()));
}

/// Expects the node to make a block and to tell it to a new client, and to exit in time.
#[track_caller]
fn lives_and_exits(mut node: Node) {
    let mined = node.mine(1);
    let mining = client(&node.socket()).mining().unwrap();
    let tip = mining.get_tip().unwrap().unwrap();
    assert_eq!(tip.hash.to_string(), mined);
    drop(mining);
    node.exits_in_time();
}

/// Has calls given up in a way, first before the first block, then after it.
fn give_up(peer: &Peer, give_up: impl Fn(&Node, &Waiting, usize)) {
    let mut node = peer.start();
    // Kept until all is answered: nothing is if the connection ends before.
    let downloading = Waiting::at(&node.socket());
    give_up(&node, &downloading, CREATING);
    wait_answered(&node);
    node.mine(peer.release.template_height);
    let waiting = Waiting::at(&node.socket());
    give_up(&node, &waiting, WAITS - CREATING);
    wait_answered(&node);
    drop((downloading, waiting));
    lives_and_exits(node);
}

run_on!(calls_whose_time_limit_passes: core31, core32);
fn calls_whose_time_limit_passes(peer: &Peer) {
    give_up(peer, |_, waiting, waits| {
        let calls = CallOptions::new()
            .timeout(LIMIT)
            .run(|| waiting.begin(waits));
        for late in block_on(join_all(calls)) {
            assert!(matches!(late, Err(Error::Timeout { .. })), "{late:?}");
        }
    });
}

run_on!(calls_whose_future_is_dropped: core31, core32);
fn calls_whose_future_is_dropped(peer: &Peer) {
    give_up(peer, |node, waiting, waits| {
        let before = received(node);
        let mut calls = waiting.begin(waits);
        // Some of them before the node has them.
        let kept = waits / 2;
        calls.truncate(kept);
        poll_waiting(node, before, waiting.sent(kept), &mut calls);
        drop(calls);
    });
}

run_on!(calls_that_are_cancelled: core31, core32);
fn calls_that_are_cancelled(peer: &Peer) {
    give_up(peer, |node, waiting, waits| {
        let before = received(node);
        let token = CancelToken::new();
        let options = CallOptions::new().cancel(&token);
        let mut calls = options.run(|| waiting.begin(waits));
        poll_waiting(node, before, waiting.sent(waits), &mut calls);
        token.cancel();
        for cancelled in block_on(join_all(calls)) {
            assert!(matches!(cancelled, Err(Error::Cancelled(_))));
        }
    });
}

/// A client in a process of its own, with waits, for [`calls_of_killed_clients`].
#[test]
fn a_client_that_waits() {
    let Some(socket) = std::env::var_os(SOCKET).map(PathBuf::from) else {
        return;
    };
    let waiting = Waiting::at(&socket);
    let calls = waiting.begin(OF_A_CLIENT);
    println!("{READY}");
    block_on(join_all(calls));
}

/// A client in a process of its own, with followers, for [`followers_of_killed_clients`].
#[test]
fn a_client_that_follows() {
    let Some(socket) = std::env::var_os(SOCKET).map(PathBuf::from) else {
        return;
    };
    let following = follow(&socket);
    let followers = Followers::start(&following, FOLLOWERS, &CallOptions::new());
    println!("{READY}");
    followers.join();
}

/// Starts clients, each of them by the test that is one.
fn start_clients(sandbox: &Sandbox, node: &Node, test: &str, clients: usize) -> Vec<Running> {
    let program = std::env::current_exe().unwrap();
    let start = |_| {
        let mut command = sandbox.command(&program);
        let test = format!("giving_up::{test}");
        command.args(["--exact", &test, "--nocapture"]);
        command.env(SOCKET, node.socket());
        sandbox.start(command)
    };
    (0..clients).map(start).collect()
}

/// Kills clients, whose waits the node has.
fn kill(clients: Vec<Running>) {
    for client in clients {
        client.wait_for_stdout(READY);
        client.signal(Signal::KILL);
        assert_eq!(client.wait().code, -Signal::KILL.as_raw());
    }
}

run_on!(calls_of_killed_clients: core31, core32);
fn calls_of_killed_clients(peer: &Peer) {
    let sandbox = Sandbox::new();
    let mut node = peer.start();
    let clients = |node: &Node, waits, sent| {
        let before = received(node);
        let clients = waits / OF_A_CLIENT;
        let clients = start_clients(&sandbox, node, "a_client_that_waits", clients);
        wait_waiting(node, before, sent);
        kill(clients);
    };
    clients(&node, CREATING, 2 * CREATING);
    node.mine(peer.release.template_height);
    clients(&node, WAITS - CREATING, WAITS - CREATING);
    lives_and_exits(node);
}

/// Threads that follow a node, of which each waits for a second tip or template.
struct Followers(Vec<JoinHandle<Option<Error>>>);

impl Followers {
    /// Starts them, and returns when each has what there is.
    fn start(following: &Reconnecting, followers: usize, options: &CallOptions) -> Self {
        let (told, tell) = mpsc::channel();
        let start = |number: usize| {
            let (told, options) = (told.clone(), options.clone());
            let mut tips = following.tips();
            let mut templates = following.templates(TemplateOptions::new());
            thread::spawn(move || match number.is_multiple_of(2) {
                true => second(|| tips.next(), told, options),
                false => second(|| templates.next(), told, options),
            })
        };
        let started = Self((0..followers).map(start).collect());
        drop(told);
        for _ in 0..followers {
            // A node that has ended would be waited for.
            tell.recv_timeout(common::LIMIT).unwrap();
        }
        started
    }

    /// Returns the errors with which they ended; those that were told to stop have none.
    fn join(self) -> Vec<Option<Error>> {
        let ends = self.0.into_iter().map(|thread| thread.join().unwrap());
        ends.collect()
    }
}

/// Waits for a second item, with these options. Returns the error that came instead of it.
fn second<T>(
    mut next: impl FnMut() -> Option<bitcoin_ipc::Result<T>>,
    told: Sender<()>,
    options: CallOptions,
) -> Option<Error> {
    assert!(next().unwrap().is_ok());
    told.send(()).unwrap();
    drop(told);
    let item = options.run(next);
    item.map(|item| item.err().expect("there is no other"))
}

/// Runs `give_up` with the connections of so many followers, until these are [`WAITS`].
fn with_connections(node: &mut Node, way: &str, give_up: impl Fn(&Node, &Reconnecting)) {
    for _ in 0..CONNECTIONS {
        let following = follow(&node.socket());
        give_up(node, &following);
        following.stop();
        assert!(node.running(), "{way}");
    }
}

run_on!(followers_that_give_up: core30, core31, core32);
fn followers_that_give_up(peer: &Peer) {
    let mut node = peer.start_for_templates();
    with_connections(&mut node, "stop", |node, following| {
        let before = received(node);
        let followers = Followers::start(following, FOLLOWERS, &CallOptions::new());
        wait_waiting(node, before, FOLLOWERS + FIRST_TIPS);
        following.stop();
        assert!(followers.join().iter().all(Option::is_none));
    });
    with_connections(&mut node, "time limit", |node, following| {
        // A follower asks again.
        let options = CallOptions::new().timeout(LIMIT);
        let before = received(node);
        let followers = Followers::start(following, FOLLOWERS, &options);
        wait_waiting(node, before, 4 * FOLLOWERS);
        following.stop();
        assert!(followers.join().iter().all(Option::is_none));
    });
    with_connections(&mut node, "cancellation", |node, following| {
        let token = CancelToken::new();
        let options = CallOptions::new().cancel(&token);
        let before = received(node);
        let followers = Followers::start(following, FOLLOWERS, &options);
        wait_waiting(node, before, FOLLOWERS + FIRST_TIPS);
        token.cancel();
        let cancelled = |end: &Option<Error>| matches!(end, Some(Error::Cancelled(_)));
        assert!(followers.join().iter().all(cancelled));
    });
    with_connections(&mut node, "dropped streams", |node, following| {
        let mut context = Context::from_waker(Waker::noop());
        let before = received(node);
        let mut streams: Vec<_> = (0..FOLLOWERS)
            .map(|_| following.tips().into_stream().unwrap())
            .collect();
        for stream in &mut streams {
            assert!(block_on(stream.next()).unwrap().is_ok());
            assert!(stream.poll_next_unpin(&mut context).is_pending());
        }
        wait_waiting(node, before, 2 * FOLLOWERS);
        drop(streams);
    });
    lives_and_exits(node);
}

run_on!(followers_that_lose_their_connection: core30, core31, core32);
fn followers_that_lose_their_connection(peer: &Peer) {
    let mut node = peer.start_for_templates();
    with_connections(&mut node, "end of the connection", |node, following| {
        let before = received(node);
        let followers = Followers::start(following, FOLLOWERS, &CallOptions::new());
        wait_waiting(node, before, FOLLOWERS + FIRST_TIPS);
        following.client().unwrap().disconnect();
        following.stop();
        assert!(followers.join().iter().all(Option::is_none));
    });
    lives_and_exits(node);
}

run_on!(followers_of_killed_clients: core30, core31, core32);
fn followers_of_killed_clients(peer: &Peer) {
    let sandbox = Sandbox::new();
    let node = peer.start_for_templates();
    let before = received(&node);
    let clients = start_clients(&sandbox, &node, "a_client_that_follows", CONNECTIONS);
    wait_waiting(&node, before, CONNECTIONS * (FOLLOWERS + FIRST_TIPS));
    kill(clients);
    lives_and_exits(node);
}
