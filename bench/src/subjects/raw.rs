//! What the system itself takes: bytes through a socketpair between two processes.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use eyre::{Result, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::{FILL, Plan, SIZES};
use crate::children::Peer;
use crate::measure::{one_by_one, timed};
use crate::peers;

/// The subject that all are compared with.
pub const PING_PONG: &str = "raw ping-pong, 128 bytes";
/// About the size of a call of `Echo` with 16 bytes.
const PING: usize = 128;

/// The raw copies, in the order of [`SIZES`]: to the other process, and from it.
pub const COPIES: [(&str, &str); 3] = [
    ("raw copy of 1 KiB to", "raw copy of 1 KiB from"),
    ("raw copy of 1 MiB to", "raw copy of 1 MiB from"),
    ("raw copy of 8 MiB to", "raw copy of 8 MiB from"),
];

/// Which processors the two processes are to be on. What a ping-pong takes depends on that more
/// than on anything else, and where the system puts them depends on what else there is to do.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// Where the system puts them.
    Any,
    /// Both on the same.
    One,
    /// Each on its own.
    Two,
}

pub fn plans() -> Vec<Plan> {
    let mut plans = vec![
        exchange(PING_PONG, PING, PING, Place::Any),
        exchange("the same on one processor", PING, PING, Place::One),
        exchange("the same on two processors", PING, PING, Place::Two),
    ];
    for ((to, from), (_, size)) in COPIES.into_iter().zip(SIZES) {
        plans.push(exchange(to, size, 1, Place::Any));
        plans.push(exchange(from, 1, size, Place::Any));
    }
    plans
}

/// So many bytes there, and so many back.
fn exchange(name: &'static str, there: usize, back: usize, place: Place) -> Plan {
    Plan::maybe(name, move |_| {
        let allowed = sched_getaffinity(None)?;
        let mut cpus = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu));
        let (first, second) = (cpus.next(), cpus.next());
        let (ours, theirs) = match place {
            Place::Any => (None, None),
            Place::One => (first, first),
            Place::Two if second.is_none() => return Ok(None),
            Place::Two => (first, second),
        };
        let mut words = vec![there.to_string(), back.to_string()];
        words.extend(theirs.map(|cpu| cpu.to_string()));
        let peer = Peer::start(peers::RAW, &words)?;
        let mut stream = peer.stream()?;
        let (out, expected) = (vec![FILL; there], vec![FILL; back]);
        let mut answer = vec![0; back];
        Ok(Some(move |budget| {
            // Held as long as it is called.
            let _peer = &peer;
            ours.map_or(Ok(()), stay_on)?;
            let sample = one_by_one(budget, || {
                answer.fill(0);
                let ((), time) = timed(|| {
                    stream.write_all(&out)?;
                    Ok(stream.read_exact(&mut answer)?)
                })?;
                ensure!(answer == expected, "wrong bytes");
                Ok(time)
            });
            sched_setaffinity(None, &allowed)?;
            sample
        }))
    })
}

/// Keeps this thread on one processor.
pub fn stay_on(cpu: usize) -> Result<()> {
    let mut only = CpuSet::new();
    only.set(cpu);
    Ok(sched_setaffinity(None, &only)?)
}

/// The other side: reads so many bytes and answers so many, until there are none.
pub fn serve(mut stream: UnixStream, there: usize, back: usize) -> Result<()> {
    let (mut bytes, answer) = (vec![0; there], vec![FILL; back]);
    loop {
        match stream.read_exact(&mut bytes) {
            Ok(()) => stream.write_all(&answer)?,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
