//! Messages that several threads queue and flush, on a stream of which the peer reads now and then.

use std::io;

use loom::thread;

use super::*;
use rpc::output::{Flushed, Output, Sink, Watch, Wrote};

/// The cost of a message.
const COST: usize = 10;

/// The room of a stream that takes everything.
const PLENTY: usize = 100;

/// A stream that takes as many messages as there is room for.
struct Stream {
    state: Mutex<Socket>,
    changed: Condvar,
}

#[derive(Default)]
struct Socket {
    written: Vec<u32>,
    room: usize,
    /// Whether writing fails.
    fails: bool,
    /// Whether the loop is told of room.
    watched: bool,
    /// How often it had no room, minus how often there was room again.
    blocked: usize,
    /// Whether its sink was dropped.
    gone: bool,
}

/// The sink of a stream. The default is that of a closed one.
#[derive(Default)]
struct StreamSink {
    queue: VecDeque<u32>,
    stream: Option<Arc<Stream>>,
}

impl Sink for StreamSink {
    type Message = u32;

    fn append(&mut self, messages: &mut VecDeque<u32>) {
        self.queue.append(messages);
    }

    fn write(&mut self, done: &mut usize) -> io::Result<Wrote> {
        let Some(stream) = &self.stream else {
            return Ok(Wrote::All);
        };
        while let Some(message) = self.queue.front() {
            let mut state = sync::lock(&stream.state);
            if state.fails {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            if state.room == 0 {
                return Ok(Wrote::Blocked);
            }
            state.room -= 1;
            state.written.push(*message);
            stream.changed.notify_all();
            self.queue.pop_front();
            *done += COST;
        }
        Ok(Wrote::All)
    }
}

impl Drop for StreamSink {
    fn drop(&mut self) {
        // A model that has failed takes no locks any more.
        if let Some(stream) = &self.stream
            && !std::thread::panicking()
        {
            sync::lock(&stream.state).gone = true;
        }
    }
}

impl Watch for Arc<Stream> {
    fn watch(&self, writable: bool) -> io::Result<()> {
        sync::lock(&self.state).watched = writable;
        self.changed.notify_all();
        Ok(())
    }

    fn blocked(&self) {
        sync::lock(&self.state).blocked += 1;
        self.changed.notify_all();
    }
}

/// A connection's output, and the order in which its messages were queued.
struct Connection {
    output: Output<StreamSink>,
    stream: Arc<Stream>,
    queued: Mutex<Vec<u32>>,
    ended: AtomicUsize,
    failed: AtomicUsize,
}

impl Connection {
    fn new(room: usize) -> Arc<Self> {
        let stream = Arc::new(Stream {
            state: Mutex::new(Socket {
                room,
                ..Socket::default()
            }),
            changed: Condvar::new(),
        });
        let sink = StreamSink {
            queue: VecDeque::new(),
            stream: Some(stream.clone()),
        };
        Arc::new(Self {
            output: Output::new(sink),
            stream,
            queued: Mutex::default(),
            ended: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
        })
    }

    fn queue(&self, messages: &[u32]) {
        // As under the lock of the decisions.
        let mut queued = sync::lock(&self.queued);
        queued.extend(messages);
        let cost = messages.len() * COST;
        self.output.queue(messages.iter().copied(), cost);
    }

    fn flush(&self) {
        match self.output.flush(&self.stream) {
            Flushed::Done | Flushed::Left(_) => {}
            Flushed::Blocked { queued, .. } => assert!(queued >= COST),
            Flushed::Ended => {
                // What was queued before the end is written.
                assert_eq!(self.written(), *sync::lock(&self.queued));
                self.ended.fetch_add(1, Ordering::SeqCst);
            }
            Flushed::Failed => {
                self.failed.fetch_add(1, Ordering::SeqCst);
            }
            Flushed::Unwatched(error) => panic!("{error}"),
        }
    }

    /// Starts a thread that queues these messages together, and flushes.
    fn send(self: &Arc<Self>, messages: &'static [u32]) -> thread::JoinHandle<()> {
        let this = self.clone();
        thread::spawn(move || {
            this.queue(messages);
            this.flush();
        })
    }

    /// Plays the peer and the event loop until this many messages are written: whenever the stream
    /// has no room and is watched, the peer reads one message and the loop flushes.
    fn read(&self, messages: usize) {
        loop {
            let mut state = sync::lock(&self.stream.state);
            while state.written.len() < messages && !(state.watched && state.blocked > 0) {
                state = sync::wait(&self.stream.changed, state);
            }
            if state.written.len() == messages {
                return;
            }
            state.room += 1;
            drop(state);
            if self.output.unblock() {
                sync::lock(&self.stream.state).blocked -= 1;
                self.flush();
            }
        }
    }

    fn written(&self) -> Vec<u32> {
        sync::lock(&self.stream.state).written.clone()
    }

