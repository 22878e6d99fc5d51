//! The syntax tree: what was written, with spans and comments, without meaning.
//!
//! Every node has the span of its source text. The tree is a value of one file; formatting needs nothing else
//! but the tree and its text.

use crate::span::Span;

/// One source file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct File {
    /// The items in the order of the text.
    pub items: Vec<Item>,
    /// Every comment that is not a doc comment, in the order of the text.
    pub comments: Vec<Comment>,
}

/// A `#` comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// From the `#` to the end of the line.
    pub span: Span,
    /// The text behind `#`, trimmed at its end.
    pub text: String,
}

/// A top-level item.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "items live in one vector, and most are flows")]
pub enum Item {
    /// A flow.
    Flow(Flow),
    /// An inline test.
    Test(Test),
    /// A connector.
    Connector(Connector),
    /// Text that is no item; its diagnostics are beside the tree.
    Bad(Span),
}

/// A name as written, without backticks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ident {
    /// The name, without backticks.
    pub text: String,
    /// Where, backticks included.
    pub span: Span,
}

/// `## …` lines before an item or a member, joined by newlines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Docs {
    /// The lines behind `##`, one leading blank removed.
    pub lines: Vec<String>,
    /// Where; empty where there is none.
    pub span: Span,
}

// ---------------------------------------------------------------------------------------------- flows

/// A flow: trigger, clauses, steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Flow {
    /// The whole flow.
    pub span: Span,
    /// Its doc comment.
    pub docs: Docs,
    /// The name behind `flow`; without it the flow has no `flow` line.
    pub name: Option<Ident>,
    /// The title behind the name.
    pub title: Option<TextLit>,
    /// What starts it.
    pub start: Start,
    /// `where`, limits and the rest, in the order of the text.
    pub clauses: Vec<Clause>,
    /// Span of the word `do`.
    pub do_span: Span,
    /// What it does.
    pub body: Block,
    /// `on error { … }` behind the braces of `do`.
    pub on_error: Option<Block>,
}

/// What starts a flow.
#[derive(Debug, Clone, PartialEq)]
pub enum Start {
    /// `when a or b`.
    When(When),
    /// `every …`.
    Every(Every),
}

/// `when …`.
#[derive(Debug, Clone, PartialEq)]
pub struct When {
    /// From `when` to the last alternative.
    pub span: Span,
    /// The alternatives, at least one.
    pub alternatives: Vec<TriggerPattern>,
}

/// One thing that can start a flow, or end a `wait for`.
#[derive(Debug, Clone, PartialEq)]
pub enum TriggerPattern {
    /// `stripe.charge_failed(option: value)`.
    Event(TriggerRef),
    /// `no stripe.new_payment`; its `within D` is the clause [`ClauseKind::Within`].
    Absence(TriggerRef),
    /// `front_door is unlocked for 10 minutes`, `front_door becomes locked`, `x.level drops below 20`.
    State(StatePattern),
}

/// A trigger by name.
#[derive(Debug, Clone, PartialEq)]
pub struct TriggerRef {
    /// Path and options.
    pub span: Span,
    /// `stripe.charge_failed`: at least one part; two where it names connection and trigger.
    pub path: Vec<Ident>,
    /// The options in parentheses.
    pub args: Vec<Arg>,
    /// The parentheses were written.
    pub has_parens: bool,
}

/// A state pattern.
#[derive(Debug, Clone, PartialEq)]
pub struct StatePattern {
    /// The whole pattern.
    pub span: Span,
    /// `front_door` or `front_door.standing`.
    pub path: Vec<Ident>,
    /// How it is compared.
    pub op: StateOp,
    /// A bare enum member, or a value; `None` behind `changes`.
    pub value: Option<Expr>,
    /// `for 10 minutes`.
    pub lasting: Option<DurationLit>,
}

/// How a state starts a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateOp {
    /// `is`.
    Is,
    /// `becomes`.
    Becomes,
    /// `rises above`.
    RisesAbove,
    /// `drops below`.
    DropsBelow,
    /// `changes`.
    Changes,
}

/// `every …`.
#[derive(Debug, Clone, PartialEq)]
pub struct Every {
    /// From `every` on.
    pub span: Span,
    /// What repeats.
    pub kind: EveryKind,
    /// `in "Europe/Paris"`.
    pub zone: Option<TextLit>,
}

/// What repeats.
#[derive(Debug, Clone, PartialEq)]
pub enum EveryKind {
    /// `every 5 minutes`.
    Interval(DurationLit),
    /// `every cron "…"`.
    Cron(TextLit),
    /// `every day at 22:30, 23:00`, `every weekday at …`, `every month on last day at …`.
    Calendar {
        /// `day`, `weekday`, `weekend`, `hour`, `month`, `year`, or day names such as `monday`.
        units: Vec<Ident>,
        /// What stands behind `on`: `last day`, `1, 15`, `first monday`, as words and numbers.
        on: Vec<OnDay>,
        /// The times.
        at: Vec<AtTime>,
    },
}

/// One entry behind `on`.
#[derive(Debug, Clone, PartialEq)]
pub struct OnDay {
    /// Where.
    pub span: Span,
    /// The words and numbers of the entry, such as `last` `day` or `15`.
    pub words: Vec<Ident>,
}

