//! The catalog: typed declarations out of connector sources.
//!
//! `declare` (in [`crate::connector`]) fills it; checking and lowering flows only read it.

mod connections;
mod connectors;

use std::collections::BTreeMap;
use std::sync::Arc;

use flow_grammar::syntax;
use flow_plan as plan;
use flow_plan::ty::Type;

pub use connections::Connections;
pub use connectors::Connectors;

/// Every connector by name.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// The connectors.
    pub connectors: Connectors,
}

/// A connector.
#[derive(Debug, Clone)]
pub struct Connector {
    /// Its name.
    pub name: String,
    /// Its title: `Stripe`.
    pub title: String,
    /// Its doc comment.
    pub docs: String,
    /// Where the service documents its API.
    pub docs_url: Option<String>,
    /// The source's name, for diagnostics.
    pub file: Arc<str>,
    /// Its settings.
    pub settings: Vec<Setting>,
    /// Its secrets.
    pub secrets: Arc<[plan::SecretDecl]>,
    /// How requests are made.
    pub api: Arc<plan::Api>,
    /// Further APIs of the service, by name.
    pub apis: Arc<BTreeMap<String, plan::Api>>,
    /// Its records by name.
    pub records: BTreeMap<String, Record>,
    /// Its triggers by name.
    pub triggers: BTreeMap<String, Trigger>,
    /// Its queries and actions by name.
    pub operations: BTreeMap<String, Operation>,
    /// Its resolvers.
    pub resolvers: Vec<Resolver>,
    /// Its sources of events.
    pub sources: Vec<Arc<plan::Source>>,
    /// Its states by name.
    pub states: BTreeMap<String, State>,
    /// Harmless requests that tell whether the credentials work.
    pub checks: Arc<[plan::Operation]>,
}

impl Connector {
    /// Returns its only operation, where it has no more than that: the connection's own name stands for it, as in `log("…")`.
    pub fn only_operation(&self) -> Option<&Operation> {
        let mut operations = self.operations.values().filter(|operation| !operation.internal);
        operations.next().filter(|_| operations.next().is_none() && self.triggers.is_empty() && self.states.is_empty())
    }

    /// Returns the `summary` texts for an event of `trigger`, most specific first: its own, then those of its record.
    pub fn summaries<'a>(&'a self, trigger: &'a Trigger) -> impl Iterator<Item = &'a syntax::TextLit> {
        trigger.summaries.iter().chain(self.records.get(&trigger.record).into_iter().flat_map(|record| &record.summaries))
    }
}

/// A setting.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// Its doc comment.
    pub docs: String,
    /// Its type.
    pub ty: Type,
    /// Its default.
    pub default: Option<plan::Value>,
    /// It stands in the base address.
    pub in_base: bool,
}

/// A record.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its name.
    pub name: String,
    /// Its doc comment.
    pub docs: String,
    /// Its fields.
    pub fields: Vec<Field>,
    /// `summary` texts, most specific first; bare names in them are fields of the record.
    pub summaries: Vec<syntax::TextLit>,
}

impl Record {
    /// Returns the field of this name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// A field of a record.
#[derive(Debug, Clone)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its doc comment, in one line.
    pub docs: String,
    /// Its type, with `?` where it can be missing.
    pub ty: Type,
    /// Roles such as `customer` or `key`, by which inputs are filled in.
    pub roles: Vec<String>,
    /// Personal data.
    pub personal: bool,
    /// Since when, and what to use instead.
    pub deprecated: Option<(String, Option<String>)>,
    /// How it is read from the wire.
    pub shape: plan::FieldShape,
    /// The raw paths, for hover and docs: `billing_details.email, else receipt_email`.
    pub wire: String,
}

/// The role of a map whose keys are in lower case, whatever case they came in, such as the headers of a request.
pub const LOWER_KEYS: &str = "lower_case_keys";

impl Field {
    /// Tells whether it is a map whose keys are in lower case.
    pub fn has_lower_keys(&self) -> bool {
        self.roles.iter().any(|role| role == LOWER_KEYS)
    }
}

/// An input of an operation, or an option of a trigger.
#[derive(Debug, Clone)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// Its doc comment, in one line.
    pub docs: String,
    /// Its type, with `?` where it can be left out.
    pub ty: Type,
    /// Its default.
    pub default: Option<plan::Expr>,
    /// Roles, as of fields.
    pub roles: Vec<String>,
    /// May receive personal data (`@accepts_personal`, and every e-mail, phone and id).
    pub accepts_personal: bool,
    /// May be filled in by the event's summary (`@summary`).
    pub summary: bool,
    /// How long a text may be (`@length(1..2000)`, `@bytes(1..4096)`).
    pub length: Option<plan::Length>,
    /// Values that a flow puts into a text are no markup of the service (`@escaped`).
    pub escaped: bool,
}