    /// Asserts that everything is written once, in the order in which it was queued, and that
    /// nothing waits.
    fn check(&self) {
        assert_eq!(self.written(), *sync::lock(&self.queued));
        assert_eq!(self.output.queued(), 0);
        assert_eq!(self.failed.load(Ordering::SeqCst), 0);
        let state = sync::lock(&self.stream.state);
        assert!(!state.watched && state.blocked == 0);
    }
}

/// Three threads queue and flush. A flush that finds another at work leaves its messages to that one.
#[test]
fn what_is_queued_before_a_flush_is_written() {
    model(|| {
        let connection = Connection::new(PLENTY);
        let others = [connection.send(&[1, 2]), connection.send(&[3])];
        connection.queue(&[4]);
        connection.flush();
        join(others);
        connection.check();
    });
}

/// One thread queues and flushes twice, while another does.
#[test]
fn messages_are_written_in_the_order_in_which_they_were_queued() {
    model(|| {
        let connection = Connection::new(PLENTY);
        let other = connection.send(&[1, 2]);
        connection.queue(&[3]);
        connection.queue(&[4]);
        connection.flush();
        connection.queue(&[5]);
        connection.flush();
        other.join().unwrap();
        connection.check();
    });
}

/// Two threads flush a stream that takes one message, and then one more each time the peer reads.
#[test]
fn a_blocked_stream_that_gets_room_loses_nothing() {
    model(|| {
        let connection = Connection::new(1);
        let others = [connection.send(&[1, 2]), connection.send(&[3])];
        connection.read(3);
        join(others);
        connection.check();
    });
}

/// A connection ends while another thread writes. Some flush tells that all is written, and none does
/// before.
#[test]
fn the_end_is_told_when_all_is_written() {
    model(|| {
        let connection = Connection::new(PLENTY);
        connection.queue(&[1, 2]);
        let flushes = {
            let connection = connection.clone();
            thread::spawn(move || connection.flush())
        };
        connection.queue(&[3]);
        connection.output.end();
        connection.flush();
        flushes.join().unwrap();
        connection.check();
        assert!(connection.ended.load(Ordering::SeqCst) >= 1);
    });
}

/// A connection ends while another thread writes to a stream that has no room at first.
#[test]
fn the_end_is_told_after_a_blocked_stream_got_room() {
    model(|| {
        let connection = Connection::new(1);
        connection.queue(&[1, 2]);
        let ends = {
            let connection = connection.clone();
            thread::spawn(move || {
                connection.output.end();
                connection.flush();
            })
        };
        connection.read(2);
        ends.join().unwrap();
        connection.check();
        assert!(connection.ended.load(Ordering::SeqCst) >= 1);
    });
}

/// A connection is closed while others write, with room or without. Its sink is dropped then, by
/// whoever is the last to use it, and what comes later is not written.
#[test]
fn nothing_is_written_after_the_end() {
    for room in [1, PLENTY] {
        model(move || {
            let connection = Connection::new(room);
            let others = [connection.send(&[1, 2]), connection.send(&[3])];
            let was_blocked = connection.output.close();
            connection.flush();
            join(others);
            let state = sync::lock(&connection.stream.state);
            assert!(state.gone);
            // The loop is told of each time that there was no room that it is over.
            assert_eq!(state.blocked, usize::from(was_blocked));
            drop(state);
            let written = connection.written();
            connection.queue(&[4]);
            connection.flush();
            assert!(!connection.output.unblock());
            assert_eq!(connection.written(), written);
            assert_eq!(connection.output.queued(), 0);
        });
    }
}

/// A connection is closed while the loop hears of room. One of the two ends the wait for room, if there
/// is one.
#[test]
fn a_wait_for_room_ends_once() {
    model(|| {
        let connection = Connection::new(1);
        let sends = connection.send(&[1, 2]);
        let reads = {
            let connection = connection.clone();
            thread::spawn(move || {
                sync::lock(&connection.stream.state).room += 1;
                if connection.output.unblock() {
                    sync::lock(&connection.stream.state).blocked -= 1;
                    connection.flush();
                }
            })
        };
        if connection.output.close() {
            sync::lock(&connection.stream.state).blocked -= 1;
        }
        join([sends, reads]);
        let state = sync::lock(&connection.stream.state);
        assert!(state.gone && state.blocked == 0);
    });
}

/// Writing fails while another thread queues and flushes. One flush tells, and nothing is written after
/// that although the stream would take it.
#[test]
fn a_failure_is_told_once() {
    model(|| {
        let connection = Connection::new(PLENTY);
        sync::lock(&connection.stream.state).fails = true;
        let other = connection.send(&[1, 2]);
        connection.queue(&[3]);
        connection.flush();
        other.join().unwrap();
        sync::lock(&connection.stream.state).fails = false;
        connection.queue(&[4]);
        connection.flush();
        assert_eq!(connection.failed.load(Ordering::SeqCst), 1);
        assert!(connection.output.error().is_some());
        assert!(connection.written().is_empty());
    });
}
