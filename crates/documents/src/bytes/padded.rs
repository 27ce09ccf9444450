//! Bytes with something readable behind them.
//!
//! Most pieces of a document are a few bytes long, each of another length. To copy just as many as there are, a program must
//! ask how many there are, again and again. Where sixteen bytes can be read and written whatever the length, it copies sixteen,
//! and the next piece is written over what was too much.

/// Some bytes, and the memory that they lie at the beginning of.
#[derive(Clone, Copy)]
pub struct Padded<'a> {
    memory: &'a [u8],
    len: usize,
}

/// How much memory a piece needs from its beginning on to be copied in this way.
pub const PADDING: usize = 64;

impl<'a> Padded<'a> {
    /// The first bytes of some memory.
    #[inline(always)]
    pub fn new(memory: &'a [u8], len: usize) -> Self {
        Self { memory, len: len.min(memory.len()) }
    }

    /// Bytes with nothing behind them.
    pub fn exact(bytes: &'a [u8]) -> Self {
        Self { memory: bytes, len: bytes.len() }
    }

    /// The bytes.
    #[inline(always)]
    pub fn bytes(self) -> &'a [u8] {
        &self.memory[..self.len]
    }

    /// How many they are.
    #[inline(always)]
    pub fn len(self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[inline(always)]
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The bytes and what lies behind them, if they are no more than that.
    #[inline(always)]
    pub fn chunk(self) -> Option<&'a [u8; PADDING]> {
        self.memory.first_chunk().filter(|_| self.len <= PADDING)
    }
}

/// Bytes of one's own, with zeros behind them.
pub struct PaddedBuf {
    memory: Box<[u8]>,
    len: usize,
}

impl PaddedBuf {
    /// A copy of some bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self { memory: [bytes, &[0; PADDING]].concat().into(), len: bytes.len() }
    }

    /// The bytes.
    #[inline(always)]
    pub fn get(&self) -> Padded<'_> {
        Padded::new(&self.memory, self.len)
    }

    /// The bytes but the last.
    #[inline(always)]
    pub fn but_last(&self) -> Padded<'_> {
        Padded::new(&self.memory, self.len.saturating_sub(1))
    }
}
