//! The library's client: tips and templates of a node that stops and starts again.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bitcoin_ipc::client::{Reconnecting, TemplateOptions, Tips};
use bitcoin_ipc::{Address, Client, Generation};

use crate::node::Node;
use crate::releases::Peer;

/// The time within which a node that was told to stop must have exited.
const EXIT: Duration = Duration::from_secs(5);

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
    terminate(&mut node);
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
    terminate(&mut node);
}

/// Stops the node, and expects it to have exited in time.
#[track_caller]
fn terminate(node: &mut Node) {
    let begun = Instant::now();
    node.terminate();
    let status = node.wait_exit();
    assert!(status.success(), "{status}");
    assert!(begun.elapsed() < EXIT, "{:?}", begun.elapsed());
}

run_on!(waits_that_were_given_up_leave_nothing: core30, core31, core32);
/// However a wait is given up: the node makes a block afterwards, and exits in time.
fn waits_that_were_given_up_leave_nothing(peer: &Peer) {
    let mut node = peer.start_for_templates();
    for round in 0..20 {
        let following = follow(&node);
        let mut tips = following.tips();
        let mut templates = following.templates(TemplateOptions::new());
        assert!(tips.next().unwrap().is_ok());
        assert!(templates.next().unwrap().is_ok());
        let waiting = thread::spawn(move || tips.next().is_none());
        let stream = templates.into_stream().unwrap();
        thread::sleep(Duration::from_millis(20));
        match round % 2 {
            0 => drop(stream),
            _ => following.client().unwrap().disconnect(),
        }
        following.stop();
        assert!(waiting.join().unwrap());
    }
    node.mine(1);
    thread::sleep(Duration::from_millis(100));
    assert!(node.running());
    terminate(&mut node);
}