impl Input {
    /// Tells whether it must be given or filled in.
    pub fn is_required(&self) -> bool {
        self.default.is_none() && !self.ty.can_be_missing()
    }
}

/// A trigger.
#[derive(Debug, Clone)]
pub struct Trigger {
    /// Its name.
    pub name: String,
    /// Its doc comment.
    pub docs: String,
    /// Its options.
    pub options: Vec<Input>,
    /// The record of its events.
    pub record: String,
    /// The source that it draws from; "state" where it is one.
    pub source: String,
    /// The event types; empty where an option says which, or where all of the source are meant.
    pub types: Vec<String>,
    /// The option that says which event types.
    pub types_of: Option<String>,
    /// It is a state that starts flows, under a name of its own.
    pub state: Option<TriggerState>,
    /// Its own condition, over options, fields and `type`.
    pub condition: Option<syntax::Expr>,
    /// Its key, over fields, `event.id` and options.
    pub dedupe: Option<syntax::Expr>,
    /// The file with its example.
    pub example: Option<String>,
    /// `summary` texts of the trigger itself, most specific first. They come before those of the record; ask
    /// [`Connector::summaries`].
    pub summaries: Vec<syntax::TextLit>,
}

/// A trigger that is a state: `from state battery drops below below`.
#[derive(Debug, Clone, PartialEq)]
pub struct TriggerState {
    /// The state.
    pub state: String,
    /// How it is compared.
    pub op: plan::StateOp,
    /// With what.
    pub value: TriggerValue,
}

/// What the state of a trigger is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum TriggerValue {
    /// A value.
    Plain(plan::Value),
    /// An option of the trigger.
    Option(String),
}

/// A state: what is so at the moment, and can start a flow when it changes. [`State::new`] makes one.
#[derive(Debug, Clone)]
pub struct State {
    /// Its name.
    pub name: String,
    /// Its doc comment.
    pub docs: String,
    /// Its type, never optional: a state that is missing is unavailable.
    pub ty: Type,
    /// How it is read. The arguments of its query are over the settings of the connection.
    pub source: Arc<plan::StateSource>,
    /// What the steps of a flow that it starts can read: `value`, `was` and `since`.
    pub event: Record,
    /// The same where the flow starts since it is not known: `was` and `since`.
    pub unknown: Record,
    /// The trigger of such a flow.
    pub trigger: Trigger,
}

impl State {
    /// Makes a state, with the event that it gives to the flows that it starts.
    pub fn new(name: &str, docs: &str, ty: Type, source: plan::StateSource) -> Self {
        let field = |name: &str, docs: &str, ty: Type, shape: plan::Shape| Field {
            name: name.to_owned(),
            docs: docs.to_owned(),
            shape: plan::FieldShape {
                name: name.to_owned(),
                from: match shape {
                    plan::Shape::Money { .. } => Vec::new(),
                    _ => vec![plan::FieldSource::at(plan::JsonPath(vec![plan::Segment::Key(name.to_owned())]))],
                },
                shape,
                optional: ty.can_be_missing(),
                personal: false,
                default: None,
            },
            ty,
            roles: Vec::new(),
            personal: false,
            deprecated: None,
            wire: name.to_owned(),
        };
        let instant = plan::Shape::Instant(plan::TimeFormat::Iso);
        let event = Record {
            name: name.to_owned(),
            docs: docs.to_owned(),
            fields: vec![
                field("value", "What it is now.", ty.clone(), state_shape(&ty, "value")),
                field(
                    "was",
                    "What it was known to be before; missing where that is not known.",
                    ty.clone().optional(),
                    state_shape(&ty, "was"),
                ),
                field("since", "Since when it is known to be so.", Type::DateTime, instant),
            ],
            summaries: Vec::new(),
        };
        let unknown = Record {
            fields: event.fields.iter().filter(|field| field.shape.name != "value").cloned().collect(),
            ..event.clone()
        };
        let trigger = Trigger {
            name: name.to_owned(),
            docs: docs.to_owned(),
            options: Vec::new(),
            record: name.to_owned(),
            source: "state".to_owned(),
            types: Vec::new(),
            types_of: None,
            state: None,
            condition: None,
            dedupe: None,
            example: None,
            summaries: Vec::new(),
        };
        Self { name: name.to_owned(), docs: docs.to_owned(), ty, source: Arc::new(source), event, unknown, trigger }
    }
}

