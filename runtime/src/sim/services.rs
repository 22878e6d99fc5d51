//! Services that follow the script of a test, and keep what was done to them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use flow_plan::{Effect, Expr, Fault, FieldShape, Money, Operation, Shape, Value};
use jiff::Timestamp;
use rust_decimal::Decimal;

use super::clock::VirtualClock;
use crate::answer;
use crate::eval::Nothing;
use crate::journal::Outcome;
use crate::live::LiveConnection;
use crate::world::{BoxFuture, HttpAnswer, ServiceCall, ServiceStep, Services};

/// The script, and what was done so far.
pub(super) struct Script {
    clock: Arc<VirtualClock>,
    connections: BTreeMap<String, Arc<LiveConnection>>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    faults: Vec<ScriptedFault>,
    answers: Vec<ScriptedAnswer>,
    states: HashMap<(String, String), Value>,
    calls: Vec<Call>,
    made: u32,
}

struct ScriptedFault {
    target: String,
    left: Option<u32>,
    fault: Fault,
}

struct ScriptedAnswer {
    target: String,
    by: Vec<String>,
    value: Value,
}

/// A call that reached a service, or would have.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) at: Timestamp,
    pub(super) run: String,
    pub(super) flow: String,
    pub(super) path: String,
    pub(super) loops: Vec<u32>,
    /// What the service deduplicates by.
    key: String,
    /// The request, as composite operations call it.
    pub(super) name: String,
    /// The inputs of the request.
    pub(super) inputs: Vec<(String, Value)>,
    /// The calls of the flow's author that it is part of: path, name and inputs.
    pub(super) parts_of: Vec<Part>,
    pub(super) reads: bool,
    pub(super) result: Value,
}

/// A call of the flow's author.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) path: String,
    pub(super) name: String,
    pub(super) filled_in: bool,
    pub(super) inputs: Vec<(String, Value)>,
}

