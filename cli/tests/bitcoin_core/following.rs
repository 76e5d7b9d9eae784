//! The library's client: tips and templates of a node that stops and starts again.

use std::sync::mpsc;
use std::thread;

use bitcoin_ipc::client::{Reconnecting, TemplateOptions, Tips};
use bitcoin_ipc::{Address, Client, Generation};

use crate::node::Node;
use crate::releases::Peer;

fn follow(node: &Node) -> Reconnecting {
    let address = Address::Unix(Some(node.socket()));
    Reconnecting::new(Client::builder().address(address))
}

/// The next tip: its hash as people write it, and the number of blocks that were skipped.
#[track_caller]
fn next(tips: &mut Tips) -> (String, u32) {
    let tip = tips.next().unwrap().unwrap();
    (tip.hash.to_string(), tip.skipped)
}

run_on!(tips_and_templates_go_on_after_a_restart: core30, core31, core32);
fn tips_and_templates_go_on_after_a_restart(peer: &Peer) {
    let mut node = peer.start_for_templates();
    let following = follow(&node);
    let mut tips = following.tips();
    let mut templates = following.templates(TemplateOptions::new());
    let first = tips.next().unwrap().unwrap();
    assert_eq!(first.height, peer.release.template_height);
    let work = templates.next().unwrap().unwrap();
    assert_eq!(work.previous(), first.hash);

    let mined = node.mine(1);
    assert_eq!(next(&mut tips), (mined.clone(), 0));
    let work = templates.next().unwrap().unwrap();
    assert_eq!(work.previous().to_string(), mined);
    let mined = node.mine(3);
    let tip = tips.next().unwrap().unwrap();
    assert_eq!((tip.hash.to_string(), tip.skipped), (mined, 2));
    let told = match peer.generation() {
        Generation::Core32 => 2,
        _ => 0,
    };
    assert_eq!(tip.between.len(), told);

    // Both wait in the node when it is told to stop.
    let (told, tell) = mpsc::channel();
    let also = told.clone();
    let work = thread::spawn(move || {
        for work in templates {
            let previous = work.unwrap().previous().to_string();
            if also.send(previous).is_err() {
                break;
            }
        }
    });
    assert_eq!(tell.recv().unwrap(), tip.hash.to_string());
    let (tip_waits, template_waits) = match peer.generation() {
        Generation::Core30 => (2, 0),
        _ => (1, 1),
    };
    let tip_waits = node.received("Mining.waitTipChanged") + tip_waits;
    let template_waits = node.received("BlockTemplate.waitNext") + template_waits;
    let waiting = thread::spawn(move || next(&mut tips));
    node.wait_received("Mining.waitTipChanged", tip_waits);
    node.wait_received("BlockTemplate.waitNext", template_waits);
    let status = node.ends_in_time();
    // Core 30 does not wait for its waits when it exits. One that wakes up late, as on a busy machine,
    // looks at a chain that is gone (SIGSEGV in `WaitTipChanged`).
    let is_core30 = peer.generation() == Generation::Core30;
    assert!(status.success() || is_core30, "{status}");
    drop(told);
    node.start_again();
    let mined = node.mine(1);
    assert_eq!(waiting.join().unwrap(), (mined.clone(), 0));
    // The templates of the node before are gone with it, so there may be one for the same tip again.
    let found = tell
        .iter()
        .find(|previous| *previous != tip.hash.to_string());
    assert_eq!(found, Some(mined));

    following.stop();
    drop(tell);
    work.join().unwrap();
    node.exits_in_time();
}
