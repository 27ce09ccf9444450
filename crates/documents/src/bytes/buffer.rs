//! Bytes put together of many short pieces.
//!
//! Why not `Vec::extend_from_slice`: an event is made of some two hundred pieces of a few bytes. For a slice whose length
//! is only known when running, the compiler emits a call: in WASM the instruction `memory.copy`, for which engines leave
//! the compiled code. Here a short piece is one to four loads and stores of a fixed size, inlined, since an engine that may
//! have to interrupt a component looks whether it should at every call.

use super::padded::{PADDING, Padded};

/// A buffer that keeps its room.
#[derive(Default)]
pub struct Buffer {
    /// All of it can be written to; the content is the beginning.
    room: Vec<u8>,
    len: usize,
}

impl Buffer {
    /// An empty buffer in room that was made before.
    pub fn of(room: Vec<u8>) -> Self {
        Self { room, len: 0 }
    }

    /// The room, for another use.
    pub fn into_room(self) -> Vec<u8> {
        self.room
    }

    /// The content.
    pub fn bytes(&self) -> &[u8] {
        &self.room[..self.len]
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
        if let Some(to) = self.room[..self.len].get_mut(at..at + piece.len()) {
            to.copy_from_slice(piece);
        }
    }

    /// Adds a piece.
    #[inline(always)]
    pub fn put(&mut self, piece: &[u8]) {
        let end = self.len + piece.len();
        if end > self.room.len() {
            self.grow(end);
        }
        copy(&mut self.room[self.len..end], piece);
        self.len = end;
    }

    /// Adds a piece behind which there is memory, and writes over what lies behind the content.
    #[inline(always)]
    pub fn put_padded(&mut self, piece: Padded<'_>) {
        let end = self.len + piece.len();
        if self.len + PADDING > self.room.len() {
            self.grow(end + PADDING);
        }
        let to = self.room[self.len..].first_chunk_mut::<PADDING>();
        let from = piece.memory().first_chunk::<PADDING>();
        match (to, from) {
            (Some(to), Some(from)) if piece.len() <= PADDING => copy_steps(to, from, piece.len()),
            _ => return self.put(piece.bytes()),
        }
        self.len = end;
    }

    /// Adds a piece of a length that is known when compiled.
    #[inline]
    pub fn put_array<const N: usize>(&mut self, piece: &[u8; N]) {
        let end = self.len + N;
        if end > self.room.len() {
            self.grow(end);
        }
        if let Some(to) = self.room[self.len..].first_chunk_mut() {
            *to = *piece;
        }
        self.len = end;
    }

    #[cold]
    fn grow(&mut self, end: usize) {
        self.room.resize(end.next_power_of_two().max(4096), 0);
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
