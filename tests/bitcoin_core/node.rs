//! A Bitcoin Core node in a process of its own: how it is found, started, called over its JSON-RPC
//! and ended.
//!
//! Knows the program and its options; nothing of what the tests call over IPC.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::{Address, Ipc};
use rustix::process::{Pid, Signal};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

/// How long the node may take to be ready.
const READY: Duration = Duration::from_secs(60);
/// How long the node may take to exit after SIGTERM.
const EXIT: Duration = Duration::from_secs(30);
/// The user `test` with the password `test`, as `share/rpcauth/rpcauth.py` writes them.
const RPC_AUTH: &str = "-rpcauth=test:00112233445566778899aabbccddeeff\
                        $34b86160185f3b05247ed39a5bd83f928f65de29814ed632f9caa9b2127d4c61";
/// `test:test` in base64, as HTTP has it.
const CREDENTIALS: &str = "dGVzdDp0ZXN0";
/// `RPC_IN_WARMUP`.
const IN_WARMUP: i64 = -28;

/// The node's executable, or a loud skip.
pub fn node(test: &str) -> Option<PathBuf> {
    match std::env::var_os("BITCOIN_NODE") {
        Some(path) => {
            let path = PathBuf::from(path);
            assert!(
                path.exists(),
                "BITCOIN_NODE names {path:?}, which is not there"
            );
            say(&format!("peer: Bitcoin Core ({}): {test}", version(&path)));
            Some(path)
        }
        None => {
            say(&format!(
                "SKIPPED: Bitcoin Core: {test}: set BITCOIN_NODE to a bitcoin-node built with IPC"
            ));
            None
        }
    }
}

/// Writes past the test harness, which shows only what failing tests print.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn version(node: &Path) -> String {
    // Even this makes a data directory.
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(node)
        .arg("-version")
        .env("HOME", dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().unwrap_or_default().to_owned()
}

/// A regtest node with a data directory of its own, which ends with this.
pub struct Node {
    child: Child,
    pub dir: TempDir,
    rpc_port: u16,
}

impl Node {
    /// Starts a node and waits until it is ready. Its socket is there before it knows its tip, so
    /// that `getTip` answers none for a while.
    pub fn start(program: &Path, arg0: Option<&Path>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut datadir = OsString::from("-datadir=");
        datadir.push(dir.path());
        let mut command = Command::new(program);
        if let Some(arg0) = arg0 {
            command.arg0(arg0);
        }
        let rpc_port = free_port();
        let child = command
            .args(["-regtest", "-ipcbind=unix", "-listen=0", "-debug=ipc"])
            .args(["-printtoconsole=0", "-server=1", RPC_AUTH])
            .arg(format!("-rpcport={rpc_port}"))
            .arg(datadir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut node = Self {
            child,
            dir,
            rpc_port,
        };
        // Warming up ends when the tip is known.
        node.rpc("getblockcount", json!([]));
        node
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("regtest/node.sock")
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
        let pid = Pid::from_child(&self.child);
        let deadline = Instant::now() + EXIT;
        if self.running() {
            let _ = rustix::process::kill_process(pid, Signal::TERM);
        }
        while self.running() {
            if Instant::now() > deadline {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
