//! The graph as SVG: one file that needs no other, in light and in dark, with its texts as texts.

use std::fmt::Write as _;

use super::layout::{Card, HEAD, Layout, MARGIN, MARK, cut, layout};
use super::{Graph, Port, Service};

const STYLE: &str = "
    text { font-family: system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif; fill: #0f172a; }
    .bg { fill: #ffffff; }
    .title { font-size: 19px; font-weight: 600; }
    .column { font-size: 11.5px; letter-spacing: 0.08em; fill: #64748b; }
    .name { font-size: 14px; font-weight: 600; }
    .port { font-size: 13px; }
    .note { font-size: 11.5px; fill: #64748b; }
    .mark { font-size: 11px; fill: #b45309; }
    .card { fill: #ffffff; stroke: #cbd5e1; }
    .head { fill: #f1f5f9; }
    .flow { fill: #eef2ff; stroke: #a5b4fc; }
    .dot { fill: #94a3b8; }
    .tie { fill: none; stroke: #94a3b8; stroke-width: 1.4; }
    .asks, .waits { stroke-dasharray: 1.5 4; stroke-linecap: round; }
    .personal { stroke: #d97706; stroke-width: 2; }
    .causes { fill: none; stroke: #7c3aed; stroke-width: 1.4; stroke-dasharray: 7 4; }
    .end { fill: #94a3b8; }
    .end-personal { fill: #d97706; }
    .end-causes { fill: #7c3aed; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e2e8f0; }
      .bg { fill: #0f172a; }
      .column, .note { fill: #94a3b8; }
      .mark { fill: #fbbf24; }
      .card { fill: #1e293b; stroke: #475569; }
      .head { fill: #273449; }
      .flow { fill: #312e81; stroke: #6366f1; }
      .tie { stroke: #64748b; }
      .dot, .end { fill: #64748b; }
      .personal { stroke: #f59e0b; }
      .end-personal { fill: #f59e0b; }
      .causes { stroke: #a78bfa; }
      .end-causes { fill: #a78bfa; }
    }
  ";

/// Returns the picture.
pub fn draw(graph: &Graph) -> String {
    let places = layout(graph);
    let mut out = String::new();
    // Writing into a text cannot fail.
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w:.0}\" height=\"{h:.0}\" viewBox=\"0 0 {w:.0} {h:.0}\" role=\"img\" \
         aria-labelledby=\"title desc\">\n  <title id=\"title\">{title}</title>\n  <desc id=\"desc\">{desc}</desc>\n  \
         <style>{STYLE}</style>\n",
        w = places.width,
        h = places.height,
        title = escaped(&title(graph)),
        desc = escaped(&described(graph)),
    );
    out.push_str("  <defs>\n");
    for kind in ["end", "end-personal", "end-causes"] {
        let _ = writeln!(
            out,
            "    <marker id=\"{kind}\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
             markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path class=\"{kind}\" d=\"M0 0 L8 4 L0 8 z\"/></marker>"
        );
    }
    out.push_str("  </defs>\n  <rect class=\"bg\" width=\"100%\" height=\"100%\"/>\n");
    let _ = writeln!(out, "  <text class=\"title\" x=\"{MARGIN}\" y=\"40\">{}</text>", escaped(&title(graph)));
    for (cards, what) in [(&places.sources, "WHAT HAPPENS"), (&places.flows, "FLOWS"), (&places.targets, "WHAT IS DONE")] {
        if let Some(card) = cards.first() {
            let _ = writeln!(out, "  <text class=\"column\" x=\"{:.1}\" y=\"72\">{what}</text>", card.x);
        }
    }
    lines(&mut out, graph, &places);
    let mark = |port: Port| graph.calls.iter().any(|tie| tie.port == port && !tie.personal.is_empty());
    services(&mut out, &graph.sources, &places.sources, &|port| places.source_row(port), Side::Right, &|_| false);
    services(&mut out, &graph.targets, &places.targets, &|port| places.target_row(port), Side::Left, &mark);
    for (flow, card) in graph.flows.iter().zip(&places.flows) {
        let room = card.width - 28.0;
        let _ = writeln!(
            out,
            "  <g><title>{}</title><rect class=\"flow\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"10\"/>",
            escaped(&format!("{} ({})", flow.name, flow.place)),
            card.x,
            card.y,
            card.width,
            card.height
        );
        let middle = if flow.note.is_empty() { 29.0 } else { 20.0 };
        text(&mut out, "name", card.x + 14.0, card.y + middle, &cut(&flow.name, 14.0, room));
        if !flow.note.is_empty() {
            text(&mut out, "note", card.x + 14.0, card.y + 37.0, &cut(&flow.note, 11.5, room));
        }
        out.push_str("  </g>\n");
    }
    legend(&mut out, graph, &places);
    out.push_str("</svg>\n");
    out
}

/// Which side of a card its ports are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

fn services(
    out: &mut String,
    services: &[Service],
    cards: &[Card],
    row: &dyn Fn(Port) -> f64,
    side: Side,
    personal: &dyn Fn(Port) -> bool,
) {
    for (at, (service, card)) in services.iter().zip(cards).enumerate() {
        let Card { x, y, width, height } = *card;
        let _ = writeln!(
            out,
            "  <g><title>{}</title><rect class=\"card\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
             rx=\"10\"/><path class=\"head\" d=\"M{:.1} {:.1} v-{:.1} q0 -9.5 9.5 -9.5 h{:.1} q9.5 0 9.5 9.5 v{:.1} z\"/>",
            escaped(&service.name),
            x + 0.5,
            y + HEAD - 2.0,
            HEAD - 12.0,
            width - 20.0,
            HEAD - 12.0,
        );
        text(out, "name", x + 14.0, y + 20.0, &cut(&service.name, 14.0, width - 28.0));
        for (port, name) in service.ports.iter().enumerate() {
            let middle = row((at, port));
            let marked = personal((at, port));
            let room = width - 30.0 - if marked { MARK } else { 0.0 };
            let shown = cut(name, 13.0, room);
            // Cut names can be read in full by pointing at them.
            let whole = if shown == *name { String::new() } else { format!("<title>{}</title>", escaped(name)) };
            let _ = writeln!(out, "    <g>{whole}");
            text(out, "port", x + 16.0, middle + 4.5, &shown);
            if marked {
                let _ = writeln!(
                    out,
                    "    <text class=\"mark\" text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">personal</text>",
                    x + width - 12.0,
                    middle + 4.0
                );
            }
            let dot = if side == Side::Left { x } else { x + width };
            let _ = writeln!(out, "    <circle class=\"dot\" cx=\"{dot:.1}\" cy=\"{middle:.1}\" r=\"3\"/></g>");
        }
        out.push_str("  </g>\n");
    }
}

fn lines(out: &mut String, graph: &Graph, places: &Layout) {
    let name = |service: &[Service], port: Port| {
        service
            .get(port.0)
            .map_or(String::new(), |found| format!("{}.{}", found.name, found.ports.get(port.1).map_or("", String::as_str)))
    };
    let flow_name = |flow: usize| graph.flows.get(flow).map_or("", |flow| flow.name.as_str());
    for start in &graph.starts {
        let (Some(from), Some(to)) = (places.sources.get(start.port.0), places.flows.get(start.flow)) else { continue };
        let others: Vec<f64> =
            graph.starts.iter().filter(|other| other.flow == start.flow).map(|other| places.source_row(other.port)).collect();
        let y = places.source_row(start.port);
        let (class, word) = if start.waits { ("tie waits", "is awaited by") } else { ("tie", "starts") };
        let said = format!("{} {word} {}", name(&graph.sources, start.port), flow_name(start.flow));
        curve(out, class, "end", (from.right() + 3.0, y), (to.x, entry(*to, y, &others)), &said);
    }
    // Personal data is drawn last, over the others.
    let mut ties: Vec<_> = graph.calls.iter().collect();
    ties.sort_by_key(|tie| !tie.personal.is_empty());
    for tie in ties {
        let (Some(from), Some(to)) = (places.flows.get(tie.flow), places.targets.get(tie.port.0)) else { continue };
        let others: Vec<f64> =
            graph.calls.iter().filter(|other| other.flow == tie.flow).map(|other| places.target_row(other.port)).collect();
        let y = places.target_row(tie.port);
        let mut class = String::from(if tie.asks { "tie asks" } else { "tie" });
        let mut said =
            format!("{} {} {}", flow_name(tie.flow), if tie.asks { "asks" } else { "does" }, name(&graph.targets, tie.port));
        let mut end = "end";
        if !tie.personal.is_empty() {
            class.push_str(" personal");
            end = "end-personal";
            let fields: Vec<&str> = tie.personal.iter().map(String::as_str).collect();
            said.push_str(&format!(", with personal data: {}", fields.join(", ")));
        }
        curve(out, &class, end, (from.right(), entry(*from, y, &others)), (to.x - 3.0, y), &said);
    }
    for (lane, (from, to)) in graph.causes.iter().enumerate() {
        let (Some(action), Some(trigger)) = (places.targets.get(from.0), places.sources.get(to.0)) else { continue };
        let away = Layout::lane(lane);
        let (right, left, below) = (action.right() + away, trigger.x - away, places.bottom + away);
        let (y1, y2) = (places.target_row(*from), places.source_row(*to));
        let said = format!("{} causes {}", name(&graph.targets, *from), name(&graph.sources, *to));
        let _ = writeln!(
            out,
            "  <path class=\"causes\" marker-end=\"url(#end-causes)\" d=\"M{:.1} {y1:.1} H{:.1} q8 0 8 8 V{:.1} q0 8 -8 8 H{:.1} q-8 0 -8 -8 \
             V{:.1} q0 -8 8 -8 H{:.1}\"><title>{}</title></path>",
            action.right(),
            right - 8.0,
            below - 8.0,
            left + 8.0,
            y2 + 8.0,
            trigger.x,
            escaped(&said)
        );
    }
}

/// Where a line meets the side of a flow: in the order of where the lines come from, so that they do not cross there.
fn entry(card: Card, y: f64, others: &[f64]) -> f64 {
    let above = others.iter().filter(|other| **other < y).fold(0.0, |number, _| number + 1.0);
    let all = others.iter().fold(0.0, |number, _| number + 1.0);
    card.y + card.height * (above + 1.0) / (all + 1.0)
}

fn curve(out: &mut String, class: &str, end: &str, from: (f64, f64), to: (f64, f64), said: &str) {
    let bend = (to.0 - from.0) * 0.5;
    let _ = writeln!(
        out,
        "  <path class=\"{class}\" marker-end=\"url(#{end})\" d=\"M{:.1} {:.1} C{:.1} {:.1} {:.1} {:.1} {:.1} {:.1}\"><title>{}</title></path>",
        from.0,
        from.1,
        from.0 + bend,
        from.1,
        to.0 - bend,
        to.1,
        to.0,
        to.1,
        escaped(said)
    );
}

fn legend(out: &mut String, graph: &Graph, places: &Layout) {
    let y = places.height - MARGIN;
    let mut x = MARGIN;
    let kinds = [
        ("tie", "end", "starts, does", !graph.calls.is_empty()),
        (
            "tie asks",
            "end",
            "asks, waits for",
            graph.calls.iter().any(|tie| tie.asks) || graph.starts.iter().any(|start| start.waits),
        ),
        ("tie personal", "end-personal", "with personal data", graph.calls.iter().any(|tie| !tie.personal.is_empty())),
        ("causes", "end-causes", "causes again", !graph.causes.is_empty()),
    ];
    for (class, end, words, _) in kinds.into_iter().filter(|(.., there)| *there) {
        let _ = writeln!(out, "  <path class=\"{class}\" marker-end=\"url(#{end})\" d=\"M{x:.1} {:.1} h34\"/>", y - 4.0);
        text(out, "note", x + 42.0, y, words);
        x += 62.0 + super::layout::text_width(words, 11.5);
    }
}

fn text(out: &mut String, class: &str, x: f64, y: f64, text: &str) {
    let _ = writeln!(out, "    <text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escaped(text));
}

fn title(graph: &Graph) -> String {
    match graph.flows.len() {
        0 => "No flows".to_owned(),
        1 => "One flow".to_owned(),
        count => format!("{count} flows"),
    }
}

/// The picture in words, for those who do not see it.
fn described(graph: &Graph) -> String {
    let name = |services: &[Service], port: Port| {
        services
            .get(port.0)
            .map_or(String::new(), |found| format!("{}.{}", found.name, found.ports.get(port.1).map_or("", String::as_str)))
    };
    let told = graph.flows.iter().enumerate().map(|(at, flow)| {
        let starts: Vec<String> = graph
            .starts
            .iter()
            .filter(|start| start.flow == at && !start.waits)
            .map(|start| name(&graph.sources, start.port))
            .collect();
        let calls: Vec<String> =
            graph.calls.iter().filter(|tie| tie.flow == at).map(|tie| name(&graph.targets, tie.port)).collect();
        let calls = if calls.is_empty() { "nothing".to_owned() } else { calls.join(", ") };
        format!("{}: {} leads to {calls}.", flow.name, starts.join(" or "))
    });
    told.collect::<Vec<_>>().join(" ")
}

/// Tells whether XML 1.0 has no such character.
pub(super) fn is_no_xml(c: char) -> bool {
    !matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // What turns the direction of texts would turn those around it.
            c if is_no_xml(c) || c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                out.push('\u{fffd}');
            }
            c => out.push(c),
        }
    }
    out
}
