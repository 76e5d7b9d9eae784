//! A received message, and the ways to read it.
//!
//! Knows `rpc.capnp`; nothing of streams, nor of what a message does.

use capnp::any_pointer;
use capnp::message::{Reader, ReaderOptions, ReaderSegments};
use capnp_rpc::rpc_capnp::message;

use super::frame::Frame;
use super::words::{Place, Struct};

/// A frame from one of its pointers on, as a message with that pointer as its root.
struct From<'a>(&'a [u8]);

impl ReaderSegments for From<'_> {
    fn get_segment(&self, index: u32) -> Option<&[u8]> {
        (index == 0).then_some(self.0)
    }

    fn len(&self) -> usize {
        1
    }
}

/// A received message that was found safe to read. It is moved often, and so is boxed.
pub struct Received(Box<Readable>);

struct Readable {
    reader: Reader<Frame>,
    options: ReaderOptions,
    bytes: usize,
}

impl Received {
    /// Makes a checked frame readable.
    ///
    /// There is no traversal limit: the check has bounded what one reading of the message can
    /// cost.
    pub fn new(frame: Frame, nesting: u32) -> Self {
        let bytes = frame.size();
        let options = ReaderOptions {
            traversal_limit_in_words: None,
            nesting_limit: i32::try_from(nesting).unwrap_or(i32::MAX),
        };
        Self(Box::new(Readable {
            reader: Reader::new(frame, options),
            options,
            bytes,
        }))
    }

    /// Returns the message's size in bytes.
    pub fn bytes(&self) -> usize {
        self.0.bytes
    }

    /// Returns its segments.
    pub fn segments(&self) -> Vec<&[u8]> {
        let frame = self.0.reader.get_segments();
        (0..).map_while(|index| frame.segment(index)).collect()
    }

    /// Returns the message as an RPC message.
    ///
    /// # Errors
    /// Fails when it is no RPC message.
    pub fn root(&self) -> capnp::Result<message::Reader<'_>> {
        self.0.reader.get_root()
    }

    /// Returns its root in place, if it is a struct.
    pub fn words(&self) -> Option<Struct<'_>> {
        Struct::root(self.0.reader.get_segments())
    }

    /// Reads the object of the pointer at `place` with `with`. `otherwise` finds the same object in a
    /// message with an unusual layout.
    ///
    /// # Errors
    /// Fails when that cannot be read.
    pub fn read<R>(
        &self,
        place: Option<Place>,
        otherwise: impl FnOnce(message::Reader<'_>) -> capnp::Result<any_pointer::Reader<'_>>,
        with: impl FnOnce(any_pointer::Reader<'_>) -> R,
    ) -> capnp::Result<R> {
        let frame = self.0.reader.get_segments();
        match place.and_then(|place| frame.forward_from(place.at)) {
            Some(bytes) => Ok(with(Reader::new(From(bytes), self.0.options).get_root()?)),
            None => Ok(with(otherwise(self.root()?)?)),
        }
    }
}
