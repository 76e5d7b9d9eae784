//! A frame's pointers, walked once before anyone else follows them.
//!
//! Knows the encoding of messages and no schema. What it accepts can be read whole within the
//! nesting limit and at a cost in proportion to the frame's size: pointers that lead to the same
//! place again and again, and elements that take no space, are what makes a small frame expensive.

use super::frame::{Frame, WORD};

/// What a message may cost beyond its own size, in words. Elements without a size cost a word.
const SLACK: u64 = 1024;

/// Pointers still to be followed. One entry a level, so there are never more than the limit.
enum Work {
    /// Pointers side by side.
    Pointers {
        segment: usize,
        at: usize,
        count: usize,
        depth: u32,
    },
    /// The structs of an inline composite list, each with pointers after its data.
    Structs {
        segment: usize,
        at: usize,
        elements: u64,
        data: usize,
        pointers: usize,
        depth: u32,
    },
}

/// The memory of a walk, kept for the next one.
#[derive(Default)]
pub struct Trail(Vec<Work>);

struct Walk<'a> {
    frame: &'a Frame,
    nesting: u32,
    budget: u64,
    work: &'a mut Vec<Work>,
}

/// Checks that everything in the frame lies within it, is nested at most `nesting` deep, and
/// costs no more to read than its size allows. The error names what is wrong.
pub fn check(frame: &Frame, nesting: u32, trail: &mut Trail) -> Result<(), String> {
    if frame.segment(0).is_none_or(<[u8]>::is_empty) {
        return Err("a message without a root".into());
    }
    let size = u64::try_from(frame.size() / WORD).unwrap_or(u64::MAX);
    trail.0.clear();
    let mut walk = Walk {
        frame,
        nesting,
        budget: size.saturating_add(SLACK),
        work: &mut trail.0,
    };
    walk.follow(0, 0, 0)?;
    while let Some(work) = walk.work.pop() {
        walk.step(work)?;
    }
    Ok(())
}

