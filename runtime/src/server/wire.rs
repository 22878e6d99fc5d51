//! One connection's bytes: what was read and not yet used, and writing within a bound of time.

use std::io;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Both directions of a connection, whatever kind it is of.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// What is read at a time. An ordinary webhook fits, head and body.
const READ: usize = 8 * 1024;

/// Whoever takes an answer more slowly than this does not get the whole of it; bytes a second.
const SLOWEST: u64 = 16 * 1024;

/// A connection with what was read ahead.
pub(super) struct Wire {
    stream: Box<dyn Stream>,
    pub(super) buffer: BytesMut,
}

impl Wire {
    pub(super) fn new(stream: Box<dyn Stream>) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }

    /// Reads what is there into the buffer, and waits where nothing is. 0 is the end.
    pub(super) async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.reserve(READ);
        self.stream.read_buf(&mut self.buffer).await
    }

    /// Reads at most `most` bytes past the buffer.
    pub(super) async fn read_into(&mut self, into: &mut BytesMut, most: usize) -> io::Result<usize> {
        self.stream.read_buf(&mut into.limit(most)).await
    }

    /// Writes pieces one behind the other; to have it done takes so long at most, and longer for many bytes.
    pub(super) async fn write(&mut self, pieces: &[&[u8]], patience: Duration) -> io::Result<()> {
        let bytes: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
        let written = async {
            for piece in pieces {
                self.stream.write_all(piece).await?;
            }
            self.stream.flush().await
        };
        tokio::time::timeout(patience + Duration::from_secs(bytes / SLOWEST), written).await?
    }

    /// Says that nothing more will be written, then reads on for a while and drops it: closing a connection with unread
    /// bytes would make the system drop the answer.
    pub(super) async fn linger(&mut self, most: usize, patience: Duration) {
        self.buffer = BytesMut::with_capacity(READ);
        let drained = async {
            self.stream.shutdown().await?;
            let mut read = 0;
            while read < most {
                self.buffer.clear();
                match self.stream.read_buf(&mut self.buffer).await? {
                    0 => break,
                    bytes => read += bytes,
                }
            }
            io::Result::Ok(())
        };
        // Whether it ended or not, the connection closes now.
        drop(tokio::time::timeout(patience, drained).await);
    }

    /// Takes the next bytes of the buffer without a copy, where so many are there.
    pub(super) fn take(&mut self, bytes: u64) -> Option<Bytes> {
        let bytes = usize::try_from(bytes).ok().filter(|bytes| *bytes <= self.buffer.len())?;
        Some(self.buffer.split_to(bytes).freeze())
    }
}
