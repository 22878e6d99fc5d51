//! Parse and check of 1, 100 and 10,000 flows, and the reload of one file among them.
//!
//!     cargo bench --bench compile

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flow_compiler::compile::Compiler;
use flow_compiler::settings::Settings;

fn sources(flows: usize) -> Vec<(String, String)> {
    let per_file = 100.min(flows);
    (0..flows / per_file)
        .map(|file| {
            let text: String = (0..per_file)
                .map(|at| {
                    format!(
                        "when stripe.charge_failed where amount > {} do kustomer.create_conversation\n",
                        100 + file * per_file + at
                    )
                })
                .collect();
            (format!("flows/{file:03}.flow"), text)
        })
        .collect()
}

fn parse(c: &mut Criterion) {
    let mut group = c.benchmark_group("parse");
    for flows in [1, 100, 10_000] {
        let sources = sources(flows);
        group.throughput(Throughput::Elements(flows as u64));
        group.sample_size(if flows > 1000 { 10 } else { 100 });
        group.bench_function(format!("{flows} flows"), |bencher| {
            bencher.iter(|| sources.iter().map(|(_, text)| flow_grammar::parse(black_box(text)).file.items.len()).sum::<usize>());
        });
    }
    group.finish();
}

fn check(c: &mut Criterion) {
    let mut group = c.benchmark_group("check");
    for flows in [1, 100, 10_000] {
        let sources = sources(flows);
        group.throughput(Throughput::Elements(flows as u64));
        group.sample_size(if flows > 1000 { 10 } else { 50 });
        group.bench_function(format!("{flows} flows"), |bencher| {
            bencher.iter(|| {
                let mut compiler = Compiler::new(Settings::default());
                for (name, text) in &sources {
                    compiler.set(name, text.as_str());
                }
                let compilation = compiler.compile();
                assert!(compilation.is_sound());
                compilation.flow_count()
            });
        });
    }
    group.finish();
}

fn reload(c: &mut Criterion) {
    let sources = sources(10_000);
    let mut compiler = Compiler::new(Settings::default());
    for (name, text) in &sources {
        compiler.set(name, text.as_str());
    }
    compiler.compile();
    let (name, text) = &sources[50];
    let mut edition = 0u32;
    c.bench_function("reload one file of 100 among 10,000 flows", |bencher| {
        bencher.iter(|| {
            edition += 1;
            compiler.set(name, format!("# edition {edition}\n{text}"));
            compiler.compile().flow_count()
        });
    });
}

criterion_group!(benches, parse, check, reload);
criterion_main!(benches);
