//! Operations: queries and actions as HTTP requests.

use serde::{Deserialize, Serialize};

use crate::{Codes, Expr, JsonPath, Pages, Refusal, Shape, TimeFormat};

/// One HTTP request of a connector with its meaning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// `connector.name`.
    pub name: String,
    /// Its inputs; arguments come in this order.
    pub inputs: Vec<Input>,
    /// The request.
    pub request: Request,
    /// How the answer is read.
    pub answer: Answer,
    /// What may be repeated.
    pub effect: Effect,
    /// Statuses that mean "not done, try again", beside those of the connection.
    pub retry_on: Vec<u16>,
    /// The events of its own service that it causes, as `connector.trigger`.
    pub emits: Vec<String>,
    /// What is computed over the finished request at each attempt and set into it, in this order. It is never stored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sign: Vec<Signature>,
    /// How it is known that what was accepted has happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Box<Confirm>>,
    /// What is peculiar to it.
    #[serde(default, skip_serializing_if = "Peculiar::is_empty")]
    pub peculiar: Box<Peculiar>,
    /// How its list is made of what the pages hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listing: Option<Box<Listing>>,
}

/// What few operations need.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Peculiar {
    /// Nothing is sent where one of these holds, over what the request can read. A secret counts by its presence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refuse: Vec<Refusal>,
    /// How long an answer may take: a duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Expr>,
    /// The most bytes that the body may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_body: Option<u32>,
    /// The pauses between attempts in milliseconds; no attempt behind the last. Empty is the engine's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pauses_ms: Vec<u64>,
    /// An answer that does not fit is asked for once more, with [`crate::Env::Mistake`]: only of what reads.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub once_more: bool,
    /// One attempt and no more, also where nothing was done: by the time of another one it may no longer be wanted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retry_never: bool,
}

impl Peculiar {
    /// Tells whether there is nothing peculiar.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How a list is made of what the pages hold: all of them, in their order, and of those what is asked for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Listing {
    /// How further pages are asked for.
    pub pages: Option<Pages>,
    /// What items are ordered by.
    pub order: Option<ListOrder>,
    /// The types of items, out of numbers; an item with another number is left out.
    pub codes: Option<Codes>,
    /// Only items of this type.
    pub only: Option<String>,
    /// Only items that are not older, over the inputs; nothing is left out where it is missing.
    pub since: Option<Expr>,
    /// At most so many, over the inputs.
    pub up_to: Option<Expr>,
}

/// The order of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ListOrder {
    /// The instant or number that decides.
    pub by: JsonPath,
    /// How the instant is written, where it is one.
    pub format: Option<TimeFormat>,
    /// What decides where that is the same.
    pub then: Option<JsonPath>,
    /// The newest comes first.
    pub newest_first: bool,
}

/// A part of a request that is computed at each attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signature {
    /// Where it is set.
    pub place: SignPlace,
    /// What: over inputs, settings, secrets, [`crate::Env::SentAt`] and the request as it is so far ([`crate::Env::SentBody`],
    /// [`crate::Env::SentForm`], [`crate::Env::SentQuery`]).
    pub value: Expr,
}

/// Where a signature is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignPlace {
    /// A member of the JSON body, by the names on the way to it.
    Json(Vec<String>),
    /// A field of the form.
    Form(String),
    /// A parameter of the address.
    Query(String),
    /// A header.
    Header(String),
}

/// How it is known that what was accepted has happened: a query is asked until its result says so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Confirm {
    /// The query.
    pub query: Operation,
    /// Its inputs, over the inputs of the action.
    pub args: Vec<Expr>,
    /// The time between two reads, and before the first, in milliseconds.
    pub every_ms: u64,
    /// How long after the attempt it has to be so, in milliseconds.
    pub up_to_ms: u64,
    /// What has to hold: over the query's result, which is [`Expr::Local`] 0, the inputs of the action, and
    /// [`crate::Env::SentAt`], which is the whole second of the attempt here.
    pub when: Expr,
    /// The result of the action is what the query read.
    pub gives_result: bool,
    /// How long instead, at most `up_to_ms`: over the inputs of the action. Where it is nothing, nothing is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<Expr>,
    /// The field of the result that says that it was confirmed. Where nothing was read it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
}

/// An input.
#[derive(Debug, Clone, PartialEq, Default, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// It may be left out.
    pub optional: bool,
    /// Personal data: shortened in views.
    pub personal: bool,
    /// How long a text may be; one that is shorter or longer is not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<Length>,
}

/// How long a text may be, both bounds included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Length {
    /// At least.
    pub least: u32,
    /// At most.
    pub most: u32,
    /// Bytes of UTF-8 rather than characters.
    pub bytes: bool,
}

impl Length {
    /// Returns the length of a text, counted as this bounds it.
    pub fn of(self, text: &str) -> usize {
        if self.bytes { text.len() } else { text.chars().count() }
    }

