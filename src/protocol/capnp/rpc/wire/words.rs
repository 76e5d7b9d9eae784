//! The structs of a message, read in place.
//!
//! Knows capnp's encoding; nothing of schemas: a field is identified by its place in a struct
//! (<https://capnproto.org/encoding.html>). Only a message that [`check`](super::check) has passed is
//! read as it is meant; of any other this reads nothing, or nonsense, but within the message.
//!
//! The fields that every call and every return needs are read with this, many times faster than with
//! the readers of the capnp crate, which check each pointer again at each step.

use super::frame::{Frame, WORD};

/// The place of a word in a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// The number of the segment.
    pub segment: usize,
    /// The offset in it, in words.
    pub at: usize,
}

/// A struct in a message.
#[derive(Clone, Copy)]
pub struct Struct<'a> {
    frame: &'a Frame,
    /// The words of its segment.
    words: &'a [[u8; WORD]],
    /// The place where it begins.
    place: Place,
    /// The sizes of its parts, in words.
    data: usize,
    pointers: usize,
}

/// The structs of a list.
pub struct Structs<'a> {
    next: Struct<'a>,
    left: usize,
}

impl<'a> Struct<'a> {
    /// Returns the message's root, if it is a struct.
    pub fn root(frame: &'a Frame) -> Option<Self> {
        let place = Place { segment: 0, at: 0 };
        let root = Self {
            frame,
            words: frame.words(0),
            place,
            data: 0,
            pointers: 1,
        };
        root.structure(0)
    }

    /// Returns a struct without fields, in the place of this one.
    fn empty(self) -> Self {
        Self {
            data: 0,
            pointers: 0,
            ..self
        }
    }

    /// Returns another struct of the same message.
    fn other(self, place: Place, pointer: u64) -> Self {
        let words = match place.segment == self.place.segment {
            true => self.words,
            false => self.frame.words(place.segment),
        };
        let (data, pointers) = sizes(pointer);
        Self {
            frame: self.frame,
            words,
            place,
            data,
            pointers,
        }
    }

    /// Returns the 64-bit number at this index; 0 beyond the struct's data.
    pub fn u64(self, index: usize) -> u64 {
        match index < self.data {
            true => self.word(self.place.at + index),
            false => 0,
        }
    }

    /// Returns the 32-bit number at this index; 0 beyond the struct's data.
    pub fn u32(self, index: usize) -> u32 {
        let part = self.u64(index / 2) >> (index % 2 * 32);
        u32::try_from(part & 0xffff_ffff).unwrap_or_default()
    }

    /// Returns the 16-bit number at this index; 0 beyond the struct's data.
    pub fn u16(self, index: usize) -> u16 {
        let part = self.u64(index / 4) >> (index % 4 * 16);
        u16::try_from(part & 0xffff).unwrap_or_default()
    }

    /// Returns the bit at this index; false beyond the struct's data.
    pub fn bit(self, index: usize) -> bool {
        self.u64(index / 64) >> (index % 64) & 1 == 1
    }

    /// Returns a word of its segment; 0 beyond that.
    fn word(self, at: usize) -> u64 {
        self.words
            .get(at)
            .map_or(0, |word| u64::from_le_bytes(*word))
    }

    /// Returns the place of a pointer; `None` if the struct has fewer.
    pub fn place(self, pointer: usize) -> Option<Place> {
        (pointer < self.pointers).then(|| Place {
            at: self.place.at + self.data + pointer,
            ..self.place
        })
    }

    /// Returns where the object of a pointer begins, and the pointer that describes it; `Some(None)`
    /// for a null pointer, and `None` for one to something else.
    fn object(self, pointer: usize) -> Option<Option<(Place, u64)>> {
        let Some(place) = self.place(pointer) else {
            return Some(None);
        };
        match self.word(place.at) {
            0 => Some(None),
            pointer if pointer & 2 == 0 => Some(Some((target(place, pointer)?, pointer))),
            pointer if pointer & 3 == 2 => far_object(self.frame, pointer),
            _ => None,
        }
    }