impl Walk<'_> {
    /// Follows the first pointer of `work` and puts back the rest.
    fn step(&mut self, work: Work) -> Result<(), String> {
        match work {
            Work::Pointers {
                segment,
                at,
                count,
                depth,
            } => {
                if count > 1 {
                    self.work.push(Work::Pointers {
                        segment,
                        at: at + 1,
                        count: count - 1,
                        depth,
                    });
                }
                self.follow(segment, at, depth)
            }
            Work::Structs {
                segment,
                at,
                elements,
                data,
                pointers,
                depth,
            } => {
                if elements > 1 {
                    self.work.push(Work::Structs {
                        segment,
                        at: at + data + pointers,
                        elements: elements - 1,
                        data,
                        pointers,
                        depth,
                    });
                }
                self.push_pointers(segment, at + data, pointers, depth);
                Ok(())
            }
        }
    }

    fn push_pointers(&mut self, segment: usize, at: usize, count: usize, depth: u32) {
        if count > 0 {
            self.work.push(Work::Pointers {
                segment,
                at,
                count,
                depth,
            });
        }
    }

    fn follow(&mut self, segment: usize, at: usize, depth: u32) -> Result<(), String> {
        let pointer = self.word(segment, at)?;
        match pointer & 3 {
            _ if pointer == 0 => Ok(()),
            0 | 1 => self.object(segment, target(at, pointer)?, pointer, depth),
            2 => self.far(pointer, depth),
            _ if pointer & 0xffff_ffff == 3 => Ok(()),
            _ => Err("a pointer of an unknown kind".into()),
        }
    }

    /// Follows a pointer into another segment, where a landing pad says what is there.
    fn far(&mut self, pointer: u64, depth: u32) -> Result<(), String> {
        self.spend(1)?;
        let (segment, at) = far_target(pointer);
        let pad = self.word(segment, at)?;
        if pointer & 4 == 0 {
            return match pad & 3 {
                _ if pad == 0 => Ok(()),
                0 | 1 => self.object(segment, target(at, pad)?, pad, depth),
                _ if pad & 0xffff_ffff == 3 => Ok(()),
                _ => Err("a far pointer whose landing pad is no pointer to an object".into()),
            };
        }
        let tag = self.word(segment, at + 1)?;
        if pad & 7 != 2 || tag & 2 != 0 {
            return Err("a double-far pointer with a malformed landing pad".into());
        }
        let (segment, at) = far_target(pad);
        self.object(segment, at, tag, depth)
    }

    /// Goes into the struct or list that `pointer` describes and that begins at `at`.
    fn object(
        &mut self,
        segment: usize,
        at: usize,
        pointer: u64,
        depth: u32,
    ) -> Result<(), String> {
        if depth >= self.nesting {
            return Err(format!("pointers nested deeper than {}", self.nesting));
        }
        if pointer & 3 == 0 {
            let (data, pointers) = sizes(pointer);
            self.within(segment, at, data + pointers, "a struct")?;
            self.spend(1.max(data + pointers))?;
            self.push_pointers(segment, at + data, pointers, depth + 1);
            return Ok(());
        }
        let count = index(pointer >> 35);
        let bits = match (pointer >> 32) & 7 {
            0 => {
                self.within(segment, at, 0, "a list")?;
                return self.spend(1.max(count));
            }
            1 => 1,
            2 => 8,
            3 => 16,
            4 => 32,
            5 => 64,
            6 => {
                self.within(segment, at, count, "a list")?;
                self.spend(1.max(count))?;
                self.push_pointers(segment, at, count, depth + 1);
                return Ok(());
            }
            _ => return self.composite(segment, at, count, depth),
        };
        let words = count.saturating_mul(bits).div_ceil(64);
        self.within(segment, at, words, "a list")?;
        self.spend(1.max(words))
    }

    /// Goes into a list of structs: a tag that describes them, then `words` of them.
    fn composite(
        &mut self,
        segment: usize,
        at: usize,
        words: usize,
        depth: u32,
    ) -> Result<(), String> {
        self.within(segment, at, words.saturating_add(1), "a list of structs")?;
        let tag = self.word(segment, at)?;
        if tag & 3 != 0 {
            return Err("a list of structs whose tag is no struct".into());
        }
        let elements = (tag & 0xffff_ffff) >> 2;
        let (data, pointers) = sizes(tag);
        let each = u64::try_from(data + pointers).unwrap_or(u64::MAX);
        let used = elements.saturating_mul(each);
        if used > u64::try_from(words).unwrap_or(u64::MAX) {
            return Err("a list of structs whose elements exceed it".into());
        }
        self.spend(1.max(words))?;
        if each == 0 {
            return self.spend(index(elements));
        }
        if pointers > 0 && elements > 0 {
            self.work.push(Work::Structs {
                segment,
                at: at + 1,
                elements,
                data,
                pointers,
                depth: depth + 2,
            });
        }
        Ok(())
    }

    fn word(&self, segment: usize, at: usize) -> Result<u64, String> {
        let bytes = self.segment(segment)?;
        let word = at
            .checked_mul(WORD)
            .and_then(|at| bytes.get(at..)?.first_chunk::<WORD>())
            .ok_or("a pointer beyond its segment")?;
        Ok(u64::from_le_bytes(*word))
    }

    fn within(&self, segment: usize, at: usize, words: usize, what: &str) -> Result<(), String> {
        match at.checked_add(words) {
            Some(end) if end <= self.segment(segment)?.len() / WORD => Ok(()),
            _ => Err(format!("{what} beyond its segment")),
        }
    }

    fn segment(&self, segment: usize) -> Result<&[u8], String> {
        self.frame
            .segment(segment)
            .ok_or_else(|| format!("a pointer into segment {segment}, which does not exist"))
    }

    fn spend(&mut self, words: usize) -> Result<(), String> {
        let words = u64::try_from(words).unwrap_or(u64::MAX);
        self.budget = self
            .budget
            .checked_sub(words)
            .ok_or("a message whose content exceeds its size")?;
        Ok(())
    }
}

/// Where a struct or list pointer at `at` leads to, in its own segment.
fn target(at: usize, pointer: u64) -> Result<usize, String> {
    // The low 32 bits are a signed offset of 30 bits above two bits of kind.
    let low = u32::try_from(pointer & 0xffff_ffff).unwrap_or_default();
    let offset = i64::from(low.cast_signed() >> 2);
    i64::try_from(at)
        .ok()
        .and_then(|at| at.checked_add(1)?.checked_add(offset))
        .and_then(|at| usize::try_from(at).ok())
        .ok_or_else(|| "a pointer before its segment".into())
}

/// The segment and the place in it that a far pointer names.
fn far_target(pointer: u64) -> (usize, usize) {
    (index(pointer >> 32), index((pointer & 0xffff_ffff) >> 3))
}

/// The sizes of a struct in words: its data and its pointers.
fn sizes(pointer: u64) -> (usize, usize) {
    (index((pointer >> 32) & 0xffff), index(pointer >> 48))
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
