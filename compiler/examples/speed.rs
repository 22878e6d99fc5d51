use flow_compiler::flow::{Context, compile_flow};
use flow_grammar::syntax::Item;
use std::sync::Arc;
use std::time::Instant;
fn main() {
    let catalog = flow_compiler::connector::builtin().clone();
    let connections = catalog.connectors.clone();
    let settings = flow_compiler::settings::Settings::default();
    let file: Arc<str> = "x.flow".into();
    let files: Vec<String> = (0..100)
        .map(|f| {
            (0..100)
                .map(|i| {
                    format!("when stripe.charge_failed where amount > {} do kustomer.create_conversation\n", f * 100 + i + 1)
                })
                .collect()
        })
        .collect();
    for _ in 0..3 {
        let start = Instant::now();
        let parsed: Vec<_> = files.iter().map(|source| flow_grammar::parse(source)).collect();
        let parse = start.elapsed();
        let start = Instant::now();
        let mut bytes = 0;
        let mut good = 0;
        for (source, parsed) in files.iter().zip(&parsed) {
            let ctx = Context { catalog: &catalog, connections: &connections, settings: &settings, file: &file, source };
            for item in &parsed.file.items {
                if let Item::Flow(node) = item {
                    let outcome = compile_flow(&ctx, node);
                    good += usize::from(outcome.flow.is_some());
                    bytes += outcome.flow.map_or(0, |flow| flow.program.instrs.len());
                }
            }
        }
        println!("parse {parse:?} compile {:?} good {good} {bytes}", start.elapsed());
    }
}
