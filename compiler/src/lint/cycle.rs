//! E703: flows that start each other for ever, through the events that their actions cause.
//!
//! A flow leads to an event where it performs an action that causes it in any case: not in a branch, not behind a wait. An
//! event leads to a flow where nothing could keep it from starting the flow: a condition that is not about `origin` might,
//! and a limit does.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::domain::Domain;
use super::solve::{Dnf, Leaf};
use super::summary::{Act, Summary};
use super::{FlowAt, Problem, Rules};
use crate::code::Code;
use crate::diagnostic::Diagnostic;

/// A flow causes an event that starts the next one.
#[derive(Debug, Clone, Copy)]
struct Link<'r> {
    from: usize,
    act: &'r Act,
    event: &'r str,
    to: usize,
}

/// The flows that an event can start, and the events that a flow causes.
struct Graph<'r> {
    flows: Vec<(FlowAt, &'r Summary)>,
    /// Events by number.
    events: Vec<&'r str>,
    /// Event → flows.
    starts: Vec<Vec<usize>>,
    /// Flow → events, each with the action that causes it.
    causes: Vec<Vec<(usize, &'r Act)>>,
}

pub(super) fn check(rules: &Rules<'_>) -> Vec<Problem> {
    let graph = graph(rules);
    let mut found = Vec::new();
    let mut done = vec![false; graph.flows.len()];
    for component in graph.components() {
        let Some(first) = component.iter().copied().min() else { continue };
        if done.get(first).copied().unwrap_or(true) {
            continue;
        }
        for member in &component {
            if let Some(done) = done.get_mut(*member) {
                *done = true;
            }
        }
        if let Some(cycle) = graph.shortest(first, &component) {
            let at = |link: &Link<'_>| graph.flows.get(link.from).map(|(at, _)| rules.name(*at));
            let files = cycle.iter().filter_map(at).collect();
            found.extend(report(rules, &graph, &cycle).map(|diagnostic| Problem { diagnostic, files }));
        }
    }
    found
}

fn graph<'r>(rules: &Rules<'r>) -> Graph<'r> {
    // Only events that start a flow unhindered matter, and only flows that such an event starts.
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    let mut graph = Graph { flows: Vec::new(), events: Vec::new(), starts: Vec::new(), causes: Vec::new() };
    for (at, summary) in rules.flows() {
        if summary.is_bounded || !summary.acts.iter().any(is_certain) {
            continue;
        }
        let number = graph.flows.len();
        let mut listens = false;
        for start in summary.starts.iter().filter(|start| lets_through(&start.when, summary)) {
            let event = *numbers.entry(start.event.as_str()).or_insert_with(|| {
                graph.events.push(&start.event);
                graph.starts.push(Vec::new());
                graph.events.len() - 1
            });
            if let Some(starts) = graph.starts.get_mut(event) {
                starts.push(number);
                listens = true;
            }
        }
        if listens {
            graph.flows.push((at, summary));
        }
    }
    for (_, summary) in &graph.flows {
        let mut causes = Vec::new();
        for act in summary.acts.iter().filter(|act| is_certain(act)) {
            causes.extend(act.causes.iter().filter_map(|event| Some((*numbers.get(event.as_str())?, act))));
        }
        graph.causes.push(causes);
    }
    graph
}

/// It is performed whenever the flow runs, at once, and it causes something.
fn is_certain(act: &Act) -> bool {
    !act.in_branch && !act.after_wait && !act.causes.is_empty()
}

/// Tells whether an event that a flow caused surely passes the condition.
fn lets_through(when: &Dnf, summary: &Summary) -> bool {
    when.exact
        && when.cubes.iter().any(|cube| {
            cube.atoms.is_empty()
                && cube.claims.iter().all(|claim| match claim.leaf {
                    Leaf::Origin => claim.domain.contains(&flow_plan::Value::text("flow")) == Some(true),
                    Leaf::Field(_) => {
                        let field = summary.fields.iter().find(|(key, _)| *key == claim.key);
                        field.is_some_and(|(_, field)| Domain::declared(field) == *claim.domain)
                    }
                    Leaf::Outside | Leaf::Moment | Leaf::Other => false,
                })
        })
}

