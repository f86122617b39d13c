//! The binary frame of FastStream 0.6 and later.
//!
//! Eight bytes of identity, then big-endian: a version of 16 bits, where the headers and where the data begin, of 32 bits
//! each and counted from the first byte. The headers are a count of 16 bits, then names and values in turn, each after its
//! length of 16 bits. The data are the rest.
//!
//! FastStream reads a length as bytes and writes it as characters, so that a header beyond ASCII, as FastStream writes
//! it, puts everything behind it out of place. Where the data begin is right all the same.

use super::{Encoded, parts};
use crate::wire::decoder::{DECODE, invalid};
use crate::wire::fields::ENCODE;
use crate::wire::limits;
use crate::{Error, ErrorKind, Event, Headers, Result};

/// How a frame begins; no text does.
pub(super) const IDENTITY: &[u8; 8] = b"\x89BIN\r\n\x1a\n";

const VERSION: u16 = 1;

/// Where the headers begin in a frame of this version.
const HEADERS_AT: usize = IDENTITY.len() + 2 + 4 + 4;

pub(in crate::wire) fn encode(event: &Event) -> Result<Encoded<'static>> {
    let (data, pairs) = parts(event)?;
    let mut headers = Vec::new();
    let mut count = 0_usize;
    for (name, value) in pairs {
        for text in [name, value] {
            let Ok(length) = u16::try_from(text.len()) else {
                return Err(Error::new(
                    ErrorKind::TooLarge,
                    ENCODE,
                    "a header of a frame has at most 65535 bytes",
                ));
            };
            headers.extend_from_slice(&length.to_be_bytes());
            headers.extend_from_slice(text.as_bytes());
        }
        count += 1;
    }
    limits::check_count(ENCODE, count)?;
    let data_at = HEADERS_AT + 2 + headers.len();
    let offset = |at: usize| {
        u32::try_from(at).map(u32::to_be_bytes).map_err(|_| Error::too_large(ENCODE, at, u32::MAX as usize))
    };
    let mut out = Vec::with_capacity(data_at + data.len());
    out.extend_from_slice(IDENTITY);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&offset(HEADERS_AT)?);
    out.extend_from_slice(&offset(data_at)?);
    out.extend_from_slice(&(count as u16).to_be_bytes());
    out.extend_from_slice(&headers);
    out.extend_from_slice(&data);
    Ok(Encoded::for_faststream(out))
}

/// Headers and data of a frame; `framed` is what follows the identity in `message`.
pub(super) fn decode<'a>(framed: &'a [u8], message: &'a [u8]) -> Result<(Headers, &'a [u8])> {
    let short = || invalid("the frame is cut short");
    let mut start = Reader(framed);
    let version = start.short().ok_or_else(short)?;
    if version != VERSION {
        return Err(invalid(format!("the frame is of version {version}, not {VERSION}")));
    }
    let headers_at = start.offset().ok_or_else(short)?;
    let data_at = start.offset().ok_or_else(short)?;
    let data = message.get(data_at..).ok_or_else(short)?;
    let Some(between) = message.get(headers_at..data_at) else {
        return Err(invalid("the headers of the frame begin behind its data"));
    };
    let mut between = Reader(between);
    let count = usize::from(between.short().ok_or_else(short)?);
    limits::check_count(DECODE, count)?;
    Ok((headers(between.0, count), data))
}

/// The headers, whichever way their lengths are counted: the way that ends where the data begin.
///
/// Where neither does, those that were readable up to the first that is out of place: the event matters more.
fn headers(bytes: &[u8], count: usize) -> Headers {
    let (by_bytes, whole) = read(bytes, count, Reader::text);
    if whole {
        return by_bytes;
    }
    let (by_characters, whole) = read(bytes, count, Reader::text_by_characters);
    if whole { by_characters } else { by_bytes }
}

fn read<'a>(bytes: &'a [u8], count: usize, text: fn(&mut Reader<'a>) -> Option<&'a str>) -> (Headers, bool) {
    let mut reader = Reader(bytes);
    let mut headers = Headers::new();
    for _ in 0..count {
        let (Some(name), Some(value)) = (text(&mut reader), text(&mut reader)) else {
            return (headers, false);
        };
        headers.insert(name, value);
    }
    (headers, reader.0.is_empty())
}

/// Takes what it reads from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn short(&mut self) -> Option<u16> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*bytes))
    }

    fn offset(&mut self) -> Option<usize> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        usize::try_from(u32::from_be_bytes(*bytes)).ok()
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = usize::from(self.short()?);
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }

    fn text_by_characters(&mut self) -> Option<&'a str> {
        let length = usize::from(self.short()?);
        // Up to four bytes a character; a character that is cut in two at the end is not one of these.
        let window = &self.0[..self.0.len().min(4 * length)];
        let readable = match std::str::from_utf8(window) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&window[..error.valid_up_to()]).ok()?,
        };
        let end = match readable.char_indices().nth(length) {
            Some((end, _)) => end,
            None if readable.chars().count() == length => readable.len(),
            None => return None,
        };
        self.0 = &self.0[end..];
        Some(&readable[..end])
    }
}
