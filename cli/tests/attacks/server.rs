//! Attacks on `serve --listen`.

use std::io;
use std::thread;
use std::time::Duration;

use crate::bystander::{Bystander, undisturbed};
use crate::common::poll;
use crate::frames::{Answer, Client, Target, echo, make_echo, make_thread, unknown};
use crate::{Server, alone, entries, status};

/// How many threads the peers of a server may have in all.
const THREADS: usize = 1024;

/// The server's own: those that drive its event loop, write its log and wait for signals, and those
/// of other clients that a test has.
const OWN_THREADS: usize = 24;

#[test]
fn threads_of_many_connections_are_bounded_together() {
    let _alone = alone();
    undisturbed(|| {
        let server = Server::start();
        let pid = server.running.child.id();
        let bystander = Bystander::start(&server.sandbox, &server.path);
        let (measured, (clients, made)) = bystander.measure(|| {
            let (mut clients, mut made) = (Vec::new(), 0);
            for _ in 0..20 {
                let mut client = Client::new(&server.path).unwrap();
                let map = Target::Import(client.thread_map);
                let answers = client
                    .ask_all(255, |question| make_thread(question, map))
                    .unwrap();
                made += answers
                    .iter()
                    .filter(|answer| matches!(answer, Answer::Object(_)))
                    .count();
                clients.push(client);
            }
            (clients, made)
        });
        let threads = entries(pid, "task");
        assert!(threads <= THREADS + OWN_THREADS, "{threads} threads");
        // It has got something, or this shows nothing, and it has left something to others.
        assert!(
            (256..=THREADS / 2).contains(&made),
            "{made} threads were made"
        );
        assert!(threads >= made, "{threads} threads, of {made}");
        server.serves();
        drop((bystander, clients));
        poll("the end of the threads", || {
            (entries(pid, "task") <= OWN_THREADS).then_some(())
        });
        server.end();
        measured
    });
}

#[test]
fn a_large_unknown_message_is_not_sent_back() {
    let _alone = alone();
    undisturbed(|| {
        let server = Server::start();
        let bystander = Bystander::start(&server.sandbox, &server.path);
        // A kind that no version has, and `obsoleteSave`, which has a pointer to anything.
        let unknown: Vec<_> = [77, 7].map(|kind| unknown(kind, 59 << 20)).into();
        let (measured, ()) = bystander.measure(|| {
            for message in unknown {
                let mut client = Client::new(&server.path).unwrap();
                client.send(&message).unwrap();
                let answer = client.read().unwrap();
                let root = answer
                    .get_root::<capnp_rpc::rpc_capnp::message::Reader<'_>>()
                    .unwrap();
                let which = root.which().unwrap();
                assert!(matches!(
                    which,
                    capnp_rpc::rpc_capnp::message::Unimplemented(_)
                ));
                let bytes = 8 * answer.size_in_words();
                assert!(bytes < 1024, "{bytes} bytes");
                // The connection goes on.
                let map = Target::Import(client.thread_map);
                let thread = client.ask(|question| make_thread(question, map)).unwrap();
                assert!(matches!(thread, Answer::Object(_)), "{thread:?}");
            }
            server.serves();
        });
        drop(bystander);
        server.end();
        measured
    });
}

#[test]
fn connections_of_one_process_leave_some_to_others() {
    let _alone = alone();
    undisturbed(|| {
        let server = Server::start();
        let bystander = Bystander::start(&server.sandbox, &server.path);
        // Those beyond the share are closed by the server, and so cost this process nothing.
        let connect = || {
            let mut client = Client::connect(&server.path)?;
            client.send(&crate::frames::bootstrap(1))?;
            client.next_answer().map(|_| client)
        };
        let (measured, held) = bystander.measure(|| {
            let clients = (0..600).map(|_| connect());
            clients.filter_map(io::Result::ok).collect::<Vec<_>>()
        });
        assert!(
            (400..=500).contains(&held.len()),
            "{} connections",
            held.len()
        );
        server.serves();
        let about = format!("process {} of user ", std::process::id());
        let line = server.running.wait_for("a connection was refused");
        assert!(line.contains(&about), "{line}");
        drop((bystander, held));
        server.end();
        measured
    });
}

#[test]
fn clients_that_do_not_read_cost_memory_for_a_while_only() {
    let _alone = alone();
    undisturbed(|| {
        // The allocator gives back what is freed, and so this is about what the server holds. By
        // itself the GNU one keeps some of it for each thread that allocated it.
        let server = Server::start_with(&[("MALLOC_MMAP_THRESHOLD_", "131072")]);
        let pid = server.running.child.id();
        let bystander = Bystander::start(&server.sandbox, &server.path);
        let before = status(pid, "VmRSS");
        let text = "y".repeat(4 << 20);
        let attack = |_| {
            let path = server.path.clone();
            let text = text.clone();
            thread::spawn(move || {
                let (mut client, thread, object) = Client::with_echo(&path).unwrap();
                for _ in 0..25 {
                    let question = client.next();
                    // The server may disconnect it, or go on reading.
                    if client
                        .send(&echo(question, Target::Import(object), thread, &text))
                        .is_err()
                    {
                        break;
                    }
                }
                client
            })
        };
        let (measured, clients) = bystander.measure(|| {
            let attacks: Vec<_> = (0..4).map(attack).collect();
            poll("the attackers", || {
                attacks.iter().all(|it| it.is_finished()).then_some(())
            });
            let clients = attacks.into_iter().map(|attack| attack.join().unwrap());
            clients.collect::<Vec<_>>()
        });
        let peak = status(pid, "VmHWM") / 1024;
        assert!(peak < 640, "{peak} MiB");
        server.serves();
        drop(clients);
        // Their connections end, and their memory is given back.
        let kept = || status(pid, "VmRSS").saturating_sub(before);
        poll("memory to be given back", || {
            (kept() < 64 << 10).then_some(())
        });
        drop(bystander);
        server.end();
        measured
    });
}

#[test]
fn many_calls_on_a_promised_object_are_answered_in_order() {
    let _alone = alone();
    undisturbed(|| {
        let server = Server::start();
        let bystander = Bystander::start(&server.sandbox, &server.path);
        let (measured, ()) = bystander.measure(|| {
            for _ in 0..20 {
                let (mut client, thread, _) = Client::with_echo(&server.path).unwrap();
                let (promise, init) = (client.next(), Target::Import(client.init));
                let mut frames = make_echo(promise, init, thread);
                let questions: Vec<_> = (0..400).map(|_| client.next()).collect();
                for question in &questions {
                    frames.extend(echo(
                        *question,
                        Target::Answer(promise),
                        thread,
                        &question.to_string(),
                    ));
                }
                client.send(&frames).unwrap();
                let mut answers = Vec::new();
                while answers.len() < questions.len() {
                    let (question, answer) = client.next_answer().unwrap();
                    if question != promise {
                        assert_eq!(answer, Answer::Text(question.to_string()));
                        answers.push(question);
                    }
                }
                assert_eq!(answers, questions);
                // As a client would that has something else to do, or the processor is all its.
                thread::sleep(Duration::from_millis(20));
            }
        });
        server.serves();
        drop(bystander);
        server.end();
        measured
    });
}