/// One time of day of a schedule.
#[derive(Debug, Clone, PartialEq)]
pub enum AtTime {
    /// `22:30`.
    Clock(TimeLit),
    /// `sunset - 15 minutes`.
    Sun {
        /// Where.
        span: Span,
        /// `sunrise` or `sunset`.
        event: Ident,
        /// The offset; `true` is `+`.
        offset: Option<(bool, DurationLit)>,
    },
}

/// A clause between trigger and `do`.
#[derive(Debug, Clone, PartialEq)]
pub struct Clause {
    /// The whole clause.
    pub span: Span,
    /// Which.
    pub kind: ClauseKind,
}

/// The clauses.
#[derive(Debug, Clone, PartialEq)]
pub enum ClauseKind {
    /// `where condition`.
    Where(Expr),
    /// `3 times within 1 hour per key`.
    Window {
        /// How many.
        count: NumberLit,
        /// Within which time.
        within: DurationLit,
        /// `per a, b`.
        per: Vec<Expr>,
    },
    /// `within 6 hours`, of an absence.
    Within(DurationLit),
    /// `fresh within 30 seconds`.
    Fresh(DurationLit),
    /// `at most once per customer per day otherwise queue`.
    AtMost {
        /// `once` is 1.
        count: NumberLit,
        /// The keys.
        per: Vec<Expr>,
        /// The unit word or duration.
        every: Rate,
        /// `otherwise queue`.
        otherwise: Option<Ident>,
    },
    /// `once per id`.
    OncePer(Vec<Expr>),
    /// `one at a time per customer`.
    OneAtATime(Vec<Expr>),
    /// `throttle to 10 per minute`.
    Throttle {
        /// How many.
        count: NumberLit,
        /// In what time.
        every: Rate,
        /// The keys.
        per: Vec<Expr>,
    },
    /// `while running restart`.
    WhileRunning(Ident),
    /// `missed latest within 12 hours`.
    Missed {
        /// `skip`, `all` or `latest`.
        policy: Ident,
        /// `within D`.
        within: Option<DurationLit>,
    },
    /// `on clock change skip`.
    OnClockChange(Ident),
    /// `across gaps verify`.
    AcrossGaps(Ident),
    /// `expect at least 1 per 24 hours`.
    Expect {
        /// How many.
        count: NumberLit,
        /// In what time.
        every: Rate,
    },
    /// `unverified`.
    Unverified,
}

/// `day`, `24 hours`: the time of a rate.
#[derive(Debug, Clone, PartialEq)]
pub enum Rate {
    /// A unit word: `minute`, `hour`, `day`, `week`, `month`.
    Unit(Ident),
    /// A duration.
    Duration(DurationLit),
}

// ---------------------------------------------------------------------------------------------- steps

/// Steps, with or without braces.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// With its braces, where it has them.
    pub span: Span,
    /// `{ … }` rather than steps joined by `then`.
    pub braces: bool,
    /// The steps.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The whole step.
    pub span: Span,
    /// Its doc comment, shown in the run log.
    pub docs: Docs,
    /// Which.
    pub kind: StepKind,
}

/// The steps.
#[derive(Debug, Clone, PartialEq)]
pub enum StepKind {
    /// `let name = value`.
    Let {
        /// The name.
        name: Ident,
        /// A query or a pure value.
        value: Expr,
    },
    /// An action.
    Call(CallStep),
    /// `if …`.
    If(IfStep),
    /// `match subject { … }`.
    Match {
        /// What is compared.
        subject: Expr,
        /// The arms.
        arms: Vec<Arm>,
    },
    /// `for x in list up to 20 { … }`.
    For {
        /// The loop's name.
        var: Ident,
        /// The list.
        list: Expr,
        /// The bound.
        up_to: Option<NumberLit>,
        /// What is repeated.
        body: Block,
    },
    /// `stop`, `stop because "…"`.
    Stop(Option<Expr>),
    /// `return value`, in composite actions and queries.
    Return(Option<Expr>),
    /// `require x`.
    Require(Expr),
    /// `wait 3 days`.
    Wait(DurationLit),
    /// `wait until 09:00 in "Europe/Paris"`.
    WaitUntil {
        /// A time of day, or an instant.
        at: Expr,
        /// The zone.
        zone: Option<TextLit>,
    },
    /// `wait for trigger where … up to 3 days else { … }`.
    WaitFor {
        /// What is awaited.
        pattern: TriggerPattern,
        /// Its condition.
        condition: Option<Expr>,
        /// `from now`.
        from_now: bool,
        /// The bound.
        up_to: Option<DurationLit>,
        /// What happens when it does not come.
        otherwise: Option<Block>,
    },
    /// Text that is no step; its diagnostic is beside the tree.
    Bad,
}

/// An action with its suffixes.
#[derive(Debug, Clone, PartialEq)]
pub struct CallStep {
    /// The action.
    pub call: Call,
    /// `as name`.
    pub name: Option<Ident>,
    /// `retry …`.
    pub retry: Option<Retry>,
    /// `on error { … }`.
    pub on_error: Option<Block>,
}

/// `retry 6 times over 2 hours`.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// The whole suffix.
    pub span: Span,
    /// How often after the first attempt.
    pub times: NumberLit,
    /// In what time.
    pub over: Option<DurationLit>,
}

/// `if cond { … } else …`.
#[derive(Debug, Clone, PartialEq)]
pub struct IfStep {
    /// The condition.
    pub condition: Expr,
    /// When it holds.
    pub then: Block,
    /// When it does not.
    pub otherwise: Option<ElseBranch>,
}

