//! Functions for what other systems read and write.

pub(crate) mod base64;
pub(crate) mod hash;
pub(crate) mod iso;
pub(crate) mod json;
pub(crate) mod parse_json;
pub(crate) mod percent_encode;
pub(crate) mod unix;