    /// Tells whether a text is neither too short nor too long.
    pub fn allows(self, text: &str) -> bool {
        (self.least as usize..=self.most as usize).contains(&self.of(text))
    }

    /// Returns what is counted.
    pub fn unit(self) -> &'static str {
        if self.bytes { "bytes" } else { "characters" }
    }
}

/// A request. Inputs, settings, secrets and the step's key are filled in at each attempt.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Request {
    /// `GET`, `POST`, `PUT`, `PATCH`, `DELETE`, or [`crate::SEND`].
    pub method: String,
    /// Which of [`crate::Connection::apis`] it goes to; `None` is the first API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// The path behind the base.
    pub path: Vec<PathPart>,
    /// The query; missing values are left out, lists become repeated parameters, records brackets.
    pub query: Vec<QueryField>,
    /// Headers beside those of the connection; missing values are left out.
    pub headers: Vec<(String, Expr)>,
    /// The body.
    pub body: Option<Body>,
    /// The whole address, instead of the base and the path. What only settings and secrets make is named by flow.toml.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Expr>,
    /// The method, instead of `method`: one of the members of an enum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen_method: Option<Expr>,
    /// Parameters with names of their own: a record, behind those of `query`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_query: Option<Expr>,
    /// Headers with names of their own: a record of texts. None of them replaces one that the connector makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_headers: Option<Expr>,
    /// Bodies that are sent where `body` is missing: the first that is there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_bodies: Vec<Body>,
}

/// A part of a path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum PathPart {
    /// As it is.
    Literal(String),
    /// One value, percent-encoded as (a part of) one segment. A missing or empty one ends the step as refused.
    Value(Expr),
}

/// A field of a query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueryField {
    /// The name on the wire.
    pub name: String,
    /// The value.
    pub value: Expr,
    /// A list is split over several requests with at most so many items each.
    pub chunk: Option<u32>,
}

/// A body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Body {
    /// How it is written.
    pub encoding: Encoding,
    /// What.
    pub value: Expr,
    /// A list of names: these members of the JSON object are sent as `null`, whatever else they have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nulls: Option<Expr>,
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encoding {
    /// `application/json`.
    Json,
    /// `application/x-www-form-urlencoded` with brackets: `a[b][0][c]=x`.
    Form,
    /// `text/plain`.
    Text,
}

/// How an answer is read, once its status is one of success.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Answer {
    /// Where in the body the result is.
    pub at: JsonPath,
    /// How it is read; `None` where nothing of it is used.
    pub shape: Option<Shape>,
    /// The result may be missing.
    pub optional: bool,
    /// Statuses that mean "there is none".
    pub none_on: Vec<u16>,
    /// The answer means "there is none" where this holds.
    pub none_when: Option<Expr>,
    /// At `at` is a list, of which the first item is the result: any (`Const(true)`), or the first for which this holds.
    pub first: Option<Expr>,
    /// A success that is none: the step is refused where this holds.
    pub refused_when: Option<Expr>,
    /// The result is one of the items of this input, an index into [`Operation::inputs`]; anything else does not fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item_of: Option<u16>,
    /// The result is a text with at most so many characters as this input says, an index into [`Operation::inputs`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest: Option<u16>,
    /// What the answer is read as.
    #[serde(default, skip_serializing_if = "AnswerForm::is_json")]
    pub form: AnswerForm,
    /// Successes that are none, each with its reason; asked behind `refused_when`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refusal>,
    /// The statuses of success, a list of numbers, instead of 200 to 299.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_on: Option<Expr>,
}

/// What an answer is read as. Conditions over the answer see it in this form.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum AnswerForm {
    /// JSON.
    #[default]
    Json,
    /// JSON where it is JSON, else a text.
    Text,
    /// A record: `status`, `headers` (a map of texts), `body` as [`AnswerForm::Text`], and `key`, that of the step.
    Whole,
    /// The result is in the JSON that stands inside of a text at this path; conditions see what is around it.
    JsonIn(JsonPath),
}

impl AnswerForm {
    /// Tells whether it is JSON.
    pub fn is_json(&self) -> bool {
        *self == AnswerForm::Json
    }
}

/// The effect class: what may be repeated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Effect {
    /// Changes nothing.
    Read,
    /// The same call leads to the same state.
    Set,
    /// The service deduplicates by a key.
    Keyed {
        /// The header that carries the key.
        header: String,
        /// How long the service remembers it, in milliseconds.
        window_ms: u64,
    },
    /// One can ask whether it happened.
    Findable {
        /// How to ask.
        by: Box<FindBy>,
        /// Statuses that mean "it is there already": ask for it.
        find_on: Vec<u16>,
    },
    /// Cannot be repeated safely.
    Once,
}

/// How to find what an action may have made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FindBy {
    /// The query.
    pub query: Operation,
    /// Its inputs, over the inputs of the action and [`crate::Env::RunKey`].
    pub args: Vec<Expr>,
}
