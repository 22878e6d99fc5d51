//! Descriptions of services, as others write them, to connector sources.
//!
//! [`openapi`] turns the text of an OpenAPI document into a connector that can be read, edited and checked like one that was
//! written by hand. What the language has no words for stands in it as a comment, at its place. The text is pure output of
//! the text that came in: no file is read, no address asked for, and references to other documents are refused.
//!
//! A description comes from a stranger. Nothing of it reaches the connector but names, made anew of letters and digits, texts
//! in quotes, escaped, and words in comments of one line. Its depth, its size and the time spent on it are bounded.

mod answer;
mod body;
mod document;
mod input;
mod json;
mod name;
mod operation;
mod pages;
mod print;
mod record;
mod schema;
mod service;
mod spec;
mod swagger;
mod title;
mod words;
mod yaml;

use document::Node;
use spec::Spec;

/// What an import is asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The connector's name.
    pub name: String,
    /// Only operations with one of these tags, or whose path begins with one of these words; all where it is empty.
    pub only: Vec<String>,
    /// A header under which the service drops what it has seen, where the description does not name it.
    pub keyed_by: Option<String>,
}

/// What an import gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The connector, in its canonical form.
    pub source: String,
    /// How many operations the description has, of those that were asked for.
    pub total: usize,
    /// How many of them the connector has.
    pub imported: usize,
    /// What is not in it: `POST /files`, and why.
    pub left_out: Vec<(String, String)>,
    /// What else a reader should know.
    pub notes: Vec<String>,
}

/// Why nothing was imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// It is no JSON and no YAML.
    #[error("it cannot be read as {format}: {reason}")]
    Unreadable {
        /// JSON or YAML.
        format: &'static str,
        /// What is wrong, with its place.
        reason: String,
    },
    /// It is too large, or expands to something too large.
    #[error("it is too large: {0}")]
    TooLarge(String),
    /// It is something else than OpenAPI 3.
    #[error("{0}")]
    NotOpenApi(String),
    /// A name that no connector can have.
    #[error("`{0}` is no name for a connector: it begins with a letter and has letters, digits and `_`")]
    Name(String),
    /// Nothing has such a tag.
    #[error("nothing has the tag `{tag}`, nor begins its path with it; there is {known}")]
    UnknownTag {
        /// What was asked for.
        tag: String,
        /// What there is.
        known: String,
    },
    /// There is nothing to import.
    #[error("it describes no operation")]
    Empty,
    /// What was made cannot be read back: a mistake of the importer.
    #[error("what was made of it is no connector ({0}); this is a bug of ours, please report it with the description")]
    Bug(String),
}

/// The largest description that is read, in bytes.
pub const MOST_BYTES: usize = 64 << 20;

/// The largest source of Flow that a project may have, in bytes.
const MOST_SOURCE: usize = 4 << 20;

/// Returns the connector for an OpenAPI document in JSON or YAML, of version 3, or of 2.0 when it was called Swagger.
///
/// # Errors
/// Where the text is no such document, or nothing in it is asked for.
pub fn openapi(text: &str, options: &Options) -> Result<Imported, ImportError> {
    openapi_told(text, options, &mut |_| {})
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The document was read.
    Read,
    /// So many of all its operations are done.
    Operation(usize, usize),
    /// The connector is brought into its form.
    Formatting,
}

/// The same as [`openapi`], and says how far it is.
///
/// # Errors
/// As [`openapi`].
pub fn openapi_told(text: &str, options: &Options, tell: &mut dyn FnMut(Progress)) -> Result<Imported, ImportError> {
    if !name::is_plain(&options.name) || flow_grammar::is_reserved(&options.name) {
        return Err(ImportError::Name(words::clean(&options.name, 60)));
    }
    let mut root = read(text)?;
    if root.get("swagger").and_then(Node::scalar).is_some_and(|version| version == "2.0" || version == "2") {
        root = swagger::upgrade(&root);
    }
    tell(Progress::Read);
    let spec = Spec::new(&root)?;
    let connector = operation::import(&spec, options, tell)?;
    tell(Progress::Formatting);
    let source = flow_grammar::format(&connector.text)
        .map_err(|errors| ImportError::Bug(errors.first().map(|error| said(error, &connector.text)).unwrap_or_default()))?;
    if source.len() > MOST_SOURCE {
        return Err(ImportError::TooLarge(format!(
            "{} MB of Flow would come of its {} operations, and a file has at most {} MB; choose some with --only",
            (source.len() >> 20).max((MOST_SOURCE >> 20) + 1),
            connector.total,
            MOST_SOURCE >> 20
        )));
    }
    Ok(Imported {
        source,
        total: connector.total,
        imported: connector.total - connector.left_out.len(),
        left_out: connector.left_out,
        notes: spec.notes(),
    })
}

/// What is wrong, with the line in which it is.
fn said(error: &flow_grammar::SyntaxError, text: &str) -> String {
    let before = text.get(..error.span.start as usize).unwrap_or("");
    let line = text.lines().nth(before.matches('\n').count()).unwrap_or("");
    words::clean(&format!("{} in `{line}`", error.message), 300)
}

/// Reads JSON where the text begins as such, else YAML.
fn read(text: &str) -> Result<Node, ImportError> {
    if text.len() > MOST_BYTES {
        return Err(ImportError::TooLarge(format!("{} MB, at most {} MB are read", text.len() >> 20, MOST_BYTES >> 20)));
    }
    let text = text.trim_start_matches('\u{FEFF}');
    if text.trim_start().starts_with('{') {
        json::read(text).or_else(|error| yaml::read(text).map_err(|_| error))
    } else {
        yaml::read(text)
    }
}
