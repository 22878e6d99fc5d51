fn main() {
    if std::env::args().nth(1).as_deref() == Some("-l") {
        let text = std::fs::read_to_string(std::env::args().nth(2).unwrap()).unwrap();
        for line in text.lines() {
            println!("\n> {line}");
            for e in flow_grammar::parse(line).errors {
                let col = |o: u32| line.get(..o as usize).unwrap_or("").chars().count();
                println!("  {}{}", " ".repeat(col(e.span.start)), "^".repeat((col(e.span.end) - col(e.span.start)).max(1)));
                println!("  {}: {} [{}]", e.code, e.message, e.label);
                for (s, t) in &e.labels { println!("    @{} `{}` {t}", s.start, s.text(line)); }
                if let Some(h) = &e.help { println!("    help: {h}"); }
                for f in &e.fixes {
                    let mut out = line.to_owned();
                    let mut edits = f.edits.clone(); edits.sort_by_key(|e| std::cmp::Reverse((e.0.start, e.0.end)));
                    for (s, t) in edits { out.replace_range(s.range(), &t); }
                    println!("    fix{}: {} => {out}   [{}]", if f.safe {""} else {"?"}, f.title, flow_grammar::parse(&out).errors.iter().map(|e| e.code).collect::<Vec<_>>().join(","));
                }
            }
        }
        return;
    }
    for path in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&path).unwrap();
        let parsed = flow_grammar::parse(&text);
        for e in &parsed.errors {
            println!("{path}: {} {:?} {:?} {}", e.code, e.span, &e.span.text(&text).chars().take(30).collect::<String>(), e.message);
        }
        println!("{path}: {} items {} comments", parsed.file.items.len(), parsed.file.comments.len());
        if std::env::var("TREE").is_ok() { println!("{:#?}", parsed.file); }
    }
}
