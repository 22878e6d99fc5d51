//! Hashes that name plans and flows.

use serde::Serialize;
use sha2::{Digest, Sha256};

/// Returns the SHA-256 of the JSON form of `value`, in lower-case hex.
///
/// Equal values have equal JSON, since every map in a plan is ordered.
pub fn content_hash<T: Serialize>(value: &T) -> String {
    // Serialising plain data into memory cannot fail; an empty text would still be a stable name.
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    hex::encode(Sha256::digest(&bytes))
}

/// Returns the first 12 hex digits of the SHA-256 of `text`: enough to tell the flows of one project apart.
pub fn short_hash(text: &str) -> String {
    let mut hash = hex::encode(Sha256::digest(text.as_bytes()));
    hash.truncate(12);
    hash
}
