//! The body of a request, read piece by piece by whoever answers the request.
//!
//! Nothing is read ahead of what is asked for but what came with the head, so that whoever has no memory for a body does
//! not read it, and its sender waits.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::chunks::{Chunks, Next, NoChunks};
use super::head::Framing;
use super::places::{Phase, Place};
use super::wire::Wire;

/// The patience for the few bytes of `100 Continue`.
const CONTINUE_PATIENCE: Duration = Duration::from_secs(1);

/// A body that is on its way in.
pub(crate) struct Body<'a> {
    wire: &'a mut Wire,
    place: &'a Place,
    rest: Rest,
    /// The sender waits for `100 Continue`.
    expects: bool,
}

/// What has not been read.
enum Rest {
    Length(u64),
    Chunked(Chunks),
    /// Nothing, so that another request may follow.
    Nothing,
    /// It is not known where it ends.
    Unknown,
}

/// Why a body cannot be read to its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// The sender went away in the middle.
    Ended,
    /// It is not coded as its head says.
    Malformed,
    /// The place of the connection was needed for another one.
    GaveWay,
}

impl<'a> Body<'a> {
    pub(super) fn new(wire: &'a mut Wire, place: &'a Place, framing: Framing, expects: bool) -> Self {
        let rest = match framing {
            Framing::Length(0) => Rest::Nothing,
            Framing::Length(length) => Rest::Length(length),
            Framing::Chunked => Rest::Chunked(Chunks::new()),
        };
        Self { wire, place, rest, expects }
    }

    /// Returns the length of what is left, where it is known beforehand.
    pub(crate) fn length(&self) -> Option<u64> {
        match self.rest {
            Rest::Length(length) => Some(length),
            Rest::Nothing => Some(0),
            Rest::Chunked(_) | Rest::Unknown => None,
        }
    }

    /// Returns how many bytes are known to come: of chunks, what is left of the one that has begun.
    pub(crate) fn announced(&self) -> u64 {
        match &self.rest {
            Rest::Length(length) => *length,
            Rest::Chunked(chunks) => chunks.announced(),
            Rest::Nothing | Rest::Unknown => 0,
        }
    }

    /// Tells whether it was read to its end.
    pub(crate) fn is_read(&self) -> bool {
        matches!(self.rest, Rest::Nothing)
    }

    /// Returns the whole body where it came together with the head, without a copy.
    pub(crate) fn at_once(&mut self) -> Option<Bytes> {
        let bytes = match &self.rest {
            Rest::Length(length) => self.wire.take(*length)?,
            Rest::Nothing => Bytes::new(),
            Rest::Chunked(_) | Rest::Unknown => return None,
        };
        self.rest = Rest::Nothing;
        Some(bytes)
    }

    /// Reads at least one and at most `most` bytes, and returns how many; 0 is the end. It may be dropped while it waits.
    ///
    /// # Errors
    /// Once, and then for ever.
    pub(crate) async fn read(&mut self, into: &mut BytesMut, most: usize) -> Result<usize, BodyError> {
        self.place.enter(Phase::Receives);
        let place = self.place;
        let read = tokio::select! {
            read = self.step(into, most) => read,
            () = place.must_go() => Err(BodyError::GaveWay),
        };
        if read.is_err() {
            self.rest = Rest::Unknown;
        }
        if self.is_read() {
            self.place.enter(Phase::Works);
        }
        read
    }

    async fn step(&mut self, into: &mut BytesMut, most: usize) -> Result<usize, BodyError> {
        loop {
            let left = match &mut self.rest {
                Rest::Nothing => return Ok(0),
                Rest::Unknown => return Err(BodyError::Malformed),
                Rest::Length(left) => *left,
                Rest::Chunked(chunks) => match chunks.next(&mut self.wire.buffer).map_err(|NoChunks| BodyError::Malformed)? {
                    Next::Data(left) => left,
                    Next::End => {
                        self.rest = Rest::Nothing;
                        return Ok(0);
                    }
                    Next::More => {
                        self.expected().await?;
                        if self.wire.fill().await.map_err(|_| BodyError::Ended)? == 0 {
                            return Err(BodyError::Ended);
                        }
                        continue;
                    }
                },
            };
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(most);
            let read = if self.wire.buffer.is_empty() {
                self.expected().await?;
                self.wire.read_into(into, most).await.map_err(|_| BodyError::Ended)?
            } else {
                let most = most.min(self.wire.buffer.len());
                into.extend_from_slice(&self.wire.buffer.split_to(most));
                most
            };
            if read == 0 {
                return Err(BodyError::Ended);
            }
            match &mut self.rest {
                Rest::Length(left) if *left > read as u64 => *left -= read as u64,
                Rest::Length(_) => self.rest = Rest::Nothing,
                Rest::Chunked(chunks) => chunks.taken(read as u64),
                Rest::Nothing | Rest::Unknown => {}
            }
            return Ok(read);
        }
    }

    /// Tells a sender that waits for it to go on.
    async fn expected(&mut self) -> Result<(), BodyError> {
        if self.expects {
            let written = self.wire.write(&[b"HTTP/1.1 100 Continue\r\n\r\n"], CONTINUE_PATIENCE);
            written.await.map_err(|_| BodyError::Ended)?;
            self.expects = false;
        }
        Ok(())
    }
}