impl Script {
    pub(super) fn new(clock: Arc<VirtualClock>, connections: BTreeMap<String, Arc<LiveConnection>>) -> Self {
        Self { clock, connections, inner: Mutex::default() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn fail(&self, target: &str, times: Option<u32>, fault: Fault) {
        self.inner().faults.push(ScriptedFault { target: target.to_owned(), left: times, fault });
    }

    /// From now on the target answers so; what was said before counts no more.
    pub(super) fn answer(&self, target: &str, by: &[String], value: &Value) {
        let mut inner = self.inner();
        inner.answers.retain(|answer| answer.target != target);
        inner.answers.push(ScriptedAnswer { target: target.to_owned(), by: by.to_vec(), value: value.clone() });
    }

    pub(super) fn set_state(&self, connection: &str, state: &str, value: &Value) {
        let mut inner = self.inner();
        // What was said before of the query that tells it counts no more.
        let states = self.connections.get(connection).map_or(&[][..], |known| &known.plan.states);
        if let Some(source) = states.iter().find(|known| known.name == state) {
            let short = source.query.name.rsplit('.').next().unwrap_or_default();
            let query = format!("{connection}.{short}");
            inner.answers.retain(|answer| !answer.by.contains(&query));
        }
        inner.states.insert((connection.to_owned(), state.to_owned()), value.clone());
    }

    /// Returns the calls that had their effect, and the queries that were answered, in order.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.inner().calls.clone()
    }

    fn do_it(&self, call: &ServiceCall) -> Outcome {
        let mut inner = self.inner();
        let Some(step) = &call.step else {
            let fault = inner.fault_of(&call.name);
            let refused = || "no answer came (the test made the call fail)".to_owned();
            match fault {
                Some(Fault::Status(status)) => return self.refuse(call, status),
                Some(Fault::NotConnected) => {
                    return Outcome::NotDone { status: None, error: refused(), retry_after_ms: None };
                }
                Some(Fault::TimeoutBeforeEffect | Fault::TimeoutAfterEffect) => {
                    return Outcome::Unknown { status: None, error: refused(), last: false };
                }
                None => {}
            }
            if let Some(answer) = inner.answers.iter().find(|answer| answer.by.contains(&call.name)) {
                return Outcome::Done { status: Some(200), value: answer.value.clone() };
            }
            // A state is read: what the test says of it, as its query would tell it.
            let value = self.told_by(&inner.states, call).unwrap_or_default();
            return Outcome::Done { status: Some(200), value };
        };
        if step.find {
            let found = inner.calls.iter().find(|made| made.key == step.key && made.name == call.name);
            return Outcome::Done { status: Some(200), value: found.map(|made| made.result.clone()).unwrap_or_default() };
        }
        let made = record(call, step, self.clock.instant());
        let fault = inner.fault(&made);
        match fault {
            None | Some(Fault::TimeoutAfterEffect) => {
                let told = self.told_by(&inner.states, call).filter(|_| made.reads);
                let value = inner.effect(made, &call.operation, told, self.clock.instant());
                match fault {
                    None => Outcome::Done { status: Some(200), value },
                    Some(_) => Outcome::Unknown {
                        status: None,
                        error: "no answer came (the test made the call time out)".to_owned(),
                        last: false,
                    },
                }
            }
            Some(Fault::TimeoutBeforeEffect) => Outcome::Unknown {
                status: None,
                error: "no answer came (the test made the call time out)".to_owned(),
                last: false,
            },
            Some(Fault::NotConnected) => Outcome::NotDone {
                status: None,
                error: "could not connect (the test made the call fail)".to_owned(),
                retry_after_ms: None,
            },
            Some(Fault::Status(status)) => self.refuse(call, status),
        }
    }

    /// Returns the result of a query that tells states, with those that the test has set.
    fn told_by(&self, states: &HashMap<(String, String), Value>, call: &ServiceCall) -> Option<Value> {
        let connection = self.connections.get(&call.connection)?;
        let told = connection.plan.states.iter().filter(|state| state.query.name == call.operation.name);
        let mut result = None;
        for state in told {
            let key = (call.connection.clone(), state.name.clone());
            if let Some(value) = states.get(&key).filter(|value| !value.is_missing()) {
                put(result.get_or_insert_with(Value::default), &state.value, value.clone());
            }
        }
        result
    }

    /// What an answer with this status means, by the same rules as over HTTP.
    fn refuse(&self, call: &ServiceCall, status: u16) -> Outcome {
        let Some(connection) = self.connections.get(&call.connection) else {
            return Outcome::Refused { status: Some(status), error: format!("HTTP {status}") };
        };
        let body = Bytes::from_static(b"{}");
        let answer = HttpAnswer { status, headers: Vec::new(), body };
        crate::executor::outcome(answer::read(&call.operation, connection, &answer, &Nothing), status)
    }
}

impl Services for Script {
    fn perform(&self, call: ServiceCall) -> BoxFuture<'_, Outcome> {
        let outcome = self.do_it(&call);
        Box::pin(std::future::ready(outcome))
    }
}

impl Inner {
    /// Takes the first scripted fault that concerns the call. One of a composite operation concerns what changes something.
    fn fault(&mut self, call: &Call) -> Option<Fault> {
        let concerned = self.faults.iter_mut().find(|fault| {
            fault.left != Some(0)
                && (fault.target == call.name
                    || !call.reads && call.parts_of.iter().any(|part| part.name == fault.target)
                    || call.parts_of.iter().any(|part| part.name == fault.target && part.path == call.path))
        })?;
        if let Some(left) = &mut concerned.left {
            *left -= 1;
        }
        Some(concerned.fault)
    }

    /// Takes the first scripted fault of a query that no run asks.
    fn fault_of(&mut self, name: &str) -> Option<Fault> {
        let concerned = self.faults.iter_mut().find(|fault| fault.left != Some(0) && fault.target == name)?;
        if let Some(left) = &mut concerned.left {
            *left -= 1;
        }
        Some(concerned.fault)
    }

