//! BLAKE3 of several short messages at once, one in each lane of a vector.
//!
//! # Why not the crate alone
//!
//! `blake3` hashes one message fast where it is long: its chunks of 1,024 bytes go side by side. A row is shorter, and of a
//! single chunk each step waits for the one before. Four rows have nothing to wait for each other for. The crate stays the judge
//! in the tests, joins the chunks of long rows, and hashes those that are longer still.
//!
//! The names are those of the paper: "BLAKE3: one function, fast everywhere", section 2.

use crate::bytes::buffer::Buffer;
use blake3::hazmat::{Mode, merge_subtrees_non_root, merge_subtrees_root};
use wide::{bytemuck::cast, u8x16, u32x4};

/// The first half of a digest.
pub type Digest = [u8; 16];

const LANES: usize = 4;
const BLOCK: usize = 64;
const CHUNK: usize = 1024;
/// A message of more chunks than this gains nothing from others beside it.
const MOST_CHUNKS: usize = 16;

const CHUNK_START: u32 = 1;
const CHUNK_END: u32 = 2;
const ROOT: u32 = 8;
const IV: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
/// Which words of the message a round takes, one row for each round: the permutation, applied again and again.
const SCHEDULE: [[usize; 16]; 7] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8],
    [3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1],
    [10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6],
    [12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4],
    [9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7],
    [11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13],
];

/// Messages that are to be hashed.
#[derive(Default)]
pub struct Messages {
    /// Each begins at a block, and has zeros behind it up to the next.
    content: Buffer,
    /// Where each begins and how long it is.
    spans: Vec<(usize, usize)>,
    /// Their chunks.
    chunks: Vec<Chunk>,
    values: Vec<Value>,
}

/// What a chunk becomes.
type Value = [u32; 8];

#[derive(Clone, Copy)]
struct Chunk {
    start: usize,
    len: usize,
    /// Its number in its message.
    counter: u32,
    is_root: bool,
    /// Where its value belongs.
    to: usize,
}

impl Chunk {
    fn blocks(self) -> usize {
        self.len.div_ceil(BLOCK).max(1)
    }
}

impl Messages {
    /// Adds the message that `write` writes.
    pub fn add(&mut self, write: impl FnOnce(&mut Buffer)) {
        let start = self.content.len();
        write(&mut self.content);
        let len = self.content.len() - start;
        let padding = self.content.len().next_multiple_of(BLOCK) - self.content.len();
        self.content.put(&[0; BLOCK][..padding]);
        if len == 0 {
            self.content.put(&[0; BLOCK]);
        }
        self.spans.push((start, len));
    }

    /// Hashes them all, and forgets them.
    pub fn digests(&mut self, digests: &mut Vec<Digest>) {
        digests.clear();
        self.chunks.clear();
        for (start, len) in &self.spans {
            let count = len.div_ceil(CHUNK).max(1);
            if count > MOST_CHUNKS {
                continue;
            }
            for counter in 0..count {
                let at = counter * CHUNK;
                self.chunks.push(Chunk {
                    start: start + at,
                    len: (len - at).min(CHUNK),
                    counter: counter as u32,
                    is_root: count == 1,
                    to: self.chunks.len(),
                });
            }
        }
        self.values.clear();
        self.values.resize(self.chunks.len(), [0; 8]);
        // Those of the same length beside each other.
        self.chunks.sort_unstable_by_key(|chunk| chunk.blocks());
        let blocks = self.content.bytes().as_chunks().0;
        for group in self.chunks.chunks(LANES) {
            hash(blocks, group, &mut self.values);
        }
        let mut values = &self.values[..];
        for (start, len) in &self.spans {
            let count = len.div_ceil(CHUNK).max(1);
            if count > MOST_CHUNKS {
                let digest = blake3::hash(&self.content.bytes()[*start..start + len]);
                digests.push(first_half(digest.as_bytes()));
                continue;
            }
            let (own, rest) = values.split_at(count);
            values = rest;
            digests.push(first_half(&root(own)));
        }
        self.spans.clear();
        self.content.truncate(0);
    }
}

