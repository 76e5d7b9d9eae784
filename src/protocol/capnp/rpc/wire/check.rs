//! The check of a frame's pointers, before any reader follows them.
//!
//! Knows the encoding of messages; nothing of schemas. An accepted frame can be read whole within the
//! nesting limit and at a cost in proportion to the frame's size: pointers that lead to the same place
//! again and again, and elements that take no space, are what makes a small frame expensive.

use std::fmt;

use super::frame::{Frame, WORD};
use super::words::{Place, far_target, index, offset, sizes, target};

/// The cost that a message may have beyond its own size, in words. Elements without a size cost a word.
const SLACK: u64 = 1024;

/// Pointers still to be followed: side by side, or in structs that follow one another.
#[derive(Clone, Copy, Default)]
struct Run {
    place: Place,
    /// The number of pointers that follow one another from here.
    count: usize,
    /// The number of structs that come after these, each with as many pointers.
    structs: u64,
    /// The sizes of each: its data, in words, and its pointers.
    each: (usize, usize),
    depth: u32,
}

impl Run {
    /// Returns the place of the next pointer.
    fn next(&mut self) -> Option<Place> {
        if self.count == 0 {
            self.structs = self.structs.checked_sub(1)?;
            let (data, pointers) = self.each;
            self.place.at += data;
            self.count = pointers;
        }
        let place = self.place;
        self.count -= 1;
        self.place.at += 1;
        Some(place)
    }

    fn is_done(&self) -> bool {
        self.count == 0 && self.structs == 0
    }
}

/// The memory of a walk, kept for the next one: one run per level, so never more than the nesting
/// limit.
#[derive(Default)]
pub struct Trail(Vec<Run>);

/// A fault of a frame.
#[derive(Debug, Clone, Copy)]
enum Astray {
    NoRoot,
    UnknownKind,
    LandingPad,
    DoubleFar,
    Nested(u32),
    Tag,
    Elements,
    Beyond(Part),
    Before,
    Segment(u32),
    Budget,
}

/// A part of a message.
#[derive(Debug, Clone, Copy)]
enum Part {
    Pointer,
    Struct,
    List,
    Structs,
}

impl fmt::Display for Astray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nested(limit) => return write!(f, "pointers nested deeper than {limit}"),
            Self::Beyond(Part::Pointer) => "a pointer beyond its segment",
            Self::Beyond(Part::Struct) => "a struct beyond its segment",
            Self::Beyond(Part::List) => "a list beyond its segment",
            Self::Beyond(Part::Structs) => "a list of structs beyond its segment",
            Self::Segment(segment) => {
                return write!(f, "a pointer into segment {segment}, which does not exist");
            }
            Self::NoRoot => "a message without a root",
            Self::UnknownKind => "a pointer of an unknown kind",
            Self::LandingPad => "a far pointer whose landing pad is no pointer to an object",
            Self::DoubleFar => "a double-far pointer with a malformed landing pad",
            Self::Tag => "a list of structs whose tag is no struct",
            Self::Elements => "a list of structs whose elements exceed it",
            Self::Before => "a pointer before its segment",
            Self::Budget => "a message whose content exceeds its size",
        })
    }
}

struct Walk<'a> {
    frame: &'a Frame,
    /// Its first segment, which for most frames is the only one.
    first: &'a [[u8; WORD]],
    nesting: u32,
    budget: u64,
    /// Set while every object so far begins after its pointer, in the same segment.
    is_forward: bool,
    /// The pointers of the object that the last pointer led to.
    next: Run,
}

/// Checks that everything in the frame lies within it, is nested at most `nesting` deep, and
/// costs no more to read than its size allows. The error names what is wrong.
pub fn check(frame: &mut Frame, nesting: u32, trail: &mut Trail) -> Result<(), String> {
    let walked = walk(frame, nesting, &mut trail.0);
    let is_forward = walked.map_err(|astray| astray.to_string())?;
    if is_forward {
        frame.set_forward();
    }
    Ok(())
}

/// Walks all pointers; returns whether every object begins after its pointer, in the same segment.
fn walk(frame: &Frame, nesting: u32, waiting: &mut Vec<Run>) -> Result<bool, Astray> {
    let first = frame.words(0);
    if first.is_empty() {
        return Err(Astray::NoRoot);
    }
    let size = u64::try_from(frame.size() / WORD).unwrap_or(u64::MAX);
    let mut walk = Walk {
        frame,
        first,
        nesting,
        budget: size.saturating_add(SLACK),
        is_forward: true,
        next: Run::default(),
    };
    waiting.clear();
    let mut run = Run {
        count: 1,
        ..Run::default()
    };
    loop {
        let Some(place) = run.next() else {
            match waiting.pop() {
                Some(waiting) => run = waiting,
                None => break,
            }
            continue;
        };
        walk.follow(place, run.depth)?;
        if walk.next.count > 0 {
            if !run.is_done() {
                waiting.push(run);
            }
            run = std::mem::take(&mut walk.next);
        }
    }
    Ok(walk.is_forward)
}

