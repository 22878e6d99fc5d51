fn main() {
    for path in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&path).unwrap();
        match flow_grammar::format(&text) {
            Ok(once) => {
                println!("{once}");
                let a = flow_grammar::parse(&text); let b = flow_grammar::parse(&once);
                for e in &b.errors { println!("!!! {} {:?} {}", e.code, e.span.text(&once), e.message); }
                if !flow_grammar::compare::same_tree(&a.file, &b.file) {
                    println!("!!! {path}: tree differs");
                    let (x, y) = (flow_grammar::compare::outline(&a.file), flow_grammar::compare::outline(&b.file));
                    for (l, r) in x.lines().zip(y.lines()) { if l != r { println!("!!! {l} | {r}"); break; } }
                }
                match flow_grammar::format(&once) {
                    Ok(twice) if twice == once => {}
                    Ok(twice) => { for (l, r) in once.lines().zip(twice.lines()) { if l != r { println!("!!! unstable: {l}\n!!!           {r}"); break; } } }
                    Err(_) => println!("!!! second format fails"),
                }
            }
            Err(errors) => println!("!!! {path}: {errors:?}"),
        }
    }
}
