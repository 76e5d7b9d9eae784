//! A Bitcoin Core node in a process of its own: how it is started, called over its JSON-RPC and
//! ended.
//!
//! Knows the program and its options, which are the same in every release; nothing of what the
//! tests call over IPC.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::{Address, Ipc};
use rustix::process::{Pid, Signal};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::common::poll;

/// How long the node may take to be ready.
const READY: Duration = Duration::from_secs(60);
/// How long the node may take to exit after SIGTERM. It takes some tenths of a second.
const EXIT: Duration = Duration::from_secs(10);
/// The time within which a node that runs no wait must have exited after SIGTERM.
const IN_TIME: Duration = Duration::from_secs(5);
/// The user `test` with the password `test`, as `share/rpcauth/rpcauth.py` writes them.
const RPC_AUTH: &str = "-rpcauth=test:00112233445566778899aabbccddeeff\
                        $34b86160185f3b05247ed39a5bd83f928f65de29814ed632f9caa9b2127d4c61";
/// `test:test` in base64, as HTTP has it.
const CREDENTIALS: &str = "dGVzdDp0ZXN0";
/// `RPC_IN_WARMUP`.
const IN_WARMUP: i64 = -28;

/// A regtest node with a data directory of its own. It is ended when this is dropped, and must exit
/// in order and in time then.
pub struct Node {
    command: Command,
    child: Child,
    dir: TempDir,
    rpc_port: u16,
}

impl Node {
    /// Starts a node and waits until it is ready. Its socket is there before it has loaded its chain:
    /// until then `getTip` may answer none, and may abort a Core 30 node.
    pub fn start(program: &Path, arg0: Option<&Path>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::start_in(dir, program, arg0, &["-ipcbind=unix"])
    }

    /// Starts a node with a bitcoin.conf, which says where it listens for IPC.
    pub fn start_configured(program: &Path, conf: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("bitcoin.conf"), conf).unwrap();
        Self::start_in(dir, program, None, &[])
    }

    /// Starts a node that does not listen for IPC.
    pub fn start_deaf(program: &Path) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), program, None, &[])
    }

    fn start_in(dir: TempDir, program: &Path, arg0: Option<&Path>, options: &[&str]) -> Self {
        let mut datadir = OsString::from("-datadir=");
        datadir.push(dir.path());
        let mut command = Command::new(program);
        if let Some(arg0) = arg0 {
            command.arg0(arg0);
        }
        let rpc_port = free_port();
        command
            .args(["-regtest", "-listen=0", "-debug=ipc"])
            .args(options)
            .args(["-printtoconsole=0", "-server=1", RPC_AUTH])
            .arg(format!("-rpcport={rpc_port}"))
            .arg(datadir)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let mut node = Self {
            child: command.spawn().unwrap(),
            command,
            dir,
            rpc_port,
        };
        // Warming up ends when the tip is known.
        node.rpc("getblockcount", json!([]));
        node
    }

    /// Starts it again, once it has exited. It may not be ready.
    pub fn start_again(&mut self) {
        assert!(!self.running());
        self.child = self.command.spawn().unwrap();
    }

    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("regtest/node.sock")
    }

    /// Its data directory, that of all chains.
    /// The socket as an address.
    pub fn address(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("regtest/debug.log")).unwrap()
    }

    pub fn connect(&self, ipc: &Ipc<dyn Init>) -> Arc<dyn Init> {
        let address = Address::Unix(Some(self.socket()));
        ipc.connect(&address).unwrap().unwrap()
    }

    pub fn running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Calls a method of the node's JSON-RPC over HTTP, once that has warmed up; gives its result.
    pub fn rpc(&mut self, method: &str, params: Json) -> Json {
        let request = json!({ "method": method, "params": params }).to_string();
        let deadline = Instant::now() + READY;
        loop {
            assert!(self.running(), "the node has exited");
            let failure = match post(self.rpc_port, &request) {
                // Not listening yet.
                Err(error) => error.to_string(),
                Ok(mut answer) if answer["error"]["code"] != IN_WARMUP => {
                    assert_eq!(answer["error"], Json::Null, "{method}");
                    return answer["result"].take();
                }
                Ok(answer) => answer.to_string(),
            };
            assert!(Instant::now() < deadline, "{method}: {failure}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Mines blocks on the tip; gives the tip's hash as people write it.
    pub fn mine(&mut self, blocks: u32) -> String {
        let hashes = self.rpc("generatetodescriptor", json!([blocks, "raw(51)#8lvh9jxk"]));
        let last = hashes.as_array().unwrap().last().unwrap();
        last.as_str().unwrap().to_owned()
    }

    /// How often the node was sent a call of this method, such as `Echo.echo`; of any, for none.
    pub fn received(&self, method: &str) -> usize {
        let log = self.log();
        let call = format!("{method}$Params");
        let received = |line: &&str| line.contains("server recv request") && line.contains(&call);
        log.lines().filter(received).count()
    }

    /// Waits until the node was sent so many calls of this method.
    #[track_caller]
    pub fn wait_received(&self, method: &str, times: usize) {
        poll(method, || (self.received(method) >= times).then_some(()));
    }

    /// Returns whether the node's threads run all calls that it was sent, or have run them. Core 30 does
    /// not log this, and so always does.
    pub fn executes_all(&self) -> bool {
        let log = self.log();
        let count = |words: &str| log.matches(words).count();
        let executing = count("IPC server executing request");
        executing == 0 || executing >= count("IPC server post request")
    }

    /// Waits until the node's log has these words so many times.
    #[track_caller]
    pub fn wait_logged(&self, words: &str, times: usize) {
        let logged = || self.log().matches(words).count();
        poll(words, || (logged() >= times).then_some(()));
    }

    /// Asks the node to exit.
    pub fn terminate(&self) {
        let pid = Pid::from_child(&self.child);
        rustix::process::kill_process(pid, Signal::TERM).unwrap();
    }

    /// Asks the node to exit, and expects it to do so in order and in time.
    #[track_caller]
    pub fn exits_in_time(&mut self) {
        let status = self.ends_in_time();
        assert!(status.success(), "{status}");
    }

    /// Asks the node to exit, and expects it to have ended in time, in whatever way.
    #[track_caller]
    pub fn ends_in_time(&mut self) -> ExitStatus {
        let begun = Instant::now();
        self.terminate();
        let status = self.wait_exit();
        let took = begun.elapsed();
        assert!(took < IN_TIME, "the node took {took:?} to exit");
        status
    }

    /// Waits for the node to exit, and kills it when that takes too long.
    pub fn wait_exit(&mut self) -> ExitStatus {
        let deadline = Instant::now() + EXIT;
        while self.running() {
            if Instant::now() > deadline {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.child.wait().unwrap()
    }
}

/// A port that nobody listens at.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Sends a JSON-RPC request; gives the answer to it.
fn post(port: u16, request: &str) -> io::Result<Json> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(READY))?;
    write!(
        stream,
        "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Authorization: Basic {CREDENTIALS}\r\nContent-Length: {}\r\n\r\n{request}",
        request.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    serde_json::from_str(body).map_err(|error| io::Error::other(format!("{error}: {answer:?}")))
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.running() {
            self.terminate();
        }
        let status = self.wait_exit();
        // A test that has failed says why.
        if !std::thread::panicking() {
            assert!(status.success(), "the node has ended with {status}");
        }
    }
}
