//! Conversations that make no sense.

use super::*;

/// A generator of small random numbers, the same each time, with the knowledge of a peer that mostly
/// behaves.
#[derive(Default)]
struct Random {
    state: u64,
    asked: u32,
    open: Vec<u32>,
}

impl Random {
    fn below(&mut self, bound: u64) -> u32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        ((self.state >> 8) % bound) as u32
    }

    /// Returns a new question, but sometimes one that may be in use.
    fn ask(&mut self) -> u32 {
        self.asked += 1;
        if self.below(100) == 0 {
            self.below(12)
        } else {
            self.asked
        }
    }

    /// Returns a recent question.
    fn asked(&mut self) -> u32 {
        self.asked.saturating_sub(self.below(8))
    }

    /// Returns an open question of the other side, but sometimes any.
    fn open(&mut self) -> u32 {
        if self.below(100) == 0 {
            return self.below(3);
        }
        self.open.pop().unwrap_or(99)
    }
}

/// Writes a plausible message, with numbers that are often in use.
fn anything(root: message::Builder<'_>, random: &mut Random) {
    use capnp_rpc::rpc_capnp::{cap_descriptor, disembargo, message_target, payload};
    fn target(target: message_target::Builder<'_>, random: &mut Random) {
        let mut target = target;
        if random.below(2) == 0 {
            let stray = u64::from(random.below(50) == 0);
            target.set_imported_cap(random.below(1 + stray));
        } else {
            let mut answer = target.init_promised_answer();
            answer.set_question_id(random.asked());
            if random.below(3) == 0 {
                let mut operation = answer.init_transform(1).get(0);
                operation.set_get_pointer_field(random.below(2) as u16);
            }
        }
    }
    fn cap(mut cap: cap_descriptor::Builder<'_>, random: &mut Random) {
        match random.below(5) {
            0 => cap.set_none(()),
            1 => cap.set_sender_hosted(random.below(4)),
            2 => cap.set_sender_promise(random.below(4)),
            3 => cap.set_receiver_hosted(random.below(3)),
            _ => cap.init_receiver_answer().set_question_id(random.asked()),
        }
    }
    fn payload(mut payload: payload::Builder<'_>, random: &mut Random) {
        let count = random.below(3);
        let mut caps = payload.reborrow().init_cap_table(count);
        for index in 0..count {
            cap(caps.reborrow().get(index), random);
        }
        if random.below(4) > 0 {
            payload.get_content().set_as_capability(only());
        }
    }
    let kind = match random.below(200) {
        0..100 => 1,
        100..140 if !random.open.is_empty() => 8,
        100..190 => 12,
        190..194 => 18,
        _ => random.below(24),
    };
    match kind {
        0 => root.init_bootstrap().set_question_id(random.ask()),
        1..8 => {
            let mut call = root.init_call();
            call.set_question_id(random.ask());
            call.set_method_id(random.below(4) as u16);
            target(call.reborrow().init_target(), random);
            payload(call.init_params(), random);
        }
        8..12 => {
            let mut answer = root.init_return();
            answer.set_answer_id(random.open());
            answer.set_release_param_caps(random.below(2) == 0);
            answer.set_no_finish_needed(random.below(4) == 0);
            match random.below(30) {
                0..6 => answer.init_exception().set_reason("no"),
                6 => answer.set_canceled(()),
                _ => payload(answer.init_results(), random),
            }
        }
        12..18 => {
            let mut finish = root.init_finish();
            finish.set_question_id(random.asked());
            finish.set_release_result_caps(random.below(2) == 0);
        }
        18..20 => {
            let mut resolve = root.init_resolve();
            resolve.set_promise_id(random.below(4));
            match random.below(4) {
                0 => cap(resolve.init_cap(), random),
                1 => resolve.init_exception().set_reason("no"),
                _ => resolve.init_cap().set_sender_hosted(100 + random.below(4)),
            }
        }
        20 => {
            let mut release = root.init_release();
            release.set_id(random.below(3));
            release.set_reference_count(random.below(3));
        }
        21 => {
            let mut embargo = root.init_disembargo();
            target(embargo.reborrow().init_target(), random);
            let mut context: disembargo::context::Builder<'_> = embargo.init_context();
            match random.below(2) {
                0 => context.set_sender_loopback(random.below(2)),
                _ => context.set_receiver_loopback(random.below(2)),
            }
        }
        22 => {
            root.init_join();
        }
        _ => root.init_unimplemented().init_release().set_id(0),
    }
}

#[test]
fn no_conversation_panics_or_hangs() {
    let mut random = Random {
        state: 0x9e37_79b9_7f4a_7c15,
        ..Random::default()
    };
    let rounds = std::env::var("RPC_ROUNDS").map_or(300, |rounds| rounds.parse().unwrap());
    for _ in 0..rounds {
        random.asked = 0;
        random.open = Vec::new();
        let mut test = Test::new(Limits::default().calls_in_flight(6));
        let remote = test.remote();
        let mut pending = Vec::new();
        let mut held = Vec::new();
        for _ in 0..100 {
            test.peer.send(|root| anything(root, &mut random));
            if random.below(3) == 0 {
                // Meanwhile the application acts.
                match random.below(4) {
                    0 => test.service.answer(),
                    1 => pending.clear(),
                    2 => held.clear(),
                    _ => {
                        let ours = [object()];
                        let params = match random.below(2) {
                            0 => &ours[..],
                            _ => &[],
                        };
                        pending.push(test.call(&remote, WAIT, params));
                        let found = pending.iter().filter_map(|answer| answer.try_recv().ok());
                        held.extend(found.flatten());
                    }
                }
            }
            std::thread::sleep(Duration::from_micros(20));
            while let Some(read) = test.peer.read_now() {
                let mut words = read.split(' ');
                match (words.next(), words.next()) {
                    (Some("call"), Some(id)) => random.open.push(id.parse().unwrap()),
                    (Some("return" | "finish" | "release" | "disembargo" | "other"), _) => {}
                    _ => break,
                }
            }
            if test.link.look(|state| state.reason().is_some()) {
                break;
            }
        }
        test.link.kill(CloseReason::Local("done".into()));
        test.closed();
        for answer in pending {
            // The answer has come, or was taken.
            let _ = answer.recv_timeout(LONG);
        }
        test.service.answer();
        drop(held);
        test.until(|test| test.received_bytes() == 0);
    }
}