impl Walk<'_> {
    /// Follows a pointer, and records the pointers of its object.
    #[inline]
    fn follow(&mut self, place: Place, depth: u32) -> Result<(), Astray> {
        let pointer = self.word(place)?;
        match pointer & 3 {
            _ if pointer == 0 => Ok(()),
            0 | 1 => {
                self.is_forward &= offset(pointer) >= 0;
                let place = target(place, pointer).ok_or(Astray::Before)?;
                self.object(place, pointer, depth)
            }
            2 => self.far(pointer, depth),
            _ if pointer & 0xffff_ffff == 3 => Ok(()),
            _ => Err(Astray::UnknownKind),
        }
    }

    /// Follows a pointer into another segment, where a landing pad describes the object.
    #[cold]
    fn far(&mut self, pointer: u64, depth: u32) -> Result<(), Astray> {
        self.is_forward = false;
        self.spend(1)?;
        let place = far_target(pointer);
        let pad = self.word(place)?;
        if pointer & 4 == 0 {
            return match pad & 3 {
                _ if pad == 0 => Ok(()),
                0 | 1 => {
                    let place = target(place, pad).ok_or(Astray::Before)?;
                    self.object(place, pad, depth)
                }
                _ if pad & 0xffff_ffff == 3 => Ok(()),
                _ => Err(Astray::LandingPad),
            };
        }
        let at = place.at + 1;
        let tag = self.word(Place { at, ..place })?;
        if pad & 7 != 2 || tag & 2 != 0 {
            return Err(Astray::DoubleFar);
        }
        self.object(far_target(pad), tag, depth)
    }

    /// Records the pointers of the struct or list that `pointer` describes and that begins at `place`.
    #[inline]
    fn object(&mut self, place: Place, pointer: u64, depth: u32) -> Result<(), Astray> {
        if depth >= self.nesting {
            return Err(Astray::Nested(self.nesting));
        }
        if pointer & 3 != 0 {
            return self.list(place, pointer, depth);
        }
        let (data, pointers) = sizes(pointer);
        self.within(place, data + pointers, Part::Struct)?;
        self.spend(1.max(data + pointers))?;
        self.note(place, (data, pointers), 0, depth + 1);
        Ok(())
    }

    fn list(&mut self, place: Place, pointer: u64, depth: u32) -> Result<(), Astray> {
        let count = index(pointer >> 35);
        let bits = match (pointer >> 32) & 7 {
            0 => {
                self.within(place, 0, Part::List)?;
                return self.spend(1.max(count));
            }
            1 => 1,
            2 => 8,
            3 => 16,
            4 => 32,
            5 => 64,
            6 => {
                self.within(place, count, Part::List)?;
                self.spend(1.max(count))?;
                self.note(place, (0, count), 0, depth + 1);
                return Ok(());
            }
            _ => return self.composite(place, count, depth),
        };
        let words = count.saturating_mul(bits).div_ceil(64);
        self.within(place, words, Part::List)?;
        self.spend(1.max(words))
    }

    /// Records the pointers of a list of structs: a tag that describes them, then `words` of them.
    fn composite(&mut self, place: Place, words: usize, depth: u32) -> Result<(), Astray> {
        self.within(place, words.saturating_add(1), Part::Structs)?;
        let tag = self.word(place)?;
        if tag & 3 != 0 {
            return Err(Astray::Tag);
        }
        let elements = (tag & 0xffff_ffff) >> 2;
        let (data, pointers) = sizes(tag);
        let each = u64::try_from(data + pointers).unwrap_or(u64::MAX);
        let used = elements.saturating_mul(each);
        if used > u64::try_from(words).unwrap_or(u64::MAX) {
            return Err(Astray::Elements);
        }
        self.spend(1.max(words))?;
        if each == 0 {
            self.spend(index(elements))?;
        }
        if let Some(others) = elements.checked_sub(1) {
            let at = place.at + 1;
            self.note(Place { at, ..place }, (data, pointers), others, depth + 2);
        }
        Ok(())
    }

    /// Records the pointers of a struct of these sizes at `place`, and of so many others after it.
    fn note(&mut self, place: Place, each: (usize, usize), structs: u64, depth: u32) {
        let (data, count) = each;
        if count > 0 {
            let at = place.at + data;
            self.next = Run {
                place: Place { at, ..place },
                count,
                structs,
                each,
                depth,
            };
        }
    }

    #[inline]
    fn word(&self, place: Place) -> Result<u64, Astray> {
        let word = self.segment(place)?.get(place.at);
        let word = word.ok_or(Astray::Beyond(Part::Pointer))?;
        Ok(u64::from_le_bytes(*word))
    }

    #[inline]
    fn within(&self, place: Place, words: usize, what: Part) -> Result<(), Astray> {
        match place.at.checked_add(words) {
            Some(end) if end <= self.segment(place)?.len() => Ok(()),
            _ => Err(Astray::Beyond(what)),
        }
    }

    #[inline]
    fn segment(&self, place: Place) -> Result<&[[u8; WORD]], Astray> {
        match place.segment {
            0 => Ok(self.first),
            segment if segment < self.frame.segments() => Ok(self.frame.words(segment)),
            segment => Err(Astray::Segment(u32::try_from(segment).unwrap_or(u32::MAX))),
        }
    }

    #[inline]
    fn spend(&mut self, words: usize) -> Result<(), Astray> {
        let words = u64::try_from(words).unwrap_or(u64::MAX);
        self.budget = self.budget.checked_sub(words).ok_or(Astray::Budget)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
