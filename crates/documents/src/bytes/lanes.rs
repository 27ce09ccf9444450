//! Sixty-four bytes at a time: where in them something stands, as bits.
//!
//! The same code becomes simd128 in WASM, and SSE2 or NEON in a program.

use wide::u8x16;

/// How many bytes are looked at together.
pub const BLOCK: usize = 64;

/// Of each byte of a block one bit, that of the first byte lowest.
#[derive(Clone, Copy)]
pub struct Masks {
    /// Quotes.
    pub quotes: u64,
    /// Commas and line feeds.
    pub separators: u64,
    /// Line feeds.
    pub lines: u64,
    /// What a JSON text does not hold as it is, quotes aside, and what is not ASCII: control characters, backslashes, bytes
    /// from 0x80 on.
    pub odd: u64,
}

impl Masks {
    /// The masks of a block.
    #[inline(always)]
    pub fn of(block: &[u8; BLOCK]) -> Self {
        let mut masks = Self { quotes: 0, separators: 0, lines: 0, odd: 0 };
        for (nth, lane) in block.as_chunks().0.iter().enumerate() {
            let lane = u8x16::new(*lane);
            let is = |byte: u8| lane.simd_eq(u8x16::splat(byte));
            let lines = is(b'\n');
            let controls = lane.min(u8x16::splat(0x1f)).simd_eq(lane);
            let bits = |found: u8x16| u64::from(found.to_bitmask()) << (16 * nth);
            masks.quotes |= bits(is(b'"'));
            masks.separators |= bits(is(b',') | lines);
            masks.lines |= bits(lines);
            // The highest bit of a byte that is not ASCII is set, as it is in a lane that was found equal.
            masks.odd |= bits(controls | is(b'\\') | lane);
        }
        masks
    }
}

/// Of each bit whether the number of bits up to it, its own included, is odd: what lies within quotes, if the bits are
/// quotes.
#[inline(always)]
pub fn parity(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

/// The bits below a position, which is at most 64.
#[inline(always)]
pub fn below(position: usize) -> u64 {
    if position >= BLOCK { u64::MAX } else { (1 << position) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_position_is_seen_for_what_it_is() {
        for position in 0..BLOCK {
            for byte in 0..=255 {
                let mut block = [b'x'; BLOCK];
                block[position] = byte;
                let masks = Masks::of(&block);
                let bit = |is: bool| u64::from(is) << position;
                assert_eq!(masks.quotes, bit(byte == b'"'), "{byte} at {position}");
                assert_eq!(masks.separators, bit(matches!(byte, b',' | b'\n')), "{byte} at {position}");
                assert_eq!(masks.lines, bit(byte == b'\n'), "{byte} at {position}");
                assert_eq!(
                    masks.odd,
                    bit(!(0x20..0x80).contains(&byte) || byte == b'\\'),
                    "{byte} at {position}"
                );
            }
        }
    }

    #[test]
    fn what_lies_within_quotes_is_behind_an_odd_number_of_them() {
        let quotes = 0b0010_0100_1001u64;
        let expected: u64 =
            (0..64).filter(|at| (quotes << (63 - at)).count_ones() % 2 == 1).map(|at| 1u64 << at).sum();
        assert_eq!(parity(quotes), expected);
        assert_eq!((below(0), below(3), below(64)), (0, 7, u64::MAX));
    }
}
