//! Bytes put together of many short pieces.
//!
//! Why not `Vec::extend_from_slice`: an event is made of some two hundred pieces of a few bytes. For a slice whose length
//! is only known when running, the compiler emits a call: in WASM the instruction `memory.copy`, for which engines leave
//! the compiled code. Here a short piece is one to four loads and stores of a fixed size, inlined, since an engine that may
//! have to interrupt a component looks whether it should at every call.

use super::padded::{PADDING, Padded};

/// A buffer that keeps its memory.
#[derive(Default)]
pub struct Buffer {
    /// All of it can be written to; the content is the beginning.
    memory: Vec<u8>,
    len: usize,
}

impl Buffer {
    /// An empty buffer in memory that was allocated before.
    pub fn of(memory: Vec<u8>) -> Self {
        Self { memory, len: 0 }
    }

    /// The memory, for another use.
    pub fn into_spare(self) -> Vec<u8> {
        self.memory
    }

    /// The content.
    pub fn bytes(&self) -> &[u8] {
        &self.memory[..self.len]
    }

    /// The length of the content.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The last byte, if there is one.
    pub fn last(&self) -> Option<u8> {
        self.bytes().last().copied()
    }

    /// Cuts the content off. A length beyond its own changes nothing.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Writes over a part of the content. What does not lie within it is left out.
    pub fn patch(&mut self, at: usize, piece: &[u8]) {
        if let Some(to) = self.memory[..self.len].get_mut(at..at + piece.len()) {
            to.copy_from_slice(piece);
        }
    }

    /// Adds a piece.
    #[inline(always)]
    pub fn put(&mut self, piece: &[u8]) {
        let end = self.len + piece.len();
        if end > self.memory.len() {
            self.grow(end);
        }
        copy(&mut self.memory[self.len..end], piece);
        self.len = end;
    }

    /// Adds a piece behind which there is memory, and writes over what lies behind the content.
    #[inline(always)]
    pub fn put_padded(&mut self, piece: Padded<'_>) {
        let len = self.len;
        match (self.space::<PADDING>(len), piece.chunk()) {
            (Some(to), Some(from)) => copy_steps(to, from, piece.len()),
            _ => return self.put(piece.bytes()),
        }
        self.len += piece.len();
    }

    /// Adds a head of eight bytes and a piece, in the same way.
    #[inline(always)]
    pub fn put_headed(&mut self, head: [u8; 8], piece: Padded<'_>) {
        const ALL: usize = 8 + PADDING;
        let len = self.len;
        match (self.space::<ALL>(len).and_then(|to| to.split_first_chunk_mut::<8>()), piece.chunk()) {
            (Some((to_head, to)), Some(from)) => {
                *to_head = head;
                if let Some(to) = to.first_chunk_mut() {
                    copy_steps(to, from, piece.len());
                }
            }
            _ => {
                self.put_array(&head);
                return self.put(piece.bytes());
            }
        }
        self.len += 8 + piece.len();
    }

    /// Adds two pieces and two bytes, in the same way.
    #[inline(always)]
    pub fn put_member(&mut self, key: Padded<'_>, value: Padded<'_>, tail: [u8; 2]) {
        const ALL: usize = 2 * PADDING + 2;
        let len = self.len;
        if let (Some(to), Some(from_key), Some(from)) = (self.space::<ALL>(len), key.chunk(), value.chunk())
            && let Some(to_key) = to.first_chunk_mut()
        {
            copy_steps(to_key, from_key, key.len());
            if let Some(to) = to[key.len()..].first_chunk_mut() {
                copy_steps(to, from, value.len());
            }
            if let Some(to) = to[key.len() + value.len()..].first_chunk_mut() {
                *to = tail;
            }
            self.len += key.len() + value.len() + tail.len();
            return;
        }
        self.put(key.bytes());
        self.put(value.bytes());
        self.put_array(&tail);
    }

    /// So many bytes from an offset on.
    #[inline(always)]
    fn space<const N: usize>(&mut self, at: usize) -> Option<&mut [u8; N]> {
        if at + N > self.memory.len() {
            self.grow(at + N);
        }
        self.memory.get_mut(at..)?.first_chunk_mut()
    }

