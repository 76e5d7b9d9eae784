//! Nodes that are told by bitcoin.conf where to listen: the executable finds them by the same file, as
//! `bitcoin-cli` does.

use bitcoin_ipc::Generation;

use crate::common::Sandbox;
use crate::releases::Peer;

/// A configuration of the node and of its clients.
const CONF: &str = "\
# Another chain's sections must not count.
regtest=1
ipcconnect=unix:elsewhere.sock
[signet]
ipcbind=unix:signet.sock
[regtest]
ipcbind=unix:deep/own.sock
ipcconnect=unix:deep/own.sock
";

run_on!(the_node_of_a_configuration_is_found: core30, core31, core32);
/// FAULTS F8.
fn the_node_of_a_configuration_is_found(peer: &Peer) {
    let node = peer.start_configured(CONF);
    let sandbox = Sandbox::new();
    let datadir = format!("-datadir={}", node.data_dir().display());
    for words in [
        &[&*datadir][..],
        &[&datadir, "-ipcconnect=unix"],
        &[&datadir, "-a", "auto"],
        &[&datadir, "-regtest", "-conf=bitcoin.conf"],
    ] {
        let output = sandbox.run(&[words, &["call", "isTestChain"]].concat());
        output.expect(0, "true\n");
    }
    // Nobody listens where no configuration says so.
    let words = [
        &*datadir,
        "-noconf",
        "-regtest",
        "-a",
        "unix",
        "call",
        "isTestChain",
    ];
    sandbox.run(&words).expect_error(3, &["regtest/node.sock"]);
    if peer.generation() != Generation::Core32 {
        return;
    }
    // Core has a client of it from 32 on.
    let count = sandbox.run(&[&*datadir, "rpc", "getblockcount"]);
    count.expect(0, "0\n");
    let mut command = sandbox.command(peer.bitcoin_cli());
    // Nothing listens there, so that the answer is that of the socket.
    command.args([&*datadir, "-rpcport=1", "getblockcount"]);
    let cores = sandbox.start(command).wait();
    assert_eq!((cores.code, cores.stdout), (count.code, count.stdout));
}
