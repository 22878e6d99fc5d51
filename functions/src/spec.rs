//! What is known of a function: its signature, its documentation and its examples.

use std::fmt::Write;

use flow_plan::{Each, Function};

/// A function as flows see it.
#[derive(Debug)]
pub struct Spec {
    /// Its name.
    pub name: &'static str,
    /// What it is about.
    pub subject: Subject,
    /// What becomes of a call in the plan.
    pub form: Form,
    /// What it takes.
    pub params: &'static [Param],
    /// What the items of its list must be, or what is asked of them; nothing in particular where there is none.
    pub items: &'static [Kind],
    /// What it gives where all that it needs is there.
    pub gives: Gives,
    /// The result can be missing even then.
    pub may_fail: bool,
    /// What it gives tells of a person where its first argument does.
    pub keeps_personal: bool,
    /// What it gives, in one line.
    pub brief: &'static str,
    /// What else is to be known.
    pub docs: &'static str,
    /// Each is executed by a test.
    pub examples: &'static [Example],
}

/// A call and what it gives, both as written in a flow. A result of `missing` is none.
#[derive(Debug, Clone, Copy)]
pub struct Example(pub &'static str, pub &'static str);

/// What becomes of a call in the plan.
#[derive(Debug)]
pub enum Form {
    /// A call of this function.
    Call(Function),
    /// A question about each item of a list.
    ForEach(Each),
    /// A call of this function with a list, of which an expression about its items first makes another.
    Of(Function, Each),
}

/// What a function is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Texts.
    Text,
    /// Lists.
    List,
    /// Numbers and money.
    Number,
    /// Dates and times.
    Time,
    /// Forms for other systems.
    Code,
}

impl Subject {
    /// Every subject, in order.
    pub const ALL: &'static [Subject] = &[Subject::Text, Subject::List, Subject::Number, Subject::Time, Subject::Code];

    /// Returns the heading above its functions.
    pub fn title(self) -> &'static str {
        match self {
            Subject::Text => "Texts",
            Subject::List => "Lists",
            Subject::Number => "Numbers and money",
            Subject::Time => "Dates and times",
            Subject::Code => "Forms for other systems",
        }
    }
}

/// An input of a function.
#[derive(Debug)]
pub struct Param {
    /// Its name. Values can be given by their place or by this name.
    pub name: &'static str,
    /// One of these fits.
    pub takes: &'static [Kind],
    /// Whether it has to be given.
    pub given: Given,
}

impl Param {
    /// Returns an input that has to be given.
    pub(crate) const fn new(name: &'static str, takes: &'static [Kind]) -> Self {
        Self { name, takes, given: Given::Always }
    }

    /// Returns an input that can be left out.
    pub(crate) const fn maybe(name: &'static str, takes: &'static [Kind]) -> Self {
        Self { name, takes, given: Given::Maybe }
    }

    /// Returns the zone of a calendar function.
    pub(crate) const fn zone() -> Self {
        Self { name: "in", takes: &[Kind::Zone], given: Given::Zone }
    }

    /// Tells whether a value of this kind fits.
    pub fn accepts(&self, kind: Kind) -> bool {
        self.takes.contains(&kind)
    }

    /// Returns what fits, for messages: `text or a list`.
    pub fn words(&self) -> String {
        let words: Vec<&str> = self.takes.iter().map(|kind| kind.words()).collect();
        match words.as_slice() {
            [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
            _ => words.concat(),
        }
    }
}

/// Whether an input has to be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// It has.
    Always,
    /// It can be left out.
    Maybe,
    /// The project's `timezone` stands in for it.
    Zone,
    /// Any number of further values like the first may follow.
    More,
}

/// What an input can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A whole number.
    Whole,
    /// A number.
    Number,
    /// Money.
    Money,
    /// A date.
    Date,
    /// A time of day.
    Time,
    /// An instant.
    Instant,
    /// A duration.
    Duration,
    /// A truth.
    Bool,
    /// A list of anything.
    List,
    /// A map.
    Map,
    /// Anything that is no list, map or record.
    Single,
    /// Anything.
    Anything,
    /// A condition about each item, which is called `it`.
    Condition,
    /// A value of each item, which is called `it`.
    About,
    /// A time zone.
    Zone,
    /// A pattern of `format`.
    Pattern,
}

