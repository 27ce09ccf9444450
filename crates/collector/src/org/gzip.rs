//! Bodies that come compressed (RFC 1952).
//!
//! A gzip stream is one member after another. Some servers put zeros behind the last ("gzip, trailing garbage ignored", says
//! the program of that name), and say that an empty body is gzip. Neither loses anything. A member that is cut does: that is
//! an error, as is a body that begins with something else.

use flate2::bufread::GzDecoder;
use std::io::{self, BufRead, Read};

/// How a member begins: the magic number, and deflate, the one method there is.
const HEADER: [u8; 3] = [0x1f, 0x8b, 8];
const CHUNK: usize = 64 * 1024;

/// What a body says, decompressed as it is read.
pub fn decode(body: Box<dyn Read>) -> Box<dyn Read> {
    Box::new(Members { state: State::Between(Source::new(body)), first: true })
}

struct Members {
    state: State,
    /// Whether the first member is still to come.
    first: bool,
}

enum State {
    Inside(Box<GzDecoder<Source>>),
    Between(Source),
    End,
}

impl Read for Members {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match &mut self.state {
                State::End => return Ok(0),
                State::Inside(member) => match member.read(buffer)? {
                    0 => {}
                    count => return Ok(count),
                },
                State::Between(source) => {
                    let begins = source.peek()?;
                    let is_cut =
                        !begins.is_empty() && begins.len() < HEADER.len() && HEADER.starts_with(begins);
                    let goes_on = is_cut || begins.starts_with(&HEADER) || (self.first && !begins.is_empty());
                    if !goes_on {
                        self.state = State::End;
                        return Ok(0);
                    }
                }
            }
            self.state = match std::mem::replace(&mut self.state, State::End) {
                State::Between(source) => State::Inside(Box::new(GzDecoder::new(source))),
                State::Inside(member) => State::Between(member.into_inner()),
                State::End => State::End,
            };
            self.first = false;
        }
    }
}

/// A body of which one can look at what comes next, however it is cut into pieces.
struct Source {
    body: Box<dyn Read>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Source {
    fn new(body: Box<dyn Read>) -> Self {
        Self { body, buffer: vec![0; CHUNK], start: 0, end: 0 }
    }

    /// The next bytes: as many as a header is recognised by, or fewer at the end.
    fn peek(&mut self) -> io::Result<&[u8]> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < HEADER.len() && self.fill()? > 0 {}
        Ok(&self.buffer[..self.end.min(HEADER.len())])
    }

    fn fill(&mut self) -> io::Result<usize> {
        loop {
            match self.body.read(&mut self.buffer[self.end..]) {
                Ok(count) => {
                    self.end += count;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Source {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            self.fill()?;
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, read::GzEncoder};

    fn zipped(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        GzEncoder::new(text, Compression::default()).read_to_end(&mut out).expect("memory does not fail");
        out
    }

    /// Gives out its bytes in pieces.
    struct Pieces(io::Cursor<Vec<u8>>, usize);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let size = self.1.min(buffer.len());
            self.0.read(&mut buffer[..size])
        }
    }

    fn decoded(bytes: &[u8], size: usize) -> Result<Vec<u8>, io::ErrorKind> {
        let mut out = Vec::new();
        let mut body = decode(Box::new(Pieces(io::Cursor::new(bytes.to_vec()), size)));
        body.read_to_end(&mut out).map_err(|error| error.kind())?;
        assert_eq!(body.read(&mut [0; 8]).expect("an end that stays one"), 0);
        Ok(out)
    }

    #[test]
    fn members_one_after_another_are_one_body() {
        let body = [zipped(b"one,"), zipped(b""), zipped(&[b'x'; 100_000]), zipped(b",two")].concat();
        let expected = [&b"one,"[..], &[b'x'; 100_000], b",two"].concat();
        for size in [1, 7, 100_000] {
            assert_eq!(decoded(&body, size).as_deref(), Ok(&expected[..]), "in pieces of {size}");
        }
    }

    #[test]
    fn what_stands_behind_the_last_member_and_is_none_is_the_end() {
        for behind in [&[0][..], &[0; 1000], b"garbage", b"\n", &[0x1f, 0x8c], &[0x1f, 0x8b, 7, 0], b"<html>"]
        {
            for size in [1, 2, 1000] {
                let body = [&zipped(b"text"), behind].concat();
                assert_eq!(
                    decoded(&body, size).as_deref(),
                    Ok(&b"text"[..]),
                    "{behind:?} in pieces of {size}"
                );
            }
        }
    }

    #[test]
    fn a_body_of_no_bytes_says_nothing() {
        assert_eq!(decoded(b"", 1), Ok(Vec::new()));
    }

    #[test]
    fn a_member_that_is_cut_anywhere_is_an_error_and_so_is_a_wrong_sum() {
        let (first, second) = (zipped(b"first"), zipped(b"second member"));
        let body = [&first[..], &second].concat();
        for cut in (1..body.len()).filter(|cut| *cut != first.len()) {
            assert!(decoded(&body[..cut], 3).is_err(), "cut after {cut} of {}", body.len());
        }
        assert_eq!(decoded(&first, 3).as_deref(), Ok(&b"first"[..]));
        let mut wrong = first;
        let sum = wrong.len() - 8;
        wrong[sum] ^= 1;
        assert!(decoded(&wrong, 3).is_err());
        assert!(decoded(b"EVENT_TYPE,TIMESTAMP\n", 3).is_err());
    }

    #[test]
    fn an_error_of_the_body_is_passed_on() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("reset"))
            }
        }
        let body = io::Cursor::new(zipped(b"text")).chain(Failing);
        let error = decode(Box::new(body)).read_to_end(&mut Vec::new()).expect_err("an error");
        assert_eq!(error.to_string(), "reset");
    }
}