fn first_half(digest: &[u8; 32]) -> Digest {
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    half
}

/// The digest of a message whose chunks became these.
fn root(values: &[Value]) -> [u8; 32] {
    match values {
        [only] => bytes(only),
        _ => {
            let (left, right) = values.split_at(left(values.len()));
            *merge_subtrees_root(&subtree(left), &subtree(right), Mode::Hash).as_bytes()
        }
    }
}

fn subtree(values: &[Value]) -> [u8; 32] {
    match values {
        [only] => bytes(only),
        _ => {
            let (left, right) = values.split_at(left(values.len()));
            merge_subtrees_non_root(&subtree(left), &subtree(right), Mode::Hash)
        }
    }
}

/// How many of so many chunks stand on the left: the largest power of two that leaves one for the right.
fn left(count: usize) -> usize {
    count.next_power_of_two() / 2
}

fn bytes(value: &Value) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (to, word) in bytes.as_chunks_mut().0.iter_mut().zip(value) {
        *to = word.to_le_bytes();
    }
    bytes
}

/// Hashes at most four chunks.
fn hash(blocks: &[[u8; BLOCK]], chunks: &[Chunk], values: &mut [Value]) {
    let of = |lane: usize| chunks.get(lane).or(chunks.first()).copied();
    let Some(lanes) = of(0).and_then(|first| Some([first, of(1)?, of(2)?, of(3)?])) else { return };
    let each =
        |value: &dyn Fn(&Chunk) -> u32| u32x4::new([0, 1, 2, 3].map(|lane: usize| value(&lanes[lane])));
    let counters = each(&|chunk| chunk.counter);
    let mut value = IV.map(u32x4::splat);
    let most = lanes.iter().map(|chunk| chunk.blocks()).max().unwrap_or_default();
    let fewest = lanes.iter().map(|chunk| chunk.blocks()).min().unwrap_or_default();
    for at in 0..most {
        let message = transposed(blocks, lanes.map(|chunk| chunk.start / BLOCK + at.min(chunk.blocks() - 1)));
        let lengths = each(&|chunk| (chunk.len.saturating_sub(at * BLOCK)).min(BLOCK) as u32);
        let flags = each(&|chunk| {
            let start = if at == 0 { CHUNK_START } else { 0 };
            let end = if chunk.is_root { CHUNK_END | ROOT } else { CHUNK_END };
            if at + 1 == chunk.blocks() { start | end } else { start }
        });
        let next = compress(&value, &message, counters, lengths, flags);
        if at < fewest {
            value = next;
            continue;
        }
        // What has come to its end stays as it is.
        let goes_on = each(&|chunk| if at < chunk.blocks() { u32::MAX } else { 0 });
        for (value, next) in value.iter_mut().zip(next) {
            *value = (next & goes_on) | (*value & !goes_on);
        }
    }
    let value = value.map(u32x4::to_array);
    for (lane, chunk) in chunks.iter().enumerate() {
        values[chunk.to] = value.map(|words| words[lane]);
    }
}

/// The words of four blocks, each word of all of them in one vector.
#[inline(always)]
fn transposed(blocks: &[[u8; BLOCK]], at: [usize; LANES]) -> [u32x4; 16] {
    const NONE: [u8; BLOCK] = [0; BLOCK];
    let lanes = at.map(|at| blocks.get(at).unwrap_or(&NONE).as_chunks::<4>().0);
    let mut words = [u32x4::splat(0); 16];
    for (nth, word) in words.iter_mut().enumerate() {
        *word = u32x4::new(lanes.map(|block| block.get(nth).map_or(0, |word| u32::from_le_bytes(*word))));
    }
    words
}