/// What follows `else`.
#[derive(Debug, Clone, PartialEq)]
pub enum ElseBranch {
    /// `else { … }`.
    Block(Block),
    /// `else if …`.
    If(Box<Step>),
}

/// One arm of a `match`.
#[derive(Debug, Clone, PartialEq)]
pub struct Arm {
    /// The whole arm.
    pub span: Span,
    /// `"a" | "b"`; empty for `else`.
    pub patterns: Vec<Expr>,
    /// What is done.
    pub body: Block,
}

// ---------------------------------------------------------------------------------------------- expressions

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// Where.
    pub span: Span,
    /// What.
    pub kind: Box<ExprKind>,
}

/// The expressions.
#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// `"text with {amount}"`.
    Text(TextLit),
    /// `15_000`, `0.5`.
    Number(NumberLit),
    /// `99.95 EUR`.
    Money(NumberLit, Ident),
    /// `any(100 USD, 90 EUR)`.
    Any(Vec<Expr>),
    /// `3 days`.
    Duration(DurationLit),
    /// `21 bytes`: a size, for functions that cut texts.
    Bytes(NumberLit),
    /// `09:00`.
    Time(TimeLit),
    /// `2026-11-22`, as written.
    Date(String),
    /// `2026-11-22 22:05`, as written: date and time of day.
    DateTime(String, TimeLit),
    /// `true`, `false`.
    Bool(bool),
    /// A bare name.
    Name(Ident),
    /// `a.b`.
    Field(Expr, Ident),
    /// `a[0]`.
    Index(Expr, Expr),
    /// A query, a function, or (where it is an error) an action.
    Call(Call),
    /// `not x`.
    Not(Expr),
    /// `-x`.
    Negate(Expr),
    /// `a + b`, `a and b`, `a > b`, …
    Binary(BinaryOp, Span, Expr, Expr),
    /// `a is b`, `a is not b`, `a == b`, `a != b`.
    Is {
        /// Left side.
        value: Expr,
        /// `is not`, `!=`.
        negated: bool,
        /// What it is compared with.
        test: IsTest,
    },
    /// `a in x`, `a not in x`.
    In {
        /// Left side.
        value: Expr,
        /// `not in`.
        negated: bool,
        /// A list, a range or a name.
        set: Expr,
    },
    /// `a..b`.
    Range(Expr, Expr),
    /// `a else b`: a default.
    Else(Expr, Expr),
    /// `require a`.
    Require(Expr),
    /// `[a, b]`.
    List(Vec<Expr>),
    /// `{ a: 1, b }`.
    Object(Vec<ObjectField>),
    /// `(a)`.
    Paren(Expr),
    /// `(a, b)`: keys.
    Tuple(Vec<Expr>),
    /// Text that is no expression; its diagnostic is beside the tree.
    Bad,
}

/// `name: value`, or `name` alone, which means `name: name`.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectField {
    /// Where.
    pub span: Span,
    /// The key; wire names may be quoted, and `a.b` in a `with` or `sign` is one key.
    pub key: Ident,
    /// The key was quoted.
    pub quoted: bool,
    /// The value.
    pub value: Option<Expr>,
    /// `?` behind it: the value names a type, and the field can be missing.
    pub optional: Option<Span>,
}

/// The right side of `is`.
#[derive(Debug, Clone, PartialEq)]
pub enum IsTest {
    /// `is present`.
    Present,
    /// `is missing`.
    Missing,
    /// `is empty`.
    Empty,
    /// `is value`.
    Value(Expr),
}

/// The operators with two sides, as the formatter writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `or`.
    Or,
    /// `and`.
    And,
    /// `<`.
    Less,
    /// `<=`.
    LessEq,
    /// `>`.
    Greater,
    /// `>=`.
    GreaterEq,
    /// `contains`.
    Contains,
    /// `starts with`.
    StartsWith,
    /// `ends with`.
    EndsWith,
    /// `matches "regex"`; the right side is a raw text.
    Matches,
    /// `+`.
    Add,
    /// `-`.
    Subtract,
    /// `*`.
    Multiply,
    /// `/`.
    Divide,
}

/// `path(args)` or, where an action stands alone, `path`.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Path and arguments.
    pub span: Span,
    /// `kustomer.create_conversation`, `length`.
    pub path: Vec<Ident>,
    /// The arguments.
    pub args: Vec<Arg>,
    /// The parentheses were written.
    pub has_parens: bool,
}

/// `name: value` or `value`.
#[derive(Debug, Clone, PartialEq)]
pub struct Arg {
    /// Where.
    pub span: Span,
    /// The name; functions and queries with one input take values without.
    pub name: Option<Ident>,
    /// The value.
    pub value: Expr,
}

/// A text with its parts.
#[derive(Debug, Clone, PartialEq)]
pub struct TextLit {
    /// With its quotes.
    pub span: Span,
    /// `"`, `'` or `"""`.
    pub quote: Quote,
    /// Pieces and `{expressions}`.
    pub parts: Vec<TextPart>,
}

/// How a text was quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quote {
    /// `"…"`.
    Double,
    /// `'…'`: accepted, rewritten by the formatter.
    Single,
    /// `"""…"""`.
    Triple,
    /// `"…"` behind `matches`: nothing is escaped or interpolated.
    Raw,
}

