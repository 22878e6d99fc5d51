//! Compiled expressions: resolved and typed, so that evaluating them needs no look-up by name and no type test but the
//! one that a missing value needs.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{Currency, JsonPath, Value};

/// An expression. Evaluation is total: it yields a value or [`Value::Missing`]; only [`Expr::Require`] can end a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Expr {
    /// A constant.
    Const(Value),
    /// A field of the starting event: index into [`crate::Flow::reads`].
    Event(u16),
    /// A field of the event that a `wait for` awaits: index into [`crate::WaitFor::reads`].
    Awaited(u16),
    /// A local of the run: `let` and `as` names, loop variables.
    Local(u16),
    /// An input of the operation that is performed: index into [`crate::Operation::inputs`].
    Input(u16),
    /// Something that the surroundings know.
    Env(Env),
    /// A path into the raw payload of the starting event.
    Raw(JsonPath),
    /// A path into the answer, list item or webhook payload at hand.
    Answer(JsonPath),
    /// A field of a record.
    Field(Box<Expr>, String),
    /// An element of a list (from 0) or a member of a map.
    Index(Box<Expr>, Box<Expr>),
    /// Texts one after the other; money, numbers and times in their display form.
    Text(Vec<Expr>),
    /// A list.
    List(Vec<Expr>),
    /// A record; missing values are left out.
    Record(Vec<(String, Expr)>),
    /// `not`.
    Not(Box<Expr>),
    /// `and`, left to right.
    And(Vec<Expr>),
    /// `or`, left to right.
    Or(Vec<Expr>),
    /// An ordering of two values of one type; false where one is missing or currencies differ.
    Compare(Order, Box<Expr>, Box<Expr>),
    /// Money against `any(100 USD, 90 EUR)`: false where its currency is not listed.
    CompareAny(Order, Box<Expr>, BTreeMap<Currency, Decimal>),
    /// Money against a number of major units of whatever currency it has.
    CompareMajor(Order, Box<Expr>, Box<Expr>),
    /// Equality; false with a missing value.
    Equal(Box<Expr>, Box<Expr>),
    /// One of several; false with a missing value.
    OneOf(Box<Expr>, Vec<Expr>),
    /// `value in list`, `list contains value`.
    InList(Box<Expr>, Box<Expr>),
    /// `low..high`, both included; for times of day it may cross midnight and excludes the end.
    InRange(Box<Expr>, Box<Expr>, Box<Expr>),
    /// `is present`.
    IsPresent(Box<Expr>),
    /// `is empty`: a text, list or record without content, or missing.
    IsEmpty(Box<Expr>),
    /// `text contains text`.
    Contains(Box<Expr>, Box<Expr>),
    /// `starts with`.
    StartsWith(Box<Expr>, Box<Expr>),
    /// `ends with`.
    EndsWith(Box<Expr>, Box<Expr>),
    /// `matches`: a regular expression that the compiler has tried.
    Matches(Box<Expr>, String),
    /// Arithmetic; missing where a side is missing, on overflow and on division by zero.
    Arithmetic(Arithmetic, Box<Expr>, Box<Expr>),
    /// `-x`.
    Negate(Box<Expr>),
    /// `a else b`.
    Else(Box<Expr>, Box<Expr>),
    /// `require x`: where it is missing the run becomes dead, with `what` (the source text) as the reason.
    Require {
        /// The value.
        value: Box<Expr>,
        /// How the source calls it: `customer_email`.
        what: String,
    },
    /// A function.
    Call(Function, Vec<Expr>),
    /// The item at hand, inside of the innermost [`Expr::ForEach`].
    It,
    /// What becomes of a list, asked of one item after the other: the list, then what is asked, where [`Expr::It`] is the item.
    ForEach(Each, Box<Expr>, Box<Expr>),
}

impl Default for Expr {
    /// Nothing.
    fn default() -> Self {
        Expr::Const(Value::Missing)
    }
}

