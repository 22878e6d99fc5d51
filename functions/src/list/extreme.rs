//! The least and the greatest of several values.

use std::cmp::Ordering;

use flow_plan::Value;

use crate::args::Args;
use crate::order::ordering;

/// Returns the one of which no other is `wanted`; of a list where there is one argument, else of the arguments.
pub(super) fn of(args: Args<'_>, wanted: Ordering) -> Option<Value> {
    let items = match args.0 {
        [Value::List(items)] => items.as_slice(),
        several => several,
    };
    let (mut best, rest) = items.split_first()?;
    // A value that has no order among the others, a second currency, leaves no answer.
    ordering(best, best)?;
    for item in rest {
        if ordering(item, best)? == wanted {
            best = item;
        }
    }
    Some(best.clone())
}
