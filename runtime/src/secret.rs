//! Secrets: values that cannot be printed or serialised, and are wiped when dropped.

mod traces;

use zeroize::Zeroizing;

pub(crate) use traces::{Least, Traces};

/// A secret. It has no `Display`, no `Serialize`, and its `Debug` says nothing.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a secret.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Returns the text, for the request or the signature that needs it and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}
