//! Forms that are close to one of Flow's.

use super::look::Look;
use crate::error::SyntaxError;

pub(super) fn find(_look: &Look<'_>) -> Option<SyntaxError> {
    None
}