/// A piece of a text.
#[derive(Debug, Clone, PartialEq)]
pub enum TextPart {
    /// Literal text, escapes resolved.
    Text(String),
    /// `{expression}`.
    Expr(Expr),
}

impl TextLit {
    /// Returns the text where it has no `{…}` in it.
    pub fn plain(&self) -> Option<String> {
        self.parts
            .iter()
            .map(|part| match part {
                TextPart::Text(text) => Some(text.as_str()),
                TextPart::Expr(_) => None,
            })
            .collect()
    }
}

/// A number as written, digits only: `_` removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberLit {
    /// Where.
    pub span: Span,
    /// Digits with at most one `.`.
    pub digits: String,
}

/// `3 days`, `1 hour 30 minutes`, `24h`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DurationLit {
    /// Where.
    pub span: Span,
    /// Amounts and units, at least one.
    pub parts: Vec<(NumberLit, DurationUnit)>,
}

/// The units of durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DurationUnit {
    /// Milliseconds.
    Millisecond,
    /// Seconds.
    Second,
    /// Minutes.
    Minute,
    /// Hours of 60 minutes.
    Hour,
    /// Calendar days.
    Day,
    /// Calendar weeks.
    Week,
    /// Calendar months.
    Month,
    /// Calendar years.
    Year,
}

/// `09:00`, `9:00`, `09:00:30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLit {
    /// Where.
    pub span: Span,
    /// 0 to 23, checked by the compiler.
    pub hour: u8,
    /// 0 to 59, checked by the compiler.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
}

// ---------------------------------------------------------------------------------------------- tests

/// `test "…" for flow name { … }`.
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    /// The whole test.
    pub span: Span,
    /// Its doc comment.
    pub docs: Docs,
    /// What it shows.
    pub title: TextLit,
    /// `for flow NAME`.
    pub flow: Option<Ident>,
    /// The lines.
    pub steps: Vec<TestStep>,
}

/// One line of a test.
#[derive(Debug, Clone, PartialEq)]
pub struct TestStep {
    /// Where.
    pub span: Span,
    /// What.
    pub kind: TestStepKind,
}

/// The lines of a test.
#[derive(Debug, Clone, PartialEq)]
pub enum TestStepKind {
    /// `given stripe.charge_failed { amount: 1 USD } twice at 2026-11-22 22:05 in "Asia/Tokyo"`, or `from "file.json"`.
    GivenEvent {
        /// The trigger.
        trigger: TriggerRef,
        /// `from "file"`.
        from: Option<TextLit>,
        /// The fields.
        fields: Vec<ObjectField>,
        /// `twice`, `3 times`.
        times: Option<NumberLit>,
        /// `at instant`.
        at: Option<Expr>,
        /// `in "zone"`.
        zone: Option<TextLit>,
    },
    /// `given front_door becomes unlocked at …`.
    GivenState {
        /// Device or device and state.
        path: Vec<Ident>,
        /// The value.
        value: Expr,
        /// `at instant`.
        at: Option<Expr>,
        /// `in "zone"`.
        zone: Option<TextLit>,
    },
    /// `given kustomer.create_conversation fails once with timeout_after_effect`.
    GivenFails {
        /// The operation.
        path: Vec<Ident>,
        /// `once`, `3 times`; absent: always.
        times: Option<NumberLit>,
        /// A fault word or a status.
        with: Ident,
    },
    /// `given stripe.find_customer returns { … }`.
    GivenReturns {
        /// The operation.
        path: Vec<Ident>,
        /// What.
        value: Expr,
    },
    /// `given restart`.
    GivenRestart,
    /// `after 4 minutes`.
    After(DurationLit),
    /// `expect kustomer.create_conversation once with { … }`, `expect no …`.
    ExpectCall {
        /// The action.
        path: Vec<Ident>,
        /// `no` is 0, `once` is 1, absent: at least one.
        times: Option<NumberLit>,
        /// `with { … }`.
        with: Vec<ObjectField>,
    },
    /// `expect dead "…"`, `expect stopped "…"`, `expect done`.
    ExpectRun {
        /// `dead`, `stopped`, `done`.
        status: Ident,
        /// The reason.
        reason: Option<TextLit>,
    },
    /// `expect nothing else`, `expect anything else`.
    ExpectElse(Ident),
    /// Text that is no line of a test.
    Bad,
}

// ---------------------------------------------------------------------------------------------- connectors

/// `connector name "Title" { … }`.
#[derive(Debug, Clone, PartialEq)]
pub struct Connector {
    /// The whole connector.
    pub span: Span,
    /// Its doc comment.
    pub docs: Docs,
    /// Its name.
    pub name: Ident,
    /// Its title.
    pub title: Option<TextLit>,
    /// Its members in the order of the text.
    pub members: Vec<Member>,
}

/// A member of a connector.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// The whole member.
    pub span: Span,
    /// Its doc comment.
    pub docs: Docs,
    /// Which.
    pub kind: MemberKind,
}

