//! A project as a picture: what starts which flow, what each does where, and what that causes again.
//!
//! [`Graph`] is what there is to draw, without places or colours; [`svg`] and [`mermaid`] draw it. Nothing here reads a
//! source: a plan has all that is needed.

mod layout;
pub mod mermaid;
mod start;
pub mod svg;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use flow_plan::{Effect, Flow, Instr, Outline};

use crate::listing::split_mark;

/// What there is to draw.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// Where things happen, with what starts flows there.
    pub sources: Vec<Service>,
    /// The flows.
    pub flows: Vec<Node>,
    /// Where things are done, with what flows do there.
    pub targets: Vec<Service>,
    /// What starts a flow: from a port of a source.
    pub starts: Vec<Start>,
    /// What a flow does: to a port of a target.
    pub calls: Vec<Tie>,
    /// What an action causes: from a port of a target back to one of a source.
    pub causes: Vec<(Port, Port)>,
}

/// A service with its ports.
#[derive(Debug, Clone, Default)]
pub struct Service {
    /// The connection.
    pub name: String,
    /// Triggers, or actions and queries.
    pub ports: Vec<String>,
}

/// A port: index of the service and of the port in it.
pub type Port = (usize, usize);

/// A flow.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its name, or its place for one without.
    pub name: String,
    /// Its title, else its condition.
    pub note: String,
    /// File and line.
    pub place: String,
}

/// What starts a flow, or what it waits for.
#[derive(Debug, Clone)]
pub struct Start {
    /// The port.
    pub port: Port,
    /// The flow.
    pub flow: usize,
    /// The flow is under way already, and waits for it.
    pub waits: bool,
}

/// What a flow does at a service.
#[derive(Debug, Clone)]
pub struct Tie {
    /// The flow.
    pub flow: usize,
    /// The port.
    pub port: Port,
    /// It only asks.
    pub asks: bool,
    /// The personal fields that go there.
    pub personal: BTreeSet<String>,
}

impl Graph {
    /// Returns the graph of these flows.
    pub fn of(flows: &[Arc<Flow>]) -> Self {
        let mut graph = Graph::default();
        let mut causes = BTreeSet::new();
        for flow in flows {
            let at = graph.flows.len();
            graph.flows.push(node(flow));
            for start in start::of(flow) {
                let port = port(&mut graph.sources, &start.service, &start.label);
                if !graph.starts.iter().any(|known| known.port == port && known.flow == at) {
                    graph.starts.push(Start { port, flow: at, waits: start.waits });
                }
            }
            let mut calls = Vec::new();
            calls_of(&flow.outline, &mut calls);
            for (path, name) in calls {
                graph.call(at, flow, path, name, &mut causes);
            }
        }
        for (port, connection, trigger) in causes {
            let service = graph.sources.iter().position(|service| service.name == connection);
            let found = service.and_then(|service| {
                let ports = graph.sources.get(service)?;
                Some((service, ports.ports.iter().position(|port| *port == trigger)?))
            });
            // What nobody listens to needs no line.
            graph.causes.extend(found.map(|found| (port, found)));
        }
        graph.sort();
        graph
    }

    fn call(&mut self, at: usize, flow: &Flow, path: &str, name: &str, causes: &mut BTreeSet<(Port, String, String)>) {
        let Some((connection, operation)) = name.split_once('.') else { return };
        let port = port(&mut self.targets, connection, operation);
        let mut personal = BTreeSet::new();
        let mut asks = true;
        let inner = flow.program.instrs.iter().filter_map(|instr| match instr {
            Instr::Call(call) if is_within(&call.path, path) => Some(call),
            _ => None,
        });
        for call in inner {
            let sent = flow.sends.iter().filter(|send| send.to == call.name).flat_map(|send| &send.fields);
            personal
                .extend(sent.map(|field| split_mark(field)).filter(|(_, personal)| *personal).map(|(name, _)| name.to_owned()));
            let Some(operation) = flow.operations.get(call.operation as usize) else { continue };
            asks &= matches!(operation.effect, Effect::Read);
            for event in &operation.emits {
                let trigger = event.rsplit('.').next().unwrap_or_default();
                causes.insert((port, call.connection.clone(), trigger.to_owned()));
            }
        }
        match self.calls.iter_mut().find(|tie| tie.flow == at && tie.port == port) {
            Some(tie) => {
                tie.personal.append(&mut personal);
                tie.asks &= asks;
            }
            None => self.calls.push(Tie { flow: at, port, asks, personal }),
        }
    }

    /// Puts services and ports into the order of their names, so that the same flows give the same picture.
    fn sort(&mut self) {
        let sources = sorted(&mut self.sources);
        let targets = sorted(&mut self.targets);
        let of = |map: &BTreeMap<Port, Port>, port: Port| map.get(&port).copied().unwrap_or(port);
        self.starts.iter_mut().for_each(|start| start.port = of(&sources, start.port));
        self.calls.iter_mut().for_each(|tie| tie.port = of(&targets, tie.port));
        for (from, to) in &mut self.causes {
            (*from, *to) = (of(&targets, *from), of(&sources, *to));
        }
        self.starts.sort_by_key(|start| (start.flow, start.port));
        self.calls.sort_by_key(|tie| (tie.flow, tie.port));
        self.causes.sort_unstable();
    }
}

fn node(flow: &Flow) -> Node {
    let place = format!("{}:{}", flow.file, flow.line);
    let condition = flow.filter.as_ref().map(|filter| format!("where {}", crate::listing::condition_text(filter)));
    let first = flow.docs.lines().next().filter(|line| !line.is_empty()).map(str::to_owned);
    Node {
        name: flow.name.clone().unwrap_or_else(|| place.clone()),
        note: flow.title.clone().or(first).or(condition).unwrap_or_default(),
        place,
    }
}

/// The calls as the author of the flow sees them: path and name. What a composite action does inside is its own affair.
fn calls_of<'a>(steps: &'a [Outline], into: &mut Vec<(&'a str, &'a str)>) {
    for step in steps {
        match &step.call {
            Some(name) => into.push((&step.path, name)),
            None => calls_of(&step.steps, into),
        }
    }
}

fn is_within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn port(services: &mut Vec<Service>, service: &str, port: &str) -> Port {
    let at = services.iter().position(|known| known.name == service).unwrap_or_else(|| {
        services.push(Service { name: service.to_owned(), ports: Vec::new() });
        services.len() - 1
    });
    let Some(found) = services.get_mut(at) else { return (at, 0) };
    let place = found.ports.iter().position(|known| known == port).unwrap_or_else(|| {
        found.ports.push(port.to_owned());
        found.ports.len() - 1
    });
    (at, place)
}

/// Sorts services and their ports; returns where each port went.
fn sorted(services: &mut Vec<Service>) -> BTreeMap<Port, Port> {
    let mut order: Vec<(usize, Service)> = std::mem::take(services).into_iter().enumerate().collect();
    order.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
    let mut moved = BTreeMap::new();
    for (now, (before, mut service)) in order.into_iter().enumerate() {
        let mut ports: Vec<(usize, String)> = std::mem::take(&mut service.ports).into_iter().enumerate().collect();
        ports.sort_by(|(_, a), (_, b)| a.cmp(b));
        for (at, (was, name)) in ports.into_iter().enumerate() {
            moved.insert((before, was), (now, at));
            service.ports.push(name);
        }
        services.push(service);
    }
    moved
}
