//! Where everything stands: three columns, so that nothing can overlap, in an order that makes few lines cross.

use super::{Graph, Port, Service};

/// Space around the picture.
pub(super) const MARGIN: f64 = 28.0;
/// Space above the columns, for what they are.
const TOP: f64 = 92.0;
/// Between the columns, where the lines are: the more lines, the wider.
const GAP: f64 = 150.0;
const WIDEST_GAP: f64 = 330.0;
/// Between two cards.
const BETWEEN: f64 = 16.0;
/// The name of a service.
pub(super) const HEAD: f64 = 30.0;
/// A port.
pub(super) const ROW: f64 = 24.0;
/// A flow.
const FLOW: f64 = 48.0;
/// Between two lines that lead back.
const LANE: f64 = 9.0;
/// What is left of a lane's corners.
const FIRST_LANE: f64 = 20.0;
/// The widest card; longer texts are cut.
const WIDEST: f64 = 330.0;
const NARROWEST: f64 = 130.0;
/// Room for the word behind a port that gets personal data.
pub(super) const MARK: f64 = 62.0;
/// How often the order is made better.
const ROUNDS: usize = 8;

/// A rectangle.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Card {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Card {
    pub(super) fn right(self) -> f64 {
        self.x + self.width
    }

    pub(super) fn bottom(self) -> f64 {
        self.y + self.height
    }
}

/// The places of everything.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) sources: Vec<Card>,
    pub(super) flows: Vec<Card>,
    pub(super) targets: Vec<Card>,
    /// The middle of each port's row, by service and port.
    source_rows: Vec<Vec<f64>>,
    target_rows: Vec<Vec<f64>>,
    /// Below all cards.
    pub(super) bottom: f64,
}

impl Layout {
    pub(super) fn source_row(&self, port: Port) -> f64 {
        self.source_rows.get(port.0).and_then(|rows| rows.get(port.1)).copied().unwrap_or_default()
    }

    pub(super) fn target_row(&self, port: Port) -> f64 {
        self.target_rows.get(port.0).and_then(|rows| rows.get(port.1)).copied().unwrap_or_default()
    }

    /// The corner of the line that leads back in this lane, seen from the cards at `left`, `right` and the bottom.
    pub(super) fn lane(lane: usize) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a picture with 2^52 lines is none")]
        let lane = lane as f64;
        FIRST_LANE + LANE * lane
    }
}