/// The members of a connector.
#[derive(Debug, Clone, PartialEq)]
pub enum MemberKind {
    /// `docs "https://…"`.
    Docs(TextLit),
    /// `secret token`; `secret token: text "hint"`.
    Secret {
        /// The name.
        name: Ident,
        /// `secret token: text?`: a connection can do without it.
        optional: bool,
        /// A text that says where to get it.
        hint: Option<TextLit>,
        /// `of 32 hex digits`: how many each of this kind has.
        hex_digits: Option<NumberLit>,
        /// `starts with "sk_", "rk_"`: what those of this kind begin with.
        starts_with: Vec<TextLit>,
    },
    /// `setting org: text = "x"`.
    Setting {
        /// The name.
        name: Ident,
        /// Its type.
        ty: TypeExpr,
        /// The default.
        default: Option<Expr>,
    },
    /// `base "https://{org}.…"`, `base "https://eu.…" when region is "eu"`.
    Base(TextLit, Option<Expr>),
    /// `auth bearer(token)`.
    Auth(Call),
    /// `via mqtt(host: host)`: another way to the service than HTTP.
    Via(Call),
    /// `header "Name" "value"`.
    Header(TextLit, Expr),
    /// `limit 100 per minute`.
    Limit(NumberLit, Rate),
    /// `limit 4 at once`.
    LimitAtOnce(NumberLit),
    /// `quota 50_000 per month shared by token spent on 403`.
    Quota {
        /// How many calls.
        count: NumberLit,
        /// In what time.
        every: Rate,
        /// `shared by secret`.
        shared_by: Option<Ident>,
        /// `spent on 403`.
        spent_on: Vec<NumberLit>,
    },
    /// `retry on 409, 423`.
    RetryOn(Vec<NumberLit>),
    /// `retry by header "X-Should-Retry"`: what says `true` or `false` there decides.
    RetryBy(TextLit),
    /// `broken on 401`.
    BrokenOn(Vec<NumberLit>),
    /// `broken when condition`, over any answer: the credentials do not work.
    BrokenWhen(Expr),
    /// `retry after "retry_after"`: where an answer says how many seconds to wait.
    WaitAt(WirePath),
    /// `spends "usage.total_tokens"`: where an answer says what it cost, which `daily_tokens` of a connection bounds.
    Spends(WirePath),
    /// `one of (token, webhook_url)`: a connection needs one of these secrets.
    OneOf(Vec<Ident>),
    /// `error text "errors[0].message" else "…"`: JSON paths, first present wins.
    ErrorText(Vec<TextLit>),
    /// `help on 401 "…"`: what an error of this status may come from.
    HelpOn(Vec<NumberLit>, TextLit),
    /// `exponents { isk: 2, ugx: 2 }`: how the service counts currencies that it counts otherwise than ISO 4217.
    Exponents(Vec<(Ident, NumberLit)>),
    /// `check { GET "/account" at "id" }`: a harmless request that tells whether the credentials work.
    Check(HttpOperation),
    /// `check via`: the same by going the way to the service and coming back.
    CheckVia,
    /// `refused when condition`, for every operation; `refused unless condition` is negated.
    Refused {
        /// `unless` rather than `when`.
        unless: bool,
        /// The condition.
        condition: Expr,
    },
    /// `api app { base "…" auth … }`: another API of the service, for requests that go `via app`.
    Api {
        /// Its name.
        name: Ident,
        /// `base`, `auth`, `header`, `retry on`, `broken on`, `error text`.
        members: Vec<Member>,
    },
    /// `record …`.
    Record(Record),
    /// `source events { … }`.
    Source(Source),
    /// `trigger …`.
    Trigger(Trigger),
    /// `state …`.
    State(StateDecl),
    /// `query …`, `action …`.
    Operation(Operation),
    /// `resolver Customer from email = find_or_create_customer`.
    Resolver {
        /// The record whose id it gives.
        record: Ident,
        /// The semantic type it starts from.
        from: Ident,
        /// The action.
        action: Ident,
    },
    /// Text that is no member.
    Bad,
}

/// A type as written.
#[derive(Debug, Clone, PartialEq)]
pub struct TypeExpr {
    /// Where.
    pub span: Span,
    /// `T?`.
    pub optional: bool,
    /// What.
    pub kind: TypeKind,
}

/// The types as written.
#[derive(Debug, Clone, PartialEq)]
pub enum TypeKind {
    /// `text`, `email`, `Invoice`, `list<text>`, `id<Customer>`, `map<text>`; with the words behind it in `words`:
    /// `money minor`, `datetime unix`, `datetime iso`, `int 1..5` (range apart).
    Named {
        /// The name.
        name: Ident,
        /// `<…>`.
        args: Vec<TypeExpr>,
        /// Words that say how the wire holds it: `minor`, `decimal`, `unix`, `unix_ms`, `iso`.
        words: Vec<Ident>,
        /// `from (amount, currency) else (…)` of money: two JSON paths each.
        money_from: Vec<(WirePath, WirePath)>,
        /// `exponents { isk: 2 }` of money.
        exponents: Vec<(Ident, NumberLit)>,
        /// `1..5` of a number.
        range: Option<(NumberLit, NumberLit)>,
    },
    /// `draft | open | other`: names or quoted texts.
    Enum(Vec<Ident>),
    /// `{ reminder: text }`.
    Record(Vec<RecordField>),
}

/// A path into JSON: a bare field name or a quoted path such as `"data.items[0].price"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WirePath {
    /// Where.
    pub span: Span,
    /// The path.
    pub text: String,
    /// It was quoted.
    pub quoted: bool,
}

/// `record Invoice { … }`.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its name.
    pub name: Ident,
    /// Its fields.
    pub fields: Vec<RecordField>,
    /// `summary "…"`, most specific first.
    pub summaries: Vec<TextLit>,
}

