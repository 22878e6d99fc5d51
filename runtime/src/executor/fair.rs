//! A queue in which each flow has its turn, however many runs another one has.

use std::collections::{BTreeMap, VecDeque};

/// Goes round the flows; within one it keeps the order.
#[derive(Debug)]
pub(super) struct Fair<T> {
    by_flow: BTreeMap<String, VecDeque<T>>,
    /// The flows that have something, the next one first.
    ring: VecDeque<String>,
    length: usize,
}

impl<T> Default for Fair<T> {
    fn default() -> Self {
        Self { by_flow: BTreeMap::new(), ring: VecDeque::new(), length: 0 }
    }
}

impl<T> Fair<T> {
    pub(super) fn push(&mut self, flow: &str, item: T) {
        self.length += 1;
        if let Some(queue) = self.by_flow.get_mut(flow) {
            queue.push_back(item);
            return;
        }
        self.by_flow.insert(flow.to_owned(), VecDeque::from([item]));
        self.ring.push_back(flow.to_owned());
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let flow = self.ring.pop_front()?;
        let queue = self.by_flow.get_mut(&flow)?;
        let item = queue.pop_front()?;
        self.length -= 1;
        if queue.is_empty() {
            self.by_flow.remove(&flow);
        } else {
            self.ring.push_back(flow);
        }
        Some(item)
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_with_many_delays_another_by_one_turn() {
        let mut queue = Fair::default();
        (0..10_000).for_each(|number| queue.push("many", ("many", number)));
        assert_eq!(queue.pop(), Some(("many", 0)));
        queue.push("one", ("one", 0));
        queue.push("two", ("two", 0));
        let next: Vec<_> = (0..5).filter_map(|_| queue.pop()).collect();
        assert_eq!(next, [("many", 1), ("one", 0), ("two", 0), ("many", 2), ("many", 3)]);
        assert_eq!(queue.len(), 9_996);
        queue.push("one", ("one", 1));
        let rest: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!((rest.len(), rest[1], queue.is_empty()), (9_997, ("one", 1), true));
        let of_many: Vec<_> = rest.iter().filter(|(flow, _)| *flow == "many").map(|(_, number)| *number).collect();
        assert!(of_many.is_sorted(), "in their order");
    }
}