/// Returns the places.
pub(super) fn layout(graph: &Graph) -> Layout {
    let order = Order::of(graph);
    let lanes = if graph.causes.is_empty() { 0.0 } else { Layout::lane(graph.causes.len()) };
    let marked = |port: Port| graph.calls.iter().any(|tie| tie.port == port && !tie.personal.is_empty());
    let wide = |services: &[Service], mark: &dyn Fn(Port) -> bool| {
        let widths = services.iter().enumerate().flat_map(|(at, service)| {
            let rows = service
                .ports
                .iter()
                .enumerate()
                .map(move |(port, name)| text_width(name, 13.0) + if mark((at, port)) { MARK } else { 0.0 });
            rows.chain([text_width(&service.name, 14.0)])
        });
        (widths.fold(0.0, f64::max) + 36.0).clamp(NARROWEST, WIDEST)
    };
    let source_width = wide(&graph.sources, &|_| false);
    let target_width = wide(&graph.targets, &marked);
    let flow_texts = graph.flows.iter().map(|flow| text_width(&flow.name, 14.0).max(text_width(&flow.note, 11.5)));
    let flow_width = (flow_texts.fold(0.0, f64::max) + 32.0).clamp(NARROWEST, WIDEST);

    let heights = |services: &[Service]| -> Vec<f64> {
        services.iter().map(|service| HEAD + ROW * count(service.ports.len()) + 6.0).collect()
    };
    let (source_heights, target_heights) = (heights(&graph.sources), heights(&graph.targets));
    let flow_heights = vec![FLOW; graph.flows.len()];
    let tall = |heights: &[f64]| heights.iter().sum::<f64>() + BETWEEN * count(heights.len().saturating_sub(1));
    let tallest = [&source_heights, &flow_heights, &target_heights].into_iter().map(|heights| tall(heights)).fold(0.0, f64::max);

    let left = MARGIN + lanes;
    let place = |heights: &[f64], order: &[usize], x: f64, width: f64| {
        let mut cards = vec![Card::default(); heights.len()];
        let mut y = TOP + (tallest - tall(heights)) / 2.0;
        for at in order {
            let (Some(card), Some(height)) = (cards.get_mut(*at), heights.get(*at)) else { continue };
            *card = Card { x, y, width, height: *height };
            y += height + BETWEEN;
        }
        cards
    };
    let gap = (tallest * 0.11).clamp(GAP, WIDEST_GAP);
    let flow_x = left + source_width + gap;
    let target_x = flow_x + flow_width + gap;
    let started = |service: usize| count(graph.starts.iter().filter(|start| start.port.0 == service).count());
    let called = |service: usize| count(graph.calls.iter().filter(|tie| tie.port.0 == service).count());
    let mut sources = place(&source_heights, &order.sources, left, source_width);
    let flows = place(&flow_heights, &order.flows, flow_x, flow_width);
    let mut targets = place(&target_heights, &order.targets, target_x, target_width);
    spread(&mut sources, &order.sources, &started, tallest);
    spread(&mut targets, &order.targets, &called, tallest);
    let rows = |cards: &[Card], ports: &[Vec<usize>]| -> Vec<Vec<f64>> {
        cards
            .iter()
            .zip(ports)
            .map(|(card, order)| {
                let mut rows = vec![0.0; order.len()];
                for (place, at) in order.iter().enumerate() {
                    if let Some(row) = rows.get_mut(*at) {
                        *row = card.y + HEAD + ROW * (count(place) + 0.5);
                    }
                }
                rows
            })
            .collect()
    };
    Layout {
        width: (target_x + target_width + lanes + MARGIN).max(560.0),
        height: TOP + tallest + lanes + MARGIN + 56.0,
        source_rows: rows(&sources, &order.source_ports),
        target_rows: rows(&targets, &order.target_ports),
        sources,
        flows,
        targets,
        bottom: TOP + tallest,
    }
}

/// Gives each card of a column as much of the height as it has lines, so that those run as level as they can.
fn spread(cards: &mut [Card], order: &[usize], lines: &dyn Fn(usize) -> f64, tallest: f64) {
    let total: f64 = order.iter().map(|at| lines(*at)).sum::<f64>().max(1.0);
    let (mut before, mut free) = (0.0, TOP);
    for at in order {
        let Some(card) = cards.get_mut(*at) else { continue };
        let middle = TOP + tallest * (before + lines(*at) / 2.0) / total;
        card.y = (middle - card.height / 2.0).max(free);
        free = card.bottom() + BETWEEN;
        before += lines(*at);
    }
    // Those that were pushed beyond the end push back.
    let mut end = TOP + tallest;
    for at in order.iter().rev() {
        let Some(card) = cards.get_mut(*at) else { continue };
        card.y = card.y.min(end - card.height);
        end = card.y - BETWEEN;
    }
}

/// What stands above what.
struct Order {
    sources: Vec<usize>,
    source_ports: Vec<Vec<usize>>,
    flows: Vec<usize>,
    targets: Vec<usize>,
    target_ports: Vec<Vec<usize>>,
}