/// A field of a record, or an input of an operation or trigger.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordField {
    /// The whole field.
    pub span: Span,
    /// Its doc comment.
    pub docs: Docs,
    /// Its name.
    pub name: Ident,
    /// Its type.
    pub ty: TypeExpr,
    /// `from "a.b" else "c"`, first present wins.
    pub from: Vec<FromPath>,
    /// `codes { app: 1, 2 hand: 7 }`: members of an enum, and the numbers that stand for them.
    pub codes: Vec<(Ident, Vec<NumberLit>)>,
    /// `otherwise unknown`: what any other value is.
    pub otherwise: Option<Ident>,
    /// `= 3`: the default of an input; what a field is that the wire does not have.
    pub default: Option<Expr>,
    /// `@customer`, `@personal`, `@deprecated("2.3", use: "category")`.
    pub attributes: Vec<Attribute>,
}

/// One alternative of `from`.
#[derive(Debug, Clone, PartialEq)]
pub struct FromPath {
    /// The path.
    pub path: WirePath,
    /// `from event "…"`: it goes from the whole payload of an event, not from the object in it.
    pub of_event: bool,
    /// `when "object" is "charge"`: this alternative counts only then.
    pub when: Option<Expr>,
}

/// `@name(args)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribute {
    /// The whole attribute.
    pub span: Span,
    /// Its name.
    pub name: Ident,
    /// Its arguments.
    pub args: Vec<Arg>,
}

/// `source events { … }`.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Its name; empty for the source in the braces of a trigger.
    pub name: Option<Ident>,
    /// Its lines in the order of the text.
    pub lines: Vec<SourceLine>,
}

/// One line of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceLine {
    /// Where.
    pub span: Span,
    /// What.
    pub kind: SourceLineKind,
}

/// The lines of a source.
#[derive(Debug, Clone, PartialEq)]
pub enum SourceLineKind {
    /// `webhook verify stripe_signature(header: "…", secret: s, tolerance: 300 s)`.
    Webhook {
        /// `whole`: the payload is the whole request, not its body alone.
        whole: bool,
        /// The scheme.
        verify: Call,
    },
    /// `register POST "/hooks" json { … } secret at "secret"`.
    Register {
        /// The request.
        request: Request,
        /// Where the answer has the secret.
        secret_at: Option<WirePath>,
        /// Where the answer has the id of what was made.
        id_at: Option<WirePath>,
    },
    /// `unregister DELETE "/hooks/{id}"`.
    Unregister(Request),
    /// `update PUT "/hooks/{id}" json { … }`: how what is registered is changed in place.
    Update(Request),
    /// `registered GET "/hooks" …`: how what is registered is read.
    Registered(Box<Registered>),
    /// `poll GET "/events" query { … } every 1 minute`, or `poll GET … when status.at changes`.
    Poll {
        /// The request.
        request: Request,
        /// `every D`.
        every: Option<DurationLit>,
        /// `within quota`: more slowly where the quota does not allow it.
        within_quota: bool,
        /// `when status.at changes`: the path.
        when_changes: Vec<Ident>,
    },
    /// `listen topic`, `listen url every 15 minutes`: the option of the triggers that says to what, and how often it is looked at.
    Listen {
        /// The option.
        by: Ident,
        /// `as "flow/*/set"`: what is listened to, with `*` for the value.
        pattern: Option<TextLit>,
        /// `clears "…/*/config"`: what is taken away when nobody listens to the value any more.
        clears: Option<TextLit>,
        /// `every D`.
        every: Option<DurationLit>,
    },
    /// `items "data"`.
    Items(WirePath),
    /// `pages starting_after last.id while "has_more"`.
    Pages {
        /// The query parameter.
        param: Ident,
        /// Where its value comes from: `last.id`, a path, or `page + 1`.
        from: Expr,
        /// `of 50`: a page with fewer items is the last.
        of: Option<NumberLit>,
        /// The flag that says there are more.
        more: Option<WirePath>,
    },
    /// `cursor "meta.next"`; `cursor last.id + 1`: a field of the item that has most of it.
    Cursor(WirePath, Option<NumberLit>),
    /// `order oldest by "created" unix_auto`; `order newest …`.
    Order(Order),
    /// `seen "id"`, `seen ("a", "b")`.
    Seen(Vec<WirePath>),
    /// `history 30 days`.
    History(DurationLit),
    /// `first now`.
    First(Ident),
    /// `type "type"`.
    Type(WirePath),
    /// `id "id"`; `id "id" else body`: what has none is known by its body.
    Id {
        /// Where it stands.
        path: WirePath,
        /// `else body`.
        else_body: bool,
    },
    /// `at "created" unix`.
    At(WirePath, Option<Ident>),
    /// `object "data.object"`.
    Object(WirePath),
    /// `refuse when "object" is "v2.core.event" because "…"`; `ignore when …` says nothing of it to the sender.
    Refuse {
        /// `ignore` rather than `refuse`.
        quietly: bool,
        /// The condition over the raw payload.
        when: Expr,
        /// What the sender is told.
        because: Option<TextLit>,
    },
    /// `with { battery, device: connection }`: what goes along with each item.
    Along(Expr),
    /// `otherwise state { locked: locked } at at`: what is an event where the list does not say it.
    Told(Told),
    /// `codes "type" { locked: 1, 6 unlocked: 2 } collapse same`.
    Codes(Codes),
}

