//! Paths into JSON: `data.items[0].price`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A path from the root of a JSON document; empty is the root itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct JsonPath(pub Vec<Segment>);

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Segment {
    /// A member of an object.
    Key(String),
    /// An element of an array, from 0.
    Index(usize),
}

/// Why a text is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A part between two dots is empty.
    #[error("a part of the path is empty")]
    EmptyPart,
    /// `[` without a number and `]`.
    #[error("behind `[` a number and `]` are expected")]
    BadIndex,
}

impl JsonPath {
    /// Parses `data.items[0].price`; the empty text is the root.
    ///
    /// # Errors
    /// Where a part is empty or an index is no number.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let mut segments = Vec::new();
        if text.is_empty() {
            return Ok(Self(segments));
        }
        for part in text.split('.') {
            let (key, mut rest) = part.find('[').map_or((part, ""), |at| part.split_at(at));
            if key.is_empty() && rest.is_empty() {
                return Err(PathError::EmptyPart);
            }
            if !key.is_empty() {
                segments.push(Segment::Key(key.to_owned()));
            }
            while !rest.is_empty() {
                let inner = rest.strip_prefix('[').ok_or(PathError::BadIndex)?;
                let (number, after) = inner.split_once(']').ok_or(PathError::BadIndex)?;
                segments.push(Segment::Index(number.parse().map_err(|_| PathError::BadIndex)?));
                rest = after;
            }
        }
        Ok(Self(segments))
    }

    /// Returns this path with `other` behind it.
    #[must_use]
    pub fn join(&self, other: &JsonPath) -> JsonPath {
        JsonPath(self.0.iter().chain(&other.0).cloned().collect())
    }

    /// Tells whether it is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if at == 0 => f.write_str(key)?,
                Segment::Key(key) => write!(f, ".{key}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
