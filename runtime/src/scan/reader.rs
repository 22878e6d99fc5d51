//! The pass itself: it reads JSON by its grammar, byte by byte, and texts eight bytes at a time.

use super::paths::Node;
use super::{MAX_DEPTH, ScanError};

/// Where the value of a node stands; an empty stretch where there is none.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    pub(super) start: usize,
    pub(super) end: usize,
    /// The node was met, so there may be something to forget when its key comes again.
    met: bool,
}

/// Reads a document.
pub(super) struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    nodes: &'a [Node],
    places: Vec<Place>,
}

type Read<T> = Result<T, ScanError>;

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, nodes: &'a [Node]) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0, depth: 0, nodes, places: vec![Place::default(); nodes.len()] }
    }

    /// Reads the whole document, and returns where the wanted values stand.
    pub(super) fn document(mut self) -> Read<Vec<Place>> {
        self.blank();
        self.wanted(0)?;
        self.blank();
        if self.at < self.bytes.len() {
            return self.fail();
        }
        Ok(self.places)
    }

    /// Reads the value of a node.
    fn wanted(&mut self, number: usize) -> Read<()> {
        let nodes = self.nodes;
        let Some(node) = nodes.get(number) else { return self.skip() };
        if self.places[number].met {
            self.forget(number);
        }
        self.places[number].met = true;
        let start = self.at;
        match self.peek() {
            Some(b'{') if node.has_members() => self.object(node)?,
            Some(b'[') if node.has_elements() => self.array(node)?,
            _ => self.skip()?,
        }
        if node.is_leaf && self.bytes.get(start) != Some(&b'n') {
            let place = &mut self.places[number];
            (place.start, place.end) = (start, self.at);
        }
        Ok(())
    }

    /// Forgets what an earlier value of the same key had.
    fn forget(&mut self, number: usize) {
        self.places[number] = Place::default();
        let nodes = self.nodes;
        for part in nodes.get(number).into_iter().flat_map(Node::parts) {
            if self.places[part].met {
                self.forget(part);
            }
        }
    }

    fn object(&mut self, node: &Node) -> Read<()> {
        self.enter()?;
        self.blank();
        if self.take(b'}') {
            self.depth -= 1;
            return Ok(());
        }
        loop {
            let start = self.at + 1;
            let escaped = self.string()?;
            let key = start..self.at - 1;
            let member = if escaped {
                // What is no text by itself is none here: then the key is one that nobody wants.
                let key = self.text.get(start - 1..self.at).unwrap_or_default();
                crate::json::read::<String>(key.as_bytes()).ok().and_then(|key| node.member(key.as_bytes()))
            } else {
                self.bytes.get(key).and_then(|key| node.member(key))
            };
            self.colon()?;
            match member {
                Some(member) => self.wanted(member)?,
                None => self.skip()?,
            }
            self.blank();
            if self.take(b'}') {
                self.depth -= 1;
                return Ok(());
            }
            self.expect(b',')?;
            self.blank();
        }
    }

    fn array(&mut self, node: &Node) -> Read<()> {
        self.enter()?;
        self.blank();
        if self.take(b']') {
            self.depth -= 1;
            return Ok(());
        }
        let mut index = 0;
        loop {
            match node.element(index) {
                Some(element) => self.wanted(element)?,
                None => self.skip()?,
            }
            index += 1;
            self.blank();
            if self.take(b']') {
                self.depth -= 1;
                return Ok(());
            }
            self.expect(b',')?;
            self.blank();
        }
    }

    /// Reads a value that nobody wants, without recursion: a bit for each level says whether it is an object.
    fn skip(&mut self) -> Read<()> {
        let outer = self.depth;
        let mut objects: u128 = 0;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.string()?;
                }
                Some(open @ (b'{' | b'[')) => {
                    let is_object = open == b'{';
                    self.enter()?;
                    objects = objects << 1 | u128::from(is_object);
                    self.blank();
                    if self.take(if is_object { b'}' } else { b']' }) {
                        self.depth -= 1;
                        objects >>= 1;
                    } else {
                        if is_object {
                            self.string()?;
                            self.colon()?;
                        }
                        continue;
                    }
                }
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.word(b"true")?,
                Some(b'f') => self.word(b"false")?,
                Some(b'n') => self.word(b"null")?,
                Some(_) | None => return self.fail(),
            }
            // Behind a value: the next one of the same level, or the ends of levels.
            loop {
                if self.depth == outer {
                    return Ok(());
                }
                self.blank();
                let is_object = objects & 1 == 1;
                match self.peek() {
                    Some(b',') => {
                        self.at += 1;
                        self.blank();
                        if is_object {
                            self.string()?;
                            self.colon()?;
                        }
                        break;
                    }
                    Some(b'}') if is_object => {}
                    Some(b']') if !is_object => {}
                    Some(_) | None => return self.fail(),
                }
                self.at += 1;
                self.depth -= 1;
                objects >>= 1;
            }
        }
    }

    /// Reads a text, and tells whether something is escaped in it.
    fn string(&mut self) -> Read<bool> {
        self.expect(b'"')?;
        let mut escaped = false;
        loop {
            while let Some(eight) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
                let ends = special(u64::from_le_bytes(*eight));
                if ends != 0 {
                    self.at += (ends.trailing_zeros() / 8) as usize;
                    break;
                }
                self.at += 8;
            }
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.at += 1;
                    self.escape()?;
                }
                Some(0x20..) => self.at += 1,
                Some(_) | None => return self.fail(),
            }
        }
    }

    fn escape(&mut self) -> Read<()> {
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    match self.peek() {
                        Some(byte) if byte.is_ascii_hexdigit() => self.at += 1,
                        Some(_) | None => return self.fail(),
                    }
                }
            }
            Some(_) | None => return self.fail(),
        }
        Ok(())
    }

    fn number(&mut self) -> Read<()> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Read<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { self.fail() } else { Ok(()) }
    }

    fn word(&mut self, word: &[u8]) -> Read<()> {
        for byte in word {
            self.expect(*byte)?;
        }
        Ok(())
    }

    /// Reads what stands between a key and its value.
    fn colon(&mut self) -> Read<()> {
        self.blank();
        self.expect(b':')?;
        self.blank();
        Ok(())
    }

    /// Goes into an object or an array.
    fn enter(&mut self) -> Read<()> {
        self.at += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(ScanError::Depth) } else { Ok(()) }
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, byte: u8) -> Read<()> {
        if self.take(byte) { Ok(()) } else { self.fail() }
    }

    #[cold]
    fn fail<T>(&self) -> Read<T> {
        let before = self.bytes.get(..self.at).unwrap_or_default();
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Err(ScanError::Syntax { line, column: (self.at + 1).min(self.bytes.len()).saturating_sub(start).max(1) })
    }
}

/// Marks the bytes of a word that do not simply go on in a text: quotation marks, backslashes, control characters. The lowest mark
/// is right; one above it may be wrong.
fn special(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
    control | zero(word ^ (ONES * 0x22)) | zero(word ^ (ONES * 0x5C))
}
