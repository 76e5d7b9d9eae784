//! Bytes to checked messages, and messages to bytes. Holds no state of a connection.
//!
//! [`read`] makes frames of bytes, within a size; [`check`] walks a frame's pointers once, so that
//! every later reader of it is safe; [`frame`] is the result, and [`received`] the message in it.
//! [`words`] reads structs in place, and [`fields`] the fields of calls and returns. [`message`] writes
//! messages without application values, [`cap_table`] holds the capabilities of a message,
//! [`mod@write`] puts messages into a stream in few system calls, [`envelope`] tells the kind of a
//! message, and [`reason`] the reason that ends a connection.
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