    /// Returns the struct that a pointer leads to: a struct without fields for a null pointer, and
    /// `None` for one to something else.
    pub fn structure(self, pointer: usize) -> Option<Self> {
        match self.object(pointer)? {
            None => Some(self.empty()),
            Some((place, pointer)) if pointer & 3 == 0 => Some(self.other(place, pointer)),
            Some(_) => None,
        }
    }

    /// Returns the index of the capability that a pointer is; `Some(None)` for a null pointer, and
    /// `None` for one to something else.
    pub fn capability(self, pointer: usize) -> Option<Option<usize>> {
        let Some(place) = self.place(pointer) else {
            return Some(None);
        };
        match self.word(place.at) {
            0 => Some(None),
            pointer if pointer & 0xffff_ffff == 3 => Some(Some(index(pointer >> 32))),
            _ => None,
        }
    }

    /// Returns the structs of the list that a pointer leads to: no structs for a null pointer, and
    /// `None` for one to something else.
    pub fn structs(self, pointer: usize) -> Option<Structs<'a>> {
        let Some((place, pointer)) = self.object(pointer)? else {
            let next = self.empty();
            return Some(Structs { next, left: 0 });
        };
        if pointer & 3 != 1 || pointer >> 32 & 7 != 7 {
            return None;
        }
        // A tag that describes them comes first.
        let tag = self.other(place, 1 << 32).u64(0);
        let at = place.at + 1;
        Some(Structs {
            next: self.other(Place { at, ..place }, tag),
            left: index((tag & 0xffff_ffff) >> 2),
        })
    }
}

impl Structs<'_> {
    /// Returns the number of structs that are left.
    pub fn len(&self) -> usize {
        self.left
    }
}

impl<'a> Iterator for Structs<'a> {
    type Item = Struct<'a>;

    fn next(&mut self) -> Option<Struct<'a>> {
        self.left = self.left.checked_sub(1)?;
        let next = self.next;
        self.next.place.at += next.data + next.pointers;
        Some(next)
    }
}

/// Returns the object that a far pointer leads to, as [`Struct::object`] does.
#[cold]
fn far_object(frame: &Frame, pointer: u64) -> Option<Option<(Place, u64)>> {
    let pad = far_target(pointer);
    let landing = word(frame, pad)?;
    if pointer & 4 != 0 {
        let tag = Place {
            at: pad.at + 1,
            ..pad
        };
        return Some(Some((far_target(landing), word(frame, tag)?)));
    }
    match landing & 3 {
        // A null pad is a struct without fields, as in capnp, and no list.
        0 | 1 => Some(Some((target(pad, landing)?, landing))),
        _ => None,
    }
}

fn word(frame: &Frame, place: Place) -> Option<u64> {
    let word = frame.words(place.segment).get(place.at)?;
    Some(u64::from_le_bytes(*word))
}

/// Returns where a struct or list pointer at a place leads to, in its own segment; `None` for a place
/// before that.
pub fn target(place: Place, pointer: u64) -> Option<Place> {
    let at = place
        .at
        .checked_add(1)?
        .checked_add_signed(offset(pointer))?;
    Some(Place { at, ..place })
}

/// Returns how many words after its pointer an object begins.
pub fn offset(pointer: u64) -> isize {
    // The low 32 bits are a signed offset of 30 bits above two bits of kind.
    let low = u32::try_from(pointer & 0xffff_ffff).unwrap_or_default();
    isize::try_from(low.cast_signed() >> 2).unwrap_or_default()
}

/// Returns the place that a far pointer names.
pub fn far_target(pointer: u64) -> Place {
    Place {
        segment: index(pointer >> 32),
        at: index((pointer & 0xffff_ffff) >> 3),
    }
}

/// Returns the sizes of a struct in words: its data and its pointers.
pub fn sizes(pointer: u64) -> (usize, usize) {
    (index((pointer >> 32) & 0xffff), index(pointer >> 48))
}

/// Converts a number in a pointer to an index.
pub fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
