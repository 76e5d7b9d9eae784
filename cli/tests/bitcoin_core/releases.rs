//! The releases of Bitcoin Core that are tested, and where the node of each is.
//!
//! Knows what differs between them as far as tests prepare for it; nothing of running nodes.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use bitcoin_ipc::{Generation, Program};

use crate::node::Node;

/// A release, or what is to become one.
#[derive(Clone, Copy)]
pub struct Release {
    /// The environment variable that names its `bitcoin-node`.
    variable: &'static str,
    pub generation: Generation,
    /// The height of the chain on which a block template is made on regtest. Core 31 makes none
    /// below 16 blocks, where its coinbase is too short (`bad-cb-length`). All need a block of today:
    /// a template on an old one is renewed at once.
    pub template_height: u32,
}

impl Release {
    pub fn core30() -> Self {
        Self {
            variable: "BITCOIN_NODE_30",
            generation: Generation::Core30,
            template_height: 1,
        }
    }

    pub fn core31() -> Self {
        Self {
            variable: "BITCOIN_NODE_31",
            generation: Generation::Core31,
            template_height: 16,
        }
    }

    /// Of the master branch too: 31.99 has the `Init` of 32.
    pub fn core32() -> Self {
        Self {
            variable: "BITCOIN_NODE",
            generation: Generation::Core32,
            template_height: 1,
        }
    }

    /// Runs a test against this release's node, or says loudly that it is skipped.
    pub fn run(self, test: &str, body: fn(&Peer)) {
        let Self {
            variable,
            generation,
            ..
        } = self;
        let Some(program) = std::env::var_os(variable).map(PathBuf::from) else {
            return say(&format!(
                "SKIPPED: Bitcoin {generation}: {test}: set {variable} to a bitcoin-node built with IPC"
            ));
        };
        assert!(
            program.exists(),
            "{variable} names {program:?}, which is not there"
        );
        let version = version(&program);
        say(&format!("peer: Bitcoin Core ({version}): {test}"));
        body(&Peer {
            release: self,
            program,
        });
    }
}

/// A release whose node is there.
pub struct Peer {
    pub release: Release,
    program: PathBuf,
}

impl Peer {
    pub fn generation(&self) -> Generation {
        self.release.generation
    }

    /// The node as a program to spawn.
    pub fn program(&self) -> Program {
        Program::new(&self.program)
    }

    /// Starts a node that does not listen.
    pub fn start_deaf(&self) -> Node {
        Node::start_deaf(&self.program)
    }

    /// Starts a node with a bitcoin.conf, which says where it listens.
    pub fn start_configured(&self, conf: &str) -> Node {
        Node::start_configured(&self.program, conf)
    }

    /// Returns the `bitcoin-cli` beside the node.
    pub fn bitcoin_cli(&self) -> PathBuf {
        let cli = self.program.with_file_name("bitcoin-cli");
        assert!(cli.exists(), "there is no {}", cli.display());
        cli
    }

    /// Starts a node that listens, and waits until it is ready.
    pub fn start(&self) -> Node {
        Node::start(&self.program, None)
    }

    /// Starts a node as if its program were at `arg0`.
    pub fn start_as(&self, arg0: &Path) -> Node {
        Node::start(&self.program, Some(arg0))
    }

    /// Starts a node and mines as many blocks as a block template needs.
    pub fn start_for_templates(&self) -> Node {
        let mut node = self.start();
        node.mine(self.release.template_height);
        node
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
