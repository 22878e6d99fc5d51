//! Syntax tree to canonical text.
//!
//! There is one way to write a program, and this prints it. Comments are not in the tree: the printer weaves them in
//! from the source, each between the two tokens where it stood. Without a source (see [`crate::print`]) the doc
//! comments of the nodes are printed and nothing else.

mod connector;
mod expr;
mod flow;
mod http;
mod literal;
mod member;
mod printer;
mod step;
mod test;

use crate::error::SyntaxError;
use crate::parse::{Parsed, parse};
use crate::scan;
use crate::syntax::Item;

pub(crate) use flow::rank;
pub use literal::{quoted, quoted_key};
pub(crate) use printer::Printer;

/// Formats a text.
///
/// Line ends become LF and a byte order mark is dropped. A text in canonical form is returned as it is.
///
/// # Errors
///
/// Returns what is wrong with the text where it has mistakes: such a text is better left alone.
///
/// ```
/// let text = flow_grammar::format("when a.b where x==5 do c.d(e:'f')").unwrap();
/// assert_eq!(text, "when a.b where x is 5 do c.d(e: \"f\")\n");
/// ```
pub fn format(source: &str) -> Result<String, Vec<SyntaxError>> {
    let parsed = parse(source);
    if parsed.errors.is_empty() { Ok(format_file(source, &parsed)) } else { Err(parsed.errors) }
}

/// Formats a text that has been read already. Items that could not be read are kept as they are.
pub fn format_file(source: &str, parsed: &Parsed) -> String {
    let mut text = print_file(source, parsed);
    if parsed.file.comments.is_empty() {
        return text;
    }
    // A comment in the middle of a phrase moves to its end, and is indented by where it stands: the text has settled
    // when another round leaves it alone.
    for _ in 0..MAX_ROUNDS {
        let next = print_file(&text, &parse(&text));
        if next == text {
            break;
        }
        text = next;
    }
    text
}

/// More rounds than any text was seen to need.
const MAX_ROUNDS: usize = 4;

fn print_file(source: &str, parsed: &Parsed) -> String {
    let scan = scan::scan(source);
    let mut printer = Printer::new(source, &scan.comments);
    let mut before_is_long = false;
    for (at, item) in parsed.file.items.iter().enumerate() {
        let span = match item {
            Item::Flow(flow) => flow.span,
            Item::Test(test) => test.span,
            Item::Connector(connector) => connector.span,
            Item::Bad(span) => *span,
        };
        let (text, end) = printer.item(item, span);
        let is_long = text.trim_end().contains('\n');
        printer.item_gap(span.start, at > 0 && (before_is_long || is_long));
        printer.raw(&text);
        printer.skip_to(end);
        before_is_long = is_long;
    }
    printer.end_of_file();
    printer.finish()
}