/// `order oldest by "created" unix_auto then "id"`.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// `oldest` or `newest`.
    pub first: Ident,
    /// By what.
    pub by: WirePath,
    /// A scheme such as `unix_auto`.
    pub scheme: Option<Ident>,
    /// What decides where that is the same.
    pub then: Option<WirePath>,
}

/// `codes "type" { locked: 1, 6 unlocked: 2 } collapse same of locked, unlocked`.
#[derive(Debug, Clone, PartialEq)]
pub struct Codes {
    /// The path of the code.
    pub path: WirePath,
    /// Names and their codes.
    pub table: Vec<(Ident, Vec<NumberLit>)>,
    /// `collapse same`.
    pub collapse: Option<Ident>,
    /// `of locked, unlocked`; empty for all.
    pub among: Vec<Ident>,
}

/// `otherwise state { locked: locked jammed: moved } at at`.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// What is told.
    pub value: Expr,
    /// Event types, and the members that stand for each.
    pub table: Vec<(Ident, Vec<Ident>)>,
    /// Since when.
    pub at: Expr,
}

/// `registered GET "/hooks" list at "data" where "name" is run.instance url at "url" …`.
#[derive(Debug, Clone, PartialEq)]
pub struct Registered {
    /// The request, whose answer lists what is registered.
    pub request: Request,
    /// Where the list is.
    pub list_at: Option<WirePath>,
    /// Which of them is ours.
    pub ours: Option<Expr>,
    /// Where an item has its id.
    pub id_at: Option<WirePath>,
    /// Where it has the address.
    pub url_at: Option<WirePath>,
    /// Where it has the event types.
    pub events_at: Option<WirePath>,
    /// Unless this holds it is changed in place.
    pub update_unless: Option<Expr>,
    /// Unless this holds it is removed and made anew.
    pub replace_unless: Option<Expr>,
}

/// `GET "/path" query { … } json { … } header "X" "y"`.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Where.
    pub span: Span,
    /// `GET`, `POST`, …; `SEND` where it is given; or `send`: what the scheme behind `via` sends, which
    /// stands in the body.
    pub method: Ident,
    /// The path: each `{value}` is one percent-encoded segment. Empty where there is an address.
    pub path: TextLit,
    /// `at url`: the whole address, instead of a path behind the base.
    pub address: Option<Address>,
    /// `via app`: which API of the service.
    pub via: Option<Ident>,
    /// `query { … }`.
    pub query: Vec<RequestField>,
    /// `query fields`: parameters with names that are not known here.
    pub more_query: Option<Ident>,
    /// `json { … }`, `form { … }`, `text …`: of several the first that is there.
    pub bodies: Vec<Body>,
    /// `header "Name" value`.
    pub headers: Vec<(TextLit, Expr)>,
    /// `headers fields`: headers with names that are not known here.
    pub more_headers: Option<Ident>,
}

/// `at url`, `method at url`: where a request goes that has no path of the connector's own.
#[derive(Debug, Clone, PartialEq)]
pub struct Address {
    /// The method, behind `SEND`.
    pub method: Option<Ident>,
    /// The address.
    pub url: Expr,
}

/// A field of a query, with `chunk 20` where a list is split over requests.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestField {
    /// Key and value.
    pub field: ObjectField,
    /// `chunk 20`.
    pub chunk: Option<NumberLit>,
}

/// The body of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    /// `json`, `form` or `text`.
    pub encoding: Ident,
    /// An object, a list or a value.
    pub value: Expr,
    /// `null names`: a list of members that are sent as `null`.
    pub nulls: Option<Expr>,
}

/// `trigger name(options): Record from source "type", … where … dedupe by …`.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    /// Its name.
    pub name: Ident,
    /// Its options.
    pub options: Vec<RecordField>,
    /// The record of its events.
    pub record: Option<TypeExpr>,
    /// `from source`.
    pub source: Option<Ident>,
    /// The event types it takes.
    pub types: Vec<TextLit>,
    /// `from source of option`: the option that says which event types it takes.
    pub types_of: Option<Ident>,
    /// `from state battery drops below below`: it is a state that starts flows, under a name.
    pub state: Option<Box<StatePattern>>,
    /// `where condition`, over options, fields and `type`.
    pub condition: Option<Expr>,
    /// `dedupe by expr`.
    pub dedupe: Option<Expr>,
    /// `example "file"`.
    pub example: Option<TextLit>,
    /// `summary "…"`, most specific first; before those of the record.
    pub summaries: Vec<TextLit>,
    /// Its own source in braces.
    pub own_source: Option<Source>,
}

/// `state standing: open | paid from query invoice(id: invoice).status`.
#[derive(Debug, Clone, PartialEq)]
pub struct StateDecl {
    /// Its name.
    pub name: Ident,
    /// Its type.
    pub ty: TypeExpr,
    /// The query that tells it, as an expression.
    pub from: Option<Expr>,
    /// How often it is read.
    pub every: Option<DurationLit>,
    /// `within quota`: more slowly where the quota does not allow it.
    pub within_quota: bool,
}

/// `query` or `action`.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// `action` rather than `query`.
    pub action: bool,
    /// Its name.
    pub name: Ident,
    /// Its inputs.
    pub inputs: Vec<RecordField>,
    /// `-> Type`.
    pub output: Option<TypeExpr>,
    /// Attributes behind the output: `@dangerous`, `@internal`.
    pub attributes: Vec<Attribute>,
    /// How it works.
    pub body: OperationBody,
}

