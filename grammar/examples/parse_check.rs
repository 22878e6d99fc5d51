fn main() {
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
