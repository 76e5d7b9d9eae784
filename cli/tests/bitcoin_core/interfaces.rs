//! Which interfaces the objects of a node have, as it tells.

use bitcoin_ipc::interfaces::echo::Echo;
use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::interfaces::mining::{BlockTemplate, Mining};
use bitcoin_ipc::interfaces::rpc::Rpc;
use bitcoin_ipc::{Generation, cast, cast_async};
use futures::executor::block_on;

use crate::releases::Peer;
use crate::{ipc, mining, template};

run_on!(a_node_tells_which_interfaces_an_object_has: core30, core31, core32);
fn a_node_tells_which_interfaces_an_object_has(peer: &Peer) {
    let mut node = peer.start_for_templates();
    let ipc = ipc();
    let init = node.connect(&ipc);
    let mining = mining(&*init);
    let template = template(&*mining);
    let echo = init.make_echo().unwrap().unwrap();
    let errors = |log: String| log.lines().filter(|line| line.contains("error]")).count();
    let before = errors(node.log());

    assert!(cast::<dyn Init>(&init).unwrap().is_some());
    assert!(cast::<dyn Echo>(&init).unwrap().is_none());
    assert!(cast::<dyn Mining>(&init).unwrap().is_none());
    assert!(block_on(cast_async::<dyn Rpc>(&init)).unwrap().is_none());
    assert!(cast::<dyn Mining>(&mining).unwrap().is_some());
    assert!(cast::<dyn BlockTemplate>(&mining).unwrap().is_none());
    let same = block_on(cast_async::<dyn BlockTemplate>(&template));
    assert!(same.unwrap().is_some());
    assert!(cast::<dyn Mining>(&template).unwrap().is_none());
    if peer.generation() == Generation::Core32 {
        let rpc = init.make_rpc().unwrap().unwrap();
        assert!(cast::<dyn Rpc>(&rpc).unwrap().is_some());
        assert!(cast::<dyn Mining>(&rpc).unwrap().is_none());
        assert!(cast::<dyn Echo>(&rpc).unwrap().is_none());
        let answer = rpc.execute_rpc(r#"{"method": "uptime"}"#, "", "").unwrap();
        assert!(answer.contains(r#""error":null"#), "{answer}");
    }

    // Both handles are of one object, which is destroyed with the last of them.
    let again = cast::<dyn Echo>(&echo).unwrap().unwrap();
    drop(echo);
    assert_eq!(again.echo("hi").unwrap(), "hi");
    drop(again);
    assert!(mining.is_test_chain().unwrap());
    assert_eq!(errors(node.log()), before, "{}", node.log());
    assert!(node.running());
}
