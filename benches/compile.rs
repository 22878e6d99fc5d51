//! Parse and check of 1, 100 and 10,000 flows, and the reload of one file among them.
//!
//!     cargo bench --bench compile

#[path = "support/flows.rs"]
mod flows;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flow_compiler::compile::Compiler;
use flow_compiler::settings::Settings;
use flows::Kind;

fn parse(c: &mut Criterion) {
    let mut group = c.benchmark_group("parse");
    for flows in [1, 100, 10_000] {
        let sources = flows::project(Kind::Overlap, flows);
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
    let sets = [1, 100, 10_000].map(|flows| (Kind::Overlap, flows));
    for (kind, flows) in sets.into_iter().chain([(Kind::Lines, 10_000), (Kind::Mixed, 10_000)]) {
        let sources = flows::project(kind, flows);
        group.throughput(Throughput::Elements(flows as u64));
        group.sample_size(if flows > 1000 { 10 } else { 50 });
        group.bench_function(format!("{flows} flows, {kind:?}"), |bencher| {
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
    let sources = flows::project(Kind::Overlap, 10_000);
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