impl Kind {
    /// Returns it in words, with an article where it helps.
    pub fn words(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Whole => "a whole number",
            Kind::Number => "a number",
            Kind::Money => "money",
            Kind::Date => "a date",
            Kind::Time => "a time of day",
            Kind::Instant => "datetime",
            Kind::Duration => "a duration",
            Kind::Bool => "`true` or `false`",
            Kind::List => "a list",
            Kind::Map => "a map",
            Kind::Single => "a single value",
            Kind::Anything => "anything",
            Kind::Condition => "a condition about `it`",
            Kind::About => "something of `it`",
            Kind::Zone => "a time zone",
            Kind::Pattern => "a pattern",
        }
    }

    fn type_name(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Whole => "int",
            Kind::Number => "number",
            Kind::Money => "money",
            Kind::Date => "date",
            Kind::Time => "time",
            Kind::Instant => "datetime",
            Kind::Duration => "duration",
            Kind::Bool => "bool",
            Kind::List => "list<T>",
            Kind::Map => "map<T>",
            Kind::Single => "single",
            Kind::Anything => "anything",
            Kind::Condition => "condition about it",
            Kind::About => "value of it",
            Kind::Zone => "zone",
            Kind::Pattern => "pattern",
        }
    }
}

/// What a function gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gives {
    /// A text.
    Text,
    /// A whole number.
    Whole,
    /// A number.
    Number,
    /// Money.
    Money,
    /// A truth.
    Bool,
    /// A date.
    Date,
    /// A time of day.
    Time,
    /// An instant.
    Instant,
    /// A day of the week: one of [`WEEKDAYS`].
    Weekday,
    /// Any JSON.
    Json,
    /// A list of texts.
    Texts,
    /// The type of the first value.
    Same,
    /// A whole number where no decimals are asked for, else the type of the first value.
    Rounded,
    /// The list that it took.
    Items,
    /// A list of what was asked of each item.
    Asked,
    /// One item, or one of what was asked of each.
    Item,
    /// The sum of the items, or of what was asked of each.
    Sum,
    /// A number or money, of which the items are.
    Average,
}

impl Gives {
    fn type_name(self) -> &'static str {
        match self {
            Gives::Text => "text",
            Gives::Whole => "int",
            Gives::Number => "number",
            Gives::Money => "money",
            Gives::Bool => "bool",
            Gives::Date => "date",
            Gives::Time => "time",
            Gives::Instant => "datetime",
            Gives::Weekday => "\"monday\" | … | \"sunday\"",
            Gives::Json => "json",
            Gives::Texts => "list<text>",
            Gives::Same => "the same type",
            Gives::Rounded => "int | number | money",
            Gives::Items => "list<T>",
            Gives::Asked => "list<value>",
            Gives::Item => "T",
            Gives::Sum | Gives::Average => "number | money",
        }
    }
}

/// The days of the week as `weekday` gives them.
pub const WEEKDAYS: &[&str] = &["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

impl Spec {
    /// Returns the signature as the documentation writes it: `replace(text, find: text, with: text) -> text`.
    pub fn signature(&self) -> String {
        let mut out = format!("{}(", self.name);
        for (at, param) in self.params.iter().enumerate() {
            if at > 0 {
                out.push_str(", ");
            }
            // `min(a, b)` is told of in its text.
            let takes = if param.given == Given::More { &[Kind::List] } else { param.takes };
            let types: Vec<&str> = takes.iter().map(|kind| kind.type_name()).collect();
            let types = types.join(" | ");
            let more = match param.given {
                Given::Always | Given::More => "",
                Given::Maybe | Given::Zone => "?",
            };
            if types == param.name || matches!(param.takes, [Kind::Condition | Kind::About]) {
                let _ = write!(out, "{types}{more}");
            } else {
                let _ = write!(out, "{}: {types}{more}", param.name);
            }
        }
        let gives = self.gives.type_name();
        let _ = match (self.may_fail, gives.contains('|')) {
            (false, _) => write!(out, ") -> {gives}"),
            (true, false) => write!(out, ") -> {gives}?"),
            (true, true) => write!(out, ") -> ({gives})?"),
        };
        out
    }

    /// Tells whether it asks for an expression about the items of a list.
    pub fn asks_items(&self) -> bool {
        self.params.iter().any(|param| matches!(param.takes, [Kind::Condition | Kind::About]))
    }
}
