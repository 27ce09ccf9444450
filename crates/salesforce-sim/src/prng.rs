//! A small seeded generator: SplitMix64 (Steele, Lea, Flood 2014).
//!
//! Not `rand`: a row must be reproducible from (seed, hour, index) alone, for good, and cost a few nanoseconds.

/// The finaliser of SplitMix64: a bijection on 64 bits, so distinct inputs give distinct outputs.
pub(crate) const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A stream of pseudo-random numbers.
pub(crate) struct Rng(u64);

impl Rng {
    /// The stream that belongs to these numbers, in this order.
    pub(crate) fn of(parts: &[u64]) -> Self {
        Self(parts.iter().fold(0x9e37_79b9_7f4a_7c15, |state, part| mix(state.wrapping_mul(31) ^ mix(*part))))
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `bound`, near enough to uniform for a workload.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// True once in `n` times on average.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of `items`, which must not be empty.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::Rng;

    #[test]
    fn the_same_numbers_give_the_same_stream_and_others_another() {
        let stream = |parts: &[u64]| {
            let mut rng = Rng::of(parts);
            [rng.next(), rng.next(), rng.next()]
        };
        assert_eq!(stream(&[1, 2, 3]), stream(&[1, 2, 3]));
        assert_ne!(stream(&[1, 2, 3]), stream(&[1, 3, 2]));
    }

    #[test]
    fn below_stays_below() {
        let mut rng = Rng::of(&[7]);
        assert!((0..10_000).all(|_| rng.below(13) < 13));
    }
}
