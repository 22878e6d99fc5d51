//! What of a payload does not fit, whoever reads it: for the alarm, and not for matching.

use std::collections::{BTreeMap, HashSet};

use flow_plan::Value;

use super::group::Group;
use super::parts::Listener;
use super::payload::Payload;
use crate::event::Difference;
use crate::journal::EventHead;

/// Of an event that fits nowhere no more is said.
const MOST_MISFITS: usize = 20;

/// A flow that is the first to read some fields of a trigger's events.
#[derive(Debug)]
pub(super) struct Reader {
    listener: Listener,
    /// The numbers of the fields.
    fields: Box<[u32]>,
}

/// Returns the flows that are the first to read something of a trigger, in their order: as few as there are triggers and fields.
pub(super) fn readers(group: &Group) -> Vec<Reader> {
    let mut all: Vec<&Listener> = group.starting.iter().chain(group.watching.iter()).collect();
    all.sort_by_key(|listener| (listener.label, listener.watches, listener.used));
    let mut seen: HashSet<(&str, bool, u32)> = HashSet::new();
    let mut readers = Vec::new();
    for listener in all {
        let Some((used, part)) = listener.trigger().zip(listener.part()) else { continue };
        // Guards are the same for all flows that use a trigger with the same options.
        let of = if listener.watches { used.name.as_str() } else { &*part.identity };
        let fields = listener.fields().iter().flatten().copied();
        let fields: Box<[u32]> = fields.filter(|number| seen.insert((of, listener.watches, *number))).collect();
        if !fields.is_empty() {
            readers.push(Reader { listener: listener.clone(), fields });
        }
    }
    readers
}

impl Payload<'_, '_> {
    /// Returns what of the payload does not fit, of what flows read of the triggers that it is.
    pub(crate) fn misfits(
        &self,
        event: &EventHead,
        settings: &BTreeMap<String, Value>,
        only_trigger: Option<&str>,
    ) -> Vec<Difference> {
        let mut found: Vec<Difference> = Vec::new();
        if self.fits() {
            return found;
        }
        for Reader { listener, fields } in self.group().readers() {
            let used = listener.trigger().filter(|used| only_trigger.is_none_or(|only| only == used.name));
            let Some(used) = used else { continue };
            let misfits = fields.iter().filter_map(|number| Some((*number, self.field(*number)?.as_ref().err()?)));
            let misfits: Vec<_> = misfits.collect();
            if misfits.is_empty() || (!listener.watches && self.view(listener, event, settings).guard() == Some(false)) {
                continue;
            }
            for (number, misfit) in misfits {
                let path = without_numbers(&misfit.path);
                if found.len() < MOST_MISFITS && !found.iter().any(|known| known.trigger == used.name && known.field == path) {
                    found.push(Difference {
                        trigger: used.name.clone(),
                        field: path,
                        at: self.group().reading.at(number).map(|path| path.to_string()).unwrap_or_default(),
                        expected: misfit.expected.clone(),
                        found: misfit.found.clone(),
                        value: misfit.value.clone().filter(|value| !value.is_empty()),
                        read_by: listener.flow.flow.id.clone(),
                    });
                }
            }
        }
        found
    }
}

/// `items[17].amount` as `items[].amount`: the same field of another item is no other misfit.
fn without_numbers(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    let mut inside = false;
    for c in path.chars() {
        inside &= c != ']';
        if !inside {
            plain.push(c);
        }
        inside |= c == '[';
    }
    plain
}
