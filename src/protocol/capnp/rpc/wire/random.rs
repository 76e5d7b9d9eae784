//! Random numbers and corrupt bytes for tests, the same in each run.
//!
//! Knows nothing of messages.

/// A generator of random numbers, by xorshift.
pub struct Random(u64);

impl Random {
    /// Makes the generator of a seed. Seeds that follow each other give unlike numbers (splitmix64).
    pub fn new(seed: u64) -> Self {
        let mut state = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self((state ^ (state >> 31)) | 1)
    }

    /// Returns any number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Returns a number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        ((self.next() >> 11) % bound.max(1) as u64) as usize
    }

    /// Returns true once in `times`, on average.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// Returns one of these, if there is any.
    pub fn pick<T>(&mut self, from: impl IntoIterator<Item = T>) -> Option<T> {
        let mut from: Vec<T> = from.into_iter().collect();
        match from.len() {
            0 => None,
            count => Some(from.swap_remove(self.below(count))),
        }
    }
}

/// Corrupts up to `most` of the bytes: flips a bit, or sets a random value or one with a meaning in a
/// pointer.
pub fn spoil(bytes: &mut [u8], most: usize, random: &mut Random) {
    for _ in 0..=random.below(most) {
        let at = random.below(bytes.len());
        bytes[at] = match random.below(3) {
            0 => bytes[at] ^ 1 << random.below(8),
            1 => random.next() as u8,
            _ => [0, 1, 2, 3, 7, 0xff][random.below(6)],
        };
    }
}
