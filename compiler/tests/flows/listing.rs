//! Plans as readable listings.

use std::fmt::Write as _;

use flow_plan::{Condition, Expr, Flow, Instr, Outline};

/// Returns a plan as text, without its hash and the shapes.
pub(crate) fn plan(flow: &Flow) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "flow {}", flow.name.as_deref().unwrap_or("(unnamed)"));
    for trigger in &flow.triggers {
        let _ = writeln!(text, "when {}.{} {:?} {:?}", trigger.connection, trigger.name, trigger.types, trigger.options);
        if let Some(guard) = &trigger.guard {
            let _ = writeln!(text, "  guard {}", expr(flow, guard));
        }
        if let Some(dedupe) = &trigger.dedupe {
            let _ = writeln!(text, "  dedupe {}", expr(flow, dedupe));
        }
    }
    let reads: Vec<&str> = flow.reads.iter().map(|field| field.name.as_str()).collect();
    let _ = writeln!(text, "reads {}", reads.join(", "));
    if let Some(filter) = &flow.filter {
        condition(flow, filter, 0, &mut text);
    }
    for (at, instr) in flow.program.instrs.iter().enumerate() {
        let _ = writeln!(text, "{at:3} {}", instruction(flow, instr));
    }
    if let Some(handler) = &flow.program.on_error {
        let _ = writeln!(text, "on error -> {} (error in ${})", handler.to, handler.error);
    }
    outline(&flow.outline, 0, &mut text);
    let _ = writeln!(text, "calls {}..{}", flow.calls.0, flow.calls.1.map_or("?".to_owned(), |most| most.to_string()));
    for send in &flow.sends {
        let _ = writeln!(text, "sends {} <- {}", send.to, send.fields.join(", "));
    }
    text
}

/// Returns the instructions alone.
pub(crate) fn program(flow: &Flow) -> String {
    flow.program.instrs.iter().map(|instr| instruction(flow, instr) + "\n").collect()
}

fn condition(flow: &Flow, node: &Condition, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match node {
        Condition::All(parts) | Condition::Any(parts) => {
            let word = if matches!(node, Condition::All(_)) { "all" } else { "any" };
            let _ = writeln!(text, "{indent}{word}");
            parts.iter().for_each(|part| condition(flow, part, depth + 1, text));
        }
        Condition::Not(inner) => {
            let _ = writeln!(text, "{indent}not");
            condition(flow, inner, depth + 1, text);
        }
        Condition::Test { text: source, expr: test, reads } => {
            let _ = writeln!(text, "{indent}test `{source}` = {} reads {reads:?}", expr(flow, test));
        }
    }
}

fn instruction(flow: &Flow, instr: &Instr) -> String {
    match instr {
        Instr::Set { local, value } => format!("set ${local} = {}", expr(flow, value)),
        Instr::Call(call) => {
            let operation = &flow.operations[call.operation as usize];
            let args: Vec<String> = operation
                .inputs
                .iter()
                .zip(&call.args)
                .filter(|(_, arg)| arg.value != Expr::Const(flow_plan::Value::Missing))
                .map(|(input, arg)| {
                    format!("{}: {}{}", input.name, expr(flow, &arg.value), if arg.personal { " (personal)" } else { "" })
                })
                .collect();
            let mut text = format!("call {} {}({})", call.path, call.name, args.join(", "));
            if let Some(result) = call.result {
                let _ = write!(text, " -> ${result}");
            }
            if let Some(retry) = &call.retry {
                let _ = write!(text, " retry {} over {:?}", retry.times, retry.over_ms);
            }
            if let Some(handler) = &call.on_error {
                let _ = write!(text, " on error -> {} (error in ${})", handler.to, handler.error);
            }
            if !call.loops.is_empty() {
                let _ = write!(text, " loops {:?}", call.loops);
            }
            text
        }
        Instr::Jump(to) => format!("jump {to}"),
        Instr::Unless { condition, to } => format!("unless {} jump {to}", expr(flow, condition)),
        Instr::Require(value) => format!("require {}", expr(flow, value)),
        Instr::Each { list, into, counter, up_to } => {
            format!("each {} into ${into} counter ${counter} up to {up_to}", expr(flow, list))
        }
        Instr::Next { list, counter, item, end } => format!("next ${list} counter ${counter} item ${item} else {end}"),
        Instr::Wait(wait) => match wait.as_ref() {
            flow_plan::Wait::For(span) => format!("wait {}{}", span.length, zone(span.zone.as_deref())),
            flow_plan::Wait::Until { at, zone: in_zone } => format!("wait until {}{}", expr(flow, at), zone(in_zone.as_deref())),
        },
        Instr::WaitFor(wait) => {
            let mut text = format!("wait {} for {}.{}", wait.path, wait.trigger.connection, wait.trigger.name);
            let reads: Vec<&str> = wait.reads.iter().map(|field| field.name.as_str()).collect();
            let _ = write!(text, " reads {reads:?}");
            if let Some(wanted) = &wait.condition {
                let mut lines = String::new();
                condition(flow, wanted, 0, &mut lines);
                let _ = write!(text, " where {}", lines.trim().replace('\n', "; "));
            }
            if let Some((slot, value)) = &wait.key {
                let _ = write!(text, " key awaited {slot} = {}", expr(flow, value));
            }
            if wait.from_now {
                text.push_str(" from now");
            }
            if let Some(span) = &wait.up_to {
                let _ = write!(text, " up to {}{}", span.length, zone(span.zone.as_deref()));
            }
            let _ = write!(text, " else {}", wait.otherwise);
            text
        }
        Instr::Stop { reason } => match reason {
            Some(reason) => format!("stop {}", expr(flow, reason)),
            None => "stop".to_owned(),
        },
        Instr::Finish => "finish".to_owned(),
    }
}

