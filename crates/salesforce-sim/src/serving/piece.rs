//! The pieces that a body comes in, and how it ends.

use bytes::Bytes;

/// A piece of a streamed body. A channel that closes without `End` breaks the connection.
pub(crate) enum Piece {
    Data(Bytes),
    End,
    Break,
    /// Nothing more comes, and the connection stays open.
    Stall,
}

/// How a body ends before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CutAt {
    /// Decoded bytes that are still sent.
    pub(crate) after: u64,
    pub(crate) end: CutEnd,
}

/// What is behind the last byte of a body that is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CutEnd {
    /// The body looks complete.
    Complete,
    /// The connection breaks.
    Breaks,
    /// Nothing, and the connection stays open.
    Stalls,
}

impl CutEnd {
    pub(crate) fn piece(self) -> Piece {
        match self {
            Self::Complete => Piece::End,
            Self::Breaks => Piece::Break,
            Self::Stalls => Piece::Stall,
        }
    }
}