    /// Does what is asked, unless the service knows the key, and returns the result.
    fn effect(&mut self, mut call: Call, operation: &Operation, told: Option<Value>, now: Timestamp) -> Value {
        let deduplicates = match operation.effect {
            Effect::Keyed { .. } | Effect::Set | Effect::Read => true,
            Effect::Findable { .. } | Effect::Once => false,
        };
        if deduplicates && let Some(known) = self.calls.iter().find(|known| known.key == call.key && known.name == call.name) {
            return known.result.clone();
        }
        self.made += 1;
        let scripted = self.answers.iter().find(|answer| {
            answer.by.contains(&call.name)
                && (answer.target == call.name || call.parts_of.iter().any(|part| part.name == answer.target))
        });
        let plain = plain_answer(operation, &call, self.made, now);
        call.result = match scripted.map(|answer| answer.value.clone()).or(told) {
            None => plain,
            Some(given) => complete(operation, given, &call, self.made, now),
        };
        let result = call.result.clone();
        self.calls.push(call);
        result
    }
}

/// Puts a value where an expression over the result (`Local(0)`) reads it.
fn put(result: &mut Value, place: &Expr, value: Value) {
    match place {
        Expr::Local(_) => *result = value,
        Expr::Field(inner, name) => {
            let mut fields = match at(result, inner) {
                Value::Record(fields) => (*fields).clone(),
                _ => BTreeMap::new(),
            };
            fields.insert(Arc::from(name.as_str()), value);
            put(result, inner, Value::Record(Arc::new(fields)));
        }
        // States are read by fields alone.
        _ => {}
    }
}

fn at(result: &Value, place: &Expr) -> Value {
    match place {
        Expr::Field(inner, name) => at(result, inner).field(name),
        _ => result.clone(),
    }
}

fn record(call: &ServiceCall, step: &ServiceStep, at: Timestamp) -> Call {
    let inputs: Vec<(String, Value)> =
        call.operation.inputs.iter().map(|input| input.name.clone()).zip(call.inputs.iter().cloned()).collect();
    let parts_of = step.given.iter().filter_map(|(at, given)| {
        let invocation = step.flow.invocations.get(*at)?;
        // An operation that is one request knows its inputs by the request.
        let inputs = if invocation.path == step.path { inputs.clone() } else { given.clone() };
        Some(Part { path: invocation.path.clone(), name: invocation.name.clone(), filled_in: invocation.filled_in, inputs })
    });
    Call {
        at,
        run: step.run.clone(),
        flow: step.flow.name.clone().unwrap_or_else(|| step.flow.id.clone()),
        path: step.path.clone(),
        loops: step.loops.clone(),
        key: step.key.clone(),
        name: call.name.clone(),
        parts_of: parts_of.collect(),
        inputs,
        reads: matches!(call.operation.effect, Effect::Read),
        result: Value::Missing,
    }
}

/// What a service answers of itself: nothing to a query that may find nothing, else what it was given and plain values.
fn plain_answer(operation: &Operation, call: &Call, number: u32, now: Timestamp) -> Value {
    let Some(shape) = &operation.answer.shape else { return Value::Missing };
    if let Some(input) = operation.answer.item_of {
        return match call.inputs.get(usize::from(input)) {
            Some((_, Value::List(items))) => items.first().cloned().unwrap_or_default(),
            _ => Value::Missing,
        };
    }
    if call.reads && operation.answer.optional {
        return Value::Missing;
    }
    let mut maker = Maker { inputs: &call.inputs, stem: stem(&call.name), number, now };
    maker.value(shape, "")
}

/// A scripted answer with plain values for the required fields that it leaves out.
fn complete(operation: &Operation, given: Value, call: &Call, number: u32, now: Timestamp) -> Value {
    let (Some(Shape::Record(fields)), Value::Record(values)) = (&operation.answer.shape, &given) else { return given };
    let mut maker = Maker { inputs: &[], stem: stem(&call.name), number, now };
    let mut all = (**values).clone();
    for field in fields.iter().filter(|field| !field.optional) {
        all.entry(Arc::from(field.name.as_str())).or_insert_with(|| maker.value(&field.shape, &field.name));
    }
    Value::record(all)
}

