//! Bytes to checked messages, and messages to bytes. Holds no state of a connection.
//!
//! [`read`] makes frames of bytes, within a size; [`check`] walks a frame's pointers once, so that every
//! later reader of it is safe; [`frame`] is the result, and [`received`] the message that it is.
//! [`words`] reads structs where they lie, and [`fields`] is what those of calls and returns hold.
//! [`message`] writes what holds no application's values, [`cap_table`] is how a message holds
//! capabilities, [`mod@write`] puts messages into a stream in few system calls, [`envelope`] is what a
//! message is, and [`reason`] has the words for what ends a connection.
//!
//! Nothing here names a lock, a clock, a thread, a socket or the event loop.

pub mod cap_table;
pub mod check;
pub mod envelope;
pub mod fields;
pub mod frame;
pub mod message;
#[cfg(test)]
pub mod random;
pub mod read;
pub mod reason;
pub mod received;
pub mod words;
pub mod write;
