//! Memory for bodies that are on their way in.
//!
//! A body is kept in blocks, and a block is counted before it is made: what counts is what came, never what was announced,
//! and nothing that was made is not counted. The first bytes of each body are free, so that ordinary webhooks get in whatever
//! large ones do.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::limits::Limits;

/// What of each body is free. It is bounded by the number of connections.
pub(super) const FREE: usize = 2 * BLOCK;
/// What one permit stands for, and what is made at a time.
pub(super) const BLOCK: usize = 16 * 1024;

/// All memory for bodies.
#[derive(Debug)]
pub(super) struct Memory {
    permits: Semaphore,
    /// Whoever has it needs no further permits: of many bodies that each wait for the rest, one always goes on.
    last: Semaphore,
    senders: Mutex<HashMap<IpAddr, usize>>,
    per_sender: usize,
}

/// What one body holds; it is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Held<'a> {
    memory: &'a Memory,
    sender: Option<IpAddr>,
    permits: Option<SemaphorePermit<'a>>,
    last: Option<SemaphorePermit<'a>>,
    /// Permits that are counted for the sender.
    counted: usize,
}

/// A sender has as much on its way as it may.
#[derive(Debug)]
pub(super) struct TooMuch;

impl Memory {
    pub(super) fn new(limits: &Limits) -> Self {
        let permits = |bytes: usize| (bytes / BLOCK).max(1);
        Self {
            permits: Semaphore::new(permits(limits.bodies.max(limits.max_body))),
            last: Semaphore::new(1),
            senders: Mutex::default(),
            per_sender: permits(limits.bodies_per_address.max(limits.max_body)),
        }
    }

    /// Returns what a new body of a sender holds: nothing yet.
    pub(super) fn hold(&self, sender: Option<IpAddr>) -> Held<'_> {
        Held { memory: self, sender, permits: None, last: None, counted: 0 }
    }
}

impl Held<'_> {
    /// Takes the memory for a body that has grown to so many bytes, and waits for it where there is none.
    pub(super) async fn grow(&mut self, bytes: usize) -> Result<(), TooMuch> {
        let wanted = bytes.saturating_sub(FREE).div_ceil(BLOCK);
        if wanted <= self.counted {
            return Ok(());
        }
        let more = wanted - self.counted;
        self.count(more)?;
        if self.last.is_some() {
            return Ok(());
        }
        let memory = self.memory;
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        let permits = match memory.permits.try_acquire_many(more) {
            Ok(permits) => Some(permits),
            Err(_) => tokio::select! {
                permits = memory.permits.acquire_many(more) => permits.ok(),
                last = memory.last.acquire() => {
                    self.last = last.ok();
                    None
                }
            },
        };
        match (&mut self.permits, permits) {
            (Some(held), Some(permits)) => held.merge(permits),
            (held @ None, permits) => *held = permits,
            (Some(_), None) => {}
        }
        Ok(())
    }

    fn count(&mut self, more: usize) -> Result<(), TooMuch> {
        if let Some(sender) = self.sender {
            let mut senders = self.memory.senders.lock().unwrap_or_else(PoisonError::into_inner);
            let held = senders.entry(sender).or_default();
            if *held + more > self.memory.per_sender {
                return Err(TooMuch);
            }
            *held += more;
        }
        self.counted += more;
        Ok(())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let (Some(sender), 1..) = (self.sender, self.counted) else { return };
        let mut senders = self.memory.senders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = senders.get_mut(&sender) {
            *held = held.saturating_sub(self.counted);
            if *held == 0 {
                senders.remove(&sender);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn limits(bodies: usize, bodies_per_address: usize) -> Limits {
        Limits { max_body: 16 * BLOCK, bodies, bodies_per_address, ..Limits::default() }
    }

    #[tokio::test]
    async fn small_bodies_are_free_and_one_large_body_always_goes_on() {
        let memory = Memory::new(&limits(16 * BLOCK, usize::MAX));
        let (mut one, mut other, mut third) = (memory.hold(None), memory.hold(None), memory.hold(None));
        one.grow(FREE + 8 * BLOCK).await.unwrap();
        other.grow(FREE + 8 * BLOCK).await.unwrap();
        memory.hold(None).grow(FREE).await.unwrap();
        // Nothing is left: the first to ask is the one that goes on, the others wait for it.
        one.grow(FREE + 12 * BLOCK).await.unwrap();
        one.grow(FREE + 16 * BLOCK).await.unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(20), third.grow(FREE + 1)).await.is_err());
        drop(one);
        other.grow(FREE + 16 * BLOCK).await.unwrap();
        assert_eq!(memory.permits.available_permits(), 0);
        drop((other, third));
        assert_eq!((memory.permits.available_permits(), memory.last.available_permits()), (16, 1));
    }

    #[tokio::test]
    async fn one_sender_takes_its_share_alone() {
        let memory = Memory::new(&limits(64 * BLOCK, 20 * BLOCK));
        let sender = Some(IpAddr::from([192, 0, 2, 1]));
        let mut one = memory.hold(sender);
        one.grow(FREE + 15 * BLOCK).await.unwrap();
        assert!(memory.hold(sender).grow(FREE + 6 * BLOCK).await.is_err());
        memory.hold(Some(IpAddr::from([192, 0, 2, 2]))).grow(FREE + 6 * BLOCK).await.unwrap();
        memory.hold(sender).grow(FREE).await.unwrap();
        drop(one);
        memory.hold(sender).grow(FREE + 16 * BLOCK).await.unwrap();
        assert!(memory.senders.lock().unwrap().is_empty());
    }
}