/// `kustomer.post_conversation` makes `conversation_1`.
fn stem(name: &str) -> &str {
    let operation = name.rsplit('.').next().unwrap_or(name);
    operation.split_once('_').map_or(operation, |(_, rest)| rest)
}

/// Makes plain values.
pub(crate) struct Maker<'m> {
    pub(crate) inputs: &'m [(String, Value)],
    pub(crate) stem: &'m str,
    pub(crate) number: u32,
    pub(crate) now: Timestamp,
}

impl Maker<'_> {
    /// Returns a value of a shape for the field `name`.
    pub(crate) fn value(&mut self, shape: &Shape, name: &str) -> Value {
        match shape {
            Shape::Json | Shape::Map(_) => Value::record([]),
            Shape::Text | Shape::Token if name == "id" || name.is_empty() => {
                Value::text(format!("{}_{}", self.stem, self.number))
            }
            Shape::Text | Shape::Token if name.ends_with("email") => Value::text("person@example.com"),
            Shape::Text | Shape::Token if name.ends_with("url") => Value::text("https://example.com/"),
            Shape::Text | Shape::Token => Value::text(format!("{name}_{}", self.number)),
            Shape::Bool => Value::Bool(false),
            Shape::Integer | Shape::Number => Value::Number(Decimal::from(self.number)),
            Shape::Money { .. } => match flow_plan::Currency::parse("USD") {
                Some(currency) => Value::Money(Money { amount: Decimal::from(10), currency }),
                None => Value::Missing,
            },
            Shape::Instant(_) => Value::Instant(self.now),
            Shape::Date => Value::Date(self.now.to_zoned(jiff::tz::TimeZone::UTC).date()),
            Shape::Enum { members, .. } | Shape::Coded { members, .. } => {
                members.first().map_or(Value::Missing, |member| Value::text(member.as_str()))
            }
            Shape::Time => Value::Time(jiff::civil::Time::midnight()),
            Shape::Duration(_) => Value::Duration(flow_plan::Duration::default()),
            Shape::Written(_) => Value::text(format!("{name}_{}", self.number)),
            Shape::List(_) | Shape::Commas(_) => Value::List(Arc::default()),
            Shape::Record(fields) => self.record(fields),
            Shape::Optional(inner) => self.value(inner, name),
        }
    }

    fn record(&mut self, fields: &[FieldShape]) -> Value {
        let mut values = Vec::new();
        for field in fields {
            let given = self.inputs.iter().find(|(name, value)| *name == field.name && fits(&field.shape, value));
            let value = match given {
                Some((_, value)) => value.clone(),
                None if field.optional => continue,
                None if field.default.is_some() => field.default.clone().unwrap_or_default(),
                None => self.value(&field.shape, &field.name),
            };
            values.push((Arc::from(field.name.as_str()), value));
        }
        Value::record(values)
    }
}

/// Tells whether an input can be what the service gives back for a field of its name.
fn fits(shape: &Shape, value: &Value) -> bool {
    match (shape, value) {
        (Shape::Text | Shape::Token | Shape::Written(_), Value::Text(_))
        | (Shape::Time, Value::Time(_))
        | (Shape::Duration(_), Value::Duration(_))
        | (Shape::Bool, Value::Bool(_))
        | (Shape::Integer | Shape::Number, Value::Number(_))
        | (Shape::Money { .. }, Value::Money(_))
        | (Shape::Instant(_), Value::Instant(_))
        | (Shape::Date, Value::Date(_))
        | (Shape::Json, _) => !value.is_missing(),
        (Shape::Enum { members, open }, Value::Text(text)) => *open || members.iter().any(|member| **member == **text),
        (Shape::Coded { members, .. }, Value::Text(text)) => members.iter().any(|member| **member == **text),
        _ => false,
    }
}
