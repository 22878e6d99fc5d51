//! Choices out of bytes: the same bytes make the same choices, and when they are used up each choice is the first.

/// What is left of the bytes.
pub(crate) struct Draw<'a>(pub(crate) &'a [u8]);

impl Draw<'_> {
    /// The next byte.
    pub(crate) fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    /// A number below `most`, which is at most 256.
    pub(crate) fn below(&mut self, most: usize) -> usize {
        usize::from(self.byte()) % most
    }

    /// One of several.
    pub(crate) fn one<T: Copy>(&mut self, several: &[T]) -> T {
        several[self.below(several.len())]
    }

    /// Up to `most` of what `make` makes.
    pub(crate) fn some<T>(&mut self, most: usize, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| make(self)).collect()
    }

    /// A whole number: mostly a small one, now and then one of eight bytes.
    pub(crate) fn whole(&mut self) -> i64 {
        match self.below(8) {
            0 => i64::from_le_bytes(std::array::from_fn(|_| self.byte())),
            1 => i64::from(i32::from_le_bytes(std::array::from_fn(|_| self.byte()))),
            2 => i64::from(i16::from_le_bytes([self.byte(), self.byte()])),
            _ => i64::from(self.byte()) - 100,
        }
    }

    /// Whether there are bytes left.
    pub(crate) fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}