impl Expr {
    /// Calls `visit` for this expression and all that it is made of, outermost first.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        visit(self);
        self.each_part(&mut |part| part.walk(visit));
    }

    /// Calls `visit` for the expressions that this one is made of, and not for what those are made of.
    pub fn each_part<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        match self {
            Expr::Const(_)
            | Expr::Event(_)
            | Expr::Awaited(_)
            | Expr::Local(_)
            | Expr::Input(_)
            | Expr::Env(_)
            | Expr::Raw(_)
            | Expr::Answer(_)
            | Expr::It => {}
            Expr::Field(inner, _)
            | Expr::Not(inner)
            | Expr::CompareAny(_, inner, _)
            | Expr::IsPresent(inner)
            | Expr::IsEmpty(inner)
            | Expr::Matches(inner, _)
            | Expr::Negate(inner)
            | Expr::Require { value: inner, .. } => visit(inner),
            Expr::Index(left, right)
            | Expr::Compare(_, left, right)
            | Expr::CompareMajor(_, left, right)
            | Expr::Equal(left, right)
            | Expr::InList(left, right)
            | Expr::Contains(left, right)
            | Expr::StartsWith(left, right)
            | Expr::EndsWith(left, right)
            | Expr::Arithmetic(_, left, right)
            | Expr::Else(left, right)
            | Expr::ForEach(_, left, right) => {
                visit(left);
                visit(right);
            }
            Expr::InRange(value, low, high) => [value, low, high].into_iter().for_each(|part| visit(part)),
            Expr::OneOf(value, choices) => {
                visit(value);
                choices.iter().for_each(visit);
            }
            Expr::Text(parts) | Expr::List(parts) | Expr::And(parts) | Expr::Or(parts) | Expr::Call(_, parts) => {
                parts.iter().for_each(visit);
            }
            Expr::Record(fields) => fields.iter().for_each(|(_, value)| visit(value)),
        }
    }
}

/// An ordering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// `<`.
    Less,
    /// `<=`.
    LessEq,
    /// `>`.
    Greater,
    /// `>=`.
    GreaterEq,
}

impl Order {
    /// Tells whether `ordering` satisfies it.
    pub fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Order::Less => ordering.is_lt(),
            Order::LessEq => ordering.is_le(),
            Order::Greater => ordering.is_gt(),
            Order::GreaterEq => ordering.is_ge(),
        }
    }
}

/// Arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Arithmetic {
    /// Numbers, money of one currency, durations, instant and duration; texts are joined by [`Expr::Text`].
    Add,
    /// As `Add`; two instants give a duration.
    Subtract,
    /// Numbers, money by a number.
    Multiply,
    /// Numbers, money by a number (half to even), money by money of one currency.
    Divide,
}

/// What the surroundings know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Env {
    /// The idempotency key of the step that is performed.
    RunKey,
    /// The run's id.
    RunId,
    /// The flow's name or id.
    RunFlow,
    /// The time of receipt in conditions, the journaled start of the step in steps.
    Now,
    /// The instant of the attempt: only in requests, never stored.
    SentAt,
    /// The body of the request, as the text that is sent: only where a request is signed.
    SentBody,
    /// The fields of the form as they are sent, a record of texts: only where a request is signed.
    SentForm,
    /// The parameters of the address as they are sent, a record of texts: only where a request is signed.
    SentQuery,
    /// The name of the trigger that fired.
    TriggerName,
    /// `"external"`, or `"flow"` where a flow of this daemon caused the event.
    Origin,
    /// The event's id.
    EventId,
    /// When it happened, by the service's own time.
    EventAt,
    /// When it was received.
    ReceivedAt,
    /// The event type of the payload at hand, as the service calls it.
    EventType,
    /// A setting of the connection.
    Setting(String),
    /// The connection's name.
    Connection,
    /// A secret of the connection: only in requests, never stored.
    Secret(String),
    /// `public_url` of the connection's webhook.
    PublicUrl,
    /// The event types that live flows use: a list of texts.
    LiveTypes,
    /// What marks a webhook that is registered as that of this address: a text.
    Instance,
    /// How far the poll has read: an instant.
    Watermark,
    /// The cursor of the poll: a text.
    Cursor,
    /// Inside `on error`: what went wrong, as a record with `message`, `status` and `step`.
    Error,
    /// What was wrong with the answer before, where an operation asks once more: a text.
    Mistake,
}

/// What is made of the items of a list. Variants are written by name, and are never renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Each {
    /// Whether it holds for one of them.
    Any,
    /// Whether it holds for all of them.
    All,
    /// For how many it holds.
    Count,
    /// Those for which it holds.
    Filter,
    /// What it gives for each of them; what is missing is left out.
    Map,
    /// The items in the order of what it gives for them.
    Sort,
}

