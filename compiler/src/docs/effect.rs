//! What happens when an attempt fails, in words.

use std::collections::BTreeSet;

use flow_grammar::syntax::{Block, ElseBranch, Expr, ExprKind, IfStep, StepKind};
use flow_plan::{Duration, Effect, Operation as Plan, PathPart};

use crate::catalog::{Connector, Operation, OperationBody};

/// Returns what the effect class of an operation means for its user.
pub(super) fn in_words(connector: &Connector, operation: &Operation) -> String {
    let block = match &operation.body {
        OperationBody::Http(http) => return of_request(connector, http),
        OperationBody::Steps(block) => block,
    };
    let mut called = BTreeSet::new();
    calls_of(block, &mut called);
    let mut out = String::from("It is made of steps; each that was done is not done again:\n\n");
    for name in called {
        let Some(inner) = connector.operations.get(name) else { continue };
        let text = match &inner.body {
            OperationBody::Http(http) => of_request(connector, http),
            OperationBody::Steps(_) => "Made of steps itself.".to_owned(),
        };
        out.push_str(&format!("- `{name}`: {text}\n"));
    }
    out.trim_end().to_owned()
}

fn of_request(connector: &Connector, operation: &Plan) -> String {
    let class = of_class(connector, operation);
    match &operation.confirm {
        None => class,
        Some(confirm) => {
            let within = Duration::from_millis(i64::try_from(confirm.up_to_ms).unwrap_or(i64::MAX));
            let query = &confirm.query.name;
            format!("The answer says no more than \"accepted\": it is done once `{query}` says so, within {within}. {class}")
        }
    }
}

fn of_class(connector: &Connector, operation: &Plan) -> String {
    match &operation.effect {
        Effect::Read => "It changes nothing, so it is tried again freely, and asked once per run.".to_owned(),
        Effect::Set => "Twice is as good as once, so it is tried again freely.".to_owned(),
        Effect::Keyed { window_ms, .. } => format!(
            "Each attempt carries the same key, by which {} knows it again for {}: it is tried again within four fifths of that \
             time, and happens once.",
            connector.title,
            Duration::from_millis(i64::try_from(*window_ms).unwrap_or(i64::MAX)),
        ),
        Effect::Findable { by, .. } => format!(
            "Where the answer got lost, `{}` tells whether it happened; only if it did not, it is tried again.",
            by.query.name
        ),
        Effect::Once => {
            "It cannot be repeated safely. Where the answer got lost, the run ends as dead, and a person decides.".to_owned()
        }
    }
}

/// Where a request goes that has no path.
pub(super) fn address_text(operation: &Plan) -> &'static str {
    let mut given = false;
    if let Some(address) = &operation.request.address {
        address.walk(&mut |part| given |= matches!(part, flow_plan::Expr::Input(_)));
    }
    if given { "to the address that is given" } else { "to the address of the connection" }
}

/// The path of a request with the names of its inputs: `/v1/customers/{id}`.
pub(super) fn path_text(operation: &Plan) -> String {
    let mut out = String::new();
    for part in &operation.request.path {
        match part {
            PathPart::Literal(text) => out.push_str(text),
            PathPart::Value(flow_plan::Expr::Input(at)) => {
                let name = operation.inputs.get(usize::from(*at)).map_or("…", |input| input.name.as_str());
                out.push_str(&format!("{{{name}}}"));
            }
            PathPart::Value(_) => out.push_str("{…}"),
        }
    }
    out
}

/// The operations that steps call, by name.
fn calls_of<'b>(block: &'b Block, called: &mut BTreeSet<&'b str>) {
    for step in &block.steps {
        match &step.kind {
            StepKind::Call(call) => called.extend(call.call.path.last().map(|name| name.text.as_str())),
            StepKind::Let { value, .. } => called.extend(query_of(value)),
            StepKind::If(branch) => calls_of_if(branch, called),
            StepKind::Match { arms, .. } => arms.iter().for_each(|arm| calls_of(&arm.body, called)),
            StepKind::For { list, body, .. } => {
                called.extend(query_of(list));
                calls_of(body, called);
            }
            _ => {}
        }
    }
}

fn calls_of_if<'b>(branch: &'b IfStep, called: &mut BTreeSet<&'b str>) {
    calls_of(&branch.then, called);
    match &branch.otherwise {
        Some(ElseBranch::Block(block)) => calls_of(block, called),
        Some(ElseBranch::If(step)) => {
            if let StepKind::If(branch) = &step.kind {
                calls_of_if(branch, called);
            }
        }
        None => {}
    }
}

fn query_of(value: &Expr) -> Option<&str> {
    match &*value.kind {
        ExprKind::Call(call) => call.path.last().map(|name| name.text.as_str()),
        _ => None,
    }
}
