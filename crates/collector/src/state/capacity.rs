//! How much may be remembered.

/// How much a stream may remember.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// Files that are done and above the low watermark.
    pub done: usize,
    /// Files set aside.
    pub set_aside: usize,
    /// Keys of records above the low watermark.
    pub remembered: usize,
}
