//! The baseline of the system itself: bytes through a socketpair between two processes.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use eyre::{Result, ensure};

use super::{FILL, PLACED_SIZE, Plan, SIZES, Shared};
use crate::children::Peer;
use crate::measure::{one_by_one, timed};
use crate::peers;
use crate::placement::Placement;

/// The subject that all others are compared with.
pub const PING_PONG: &str = "raw ping-pong, 128 bytes";
/// About the size of a call of `Echo` with 16 bytes.
const PING: usize = 128;

/// The raw copies, in the order of [`SIZES`]: to the other process, and from it.
pub const COPIES: [(&str, &str); 3] = [
    ("raw copy of 1 KiB to", "raw copy of 1 KiB from"),
    ("raw copy of 1 MiB to", "raw copy of 1 MiB from"),
    ("raw copy of 8 MiB to", "raw copy of 8 MiB from"),
];

pub fn plans() -> Vec<Plan> {
    let mut plans = Vec::new();
    for placement in Placement::ALL {
        plans.push(exchange(PING_PONG, PING, PING, placement));
        for ((to, from), (_, size)) in COPIES.into_iter().zip(SIZES) {
            if placement == Placement::Free || size == PLACED_SIZE {
                plans.push(exchange(to, size, 1, placement));
                plans.push(exchange(from, 1, size, placement));
            }
        }
    }
    plans
}

/// Returns a plan that sends `there` bytes and reads `back` bytes in each round trip.
fn exchange(name: &'static str, there: usize, back: usize, placement: Placement) -> Plan {
    let start = move |shared: &Shared| {
        let words = [there.to_string(), back.to_string()];
        let peer = Peer::start(peers::RAW, &words, shared.processors.server(placement))?;
        let mut stream = peer.stream()?;
        let (out, expected) = (vec![FILL; there], vec![FILL; back]);
        let mut answer = vec![0; back];
        Ok(move |budget| {
            // Keeps the peer alive for as long as the closure is called.
            let _peer = &peer;
            one_by_one(budget, || {
                answer.fill(0);
                let ((), time) = timed(|| {
                    stream.write_all(&out)?;
                    Ok(stream.read_exact(&mut answer)?)
                })?;
                ensure!(answer == expected, "wrong bytes");
                Ok(time)
            })
        })
    };
    Plan::calls(name, start).placed(placement)
}

/// Serves the other side: reads `there` bytes and answers `back` bytes, until the end of the
/// stream.
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