impl<'r> Graph<'r> {
    fn links(&self, from: usize) -> impl Iterator<Item = Link<'r>> {
        self.causes.get(from).into_iter().flatten().flat_map(move |(event, act)| {
            let name = self.events.get(*event).copied().unwrap_or_default();
            self.starts.get(*event).into_iter().flatten().map(move |to| Link { from, act, event: name, to: *to })
        })
    }

    /// Returns the groups of flows that reach each other, by Tarjan's algorithm over flows and events, without recursion.
    fn components(&self) -> Vec<Vec<usize>> {
        let flows = self.flows.len();
        let next: Vec<Vec<usize>> = (0..flows)
            .map(|flow| self.causes.get(flow).into_iter().flatten().map(|(event, _)| flows + event).collect())
            .chain(self.starts.iter().cloned())
            .collect();
        let mut order = vec![usize::MAX; next.len()];
        let mut low = vec![0usize; next.len()];
        let mut on_stack = vec![false; next.len()];
        let (mut stack, mut found, mut count) = (Vec::new(), Vec::new(), 0usize);
        for root in 0..next.len() {
            if order.get(root) != Some(&usize::MAX) {
                continue;
            }
            let mut work: Vec<(usize, usize)> = vec![(root, 0)];
            while let Some((node, child)) = work.pop() {
                if child == 0 {
                    set(&mut order, node, count);
                    set(&mut low, node, count);
                    set(&mut on_stack, node, true);
                    stack.push(node);
                    count += 1;
                }
                if let Some(to) = next.get(node).and_then(|next| next.get(child)).copied() {
                    work.push((node, child + 1));
                    if get(&order, to) == usize::MAX {
                        work.push((to, 0));
                    } else if on_stack.get(to).copied().unwrap_or_default() {
                        let least = get(&low, node).min(get(&order, to));
                        set(&mut low, node, least);
                    }
                    continue;
                }
                if let Some((parent, _)) = work.last() {
                    let least = get(&low, *parent).min(get(&low, node));
                    set(&mut low, *parent, least);
                }
                if get(&low, node) == get(&order, node) {
                    let mut component = Vec::new();
                    while let Some(member) = stack.pop() {
                        set(&mut on_stack, member, false);
                        component.push(member);
                        if member == node {
                            break;
                        }
                    }
                    // A flow reaches itself through an event, so that a circle has two nodes at least.
                    if component.len() > 1 {
                        found.push(component.into_iter().filter(|member| *member < flows).collect());
                    }
                }
            }
        }
        found
    }

    /// Returns the shortest way from a flow back to it.
    fn shortest(&self, first: usize, component: &[usize]) -> Option<Vec<Link<'r>>> {
        let mut came: BTreeMap<usize, Link<'r>> = BTreeMap::new();
        let mut queue = VecDeque::from([first]);
        let mut members: Vec<usize> = component.to_vec();
        members.sort_unstable();
        while let Some(at) = queue.pop_front() {
            for link in self.links(at) {
                if members.binary_search(&link.to).is_err() || came.contains_key(&link.to) {
                    continue;
                }
                came.insert(link.to, link);
                if link.to == first {
                    let mut way = vec![link];
                    while let Some(last) = way.last().filter(|last| last.from != first) {
                        way.push(*came.get(&last.from)?);
                    }
                    way.reverse();
                    return Some(way);
                }
                queue.push_back(link.to);
            }
        }
        None
    }
}

fn get(list: &[usize], at: usize) -> usize {
    list.get(at).copied().unwrap_or(usize::MAX)
}

fn set<T>(list: &mut [T], at: usize, value: T) {
    if let Some(slot) = list.get_mut(at) {
        *slot = value;
    }
}

fn report(rules: &Rules<'_>, graph: &Graph<'_>, cycle: &[Link<'_>]) -> Option<Diagnostic> {
    let (last, before) = cycle.split_last()?;
    let (at, summary) = *graph.flows.get(last.from)?;
    let file: &Arc<str> = rules.file(at)?;
    let condition = "`where origin is \"external\"`";
    let diagnostic = if before.is_empty() {
        Diagnostic::new(Code::E703, file, last.act.span, "this flow starts itself for ever")
            .label(format!("causes {}", last.event))
            .also(summary.when, "which starts it again")
            .help("a condition has to tell what the flow itself does from what others do, or a limit such as `at most 3 per day` has to end it")
    } else {
        let mut diagnostic = Diagnostic::new(Code::E703, file, last.act.span, "these flows start each other for ever")
            .label(format!("{}. causes {}, back to the first", cycle.len(), last.event));
        let mut elsewhere = false;
        for (number, link) in before.iter().enumerate() {
            let (other, _) = *graph.flows.get(link.from)?;
            if other.file == at.file {
                diagnostic = diagnostic.also(link.act.span, format!("{}. causes {}", number + 1, link.event));
            } else {
                elsewhere = true;
            }
        }
        if elsewhere {
            let way: Vec<String> = cycle
                .iter()
                .enumerate()
                .filter_map(|(number, link)| {
                    let (at, _) = *graph.flows.get(link.from)?;
                    Some(format!(
                        "{}. `{}` at {} causes {}",
                        number + 1,
                        link.act.name,
                        rules.place(at, link.act.span),
                        link.event
                    ))
                })
                .collect();
            diagnostic = diagnostic.help(format!("the way round: {}", way.join("; ")));
        }
        diagnostic
    };
    let title = if before.is_empty() { condition.to_owned() } else { format!("{condition} in one of them") };
    let has_where = summary.starts.iter().any(|start| start.when != Dnf::always());
    Some(if has_where {
        diagnostic.advise(title)
    } else {
        diagnostic.fix(title, summary.when.after(), " where origin is \"external\"", false)
    })
}