/// The functions. They are documented, checked and evaluated in the crate `flow-functions`; here they only have a name that
/// plans can be written with. Variants are written by name, and are never renamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Function {
    /// `lower(text)`.
    Lower,
    /// `upper(text)`.
    Upper,
    /// `capitalize(text)`.
    Capitalize,
    /// `trim(text)`.
    Trim,
    /// `replace(text, find, with)`.
    Replace,
    /// `split(text, by)`.
    Split,
    /// `join(list, with)`.
    Join,
    /// `slice(text or list, from, to)`.
    Slice,
    /// `cut(text, n)`: at most so many characters.
    CutCharacters,
    /// `length(text or list)`.
    Length,
    /// `first(list)`.
    First,
    /// `last(list)`.
    Last,
    /// `unique(list)`.
    Unique,
    /// `reverse(list)`.
    Reverse,
    /// `sum(list)` of numbers; 0 of none.
    Sum,
    /// `sum(list)` of money; missing where there is none, or of two currencies.
    SumMoney,
    /// `average(list)`.
    Average,
    /// `min(list)`, or the least of several values.
    Min,
    /// `max(list)`, or the greatest of several values.
    Max,
    /// `round(number, digits)`.
    Round,
    /// `round_up(number, digits)`.
    RoundUp,
    /// `round_down(number, digits)`.
    RoundDown,
    /// `abs(number)`.
    Abs,
    /// `number(text)`.
    Number,
    /// `amount(money)`.
    Amount,
    /// `money(number, currency)`.
    Money,
    /// `format(value, pattern, zone)`.
    Format,
    /// `date_of(instant, zone)`.
    DateOf,
    /// `time_of(instant, zone)`.
    TimeOf,
    /// `days_between(from, to, zone)`.
    DaysBetween,
    /// `start_of_day(instant or date, zone)`.
    StartOfDay,
    /// An instant and a duration, whose days and months count in the zone: `now + 3 days`, as the compiler writes it.
    Shift,
    /// `year(instant or date, zone)`.
    Year,
    /// `month(instant or date, zone)`.
    Month,
    /// `day(instant or date, zone)`.
    Day,
    /// `weekday(instant or date, zone)`: `monday` to `sunday`.
    Weekday,
    /// `hour(instant or time, zone)`.
    Hour,
    /// `minute(instant or time, zone)`.
    Minute,
    /// `cut(text, n bytes)`: at most so many bytes of UTF-8, whole characters.
    Cut,
    /// `base64(text)`.
    Base64,
    /// `percent_encode(text)`.
    PercentEncode,
    /// `hash(text)`: SHA-256 in hex.
    Hash,
    /// `json(value)`.
    Json,
    /// `parse_json(text)`.
    ParseJson,
    /// `minor(money)`: the integer on the wire; the table has exponents that differ from ISO 4217.
    Minor(BTreeMap<Currency, u8>),
    /// `currency(money)`: the code in lower case.
    CurrencyCode,
    /// `decimal(money)`: the amount in major units as a text, with the decimals of its currency.
    DecimalText,
    /// `merge(record, record)`: the fields of both; the second has the last word, and a missing one adds nothing.
    Merge,
    /// `money_as_text(value)`: money in it, however deep, as its display text.
    MoneyAsText,
    /// `times_as_unix(value)`: instants in it, however deep, as whole seconds.
    TimesAsUnix,
    /// `wrap(list, name)`: a record for each item, with the item under the name.
    Wrap,
    /// `ulid(instant, key)`: an identifier that begins with the instant and ends with a hash of the key.
    Ulid,
    /// `unix(instant)`: whole seconds.
    Unix,
    /// `unix_ms(instant)`.
    UnixMillis,
    /// `iso(instant)`: RFC 3339 in UTC with milliseconds.
    Iso,
    /// `aes_cmac(key, bytes)`: AES-128-CMAC (RFC 4493). Bytes are texts of hexadecimal digits inside requests.
    AesCmac,
    /// `hmac_sha256(key, bytes)`.
    HmacSha256,
    /// `md5(bytes)`.
    Md5,
    /// `md5_sorted(key, fields)`: MD5 over the key and all fields as `name=value`, sorted by name, with nothing between.
    Md5Sorted,
    /// `sha256(bytes)`.
    Sha256,
    /// `bytes(text)`: its UTF-8.
    Bytes,
    /// `unhex(text)`: bytes out of hexadecimal digits, in either case.
    Unhex,
    /// `unbase64(text)`: bytes out of base64, with or without padding.
    Unbase64,
    /// `hex(bytes)`: lower-case hexadecimal digits.
    Hex,
    /// `base64(bytes)`: standard alphabet, padded.
    BytesToBase64,
    /// `le32(number)`: the lowest 32 bits, least significant byte first.
    Le32,
    /// `slice(bytes, from, to)`: from the byte `from`, counted from 0, to before the byte `to`.
    SliceBytes,
    /// `behind(text, prefix)`: the text without what it begins with, where it begins so.
    Behind,
    /// A text with `&`, `<` and `>` written as `&amp;`, `&lt;` and `&gt;`.
    EscapeMarkup,
}

/// A filter as a tree of tests, so that `why` can show each with its values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Condition {
    /// All must hold.
    All(Vec<Condition>),
    /// One must hold.
    Any(Vec<Condition>),
    /// It must not hold.
    Not(Box<Condition>),
    /// One test.
    Test {
        /// As written: `amount > 100`.
        text: String,
        /// What is evaluated; a Boolean.
        expr: Expr,
        /// The fields it reads: indices into [`crate::Flow::reads`].
        reads: Vec<u16>,
    },
}