/// How an operation works.
#[derive(Debug, Clone, PartialEq)]
pub enum OperationBody {
    /// One HTTP request.
    Http(Box<HttpOperation>),
    /// Steps over other operations.
    Steps(Block),
}

/// An operation that is one request.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpOperation {
    /// The request.
    pub request: Request,
    /// Its lines.
    pub lines: Vec<OperationLine>,
}

/// One line of an HTTP operation.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationLine {
    /// Where.
    pub span: Span,
    /// What.
    pub kind: OperationLineKind,
}

/// What an action causes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emitted {
    /// The trigger, or the type of the event.
    pub name: Ident,
    /// It is a type of events, in quotes.
    pub quoted: bool,
}

/// The lines of an HTTP operation.
#[derive(Debug, Clone, PartialEq)]
pub enum OperationLineKind {
    /// `at "data"`.
    At(WirePath),
    /// `none on 404, 410`.
    NoneOn(Vec<NumberLit>),
    /// `none when condition`, over the answer.
    NoneWhen(Expr),
    /// `first where condition`: the answer is a list, the first item that fits is the result (`first` alone: the first item).
    First(Option<Expr>),
    /// `refused when condition because "…"`.
    RefusedWhen(Expr, Option<TextLit>),
    /// `refused unless condition because "…"`.
    RefusedUnless(Expr, Option<TextLit>),
    /// `refuse when condition because "…"`: nothing is sent.
    Refuse {
        /// When, over what the request can read.
        when: Expr,
        /// What the run is told.
        because: Option<TextLit>,
    },
    /// `effect keyed header "Idempotency-Key" for 24 hours`, `effect findable by q(a: a) on 409 find`.
    Effect(EffectLine),
    /// `sign { json.sign: … }`.
    Sign(Vec<ObjectField>),
    /// `confirm status every 3 s up to 15 s where …`.
    Confirm {
        /// The query.
        query: Call,
        /// How often.
        every: DurationLit,
        /// How long: a length of time, or an input that says it.
        up_to: Expr,
        /// `as confirmed`: the field of the result that says that it was.
        mark: Option<Ident>,
        /// When it is confirmed.
        condition: Expr,
    },
    /// `emits reminder_sent, "reminder.counted"`.
    Emits(Vec<Emitted>),
    /// `retry on 409`, for this operation.
    RetryOn(Vec<NumberLit>),
    /// `retry after 5 seconds, 5 minutes`: the pauses between attempts, and no attempt behind the last.
    RetryAfter(Vec<DurationLit>),
    /// `retry never`: not even where the service says that nothing was done.
    RetryNever,
    /// `one of (id, email)`: at least one of these inputs must be given.
    OneOf(Vec<Ident>),
    /// `answer text`, `answer whole`, `answer json in "path"`: what an answer is read as.
    Answer(AnswerForm),
    /// `done on 200, 404`, `done on expect`: the statuses of success, instead of 200 to 299.
    DoneOn(DoneOn),
    /// `timeout 2 minutes`: how long an answer may take.
    Timeout(Expr),
    /// `body up to 20_000 bytes`.
    BodyUpTo(NumberLit),
    /// `once more`: what does not fit is asked for again, with the mistake named.
    OnceMore,
    /// `warn unless one of (code, referrer) because "…"`: a call without any of them is allowed, and told what it lacks.
    WarnUnless {
        /// The inputs.
        names: Vec<Ident>,
        /// What such a call will not do.
        because: TextLit,
    },
    /// `pages page page + 1 of 50`: how further pages of a list are asked for.
    Pages {
        /// The query parameter.
        param: Ident,
        /// Where its value comes from.
        from: Expr,
        /// `of 50`: a page with fewer items is the last.
        of: Option<NumberLit>,
        /// The flag that says there are more.
        more: Option<WirePath>,
    },
    /// `order newest by "created" unix`.
    Order(Order),
    /// `codes "type" { locked: 1, 6 } collapse same`.
    Codes(Codes),
    /// `only "locked"`: items of this type, by their codes.
    Only(TextLit),
    /// `since EXPR`: items that are not older.
    Since(Expr),
    /// `up to EXPR`: so many items.
    UpTo(Expr),
}

/// What an answer is read as; JSON where nothing is said.
#[derive(Debug, Clone, PartialEq)]
pub enum AnswerForm {
    /// JSON where it is JSON, else a text.
    Text,
    /// An object with `status`, `headers` and `body`.
    Whole,
    /// The JSON that stands inside of a text at this path.
    JsonIn(WirePath),
}

/// The statuses of success.
#[derive(Debug, Clone, PartialEq)]
pub enum DoneOn {
    /// These.
    Statuses(Vec<NumberLit>),
    /// Those that an input lists.
    Input(Ident),
}

/// The effect class.
#[derive(Debug, Clone, PartialEq)]
pub enum EffectLine {
    /// `read`.
    Read,
    /// `set`.
    Set,
    /// `once`.
    Once,
    /// `keyed header H for D`.
    Keyed {
        /// The header.
        header: TextLit,
        /// How long the service remembers.
        window: DurationLit,
    },
    /// `findable by query(args) on 409 find`.
    Findable {
        /// The query with its arguments.
        query: Call,
        /// Statuses which mean that it is there already.
        find_on: Vec<NumberLit>,
    },
}