/// How the value of a state stands in the event: as [`plan::Value::to_json`] writes it.
fn state_shape(ty: &Type, at: &str) -> plan::Shape {
    let path = |last: &str| plan::JsonPath(vec![plan::Segment::Key(at.to_owned()), plan::Segment::Key(last.to_owned())]);
    match ty {
        Type::Text(_) => plan::Shape::Text,
        Type::Bool => plan::Shape::Bool,
        Type::Int(_) => plan::Shape::Integer,
        Type::Number => plan::Shape::Number,
        Type::Money => plan::Shape::Money {
            amount: path("amount"),
            currency: path("currency"),
            instead: Vec::new(),
            unit: plan::MoneyUnit::Decimal,
            exponents: BTreeMap::new(),
        },
        Type::DateTime => plan::Shape::Instant(plan::TimeFormat::Iso),
        Type::Date => plan::Shape::Date,
        // What is no member is unavailable and never comes here.
        Type::Enum { members, .. } => plan::Shape::Enum { members: members.clone(), open: true },
        Type::Optional(inner) => state_shape(inner, at),
        Type::Unknown
        | Type::Time
        | Type::Duration
        | Type::Json
        | Type::List(_)
        | Type::Map(_)
        | Type::Record(_)
        | Type::Nothing => plan::Shape::Json,
    }
}

/// A query or an action.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Its name.
    pub name: String,
    /// Its doc comment.
    pub docs: String,
    /// An action rather than a query.
    pub action: bool,
    /// Its inputs.
    pub inputs: Vec<Input>,
    /// Its result, with `?` where there may be none.
    pub output: Type,
    /// `@dangerous`: it must not act on an old event.
    pub dangerous: Option<Dangerous>,
    /// `@internal`: used by other operations of the connector only.
    pub internal: bool,
    /// `@among(labels)`: its result is one of the texts that this input lists.
    pub among: Option<String>,
    /// `@typed(record)`: a call may say what its result is, by this input.
    pub typed: Option<TypedBy>,
    /// `@within(max_length)`: its result is a text of at most so many characters as this input says.
    pub within: Option<String>,
    /// `@derived`: its result is made of what it is given, and is personal where that is.
    pub derived: bool,
    /// Groups of inputs of which at least one must be given.
    pub one_of: Vec<Vec<String>>,
    /// Groups of inputs without any of which a call does less than it seems, and why.
    pub warn_unless: Vec<(Vec<String>, String)>,
    /// Triggers of its own connector that it causes.
    pub emits: Vec<String>,
    /// Types of events that it causes, for triggers that take any type.
    pub emits_types: Vec<String>,
    /// Its steps lead into a circle of calls, which has been reported: it is never written out.
    pub endless: bool,
    /// How it works.
    pub body: OperationBody,
}

/// `@typed(record, "body")`: the input by which a call says what its result is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedBy {
    /// The input. It gets the name of the type, or its schema where it takes JSON.
    pub input: String,
    /// Where in the answer the result then stands, if elsewhere.
    pub at: Option<plan::JsonPath>,
    /// `optional`: each field of it can be missing.
    pub optional: bool,
}

/// `@dangerous(default: 30 seconds, limit: 5 minutes)`: how old the event of a dangerous action may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dangerous {
    /// What is proposed for a flow that says nothing, in milliseconds.
    pub default_ms: u64,
    /// The most that a flow may say, in milliseconds.
    pub limit_ms: u64,
}

impl Default for Dangerous {
    /// Half a minute, and five minutes at most.
    fn default() -> Self {
        Self { default_ms: 30_000, limit_ms: 300_000 }
    }
}

/// How an operation works.
#[derive(Debug, Clone)]
pub enum OperationBody {
    /// One request.
    Http(Arc<plan::Operation>),
    /// Steps over operations of the same connector, called without a prefix; inputs are locals.
    Steps(Arc<syntax::Block>),
}

/// A way from a semantic type to a record's id.
#[derive(Debug, Clone)]
pub struct Resolver {
    /// The record whose id it gives.
    pub record: String,
    /// The semantic type it starts from: `email`.
    pub from: String,
    /// The action, with one input of that type and the record as its result.
    pub action: String,
}
