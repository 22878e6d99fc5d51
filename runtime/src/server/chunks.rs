//! The chunked coding (RFC 9112, 7.1), read strictly: what two readers could take for different chunks is refused.

use bytes::{Buf, BytesMut};

/// The longest line of a size with its extensions, or of a trailer.
const LINE: usize = 4 * 1024;
/// The most of extensions and trailers together. Nobody reads them.
const ASIDE: usize = 16 * 1024;

/// Where in the coding a body is.
#[derive(Debug)]
pub(super) struct Chunks {
    at: At,
    /// Bytes of extensions and trailers so far.
    aside: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Size,
    /// So much of the chunk is left.
    Data(u64),
    /// The line break behind a chunk.
    Behind,
    Trailers,
    End,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// So many bytes of the body.
    Data(u64),
    /// Nothing, before more has come.
    More,
    End,
}

/// It is no chunked coding.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoChunks;

impl Chunks {
    pub(super) fn new() -> Self {
        Self { at: At::Size, aside: 0 }
    }

    /// Takes all but the body itself from the buffer and tells what comes next.
    pub(super) fn next(&mut self, buffer: &mut BytesMut) -> Result<Next, NoChunks> {
        loop {
            self.at = match self.at {
                At::Data(left) => return Ok(Next::Data(left)),
                At::End => return Ok(Next::End),
                At::Behind => {
                    if buffer.len() < 2 {
                        return if b"\r\n".starts_with(buffer) { Ok(Next::More) } else { Err(NoChunks) };
                    }
                    if !buffer.starts_with(b"\r\n") {
                        return Err(NoChunks);
                    }
                    buffer.advance(2);
                    At::Size
                }
                At::Size => {
                    let Some(line) = line(buffer)? else { return Ok(Next::More) };
                    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
                    let (digits, rest) = line.split_at(digits);
                    if !(rest.is_empty() || rest.starts_with(b";")) {
                        return Err(NoChunks);
                    }
                    self.leave_aside(rest.len())?;
                    let text = std::str::from_utf8(digits).map_err(|_| NoChunks)?;
                    match u64::from_str_radix(text, 16).map_err(|_| NoChunks)? {
                        0 => At::Trailers,
                        size => At::Data(size),
                    }
                }
                At::Trailers => {
                    let Some(line) = line(buffer)? else { return Ok(Next::More) };
                    self.leave_aside(line.len())?;
                    if line.is_empty() { At::End } else { At::Trailers }
                }
            };
        }
    }

    /// Returns how many bytes of the body are known to come.
    pub(super) fn announced(&self) -> u64 {
        match self.at {
            At::Data(left) => left,
            At::Size | At::Behind | At::Trailers | At::End => 0,
        }
    }

    /// Notes that so much of the body was taken.
    pub(super) fn taken(&mut self, bytes: u64) {
        if let At::Data(left) = self.at {
            self.at = if left > bytes { At::Data(left - bytes) } else { At::Behind };
        }
    }

    fn leave_aside(&mut self, bytes: usize) -> Result<(), NoChunks> {
        self.aside += bytes;
        if self.aside > ASIDE { Err(NoChunks) } else { Ok(()) }
    }
}

/// Takes a line without its break. It holds no other control character.
fn line(buffer: &mut BytesMut) -> Result<Option<BytesMut>, NoChunks> {
    let Some(end) = buffer.iter().position(|byte| byte.is_ascii_control() && *byte != b'\t') else {
        return if buffer.len() > LINE { Err(NoChunks) } else { Ok(None) };
    };
    match buffer.get(end..).unwrap_or_default() {
        b"\r" => Ok(None),
        [b'\r', b'\n', ..] => {
            let line = buffer.split_to(end);
            buffer.advance(2);
            Ok(Some(line))
        }
        _ => Err(NoChunks),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body, and what stands behind it.
    type Decoded = (Vec<u8>, Vec<u8>);

    /// Decodes what comes in pieces of so many bytes.
    fn decode(bytes: &[u8], piece: usize) -> Result<Option<Decoded>, NoChunks> {
        let (mut chunks, mut buffer, mut body) = (Chunks::new(), BytesMut::new(), Vec::new());
        for piece in bytes.chunks(piece) {
            buffer.extend_from_slice(piece);
            loop {
                match chunks.next(&mut buffer)? {
                    Next::Data(left) if !buffer.is_empty() => {
                        let taken = usize::try_from(left).unwrap().min(buffer.len());
                        body.extend_from_slice(&buffer.split_to(taken));
                        chunks.taken(taken as u64);
                    }
                    Next::Data(_) | Next::More => break,
                    Next::End if piece.len() == bytes.len() => return Ok(Some((body, buffer.to_vec()))),
                    Next::End => return Ok(Some((body, Vec::new()))),
                }
            }
        }
        Ok(None)
    }

    #[test]
    fn bodies_are_read_in_whatever_pieces_they_come() {
        let bytes = b"3\r\nabc\r\n00000A;name=\"a value\"\r\n0123456789\r\n0\r\nX-Trailer: y\r\n\r\n";
        for piece in 1..bytes.len() {
            assert_eq!(decode(bytes, piece).unwrap().unwrap().0, b"abc0123456789", "{piece}");
        }
        let behind = [&bytes[..], b"POST /"].concat();
        assert_eq!(decode(&behind, 1000).unwrap().unwrap().1, b"POST /");
        assert_eq!(decode(&bytes[..bytes.len() - 1], 1000), Ok(None));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let long = [b"1;", &vec![b'a'; 5000][..]].concat();
        let trailers = [b"0\r\n", &b"X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".repeat(1000)[..]].concat();
        let cases: [&[u8]; 20] = [
            b"3\nabc\n0\n\n",
            b"3\r\nabcd\r\n",
            b"3\r\nabc\n0\r\n\r\n",
            b"3\r\nabc0\r\n\r\n",
            b"0x3\r\nabc\r\n",
            b"+3\r\nabc\r\n",
            b"-1\r\n",
            b" 3\r\nabc\r\n",
            b"3 \r\nabc\r\n",
            b"3 ;a\r\nabc\r\n",
            b"\r\n",
            b";a\r\n",
            b"10000000000000000\r\n",
            b"3;a\nb\r\nabc\r\n",
            b"3;a\rb\r\nabc\r\n",
            b"3;\0\r\nabc\r\n",
            b"0\r\nX: y\n\r\n",
            b"g\r\n",
            &long,
            &trailers,
        ];
        for case in cases {
            for piece in [1, 7, 100_000] {
                assert_eq!(decode(case, piece), Err(NoChunks), "{}", String::from_utf8_lossy(&case[..case.len().min(40)]));
            }
        }
    }
}
