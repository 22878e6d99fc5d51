//! YAML to a document: the core schema of YAML 1.2, with the merge key of 1.1, which descriptions use.
//!
//! The parser hands out events, so that depth is bounded before anything is built, and what aliases repeat is counted.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

use crate::ImportError;
use crate::document::{MOST_DEPTH, MOST_NODES, Node, Object};

/// Reads the first document of a text.
pub(crate) fn read(text: &str) -> Result<Node, ImportError> {
    let mut builder = Builder { open: Vec::new(), anchors: HashMap::new(), left: MOST_NODES, root: None };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| {
            let (line, column) = (error.marker().line(), error.marker().col() + 1);
            unreadable(&format!("line {line}, column {column}: {}", error.info()))
        })?;
        if matches!(event, Event::DocumentEnd) {
            break;
        }
        builder.take(event).map_err(|problem| match problem {
            Problem::TooLarge => ImportError::TooLarge(format!("more than {MOST_NODES} values")),
            Problem::At(reason) => unreadable(&format!("line {}: {reason}", span.start.line())),
        })?;
    }
    builder.root.ok_or_else(|| unreadable("there is nothing in it"))
}

fn unreadable(reason: &str) -> ImportError {
    ImportError::Unreadable { format: "YAML", reason: crate::words::clean(reason, 200) }
}

enum Problem {
    TooLarge,
    At(&'static str),
}

/// A list or an object whose end has not come yet.
enum Open {
    List(Vec<Node>, usize),
    /// With the key whose value comes next.
    Object(Object, Option<String>, usize),
}

struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    left: usize,
    root: Option<Node>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>) -> Result<(), Problem> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                self.put(if plain { resolve(&text) } else { Node::Text(text.into_owned()) }, anchor)
            }
            Event::Alias(anchor) => {
                let (node, size) =
                    self.anchors.get(&anchor).cloned().ok_or(Problem::At("an alias of something that is not there"))?;
                self.left = self.left.checked_sub(size).ok_or(Problem::TooLarge)?;
                self.put(node, 0)
            }
            Event::SequenceStart(anchor, _) => self.push(Open::List(Vec::new(), anchor)),
            Event::MappingStart(anchor, _) => self.push(Open::Object(Object::default(), None, anchor)),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(items, anchor)) => self.put(Node::List(items), anchor),
                Some(Open::Object(object, _, anchor)) => self.put(Node::Object(object), anchor),
                None => Ok(()),
            },
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => Ok(()),
        }
    }

    fn push(&mut self, open: Open) -> Result<(), Problem> {
        if self.open.len() >= MOST_DEPTH {
            return Err(Problem::At("it is nested too deeply"));
        }
        self.open.push(open);
        Ok(())
    }

    fn put(&mut self, node: Node, anchor: usize) -> Result<(), Problem> {
        self.left = self.left.checked_sub(1).ok_or(Problem::TooLarge)?;
        if anchor > 0 {
            let size = node.size();
            self.left = self.left.checked_sub(size).ok_or(Problem::TooLarge)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List(items, _)) => items.push(node),
            Some(Open::Object(object, key, _)) => match key.take() {
                None => *key = Some(node.scalar().unwrap_or_else(|| "null".to_owned())),
                Some(name) if name == "<<" => merge(object, &node),
                Some(name) => object.set(name, node),
            },
        }
        Ok(())
    }
}

/// `<<: *common`: what is there already stays.
fn merge(object: &mut Object, node: &Node) {
    let sources = match node {
        Node::List(items) => items.as_slice(),
        single => std::slice::from_ref(single),
    };
    for (name, value) in sources.iter().flat_map(Node::entries) {
        if object.get(name).is_none() {
            object.set(name.clone(), value.clone());
        }
    }
}

/// What a scalar without quotes is.
fn resolve(text: &str) -> Node {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Node::Null,
        "true" | "True" | "TRUE" => Node::Bool(true),
        "false" | "False" | "FALSE" => Node::Bool(false),
        _ if is_number(text) => Node::Number(text.to_owned()),
        _ => Node::Text(text.to_owned()),
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.bytes().any(|byte| byte.is_ascii_digit())
        && digits.parse::<f64>().is_ok()
}
