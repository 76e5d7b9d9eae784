//! A table indexed by numbers that the peer chooses.
//!
//! Knows numbers; nothing of the values. Most peers use the lowest free number, and the lowest ones are
//! found without a search.

use std::collections::BTreeMap;

/// The number of low numbers.
const LOW: usize = 16;

/// Values by number.
pub struct Numbered<T> {
    low: Vec<Option<T>>,
    high: BTreeMap<u32, T>,
    len: usize,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self {
            low: Vec::new(),
            high: BTreeMap::new(),
            len: 0,
        }
    }
}

impl<T> Numbered<T> {
    /// Returns the number of values.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns the value with this number.
    pub fn get(&self, number: u32) -> Option<&T> {
        match low(number) {
            Some(index) => self.low.get(index)?.as_ref(),
            None => self.high.get(&number),
        }
    }

    /// Returns the value with this number.
    pub fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        match low(number) {
            Some(index) => self.low.get_mut(index)?.as_mut(),
            None => self.high.get_mut(&number),
        }
    }

    /// Inserts a value, in the place of the one that had its number.
    pub fn insert(&mut self, number: u32, value: T) {
        let before = match low(number) {
            Some(index) => {
                if self.low.len() <= index {
                    self.low.resize_with(index + 1, || None);
                }
                self.low[index].replace(value)
            }
            None => self.high.insert(number, value),
        };
        self.len += usize::from(before.is_none());
    }

    /// Removes and returns the value with this number.
    pub fn remove(&mut self, number: u32) -> Option<T> {
        let value = match low(number) {
            Some(index) => self.low.get_mut(index)?.take(),
            None => self.high.remove(&number),
        };
        self.len -= usize::from(value.is_some());
        value
    }

    /// Returns all values, by number.
    pub fn into_values(self) -> impl Iterator<Item = T> {
        self.low
            .into_iter()
            .flatten()
            .chain(self.high.into_values())
    }
}

/// Returns the number as an index, if it is low.
fn low(number: u32) -> Option<usize> {
    usize::try_from(number).ok().filter(|index| *index < LOW)
}

#[cfg(test)]
mod tests {
    use super::super::super::wire::random::Random;
    use super::*;

    #[test]
    fn it_is_a_map() {
        let (mut numbered, mut map) = (Numbered::default(), BTreeMap::new());
        let mut random = Random::new(0x2545_f491_4f6c_dd1d);
        for step in 0..10_000 {
            let number = u32::try_from(random.below(32)).unwrap_or_default();
            match random.below(4) {
                0 => assert_eq!(numbered.remove(number), map.remove(&number)),
                1 => assert_eq!(numbered.get_mut(number), map.get_mut(&number)),
                2 => assert_eq!(numbered.get(number), map.get(&number)),
                _ => {
                    numbered.insert(number, step);
                    map.insert(number, step);
                }
            }
            assert_eq!(numbered.len(), map.len());
        }
        assert!(map.len() > 4);
        assert!(numbered.into_values().eq(map.into_values()));
    }
}