#[inline]
fn compress(
    value: &[u32x4; 8],
    message: &[u32x4; 16],
    counter: u32x4,
    length: u32x4,
    flags: u32x4,
) -> [u32x4; 8] {
    let zero = u32x4::splat(0);
    let [a, b, c, d, e, f, g, h] = *value;
    let [i, j, k, l, ..] = IV.map(u32x4::splat);
    let mut v = [a, b, c, d, e, f, g, h, i, j, k, l, counter, zero, length, flags];
    round(&mut v, message, SCHEDULE[0]);
    round(&mut v, message, SCHEDULE[1]);
    round(&mut v, message, SCHEDULE[2]);
    round(&mut v, message, SCHEDULE[3]);
    round(&mut v, message, SCHEDULE[4]);
    round(&mut v, message, SCHEDULE[5]);
    round(&mut v, message, SCHEDULE[6]);
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = v;
    [a ^ i, b ^ j, c ^ k, d ^ l, e ^ m, f ^ n, g ^ o, h ^ p]
}

#[inline(always)]
fn round(v: &mut [u32x4; 16], message: &[u32x4; 16], of: [usize; 16]) {
    let m = |nth: usize| message[of[nth]];
    // The columns, and then the diagonals.
    mix(v, [0, 4, 8, 12], m(0), m(1));
    mix(v, [1, 5, 9, 13], m(2), m(3));
    mix(v, [2, 6, 10, 14], m(4), m(5));
    mix(v, [3, 7, 11, 15], m(6), m(7));
    mix(v, [0, 5, 10, 15], m(8), m(9));
    mix(v, [1, 6, 11, 12], m(10), m(11));
    mix(v, [2, 7, 8, 13], m(12), m(13));
    mix(v, [3, 4, 9, 14], m(14), m(15));
}

/// The quarter round.
#[inline(always)]
fn mix(v: &mut [u32x4; 16], [a, b, c, d]: [usize; 4], x: u32x4, y: u32x4) {
    v[a] = v[a] + v[b] + x;
    v[d] = right::<16>(v[d] ^ v[a]);
    v[c] += v[d];
    v[b] = right::<12>(v[b] ^ v[c]);
    v[a] = v[a] + v[b] + y;
    v[d] = right::<8>(v[d] ^ v[a]);
    v[c] += v[d];
    v[b] = right::<7>(v[b] ^ v[c]);
}

/// Each lane turned right by so many bits.
#[inline(always)]
fn right<const BITS: u32>(lanes: u32x4) -> u32x4 {
    // By whole bytes in one step, where there is one for it.
    if cfg!(target_feature = "simd128") && BITS.is_multiple_of(8) {
        const { assert!(BITS < 32) };
        let from = |at: u8| at / 4 * 4 + (at + BITS as u8 / 8) % 4;
        let indices = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15].map(from);
        return cast(cast::<_, u8x16>(lanes).shuffle_zeroing(u8x16::new(indices)));
    }
    lanes >> BITS | lanes << (32 - BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_what_another_implementation_says_whatever_stands_beside_it() {
        let text: Vec<u8> = (0..20_000u32).map(|at| ((at * at) >> 3) as u8).collect();
        let lengths = [
            0, 1, 3, 63, 64, 65, 127, 128, 600, 789, 1023, 1024, 1025, 1500, 2048, 2049, 3000, 4096, 5000,
            8192, 9000, 16_383, 16_384, 16_385, 20_000,
        ];
        let (mut messages, mut digests) = (Messages::default(), Vec::new());
        for count in 1..=6 {
            for first in 0..lengths.len() {
                let own: Vec<&[u8]> =
                    (0..count).map(|nth| &text[..lengths[(first + 7 * nth) % lengths.len()]]).collect();
                for message in &own {
                    messages.add(|content| content.put(message));
                }
                messages.digests(&mut digests);
                let expected: Vec<Digest> =
                    own.iter().map(|message| first_half(blake3::hash(message).as_bytes())).collect();
                assert_eq!(digests, expected, "{count} from {first}");
            }
        }
    }
}
