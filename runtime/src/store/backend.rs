//! The seam between what is stored and where: ordered keys and values in atomic, durable transactions.

use super::StoreError;

/// What a scan calls with each entry; `false` ends it.
pub(super) type Each<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<bool, StoreError>;

/// Reading within one transaction.
pub(super) trait Read {
    /// Returns the value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    /// Tells whether there is a key.
    fn has(&self, key: &[u8]) -> Result<bool, StoreError> {
        Ok(self.get(key)?.is_some())
    }
    /// Goes through `from..to`, upwards or downwards.
    fn scan(&self, from: &[u8], to: &[u8], downwards: bool, each: Each<'_>) -> Result<(), StoreError>;
}

/// Writing within one transaction. It sees its own writes.
pub(super) trait Write: Read {
    /// Sets the value of a key.
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError>;
    /// Removes a key.
    fn remove(&mut self, key: &[u8]) -> Result<(), StoreError>;
}

/// Where the bytes lie.
pub(super) trait Backend: Send + Sync + 'static {
    /// Tells whether the bytes still lie where they are looked for. Cheap enough to be asked before each write.
    fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
    /// Runs a read transaction.
    fn read(&self, work: &mut dyn FnMut(&dyn Read) -> Result<(), StoreError>) -> Result<(), StoreError>;
    /// Runs a write transaction. Where `work` or the commit fails nothing is kept; where it returns `Ok` all is on disk.
    fn write(&self, work: &mut dyn FnMut(&mut dyn Write) -> Result<(), StoreError>) -> Result<(), StoreError>;
}
