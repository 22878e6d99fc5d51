//! The parser that pest makes of `flow.pest`.

/// The derived parser.
#[derive(pest_derive::Parser)]
#[grammar = "flow.pest"]
pub(crate) struct FlowParser;