    /// Adds a piece of a length that is known when compiled.
    #[inline]
    pub fn put_array<const N: usize>(&mut self, piece: &[u8; N]) {
        let end = self.len + N;
        if end > self.memory.len() {
            self.grow(end);
        }
        if let Some(to) = self.memory[self.len..].first_chunk_mut() {
            *to = *piece;
        }
        self.len = end;
    }

    #[cold]
    fn grow(&mut self, end: usize) {
        self.memory.resize(end.next_power_of_two().max(4096), 0);
    }
}

/// Copies sixteen bytes, and sixteen more, until there are at least so many.
#[inline(always)]
fn copy_steps(to: &mut [u8; PADDING], from: &[u8; PADDING], len: usize) {
    const STEP: usize = 16;
    to[..STEP].copy_from_slice(&from[..STEP]);
    if len > STEP {
        to[STEP..2 * STEP].copy_from_slice(&from[STEP..2 * STEP]);
        if len > 2 * STEP {
            to[2 * STEP..].copy_from_slice(&from[2 * STEP..]);
        }
    }
}

/// Copies between slices of the same length.
#[inline]
fn copy(to: &mut [u8], from: &[u8]) {
    match from.len() {
        0 => {}
        1..4 => {
            for (to, from) in to.iter_mut().zip(from) {
                *to = *from;
            }
        }
        4..8 => copy_ends::<4>(to, from),
        8..16 => copy_ends::<8>(to, from),
        16..=32 => copy_ends::<16>(to, from),
        33..=64 => copy_ends::<32>(to, from),
        _ => to.copy_from_slice(from),
    }
}

/// Copies the first and the last `N` bytes of slices of at most twice as many.
#[inline]
fn copy_ends<const N: usize>(to: &mut [u8], from: &[u8]) {
    if let (Some(to), Some(from)) = (to.first_chunk_mut::<N>(), from.first_chunk::<N>()) {
        *to = *from;
    }
    if let (Some(to), Some(from)) = (to.last_chunk_mut::<N>(), from.last_chunk::<N>()) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_pieces_at_once_are_the_same_as_one_after_another() {
        let memory: Vec<u8> = (0..=255).collect();
        let (mut buffer, mut expected) = (Buffer::default(), Buffer::default());
        for one in 0..140 {
            for (two, end) in
                [(0, 0), (1, 200), (16, 16), (17, 200), (63, 64), (64, 64), (65, 200), (130, 130)]
            {
                let (key, value) = (Padded::new(&memory, one), Padded::new(&memory[..end], two));
                buffer.put_headed(*b"01234567", key);
                buffer.put_member(key, value, *b"\",");
                for piece in [b"01234567", key.bytes(), key.bytes(), value.bytes(), b"\","] {
                    expected.put(piece);
                }
                assert!(buffer.bytes() == expected.bytes(), "{one} {two}");
            }
        }
    }

    #[test]
    fn pieces_with_memory_behind_them_are_cut_where_they_end() {
        let memory: Vec<u8> = (0..=255).collect();
        let (mut buffer, mut expected) = (Buffer::default(), Vec::new());
        for length in (0..=memory.len()).chain((0..=memory.len()).rev()) {
            for end in [length, length + 3, length + 64, memory.len()] {
                let Some(memory) = memory.get(..end).filter(|memory| memory.len() >= length) else {
                    continue;
                };
                buffer.put_padded(Padded::new(memory, length));
                expected.extend_from_slice(&memory[..length]);
                assert_eq!(buffer.bytes(), expected);
            }
        }
    }

    #[test]
    fn pieces_of_any_length_stand_one_after_another() {
        let piece: Vec<u8> = (0..200).collect();
        let (mut buffer, mut expected) = (Buffer::default(), Vec::new());
        for length in (0..=piece.len()).chain((0..=piece.len()).rev()) {
            buffer.put(&piece[..length]);
            expected.extend_from_slice(&piece[..length]);
            assert_eq!((buffer.bytes(), buffer.last()), (&expected[..], expected.last().copied()));
        }
        buffer.truncate(7);
        buffer.truncate(9);
        assert_eq!((buffer.bytes(), buffer.len()), (&expected[..7], 7));
    }
}
