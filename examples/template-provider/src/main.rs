//! Follows a node's block templates across its restarts, and solves as many blocks as it is told to,
//! which only regtest lets a processor do. Ends on SIGINT and SIGTERM.

use std::error::Error;
use std::{env, thread};

use bitcoin::{Amount, ScriptBuf, TxOut};
use bitcoin_ipc::client::{Client, Event, Reconnecting, TemplateOptions, Work};
use bitcoin_ipc::miner::Job;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

const USAGE: &str = "usage: template-provider ADDRESS [BLOCKS]";

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let address = args.next().ok_or(USAGE)?.parse()?;
    let mut blocks: u32 = args.next().map_or(Ok(0), |blocks| blocks.parse())?;

    let builder = Client::builder().name("template-provider").address(address);
    let node = Reconnecting::new(builder);
    let (stopping, mut signals) = (node.clone(), Signals::new([SIGINT, SIGTERM])?);
    let stop = thread::spawn(move || {
        signals.forever().next();
        stopping.stop();
    });
    let events = node.events();
    thread::spawn(move || events.iter().for_each(|event| tell(&event)));

    for work in node.templates(TemplateOptions::new()) {
        let done = work.map_err(Into::into).and_then(|work| {
            println!("a template on {}", work.previous());
            match blocks {
                0 => Ok(false),
                _ => solve(&work),
            }
        });
        match done {
            Ok(true) => blocks -= 1,
            Ok(false) => {}
            Err(error) => eprintln!("error: {error}"),
        }
    }
    // Nothing is left in the node once it has stopped.
    stop.join()
        .map_err(|_| "the thread that stops has panicked")?;
    Ok(())
}

/// Solves a block that pays everything to anyone; returns whether the node took it.
fn solve(work: &Work) -> Result<bool, Box<dyn Error>> {
    let to_anyone = |reward: Amount| {
        let script_pubkey = ScriptBuf::from_bytes(vec![0x51]);
        vec![TxOut {
            value: reward,
            script_pubkey,
        }]
    };
    let mut job = Job::new(work, to_anyone, b"/template-provider/")?;
    if !job.solve(1 << 20) {
        return Err("no nonce solves it".into());
    }
    let answer = job.submit()?;
    match answer.result {
        true => println!("solved {}", job.header.block_hash()),
        false => println!("refused: {} {}", answer.reason, answer.debug),
    }
    Ok(answer.result)
}

fn tell(event: &Event) {
    match event {
        Event::Connected(generation) => eprintln!("connected to {generation}"),
        Event::Disconnected(reason) => eprintln!("disconnected: {reason}"),
        Event::Failed { error, pause } => eprintln!("{error}; again in {pause:?}"),
        _ => {}
    }
}
