//! The bounds within which a peer may use this process: sizes, counts and times.
//!
//! Knows only the standard library, so that every layer can be handed the same value. The code that
//! enforces a bound words the error of a peer that exceeds it.

use std::time::Duration;

const MIB: usize = 1024 * 1024;

/// Bounds on the resources that a peer may make this process hold, and for how long.
///
/// The defaults allow everything that Bitcoin Core does. Each bound is per connection unless its
/// description says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest message, in bytes, in either direction. Default 64 MiB: the C++ sides read no
    /// more, and a larger message ruins the connection when they receive it.
    pub message_bytes: usize,
    /// The maximum number of levels of pointers in a message, and of calls pipelined one on the
    /// other. Default 64, as on the C++ sides. It bounds the stack that reading takes.
    pub nesting: u32,
    /// The maximum number of capabilities in one message. Default 1024; Core's messages carry
    /// three. Each costs some hundred bytes here for the 24 it takes on the wire.
    pub capabilities: usize,
    /// The maximum number of server threads of a peer at a time. Default 256.
    pub threads_per_connection: usize,
    /// The maximum number of calls back and forth that are nested on one thread. Default 100, which
    /// a thread's usual stack of 2 MiB bears.
    pub callback_depth: usize,
    /// The maximum number of connections of all peers together. Default 1000, below the usual limit
    /// of 1024 open files. One process may have as many as it leaves free, so at most half of them,
    /// and the processes of one user seven eighths.
    pub connections: usize,
    /// The maximum number of bytes of messages that all peers together may make this process hold:
    /// received ones, those that wait to be written, and answers kept for pipelined calls. Default
    /// 256 MiB. The shares of processes and users are those of `connections`.
    pub total_bytes: usize,
    /// The maximum number of threads of all peers together. Default 1024. The shares of processes
    /// and users are those of `connections`.
    pub total_threads: usize,
    /// The time within which a peer must read something of what is queued for it. Default 30 s.
    pub write_time: Duration,
    /// The maximum number of the peer's calls that are unfinished at a time. Default 1000. A call
    /// beyond is answered with an exception of kind overloaded.
    pub calls_in_flight: usize,
    /// The maximum number of our objects that the peer holds at a time. Default 10 000. Calls of a
    /// peer that holds more are answered with an exception of kind overloaded.
    pub objects: usize,
    /// The maximum number of bytes of a peer's calls that are not answered. Default 96 MiB, below a
    /// process's share of `total_bytes`. A call beyond is answered with an exception of kind
    /// overloaded, unless it is the only one.
    pub received_bytes: usize,
    /// The maximum number of bytes that wait to be written to a peer. Default 96 MiB, below a
    /// process's share of `total_bytes`. A peer that reads so slowly is disconnected.
    pub queued_bytes: usize,
    /// The time a message may take from its first byte to its last. Default 30 s. There is no
    /// limit on the silence between messages.
    pub frame_time: Duration,
    /// The time within which an incoming connection must have sent its first complete message.
    /// Default 10 s.
    pub handshake_time: Duration,
    /// The time that a clean shutdown may spend on writing what is still queued. Default 1 s.
    pub flush_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 64 * MIB,
            nesting: 64,
            capabilities: 1024,
            threads_per_connection: 256,
            callback_depth: 100,
            connections: 1000,
            total_bytes: 256 * MIB,
            total_threads: 1024,
            write_time: Duration::from_secs(30),
            calls_in_flight: 1000,
            objects: 10_000,
            received_bytes: 96 * MIB,
            queued_bytes: 96 * MIB,
            frame_time: Duration::from_secs(30),
            handshake_time: Duration::from_secs(10),
            flush_time: Duration::from_secs(1),
        }
    }
}

/// Defines a setter for each field, which takes and returns the value so that they can be chained.
macro_rules! setters {
    ($($field:ident: $type:ty;)*) => {
        impl Limits {
            $(
                #[doc = concat!("Sets the field `", stringify!($field), "`.")]
                #[must_use]
                pub fn $field(mut self, $field: $type) -> Self {
                    self.$field = $field;
                    self
                }
            )*
        }
    };
}

setters! {
    message_bytes: usize;
    nesting: u32;
    capabilities: usize;
    threads_per_connection: usize;
    callback_depth: usize;
    connections: usize;
    total_bytes: usize;
    total_threads: usize;
    write_time: Duration;
    calls_in_flight: usize;
    objects: usize;
    received_bytes: usize;
    queued_bytes: usize;
    frame_time: Duration;
    handshake_time: Duration;
    flush_time: Duration;
}