fn zone(zone: Option<&str>) -> String {
    zone.map(|zone| format!(" in {zone}")).unwrap_or_default()
}

/// Returns an expression as text.
pub(crate) fn expr(flow: &Flow, node: &Expr) -> String {
    let one = |inner: &Expr| expr(flow, inner);
    let all = |parts: &[Expr]| parts.iter().map(one).collect::<Vec<_>>().join(", ");
    match node {
        Expr::Const(value) => match value {
            flow_plan::Value::Text(text) => format!("{text:?}"),
            flow_plan::Value::Missing => "missing".to_owned(),
            other => other.to_string(),
        },
        Expr::Event(slot) => flow.reads[usize::from(*slot)].name.clone(),
        Expr::Awaited(slot) => format!("awaited {slot}"),
        Expr::Local(local) => format!("${local}"),
        Expr::Input(input) => format!("input {input}"),
        Expr::Env(env) => format!("{env:?}"),
        Expr::Raw(path) => format!("raw({path})"),
        Expr::Answer(path) => format!("answer({path})"),
        Expr::Field(inner, name) => format!("{}.{name}", one(inner)),
        Expr::Index(list, at) => format!("{}[{}]", one(list), one(at)),
        Expr::Text(parts) => format!("text({})", all(parts)),
        Expr::List(parts) => format!("[{}]", all(parts)),
        Expr::Record(fields) => {
            let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}: {}", one(value))).collect();
            format!("{{{}}}", fields.join(", "))
        }
        Expr::Not(inner) => format!("not {}", one(inner)),
        Expr::And(parts) => format!("and({})", all(parts)),
        Expr::Or(parts) => format!("or({})", all(parts)),
        Expr::Compare(order, a, b) => format!("{order:?}({}, {})", one(a), one(b)),
        Expr::CompareAny(order, a, limits) => format!("{order:?}Any({}, {limits:?})", one(a)),
        Expr::CompareMajor(order, a, b) => format!("{order:?}Major({}, {})", one(a), one(b)),
        Expr::Equal(a, b) => format!("equal({}, {})", one(a), one(b)),
        Expr::OneOf(a, choices) => format!("one_of({}; {})", one(a), all(choices)),
        Expr::InList(a, b) => format!("in_list({}, {})", one(a), one(b)),
        Expr::InRange(a, b, c) => format!("in_range({}, {}, {})", one(a), one(b), one(c)),
        Expr::IsPresent(a) => format!("present({})", one(a)),
        Expr::IsEmpty(a) => format!("empty({})", one(a)),
        Expr::Contains(a, b) => format!("contains({}, {})", one(a), one(b)),
        Expr::StartsWith(a, b) => format!("starts({}, {})", one(a), one(b)),
        Expr::EndsWith(a, b) => format!("ends({}, {})", one(a), one(b)),
        Expr::Matches(a, pattern) => format!("matches({}, {pattern:?})", one(a)),
        Expr::Arithmetic(how, a, b) => format!("{how:?}({}, {})", one(a), one(b)),
        Expr::Negate(a) => format!("-{}", one(a)),
        Expr::Else(a, b) => format!("({} else {})", one(a), one(b)),
        Expr::Require { value, what } => format!("require({}, {what:?})", one(value)),
        Expr::Call(function, args) => format!("{function:?}({})", all(args)),
        Expr::It => "it".to_owned(),
        Expr::ForEach(each, list, body) => format!("{each:?}({}; {})", one(list), one(body)),
    }
}

fn outline(steps: &[Outline], depth: usize, text: &mut String) {
    for step in steps {
        let indent = "  ".repeat(depth);
        let _ = write!(text, "{indent}- {} {} `{}`", step.path, step.kind, step.text);
        if let Some(call) = &step.call {
            let _ = write!(text, " = {call}");
        }
        if let Some(effect) = &step.effect {
            let _ = write!(text, " [{effect}]");
        }
        text.push('\n');
        outline(&step.steps, depth + 1, text);
    }
}