impl Order {
    /// Each column in turn is sorted by the middle of what its members are tied to in the others.
    fn of(graph: &Graph) -> Order {
        let all = |services: &[Service]| -> Vec<Vec<usize>> {
            services.iter().map(|service| (0..service.ports.len()).collect()).collect()
        };
        let mut order = Order {
            sources: (0..graph.sources.len()).collect(),
            source_ports: all(&graph.sources),
            flows: (0..graph.flows.len()).collect(),
            targets: (0..graph.targets.len()).collect(),
            target_ports: all(&graph.targets),
        };
        for _ in 0..ROUNDS {
            let (source, target) = (ranks(&order.sources, &order.source_ports), ranks(&order.targets, &order.target_ports));
            let of =
                |ranks: &[Vec<f64>], port: Port| ranks.get(port.0).and_then(|ports| ports.get(port.1)).copied().unwrap_or(0.5);
            sort(&mut order.flows, &|flow| {
                let starts = mean(graph.starts.iter().filter(|start| start.flow == flow).map(|start| of(&source, start.port)));
                let calls = mean(graph.calls.iter().filter(|tie| tie.flow == flow).map(|tie| of(&target, tie.port)));
                // What starts a flow counts for more: one reads from the left.
                starts.unwrap_or(0.5) * 2.0 + calls.unwrap_or(0.5)
            });
            let mut flow_ranks = vec![0.5; order.flows.len()];
            for (place, flow) in order.flows.iter().enumerate() {
                if let Some(rank) = flow_ranks.get_mut(*flow) {
                    *rank = (count(place) + 0.5) / count(order.flows.len());
                }
            }
            let flow_rank = |flow: usize| flow_ranks.get(flow).copied().unwrap_or(0.5);
            let started =
                |port: Port| mean(graph.starts.iter().filter(|start| start.port == port).map(|start| flow_rank(start.flow)));
            let called = |port: Port| mean(graph.calls.iter().filter(|tie| tie.port == port).map(|tie| flow_rank(tie.flow)));
            arrange(&mut order.sources, &mut order.source_ports, &started);
            arrange(&mut order.targets, &mut order.target_ports, &called);
        }
        order
    }
}

/// The place of each port among all, from 0 to 1.
fn ranks(services: &[usize], ports: &[Vec<usize>]) -> Vec<Vec<f64>> {
    let total = count(ports.iter().map(Vec::len).sum());
    let mut ranks: Vec<Vec<f64>> = ports.iter().map(|ports| vec![0.5; ports.len()]).collect();
    let mut place = 0;
    for service in services {
        for port in ports.get(*service).into_iter().flatten() {
            if let Some(rank) = ranks.get_mut(*service).and_then(|ranks| ranks.get_mut(*port)) {
                *rank = (count(place) + 0.5) / total;
            }
            place += 1;
        }
    }
    ranks
}

fn arrange(services: &mut Vec<usize>, ports: &mut [Vec<usize>], middle: &dyn Fn(Port) -> Option<f64>) {
    for (service, ports) in ports.iter_mut().enumerate() {
        sort(ports, &|port| middle((service, port)).unwrap_or(0.5));
    }
    let ports = &*ports;
    sort(services, &|service| {
        let all = ports.get(service).into_iter().flatten().filter_map(|port| middle((service, *port)));
        mean(all).unwrap_or(0.5)
    });
}

/// Sorts by a key; what has the same one stays as it is.
fn sort(items: &mut Vec<usize>, key: &dyn Fn(usize) -> f64) {
    let mut keyed: Vec<(f64, usize)> = items.iter().map(|item| (key(*item), *item)).collect();
    keyed.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    *items = keyed.into_iter().map(|(_, item)| item).collect();
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, number) = values.fold((0.0, 0.0), |(sum, number), value| (sum + value, number + 1.0));
    (number > 0.0).then(|| sum / number)
}

#[expect(clippy::cast_precision_loss, reason = "a picture with 2^52 parts is none")]
fn count(number: usize) -> f64 {
    number as f64
}

/// Estimates how wide a text is. Fonts differ: rather too wide than too narrow.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    text.chars().map(char_width).sum::<f64>() * size
}

fn char_width(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '|' | '!' | '\'' | ' ' => 0.36,
        'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '/' | '-' => 0.44,
        'm' | 'w' | 'M' | 'W' | '@' | '%' => 0.95,
        'A'..='Z' | '&' | '<' | '>' | '=' | '+' => 0.76,
        '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200f}' => 0.0,
        c if u32::from(c) >= 0x1100 => 1.05,
        _ => 0.62,
    }
}

/// Returns as much of a text as fits.
pub(super) fn cut(text: &str, size: f64, width: f64) -> String {
    if text_width(text, size) <= width {
        return text.to_owned();
    }
    let mut left = width - 0.9 * size;
    let kept = text.chars().take_while(|c| {
        left -= char_width(*c) * size;
        left >= 0.0
    });
    kept.collect::<String>().trim_end().to_owned() + "…"
}
