//! The tree of the wanted paths.

use flow_plan::Segment;

/// What is wanted of one place.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    /// It is wanted itself.
    pub(super) is_leaf: bool,
    /// Its wanted members with their nodes, sorted by length and then by text.
    keys: Vec<(Box<str>, usize)>,
    /// The lengths of the keys, each as the bit of its remainder by 64: most keys of a payload need no more than this look.
    lengths: u64,
    /// Its wanted elements with their nodes, sorted.
    indices: Vec<(usize, usize)>,
}

impl Node {
    /// Returns the node behind a segment; where there is none yet, it becomes `next`.
    pub(super) fn child(&mut self, segment: &Segment, next: usize) -> usize {
        match segment {
            Segment::Key(key) => match self.place(key.as_bytes()) {
                Ok(at) => self.keys[at].1,
                Err(at) => {
                    self.keys.insert(at, (key.as_str().into(), next));
                    self.lengths |= bit(key.len());
                    next
                }
            },
            Segment::Index(index) => match self.indices.binary_search_by_key(index, |(known, _)| *known) {
                Ok(at) => self.indices[at].1,
                Err(at) => {
                    self.indices.insert(at, (*index, next));
                    next
                }
            },
        }
    }

    /// Returns the node of a member.
    pub(super) fn member(&self, key: &[u8]) -> Option<usize> {
        if self.lengths & bit(key.len()) == 0 {
            return None;
        }
        self.place(key).ok().and_then(|at| self.keys.get(at)).map(|(_, node)| *node)
    }

    /// Returns the node of an element.
    pub(super) fn element(&self, index: usize) -> Option<usize> {
        let at = self.indices.binary_search_by_key(&index, |(known, _)| *known).ok()?;
        self.indices.get(at).map(|(_, node)| *node)
    }

    pub(super) fn has_members(&self) -> bool {
        !self.keys.is_empty()
    }

    pub(super) fn has_elements(&self) -> bool {
        !self.indices.is_empty()
    }

    /// Returns the nodes of its parts.
    pub(super) fn parts(&self) -> impl Iterator<Item = usize> {
        self.keys.iter().map(|(_, node)| *node).chain(self.indices.iter().map(|(_, node)| *node))
    }

    fn place(&self, key: &[u8]) -> Result<usize, usize> {
        self.keys.binary_search_by(|(known, _)| known.len().cmp(&key.len()).then_with(|| known.as_bytes().cmp(key)))
    }
}

fn bit(length: usize) -> u64 {
    1 << (length % 64)
}
