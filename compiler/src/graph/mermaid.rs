//! The graph as a Mermaid flowchart, for pages that draw it themselves.

use std::fmt::Write as _;

use super::{Graph, Service};

/// Returns the text.
pub fn draw(graph: &Graph) -> String {
    let mut out = String::from("flowchart LR\n");
    // Writing into a text cannot fail.
    services(&mut out, &graph.sources, 's');
    for (at, flow) in graph.flows.iter().enumerate() {
        let note = if flow.note.is_empty() { String::new() } else { format!("<br>{}", label(&flow.note)) };
        let _ = writeln!(out, "  f{at}([\"{}{note}\"])", label(&flow.name));
    }
    services(&mut out, &graph.targets, 't');
    let mut links = 0;
    let mut personal = Vec::new();
    for start in &graph.starts {
        let arrow = if start.waits { "-. waits for .->" } else { "-->" };
        let _ = writeln!(out, "  s{}p{} {arrow} f{}", start.port.0, start.port.1, start.flow);
        links += 1;
    }
    for tie in &graph.calls {
        let fields: Vec<String> = tie.personal.iter().map(|field| label(field)).collect();
        let text = match (fields.is_empty(), tie.asks) {
            (true, true) => "|asks|".to_owned(),
            (true, false) => String::new(),
            (false, _) => format!("|\"personal: {}\"|", fields.join(", ")),
        };
        let _ = writeln!(out, "  f{} -->{text} t{}p{}", tie.flow, tie.port.0, tie.port.1);
        if !fields.is_empty() {
            personal.push(links.to_string());
        }
        links += 1;
    }
    for ((service, port), (to, trigger)) in &graph.causes {
        let _ = writeln!(out, "  t{service}p{port} -. causes .-> s{to}p{trigger}");
    }
    if !personal.is_empty() {
        let _ = writeln!(out, "  linkStyle {} stroke:#c2410c,stroke-width:2px", personal.join(","));
    }
    out
}

fn services(out: &mut String, services: &[Service], letter: char) {
    for (at, service) in services.iter().enumerate() {
        let _ = writeln!(out, "  subgraph {letter}{at}[\"{}\"]", label(&service.name));
        for (port, name) in service.ports.iter().enumerate() {
            let _ = writeln!(out, "    {letter}{at}p{port}[\"{}\"]", label(name));
        }
        let _ = writeln!(out, "  end");
    }
}

/// Returns a text as Mermaid takes it within quotes: what could mean something to it, to HTML or to Markdown is written as
/// a number.
fn label(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // A list in Markdown begins with a number and a point.
            '.' if out.bytes().all(|b| b.is_ascii_digit()) => out.push_str("#46;"),
            c if c.is_alphanumeric() => out.push(c),
            ' ' | '_' | '.' | ',' | '/' | '(' | ')' | ':' => out.push(c),
            '-' if !out.is_empty() => out.push(c),
            c if c.is_control() || super::svg::is_no_xml(c) => out.push(' '),
            c => {
                let _ = write!(out, "#{};", u32::from(c));
            }
        }
    }
    out
}
