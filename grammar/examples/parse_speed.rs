//! How long it takes to read 10,000 one-line flows in 100 files, and files made to be slow.
//!
//! `cargo run --release -p flow-grammar --example parse_speed`

#![expect(clippy::print_stdout, reason = "a program for people")]

use std::hint::black_box;
use std::time::Instant;

fn main() {
    let files: Vec<String> = (0..100)
        .map(|file| {
            (0..100)
                .map(|line| {
                    format!(
                        "when stripe.charge_failed where amount > {} and currency is \"usd\" do kustomer.create_conversation(name: \"no {file}\")\n",
                        line * 10
                    )
                })
                .collect()
        })
        .collect();
    let bytes: usize = files.iter().map(String::len).sum();
    let mut best = f64::MAX;
    for _ in 0..10 {
        let start = Instant::now();
        for file in &files {
            black_box(flow_grammar::parse(black_box(file)));
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("10,000 flows, {bytes} bytes: {:.1} ms", best * 1e3);

    for (name, piece) in [
        ("open parentheses", "("),
        ("open braces", "{"),
        ("open texts", "\""),
        ("text in text", "\"{"),
        ("long texts", "\"\"\"{"),
        ("ifs", "if x {\n"),
        ("flows that are never closed", "when a.b do { if x { c.d(e: [{ f: \"{g\"\n"),
        ("operators", "a and not -"),
        ("words", "when where do "),
        ("comments", "# x\n"),
        ("flows with a mistake", "when a.b were c > 5 do { d.e(f: g, h: \"i\") }\n"),
        ("steps with a mistake", "when a.b do {\n c.d(e f)\n g.h(i: )\n}\n"),
    ] {
        for start in ["", "when a.b do { ", "when a.b where ", "when a.b do c.d(e: \"{"] {
            let text = format!("{start}{}", piece.repeat((1 << 20) / piece.len()));
            let at = Instant::now();
            black_box(flow_grammar::parse(black_box(&text)));
            let ms = at.elapsed().as_secs_f64() * 1e3;
            println!("1 MB of {name} behind `{start}`: {ms:.0} ms");
        }
    }
}
